"""Single-file checkpoints in the original layout: recognised by their header, loaded without any network."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy
import pytest
import torch
from making import store
from PIL import Image
from recorder import Recorder
from request_checks import validate

from webbduck_gradio.benchmarks import original_layout as original
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import ModelError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.lora_compatibility import checkpoint_modules
from webbduck_gradio.models.probe.safetensors_header import Header, Tensor
from webbduck_gradio.models.probe.single_file_config import configs
from webbduck_gradio.settings import Settings

ARCHITECTURES = {
    "base": ("sdxl", "epsilon", False),
    "inpaint": ("sdxl-inpaint", "epsilon", False),
    "refiner": ("sdxl-refiner", "epsilon", False),
    "v": ("sdxl", "v_prediction", False),
    "zsnr": ("sdxl", "v_prediction", True),
}


@pytest.fixture(scope="module")
def parts() -> dict[str, dict[str, torch.nn.Module]]:
    made = {kind: original.small(kind) for kind in ("base", "inpaint", "refiner")}
    return made | {"v": made["base"], "zsnr": made["base"]}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, parts) -> Settings:
    folder = tmp_path_factory.mktemp("files")
    settings = Settings(
        checkpoints=folder / "checkpoint", loras=folder / "lora", outputs=folder / "out", inputs=folder / "in"
    )
    settings.make_folders()
    for kind in ARCHITECTURES:
        original.write(settings.checkpoints / "sdxl" / f"{kind}.safetensors", kind, parts[kind])
    return settings


@pytest.fixture(scope="module")
def catalog(studio: Settings) -> Registry:
    return Registry(studio)


@pytest.fixture(scope="module")
def painter(catalog: Registry) -> ImageGenerator:
    return ImageGenerator("cpu", catalog, inputs=InputImageStore(catalog.settings))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError(f"the network was asked for {arguments}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def draw(catalog, painter):
    def make(base_model: str, **asked):
        quick = {"prompt": "a (red:1.2) duck", "seed": 1, "steps": 3, "width": 64, "height": 64}
        catalog.refresh()
        request = build_request(catalog, quick | {"scheduler": "Euler", "base_model": base_model} | asked)
        validate(catalog, request)
        (picture,) = painter.generate(request, catalog.checkpoint(base_model), Recorder())
        return numpy.asarray(picture.image).astype(int)

    return make


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_each_kind_is_recognised(catalog: Registry, kind: str) -> None:
    checkpoint = catalog.checkpoint(kind)
    assert (checkpoint.arch, checkpoint.prediction_type, checkpoint.zero_snr) == ARCHITECTURES[kind]
    assert checkpoint.layout == "single_file" and checkpoint.unusable is None
    assert checkpoint.native_size == 1024 and checkpoint.clip_layers == 3


def test_every_weight_arrives(painter, catalog, parts, no_network) -> None:
    for kind in ("base", "refiner", "inpaint"):
        pipe = painter.pipelines.get(catalog.checkpoint(kind), lambda text: None).pipe
        for name, part in parts[kind].items():
            expected, found = part.state_dict(), getattr(pipe, name).state_dict()
            assert {key for key in expected if "position_ids" not in key} <= set(found), (kind, name)
            for key, value in found.items():
                assert torch.equal(value, expected[key].half().float()), (kind, name, key)


def test_base_and_its_variants_draw(draw, no_network) -> None:
    base, v, zsnr = draw("base"), draw("v"), draw("zsnr")
    assert base.shape == (64, 64, 3)
    assert not numpy.array_equal(base, v) and not numpy.array_equal(v, zsnr)
    assert numpy.array_equal(draw("base"), base)


def test_the_refiner_goes_on(draw, no_network) -> None:
    assert not numpy.array_equal(draw("base", steps=6), draw("base", steps=6, second_pass_model="refiner"))


def test_the_inpainting_one_paints_and_keeps_the_rest(draw, studio, no_network) -> None:
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 48))
    drawn = draw("inpaint", image=store(studio, image), mask=store(studio, mask), mask_blur=0, strength=1.0)
    outside = numpy.asarray(mask) == 0
    assert (drawn[outside] == numpy.asarray(image)[outside]).all()
    assert (drawn[~outside] != numpy.asarray(image)[~outside]).any(axis=-1).mean() > 0.9


def test_the_owner_may_say_what_no_header_tells(draw, studio, catalog, no_network) -> None:
    """A v-prediction file without its marks, as many are."""
    folder = studio.checkpoints / "sdxl"
    (folder / "unmarked.safetensors").hardlink_to(folder / "base.safetensors")
    (folder / "models.json").write_text('{"unmarked": {"prediction_type": "v_prediction"}}')
    assert numpy.array_equal(draw("unmarked"), draw("v"))
    (folder / "models.json").write_text('{"unmarked": {"prediction_type": "x"}}')
    assert numpy.array_equal(draw("unmarked"), draw("base"))
    assert any("prediction_type must be epsilon or v_prediction" in each for each in catalog.problems)


@pytest.mark.parametrize("kind", ["base", "refiner"])
def test_every_modules_name_and_size_is_told_by_the_header(catalog, parts, kind: str) -> None:
    """What LoRAs are compared with: the modules that diffusers really makes of the file."""
    expected = {}
    for part, mark in (("unet", ""), ("text_encoder", "te1_"), ("text_encoder_2", "te2_")):
        for name, module in parts[kind][part].named_modules() if part in parts[kind] else ():
            weight = getattr(module, "weight", None)
            if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                sizes = tuple(weight.shape[:2]) if weight[0, 0].numel() == 1 else tuple(weight.shape)
                expected[mark + name.removeprefix("text_model.").replace(".", "_")] = sizes
            elif isinstance(module, (torch.nn.GroupNorm, torch.nn.LayerNorm)):
                expected[mark + name.removeprefix("text_model.").replace(".", "_")] = tuple(weight.shape)
    found = checkpoint_modules(catalog.checkpoint(kind).path, 2)
    assert {name: found.get(name) for name in expected} == expected


def test_a_locon_in_the_original_numbering_is_applied_whole(studio, parts, draw, no_network) -> None:
    """Convolutions, time embeddings and both text encoders, as kohya's trainer names them."""
    from safetensors.torch import save_file

    generator, tensors = torch.Generator().manual_seed(0), {}
    keys = [
        (key.removeprefix("model.diffusion_model."), each)
        for key, each in original.unet(parts["base"]["unet"]).items()
        if key.endswith(".weight") and each.ndim > 1
    ]
    names = [
        ("lora_unet_" + key.removesuffix(".weight").replace(".", "_"), each)
        for key, each in keys
        if ".transformer_blocks." in key or "_layers." in key or ".op." in key
    ]
    for which, part in (("te1", "text_encoder"), ("te2", "text_encoder_2")):
        for name, module in parts["base"][part].named_modules():
            if name.endswith(("_proj", "fc1")) and name != "text_projection":
                flat = name.removeprefix("text_model.").replace(".", "_")
                names.append((f"lora_{which}_text_model_{flat}", module.weight))
    for name, weight in names:
        tensors[name + ".lora_down.weight"] = torch.randn(2, *weight.shape[1:], generator=generator) * 0.1
        ends = (1,) * (weight.ndim - 2)
        tensors[name + ".lora_up.weight"] = torch.randn(weight.shape[0], 2, *ends, generator=generator) * 0.1
        tensors[name + ".alpha"] = torch.tensor(2.0)
    save_file(tensors, studio.loras / "locon.safetensors")
    other = {key.replace("input_blocks_1_", "input_blocks_99_"): each for key, each in tensors.items()}
    save_file(other, studio.loras / "elsewhere.safetensors")
    plain = draw("base")
    assert not numpy.array_equal(draw("base", loras=[{"name": "locon"}]), plain)
    with pytest.raises(ModelError, match=r"elsewhere does not fit base: \d+ of its \d+ parts have no"):
        draw("base", loras=[{"name": "elsewhere"}])
    assert numpy.array_equal(draw("base"), plain)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("conditioner.embedders.0.", "has no first text encoder"),
        ("conditioner.embedders.1.", "has no second text encoder"),
        ("conditioner.", "has no first text encoder and no second text encoder"),
        (("conditioner.", "first_stage_model."), "has no VAE and no first .* and no second text encoder"),
    ],
)
def test_incomplete_files_say_what_is_missing(
    tmp_path: Path, catalog, prefix: str | tuple[str, ...], words: str
) -> None:
    from safetensors.torch import load_file, save_file

    from webbduck_gradio.models.probe.checkpoint import inspect_file

    tensors = load_file(catalog.checkpoint("base").path)
    path = tmp_path / "part.safetensors"
    save_file({key: value for key, value in tensors.items() if not key.startswith(prefix)}, path)
    with pytest.raises(ModelError, match=f"part.safetensors {words}; get the complete file"):
        inspect_file(path)


