"""Pictures of a batch that are drawn together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from recorder import Recorder
from test_suspend import Saver

from webbduck_gradio.core import devices
from webbduck_gradio.core.image_generator import ONE_BY_ONE
from webbduck_gradio.core.memory_needs import LIBRARIES, sampling_bytes
from webbduck_gradio.core.progress import Continuation, GeneratedImage
from webbduck_gradio.core.sampling.noise import JoinedNoise, Seeds, StepNoise
from webbduck_gradio.errors import SuspendedError
from webbduck_gradio.request.applicability import without_effect

Draw = Callable[..., list[GeneratedImage]]


@pytest.fixture(scope="module")
def draw(generator, registry, ask, image, mask) -> Draw:
    def make(
        reporter: Recorder | None = None, on: Continuation | None = None, **fields: Any
    ) -> list[GeneratedImage]:
        given = {"image": image, "mask": mask}
        fields = {name: given[name] if value is True else value for name, value in fields.items()}
        request = ask(num_images=3, **{"batch_mode": "together"} | fields)
        checkpoint = registry.checkpoint(request.base_model)
        return list(generator.generate(request, checkpoint, reporter or Recorder(), on or Continuation()))

    return make


def pixels(pictures: list[GeneratedImage]) -> numpy.ndarray:
    return numpy.stack([numpy.asarray(each.image).astype(int) for each in pictures])


def sizes(pictures: list[GeneratedImage]) -> list[int]:
    return [each.facts.get("drawn_together", 1) for each in pictures]


@pytest.mark.parametrize(
    "fields",
    [
        {"sampler": "Euler a", "noise_source": "nv"},
        {"sampler": "DPM++ SDE"},
        {"sampler": "UniPC", "steps": 6},
        {"image": True, "strength": 0.8},
        {"image": True, "mask": True, "base_model": "painter"},
        {"second_pass_model": "refiner", "refiner_switch": 0.5},
        {"variation_strength": 0.4, "variation_seed": 3},
        {"cfg": 9, "cfg_rescale": 0.5, "mimic_cfg": 4, "pag_scale": 3, "slg_scale": 2, "freeu": "on"},
        {"cfg": 1},
        {"prompt": "a [red|blue] duck AND [a pond:fog:2] :0.7", "pag_scale": 2},
    ],
    ids=[
        "noise",
        "path",
        "multistep",
        "img2img",
        "inpaint",
        "refiner",
        "variation",
        "guidance",
        "no CFG",
        "a prompt that changes",
    ],
)
def test_each_is_the_picture_that_is_drawn_alone(draw, fields: dict[str, Any]) -> None:
    """But for roundings: one grey level here and there."""
    together, alone = draw(**fields), draw(batch_mode="single", **fields)
    assert sizes(together) == [3, 3, 3] and sizes(alone) == [1, 1, 1]
    assert [(each.index, each.seed) for each in together] == [(each.index, each.seed) for each in alone]
    difference = numpy.abs(pixels(together) - pixels(alone))
    assert difference.max() <= 2 and difference.mean() < 0.02
    assert numpy.abs(pixels(together)[0] - pixels(together)[1]).mean() > 3


@pytest.mark.parametrize(
    "fields",
    [{"sampler": "DPM adaptive", "steps": 1}, {"second_pass_model": "webbduck-starter", "steps": 2}],
    ids=["adaptive", "second pass"],
)
def test_what_cannot_be_drawn_together_is_drawn_one_by_one_and_said(draw, ask, fields) -> None:
    request = ask(num_images=2, batch_mode="together", **fields)
    kind = "img2img" if "second_pass_model" in fields else None
    assert "one picture at a time" in without_effect(request.model_dump(), kind)["batch_mode"]
    alone = draw(batch_mode="single", **fields)
    assert sizes(together := draw(**fields)) == [1, 1, 1]
    assert numpy.array_equal(pixels(together), pixels(alone))


def test_so_many_go_together_as_memory_allows(draw, monkeypatch) -> None:
    row = sampling_bytes((64, 64), 1, 4)
    monkeypatch.setattr(devices, "free_bytes", lambda device: LIBRARIES + 5 * row)
    assert sizes(draw(steps=1)) == [2, 2, 1]
    assert sizes(draw(steps=1, pag_scale=2)) == [1, 1, 1]
    monkeypatch.setattr(devices, "free_bytes", lambda device: 0)
    assert sizes(draw(steps=1)) == [1, 1, 1]


def test_where_memory_runs_out_they_are_drawn_one_by_one(draw, generator, starter) -> None:
    def run_out(unet: Any, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    alone = draw(batch_mode="single")
    unet = generator.pipelines.get(starter, lambda text: None).pipe.unet
    hook = unet.register_forward_pre_hook(run_out)
    try:
        pictures = draw()
    finally:
        hook.remove()
    assert sizes(pictures) == [1, 1, 1] and all(ONE_BY_ONE in each.warnings for each in pictures)
    assert numpy.array_equal(pixels(pictures), pixels(alone))


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M SDE"])
def test_they_are_put_aside_and_go_on_together(draw, tmp_path, monkeypatch, sampler: str) -> None:
    whole = draw(sampler=sampler)
    saver = Saver(tmp_path / "states", until=2)
    with pytest.raises(SuspendedError):
        draw(saver, sampler=sampler)
    monkeypatch.setattr(devices, "free_bytes", lambda device: 0)  # the saved state's number counts
    gone_on = draw(on=Continuation(0, saver.files[-1]), sampler=sampler)
    assert sizes(gone_on) == [3, 3, 3] and numpy.array_equal(pixels(gone_on), pixels(whole))


def test_each_image_has_its_own_noise() -> None:
    shape = (4, 2, 2)
    x = torch.zeros(2, *shape)

    def sources() -> list[StepNoise]:
        return [StepNoise(Seeds(seed=each), shape) for each in (5, 6)]

    joined, alone = JoinedNoise(sources()), sources()
    first = joined(x, 2.0, 1.0)
    assert torch.equal(first, torch.cat([each(x[:1], 2.0, 1.0) for each in alone]))
    other = JoinedNoise(sources())
    other.restore(joined.state())
    assert torch.equal(other(x, 1.0, 0.5), joined(x, 1.0, 0.5))
