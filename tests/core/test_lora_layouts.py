"""One LoRA, written as each program writes it: all files draw what weights added by hand draw.

Its parts have different ranks and alphas, and lie in attention, convolutions, embeddings and both encoders.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
import torch
from recorder import Recorder
from request_checks import validate
from safetensors.torch import save_file

from webbduck_gradio.benchmarks import original_layout as original
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

ENDINGS = {
    "unet": (
        "attn1.to_q",
        "attn2.to_k",
        "attn2.to_out.0",
        "ff.net.0.proj",
        "proj_in",
        "time_emb_proj",
        "resnets.0.conv1",
        "conv_shortcut",
        "0.conv",
        "conv_in",
        "conv_out",
        "embedding.linear_1",
    ),
    "text_encoder": ("q_proj", "out_proj", "fc1"),
    "text_encoder_2": ("v_proj", "out_proj", "fc2", "text_projection"),
}
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}


@dataclass(frozen=True)
class Part:
    model: str
    name: str
    """With dots, as diffusers names it; a text encoder's layers begin with `text_model.`"""
    original: str
    """As a single-file checkpoint names it; only of the UNet."""
    down: torch.Tensor
    up: torch.Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def flat(self) -> str:
        return KOHYA[self.model] + self.name.replace(".", "_")


@pytest.fixture(scope="module")
def parts(pipe: Any) -> list[Part]:
    random = torch.Generator().manual_seed(11)
    made = []
    for model, endings in ENDINGS.items():
        module = getattr(pipe, model)
        bare = module.state_dict()
        names = list(bare)
        renamed = list(original.unet(module)) if model == "unet" else names
        for key, other in zip(names, renamed, strict=True):
            name = key.removesuffix(".weight")
            if not key.endswith(".weight") or not name.endswith(endings):
                continue
            weight = bare[key]
            rank = (2, 3, 4, 6)[len(made) % 4]
            down = torch.randn(rank, *weight.shape[1:], generator=random) / weight[0].numel() ** 0.5
            ones = (1,) * (weight.ndim - 2)
            up = 0.15 * torch.randn(weight.shape[0], rank, *ones, generator=random)
            if model != "unet" and name != "text_projection":
                name = "text_model." + name.removeprefix("text_model.")
            there = other.removeprefix("model.diffusion_model.").removesuffix(".weight")
            made.append(Part(model, name, there, down, up, (1.0, 4.0, 7.5)[len(made) % 3]))
    return made


Files = tuple[dict[str, torch.Tensor], dict[str, str]]


def kohya(parts: list[Part], name: Callable[[Part], str] = lambda part: part.flat) -> Files:
    tensors = {}
    for part in parts:
        tensors[name(part) + ".lora_down.weight"] = part.down
        tensors[name(part) + ".lora_up.weight"] = part.up
        tensors[name(part) + ".alpha"] = torch.tensor(part.alpha)
    return tensors, {"ss_base_model_version": "sdxl_base_v1-0"}


def numbered(part: Part) -> str:
    return part.flat if part.model != "unet" else "lora_unet_" + part.original.replace(".", "_")


def for_comfyui(part: Part) -> str:
    if part.model == "unet":
        return "diffusion_model." + part.original
    return f"text_encoders.{'clip_g' if part.model.endswith('2') else 'clip_l'}.transformer.{part.name}"


def peft(
    parts: list[Part], halves: tuple[str, str] = (".lora_A.weight", ".lora_B.weight"), start: str = ""
) -> Files:
    """Without alphas: the products are as they are to be added."""
    tensors = {}
    for part in parts:
        tensors[f"{part.model}.{start}{part.name}{halves[0]}"] = part.down
        tensors[f"{part.model}.{start}{part.name}{halves[1]}"] = part.up * (part.alpha / part.rank)
    return tensors, {}


def peft_with_alphas(parts: list[Part]) -> Files:
    tensors = {}
    for part in parts:
        tensors[f"{part.model}.{part.name}.lora_A.weight"] = part.down
        tensors[f"{part.model}.{part.name}.lora_B.weight"] = part.up
        tensors[f"{part.model}.{part.name}.alpha"] = torch.tensor([part.alpha], dtype=torch.float64)
    return tensors, {}


def old(part: Part) -> str:
    """Attention as diffusers' processors named it."""
    module = f"{part.model}.{part.name}".replace("to_out.0", "to_out")
    before, _, last = module.rpartition(".")
    if last.startswith("to_"):
        return f"{before}.processor.{last}_lora"
    return module + (".lora_linear_layer" if part.model != "unet" else ".lora")


def oldest(parts: list[Part]) -> Files:
    tensors = {}
    for part in parts:
        tensors[old(part) + ".down.weight"] = part.down
        tensors[old(part) + ".up.weight"] = part.up * (part.alpha / part.rank)
    return tensors, {}


def config(parts: list[Part], model: str, rslora: bool = False) -> dict[str, Any]:
    """peft's configuration of those in `model`; the first alpha is the usual one."""
    mine = [part for part in parts if part.model == model]
    alphas = {
        f"^{part.name}": part.alpha * (part.rank**-0.5 if rslora else 1)
        for part in mine
        if rslora or part.alpha != mine[0].alpha
    }
    return {
        "peft_type": "LORA",
        "r": mine[0].rank,
        "lora_alpha": mine[0].alpha,
        "alpha_pattern": alphas,
        "rank_pattern": {f"^{part.name}": part.rank for part in mine if part.rank != mine[0].rank},
        "use_rslora": rslora,
        "use_dora": False,
    }


