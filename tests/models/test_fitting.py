"""Names of LoRA parts against names of checkpoint parts, in every pair of layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_files import UNET, save

from webbduck_gradio.models.fitting import diffusers_name, missing_parts

BLOCK = "transformer_blocks.0.attn1.to_q"
# (original numbering, diffusers' names) of the same places in SDXL
PLACES = [
    (f"input_blocks.4.1.{BLOCK}", f"down_blocks.1.attentions.0.{BLOCK}"),
    (f"input_blocks.8.1.{BLOCK}", f"down_blocks.2.attentions.1.{BLOCK}"),
    (f"middle_block.1.{BLOCK}", f"mid_block.attentions.0.{BLOCK}"),
    (f"output_blocks.0.1.{BLOCK}", f"up_blocks.0.attentions.0.{BLOCK}"),
    (f"output_blocks.5.1.{BLOCK}", f"up_blocks.1.attentions.2.{BLOCK}"),
]


@pytest.mark.parametrize(("original", "theirs"), PLACES)
def test_the_numbering_of_blocks(original: str, theirs: str) -> None:
    flat = original.replace(".", "_")
    assert diffusers_name(flat, 2) == theirs.replace(".", "_")
    assert diffusers_name(theirs.replace(".", "_"), 2) == theirs.replace(".", "_")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "a.safetensors", {f"{UNET}{ours}.weight": (2, 2) for ours, _ in PLACES})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "b"
    shapes = {f"{theirs}.weight": (2, 2) for _, theirs in PLACES}
    save(path / "unet" / "diffusion_pytorch_model.safetensors", shapes)
    (path / "unet" / "config.json").write_text('{"layers_per_block": 2}')
    return path


LAYOUTS = {
    "kohya, original numbering": lambda ours, theirs: f"lora_unet_{ours.replace('.', '_')}.lora_down.weight",
    "kohya, diffusers' names": lambda ours, theirs: f"lora_unet_{theirs.replace('.', '_')}.lora_down.weight",
    "peft": lambda ours, theirs: f"unet.{theirs}.lora_A.weight",
    "old diffusers": lambda ours, theirs: f"unet.{theirs}.lora.down.weight",
    "older diffusers": lambda ours, theirs: (
        "unet." + theirs.replace("attn1.to_q", "attn1.processor.to_q_lora.down.weight")
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_fits_and_what_does_not(tmp_path: Path, file: Path, folder: Path, layout: str) -> None:
    name = LAYOUTS[layout]
    fits = save(tmp_path / "fits.safetensors", {name(*place): (2, 2) for place in PLACES})
    misses = save(
        tmp_path / "misses.safetensors",
        {
            name(*(each.replace("blocks.0.attn", "blocks.9.attn") for each in place)): (2, 2)
            for place in PLACES
        },
    )
    for checkpoint in (file, folder):
        assert missing_parts(fits, checkpoint) == (0, 5)
        assert missing_parts(misses, checkpoint) == (5, 5)
