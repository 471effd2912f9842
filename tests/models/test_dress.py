"""The forms that checkpoints come in, told by their headers: what is loaded, what is left out and said so,
and what is refused with one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from model_files import SDXL, UNET, save, whole_sdxl

from webbduck_gradio.errors import ModelError, RequestError
from webbduck_gradio.models.admission import build_request, validate_request
from webbduck_gradio.models.catalog.registry import STARTER, Registry
from webbduck_gradio.models.probe import dress
from webbduck_gradio.models.probe.checkpoint import CheckpointInfo, inspect_file, inspect_folder
from webbduck_gradio.models.probe.safetensors_header import Tensor
from webbduck_gradio.models.scan import candidates
from webbduck_gradio.settings import Settings

VAE, TEXT = "first_stage_model.", "conditioner."
EMA = {"model_ema." + key.removeprefix("model.").replace(".", ""): shape for key, shape in SDXL.items()}
EMA = {key: shape for key, shape in EMA.items() if key.startswith("model_ema.diffusion_model")}
NO_VAE = {key: shape for key, shape in SDXL.items() if not key.startswith(VAE)}


def read(tmp_path: Path, shapes: dict, dtypes: dict | None = None) -> CheckpointInfo:
    return inspect_file(save(tmp_path / "a.safetensors", shapes, None, dtypes))


def of(prefix: str, dtype: str) -> dict[str, str]:
    return dict.fromkeys((key for key in SDXL if key.startswith(prefix)), dtype)


@pytest.mark.parametrize(
    ("more", "dtypes", "phrases"),
    [
        ({}, {}, ("float16",)),
        ({}, of("", "BF16"), ("bfloat16",)),
        ({}, of(VAE, "F32"), ("UNet, first text encoder and second text encoder: float16; VAE: float32",)),
        (
            {},
            {key: "F8_E4M3" for key, shape in SDXL.items() if len(shape) > 1},
            ("float8 (e4m3) and float16",),
        ),
        (
            {UNET + "out.2.scale_weight": ()},
            {UNET + "out.2.weight": "F8_E4M3", UNET + "out.2.scale_weight": "F32"},
            (
                "UNet: float16 and float8 (e4m3); VAE, first text encoder and second text encoder: float16, "
                "with scales",
            ),
        ),
        (EMA, {}, ("float16", f"EMA weights left out ({len(EMA):,} tensors)")),
        ({"global_step": ()}, {}, ("float16", "training state left out (1 tensor)")),
        (
            {
                "cond_stage_model.transformer.text_model.final_layer_norm.weight": (768,),
                "cond_stage_model.logit_scale": (),
                "embedding_manager.string_to_param_dict.x": (4, 8),
                "lora_unet_mid_block_attentions_0_proj_in.alpha": (),
                "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 64),
            },
            {},
            ("float16", "tensors of other models left out (5 tensors)"),
        ),
        (
            {"denoiser.sigmas": (1000,), "alphas_cumprod": (1000,)},
            {},
            ("float16", "buffers left out (2 tensors)"),
        ),
        ({"v_pred": (0,), "ztsnr": (0,)}, {}, ("float16",)),
    ],
)  # fmt: skip
def test_what_a_file_is_made_of(tmp_path: Path, more: dict, dtypes: dict, phrases: tuple[str, ...]) -> None:
    found = read(tmp_path, SDXL | more, dtypes)
    assert (found.dress, found.notes, found.has_vae) == (phrases, (), True)


def test_formats_are_told_by_the_numbers_they_hold() -> None:
    few, many = Tensor("F32", (2,)), Tensor("F8_E5M2", (8, 8))
    assert (
        dress.formats({"UNet": [few, many], "VAE": [few]}) == "UNet: float8 (e5m2) and float32; VAE: float32"
    )


CUT = {
    "ssd-1b": ([1, [2, 2], [4, 4]], [[4, 4, 10], [2, 1, 1], 1]),
    "vega": ([1, [1, 1], [2, 2]], [[2, 2, 2], [1, 1, 1], 1]),
}


def cut(arch: str) -> dict[str, Any]:
    down, up = CUT[arch]
    return {
        "transformer_layers_per_block": down,
        "reverse_transformer_layers_per_block": up,
        "mid_block_type": "UNetMidBlock2D",
    }


@pytest.mark.parametrize("arch", CUT)
def test_distilled_unets_are_whole_with_fewer_blocks(tmp_path: Path, arch: str) -> None:
    shapes = whole_sdxl(**cut(arch))
    assert not any(key.startswith(UNET + "middle_block.1.") for key in shapes)
    assert read(tmp_path, shapes).arch == arch
    gone = next(key for key in shapes if "output_blocks.2.1.transformer_blocks.1.attn1.to_q" in key)
    with pytest.raises(ModelError, match=f"its UNet lacks {gone}"):
        read(tmp_path, {key: shape for key, shape in shapes.items() if key != gone})


def test_a_unet_that_takes_cfg(tmp_path: Path) -> None:
    key = UNET + "time_embed.cond_proj.weight"
    assert read(tmp_path, SDXL | {key: (32, 256)}).arch == "sdxl-lcm"
    with pytest.raises(ModelError, match=r"cond_proj.weight is 16 x 256 instead of 32 x 256"):
        read(tmp_path, SDXL | {key: (16, 256)})


BARE = {key.removeprefix(UNET): shape for key, shape in SDXL.items() if key.startswith(UNET)}
ONLY = {
    "a UNet of ComfyUI": (BARE, "holds only a UNet, without text encoders"),
    "a UNet of diffusers": ({"down_blocks.0.resnets.0.conv1.weight": (2, 2)}, "holds only a UNet"),
    "a whole one of diffusers": ({"unet.down_blocks.0.resnets.0.conv1.weight": (2, 2)}, "diffusers’ names"),
    "a UNet under its full name": (
        {key: shape for key, shape in SDXL.items() if key.startswith(UNET)},
        "has no VAE and no first text encoder and no second text encoder; get the complete file",
    ),
    "without text encoders": (
        {key: shape for key, shape in SDXL.items() if not key.startswith(TEXT)},
        "has no first text encoder and no second text encoder; get the complete file",
    ),
    "with one text encoder": (
        {key: shape for key, shape in SDXL.items() if not key.startswith(TEXT + "embedders.0.")},
        "has no first text encoder; get the complete file",
    ),
    "half a VAE": (NO_VAE | {VAE + "quant_conv.weight": (8, 8, 1, 1)}, "has no VAE; get the complete file"),
    "a VAE": ({"decoder.up.0.block.0.conv1.weight": (2, 2)}, "is a VAE, not a checkpoint; move it"),
    "a text encoder": ({"text_model.encoder.layers.0.mlp.fc1.weight": (2, 2)}, "holds only text encoders"),
    "a ControlNet": ({"control_model.input_blocks.0.0.weight": (2, 2)}, "is a ControlNet"),
    "instruct-pix2pix": (whole_sdxl(in_channels=8), None),
    "EDM": (SDXL | {"edm_vpred.sigma_max": ()}, "not supported: EDM, as CosXL"),
}


@pytest.mark.parametrize("what", ONLY)
def test_what_cannot_draw_is_refused_by_what_it_is(tmp_path: Path, what: str) -> None:
    shapes, words = ONLY[what]
    if words is None:  # known, and refused by its kind
        assert read(tmp_path, shapes).arch == "sdxl-edit"
        return
    with pytest.raises(ModelError, match=words) as caught:
        read(tmp_path, shapes)
    assert str(caught.value).startswith("a.safetensors") and str(caught.value).count(". ") == 0


# -- folders -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(starter_checkpoints: Path, tmp_path: Path) -> Path:
    made = tmp_path / "copy"
    shutil.copytree(starter_checkpoints / "sdxl" / STARTER, made, copy_function=shutil.copyfile)
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return made


def test_files_of_a_folder_that_are_not_used_are_named(folder: Path) -> None:
    formats = inspect_folder(folder).dress
    assert len(formats) == 1
    stem = folder / "unet" / "diffusion_pytorch_model"
    for ending in (".fp16.safetensors", ".non_ema.safetensors"):
        shutil.copyfile(f"{stem}.safetensors", f"{stem}{ending}")
    names = "unet/diffusion_pytorch_model.fp16.safetensors, unet/diffusion_pytorch_model.non_ema.safetensors"
    assert inspect_folder(folder).dress == (*formats, f"files left out: {names}")
    stem.with_suffix(".safetensors").unlink()
    stem.with_suffix(".fp16.safetensors").unlink()
    assert inspect_folder(folder).dress == (*formats, "variant non_ema of unet")
    (folder / "unet_ema").mkdir()
    (folder / "unet_ema" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert "unet_ema/diffusion_pytorch_model.safetensors" in inspect_folder(folder).dress[-1]


def test_a_folder_without_its_vae(folder: Path) -> None:
    assert inspect_folder(folder).has_vae
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no vae/config\.json"):
        inspect_folder(folder)
    shutil.rmtree(folder / "vae")
    assert not inspect_folder(folder).has_vae


def test_a_folder_of_ssd_1b_and_of_full_lcm(folder: Path) -> None:
    """Their configurations alone; the starter's weights are then not the ones that belong to them."""
    config = folder / "unet" / "config.json"
    plain = json.loads(config.read_text())
    depths = {"transformer_layers_per_block": [1, [2], [4]]}
    depths |= {"reverse_transformer_layers_per_block": [[4, 10], [2, 1], 1]}
    config.write_text(json.dumps(plain | cut("ssd-1b") | depths))
    with pytest.raises(ModelError, match=r"its UNet lacks down_blocks.1.attentions.0.transformer_blocks.1"):
        inspect_folder(folder)
    config.write_text(json.dumps(plain | {"time_cond_proj_dim": 64}))
    with pytest.raises(ModelError, match=r"its UNet lacks time_embedding.cond_proj.weight"):
        inspect_folder(folder)


