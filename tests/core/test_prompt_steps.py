"""Prompts that change from step to step and prompts joined by AND, drawn by the starter checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy
import pytest
import torch

from webbduck_gradio.request.samplers import sampler_named

A, B = "a red duck on a pond", "a blue cat in a castle"
Paint = Callable[..., list[numpy.ndarray]]


@pytest.fixture(scope="module")
def drawn(paint: Paint) -> Callable[..., numpy.ndarray]:
    """A picture by Euler at 64 x 64 pixels; each is drawn once."""
    known: dict[str, numpy.ndarray] = {}

    def make(prompt: str, **fields: Any) -> numpy.ndarray:
        key = repr((prompt, sorted(fields.items())))
        if key not in known:
            known[key] = paint(prompt=prompt, **{"scheduler": "Euler", "negative_prompt": "fog"} | fields)[0]
        return known[key]

    return make


def same(one: numpy.ndarray, other: numpy.ndarray) -> bool:
    return numpy.array_equal(one, other)


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        (f"[{A}:{B}:0]", B),
        (f"[{A}:{B}:1.0]", A),
        (f"[{A}|{A}]", A),
        (f"[{A}::4]", A),
        (f"[[{A}:{B}:4]|{A}]", A),
        (f"{A} AND {B} :0", A),
        (f"{A} :0.5 AND {A} :0.5", A),
    ],
)
def test_what_comes_to_a_plain_prompt_is_drawn_as_it_to_the_bit(drawn, prompt: str, plain: str) -> None:
    assert same(drawn(prompt), drawn(plain))
    assert not same(drawn(A), drawn(B))


@pytest.mark.parametrize("prompt", [f"[{A}:{B}:0.5]", f"[{A}|{B}]", f"[{B}:{A}:1]", f"{A} AND {B}"])
def test_what_changes_is_neither(drawn, prompt: str) -> None:
    for plain in (A, B):
        assert numpy.abs(drawn(prompt) - drawn(plain)).mean() > 1


@pytest.mark.parametrize("field", ["negative_prompt", "prompt_2"])
def test_the_other_prompts_change_too(drawn, field: str) -> None:
    assert same(drawn(A, **{field: f"[{A}:{B}:0]"}), drawn(A, **{field: B}))
    changing = drawn(A, **{field: f"[{A}:{B}:1]"})
    assert not same(changing, drawn(A, **{field: A})) and not same(changing, drawn(A, **{field: B}))


def test_the_texts_may_have_different_lengths(drawn) -> None:
    long = "duck, " * 40
    assert same(drawn(f"[{long}:{A}:0]"), drawn(A))
    assert same(drawn(f"[{A}:{long}:1.0]"), drawn(A))
    assert not same(drawn(f"[{A}:{long}:2]"), drawn(A))
    assert not same(drawn(f"{A} AND {long} :0.3"), drawn(A))


def test_joined_prompts_add_their_guidance(drawn) -> None:
    """negative + the sum of weight * (prompt - negative) * CFG, so that weights and CFG can stand in for each
    other; but for roundings."""

    def alike(one: numpy.ndarray, other: numpy.ndarray) -> bool:
        return int(numpy.abs(one - other).max()) <= 2

    assert alike(drawn(f"{A} AND {A} :0.5", cfg=4), drawn(A, cfg=6))
    assert alike(drawn(f"{A} :3 AND {B} :0", cfg=1), drawn(A, cfg=3))
    assert alike(drawn(f"{A} :0.5 AND {B} :1", cfg=8), drawn(f"{B} :2 AND {A} ", cfg=4))
    assert not alike(drawn(f"{A} AND {B}", cfg=1), drawn(f"{B} AND {A}", cfg=1, negative_prompt=A))
    assert not alike(drawn(f"{A} AND {B}", cfg=4), drawn(f"{A} AND {B} :-1", cfg=4))


@pytest.mark.parametrize(
    "guidance",
    [
        {"pag_scale": 3.0, "slg_scale": 1.0},
        {"cfg_rescale": 0.7, "mimic_cfg": 3.0},
        {"guidance_start": 0.3, "guidance_end": 0.8},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_joined_prompts_go_with_the_other_kinds_of_guidance(drawn, guidance: dict[str, float]) -> None:
    """Two halves of one prompt are that prompt."""
    joined, plain = f"{A} :0.5 AND ({A}:1.0) :0.5", A
    difference = numpy.abs(drawn(joined, **guidance) - drawn(plain, **guidance))
    assert difference.max() <= 3
    assert not same(drawn(plain, **guidance), drawn(plain))


@contextmanager
def seen(unet: torch.nn.Module) -> Iterator[list[bytes]]:
    """What tells the last prompt of each evaluation."""
    found: list[bytes] = []

    def note(module: torch.nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        found.append(given["encoder_hidden_states"][-1].numpy().tobytes())

    hook = unet.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield found
    finally:
        hook.remove()


def runs(found: list[bytes]) -> list[int]:
    """How many evaluations in a row have the same prompt."""
    return [len(list(run)) for _, run in groupby(found)]


@pytest.mark.parametrize(
    "sampler",
    ["Euler", "DPM++ 2M", "DDIM", "Heun", "DPM2", "DPM2 a", "DPM++ SDE", "DPM++ 2S a", "Restart", "HeunPP2"],
)
def test_steps_are_counted_in_evaluations(paint: Paint, pipe, sampler: str) -> None:
    """As in AUTOMATIC1111, one more than is written; a share is one of all evaluations."""
    each, steps = sampler_named(sampler).evaluations, 6
    for when, first in (("0.5", each * steps // 2 + 1), ("4", 5), ("0", 0)):
        with seen(pipe.unet) as found:
            paint(prompt=f"[{A}:{B}:{when}]", sampler=sampler, schedule="Automatic", steps=steps)
        assert runs(found)[0] == (first or len(found)) and len(runs(found)) == (2 if first else 1)
        assert each * (steps - 2) < len(found) <= each * steps


def test_alternating_words(paint: Paint, pipe) -> None:
    with seen(pipe.unet) as found:
        paint(prompt=f"[{A}|{B}|fog]", scheduler="Euler", steps=7)
    assert runs(found) == [2, 1, 1, 1, 1, 1], "the first twice, since evaluations are counted from 0"
    assert found[0] == found[1] == found[4] and found[2] == found[5] and found[3] == found[6]


def test_the_hires_pass_counts_on(paint: Paint, pipe) -> None:
    hires = {"hires_scale": 1.5, "hires_upscaler": "Latent", "hires_strength": 0.7, "hires_steps": 4}
    fields = {"scheduler": "Euler", "steps": 4, "strength_steps": "a1111"} | hires
    for when, first in (("1.5", 7), ("6", 7), ("0.5", 3), ("2.0", 8)):
        with seen(pipe.unet) as found:
            paint(prompt=f"[{A}:{B}:{when}]", **fields)
        assert len(found) == 8 and runs(found) == [first, 8 - first][: 2 if first < 8 else 1]


def test_with_an_input_picture_the_prompt_begins_at_its_beginning(paint: Paint, pipe, image: str) -> None:
    with seen(pipe.unet) as found:
        paint(prompt=f"[{A}:{B}:0.25]", image=image, strength=0.5, steps=8, scheduler="Euler")
    assert runs(found) == [3, 1]


def test_a_refiner_goes_on_where_the_first_checkpoint_ended(generator, registry, paint: Paint) -> None:
    refiner = generator.pipelines.get(registry.checkpoint("refiner"), lambda text: None).pipe
    fields = {"second_pass_model": "refiner", "refiner_switch": 0.5, "steps": 8, "scheduler": "Euler"}
    with seen(refiner.unet) as found:
        paint(prompt=f"[{A}:{B}:0.75]", **fields)
    assert runs(found) == [3, 1]


def test_each_text_is_encoded_once(paint: Paint, pipe) -> None:
    calls: list[int] = []
    hook = pipe.text_encoder_2.register_forward_pre_hook(lambda module, given: calls.append(1))
    try:
        paint(
            prompt="[a moor|a heath] AND a [moor:heath:0.5] AND dew", negative_prompt="[mud:dew:2]", steps=9
        )
    finally:
        hook.remove()
    assert len(calls) == len({"a moor", "a heath", "dew", "mud"})


def test_a_batch_has_the_pictures_of_its_seeds(paint: Paint) -> None:
    fields = {
        "prompt": f"[{A}|{B}] AND [fog:{B}:2] :0.4",
        "sampler": "Heun",
        "steps": 5,
        "schedule": "Uniform",
    }
    both = paint(seed=7, num_images=2, **fields)
    assert same(both[1], paint(seed=8, **fields)[0]) and not same(both[0], both[1])
