"""Number formats of weights: loaded right, or refused by name when the checkpoint is listed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from model_files import SDXL, UNET, save

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.probe.checkpoint import inspect_file
from webbduck_gradio.models.probe.safetensors_header import Header, Tensor
from webbduck_gradio.models.probe.weight_formats import check

FLAT = UNET + "middle_block.1.transformer_blocks.0.attn1.to_q.weight"
WIDE = UNET + "middle_block.1.transformer_blocks.0.ff.net.2.weight"
BIG = "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
ALL = [key for key, shape in SDXL.items() if key.startswith(UNET) and len(shape) == 2]


def listed(tmp_path: Path, shapes: dict, dtypes: dict | None = None, metadata: dict | None = None):
    return inspect_file(save(tmp_path / "a.safetensors", shapes, metadata, dtypes))


def scaled(ending: str = "scale_weight", keys: list[str] = ALL, **more: tuple[int, ...]) -> tuple[dict, dict]:
    """Shapes and types of a file with float8 weights and a float32 scale beside each."""
    beside = {key.removesuffix("weight") + ending: () for key in keys}
    dtypes = dict.fromkeys(keys, "F8_E4M3") | dict.fromkeys(beside, "F32")
    return SDXL | beside | more, dtypes


@pytest.mark.parametrize("ending", ["scale_weight", "weight_scale", "weight_scale_inv"])
def test_float8_with_scales_is_known_in_every_spelling(tmp_path: Path, ending: str) -> None:
    shapes, dtypes = scaled(ending)
    shapes |= {UNET + "scaled_fp8": (2,)} | {key.replace("weight", "input_scale"): () for key in ALL}
    shapes |= {key.replace("weight", "comfy_quant"): (27,) for key in ALL}
    dtypes |= {key.replace("weight", "comfy_quant"): "U8" for key in ALL}
    found = listed(tmp_path, shapes, dtypes, {"_quantization_metadata": '{"layers": {"x": "float8_e4m3fn"}}'})
    assert (found.arch, found.notes) == ("sdxl", ())
    assert found.numbers == sum(map(math.prod, SDXL.values()))


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "BF16", "F32"])
def test_plain_floating_point_is_loaded_as_it_is(tmp_path: Path, dtype: str) -> None:
    found = listed(tmp_path, SDXL, dict.fromkeys(SDXL, dtype))
    assert found.arch == "sdxl" and found.stored == dtype


@pytest.mark.parametrize(
    ("more", "dtypes", "metadata", "words"),
    [
        ({}, {FLAT: "I8"}, {}, "I8"),
        ({}, {FLAT: "U8"}, {}, "U8"),
        ({}, {BIG: "I32"}, {}, "I32"),
        ({}, {FLAT: "F8_E8M0"}, {}, "F8_E8M0"),
        ({}, {FLAT: "F8_E4M3FNUZ"}, {}, "F8_E4M3FNUZ"),
        ({FLAT: (2048, 1), FLAT + ".absmax": (64,)}, {FLAT: "U8"}, {}, "bitsandbytes 4 bit"),
        ({FLAT + ".quant_state.bitsandbytes__nf4": (80,)}, {}, {}, "bitsandbytes 4 bit"),
        ({FLAT.replace("weight", "SCB"): (64,)}, {FLAT: "I8"}, {}, "bitsandbytes 8 bit"),
        ({FLAT.replace("weight", "qweight"): (64, 32)}, {}, {}, "GPTQ or AWQ"),
        ({FLAT.replace("weight", "wscales"): (1, 64)}, {}, {}, "SVDQuant"),
        ({FLAT + "._data": (64, 64)}, {}, {}, "quanto"),
        ({FLAT + "_qdata": (64, 64)}, {}, {}, "torchao"),
        ({FLAT + "_scale_2": ()}, {FLAT: "U8"}, {}, "NVFP4"),
        ({FLAT + "_scale": (64,)}, {FLAT: "I8", FLAT + "_scale": "F32"}, {}, "I8"),
        ({FLAT + "_scale": (64, 2)}, {FLAT: "F8_E4M3", FLAT + "_scale": "F8_E8M0"}, {}, "F8_E8M0"),
        ({FLAT + "_scale": ()}, {FLAT + "_scale": "F32"}, {}, "F16 with scales"),
        ({FLAT.replace("weight", "comfy_quant"): (9,)}, {FLAT: "F8_E4M3"}, {}, "comfy_quant"),
        ({}, {}, {"_quantization_metadata": '{"layers": {"a": {"format": "nvfp4"}}}'}, "nvfp4"),
        ({}, {}, {"quantization": "svdquant-int4"}, "svdquant-int4"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path: Path, more, dtypes, metadata, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        listed(tmp_path, SDXL | more, dtypes, metadata)
    assert "stores its weights in a format that is not supported" in str(caught.value)


def test_packed_weights_of_all_layers_are_no_unknown_architecture(tmp_path: Path) -> None:
    shapes = {key: (4, 1) if key in ALL else shape for key, shape in SDXL.items()}
    shapes |= {key + ".absmax": (2,) for key in ALL}
    with pytest.raises(ModelError, match="bitsandbytes"):
        listed(tmp_path, shapes, dict.fromkeys(ALL, "U8"))


def test_scales_that_are_not_whole(tmp_path: Path) -> None:
    shapes, dtypes = scaled()
    del shapes[FLAT.replace("weight", "scale_weight")]
    with pytest.raises(ModelError, match=r"in its UNet, .*attn1.to_q.weight is in float8 without a scale"):
        listed(tmp_path, shapes, dtypes)
    shapes, dtypes = scaled()
    del shapes[FLAT]
    with pytest.raises(ModelError, match=r"attn1.to_q.scale_weight but no .*attn1.to_q.weight"):
        listed(tmp_path, shapes, dtypes)


def blocks(*pairs: tuple[tuple[int, ...], tuple[int, ...]]) -> list[tuple[int, ...]]:
    """For each (shape of the weights, shape of the scales): how many weights share a scale, by axis."""
    tensors = {}
    for number, (stored, scale) in enumerate(pairs):
        tensors[f"{number}.weight"] = Tensor("F8_E4M3", stored)
        tensors[f"{number}.weight_scale"] = Tensor("F32", scale)
    found = check("a", Header(tensors), {"": "UNet"})
    return [found[f"{number}.weight"].blocks for number in range(len(pairs))]


def test_which_scale_is_for_which_weights() -> None:
    assert blocks(((6, 4), ())) == [(6, 4)]
    assert blocks(((6, 4), (1,))) == [(6, 4)]
    assert blocks(((6, 4), (6, 1))) == [(1, 4)]
    assert blocks(((6, 4), (1, 4))) == [(6, 1)]
    assert blocks(((6, 4), (6,))) == [(1, 4)]
    assert blocks(((6, 4, 3, 3), (6,))) == [(1, 4, 3, 3)]
    assert blocks(((6, 4, 3, 3), (6, 1, 1, 1))) == [(1, 4, 3, 3)]
    assert blocks(((320, 640), (3, 5))) == [(128, 128)]
    # A square layer's list is told by the layer that is not square, and the size of its blocks as well.
    assert blocks(((4, 4), (4,)), ((6, 4), (6,))) == [(1, 4), (1, 4)]
    assert blocks(((320, 640), (2, 3)), ((1280, 640), (5, 3))) == [(256, 256), (256, 256)]


@pytest.mark.parametrize(
    "pairs",
    [
        [((4, 4), (4,))],
        [((6, 4), (4,))],
        [((6, 4), (5, 1))],
        [((6, 4), (12, 1))],
        [((6, 4), (6, 1, 1))],
        [((320, 640), (2, 2))],
    ],
)
def test_scales_that_could_be_meant_in_two_ways_are_refused(pairs) -> None:
    with pytest.raises(ModelError, match=r"not clear which weights the scales 0.weight_scale belong to"):
        blocks(*pairs)