# -- the catalog -------------------------------------------------------------------------------------------


def test_endings_and_links(tmp_path: Path) -> None:
    """Also as Hugging Face's cache has them: names that lead to files without an ending."""
    root, away = tmp_path / "models", tmp_path / "away"
    save(root / "UPPER.SAFETENSORS", SDXL)
    save(root / "short.sft", SDXL)
    (away / "inside").mkdir(parents=True)
    save(away / "inside" / "a.safetensors", SDXL)
    (away / "blob").hardlink_to(away / "inside" / "a.safetensors")
    for name, to in {
        "linked": away / "inside",
        "cached.safetensors": away / "blob",
        "gone.safetensors": away / "nothing",
        "circle.safetensors": root / "circle.safetensors",
        "round": root,
    }.items():
        (root / name).symlink_to(to)
    found = {each.name: each for each in candidates(root, folders=True)}
    assert sorted(found) == ["UPPER", "cached", "circle", "gone", "linked/a", "short"]
    for name in ("UPPER", "cached", "linked/a", "short"):
        assert inspect_file(found[name].path).arch == "sdxl"
    for name in ("gone", "circle"):
        with pytest.raises(ModelError, match="cannot be read"):
            inspect_file(found[name].path)


def test_a_checkpoint_without_a_vae_asks_for_one(tmp_path: Path, settings: Settings) -> None:
    save(settings.checkpoints / "sdxl" / "bare.safetensors", NO_VAE)
    catalog = Registry(settings)
    bare = catalog.checkpoint("bare")
    assert bare.unusable is None and not bare.has_vae
    assert catalog.default_checkpoint() == catalog.checkpoint(STARTER)
    asked = {"base_model": "bare", "prompt": "a duck"}

    def refusal(**more: Any) -> str:
        with pytest.raises(RequestError) as caught:
            validate_request(catalog, build_request(catalog, asked | more), None)  # type: ignore[arg-type]
        assert caught.value.field == "vae"
        return str(caught.value)

    assert refusal() == "bare has no VAE of its own; put one for SDXL into checkpoint/vae."
    vae = {key: shape for key, shape in SDXL.items() if key.startswith(VAE)}
    save(settings.checkpoints / "vae" / "mine.safetensors", vae)
    catalog.refresh()
    assert refusal() == "bare has no VAE of its own; choose one (vae): mine."
    assert "bare has no VAE" in refusal(base_model=STARTER, second_pass_model="bare")
    assert "bare has no VAE" in refusal(base_model=STARTER, hires_scale=2.0, hires_model="bare")
    catalog.edit_checkpoint("bare", {"vae": "mine"})
    assert build_request(catalog, asked).vae == "mine"
    assert catalog.default_checkpoint() == catalog.checkpoint("bare")


def test_settings_that_another_unet_does_without(settings: Settings) -> None:
    folder = settings.checkpoints / "sdxl"
    save(folder / "fast.safetensors", SDXL | {UNET + "time_embed.cond_proj.weight": (32, 256)})
    save(folder / "cut.safetensors", whole_sdxl(**cut("vega")))
    catalog = Registry(settings)

    def warnings(**asked: Any) -> list[str]:
        request = build_request(catalog, {"prompt": "a duck", "width": 1024, "height": 1024} | asked)
        said = validate_request(catalog, request, None)  # type: ignore[arg-type]
        return [each for each in said if "UNet" in each]

    fast = build_request(catalog, {"base_model": "fast", "prompt": "a duck"})
    assert (fast.steps, fast.cfg, fast.sampler) == (4, 8.0, "LCM")
    assert warnings(base_model="fast") == []
    assert warnings(base_model="fast", negative_prompt="rain", cfg_rescale=0.5) == [
        "negative_prompt, cfg_rescale have no effect with fast, whose UNet takes CFG as an input."
    ]
    assert warnings(base_model="cut", pag_scale=3.0) == [
        "pag_scale has no effect with cut, whose UNet has no transformer in its middle block."
    ]
