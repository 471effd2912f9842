"""Where and when a LoRA counts: by text encoder and UNet, by block, by step; files that mix kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from recorder import Recorder
from request_checks import validate
from safetensors.torch import load_file, save_file

from webbduck_gradio.core import checkpoint_files
from webbduck_gradio.core.lora_adapters import LoraAdapters
from webbduck_gradio.errors import CancelledError
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.models.lora_uses import LoraUse, block_of
from webbduck_gradio.request.lora_blocks import LISTS, SDXL, as_numbers, factor
from webbduck_gradio.settings import Settings

Place = tuple[str, str]


@pytest.fixture(scope="module")
def pipe(starter: Checkpoint) -> Any:
    return checkpoint_files.read(starter, torch.float32)


@pytest.fixture(scope="module")
def added(pipe: Any) -> Callable[[LoraUse], dict[Place, torch.Tensor]]:
    """What a use changes in the checkpoint; it is taken away again."""
    adapters = LoraAdapters(pipe)
    before = weights(pipe)

    def find(use: LoraUse) -> dict[Place, torch.Tensor]:
        adapters.activate([use])
        found = {
            place: each - before[place]
            for place, each in weights(pipe).items()
            if not torch.equal(each, before[place])
        }
        adapters.activate([])
        assert all(
            each is before[place] or torch.equal(each, before[place]) for place, each in weights(pipe).items()
        )
        return found

    return find


def weights(pipe: Any) -> dict[Place, torch.Tensor]:
    return {
        (part, name): each.data
        for part in ("unet", "text_encoder", "text_encoder_2")
        for name, each in getattr(pipe, part).named_parameters()
    }


def test_text_encoders_have_a_weight_of_their_own(added, registry: Registry) -> None:
    whole = registry.lora("whole")
    half, other = added(LoraUse(whole, 0.5)), added(LoraUse(whole, 0.5, te_weight=-1.0))
    assert half.keys() == other.keys()
    for (part, name), change in half.items():
        wanted = change if part == "unet" else -2 * change
        assert torch.allclose(other[part, name], wanted, atol=1e-6)
    assert {part for part, _ in added(LoraUse(whole, 0.5, te_weight=0.0))} == {"unet"}
    assert {part for part, _ in added(LoraUse(whole, 0.0, te_weight=1.0))} == {
        "text_encoder",
        "text_encoder_2",
    }


def test_blocks_have_weights_of_their_own(added, registry: Registry) -> None:
    whole, all_of_it = registry.lora("whole"), added(LoraUse(registry.lora("whole"), 0.8))
    numbers = tuple(0.0 if name in ("OUT02", "IN05") else 0.5 for name in LISTS[20])
    parts = added(LoraUse(whole, 0.8, blocks=numbers))
    gone = {name for _, name in all_of_it.keys() - parts.keys()}
    assert gone == {
        name
        for _, name in all_of_it
        if name.startswith(("up_blocks.1.attentions.0", "down_blocks.2.attentions.0"))
    }
    assert all(torch.allclose(each, 0.5 * all_of_it[place], atol=1e-6) for place, each in parts.items())
    deep = added(LoraUse(whole, 0.8, blocks="OUTD"))
    assert {name.split(".attentions")[0] for part, name in deep if part == "unet"} == {"up_blocks.0"}
    assert {part for part, _ in deep} == {"unet", "text_encoder", "text_encoder_2"}
    assert added(LoraUse(whole, 0.8, blocks="NONE")) == {}


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("conv_in.weight", "IN00"),
        ("down_blocks.0.resnets.1.conv1.weight", "IN02"),
        ("down_blocks.0.downsamplers.0.conv.weight", "IN03"),
        ("down_blocks.1.attentions.1.transformer_blocks.0.attn1.to_q.weight", "IN05"),
        ("down_blocks.2.attentions.0.proj_in.weight", "IN07"),
        ("mid_block.attentions.0.proj_in.weight", "M00"),
        ("up_blocks.0.attentions.2.proj_in.weight", "OUT02"),
        ("up_blocks.0.upsamplers.0.conv.weight", "OUT02"),
        ("up_blocks.2.resnets.2.conv2.bias", "OUT08"),
    ],
)
def test_blocks_are_those_of_the_original_unet(name: str, block: str) -> None:
    found = block_of(name, 2, 3)
    assert found is not None and found.name == block and found in SDXL


def test_what_is_in_no_block_keeps_its_weight() -> None:
    assert block_of("time_embedding.linear_1.weight", 2, 3) is block_of("conv_out.weight", 2, 3) is None
    assert factor("NONE", None) == 1.0


def test_presets_are_lists_too() -> None:
    assert as_numbers("INALL") == (1, *[1] * 9, 0, *[0] * 9)
    assert as_numbers("OUTD") == (1, *[0] * 10, 1, 1, 1, *[0] * 6)
    assert as_numbers("MIDD") == (1, *[0] * 7, 1, 1, 1, 1, 1, 1, *[0] * 6)
    assert as_numbers("ALL0.5") == (0.5,) * 20
    short = tuple(float(number) for number in range(12))
    assert [factor(short, block) for block in SDXL] == [
        0,
        0,
        0,
        0,
        0,
        1,
        2,
        0,
        3,
        4,
        5,
        *range(6, 12),
        0,
        0,
        0,
    ]


class Weight:
    """Notes one of the UNet's weights at each of its evaluations."""

    def __init__(self, unet: Any, name: str):
        self.seen: list[float] = []
        self._parameter = unet.get_parameter(name)
        self._hook = unet.register_forward_pre_hook(self._note)

    def _note(self, *_: Any) -> None:
        self.seen.append(float(self._parameter.data.double().sum()))

    def __enter__(self) -> Weight:
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def test_it_acts_between_its_steps_in_each_pass(paint, generator, starter) -> None:
    unet = generator.pipelines.get(starter, lambda text: None).pipe.unet
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    hires = {"hires_scale": 1.5, "hires_upscaler": "Latent", "hires_steps": 4, "hires_strength": 1.0}
    use = {"name": "whole", "weight": 0.8, "start": 0.25, "end": 0.75}
    with Weight(unet, name) as weight:
        limited = paint(loras=[use], **hires, cfg=1, num_images=2)
        own = float(unet.get_parameter(name).data.double().sum())
    assert [each == weight.seen[0] for each in weight.seen] == [True, False, False, True] * 4
    assert weight.seen[0] == own
    assert numpy.array_equal(paint(loras=[use], **hires, cfg=1, seed=8)[0], limited[1])
    assert not numpy.array_equal(paint(loras=[use | {"end": 1.0}], **hires, cfg=1)[0], limited[0])
    for outside in ({"start": 0, "end": 1}, {}):
        full = paint(loras=[{"name": "whole", "weight": 0.8, **outside}])
        assert numpy.array_equal(full[0], paint(loras=[{"name": "whole", "weight": 0.8}])[0])


