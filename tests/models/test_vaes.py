"""VAEs of their own: which layouts are read, and what others are told to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from model_files import SDXL, save
from running import wait_until

from webbduck_gradio.models.catalog.hashes import autov2
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.probe import expected_tensors, original_names
from webbduck_gradio.models.probe.single_file_config import VAE
from webbduck_gradio.models.scan import Folders
from webbduck_gradio.models.vaes import Vae, find_vaes
from webbduck_gradio.settings import Settings

CONFIG = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [32] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "out_channels": 3,
    "scaling_factor": 0.13025,
}
DIFFUSERS = expected_tensors.vae(CONFIG)
ORIGINAL = original_names.vae(DIFFUSERS, CONFIG)
OLD = {
    name.replace("to_out.0", "proj_attn").replace("to_q", "query"): each for name, each in DIFFUSERS.items()
}
OLD = {name.replace("to_k", "key").replace("to_v", "value"): each for name, each in OLD.items()}
PREFIXED = {VAE + name: each for name, each in ORIGINAL.items()}
FLUX = expected_tensors.vae(CONFIG | {"latent_channels": 16})
AS_CONVOLUTIONS = {
    name: (*each, 1, 1) if ".mid.attn_1." in name and len(each) == 2 else each
    for name, each in ORIGINAL.items()
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(
        checkpoints=tmp_path / "checkpoint",
        loras=tmp_path / "lora",
        outputs=tmp_path / "out",
        inputs=tmp_path / "in",
    )
    made.make_folders()
    return made


@pytest.fixture
def listed(settings: Settings) -> Callable[[], Vae]:
    """The only VAE there is."""

    def only() -> Vae:
        (vae,) = find_vaes(settings, Folders())
        return vae

    return only


@pytest.mark.parametrize(
    "shapes",
    [DIFFUSERS, OLD, ORIGINAL, PREFIXED, AS_CONVOLUTIONS],
    ids=["now", "old", "first", "whole", "1x1"],
)
def test_single_files_of_all_layouts_are_usable(shapes: dict, settings: Settings, listed) -> None:
    more = {"loss.discriminator.main.0.weight": (4,), "model_ema.num_updates": (1,)}
    path = save(settings.checkpoints / "vae" / "sub" / "fix.safetensors", shapes | more)
    vae = listed()
    assert (vae.name, vae.layout, vae.unusable) == ("sub/fix", "single_file", None)
    assert vae.size_bytes == path.stat().st_size


def folder_with(settings: Settings, config: dict, shapes: dict) -> Path:
    folder = settings.checkpoints / "vae" / "folder"
    save(folder / "diffusion_pytorch_model.fp16.safetensors", shapes)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_in_diffusers_layout_is_usable(settings: Settings, listed) -> None:
    folder_with(settings, CONFIG, DIFFUSERS)
    assert (listed().name, listed().layout, listed().unusable) == ("folder", "diffusers", None)


@pytest.mark.parametrize(
    "name, shapes, metadata, said",
    [
        ("flux", FLUX, None, "flux.safetensors is made for Flux or SD 3 (16 latent channels)"),
        ("vae-ft-mse-840000-ema-pruned", ORIGINAL, None, "made for SD 1.5"),
        ("x", ORIGINAL, {"modelspec.architecture": "stable-diffusion-v1/vae"}, "made for SD 1.5"),
        ("x", {"x": (2,)}, None, "is no VAE"),
        ("x", dict(list(ORIGINAL.items())[:-1]), None, "is incomplete: its VAE lacks"),
        ("x", ORIGINAL | {"decoder.more.weight": (4, 4)}, None, "which SDXL's VAE has not"),
        ("x", SDXL, None, "is a whole checkpoint"),
    ],
)
def test_others_are_called_what_they_are(
    name: str, shapes: dict, metadata: dict | None, said: str, settings: Settings, listed
) -> None:
    save(settings.checkpoints / "vae" / f"{name}.safetensors", shapes, metadata)
    reason = listed().unusable
    assert reason is not None and said in reason and reason.endswith(".")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"scaling_factor": 0.18215}, "folder is made for SD 1.5"),
        ({"shift_factor": 0.1159}, "shift_factor"),
        ({"_class_name": "AutoencoderTiny"}, "not an AutoencoderKL"),
        ({"block_out_channels": [32] * 3}, "do not cover 8 x 8 pixels"),
        ({"layers_per_block": 2}, "is incomplete"),
    ],
)
def test_other_folders_are_called_what_they_are(change: dict, said: str, settings: Settings, listed) -> None:
    folder_with(settings, CONFIG | change, DIFFUSERS)
    assert said in str(listed().unusable)


def test_its_hash_is_that_of_the_file_and_finds_it(settings: Settings) -> None:
    path = save(settings.checkpoints / "vae" / "fix.safetensors", ORIGINAL)
    folder_with(settings, CONFIG, DIFFUSERS)
    registry = Registry(settings)
    registry.hashes.start()
    try:
        wait_until(lambda: all(each.hash for each in registry.vaes()))
    finally:
        registry.hashes.stop()
    hashes = {each.name: each.hash for each in registry.vaes()}
    assert hashes["fix"] == autov2(path) and len(hashes["folder"] or "") == 10
    assert registry.known_hashes("x", (), "fix") == {"vae_hash": hashes["fix"]}
    found = registry.vae("FIX.safetensors")
    assert found is not None and found.name == "fix" and registry.vae("") is None
    assert replace(found, hash=None, hashes=()) in find_vaes(settings, Folders())
