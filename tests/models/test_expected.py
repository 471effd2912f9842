"""What a network consists of is told without making it: compared with the networks that are really made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webbduck_gradio.benchmarks.sdxl import UNET
from webbduck_gradio.models.probe import expected_tensors

SDXL_UNET: dict[str, Any] = UNET | {"in_channels": 4, "out_channels": 4, "layers_per_block": 2}
UNETS = {
    "base": SDXL_UNET,
    "refiner": SDXL_UNET
    | {
        "attention_head_dim": [6, 12, 24, 24],
        "block_out_channels": [384, 768, 1536, 1536],
        "cross_attention_dim": 1280,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "projection_class_embeddings_input_dim": 2560,
        "transformer_layers_per_block": [1, 4, 4, 4],
    },
    "projections as convolutions, one layer": SDXL_UNET
    | {"use_linear_projection": False, "layers_per_block": 1, "in_channels": 9},
    "layers and depths of their own": SDXL_UNET
    | {"layers_per_block": [1, 2, 3], "transformer_layers_per_block": 2, "attention_head_dim": 8},
}
VAES: dict[str, dict[str, Any]] = {
    "sdxl": {
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "in_channels": 3,
        "out_channels": 3,
    }
}
VAES["without attention"] = VAES["sdxl"] | {
    "mid_block_add_attention": False,
    "layers_per_block": 1,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def shapes_of(model: Any) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        if not name.endswith("position_ids")
    }


@pytest.mark.parametrize("kind", UNETS)
def test_unets(kind: str) -> None:
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel

    with init_empty_weights():
        made = UNet2DConditionModel(**UNETS[kind])
    assert expected_tensors.unet(UNETS[kind]) == shapes_of(made)


@pytest.mark.parametrize("kind", VAES)
def test_vaes(kind: str) -> None:
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKL

    with init_empty_weights():
        made = AutoencoderKL(**VAES[kind])
    assert expected_tensors.vae(VAES[kind]) == shapes_of(made)


def test_text_encoders() -> None:
    from accelerate import init_empty_weights
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
    config |= {"projection_dim": 80, "vocab_size": 49408}
    for kind, projection in ((CLIPTextModel, False), (CLIPTextModelWithProjection, True)):
        with init_empty_weights():
            made = shapes_of(kind(CLIPTextConfig(**config)))
        # Newer versions of transformers leave out the outer name.
        found = {
            name if name.startswith(("text_model.", "text_projection")) else f"text_model.{name}": shape
            for name, shape in made.items()
        }
        assert expected_tensors.clip(config, projection) == found


def test_the_starter_is_what_its_configuration_says(starter_checkpoints: Path) -> None:
    from webbduck_gradio.models.probe.safetensors_header import read_header

    folder = starter_checkpoints / "sdxl" / "webbduck-starter"
    for part, of in (("unet", expected_tensors.unet), ("vae", expected_tensors.vae)):
        config = json.loads((folder / part / "config.json").read_text())
        header = read_header(folder / part / "diffusion_pytorch_model.safetensors")
        assert {name: each.shape for name, each in header.tensors.items()} == of(config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block_out_channels": [320, 650, 1280]}, "650 cannot be normalised in 32 groups"),
        ({"block_out_channels": []}, "block_out_channels is not a list"),
        ({"layers_per_block": [2, 2]}, "layers_per_block has 2 numbers for 3 levels"),
        ({"layers_per_block": "2"}, "layers_per_block is '2' instead of a positive number"),
        ({"cross_attention_dim": 10**39}, "instead of a positive number"),
        ({"cross_attention_dim": [2048, 2048, 2048]}, "instead of a positive number"),
        ({"encoder_hid_dim_type": "text_proj"}, "encoder_hid_dim_type is 'text_proj', which SDXL does not"),
        ({"_class_name": "UNet3DConditionModel"}, "class_name is 'UNet3DConditionModel'"),
        ({"up_block_types": ["UpBlock2D"]}, "different lengths"),
        ({"mid_block_type": None}, "no middle block"),
    ],
)
def test_what_cannot_be_built_is_said(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(expected_tensors.UnbuildableError, match=words):
        expected_tensors.unet(SDXL_UNET | changes)