def test_tags_mean_what_the_stack_means(paint, generator, starter, ask) -> None:
    use = {"name": "whole", "weight": 0.6, "te_weight": 0.2, "blocks": "MIDD", "start": 0.25, "end": 0.75}
    expected = paint(loras=[use])[0]
    request = ask(prompt="a red duck on a pond <lora:whole:0.2:0.6:lbw=MIDD:start=2:stop=4>")
    (picture,) = generator.generate(request, starter, Recorder())
    assert numpy.array_equal(picture.image, expected)
    assert picture.facts["loras"] == [use]


def test_stopping_acts_while_a_lora_is_added(generator, registry, starter, ask, paint) -> None:
    class Stopping(Recorder):
        checks = 0

        def check(self) -> None:
            self.checks += "Applying LoRAs" in self.texts
            if self.checks > 20:
                raise CancelledError("Stopped.")

    paint(steps=1)
    reporter = Stopping()
    with pytest.raises(CancelledError):
        list(generator.generate(ask(loras=[{"name": "whole", "weight": 0.31}]), starter, reporter))
    adapters = generator.pipelines.get(starter, lambda text: None).adapters
    assert reporter.checks == 21 and reporter.steps == [] and adapters.active == ()


@pytest.fixture
def shelf(folders: Settings, tmp_path: Path) -> Settings:
    loras = tmp_path / "lora"
    loras.mkdir()
    return Settings(
        checkpoints=folders.checkpoints, loras=loras, outputs=folders.outputs, inputs=folders.inputs
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_a_file_may_mix_kinds_names_and_biases(added, pipe: Any, shelf: Settings, dtype: torch.dtype) -> None:
    """Weights and biases, a layer that normalises, LyCORIS' and ComfyUI's names, a text encoder."""
    attention = "mid_block.attentions.0.transformer_blocks.0.attn1"
    shapes = {name: tuple(each.shape) for (part, name), each in weights(pipe).items() if part == "unet"}
    random = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return (torch.randn(shape, generator=random) / 4).to(dtype)

    out = shapes[f"{attention}.to_out.0.weight"]
    flat = "lycoris_unet_" + attention.replace(".", "_")
    tensors = {
        f"{flat}_to_out_0.diff": numbers(*out),
        f"{flat}_to_out_0.diff_b": numbers(out[0]),
        "lora_unet_mid_block_resnets_0_norm1.w_norm": numbers(*shapes["mid_block.resnets.0.norm1.weight"]),
        "lora_unet_mid_block_resnets_0_norm1.b_norm": numbers(*shapes["mid_block.resnets.0.norm1.bias"]),
        "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.lokr_w1": numbers(2, 2),
        "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.lokr_w2": numbers(
            *(side // 2 for side in shapes[f"{attention}.to_q.weight"])
        ),
    }
    width = pipe.text_encoder.get_parameter("encoder.layers.0.self_attn.q_proj.weight").shape[0]
    tensors["text_encoder.encoder.layers.0.self_attn.q_proj.lora_A.weight"] = numbers(2, width)
    tensors["text_encoder.encoder.layers.0.self_attn.q_proj.lora_B.weight"] = numbers(width, 2)
    tensors["text_encoder.encoder.layers.0.self_attn.q_proj.lora_B.bias"] = numbers(width)
    save_file(tensors, shelf.loras / "mixed.safetensors", {"ss_base_model_version": "sdxl_base_v1-0"})
    registry = Registry(shelf)
    found = added(LoraUse(registry.lora("mixed"), -0.5))
    assert len(found) == 7
    for place, name in (
        (f"{attention}.to_out.0.weight", f"{flat}_to_out_0.diff"),
        (f"{attention}.to_out.0.bias", f"{flat}_to_out_0.diff_b"),
        ("mid_block.resnets.0.norm1.bias", "lora_unet_mid_block_resnets_0_norm1.b_norm"),
    ):
        assert torch.allclose(found["unet", place], -0.5 * tensors[name].float(), atol=1e-6)


def test_what_has_no_effect_is_said(folders: Settings, shelf: Settings, ask) -> None:
    tensors = load_file(folders.loras / "whole.safetensors")
    for name, part in (("unet", "unet."), ("words", "text_encoder")):
        save_file(
            {key: each for key, each in tensors.items() if key.startswith(part)},
            shelf.loras / f"{name}.safetensors",
        )
    registry = Registry(shelf)

    def said(**use: Any) -> list[str]:
        return validate(registry, ask(loras=[use]))

    assert said(name="unet", te_weight=0.5) == [
        "The LoRA unet changes no text encoder, so that its te_weight has no effect."
    ]
    assert "its blocks have no effect there" in said(name="words", blocks="OUTD")[0]
    assert "its start and end have no effect there" in said(name="words", end=0.5)[0]
    assert "acts in none of the 4 steps" in said(name="unet", start=0.4, end=0.55)[0]
    assert said(name="unet", blocks="OUTD", start=0.5) == said(name="words", te_weight=0.1) == []
