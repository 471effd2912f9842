"""The table of samplers and schedules: names of ours, of before and of other programs."""

from __future__ import annotations

import pytest

from webbduck_gradio.request.samplers import (
    AUTOMATIC,
    DEFAULT_SAMPLER,
    DEFAULT_SCHEDULE,
    JOINED,
    SAMPLERS,
    SCHEDULES,
    find_sampler,
    joined_name,
    sampler_of_config,
    schedules_of,
)

MULTISTEP = "DPMSolverMultistepScheduler"

BEFORE = {
    "DPM++ 2M Karras": ("DPM++ 2M", "Karras"),
    "DPM++ 2M": ("DPM++ 2M", "Uniform"),
    "DPM++ 2M Exponential": ("DPM++ 2M", "Exponential"),
    "DPM++ 2M SGM Uniform": ("DPM++ 2M", "SGM Uniform"),
    "DPM++ 2M SDE Karras": ("DPM++ 2M SDE", "Karras"),
    "DPM++ 2M SDE": ("DPM++ 2M SDE", "Uniform"),
    "DPM++ 2M SDE Exponential": ("DPM++ 2M SDE", "Exponential"),
    "DPM++ 3M SDE Karras": ("DPM++ 3M SDE", "Karras"),
    "DPM++ 3M SDE": ("DPM++ 3M SDE", "Uniform"),
    "DPM++ 3M SDE Exponential": ("DPM++ 3M SDE", "Exponential"),
    "DPM++ SDE Karras": ("DPM++ SDE", "Karras"),
    "DPM++ SDE": ("DPM++ SDE", "Uniform"),
    "DPM++ SDE SGM Uniform": ("DPM++ SDE", "SGM Uniform"),
    "Euler": ("Euler", "Uniform"),
    "Euler Karras": ("Euler", "Karras"),
    "Euler SGM Uniform": ("Euler", "SGM Uniform"),
    "Euler a": ("Euler a", "Uniform"),
    "Heun": ("Heun", "Uniform"),
    "DPM2 Karras": ("DPM2", "Karras"),
    "DPM2": ("DPM2", "Uniform"),
    "DPM2 a Karras": ("DPM2 a", "Karras"),
    "DPM2 a": ("DPM2 a", "Uniform"),
    "LMS Karras": ("LMS", "Karras"),
    "LMS": ("LMS", "Uniform"),
    "UniPC": ("UniPC", AUTOMATIC),
    "DDIM": ("DDIM", AUTOMATIC),
}
"""The names of before samplers and schedules were two things."""


def test_every_name_of_before_means_what_it_meant() -> None:
    assert {name: JOINED.get(name) for name in BEFORE} == BEFORE


def test_a_joined_name_and_its_two_parts_are_the_same() -> None:
    assert all(joined_name(*both) == name for name, both in JOINED.items())
    for sampler in SAMPLERS:
        for schedule in schedules_of(sampler):
            assert joined_name(sampler.name, schedule) in JOINED
    assert joined_name("DPM++ 2M", AUTOMATIC) == joined_name(DEFAULT_SAMPLER, DEFAULT_SCHEDULE)


def test_each_record_is_whole() -> None:
    names = {each.name for each in SCHEDULES}
    for sampler in SAMPLERS:
        assert set(sampler.schedules) < names and AUTOMATIC not in sampler.schedules
        assert sampler.automatic is None or sampler.automatic in sampler.schedules


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda each: each.name)
def test_each_sampler_is_found_by_all_of_its_names(sampler) -> None:
    for alias in (sampler.name, *sampler.aliases):
        found = find_sampler(alias.upper(), AUTOMATIC)
        assert found == (sampler.name, sampler.automatic or AUTOMATIC), alias


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        (("DPM++ 2M Karras", None), ("DPM++ 2M", "Karras")),  # A1111 before 1.9
        (("DPM++ 2M Karras", "Karras"), ("DPM++ 2M", "Karras")),
        (("DPM++ 2M Karras", "Exponential"), None),
        (("DPM++ 2M", "Automatic"), ("DPM++ 2M", "Karras")),
        (("dpm++ 3m sde", "automatic"), ("DPM++ 3M SDE", "Exponential")),
        (("Euler a", "Automatic"), ("Euler a", "Uniform")),
        (("Euler A", None), ("Euler a", "Uniform")),
        (("DDIM", "Uniform"), ("DDIM", AUTOMATIC)),
        (("DDIM", "Karras"), ("DDIM", "Karras")),
        (("euler_ancestral", "sgm_uniform"), ("Euler a", "SGM Uniform")),  # ComfyUI
        (("dpmpp_2m_sde_gpu", "karras"), ("DPM++ 2M SDE", "Karras")),
        (("uni_pc_bh2", "normal"), ("UniPC", "Normal")),
        (("uni_pc", "karras"), ("UniPC", "Karras")),
        (("SamplerEulerAncestral", "Karras"), ("Euler a", "Karras")),
        (("dpmpp_2m_k", None), ("DPM++ 2M", "Karras")),  # InvokeAI
        (("heun_k", None), ("Heun", "Karras")),
        (("k_dpmpp_2", None), ("DPM++ 2M", "Uniform")),  # InvokeAI's first versions
        (("k_dpm_2_a", None), ("DPM2 a", "Uniform")),
        (("k_dpmpp_2_a", None), None),
        (("plms", None), ("PLMS", "SGM Uniform")),
        (("Restart", "Karras"), ("Restart", "Karras")),
        (("Euler", "simple"), ("Euler", "Simple")),
        (("Euler", "ddim_uniform"), ("Euler", "DDIM")),
        (("Euler", "linear_quadratic"), None),
        (("gradient_estimation", "beta"), None),
    ],
)  # fmt: skip
def test_names_of_other_programs(given, ours) -> None:
    assert find_sampler(*given) == ours


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"_class_name": MULTISTEP}, "DPM++ 2M"),
        ({"_class_name": MULTISTEP, "algorithm_type": "dpmsolver++", "solver_order": 3}, "DPM++ 2M"),
        ({"_class_name": MULTISTEP, "algorithm_type": "sde-dpmsolver++"}, "DPM++ 2M SDE"),
        ({"_class_name": "DDIMScheduler", "clip_sample": True}, "DDIM"),
        ({"_class_name": "PNDMScheduler"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_sampler_that_a_diffusers_folder_asks_for(config, name) -> None:
    found = sampler_of_config(config)
    assert (found and found.name) == name