def header_of(**more: tuple[int, ...]) -> Header:
    return Header({key: Tensor("F16", shape) for key, shape in more.items()})


FULL_UNET = {
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
    "layers_per_block": 2,
}
REFINER_UNET = FULL_UNET | {
    "attention_head_dim": [6, 12, 24, 24],
    "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": [1, 4, 4, 4],
}
FULL_VAE = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "scaling_factor": 0.13025}
FULL_CLIP = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
FULL_OPEN_CLIP = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}


@pytest.mark.parametrize(("kind", "unet"), [("base", FULL_UNET), ("refiner", REFINER_UNET)])
def test_full_size_shapes_give_the_published_configurations(kind: str, unet: dict) -> None:
    """Weightless full-size models, renamed: what is read off their shapes is what they were made of."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    refiner = kind == "refiner"
    with init_empty_weights():
        tensors = original.unet(UNet2DConditionModel(addition_embed_type="text_time", **unet))
        tensors |= original.vae(
            AutoencoderKL(
                down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4,
                latent_channels=4,
                **FULL_VAE,
            )
        )
        second = CLIPTextModelWithProjection(CLIPTextConfig(**FULL_OPEN_CLIP))
        tensors |= original.open_clip(second, f"conditioner.embedders.{0 if refiner else 1}.")
        if not refiner:
            tensors |= original.clip(CLIPTextModel(CLIPTextConfig(**FULL_CLIP)), "conditioner.embedders.0.")
    header = header_of(**{key: tuple(value.shape) for key, value in tensors.items()})
    found = configs("full", header, "sdxl-refiner" if refiner else "sdxl", "epsilon", False)
    assert {key: found["unet"][key] for key in unet} == unet
    assert {key: found["vae"][key] for key in FULL_VAE} == FULL_VAE and found["vae"]["force_upcast"]
    assert {key: found["text_encoder_2"][key] for key in FULL_OPEN_CLIP} == FULL_OPEN_CLIP
    if refiner:
        assert "text_encoder" not in found and found["model_index"]["requires_aesthetics_score"]
    else:
        assert {key: found["text_encoder"][key] for key in FULL_CLIP} == FULL_CLIP
