"""What the catalog tells of a file's kind: defaults of checkpoints, kinds and architectures of LoRAs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from model_files import SDXL, kohya, save

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.probe.lora import training_metadata
from webbduck_gradio.settings import Settings

# -- what is suggested ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, (30, 6.0, 1024, 1024, "DPM++ 2M Karras")),
        ({"modelspec.resolution": "768x1152"}, (30, 6.0, 768, 1152, "DPM++ 2M Karras")),
        (
            {"modelspec.usage_hint": "Use 8 steps, CFG 1.5 and DPM++ SDE Karras."},
            (8, 1.5, 1024, 1024, "DPM++ SDE Karras"),
        ),
        ({"modelspec.usage_hint": "9999 steps"}, (30, 6.0, 1024, 1024, "DPM++ 2M Karras")),
        ({"modelspec.prediction_type": "v"}, (28, 5.0, 1024, 1024, "Euler")),
        ({"webbduck.defaults": '{"steps": 12}'}, (12, 6.0, 1024, 1024, "DPM++ 2M Karras")),
        ({"webbduck.defaults": "[[["}, (30, 6.0, 1024, 1024, "DPM++ 2M Karras")),
    ],
)
def test_defaults_by_architecture_and_metadata(settings: Settings, metadata: dict, expected: tuple) -> None:
    save(settings.checkpoints / "sdxl" / "a.safetensors", SDXL, metadata)
    assert dataclasses.astuple(Registry(settings).checkpoint("a").defaults)[:6] == (*expected, "")


def test_a_folders_scheduler_is_its_suggestion(settings: Settings) -> None:
    folder = settings.checkpoints / "sdxl" / "sd15"
    (folder / "unet").mkdir(parents=True)
    (folder / "scheduler").mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (folder / "unet" / "config.json").write_text('{"cross_attention_dim": 768, "sample_size": 64}')
    said = {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(said))
    (found,) = (each for each in Registry(settings).checkpoints() if each.name == "sd15")
    assert found.defaults.scheduler == "DPM++ 2M Karras" and found.native_size == 512
    assert found.unusable and "Stable Diffusion 1" in found.unusable


# -- kinds of LoRAs ------------------------------------------------------------------------------------

PLACE = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
KINDS = {
    "LoRA": {f"{PLACE}.lora_down.weight": (4, 2048), f"{PLACE}.lora_up.weight": (8, 4)},
    "LoCon": kohya(2048)
    | {
        "lora_unet_input_blocks_1_0_in_layers_2.lora_down.weight": (4, 8, 3, 3),
        "lora_unet_input_blocks_1_0_in_layers_2.lora_up.weight": (8, 4, 1, 1),
    },
    "LoHa": {f"{PLACE}.hada_w{n}_a": (8, 4) for n in (1, 2)}
    | {f"{PLACE}.hada_w{n}_b": (4, 2048) for n in (1, 2)},
    "LoKr": {f"{PLACE}.lokr_w1": (4, 4), f"{PLACE}.lokr_w2": (2, 512)},
    "IA3": {f"{PLACE}.weight": (2048,), f"{PLACE}.on_input": ()},
    "DoRA": kohya(2048) | {f"{PLACE}.dora_scale": (8, 1)},
    "OFT": {f"{PLACE}.oft_blocks": (2, 4, 4)},
    "full difference": {f"{PLACE}.diff": (8, 2048)},
    "BOFT": {f"{PLACE}.oft_blocks": (2, 4, 2, 2)},
    "GLoRA": {
        f"{PLACE}.{name}.weight": shape
        for name, shape in {"a1": (2048, 4), "a2": (4, 2048), "b1": (8, 4), "b2": (4, 2048)}.items()
    },
    "LoRA with normalisation layers": kohya(2048)
    | {f"lora_unet_input_blocks_1_0_in_layers_0.{name}_norm": (8,) for name in "wb"},
    "CP-LoCon": {
        f"{PLACE}.lora_down.weight": (4, 2048, 1, 1),
        f"{PLACE}.lora_mid.weight": (4, 4, 3, 3),
        f"{PLACE}.lora_up.weight": (8, 4, 1, 1),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognised(settings: Settings, kind: str) -> None:
    save(settings.loras / "a.safetensors", KINDS[kind], {"ss_base_model_version": "sdxl_base_v1-0"})
    (lora,) = Registry(settings).loras()
    assert (lora.kind, lora.arch, lora.unusable) == (kind, "sdxl", None)
    if kind in ("LoHa", "LoKr", "GLoRA", "full difference", "DoRA"):  # whose shapes tell it
        assert lora.context == 2048


@pytest.mark.parametrize(
    ("shapes", "metadata", "arch"),
    [
        (KINDS["LoRA"], {}, "sdxl"),  # of the UNet only, by its width
        ({"lora_te2_text_model_x.lora_down.weight": (4, 8)}, {}, "sdxl"),
        ({f"{PLACE.replace('blocks_0', 'blocks_9')}_x.lora_down.weight": (4, 8)}, {}, "sdxl"),
        (kohya(768), {"ss_base_model_version": "sdxl_base_v1-0"}, "sd1"),  # the shapes know better
        ({"lora_unet_x.lora_down.weight": (4, 8)}, {"ss_v2": "True"}, "sd2"),
        (
            {"lora_unet_x.lora_down.weight": (4, 8)},
            {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
            "sdxl",
        ),
        ({"lora_unet_double_blocks_0_img.lora_down.weight": (4, 8)}, {}, "flux"),
        ({"lora_unet_x.lora_down.weight": (4, 8)}, {}, "unknown"),
    ],
)
def test_architectures(settings: Settings, shapes: dict, metadata: dict, arch: str) -> None:
    save(settings.loras / "a.safetensors", shapes, metadata)
    assert Registry(settings).loras()[0].arch == arch


def test_all_that_a_file_says(tmp_path: Path) -> None:
    tags = {"1_a": {"duck": 3, "pond": 9}, "2_b": {" duck ": 8, "": 1}}
    metadata = {
        "ss_network_dim": "16",
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_tag_frequency": json.dumps(tags),
        "modelspec.thumbnail": "data:image/png;base64,AAAA",
        "own": "<b>x</b>",
    }
    said = training_metadata(save(tmp_path / "a.safetensors", kohya(2048), metadata))
    assert said["tags"] == [("duck", 11), ("pond", 9)] and said["rank"] == 4
    assert said["facts"] == {"Base": "sdxl_base_v1-0", "Rank": "16"}
    assert said["metadata"]["own"] == "<b>x</b>" and "modelspec.thumbnail" not in said["metadata"]


def test_files_that_share_their_layout_are_told_apart(settings: Settings) -> None:
    """The tensors' part of a header is understood once; sizes and metadata belong to each file."""
    first = save(settings.loras / "a.safetensors", kohya(2048), {"modelspec.trigger_phrase": "one"})
    save(settings.loras / "b.safetensors", kohya(2048), {"modelspec.trigger_phrase": "two"})
    (settings.loras / "c.safetensors").write_bytes(first.read_bytes()[:-1])
    registry = Registry(settings)
    assert (registry.lora("a").trigger, registry.lora("b").trigger) == ("one", "two")
    with pytest.raises(ModelError, match=r"1 of .* bytes are missing"):
        registry.lora("c")
