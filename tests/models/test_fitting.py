"""Names of LoRA parts against names of checkpoint parts, in every pair of layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_files import UNET, save

from webbduck_gradio.models.lora_compatibility import diffusers_name, unmatched_modules

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
        assert unmatched_modules(fits, checkpoint) == ([], 5)
        missing, parts = unmatched_modules(misses, checkpoint)
        assert (len(missing), parts) == (5, 5) and all("blocks" in each for each in missing)


def test_parts_of_another_size_do_not_fit(tmp_path: Path, file: Path, folder: Path) -> None:
    ours = PLACES[0][0].replace(".", "_")
    shapes = {f"lora_unet_{ours}.lora_down.weight": (4, 3), f"lora_unet_{ours}.lora_up.weight": (2, 4)}
    lora = save(tmp_path / "wide.safetensors", shapes)
    assert unmatched_modules(lora, file) == unmatched_modules(lora, folder) == ([f"lora_unet_{ours}"], 1)


def test_a_bias_needs_one_in_the_checkpoint(tmp_path: Path, folder: Path) -> None:
    (with_bias, there), (without, _) = PLACES[:2]
    shapes = {f"{UNET}{ours}.weight": (2, 2) for ours, _ in PLACES}
    file = save(tmp_path / "c.safetensors", {**shapes, f"{UNET}{with_bias}.bias": (2,)})
    unet = {f"{theirs}.weight": (2, 2) for _, theirs in PLACES}
    save(folder / "unet" / "diffusion_pytorch_model.safetensors", {**unet, f"{there}.bias": (2,)})
    sound, lone = (f"lora_unet_{each.replace('.', '_')}" for each in (with_bias, without))
    both = {"diff": (2, 2), "diff_b": (2,)}
    changes = {f"{name}.{role}": shape for name in (sound, lone) for role, shape in both.items()}
    lora = save(tmp_path / "biases.safetensors", changes)
    assert unmatched_modules(lora, file) == unmatched_modules(lora, folder) == ([lone], 2)


# (original numbering, diffusers' names) beside attention
OTHERS = [
    ("input_blocks_0_0", "conv_in"),
    ("input_blocks_1_0_in_layers_2", "down_blocks_0_resnets_0_conv1"),
    ("input_blocks_3_0_op", "down_blocks_0_downsamplers_0_conv"),
    ("input_blocks_8_0_skip_connection", "down_blocks_2_resnets_1_conv_shortcut"),
    ("input_blocks_8_1_proj_in", "down_blocks_2_attentions_1_proj_in"),
    ("middle_block_0_emb_layers_1", "mid_block_resnets_0_time_emb_proj"),
    ("middle_block_2_out_layers_3", "mid_block_resnets_1_conv2"),
    ("output_blocks_2_2_conv", "up_blocks_0_upsamplers_0_conv"),
    ("output_blocks_8_0_in_layers_2", "up_blocks_2_resnets_2_conv1"),
    ("time_embed_2", "time_embedding_linear_2"),
    ("label_emb_0_0", "add_embedding_linear_1"),
]


@pytest.mark.parametrize(("original", "theirs"), OTHERS)
def test_the_names_of_all_other_parts(original: str, theirs: str) -> None:
    assert diffusers_name(original, 2) == theirs == diffusers_name(theirs, 2)
