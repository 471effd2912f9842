"""What the settings of noise, seeds and steps come to in pictures. That each reaches the picture at all is
tested in test_fields.py."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from perfect import SDXL, request_for
from recorder import Recorder

from webbduck_gradio.core.sampling.levels import sigmas_for
from webbduck_gradio.core.sampling.loop import SamplingRun, options_of
from webbduck_gradio.core.sampling.model_sigmas import ModelSigmas
from webbduck_gradio.core.sampling.noise import Seeds
from webbduck_gradio.errors import GenerationError, RequestError
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.samplers import SAMPLERS
from webbduck_gradio.request.steps import of_second_pass, under_strength

MODEL = ModelSigmas.from_config(SDXL)


def sigmas(name: str, steps: int = 20, **more: Any) -> list[float]:
    return sigmas_for(request_for(name, **more), SDXL, MODEL, steps)


def far(one: numpy.ndarray, other: numpy.ndarray) -> float:
    return float(numpy.abs(one - other).mean())


def test_pictures_of_a_varied_batch_share_the_seed(paint) -> None:
    varied = {"variation_strength": 0.3, "seed": 7}
    batch = paint(**varied, variation_seed=40, num_images=2)
    for index, picture in enumerate(batch):
        assert numpy.array_equal(picture, paint(**varied, variation_seed=40 + index)[0])
    (original,) = paint(seed=7)
    assert far(batch[0], original) < far(paint(seed=40)[0], original)


def test_the_whole_variation_is_the_other_seeds_picture(paint) -> None:
    (whole,) = paint(seed=7, variation_strength=1.0, variation_seed=9, sampler="Euler")
    assert numpy.abs(whole - paint(seed=9, sampler="Euler")[0]).max() <= 1


def test_a_random_variation_seed_is_recorded() -> None:
    drawn = {
        GenerationRequest.validated(base_model="x", variation_strength=0.1).variation_seed for _ in range(9)
    }
    assert None not in drawn and len(drawn) > 1
    assert GenerationRequest.validated(base_model="x", variation_seed=-1).variation_seed is None


def test_all_noise_settings_reach_the_noise() -> None:
    asked = request_for(
        "Euler a", seed=5, noise_source="nv", variation_strength=0.2, variation_seed=8, ensd=31337,
        seed_resize_width=512, seed_resize_height=768, num_images=3,
    )  # fmt: skip
    run = SamplingRun(asked, 2, Recorder())
    assert run._seeds(2, second=False) == Seeds(
        seed=5, source="nv", variation_seed=10, variation_strength=0.2, resized_from=(96, 64),
        step_seed_delta=31337,
    )  # fmt: skip
    again = run._seeds(2, second=True)
    assert (again.seed, again.variation_seed) == (5 + 2**32, 10 + 2**32)


# strength, steps -> how many A1111 draws, after its own formula
A1111 = [(0.75, 20, 16), (1.0, 20, 20), (0.5, 7, 4), (0.01, 20, 1), (0.3, 10, 4)]


@pytest.mark.parametrize(("strength", "steps", "drawn"), A1111)
def test_a_strength_leaves_as_many_steps_as_it_says(strength: float, steps: int, drawn: int) -> None:
    assert under_strength(steps, strength, "a1111") == (steps, drawn)
    assert under_strength(steps, strength, "share") == (steps, int(steps * strength))
    scheduled, taken = of_second_pass(steps, strength, "a1111")
    assert taken == steps and scheduled == max(steps, int(steps / min(strength, 0.999)))


def test_the_steps_are_those_that_are_drawn(paint, image) -> None:
    def totals(**asked: Any) -> list[int]:
        recorder = Recorder()
        paint(recorder, steps=6, sampler="Euler", **asked)
        return [total for _, step, total in recorder.steps if step == 1]

    assert totals(image=image, strength=0.5) == [3]
    assert totals(image=image, strength=0.5, strength_steps="a1111") == [4]
    second = {"second_pass_model": "webbduck-starter", "second_pass_mode": "img2img"}
    second |= {"refinement_strength": 0.5, "second_pass_steps": 4}
    assert totals(**second) == [6, 2]
    assert totals(**second, strength_steps="a1111") == [6, 4]


def test_the_range_of_a_schedule() -> None:
    for name in ("DPM++ 2M Karras", "DPM++ 2M Exponential", "DPM++ 2M SGM Uniform", "DPM++ 2M Beta"):
        found = sigmas(name, sigma_min=0.2, sigma_max=9.0)
        assert found[0] == pytest.approx(9, rel=1e-3)
        if "SGM" not in name:  # whose last step ends there
            assert found[-2] == pytest.approx(0.2, rel=1e-3)
    assert sigmas("DPM++ 2M Align Your Steps", sigma_min=0.2) == sigmas("DPM++ 2M Align Your Steps")
    assert sigmas("Euler", steps=5, sigma_max=9.0) == sigmas("Euler", steps=5)  # Uniform has no range
    assert sigmas("DPM++ 2M Karras", rho=3.0)[10] > sigmas("DPM++ 2M Karras")[10]


def test_a_range_beyond_the_checkpoints_is_said() -> None:
    narrow = ModelSigmas(MODEL.sigmas[:300])
    with pytest.raises(GenerationError, match="leaves nothing between sigma_min 5 and sigma_max 0"):
        sigmas_for(request_for("DPM++ 2M Karras", sigma_min=5.0), SDXL, narrow, 10)
    with pytest.raises(RequestError, match="sigma_min 5 must be below sigma_max 3"):
        GenerationRequest.validated(base_model="x", sigma_min=5, sigma_max=3)


def test_the_penultimate_sigma() -> None:
    usual, cut = sigmas("DPM++ 2M Karras"), sigmas("DPM++ 2M Karras", discard_penultimate="always")
    assert len(usual) == len(cut) == 21
    more = sigmas("DPM++ 2M Karras", steps=21)
    assert cut == [*more[:-2], more[-1]]
    assert sigmas("DPM2 Karras") == cut and sigmas("DPM2 Karras", discard_penultimate="never") == usual


@pytest.mark.parametrize("sampler", [each.name for each in SAMPLERS])
def test_a_sampler_without_an_eta_of_its_own_reads_none(sampler: str) -> None:
    record = next(each for each in SAMPLERS if each.name == sampler)
    plain = options_of(GenerationRequest(base_model="x", sampler=sampler), MODEL)
    assert (plain.eta, plain.eta_ddim, plain.gamma) == (record.eta or 0.0,) * 3
    asked = options_of(GenerationRequest(base_model="x", sampler=sampler, eta=0.25, s_tmax=4.0), MODEL)
    assert (asked.eta, asked.eta_ddim, asked.gamma, asked.s_tmax) == (0.25, 0.25, 0.25, 4.0)
