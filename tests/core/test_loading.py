"""Models that cannot be read or for which memory is short are called that, whatever they are for."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from webbduck_gradio.core import upscaling
from webbduck_gradio.core.devices import is_out_of_memory
from webbduck_gradio.core.load_errors import translated_load_errors
from webbduck_gradio.errors import ModelError, OutOfMemoryError, WebbDuckError

SHORTAGES = [
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
OTHERS = [
    (OSError(errno.EIO, "Input/output error"), r"^The model a cannot be read \(input/output error\)"),
    (PermissionError(errno.EACCES, "Permission denied"), r"cannot be read \(permission denied\)"),
    (OSError("a has no file named model.safetensors"), "^Another$"),
    (OSError(errno.ENOSPC, "No space left on device"), "^Another$"),
    (ValueError("of another kind"), "^Another$"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_a_shortage_is_a_shortage(tmp_path: Path, error: Exception) -> None:
    assert is_out_of_memory(error)
    with (
        pytest.raises(OutOfMemoryError, match="The model a needs more memory"),
        translated_load_errors("The model a", tmp_path, ""),
    ):
        raise error


@pytest.mark.parametrize(("error", "words"), OTHERS, ids=str)
def test_what_cannot_be_read_is_told_from_what_is_wrong_inside(
    tmp_path: Path, error: Exception, words: str
) -> None:
    with pytest.raises(ModelError, match=words), translated_load_errors("The model a", tmp_path, "Another"):
        raise error


def test_an_upscaler_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^real-x cannot be read \(no such file or directory\)"):
        upscaling.load(tmp_path / "real-x.safetensors", "cpu")


def test_sentences_of_ours_stay(tmp_path: Path) -> None:
    with (
        pytest.raises(WebbDuckError, match=r"^ours$"),
        translated_load_errors("The model a", tmp_path, "Another"),
    ):
        raise ModelError("ours")
