"""A checkpoint that is not whole, or that holds what SDXL has not, is refused when it is listed; a healthy
one is listed in whatever dress it comes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy
import pytest
from model_files import SDXL, UNET, save, whole_sdxl
from request_checks import validate
from safetensors.numpy import load_file, save_file

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.entries import Checkpoint
from webbduck_gradio.models.catalog.registry import STARTER, Registry
from webbduck_gradio.models.probe.checkpoint import inspect_file, inspect_folder
from webbduck_gradio.settings import Settings

SECOND = "conditioner.embedders.1.model."
PARTS = {
    UNET: "UNet",
    "first_stage_model.": "VAE",
    "conditioner.embedders.0.": "first text encoder",
    SECOND: "second text encoder",
}


def listed(tmp_path: Path, shapes: dict, dtypes: dict | None = None, metadata: dict | None = None):
    return inspect_file(save(tmp_path / "a.safetensors", shapes, metadata, dtypes))


TELLING = (
    "input_blocks.0.0.weight",
    "input_blocks.3.0.op.weight",
    "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight",
    "input_blocks.4.0.out_layers.3.bias",
    "middle_block.1.proj_in.weight",
    "label_emb.0.0.weight",
    "quant_conv.weight",
    "down.0.block.0.conv2.bias",
    "encoder.mid.attn_1.q.weight",
    "token_embedding.weight",
    "layers.0.mlp.fc1.bias",
    "resblocks.0.mlp.c_fc.bias",
    "ln_final.weight",
    "final_layer_norm.weight",
    "text_projection",
)
"""Those that the configuration is read from in the first place; of the others some are tried."""


@pytest.mark.parametrize("prefix", PARTS)
def test_each_single_tensor_is_missed(tmp_path: Path, prefix: str) -> None:
    keys = [key for key in SDXL if key.startswith(prefix)]
    telling = [key for key in keys if key.endswith(TELLING)]
    assert len(keys) > 40 and telling
    for gone in {*keys[::17], *telling}:
        with pytest.raises(ModelError) as caught:
            listed(tmp_path, {key: shape for key, shape in SDXL.items() if key != gone})
        text = str(caught.value)
        assert text.startswith("a.safetensors") and f"its {PARTS[prefix]} lacks {gone};" in text, text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {UNET + "middle_block.1.proj_out.weight": (64, 32)},
            "UNet, .*proj_out.weight is 64 x 32 .* 64 x 64",
        ),
        ({UNET + "input_blocks.1.0.emb_layers.1.bias": (31,)}, "emb_layers.1.bias is 31 instead of 32"),
        ({UNET + "time_embed.0.weight": (128, 64)}, "time_embed.0.weight is 128 x 64 instead of 128 x 32"),
        ({UNET + "out.2.weight": (8, 32, 3, 3)}, "out.2.weight is 8 x 32"),
        ({"first_stage_model.decoder.conv_in.weight": (32, 8, 3, 3)}, "VAE, .*conv_in.weight is 32 x 8"),
        ({SECOND + "text_projection": (64, 48)}, "expects 112 values .* gets 108"),
        ({SECOND + "positional_embedding": (60, 64)}, "second text encoder, .*positional_embedding is 60"),
        ({SECOND + "token_embedding.weight": (49000, 64)}, "it has 49000 tokens"),
        ({UNET + "label_emb.0.0.weight": (128, 101)}, "expects 101 values"),
    ],
)
def test_other_sizes_are_named(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        listed(tmp_path, SDXL | changes)


@pytest.mark.parametrize(
    ("unet", "words"),
    [
        ({"cross_attention_dim": 128}, "expects prompts of width 128, and the text encoders make them 96"),
        (
            {"block_out_channels": [32, 48, 64], "norm_num_groups": 16},
            "width of 48 cannot be normalised in 32",
        ),
        ({"projection_class_embeddings_input_dim": 128}, "expects 128 values"),
    ],
)
def test_parts_that_do_not_fit_together(tmp_path: Path, unet: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        listed(tmp_path, whole_sdxl(**unet))


HEALTHY = {
    "as SDXL was published": {"denoiser.sigmas": (1000,), SECOND + "logit_scale": ()},
    "with positions": {"conditioner.embedders.0.transformer.text_model.embeddings.position_ids": (1, 77)},
    "with a running mean": {"model_ema.decay": (), "model_ema.num_updates": ()}
    | {"model_ema." + key.removeprefix("model.").replace(".", ""): shape for key, shape in SDXL.items()},
    "with the VAE's judge": {"first_stage_model.loss.perceptual_loss.net.slice1.0.weight": (64, 3, 3, 3)},
    "with the old schedule": {
        "betas": (1000,),
        "alphas_cumprod": (1000,),
        "log_one_minus_alphas_cumprod": (9,),
    },
    "as ComfyUI saved it": {"conditioner.embedders.0.logit_scale": ()}
    | {"conditioner.embedders.0.transformer.text_projection.weight": (32, 32)},
    "with the training's state": {"global_step": (), "optimizer.state.0.exp_avg": (8, 8)},
}


@pytest.mark.parametrize("dress", HEALTHY)
def test_healthy_files_in_every_dress(tmp_path: Path, dress: str) -> None:
    whole = {"position_ids": "I64", "num_updates": "I32", "global_step": "I64"}
    dtypes = {key: whole[key.rpartition(".")[2]] for key in HEALTHY[dress] if key.rpartition(".")[2] in whole}
    dtypes |= {key: "F32" for key in SDXL if key.startswith("first_stage_model.")}
    found = listed(
        tmp_path, SDXL | HEALTHY[dress], {k: "I32" if v == "I64" else v for k, v in dtypes.items()}
    )
    assert found.arch == "sdxl" and found.notes == ()


def test_the_projection_by_its_other_name(tmp_path: Path) -> None:
    shapes = {key: shape for key, shape in SDXL.items() if key != SECOND + "text_projection"}
    assert listed(tmp_path, shapes | {SECOND + "text_projection.weight": (64, 64)}).arch == "sdxl"
    with pytest.raises(ModelError, match="its second text encoder"):
        listed(tmp_path, shapes | {SECOND + "text_projection.weight": (64, 60)})


@pytest.mark.parametrize(
    "mark",
    ["some_mark", "sampling.kind", UNET + "gate.weight", "first_stage_model.extra", SECOND + "adapter.up"],
)
def test_what_means_something_unknown_is_refused(tmp_path: Path, mark: str) -> None:
    with pytest.raises(ModelError, match=f"{mark}.*, which (may mean|SDXL's has not)"):
        listed(tmp_path, SDXL | {mark: (2,)})


def test_other_weights_beside_it_are_mentioned(tmp_path: Path) -> None:
    found = listed(tmp_path, SDXL | {"control_model.a.weight": (64, 64), "control_model.scale": ()})
    assert found.arch == "sdxl" and "ignored: control_model.a.weight (and 1 more)" in found.notes[0]


def test_metadata_that_no_library_reads_is_said_when_listed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"metadata that is not text \(steps\)"):
        listed(tmp_path, SDXL, None, {"steps": 7})


def test_what_the_parts_take_is_told_whatever_the_format(tmp_path: Path) -> None:
    """Half precision's bytes, by which the memory is reckoned; the file's own bytes are told beside them."""
    settings = Settings(checkpoints=tmp_path / "checkpoint", loras=tmp_path / "lora")
    for dtype in ("F32", "F16", "F8_E4M3"):
        save(settings.checkpoints / "sdxl" / f"{dtype}.safetensors", SDXL, None, dict.fromkeys(SDXL, dtype))
    more = SDXL | {"model_ema." + key: shape for key, shape in SDXL.items()}
    save(settings.checkpoints / "sdxl" / "mean.safetensors", more)
    found: dict[str, Checkpoint] = {each.name: each for each in Registry(settings).checkpoints()}
    assert len({each.size_bytes for each in found.values()}) == 1
    half = found["F16"]
    assert abs(half.size_bytes - half.file_bytes) < 200_000  # all but the header
    assert found["F32"].file_bytes > 1.9 * half.file_bytes > 3.6 * found["F8_E4M3"].file_bytes
    assert (half.stored, found["F32"].stored) == ("F16", "F32")


def test_notes_reach_whoever_draws(tmp_path: Path, settings: Settings) -> None:
    save(settings.checkpoints / "sdxl" / "noted.safetensors", SDXL | {"control_model.a": (64, 64)})
    registry = Registry(settings)
    asked = {"base_model": "noted", "prompt": "a duck", "width": 64, "height": 64}
    assert any("control_model.a" in each for each in validate(registry, build_request(registry, asked)))
    asked = {"base_model": STARTER, "second_pass_model": "noted"}
    assert any("control_model.a" in each for each in validate(registry, build_request(registry, asked)))


# -- folders ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(starter_checkpoints: Path, tmp_path: Path) -> Path:
    made = tmp_path / "copy"
    shutil.copytree(starter_checkpoints / "sdxl" / STARTER, made, copy_function=shutil.copyfile)
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return made


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


WEIGHTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}


def in_shards(part: Path, variant: str = "") -> tuple[Path, list[Path]]:
    """The weights of a part in two files; (index, files)."""
    stem = WEIGHTS[part.name]
    whole = part / f"{stem}.safetensors"
    tensors = load_file(whole)
    keys, files, table = sorted(tensors), [], {}
    for number in (1, 2):
        file = part / f"{stem}{variant and '.' + variant}-0000{number}-of-00002.safetensors"
        save_file({key: tensors[key] for key in keys[number - 1 :: 2]}, file)
        table |= dict.fromkeys(keys[number - 1 :: 2], file.name)
        files.append(file)
    whole.unlink()
    index = part / f"{stem}.safetensors.index{variant and '.' + variant}.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return index, files


@pytest.mark.parametrize("variant", ["", "fp16"])
@pytest.mark.parametrize("part", WEIGHTS)
def test_shards(folder: Path, part: str, variant: str) -> None:
    index, files = in_shards(folder / part, variant)
    assert inspect_folder(folder).arch == "sdxl"
    whole = index.read_text()
    for broken in ("{", "[]", "{}", '{"weight_map": {"a": 1}}', '{"weight_map": {"a": "../x.safetensors"}}'):
        index.write_text(broken)
        with pytest.raises(ModelError, match=rf"copy/{part}.*{index.name}"):
            inspect_folder(folder)
    index.unlink()
    with pytest.raises(ModelError, match=rf"copy/{part} has .* but no {WEIGHTS[part]}.safetensors.index"):
        inspect_folder(folder)
    index.write_text(whole)
    files[1].unlink()
    with pytest.raises(ModelError, match=rf"copy/{part}/{files[1].name} is missing"):
        inspect_folder(folder)


@pytest.mark.parametrize("part", WEIGHTS)
def test_a_tensor_of_a_folder_that_is_missing_or_of_another_size(folder: Path, part: str) -> None:
    weights = folder / part / f"{WEIGHTS[part]}.safetensors"
    tensors = load_file(weights)
    key = max(key for key in tensors if key.endswith("weight"))
    save_file({name: each for name, each in tensors.items() if name != key}, weights)
    with pytest.raises(
        ModelError, match=rf"copy/{part}/{weights.name} is incomplete: .* lacks .*{key[-20:]}"
    ):
        inspect_folder(folder)
    save_file(tensors | {key: numpy.zeros((2, 2), numpy.float16)}, weights)
    with pytest.raises(ModelError, match=rf"copy/{part}/{weights.name} does not fit together: .* is 2 x 2"):
        inspect_folder(folder)
    save_file(tensors | {"a_new_layer.weight": numpy.zeros((2, 2), numpy.float16)}, weights)
    with pytest.raises(ModelError, match=r"of a kind that is not known: it has .*a_new_layer.weight"):
        inspect_folder(folder)
    save_file(tensors | {key: tensors[key].astype(numpy.int8)}, weights)
    with pytest.raises(ModelError, match="format that is not supported: I8"):
        inspect_folder(folder)


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("unet/config.json", {"cross_attention_dim": 96}, "copy/unet/.* does not fit together"),
        ("unet/config.json", {"block_out_channels": "x"}, "copy/unet cannot be loaded: .*block_out_channels"),
        ("unet/config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "bitsandbytes"),
        (
            "vae/config.json",
            {"_class_name": "AutoencoderTiny"},
            "copy/vae cannot be loaded: .*AutoencoderTiny",
        ),
        ("vae/config.json", {"shift_factor": 0.1}, "shift_factor"),
        ("text_encoder/config.json", {"model_type": "chatglm"}, "copy/text_encoder cannot .* chatglm"),
        ("text_encoder_2/config.json", {"hidden_size": 64}, "copy/text_encoder_2/.* does not fit together"),
        ("text_encoder_2/config.json", {"num_hidden_layers": 2}, "of a kind that is not known"),
        ("unet/config.json", {"addition_time_embed_dim": 16}, "expects 256 values"),
        ("scheduler/scheduler_config.json", {"_class_name": "EDMEulerScheduler"}, "EDM, EDMEulerScheduler"),
        ("model_index.json", {"_class_name": "KolorsPipeline"}, "is for KolorsPipeline"),
    ],
)
def test_configurations_that_do_not_fit(folder: Path, file: str, values: dict, words: str) -> None:
    change(folder / file, **values)
    with pytest.raises(ModelError, match=words):
        inspect_folder(folder)


def test_each_part_may_come_in_a_variant_of_its_own(folder: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert inspect_folder(folder).arch == "sdxl"
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("model.safetensors"))
    with pytest.raises(ModelError, match="no weights in unet"):
        inspect_folder(folder)
