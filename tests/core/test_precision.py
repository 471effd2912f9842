"""The precision of a checkpoint: chosen by the device, the processor and its size, and said."""

from __future__ import annotations

import logging

import pytest
import torch
from recorder import Recorder

from webbduck_gradio.core import devices
from webbduck_gradio.core.cards import card_of
from webbduck_gradio.core.checkpoint_cache import CheckpointCache
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import OutOfMemoryError
from webbduck_gradio.models.catalog import entries


def processor_with(monkeypatch: pytest.MonkeyPatch, *instructions: str) -> None:
    """A processor whose only instructions beyond the usual ones are these."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))


@pytest.mark.parametrize(
    ("asked", "is_large", "instructions", "chosen"),
    [
        (None, True, ["avx512_bf16"], "bfloat16"),
        (None, True, ["amx_bf16"], "bfloat16"),
        (None, False, ["avx512_bf16", "amx_bf16"], "float32"),
        (None, True, ["avx512_f", "amx_int8"], "float32"),
        (None, True, ["bf16", "sve_bf16"], "float32"),  # ARM: the gain is not known
        (None, True, [], "float32"),
        ("float32", True, ["avx512_bf16"], "float32"),
        ("bfloat16", False, [], "bfloat16"),
    ],
)
def test_the_choice_on_the_cpu(monkeypatch, asked, is_large, instructions, chosen) -> None:
    processor_with(monkeypatch, *instructions)
    assert devices.name_of(devices.chosen_dtype(card_of("cpu"), asked, is_large)) == chosen


def test_sdxl_is_large_and_the_starter_is_not(starter) -> None:
    assert not starter.is_large and entries.LARGE <= 2_567_463_684 * 2  # the numbers of SDXL's UNet


def test_a_large_one_works_in_bfloat16_and_says_so(registry, starter, ask, monkeypatch, caplog) -> None:
    processor_with(monkeypatch, "avx512_bf16")
    monkeypatch.setattr(entries, "LARGE", 0)
    generator = ImageGenerator("cpu", registry)
    assert generator.describe()["dtypes"] == {"small": "float32", "large": "bfloat16"}
    with caplog.at_level(logging.INFO):
        (picture,) = generator.generate(ask(steps=1), starter, Recorder())
    pipe = generator.pipelines.get(starter, lambda text: None).pipe
    assert {each.dtype for each in pipe.unet.parameters()} == {torch.bfloat16}
    assert picture.facts["dtype"] == generator.describe()["dtype"] == "bfloat16"
    assert "Loading webbduck-starter in bfloat16" in caplog.text


def test_the_precision_that_is_asked_for_wins(registry, starter, ask, paint, monkeypatch) -> None:
    (expected,) = paint(steps=1)
    processor_with(monkeypatch, "avx512_bf16")
    monkeypatch.setattr(entries, "LARGE", 0)
    generator = ImageGenerator("cpu", registry, precision="float32")
    (picture,) = generator.generate(ask(steps=1), starter, Recorder())
    assert picture.facts["dtype"] == "float32" and (expected == picture.image).all()


@pytest.mark.parametrize(("instructions", "advised"), [(["amx_bf16"], False), ([], True)])
def test_half_the_memory_is_advised_only_where_it_is_not_used_yet(
    starter, monkeypatch, instructions, advised
) -> None:
    processor_with(monkeypatch, *instructions)
    monkeypatch.setattr(entries, "LARGE", 0)
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1000)
    with pytest.raises(OutOfMemoryError, match=r"needs .* GiB of memory") as refusal:
        CheckpointCache("cpu").get(starter, lambda text: None)
    assert ("--precision bfloat16" in str(refusal.value)) == advised
