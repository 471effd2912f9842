"""Distilled models: recognised by header, metadata or name, and said where the settings are far off."""

from __future__ import annotations

from pathlib import Path

import pytest
from lora_files import make_lora
from model_files import SDXL, save

from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.advice import advice
from webbduck_gradio.models.catalog.registry import STARTER, Registry
from webbduck_gradio.models.distilled import by_name, by_scheduler
from webbduck_gradio.request.samplers import SAMPLERS, sampler_named, schedules_of
from webbduck_gradio.settings import Settings

LORAS = {
    "LCM": "lcm-lora-sdxl lcm_sdxl_lora_weights LCM_LoRA_SDXL LCMTurboMix_LCM_Sampler speed/lcm-lora-ssd-1b",
    "Turbo": "sdxl_turbo_lora_v1 sd_xl_turbo_lora SDXL-Turbo-LoRA turbo_xl_lora_rank64 SDTurbo_4step",
    "Lightning": "sdxl_lightning_2step_lora sdxl_lightning_4step_lora SDXL-Lightning-8Step "
    "accel/XL_Lightning Lightning_SDXL_8S_LoRA ink_lightning_4steps",
    "Hyper": "Hyper-SDXL-1step-lora Hyper-SDXL-8steps-lora Hyper-SDXL-8steps-CFG-lora hyper_xl_lora "
    "hyper_sdxl_12steps_CFG_lora",
    "DMD2": "dmd2_sdxl_4step_lora dmd2_sdxl_4step_lora_fp16 DMD2_LoRA",
    "TCD": "TCD-SDXL-LoRA tcd_lora_xl",
    "Flash": "flash-sdxl flash_sdxl_lora",
    "PCM": "pcm_sdxl_smallcfg_2step_converted pcm_sdxl_normalcfg_8step_converted "
    "pcm_sdxl_lcmlike_lora_converted",
}
CHECKPOINTS = {
    "LCM": "dreamshaperXL_lcm LCM_Dreamshaper_XL",
    "Turbo": "sd_xl_turbo_1.0_fp16 sdxl-turbo DreamShaperXL_Turbo_v2_1 dreamshaperXL_v21TurboDPMSDE "
    "turbovisionxlSuperFastXLBasedOnNew_tvxlV431Bakedvae realvisxlV30Turbo_v30TurboBakedvae "
    "ponyDiffusionV6XL_v6Turbo",
    "Lightning": "sdxl_lightning_4step RealVisXL_V4.0_Lightning realvisxlV40_v40LightningBakedvae "
    "dreamshaperXL_lightningDPMSDE juggernautXL_v9Rdphoto2Lightning RealitiesEdgeXLLIGHTNING_TURBOV7 "
    "Juggernaut_RunDiffusionPhoto2_Lightning_4Steps",
    "Hyper": "Hyper-SDXL-1step-Unet epicrealismXL_v8Hyper leosamsHelloworldXL_hyperV6",
    "DMD2": "dmd2_sdxl_4step_unet_fp16 lustifySDXLNSFW_dmd2",
    "Flash": "flash-sdxl",
}
SUBJECTS = (
    "lightning_storm_style turbo_car TurboGranny hyperrealistic HyperRealistic-XL hyper_detailed turbolift "
    "hyperdetailed_sdxl hyper_detail_XL flash_photography lightning_bolt_xl porsche_911_turbo_sdxl Lightning "
    "turbo Flash_Gordon hyperpop chain_lightning_v2 camera_flash_v1 hyperspace lightning/ink_wash"
)
NOT_DISTILLED = (
    "hyperRealisticXL juggernautXL_ragnarok hyperrealism_xl realisticVisionHyperdetailed turboportraits "
    "sd_xl_base_1.0 epicrealismXL_v8Kiss lightningstorm hyper_realistic_xl hyper-detailed-mix 4stepsmix"
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for kind, names in LORAS.items() for name in names.split()]
    + [(name, None) for name in SUBJECTS.split()],
)
def test_a_lora_by_its_name(name: str, kind: str | None) -> None:
    found = by_name(name, "LoRA")
    assert (found and found.kind) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for kind, names in CHECKPOINTS.items() for name in names.split()]
    + [(name, None) for name in NOT_DISTILLED.split()],
)
def test_a_checkpoint_by_its_name(name: str, kind: str | None) -> None:
    found = by_name(name, "checkpoint")
    assert (found and found.kind) == kind