def with_metadata(parts: list[Part], rslora: bool = False, adapter: str = "") -> Files:
    tensors, said = {}, {}
    for part in parts:
        tensors[f"{part.model}.{part.name}.lora_A{adapter}.weight"] = part.down
        tensors[f"{part.model}.{part.name}.lora_B{adapter}.weight"] = part.up
    for model in ENDINGS:
        said |= {f"{model}.{key}": value for key, value in config(parts, model, rslora).items()}
    return tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(said)}


LAYOUTS: dict[str, Callable[[list[Part]], Files]] = {
    "kohya": kohya,
    "kohya, the original numbering": lambda parts: kohya(parts, numbered),
    "comfyui": lambda parts: kohya(parts, for_comfyui),
    "omi": lambda parts: kohya(
        parts,
        lambda part: (
            {"unet": "unet.", "text_encoder": "clip_l.", "text_encoder_2": "clip_g."}[part.model] + part.name
        ),
    ),
    "peft": peft,
    "peft, an adapter's name": lambda parts: peft(parts, (".lora_A.my-own.weight", ".lora_B.my-own.weight")),
    "peft, inside its own model": lambda parts: peft(parts, start="base_model.model."),
    "peft, compiled": lambda parts: peft(parts, start="_orig_mod."),
    "peft, alpha tensors": peft_with_alphas,
    "peft, alphas in the metadata": with_metadata,
    "peft, the metadata of rslora": lambda parts: with_metadata(parts, rslora=True, adapter=".default"),
    "old diffusers": lambda parts: peft(parts, (".lora.down.weight", ".lora.up.weight")),
    "oldest diffusers": oldest,
}


def write(folders: Settings, name: str, files: Files) -> None:
    tensors, metadata = files
    folders.loras.mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folders.loras / name, metadata)


@pytest.fixture(scope="module")
def studio(folders: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("layouts")
    return Settings(
        checkpoints=folders.checkpoints, loras=folder / "lora", outputs=folder / "out", inputs=folders.inputs
    )


ASKED: dict[str, Any] = {"steps": 2, "negative_prompt": "blurry"}


@pytest.fixture(scope="module")
def wanted(parts: list[Part], registry: Registry, starter, ask) -> numpy.ndarray:
    """The picture of a checkpoint to whose weights the LoRA was added by hand, at a weight of 0.8."""
    merged = ImageGenerator("cpu", registry)
    pipe = merged.pipelines.get(starter, lambda text: None).pipe
    for part in parts:
        model = getattr(pipe, part.model)
        there = dict(model.named_modules())
        weight = there.get(part.name, there.get(part.name.removeprefix("text_model."))).weight
        weight += 0.8 * part.alpha / part.rank * (part.up.flatten(1) @ part.down.flatten(1)).view_as(weight)
    (picture,) = merged.generate(ask(**ASKED), starter, Recorder())
    return numpy.asarray(picture.image).astype(int)


@pytest.fixture(scope="module")
def bare(paint) -> numpy.ndarray:
    """The picture without a LoRA."""
    return paint(**ASKED)[0]


def drawn(studio: Settings, generator: ImageGenerator, ask, name: str) -> numpy.ndarray:
    registry = Registry(studio)
    request = ask(**ASKED, loras=[{"name": name, "weight": 0.8}])
    assert validate(registry, request) == []
    used = ImageGenerator("cpu", registry)
    used.pipelines = generator.pipelines  # the checkpoint is in memory there
    (picture,) = used.generate(request, registry.checkpoint("webbduck-starter"), Recorder())
    return numpy.asarray(picture.image).astype(int)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_adds_what_it_says(
    studio: Settings, generator: ImageGenerator, parts, wanted, bare, ask, layout: str
) -> None:
    name = f"lora{list(LAYOUTS).index(layout)}"
    write(studio, f"{name}.safetensors", LAYOUTS[layout](parts))
    assert numpy.abs(bare - wanted).mean() > 5
    assert numpy.abs(drawn(studio, generator, ask, name) - wanted).max() <= 1


def test_a_configuration_beside_the_file_counts(
    studio: Settings, generator: ImageGenerator, parts, bare, ask
) -> None:
    """As peft saves a model: the UNet alone, and alpha only in adapter_config.json."""
    mine = [part for part in parts if part.model == "unet"]
    tensors = {}
    for part in mine:
        tensors[f"base_model.model.{part.name}.lora_A.weight"] = part.down
        tensors[f"base_model.model.{part.name}.lora_B.weight"] = part.up
    home = studio.loras / "by-peft"
    home.mkdir(parents=True, exist_ok=True)
    write(studio, "by-peft/adapter_model.safetensors", (tensors, {}))
    write(studio, "unet-alone.safetensors", kohya(mine))
    saying = "has no alpha"
    with pytest.raises(AssertionError, match=saying):  # a warning, where none is expected
        drawn(studio, generator, ask, "by-peft/adapter_model")
    (home / "adapter_config.json").write_text(json.dumps(config(mine, "unet")))
    by_alpha = drawn(studio, generator, ask, "unet-alone")
    assert numpy.abs(drawn(studio, generator, ask, "by-peft/adapter_model") - by_alpha).max() <= 1
    assert numpy.abs(bare - by_alpha).mean() > 2
