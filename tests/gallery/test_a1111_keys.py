"""Texts of AUTOMATIC1111 and Forge with all that their settings write: each key lands in a setting, or a note
names it.
"""

from __future__ import annotations

from typing import Any

import pytest

from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata import infotext
from webbduck_gradio.gallery.metadata.recall import IGNORED_INFOTEXT_KEYS, read_text
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings

BEGIN = "a red duck\nNegative prompt: fog\n"

SAMPLES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "noise of an NVIDIA card, an ancestral sampler, a variation": (
        "Steps: 28, Sampler: Euler a, Schedule type: Karras, CFG scale: 6.5, Seed: 1234, Size: 832x1216, "
        "Variation seed: 99, Variation seed strength: 0.25, Seed resize from: 1024x768, ENSD: 31337, "
        "Eta: 0.67, Sigma noise: 1.02, Schedule max sigma: 12, Schedule min sigma: 0.05, Schedule rho: 5, "
        "RNG: NV, Version: v1.10.1",
        {
            "sampler": "Euler a",
            "schedule": "Karras",
            "seed": 1234,
            "variation_seed": 99,
            "variation_strength": 0.25,
            "seed_resize_width": 1024,
            "seed_resize_height": 768,
            "ensd": 31337,
            "eta": 0.67,
            "s_noise": 1.02,
            "sigma_max": 12.0,
            "sigma_min": 0.05,
            "rho": 5.0,
            "noise_source": "nv",
        },
        (),
    ),
    "noise of the card, which no key names": (
        "Steps: 20, Sampler: DPM++ 2M SDE, Schedule type: Beta, CFG scale: 7, Seed: 5, Size: 1024x1024, "
        "Beta schedule alpha: 0.5, Beta schedule beta: 0.7, Discard penultimate sigma: True, NGMS: 2, "
        "Skip Early CFG: 0.1, Version: f2.0.1v1.10.1-previous-659-gc055f2d4",
        {
            "schedule": "Beta",
            "beta_alpha": 0.5,
            "beta_beta": 0.7,
            "discard_penultimate": "always",
            "ngms": 2.0,
            "guidance_start": 0.1,
            "noise_source": "nv",
        },
        ("Its noise came from a graphics card",),
    ),
    "churn": (
        "Steps: 20, Sampler: Heun, Schedule type: Automatic, CFG scale: 7, Seed: 5, Size: 1024x1024, "
        "Sigma churn: 10, Sigma tmin: 0.05, Sigma tmax: 9, RNG: CPU, Version: v1.10.1",
        {"sampler": "Heun", "s_churn": 10.0, "s_tmin": 0.05, "s_tmax": 9.0, "noise_source": "cpu"},
        (),
    ),
    "hires fix": (
        "Steps: 20, Sampler: DDIM, Schedule type: Automatic, CFG scale: 7, Seed: 5, Size: 1024x1024, "
        "Model: lake, Denoising strength: 0.4, Hires upscale: 2, Hires steps: 12, "
        "Hires upscaler: Latent (nearest), Eta DDIM: 0.3, RNG: CPU, Version: v1.10.1",
        {
            "hires_scale": 2.0,
            "hires_steps": 12,
            "hires_strength": 0.4,
            "hires_upscaler": "Latent (nearest)",
            "strength_steps": "share",
            "eta": 0.3,
        },
        (),
    ),
    "hires fix with settings of its own": (
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 1024x768, "
        "Model: lake, Denoising strength: 0.55, Hires resize: 1536x0, Hires upscaler: Lanczos, "
        "Hires sampler: Euler a, Hires schedule type: Exponential, "
        'Hires prompt: "a duck, near <lora:hat:0.5>", Hires negative prompt: mist, Hires CFG Scale: 4.5, '
        "RNG: CPU, Version: v1.10.1",
        {
            "hires_scale": None,
            "hires_width": 1536,
            "hires_height": None,
            "hires_steps": None,
            "hires_strength": 0.55,
            "hires_upscaler": "Lanczos",
            "hires_sampler": "Euler a",
            "hires_schedule": "Exponential",
            "hires_prompt": "a duck, near <lora:hat:0.5>",
            "hires_negative_prompt": "mist",
            "hires_cfg": 4.5,
        },
        (),
    ),
    "img2img": (
        "Steps: 20, Sampler: Euler, Schedule type: Uniform, CFG scale: 7, Seed: 5, Size: 1024x1024, "
        "Denoising strength: 0.55, Noise multiplier: 1.1, RNG: CPU, Version: v1.10.1",
        {"strength": 0.55, "strength_steps": "a1111"},
        ("Noise multiplier 1.1", "It was made from another picture"),
    ),
    "soft inpainting from latent noise": (
        "Steps: 20, Sampler: Euler, Schedule type: Uniform, CFG scale: 7, Seed: 5, Size: 1024x1024, "
        "Denoising strength: 1, Mask blur: 4, Masked content: latent noise, Soft inpainting enabled: True, "
        "Soft inpainting schedule bias: 1, Soft inpainting preservation strength: 0.5, "
        "Soft inpainting transition contrast boost: 4, Soft inpainting mask influence: 0, "
        "Soft inpainting difference threshold: 0.5, Soft inpainting difference contrast: 2, RNG: CPU, "
        "Version: v1.10.1",
        {"masked_content": "latent noise", "mask_blur": 4, "soft_inpainting": "on"},
        ("soft inpainting blends the steps by a rule of its own", "Soft inpainting mask influence 0"),
    ),
    "hard inpainting from latent nothing": (
        "Steps: 20, Sampler: Euler, Schedule type: Uniform, CFG scale: 7, Seed: 5, Size: 1024x1024, "
        "Denoising strength: 1, Mask blur: 4, Masked content: latent nothing, RNG: CPU, Version: v1.10.1",
        {"masked_content": "latent nothing", "soft_inpainting": "off"},
        (),
    ),
    "what Forge adds": (
        "Steps: 20, Sampler: Euler, Schedule type: Uniform, CFG scale: 12, Seed: 5, Size: 1024x1024, "
        "freeu_enabled: True, freeu_b1: 1.01, freeu_b2: 1.02, freeu_s1: 0.99, freeu_s2: 0.95, "
        "freeu_start: 0, pag_enabled: True, pag_scale: 2.5, dynthres_enabled: True, dynthres_mimic_scale: 7, "
        "dynthres_threshold_percentile: 0.99, dynthres_mimic_mode: Cosine Up, RNG: CPU, "
        "Version: f0.0.17v1.8.0rc-latest-276-g29be1da7",
        {
            "freeu": "on",
            "freeu_b1": 1.01,
            "freeu_b2": 1.02,
            "freeu_s1": 0.99,
            "freeu_s2": 0.95,
            "pag_scale": 2.5,
            "mimic_cfg": 7.0,
            "mimic_percentile": 0.99,
        },
        ("freeu_start 0", "dynthres_mimic_mode Cosine Up"),
    ),
    "stable-diffusion.cpp": (
        "Steps: 20, CFG scale: 7, Guidance: 3.5, Seed: 5, Size: 512x512, Model: lake, RNG: cuda, "
        "Sampler: euler_a, Version: stable-diffusion.cpp",
        {"noise_source": "nv", "sampler": "Euler a"},
        ("Its noise came from a graphics card", "Guidance 3.5"),
    ),
}


