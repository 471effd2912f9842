"""What is chosen for which card, from facts alone: no card is needed, and none was there."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from recorder import Recorder
from torch.overrides import TorchFunctionMode

from webbduck_gradio.core import devices, slow_steps
from webbduck_gradio.core.cards import GIB, Card, card_of, decoding_precisions, precision_for, precision_note
from webbduck_gradio.core.checkpoint_cache import SDXL_BYTES
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.memory_needs import (
    SDXL_VAE,
    Order,
    Weights,
    attention_slice,
    decoding_bytes,
    needs_tiles,
    policy_for,
    slice_attention,
)
from webbduck_gradio.core.memory_policies import POLICIES
from webbduck_gradio.core.slow_steps import SlowSteps
from webbduck_gradio.request.samplers import AUTOMATIC, SAMPLERS, fewest_steps, joined_name
from webbduck_gradio.settings import MEMORY

"""Its `block_out_channels`."""


def nvidia(name: str, major: int, minor: int, gib: int = 8) -> Card:
    return Card("cuda", f"NVIDIA {name}", (major, minor), major >= 8, gib * GIB)


# Precision


@pytest.mark.parametrize(
    ("card", "large", "small"),
    [
        (nvidia("GeForce GTX 1650", 7, 5, 4), "float32", "float32"),
        (nvidia("GeForce GTX 1660 Ti", 7, 5, 6), "float32", "float32"),
        (nvidia("GeForce GTX 1660 SUPER", 7, 5, 6), "float32", "float32"),
        (nvidia("GeForce GTX 1630", 7, 5, 4), "float32", "float32"),
        (nvidia("GeForce GTX 1650 Mobile", 7, 5, 4), "float32", "float32"),
        (nvidia("GeForce MX450", 7, 5, 2), "float32", "float32"),
        (nvidia("T600 Laptop GPU", 7, 5, 4), "float32", "float32"),
        (nvidia("GeForce RTX 2060", 7, 5, 6), "float16", "float16"),
        (nvidia("Tesla T4", 7, 5, 15), "float16", "float16"),
        (nvidia("TITAN V", 7, 0, 12), "float16", "float16"),
        (nvidia("RTX A1000", 8, 6, 8), "float16", "float16"),
        (nvidia("RTX 4000 Ada Generation", 8, 9, 20), "float16", "float16"),
        (nvidia("GeForce RTX 4060", 8, 9), "float16", "float16"),
        (nvidia("H100 80GB HBM3", 9, 0, 80), "float16", "float16"),
        (nvidia("Tesla P100-PCIE-16GB", 6, 0, 16), "float16", "float16"),
        (nvidia("Tesla P40", 6, 1, 24), "float32", "float32"),
        # In float32 SDXL would not fit.
        (nvidia("GeForce GTX 1080 Ti", 6, 1, 11), "float16", "float32"),
        (nvidia("GeForce GTX 980", 5, 2, 4), "float16", "float32"),
        (Card("rocm", "AMD Radeon RX 6800", (10, 3), False, 16 * GIB), "float16", "float16"),
        (Card("mps", "Apple GPU", None, False, 16 * GIB), "float16", "float16"),
        (Card("xpu", "Intel Arc A770", None, True, 16 * GIB), "float16", "float16"),
    ],
    ids=lambda value: value.name if isinstance(value, Card) else None,
)
def test_the_precision_that_a_card_works_in(card, large, small) -> None:
    assert devices.name_of(precision_for(card, is_large=True)) == large
    assert devices.name_of(precision_for(card)) == small
    assert (precision_note(card) is None) == (large == "float16")
    for asked in devices.PRECISIONS:
        assert devices.name_of(devices.chosen_dtype(card, asked, True)) == asked


def test_what_float32_costs_is_said() -> None:
    for card, why in ((nvidia("GeForce GTX 1660", 7, 5), "gives NaN"), (nvidia("P40", 6, 1, 24), "is slow")):
        note = precision_note(card)
        assert note and card.name in note and why in note and "twice the memory" in note
    assert precision_note(Card("cpu")) is None


@pytest.mark.parametrize(
    ("card", "stored", "upcast", "tried"),
    [
        (nvidia("GeForce RTX 3060", 8, 6), "float16", True, ["bfloat16", "float32"]),
        (nvidia("GeForce RTX 2060", 7, 5), "float16", True, ["float16", "float32"]),
        (nvidia("GeForce RTX 2060", 7, 5), "bfloat16", False, ["bfloat16", "float32"]),
        (nvidia("GeForce GTX 1660", 7, 5), "float32", True, ["float32"]),
        (Card("mps"), "float16", True, ["float16", "float32"]),
        (Card("cpu"), "float32", False, ["float32"]),
        (Card("cpu", has_bfloat16=True), "float16", True, ["float32"]),
        (Card("cpu", has_bfloat16=True), "float16", False, ["float16", "float32"]),
        (Card("cpu"), "bfloat16", True, ["bfloat16", "float32"]),
    ],
)
def test_the_precisions_that_a_vae_decodes_in(card, stored, upcast, tried) -> None:
    found = decoding_precisions(card, devices.PRECISIONS[stored], upcast)
    assert list(map(devices.name_of, found)) == tried


@pytest.mark.parametrize(
    ("hip", "found", "card"),
    [
        (None, {"name": "NVIDIA RTX A2000", "major": 8, "minor": 6}, ("cuda", (8, 6), True)),
        (None, {"name": "Tesla T4", "major": 7, "minor": 5}, ("cuda", (7, 5), False)),
        ("6.4", {"name": "AMD Radeon RX 7900 XT", "major": 11, "minor": 0}, ("rocm", (11, 0), True)),
        ("6.4", {"name": "AMD Radeon RX 6800", "major": 10, "minor": 3}, ("rocm", (10, 3), False)),
        (
            "6.4",
            {"name": "MI210", "major": 9, "minor": 0, "gcnArchName": "gfx90a:sramecc+"},
            ("rocm", (9, 0), True),
        ),
    ],
)
def test_what_torch_tells_of_a_card(monkeypatch, hip, found, card) -> None:
    facts = SimpleNamespace(total_memory=8 * GIB, **found)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: {"cuda:1": facts}[device])
    kind, capability, has_bfloat16 = card
    assert card_of("cuda:1") == Card(kind, found["name"], capability, has_bfloat16, 8 * GIB)


def test_intels_cards_come_before_the_processor(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    assert devices.best_device() == "xpu"


def test_the_card_that_is_asked_for_becomes_the_current_one(monkeypatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    devices.prepare("cuda")
    devices.prepare("cpu")
    assert current == []
    devices.prepare("cuda:1")
    assert current == [torch.device("cuda:1")]


def test_the_libraries_of_a_card_are_known(monkeypatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    assert devices.libraries("cuda:1") == {"cuda": "12.8", "cudnn": "91002"}
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert devices.libraries("cuda") == {"hip": "6.4"}


def test_this_device_is_known() -> None:
    card = card_of("cpu")
    assert card.kind == "cpu" and card.total > GIB and devices.budget(card) == card.total // 2
    assert devices.libraries("cpu") == {}


def test_results_are_repeatable_on_every_thread(generator, ask, starter, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    list(generator.generate(ask(steps=1), starter, Recorder()))
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark


def test_nothing_sends_float64_to_the_device(generator, ask, starter) -> None:
    """Apple's GPUs do not have it."""
    sent: list[str] = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):  # type: ignore[no-untyped-def]
            result = function(*arguments, **(named or {}))
            places = (*arguments[1:], *(named or {}).values())
            moves = any(isinstance(each, torch.device | torch.Tensor) or each == "cpu" for each in places)
            if moves and isinstance(result, torch.Tensor) and result.dtype == torch.float64:
                sent.append(f"{function} {arguments[1:]}")
            return result

    with Watch():
        torch.ones(1).to("cpu", torch.float64)  # it is seen
        assert sent
        sent.clear()
        for sampler, source in zip(SAMPLERS, itertools.cycle(["cpu", "nv"]), strict=False):
            steps = max(2, fewest_steps(sampler, AUTOMATIC))
            asked = {"scheduler": joined_name(sampler.name, AUTOMATIC), "steps": steps}
            list(generator.generate(ask(noise_source=source, **asked), starter, Recorder()))
            assert not sent, sampler.name


