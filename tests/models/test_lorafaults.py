"""LoRA files that cannot be used as they are: refused with the true reason, or drawn with a word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy
import pytest
from model_files import kohya, peft, save
from request_checks import validate
from safetensors.numpy import save_file

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import STARTER, Registry
from webbduck_gradio.models.probe.lora import inspect_lora
from webbduck_gradio.models.probe.safetensors_header import read_header
from webbduck_gradio.settings import Settings

PLACE = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
FLAT = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
OTHER = FLAT.replace("to_k", "to_v")


@pytest.fixture
def settings(starter_checkpoints: Path, tmp_path: Path) -> Settings:
    settings = Settings(
        checkpoints=starter_checkpoints,
        loras=tmp_path / "lora",
        outputs=tmp_path / "o",
        inputs=tmp_path / "i",
    )
    settings.make_folders()
    return settings


def fitting(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The shapes of a LoRA of one part that fits the starter checkpoint."""
    return peft(PLACE, Registry(settings).checkpoint(STARTER).context, 128)


def pair(module: str, into: int = 8, out: int = 8, rank: int = 4) -> dict[str, tuple[int, ...]]:
    return {f"{module}.lora_down.weight": (rank, into), f"{module}.lora_up.weight": (out, rank)}


REFUSED = {
    "no up": (
        {f"{FLAT}.lora_down.weight": (4, 80), f"{FLAT}.alpha": ()},
        "incomplete: the other half of .*_down",
    ),
    "no down": (pair(FLAT) | {f"{OTHER}.lora_up.weight": (8, 4)}, "the other half of .*to_v.lora_up"),
    "no half of three": (
        {f"unet.{PLACE}{index}.lora_A.weight": (4, 8) for index in range(3)},
        "lora_A.weight and 2 more is missing",
    ),
    "ranks that differ": (
        pair(FLAT) | {f"{OTHER}.lora_down.weight": (4, 8), f"{OTHER}.lora_up.weight": (8, 3)},
        r"damaged: the halves of .*to_v do not fit each other \(4 x 8 and 8 x 3\)",
    ),
    "an alpha for each row": (pair(FLAT) | {f"{FLAT}.alpha": (4,)}, "alpha is not one number"),
    "two adapters": (
        {
            f"unet.{PLACE}.lora_{half}.{name}.weight": (4, 4)
            for half in "AB"
            for name in ("default", "second")
        },
        "and another tensor for the same module",
    ),
    "scales of weights": (pair(FLAT) | {f"{FLAT}.lora_down.weight_scale": ()}, "which is of an unknown kind"),
    "half a LoHa": (
        {f"{FLAT}.hada_w1_a": (8, 4), f"{FLAT}.hada_w1_b": (4, 8)},
        "is incomplete: hada_w2_a of .*to_k is missing",
    ),
    "a LoHa of two sizes": (
        {f"{FLAT}.hada_w{n}_a": (8, 4) for n in (1, 2)} | {f"{FLAT}.hada_w{n}_b": (4, 7 + n) for n in (1, 2)},
        "is damaged: the tensors of .*to_k do not fit each other",
    ),
    "a LoKr without its first half": ({f"{FLAT}.lokr_w2": (4, 4)}, "is incomplete: lokr_w1 of"),
    "half a GLoRA": ({f"{FLAT}.{half}.weight": (4, 4) for half in ("a1", "a2", "b1")}, "b2 of .* is missing"),
    "blocks that are not square": ({f"{FLAT}.oft_blocks": (2, 4, 3)}, "do not fit each other"),
    "two kinds at once": (
        pair(FLAT) | {f"{FLAT}.diff": (8, 8)},
        "is ambiguous: .*to_k is of the kinds LoRA and full difference at once",
    ),
    "norms of nothing": ({f"{FLAT}.dora_scale": (8, 1)}, "is incomplete: what .*dora_scale belongs to"),
    "a bias of the inner half": (peft(PLACE, 8) | {f"unet.{PLACE}.lora_A.bias": (4,)}, "of an unknown kind"),
    "token embeddings": (
        peft(PLACE, 8) | {"text_encoder.text_model.embeddings.token_embedding.lora_embedding_A": (4, 9)},
        "LoRA with token embeddings, which",
    ),
    "peft's boft": ({f"unet.{PLACE}.boft_R": (2, 4, 4)}, "of the kind peft BOFT, which cannot be applied"),
    "peft's oft": ({f"unet.{PLACE}.oft_R": (2, 6)}, "of the kind peft OFT, which"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_when_listed(settings: Settings, case: str) -> None:
    shapes, words = REFUSED[case]
    save(settings.loras / "a.safetensors", shapes, {"ss_base_model_version": "sdxl_base_v1-0"})
    registry = Registry(settings)
    (listed,) = registry.loras()
    assert listed.unusable is not None
    with pytest.raises(ModelError, match=f"The LoRA a .*{words}"):
        registry.lora("a")


CONFIGURED = [
    ("{", "lora_adapter_metadata in its metadata is not valid JSON"),
    ("[1]", "is not a JSON object"),
    ('{"unet.lora_alpha": "8"}', "an alpha in its configuration is not a number"),
    (
        '{"unet.lora_alpha": 8, "unet.alpha_pattern": {"to_k": null}}',
        "an alpha in its configuration is not a number",
    ),
    ('{"unet.lora_alpha": 8, "unet.alpha_pattern": {"(a+)+b": 1}}', "which is not a module name"),
    ('{"unet.lora_alpha": 8, "unet.use_dora": true}', "is a DoRA without magnitudes"),
    ('{"unet.peft_type": "LOHA"}', "LOHA, which"),
]


@pytest.mark.parametrize(("said", "words"), CONFIGURED)
def test_configurations_that_mean_something_else(settings: Settings, said: str, words: str) -> None:
    save(settings.loras / "a.safetensors", fitting(settings), {"lora_adapter_metadata": said})
    with pytest.raises(ModelError, match=words):
        Registry(settings).lora("a")


def test_weights_in_whole_numbers(settings: Settings) -> None:
    tensors = {name: numpy.ones(shape, numpy.int8) for name, shape in pair(FLAT).items()}
    save_file(tensors, settings.loras / "a.safetensors")
    with pytest.raises(ModelError, match="weights of the type I8, which is not supported"):
        Registry(settings).lora("a")


LEFT_OUT = {
    "an embedding": (
        {"bundle_emb.reeds.clip_l": (2, 8), "bundle_emb.reeds.clip_g": (2, 8)},
        "also contains the embedding reeds, which is ignored",
    ),
    "two embeddings": (
        {"bundle_emb.a b.string_to_param.*": (2, 8), "bundle_emb.c.clip_g_out": (2, 8)},
        "also contains the embeddings a b and 1 more, which are ignored",
    ),
    "a lone alpha": ({f"{OTHER}.alpha": ()}, f"has an alpha but no weights for {OTHER}, which has no effect"),
    "weights of a model": (
        {"unet.conv_in.bias": (4,)},
        r"contains tensors that do not belong to a LoRA \(unet.conv_in.bias\); they are ignored",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_said(settings: Settings, case: str) -> None:
    shapes, words = LEFT_OUT[case]
    said = {"ss_base_model_version": "sdxl_base_v1-0"}
    save(settings.loras / "a.safetensors", fitting(settings) | shapes, said)
    for _ in range(2):  # the second time it is known from the first
        registry = Registry(settings)
        assert registry.lora("a").unusable is None
        request = build_request(registry, {"prompt": "a duck", "loras": [{"name": "a", "weight": 1}]})
        (warning,) = validate(registry, request)
        assert warning.startswith("The LoRA a ") and warning.endswith(".")
        assert re.search(words, warning)


def rewritten(path: Path, data: bytes, table: dict[str, object]) -> None:
    """The file `data` with another header."""
    header = json.dumps(table).encode()
    end = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[end:])


def test_metadata_that_is_no_text(settings: Settings) -> None:
    path = save(settings.loras / "a.safetensors", fitting(settings), {"x": "y"})
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:end])
    odd: list[object] = [[], ["a"], "text", 0, False]
    for metadata in odd:
        rewritten(path, data, table | {"__metadata__": metadata})
        with pytest.raises(ModelError, match="has metadata that is not a JSON object"):
            Registry(settings).lora("a")
    table["__metadata__"] = {"steps": 5, "nested": {"a": [1]}, "none": None, "ss_output_name": "reeds"}
    rewritten(path, data, table)
    assert read_header(path).metadata == {"ss_output_name": "reeds"}
    assert Registry(settings).lora("a").unusable is None


MADE_FOR = {
    "the first text encoder": (pair("lora_te1_text_model_encoder_layers_0_mlp_fc1"), "sdxl"),
    "peft, a text encoder": (pair("text_encoder.text_model.encoder.layers.0.mlp.fc1"), "sdxl"),
    "kohya's name of older checkpoints": (pair("lora_te_text_model_encoder_layers_0_mlp_fc1"), "sd1"),
    "convolutions": (pair("lora_unet_down_blocks_1_resnets_0_conv1"), "sdxl"),
    "another transformer": (pair("transformer.transformer_blocks.7.attn.to_q"), "unknown"),
    "an adapter's name": (
        {f"unet.down_blocks.1.attentions.0.{PLACE[25:]}.lora_{half}.x-1.weight": (768, 768) for half in "AB"},
        "sd1",
    ),
}


@pytest.mark.parametrize("case", MADE_FOR)
def test_what_it_is_made_for(tmp_path: Path, case: str) -> None:
    shapes, arch = MADE_FOR[case]
    found = inspect_lora(save(tmp_path / "a.safetensors", shapes))
    assert (found.arch, found.fault, found.caveats) == (arch, "", ())


def test_an_embedding_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is an embedding \(textual inversion\), not a LoRA"):
        inspect_lora(save(tmp_path / "a.safetensors", {"clip_l": (2, 768), "clip_g": (2, 1280)}))


def test_parts_of_other_shapes_are_named_when_admitted(settings: Settings) -> None:
    width = Registry(settings).checkpoint(STARTER).context
    wrong = {
        "wide": peft(PLACE, width) | pair("unet.mid_block.attentions.0.proj_in", 7),
        "kernel": peft(PLACE, width, 128)
        | {"unet.conv_in.lora_A.weight": (4, 4, 1, 1), "unet.conv_in.lora_B.weight": (64, 4, 1, 1)},
        "nowhere": peft(PLACE, width, 128) | pair("something.else"),
    }
    named = {"wide": "2 of its 2", "kernel": r"1 of its 2 .*unet\.conv_in", "nowhere": r"something\.else"}
    for name, shapes in wrong.items():
        save(settings.loras / f"{name}.safetensors", shapes)
    registry = Registry(settings)
    for name, words in named.items():
        request = build_request(registry, {"prompt": "a duck", "loras": [{"name": name, "weight": 1}]})
        with pytest.raises(ModelError, match=f"The LoRA {name} does not fit {STARTER}: .*{words}"):
            validate(registry, request)


def test_kohya_files_stay_known(tmp_path: Path) -> None:
    assert inspect_lora(save(tmp_path / "a.safetensors", kohya(2048))).fault == ""
