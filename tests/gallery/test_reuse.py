"""Any picture's settings as values of the form, and what of them could not be matched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from gallery_helpers import picture, request
from test_foreign import A1111, EXPECTED, FOOOCUS, NAMES, OLD_A1111, PROMPT, SAMPLES, save_exif, save_png

from webbduck_gradio.errors import NotFoundError, StorageError
from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata.recall import RESET_VALUES, read_settings, read_text
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.style_book import StyleBook
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings

INPUT = "a" * 64 + ".png"


@dataclass(frozen=True)
class Installed:
    name: str
    hash: str | None = None


class Shelf:
    """A catalog of names and hashes, with no files behind them."""

    def __init__(self, checkpoints: list[Installed], loras: list[Installed], inputs: set[str] = frozenset()):
        self._checkpoints, self._loras, self._inputs = checkpoints, loras, inputs

    def checkpoints(self) -> list[Installed]:
        return self._checkpoints

    def loras(self) -> list[Installed]:
        return self._loras

    styles = StyleBook(Path("no such folder/styles.csv"))

    def upscalers(self) -> list[Installed]:
        return []

    def embeddings(self) -> list[Installed]:
        return []

    def detectors(self) -> list[Installed]:
        return []

    def vaes(self) -> list[Installed]:
        return []

    def path(self, file_id: str) -> Path:
        if file_id not in self._inputs:
            raise NotFoundError("The input picture is no longer there; choose it again.")
        return Path(file_id)


ALL = Shelf([Installed("sd_xl_base_1.0"), Installed("juggernautXL_v8Rundiffusion"), Installed("juggernautXL"),
             Installed("sdxl-old")],
            [Installed("party-hat"), Installed("sd_xl_offset_example-lora_1.0")])  # fmt: skip


@pytest.mark.parametrize(("tool", "texts", "expected"), SAMPLES, ids=NAMES)
def test_every_tools_picture_fills_the_form(tmp_path: Path, tool: str, texts: dict, expected: dict):
    values, notes = read_settings(save_png(tmp_path / "x.png", texts), ALL, ALL)
    for key, value in expected.items():
        assert values[key] == ([] if key == "loras" and value is None else value)
    assert set(RESET_VALUES) <= set(values), "nothing of the form before stays"
    # The form can be sent as it is.
    asked = {**values, "image": INPUT} if "strength" in values else values
    GenerationRequest.validated(**{"base_model": "any", **asked})
    if tool in ("invokeai", "comfyui", "swarmui"):
        assert notes == []


def test_the_starters_own_picture_with_the_real_catalog(settings: Settings, tmp_path: Path):
    asked = request(prompt="a red duck", num_images=3, steps=7, negative_prompt="hat")
    picture().save(tmp_path / "x.png", pnginfo=metadata.png_info(metadata.build_chunk(asked, 2)))
    values, notes = read_settings(tmp_path / "x.png", Registry(settings), InputImageStore(settings))
    assert notes == []
    # It names no embedding, in a version that did not list them in the request.
    expected = asked.for_single_image(2).model_copy(update={"embeddings": ()})
    assert GenerationRequest.validated(**values) == expected


def test_a_renamed_checkpoint_and_lora_are_found_by_their_hashes(tmp_path: Path):
    path = save_png(tmp_path / "x.png", {"parameters": A1111})
    shelf = Shelf([Installed("mine", "31e35c80fc4829d1")], [Installed("hats", "0123456789ab")])
    values, notes = read_settings(path, shelf, shelf)
    assert values["base_model"] == "mine" and values["loras"] == [{"name": "hats", "weight": 0.8}]
    assert "The checkpoint sd_xl_base_1.0 is called mine here (it is the same file)." in notes
    assert "The LoRA party-hat is called hats here (it is the same file)." in notes


def test_what_is_not_there_is_named(tmp_path: Path):
    values, notes = read_settings(save_png(tmp_path / "x.png", {"parameters": A1111}), Shelf([], []), ALL)
    assert "base_model" not in values and values["loras"] == []
    assert "The checkpoint sd_xl_base_1.0 is not installed; the chosen one stays." in notes
    assert "The LoRA party-hat is not installed and was left out." in notes
    assert any("made from another picture" in note for note in notes)


@pytest.mark.parametrize(("hash", "name"), [("31e35c80fcff", "mine"), ("0000000000", None)])
def test_a_hash_without_a_name(tmp_path: Path, hash: str, name: str | None):
    path = save_png(tmp_path / "x.png", {"parameters": OLD_A1111})
    values, notes = read_settings(path, Shelf([Installed("mine", hash)], []), ALL)
    assert values.get("base_model") == name
    said = "The checkpoint with the hash 31e35c80fc is not installed; the chosen one stays."
    assert (said in notes) == (name is None)


def test_what_has_no_counterpart_is_named(tmp_path: Path):
    text = (
        f"{PROMPT}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64, Denoising strength: 0.4, "
        'Hires upscale: 2, Hires upscaler: 4x-Nobody, ControlNet 0: "Module: canny, Weight: 1", VAE: x.vae'
    )
    values, notes = read_settings(save_png(tmp_path / "x.png", {"parameters": text}), ALL, ALL)
    assert "strength" not in values and values["seed"] == 5
    assert (values["hires_scale"], values["hires_strength"]) == (2, 0.4)
    assert "The upscaler 4x-Nobody is not installed; the chosen one stays." in notes
    (note,) = [note for note in notes if note.startswith("Not taken over")]
    assert "ControlNet 0 Module: canny" in note
    assert "The VAE x.vae is not installed; the chosen one stays." in notes


def test_fooocus_styles_are_named(tmp_path: Path):
    _, notes = read_settings(save_png(tmp_path / "x.png", {"parameters": json.dumps(FOOOCUS)}), ALL, ALL)
    assert notes == ["Not taken over, since there is nothing like it here: styles ['Fooocus V2']."]


def test_our_second_pass_comes_back_from_the_text_alone():
    asked = request(second_pass_model="sd_xl_base_1.0", second_pass_mode="img2img", second_pass_steps=9)
    text = metadata.parameters_of(metadata.build_chunk(asked, 0, facts={"second_pass": "img2img"}))
    values, _ = read_text(text, ALL, ALL)
    assert {key: values[key] for key in ("second_pass_model", "second_pass_mode", "second_pass_steps",
                                         "refinement_strength", "seed")} == {
        "second_pass_model": "sd_xl_base_1.0", "second_pass_mode": "img2img", "second_pass_steps": 9,
        "refinement_strength": 0.3, "seed": 7}  # fmt: skip


def test_a_pasted_text():
    values, _ = read_text(A1111, ALL, ALL)
    assert {key: values[key] for key in EXPECTED} == EXPECTED
    assert read_text("just a prompt, nothing else", ALL, ALL) == (
        {},
        ["The text holds no settings that can be read."],
    )
    assert read_text("", ALL, ALL)[0] == {}


@pytest.mark.parametrize("there", [True, False])
def test_input_pictures_of_our_own(tmp_path: Path, settings: Settings, there: bool):
    path = tmp_path / "input.png"
    picture().save(path)
    file_id = InputImageStore(settings).store(path) if there else INPUT
    asked = request(image=file_id, mask=file_id, strength=0.5)
    picture().save(tmp_path / "x.png", pnginfo=metadata.png_info(metadata.build_chunk(asked, 0)))
    values, notes = read_settings(tmp_path / "x.png", Registry(settings), InputImageStore(settings))
    assert (values["image"], values["mask"]) == ((file_id, file_id) if there else (None, None))
    assert values["strength"] == 0.5
    assert notes == ([] if there else ["The picture's input picture is no longer there; choose it again."])


def test_pictures_that_tell_nothing(tmp_path: Path):
    picture().save(tmp_path / "x.png")
    assert read_settings(tmp_path / "x.png", ALL, ALL) == (
        {},
        ["The picture says nothing about how it was made."],
    )
    (tmp_path / "y.png").write_bytes(b"")
    with pytest.raises(StorageError, match="not a readable picture"):
        read_settings(tmp_path / "y.png", ALL, ALL)


def test_every_format(tmp_path: Path):
    for ending in ("jpg", "webp"):
        path = save_exif(tmp_path / f"x.{ending}", b"UNICODE\0" + A1111.encode("utf-16-be"))
        values, _ = read_settings(path, ALL, ALL)
        assert {key: values[key] for key in EXPECTED} == EXPECTED
    assert json.dumps(values), "values are JSON"