@pytest.mark.parametrize(
    ("name", "what", "settings"),
    [
        ("sdxl_lightning_8step_lora", "LoRA", (8, 1, "Euler", "SGM Uniform")),
        ("Lightning_SDXL_8S_LoRA", "LoRA", (8, 1, "Euler", "SGM Uniform")),
        ("Hyper-SDXL-8steps-CFG-lora", "LoRA", (8, 5, "Euler", "SGM Uniform")),
        ("Hyper-SDXL-1step-lora", "LoRA", (1, 1, "TCD", "SGM Uniform")),
        ("dmd2_sdxl_4step_lora", "LoRA", (4, 1, "LCM", "SGM Uniform")),
        ("pcm_sdxl_normalcfg_8step_converted", "LoRA", (8, 5, "Euler", "SGM Uniform")),
        ("pcm_sdxl_lcmlike_lora_converted", "LoRA", (4, 1, "LCM", "SGM Uniform")),
        ("sd_xl_turbo_1.0", "checkpoint", (4, 1, "Euler a", "SGM Uniform")),
        ("dreamshaperXL_v21TurboDPMSDE", "checkpoint", (8, 2, "DPM++ SDE", "Karras")),
        ("Juggernaut_RunDiffusionPhoto2_Lightning_4Steps", "checkpoint", (4, 2, "DPM++ SDE", "Karras")),
    ],
)
def test_the_settings_are_those_of_the_model_cards(name, what, settings) -> None:
    found = by_name(name, what)
    assert found is not None
    assert (found.steps, found.cfg, found.sampler, found.schedule) == settings
    assert found.schedule in schedules_of(sampler_named(found.sampler))


def test_a_scheduler_for_distilled_models_says_it_too() -> None:
    found = by_scheduler({"_class_name": "TCDScheduler"})
    assert found is not None and (found.kind, found.by, found.sampler) == ("TCD", "metadata", "TCD")
    assert by_scheduler({"_class_name": "EulerDiscreteScheduler"}) is None
    assert {"LCM", "TCD"} <= {each.name for each in SAMPLERS}


def test_the_catalog_knows_by_what(settings: Settings) -> None:
    """By the header, the metadata, which come before the name, and the name."""
    sdxl = settings.checkpoints / "sdxl"
    cond = {"model.diffusion_model.time_embed.cond_proj.weight": (32, 256)}
    save(sdxl / "fast.safetensors", SDXL | cond)
    starter = sdxl / STARTER
    make_lora(settings.loras / "quick.safetensors", starter, {"ss_output_name": "SDXL-Lightning-4step"})
    make_lora(settings.loras / "sdxl_lightning_8step.safetensors", starter)
    make_lora(settings.loras / "storm.safetensors", starter, {"modelspec.title": "Lightning storm"})
    registry = Registry(settings)
    fast = registry.checkpoint("fast")
    assert fast.distilled is not None and (fast.distilled.kind, fast.distilled.by) == ("LCM", "header")
    found = {each.name: each.distilled for each in registry.loras()}
    assert found.pop("storm") is None
    assert {name: (each.by, each.steps) for name, each in found.items() if each} == {
        "quick": ("metadata", 4),
        "sdxl_lightning_8step": ("name", 8),
    }
    assert Registry(settings).loras() == registry.loras()  # from the cache as well


def test_settings_far_off_are_said(settings: Settings) -> None:
    starter: Path = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "sdxl_lightning_4step.safetensors", starter)
    registry = Registry(settings)

    def said(**fields) -> list[str]:
        return advice(registry, build_request(registry, {"prompt": "a duck", **fields}))

    loras = [{"name": "sdxl_lightning_4step"}]
    assert said(steps=30, cfg=7) == []
    (sentence,) = said(steps=30, cfg=7, loras=loras)
    assert sentence == (
        "sdxl_lightning_4step looks like a Lightning LoRA (by its name), made for about 4 steps at CFG 1 "
        "with Euler and SGM Uniform, not 30 at CFG 7."
    )
    assert said(steps=30, cfg=7, prompt="a duck <lora:sdxl_lightning_4step:0.8>") == [sentence]
    either = "a duck {at dawn|<lora:sdxl_lightning_4step:1>}"
    assert said(steps=30, cfg=7, prompt=either, combination=0, num_images=2) == [sentence]
    assert said(steps=30, cfg=7, prompt=either, combination=0) == []
    assert said(steps=8, cfg=2, loras=loras) == []
    assert said(steps=30, cfg=7, loras=[{**loras[0], "weight": 0}]) == []
    assert len(said(steps=4, cfg=7, loras=loras)) == 1