# Shortages


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.78 GiB",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "HIP out of memory. Tried to allocate 1024.00 MiB. GPU 0 has a total capacity of 15.98 GiB",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
        "Unable to find a valid cuDNN algorithm to run convolution",
        "GET was unable to find an engine to execute this computation",
        "FIND was unable to find an engine to execute this computation",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`",
        "MPS backend out of memory (MPS allocated: 17.66 GB, max allowed: 18.13 GB).",
        "Invalid buffer size: 10.00 GiB",
        "XPU out of memory. Tried to allocate 2.00 GiB.",
        "Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES)",
        "level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_a_shortage_is_known_by_its_message(message) -> None:
    assert devices.is_out_of_memory(RuntimeError(message))
    assert not devices.is_out_of_memory(ValueError(message))


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: device-side assert triggered",
        "CUDA error: an illegal memory access was encountered",
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear for a non-contiguous input.",
        "mat1 and mat2 shapes cannot be multiplied (77x768 and 1024x640)",
    ],
)
def test_other_errors_are_no_shortage(message) -> None:
    assert not devices.is_out_of_memory(RuntimeError(message))


# Policy and tiles


@pytest.mark.parametrize(
    ("kind", "free", "side", "itemsize", "policy"),
    [
        ("cuda", 22, 2048, 2, "resident"),  # 24 GB
        ("cuda", 11, 1024, 2, "resident"),  # 12 GB
        ("cuda", 11, 2048, 2, "tiled"),
        ("cuda", 7.5, 1024, 2, "tiled"),
        ("cuda", 7, 1024, 2, "offload"),  # 8 GB
        ("cuda", 7, 2048, 2, "group-offload"),
        ("cuda", 5.2, 1024, 2, "group-offload"),  # 6 GB
        ("cuda", 3.3, 1024, 2, "group-offload"),  # 4 GB
        ("cuda", 3.3, 2048, 2, "leaf-offload"),
        ("cuda", 1.5, 1024, 2, "leaf-offload"),
        ("cuda", 22, 1024, 4, "resident"),  # float32
        ("cuda", 12, 1024, 4, "offload"),
        ("cuda", 5.2, 1024, 4, "group-offload"),
        ("xpu", 15, 1024, 2, "resident"),
        ("rocm", 15, 1024, 2, "tiled"),
        ("rocm", 7, 1024, 2, "offload"),
        ("mps", 60, 1024, 2, "tiled"),
        ("cpu", 1, 1024, 4, "resident"),
    ],
)
def test_the_policy_follows_what_is_free_and_the_size(kind, free, side, itemsize, policy) -> None:
    weights = Weights.of_total(SDXL_BYTES * itemsize // 2)
    order = Order((side, side), 2, itemsize, itemsize)
    assert policy_for(weights, order, int(free * GIB), kind).name == policy


def test_the_policies_are_those_of_the_settings() -> None:
    assert tuple(policy.name for policy in POLICIES) == MEMORY


def test_the_estimate_is_what_is_known_of_sdxl() -> None:
    for itemsize, gib in ((2, 1.5), (4, 3)):
        assert decoding_bytes((1024, 1024), SDXL_VAE, itemsize) == gib * GIB
    whole = decoding_bytes((2048, 2048), SDXL_VAE, 2, keeps_scores=True)
    assert whole == 2 * 256**4 * 2  # 65,536 positions that attend to each other


@pytest.mark.parametrize(
    ("kind", "size", "itemsize", "free", "tiles"),
    [
        ("cuda", (1024, 1024), 2, 2.0, False),
        ("cuda", (1024, 1024), 2, 1.8, True),
        ("cuda", (1024, 1024), 4, 3.0, True),
        ("cuda", (512, 512), 2, 1.0, False),
        ("cuda", (2048, 2048), 2, 7.0, True),
        ("rocm", (768, 768), 2, 8.0, False),
        ("rocm", (512, 832), 2, 80.0, True),
        ("mps", (1024, 1024), 2, 8.0, False),
        ("mps", (2048, 2048), 2, 16.0, True),
    ],
)
def test_only_a_size_that_does_not_fit_needs_tiles(kind, size, itemsize, free, tiles) -> None:
    assert needs_tiles(kind, size, SDXL_VAE, itemsize, int(free * GIB)) == tiles


def test_tiles_are_used_and_said_where_a_picture_needs_them(
    registry, starter, ask, paint, monkeypatch
) -> None:
    by = ImageGenerator("cpu", registry, policy="tiled")
    (small,) = by.generate(ask(steps=1), starter, Recorder())
    wide = ask(steps=1, width=640, height=64)
    (whole,) = by.generate(wide, starter, Recorder())
    assert "memory_policy" not in small.facts.keys() | whole.facts.keys()
    assert (paint(steps=1, width=640, height=64)[0] == whole.image).all()
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1000)
    (tiled,) = by.generate(wide, starter, Recorder())
    assert tiled.facts["memory_policy"] == "tiled" and tiled.image != whole.image
    (again,) = by.generate(ask(steps=1), starter, Recorder())
    assert "memory_policy" not in again.facts and again.image == small.image


# Attention on Apple's GPUs


@pytest.mark.parametrize(
    ("side", "batch", "heads_at_once"),
    [(1024, 2, None), (1536, 2, None), (1664, 2, 10), (2048, 2, 8), (2048, 1, 8)],
)
def test_attention_is_sliced_where_its_scores_pass_the_largest_buffer(side, batch, heads_at_once) -> None:
    tokens = (side // 16) ** 2
    assert attention_slice(tokens, 10, batch, 2) == heads_at_once


def test_slices_give_the_same_and_go_again(pipe, monkeypatch) -> None:
    unet = pipe.unet
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(1, 4, 8, 8, generator=generator), torch.tensor(500.0)]
    more = {
        "encoder_hidden_states": torch.randn(1, 77, unet.config.cross_attention_dim, generator=generator),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(1, pipe.text_encoder_2.config.projection_dim, generator=generator),
            "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]]),
        },
    }

    @torch.no_grad()
    def output() -> torch.Tensor:
        return unet(*inputs, **more, return_dict=False)[0]

    before = output()
    monkeypatch.setattr("webbduck_gradio.core.memory_needs.MAX_SCORES", 1)
    slice_attention(unet, (64, 64), 2)
    assert any("Sliced" in type(each).__name__ for each in unet.attn_processors.values())
    assert torch.allclose(output(), before, atol=1e-5)
    monkeypatch.undo()
    slice_attention(unet, (64, 64), 2)
    assert torch.equal(output(), before)


# Steps that take far longer


def lengths(*seconds: float) -> list[str | None]:
    """What is said of steps of these lengths; the first one begins the pass."""
    clock = itertools.accumulate(seconds)
    steps = SlowSteps(lambda: next(clock))
    steps.begin()
    return [steps.step() for _ in seconds]


def test_a_step_that_takes_ten_times_as_long_is_said_once() -> None:
    said = lengths(9, *[1.0] * 5, 12.0, 30.0)
    assert [each is not None for each in said] == [False] * 6 + [True, False]
    assert said[6] and "12 times as long" in said[6] and "--memory offload" in said[6]


@pytest.mark.parametrize(
    "seconds",
    [
        [9, *[1.0] * 4, 30.0],  # too few to compare with
        [9, *[0.1] * 8, 4.0],  # a few seconds are nothing
        [9, *[1.0] * 8, 9.0],
        [9, *[1.0] * 5, *[2.0] * 9],
        [90, *[1.0] * 9],
    ],
)
def test_other_steps_are_not_said(seconds) -> None:
    assert not any(lengths(*seconds))


def test_the_first_step_of_a_pass_also_moves_models() -> None:
    clock = itertools.accumulate([1.0] * 7 + [60.0] + [1.0] * 3)
    steps = SlowSteps(lambda: next(clock))
    steps.begin()
    said = [steps.step() for _ in range(7)]
    steps.begin()
    assert not any([*said, *(steps.step() for _ in range(4))])


def test_the_picture_has_the_warning_on_a_graphics_card_alone(registry, starter, ask, monkeypatch) -> None:
    def warnings_on(kind: str) -> tuple[str, ...]:
        ticks = itertools.accumulate([1.0] * 8 + [60.0] + [1.0] * 99)
        monkeypatch.setattr(slow_steps.SlowSteps.__init__, "__defaults__", (lambda: next(ticks),))
        by = ImageGenerator("cpu", registry)
        by.pipelines.card = replace(by.pipelines.card, kind=kind)
        (picture,) = by.generate(ask(steps=10, scheduler="Euler"), starter, Recorder())
        return picture.warnings

    assert warnings_on("cpu") == ()
    (warning,) = warnings_on("cuda")
    assert warning.startswith("A step took 60 times as long as those before it")
