"""Memory policies: what they leave on the device, and that they draw the same."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy
import pytest
import torch
from diffusers import UNet2DConditionModel
from fake_card import META, Allocator, card, sdxl
from recorder import Recorder
from test_memory import failing

from webbduck_gradio.core import devices
from webbduck_gradio.core.cards import GIB
from webbduck_gradio.core.checkpoint_cache import CheckpointCache
from webbduck_gradio.core.device_state import DeviceChoice
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.memory_needs import (
    LIBRARIES,
    MARGIN,
    SDXL_VAE,
    TILE,
    Order,
    Weights,
    decoding_bytes,
    peak,
    sampling_bytes,
)
from webbduck_gradio.core.memory_policies import AUTOMATIC, MemoryPolicy, policy_named
from webbduck_gradio.core.placement import UNET, VAE, Part, Placement
from webbduck_gradio.core.prompts import encode
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.request import GenerationRequest

SIDE, ROWS = 1024, 2


def silent(text: str) -> None: ...


# SDXL at its own size, on cards without values


@pytest.fixture(scope="module")
def full_size():
    return sdxl()


def policy(name: str) -> MemoryPolicy:
    found = policy_named(name)
    assert found is not None
    return found


@torch.no_grad()
def draw(pipe, placement: Placement) -> None:
    """What two images of a job do on the card, as far as memory goes."""
    if placement.policy.encoders == "cpu":
        embeddings, pooled = (torch.empty(1, *shape, device=META) for shape in ((77, 2048), (1280,)))
    else:
        with placement.encoding():
            encoded = encode(pipe, "a duck", "")
        embeddings, pooled = encoded.prompt, encoded.pooled
    cells, tile = SIDE // 8, min(SIDE, TILE) if placement.policy.tiled else SIDE
    devices.set_vae_tiling(pipe.vae, placement.policy.tiled)
    inputs = {"device": META, "dtype": torch.float16}
    for _ in range(2):
        placement.bring(UNET, working=sampling_bytes((SIDE, SIDE), ROWS, 2))
        pipe.unet(
            torch.empty(ROWS, 4, cells, cells, **inputs),
            torch.empty((), device=META),
            encoder_hidden_states=torch.cat([embeddings] * ROWS),
            added_cond_kwargs={
                "text_embeds": torch.cat([pooled] * ROWS),
                "time_ids": torch.empty(ROWS, 6, **inputs),
            },
            return_dict=False,
        )
        placement.bring(VAE, working=int(decoding_bytes((tile, tile), SDXL_VAE, 2) * MARGIN))
        pipe.vae.decode(torch.empty(1, 4, cells, cells, **inputs), return_dict=False)


def taken(pipe, name: str, memory: float) -> Allocator:
    """Draw on a card with this much memory, in bytes."""
    with pytest.MonkeyPatch.context() as monkeypatch, card(monkeypatch, memory, pipe) as allocator:
        placement = Placement(pipe, META, policy(name), is_mapped=True)
        try:
            placement.settle()
            draw(pipe, placement)
        finally:
            placement.release()
            placement.leave()
        assert allocator.now == 0  # idle again
    return allocator


def weights(pipe) -> Weights:
    def size(*models: torch.nn.Module) -> int:
        return sum(each.nbytes for model in models for each in model.parameters())

    return Weights(size(pipe.unet), size(pipe.text_encoder, pipe.text_encoder_2), size(pipe.vae))


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("group-offload", 3.3),  # 4 GB, of which a desktop takes some
        pytest.param("leaf-offload", 1.5, marks=pytest.mark.slow),
        pytest.param("resident", 9.0, marks=pytest.mark.slow),
        pytest.param("tiled", 7.5, marks=pytest.mark.slow),
        pytest.param("offload", 7.0, marks=pytest.mark.slow),
        pytest.param("fp8", 5.2, marks=pytest.mark.slow),
    ],
)
def test_sdxl_fits_as_was_reckoned(full_size, name, free) -> None:
    allocator = taken(full_size, name, free * GIB)
    reckoned = peak(policy(name), weights(full_size), Order((SIDE, SIDE), ROWS))
    assert reckoned <= free * GIB
    assert 0.4 * reckoned < allocator.peak <= reckoned - LIBRARIES


def test_a_card_that_is_too_small_runs_short_and_is_empty_afterwards(full_size) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        taken(full_size, "offload", 3.3 * GIB)


def test_the_unet_stays_for_the_whole_batch_where_decoding_leaves_room(full_size, monkeypatch) -> None:
    """It is 5 GB to copy for each image otherwise."""
    with card(monkeypatch, 7 * GIB, full_size) as allocator:
        placement = Placement(full_size, META, policy("offload"), is_mapped=True)
        placement.bring(UNET)
        before = [each.data_ptr() for each in full_size.unet.parameters()], placement.on_device
        placement.bring(VAE, working=GIB)
        assert placement.on_device > before[1] and allocator.now >= placement.on_device
        placement.bring(VAE, working=2 * GIB)
        assert placement.on_device < GIB  # now it has left: nothing else could make the room
        placement.leave()
        assert allocator.now == 0


def test_another_checkpoint_leaves_the_card_where_both_do_not_fit(monkeypatch) -> None:
    pipes = sdxl(), sdxl()
    with card(monkeypatch, 11 * GIB, *pipes) as allocator:
        both: list[Placement] = []
        both += [
            Placement(pipe, META, policy("resident"), is_mapped=True, others=partial(_others, both, number))
            for number, pipe in enumerate(pipes)
        ]
        for own, other in (both, both[::-1]):
            own.settle()
            own.bring(UNET, working=GIB)
            assert own.on_device > 6.4 * GIB and other.on_device < 4 * GIB
            own.bring(VAE, working=GIB)
            assert own.on_device > 6.4 * GIB  # its own parts stay with this policy
        assert allocator.peak < 11 * GIB


def _others(both: list[Placement], number: int) -> list[Placement]:
    return [both[1 - number]]


# The starter, with its values


def on_a_card(name: str, registry) -> ImageGenerator:
    """Moves lead to where the parts are already; all else is as on a graphics card."""
    generator = ImageGenerator("cpu", registry, policy=name, inputs=InputImageStore(registry.settings))
    generator.pipelines._has_own_memory = True
    return generator


@pytest.fixture(scope="module")
def usual(ask, paint, starter, image, mask) -> list[tuple[GenerationRequest, list[numpy.ndarray]]]:
    """Requests of all kinds, and their pictures without a policy."""
    asked: list[dict[str, Any]] = [
        {},
        {"image": image, "mask": mask, "width": 96, "height": 80},
        {"loras": [{"name": "whole", "weight": 1}]},
        {"second_pass_model": starter.name, "refinement_strength": 0.5},
        {"second_pass_model": "refiner", "num_images": 2},
        {"pag_scale": 2.0, "slg_scale": 1.0},
    ]
    return [(ask(steps=2, **each), paint(steps=2, **each)) for each in asked]


@pytest.mark.parametrize("name", [each.name for each in AUTOMATIC if each.offloads])
def test_each_policy_draws_the_same(registry, starter, usual, name) -> None:
    generator = on_a_card(name, registry)
    for request, expected in usual:
        pictures = [each.image for each in generator.generate(request, starter, Recorder())]
        assert numpy.array_equal(pictures, expected)
    assert generator.describe()["policy"] == name


def test_fp8_changes_pictures_a_little_and_says_so(registry, starter, ask, paint) -> None:
    asked = {"steps": 8, "sampler": "Euler", "schedule": "Karras", "width": 128, "height": 128}
    lora = {"loras": [{"name": "whole", "weight": 1}]}
    generator = on_a_card("fp8", registry)

    def drawn(**more):
        (picture,) = generator.generate(ask(**asked, **more), starter, Recorder())
        return picture, numpy.asarray(picture.image).astype(int)

    picture, narrow = drawn()
    usual = paint(**asked)[0]
    assert 0 < numpy.abs(narrow - usual).mean() < 10
    assert picture.facts["memory_policy"] == "fp8"
    unet = generator.pipelines.get(starter, silent).pipe.unet
    assert sum(each.dtype == torch.float8_e4m3fn for each in unet.parameters()) > 100
    _, changed = drawn(**lora)
    assert not numpy.array_equal(changed, narrow) and numpy.array_equal(drawn()[1], narrow)
    generator.choose(DeviceChoice("offload"))
    picture, again = drawn(**lora)
    assert numpy.array_equal(again, paint(**asked, **lora)[0]) and "memory_policy" not in picture.facts
    assert numpy.array_equal(drawn()[1], usual)


def test_a_choice_holds_from_the_next_job_on_without_loading_anew(registry, starter, ask) -> None:
    generator, recorder = on_a_card("resident", registry), Recorder()
    for name in ("group-offload", "tiled", "leaf-offload", "resident"):
        generator.choose(DeviceChoice(name))
        list(generator.generate(ask(steps=1), starter, recorder))
        assert generator.describe()["policy"] == generator.describe()["memory"] == name
    assert recorder.texts.count("Loading webbduck-starter; the first picture takes longer") == 1


def test_a_shortage_leads_down_to_the_thriftiest_policy(starter) -> None:
    pipelines = CheckpointCache("cpu")
    pipelines._has_own_memory = True
    pipelines.start_job((1024, 1024))
    names = []
    while pipelines.reduce_memory(decoding=False):
        names.append(pipelines.policy.name)
    assert names == ["offload", "group-offload", "leaf-offload"]
    pipelines.start_job((1024, 1024))
    assert pipelines.policy.name == "leaf-offload"  # it ran short at this size
    pipelines.start_job((512, 512), 2, [starter])
    assert pipelines.policy.name == "resident"


def test_a_policy_that_was_asked_for_and_did_not_do_is_named(registry, starter, ask, monkeypatch) -> None:
    generator = on_a_card("offload", registry)

    def warnings() -> list[str]:
        return [
            text for each in generator.generate(ask(steps=1), starter, Recorder()) for text in each.warnings
        ]

    assert warnings() == []
    with monkeypatch.context() as patched:
        failing(patched, UNet2DConditionModel, "forward", torch.OutOfMemoryError("CUDA out of memory"), 1)
        assert warnings() == ["Memory ran out; generated again with memory policy 'group-offload'."]
    (said,) = warnings()
    assert said.startswith("Memory policy 'group-offload' was used instead of 'offload'")
    generator.choose(DeviceChoice("offload"))
    assert warnings() == [] and generator.describe()["policy"] == "offload"


def test_weights_that_were_changed_on_the_device_leave_it_as_they_are() -> None:
    layer = torch.nn.Linear(3, 3)
    before, cpu = layer.weight.data, torch.device("cpu")
    part = Part(layer)
    part.come(cpu, keeps_home=True)
    layer.weight.data = before.clone()  # as a real device has a copy
    part.leave()
    assert layer.weight.data_ptr() == before.data_ptr()
    part.come(cpu, keeps_home=True)
    layer.weight.data = changed = before + 1
    part.keep_changes()
    part.leave()
    assert torch.equal(layer.weight, changed)
    part.come(cpu, keeps_home=False)
    part.leave()
    assert torch.equal(layer.weight, changed)


def test_a_row_in_8_bits_is_within_a_sixteenth_of_each_number() -> None:
    from webbduck_gradio.core.fp8_storage import stored_in_8_bits

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 320, generator=generator) * 10.0 ** torch.linspace(-5, 3, 64)[:, None]
    weight[7] = 0
    stored, scale = stored_in_8_bits(weight)
    assert stored.dtype == torch.float8_e4m3fn and math.frexp(scale[3].item())[0] == 0.5
    large = weight.abs() > weight.abs().amax(1, keepdim=True) / 2**13
    error = (stored.float() * scale - weight).abs()
    assert (error <= weight.abs() / 16)[large].all() and (error[7] == 0).all()