@pytest.fixture
def recalled(settings: Settings):
    registry, inputs = Registry(settings), InputImageStore(settings)
    return lambda text: read_text(text, registry, inputs)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_key_lands_in_a_setting_or_is_named(name: str, recalled) -> None:
    line, expected, named = SAMPLES[name]
    values, notes = recalled(BEGIN + line)
    text = " ".join(notes)
    assert {key: values.get(key) for key in expected} == expected
    assert [each for each in named if each not in text] == []
    for key, value in infotext.parse(BEGIN + line).fields.items():
        assert key.casefold() in IGNORED_INFOTEXT_KEYS or key.endswith("-2") or f"{key} {value}" in text, key


@pytest.mark.parametrize("name", SAMPLES)
def test_what_was_read_makes_a_request_that_writes_the_same_keys(name: str, recalled) -> None:
    line, expected, _ = SAMPLES[name]
    values, _ = recalled(BEGIN + line)
    picture = "a" * 64 + ".png"
    owned = {"base_model": "lake", "seed": 5, **values}
    if "strength" in expected:
        owned["image"] = picture
    if "masked_content" in expected:
        owned |= {"image": picture, "mask": picture}
    request = GenerationRequest.validated(**owned)
    again, _ = recalled(infotext.parameters_text(request, request.seed, version="WebbDuck 1"))
    assert {key: again.get(key) for key in expected} == {key: values.get(key) for key in expected}


@pytest.mark.parametrize(
    ("prompt", "line", "said"),
    [
        ("a [cat:dog:2.0]", "Old prompt editing timelines: True, Version: v1.9.4", True),
        ("a [cat:dog:2.0]", "Version: v1.5.1", True),
        ("a [cat:dog:2.0]", "Version: v1.6.0", False),
        ("a [cat:dog:0.5]", "Old prompt editing timelines: True, Version: v1.9.4", False),
        ("a [cat|dog]", "Old prompt editing timelines: True, Hires upscale: 2, Version: v1.9.4", True),
        ("a (cat:2.0)", "Old prompt editing timelines: True, Hires upscale: 2, Version: v1.9.4", False),
    ],
)
def test_prompts_that_an_older_rule_counted_are_named(prompt: str, line: str, said: bool, recalled) -> None:
    values, notes = recalled(f"{prompt}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, RNG: CPU, {line}")
    assert values["prompt"] == prompt
    assert any("A1111's older rule" in note for note in notes) == said
    assert not any("Not taken over" in note for note in notes)


def test_a_prompt_is_kept_as_it_was_written(recalled) -> None:
    prompt, negative = "a [cat:dog:0.5] [red|blue|] AND a pond :0.7, \\\\[b", "[fog::5]"
    request = GenerationRequest.validated(base_model="lake", seed=5, prompt=prompt, negative_prompt=negative)
    values, _ = recalled(infotext.parameters_text(request, 5, version="WebbDuck 1"))
    assert (values["prompt"], values["negative_prompt"]) == (prompt, negative)
