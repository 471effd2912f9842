"""Architectures are told by the header, never by the name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from model_files import SDXL, UNET, checkpoint_shapes, kohya, save

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.probe import checkpoint
from webbduck_gradio.models.probe.checkpoint import inspect_file, inspect_folder
from webbduck_gradio.models.probe.lora import inspect_lora
from webbduck_gradio.models.probe.safetensors_header import read_header

CHECKPOINTS = {
    "sdxl": SDXL,
    "sdxl-inpaint": checkpoint_shapes(2048, 2816, channels=9),
    "sdxl-edit": checkpoint_shapes(2048, 2816, channels=8),
    "sdxl-refiner": checkpoint_shapes(1280, 2560, depth=4),
    "ssd-1b": checkpoint_shapes(2048, 2816, depth=4),
    "vega": checkpoint_shapes(2048, 2816, depth=2),
    "sd1": checkpoint_shapes(768, None, depth=1),
    "sd2": checkpoint_shapes(1024, None, depth=1),
    "playground": SDXL | {"edm_mean": (1, 4, 1, 1)},
    "sdxl-lcm": SDXL | {UNET + "time_embed.cond_proj.weight": (2, 2)},
    "sd3": {UNET + "joint_blocks.0.x_block.attn.qkv.weight": (2, 2)},
    "flux": {"double_blocks.0.img_attn.qkv.weight": (2, 2)},
    "unknown": {"something.weight": (2, 2)},
}


@pytest.mark.parametrize("arch", CHECKPOINTS)
def test_single_files(tmp_path: Path, arch: str) -> None:
    path = save(tmp_path / "sdxl-refiner-flux-v1.safetensors", CHECKPOINTS[arch])
    assert checkpoint.architecture(read_header(path)) == arch


@pytest.mark.parametrize(
    ("shapes", "metadata", "sidecar", "expected"),
    [
        (SDXL, {}, "", "epsilon"),
        (SDXL | {"v_pred": (0,)}, {}, "", "v_prediction"),
        (SDXL, {"modelspec.prediction_type": "v"}, "", "v_prediction"),
        (SDXL, {"modelspec.prediction_type": "epsilon"}, "parameterization: v", "epsilon"),
        (SDXL, {}, 'model:\n  params:\n    parameterization: "v"\n', "v_prediction"),
        (SDXL, {}, "parameterization: eps", "epsilon"),
    ],
)
def test_prediction_type(tmp_path: Path, shapes, metadata, sidecar: str, expected: str) -> None:
    path = save(tmp_path / "a.safetensors", shapes, metadata)
    if sidecar:
        path.with_suffix(".yaml").write_text(sidecar)
    assert inspect_file(path).prediction_type == expected


def test_zero_terminal_snr_is_marked_by_a_key(tmp_path: Path) -> None:
    assert inspect_file(save(tmp_path / "a.safetensors", SDXL | {"ztsnr": (0,)})).zero_snr
    assert not inspect_file(save(tmp_path / "b.safetensors", SDXL)).zero_snr


def test_the_starter_is_sdxl_and_knows_its_size(starter_checkpoints: Path) -> None:
    folder = starter_checkpoints / "sdxl" / "webbduck-starter"
    found = inspect_folder(folder)
    unet = json.loads((folder / "unet" / "config.json").read_text())
    assert (found.arch, found.prediction_type) == ("sdxl", "epsilon")
    assert found.native_size == unet["sample_size"] * 8
    assert found.context == unet["cross_attention_dim"]


@pytest.fixture
def starter_copy(starter_checkpoints: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(starter_checkpoints / "sdxl" / "webbduck-starter", folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("part", "values", "arch"),
    [
        ("unet/config.json", {"addition_embed_type": None, "cross_attention_dim": 768}, "sd1"),
        ("unet/config.json", {"addition_embed_type": None, "cross_attention_dim": 1024}, "sd2"),
        ("unet/config.json", {"in_channels": 9}, "sdxl-inpaint"),
        ("unet/config.json", {"in_channels": 8}, "sdxl-edit"),
        ("unet/config.json", {"time_cond_proj_dim": 256}, "sdxl-lcm"),
        ("model_index.json", {"requires_aesthetics_score": True}, "sdxl-refiner"),
        ("model_index.json", {"text_encoder": [None, None]}, "sdxl-refiner"),
    ],
)
def test_folders(starter_checkpoints: Path, part: str, values: dict, arch: str) -> None:
    folder = starter_checkpoints / "sdxl" / "webbduck-starter"
    said = {
        name: json.loads((folder / name).read_text()) for name in ("unet/config.json", "model_index.json")
    }
    said[part] |= values
    assert checkpoint.folder_architecture(said["unet/config.json"], said["model_index.json"]) == arch


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("unet/config.json", "no unet/config.json"),
        ("vae/config.json", "no vae/config.json"),
        ("scheduler/scheduler_config.json", "no scheduler/scheduler_config.json"),
        ("tokenizer_2/tokenizer_config.json", "no tokenizer_2/tokenizer_config.json"),
        ("text_encoder_2/model.safetensors", "no weights in text_encoder_2"),
        ("model_index.json", "model_index.json cannot be read"),
    ],
)
def test_incomplete_folders_name_what_is_missing(starter_copy: Path, missing: str, words: str) -> None:
    (starter_copy / missing).unlink()
    with pytest.raises(ModelError, match=words):
        inspect_folder(starter_copy)


def test_a_tokenizer_without_its_vocabulary_is_noticed(starter_copy: Path) -> None:
    """transformers would load it silently, with a vocabulary of two words."""
    for name in ("tokenizer.json", "merges.txt"):
        (starter_copy / "tokenizer" / name).unlink(missing_ok=True)
    with pytest.raises(ModelError, match="no vocabulary in tokenizer"):
        inspect_folder(starter_copy)


def test_broken_parts_of_a_folder(starter_copy: Path) -> None:
    weights = starter_copy / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(ModelError, match=r"1 of .* bytes are missing"):
        inspect_folder(starter_copy)
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match="pickle"):
        inspect_folder(starter_copy)
    weights.with_name("diffusion_pytorch_model.fp16.safetensors").write_bytes(whole)
    assert inspect_folder(starter_copy).arch == "sdxl"
    assert checkpoint.variant(starter_copy) == "fp16"
    (starter_copy / "unet" / "config.json").write_text("{\n oops")
    with pytest.raises(ModelError, match=r"config.json is not valid JSON \(line 2\)"):
        inspect_folder(starter_copy)


LORAS = {
    "kohya sdxl": (kohya(2048), {}, ("sdxl", "LoRA", 2048)),
    "kohya sd1": (kohya(768), {}, ("sd1", "LoRA", 768)),
    "kohya sd2": (kohya(1024), {}, ("sd2", "LoRA", 1024)),
    "flux": ({"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (4, 8)}, {}, ("flux", "LoRA", 0)),
    "peft": (
        {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (4, 2048)},
        {},
        ("sdxl", "LoRA", 2048),
    ),
    "old diffusers": ({"unet.x.attn2.to_k.lora.down.weight": (4, 768)}, {}, ("sd1", "LoRA", 768)),
    "starter": (
        {"unet.x.attn2.to_k.lora_A.weight": (4, 80)},
        {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
        ("sdxl", "LoRA", 80),
    ),
    "second encoder only": (
        {"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (4, 1280)},
        {},
        ("sdxl", "LoRA", 0),
    ),
    "unet only, no attn2": (
        {"lora_unet_middle_block_1_transformer_blocks_9_attn1_to_q.lora_down.weight": (4, 1280)},
        {},
        ("sdxl", "LoRA", 0),
    ),
    "said by the trainer": (
        {"lora_unet_x.lora_down.weight": (4, 8)},
        {"ss_base_model_version": "sdxl_base_v1-0"},
        ("sdxl", "LoRA", 0),
    ),
    "locon": (kohya(2048, **{"lora_unet_conv.lora_down.weight": (4, 8, 3, 3)}), {}, ("sdxl", "LoCon", 2048)),
    "loha": (kohya(2048, **{"lora_unet_a.hada_w1_a": (4, 8)}), {}, ("sdxl", "LoHa", 2048)),
    "lokr": (kohya(2048, **{"lora_unet_a.lokr_w1": (4, 8)}), {}, ("sdxl", "LoKr", 2048)),
    "dora": (kohya(2048, **{"lora_unet_a.dora_scale": (1, 8)}), {}, ("sdxl", "DoRA", 2048)),
    "ia3": (kohya(2048, **{"lora_unet_a.on_input": (1,)}), {}, ("sdxl", "IA3", 2048)),
    "oft": (kohya(2048, **{"lora_unet_a.oft_blocks": (4, 8, 8)}), {}, ("sdxl", "OFT", 2048)),
    "difference": (kohya(2048, **{"lora_unet_a.diff": (8, 8)}), {}, ("sdxl", "full difference", 2048)),
    "cp": (kohya(2048, **{"lora_unet_a.lora_mid.weight": (4, 4, 3, 3)}), {}, ("sdxl", "CP-LoCon", 2048)),
}


@pytest.mark.parametrize("kind", LORAS)
def test_loras(tmp_path: Path, kind: str) -> None:
    shapes, metadata, expected = LORAS[kind]
    found = inspect_lora(save(tmp_path / "a.safetensors", shapes, metadata))
    assert (found.arch, found.kind, found.context) == expected


def test_triggers(tmp_path: Path) -> None:
    def trigger(**metadata: str) -> str:
        return inspect_lora(save(tmp_path / "a.safetensors", kohya(2048), metadata)).trigger

    assert (
        trigger(**{"modelspec.trigger_phrase": " in crayon ", "ss_tag_frequency": '{"a": {"b": 1}}'})
        == "in crayon"
    )
    assert trigger() == "", "nothing is guessed"
    for nothing in (
        "null",
        " None ",
        "N/A",
        "n.a.",
        "undefined",
        "[]",
        "{}",
        "no trigger word",
        "...",
        '""',
        "-",
    ):
        assert trigger(**{"modelspec.trigger_phrase": nothing}) == ""
    for phrase in ("nonesuch", "null island", "no man's land", "<s0><s1>", "サイン"):
        assert trigger(**{"modelspec.trigger_phrase": phrase}) == phrase
    assert trigger(**{"modelspec.trigger_phrase": "<lora:a:0.7>, in  crayon,"}) == "in crayon"


def test_the_tags_of_the_training_are_shown_and_are_no_trigger(tmp_path: Path) -> None:
    counts = json.dumps({"one": {"duck": 3, " crayon": 5}, "two": {"duck": 1}})
    found = inspect_lora(save(tmp_path / "a.safetensors", kohya(2048), {"ss_tag_frequency": counts}))
    assert (found.trigger, found.tags) == ("", ("crayon", "duck"))
    broken = save(tmp_path / "b.safetensors", kohya(2048), {"ss_tag_frequency": "[1, 2]"})
    assert inspect_lora(broken).tags == ()


def test_what_lies_in_the_wrong_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a LoRA, not a checkpoint"):
        inspect_file(save(tmp_path / "a.safetensors", kohya(2048)))
    with pytest.raises(ModelError, match="is a SDXL checkpoint; move it"):
        inspect_lora(save(tmp_path / "b.safetensors", SDXL))
    (tmp_path / "c.ckpt").write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match="could run arbitrary code"):
        inspect_file(tmp_path / "c.ckpt")
