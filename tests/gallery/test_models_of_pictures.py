"""The models of a picture are found by all the names and hashes that other programs write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_foreign import save_png
from test_reuse import Installed, Shelf

from webbduck_gradio.gallery.metadata.recall import read_settings, read_text

SHELF = Shelf(
    [Installed("painted/oak", "aaaaaaaaaa"), Installed("elm", "bbbbbbbbbb")],
    [Installed("pens/ink", "cccccccccccc"), Installed("a/wax"), Installed("b/wax")],
)


def read(
    prompt: str = "a duck", model: str = "elm", hash: str = "", loras: str = ""
) -> tuple[dict, list[str]]:
    more = (f", Model hash: {hash}" if hash else "") + (f', Lora hashes: "{loras}"' if loras else "")
    text = f"{prompt}\nSteps: 9, Sampler: Euler, CFG scale: 5, Seed: 3, Size: 64x64, Model: {model}{more}"
    return read_text(text, SHELF, SHELF)


@pytest.mark.parametrize(
    "model", ["oak", "painted\\oak.safetensors", "OAK", "oak.ckpt", "painted/oak [aaaaaaaaaa]"]
)
def test_checkpoints_by_other_ways_of_writing(model: str) -> None:
    values, notes = read(model=model)
    assert (values["base_model"], notes) == ("painted/oak", [])


@pytest.mark.parametrize(
    "tag", ["<lora:ink:0.5>", "<lora:pens\\Ink:0.5>", "<lyco:ink:0.5>", "<LoRA:INK.safetensors:0.5>"]
)
def test_loras_by_other_ways_of_writing(tag: str) -> None:
    values, notes = read(f"a duck {tag}")
    assert (values["prompt"], values["loras"], notes) == ("a duck", [{"name": "pens/ink", "weight": 0.5}], [])


def test_what_was_found_by_more_than_the_name_is_said() -> None:
    values, notes = read("a duck <lora:quill:1>", loras="quill: cccccccccccc")
    assert values["loras"] == [{"name": "pens/ink", "weight": 1.0}]
    assert notes == ["The LoRA quill is called pens/ink here (it is the same file)."]


def test_another_file_of_the_same_name() -> None:
    values, notes = read(model="elm", hash="aaaaaaaaaa")
    assert values["base_model"] == "painted/oak", "the file itself counts"
    assert notes == ["The checkpoint elm is called painted/oak here (it is the same file)."]
    values, notes = read(model="elm", hash="dddddddddd")
    assert values["base_model"] == "elm"
    assert notes == ["The checkpoint elm is another file here than the picture's (its hash differs)."]
    assert read(model="elm", hash="bbbbbbbbbb")[1] == []


def test_a_name_that_fits_several_is_not_guessed() -> None:
    values, notes = read("a duck <lora:wax:1>")
    assert values["loras"] == [] and notes == ["The LoRA wax may be a/wax or b/wax here and was left out."]


@pytest.mark.parametrize("path", ["b\\wax.safetensors", "b/wax", "B\\Wax.safetensors"])
def test_the_folder_decides_between_files_of_one_name(tmp_path: Path, path: str) -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "old\\oak.safetensors"}},
        "2": {"class_type": "LoraLoader", "inputs": {"lora_name": path, "strength_model": 0.5,
                                                     "strength_clip": 0.5, "model": ["1", 0],
                                                     "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a duck", "clip": ["2", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {"class_type": "KSampler", "inputs": {
            "seed": 3, "steps": 9, "cfg": 5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            "model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0], "latent_image": ["4", 0]}},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "x"}},
    }  # fmt: skip
    values, notes = read_settings(save_png(tmp_path / "x.png", {"prompt": json.dumps(graph)}), SHELF, SHELF)
    assert (values["base_model"], notes) == ("painted/oak", [])
    assert values["loras"] == [{"name": "b/wax", "weight": 0.5}]
    more = Shelf(SHELF.checkpoints(), [*SHELF.loras(), Installed("wax")])
    assert read_settings(tmp_path / "x.png", more, more)[0]["loras"] == [{"name": "b/wax", "weight": 0.5}]
