"""Every kind of broken file gets its own sentence, and no file does harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import checkpoint_shapes, save

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.probe.safetensors_header import MAX_HEADER, read_header


def good(tmp_path: Path) -> bytes:
    return save(tmp_path / "good.safetensors", checkpoint_shapes(2048, 2816), {"format": "pt"}).read_bytes()


def with_header(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + data


def entry(begin: int = 0, end: int = 4, shape: object = (2,), dtype: object = "F16") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


BROKEN = {
    "empty": (lambda whole: b"", "is empty"),
    "seven bytes": (lambda whole: whole[:7], "cut off in its header"),
    "half a header": (lambda whole: whole[:100], "cut off in its header"),
    "one byte short": (lambda whole: whole[:-1], "1 of .* bytes are missing"),
    "data cut": (lambda whole: whole[:-60], "60 of .* bytes are missing"),
    "tail added": (lambda whole: whole + b"12345", "5 bytes too many"),
    "zeros": (lambda whole: bytes(4096), "only zeros"),
    "web page": (lambda whole: b"<!DOCTYPE html><html>Log in</html>", "web page"),
    "git-lfs": (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "zip pickle": (lambda whole: b"PK\x03\x04" + bytes(100), "pickle"),
    "old pickle": (lambda whole: b"\x80\x02}q\x00" + bytes(100), "pickle"),
    "gguf": (lambda whole: b"GGUF" + bytes(100), "GGUF"),
    "huge length": (lambda whole: (MAX_HEADER + 1).to_bytes(8, "little") + whole, "not a safetensors"),
    "no json": (lambda whole: with_header(b"{nothing}" + b" " * 600), "damaged header"),
    "deep json": (lambda whole: with_header(b"[" * 100_000), "damaged header"),
    "a list": (lambda whole: with_header([1, 2]), "damaged header"),
    "metadata no table": (
        lambda whole: with_header({"__metadata__": [1]}),
        "metadata that is not a JSON object",
    ),
    "nothing inside": (lambda whole: with_header({}), "holds no weights"),
    "negative shape": (lambda whole: with_header({"a": entry(shape=(-2,))}, b"1234"), "damaged header"),
    "text shape": (lambda whole: with_header({"a": entry(shape="2")}, b"1234"), "damaged header"),
    "list dtype": (lambda whole: with_header({"a": entry(dtype=["F16"])}, b"1234"), "damaged header"),
    "wrong size": (lambda whole: with_header({"a": entry(shape=(3,))}, b"1234"), "damaged header"),
    "overlap": (lambda whole: with_header({"a": entry(), "b": entry(2, 6)}, b"123456"), "damaged header"),
    "gap": (lambda whole: with_header({"a": entry(), "b": entry(6, 10)}, b"1234567890"), "damaged header"),
    "no offsets": (lambda whole: with_header({"a": {"dtype": "F16", "shape": [2]}}, b"1234"), "damaged"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_each_kind_of_broken_file_has_its_sentence(tmp_path: Path, kind: str) -> None:
    make, words = BROKEN[kind]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(make(good(tmp_path)))
    with pytest.raises(ModelError, match=words) as caught:
        read_header(path)
    text = str(caught.value)
    assert text.startswith("broken.safetensors ") and text.endswith(".") and "\n" not in text


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")  # opening it would wait for ever
    with pytest.raises(ModelError, match="not a regular file"):
        read_header(tmp_path / "pipe.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        read_header(tmp_path / "gone.safetensors")


def test_names_shapes_and_metadata_are_read(tmp_path: Path) -> None:
    header = read_header(save(tmp_path / "a.safetensors", {"x": (3, 5), "v_pred": (0,)}, {"who": "me"}))
    assert header.tensors["x"].shape == (3, 5) and header.tensors["x"].dtype == "F16"
    assert header.tensors["v_pred"].shape == (0,)
    assert header.metadata == {"who": "me"}
    assert header.width("x") == 5 and header.width("y") is None


@given(st.binary(max_size=400), st.integers(0, 300))
def test_no_bytes_whatever_raise_anything_else(tmp_path_factory, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = with_header({"a": entry(), "b": entry(4, 8)}, b"12345678")
    path = folder / "noise.safetensors"
    for bytes_ in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        path.write_bytes(bytes_)
        try:
            read_header(path)
        except ModelError as error:
            assert str(error).endswith(".")


@pytest.mark.parametrize("length", [640, 896, 1152, 1408, 2**16 + 640, 0x04034B50])
def test_a_length_that_spells_another_formats_mark_is_still_a_length(tmp_path: Path, length: int) -> None:
    """80 02 to 80 05 begin pickles, 50 4B 03 04 zip files; headers of these lengths begin with them too."""
    text = json.dumps({"x": entry()}).encode()
    path = tmp_path / "sound.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + text.ljust(length) + b"1234")
    assert read_header(path).tensors["x"].shape == (2,)


def test_metadata_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(with_header({"__metadata__": {"step": 7, "who": "me"}, "x": entry()}, b"1234"))
    header = read_header(path)
    assert header.odd == ("step",) and header.metadata == {"who": "me"}
