"""Evaluates whether each sampler gives clean images with the starter checkpoint."""

from __future__ import annotations

import statistics

import numpy as np
from diffusers import StableDiffusionXLPipeline

from ...core.modes.text2img import Text2Img
from ...core.progress import SilentReporter
from ...core.prompts import encode
from ...core.sampling.denoiser import ModelContext
from ...core.sampling.loop import SamplingRun
from ...core.unlisted import unlisted
from ...core.vae import decode
from ...request import GenerationRequest
from ...request.samplers import AUTOMATIC, SAMPLERS, joined_name
from .contact_sheets import contact_sheet, save_jpeg
from .inference import GUIDANCE, STEPS, score
from .measures import grain
from .sections import EvalContext, Row, Section

PROMPTS = 16
_BAR = 0.85
_GRAINIER = 1.6
"""Maximum noise of a clean image, relative to Euler's."""
_QUESTIONS = ("body colour", "scene", "subject")


def paint_with(
    name: str, pipeline: StableDiffusionXLPipeline, prompts: list[str], seeds: list[int]
) -> list[np.ndarray]:
    """One image (height, width, 3), 8-bit RGB, per prompt and seed, with one of `request.SCHEDULERS`."""
    loaded = unlisted(pipeline)
    width = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    painted = []
    for prompt, seed in zip(prompts, seeds, strict=True):
        request = GenerationRequest.validated(
            prompt=prompt,
            base_model="starter",
            seed=seed,
            steps=STEPS,
            cfg=GUIDANCE,
            width=width,
            height=width,
            scheduler=name,
        )
        model = ModelContext(loaded, encode(pipeline, prompt, ""))
        latents = Text2Img().begin(SamplingRun(request, 0, SilentReporter()), model).sample(model)
        painted.append(np.asarray(decode(pipeline, latents)[0]))
    return painted


def section(context: EvalContext) -> Section:
    """The evaluation of every sampler on the first held-out prompts."""
    asked = context.asked[:PROMPTS]
    prompts, seeds = [prompt for _, prompt in asked], context.seeds[:PROMPTS]
    names = [joined_name(each.name, AUTOMATIC) for each in SAMPLERS]
    painted = {name: paint_with(name, context.pipeline, prompts, seeds) for name in names}
    grains = {name: statistics.fmean(map(grain, pictures)) for name, pictures in painted.items()}
    most = _GRAINIER * grains["Euler"]
    rows, misses = [], []
    for name, pictures in painted.items():
        shares, missed = score(pictures, asked, context.classifier)
        misses += [f"{name}: {miss}" for miss in missed]
        values = ", ".join(f"{question} {shares[question]:.0%}" for question in _QUESTIONS)
        clean = grains[name] <= most and all(shares[question] >= _BAR for question in _QUESTIONS)
        bar = f"{_BAR:.0%} each, grain {most:.3f}"
        rows.append(Row(name, f"{values}, grain {grains[name]:.3f}", bar, clean))
    if context.folder is not None:
        sheet = contact_sheet([pictures[0] for pictures in painted.values()], list(painted))
        save_jpeg(sheet, context.folder / "starter-kit-samplers.jpg", 200_000)
    text = f"""The first {len(asked)} held-out prompts, 256x256, {STEPS} steps, CFG {GUIDANCE:g}, each
sampler on its automatic schedule, as the studio draws. Grain: how far a pixel is from the median of its 3
by 3 neighbours, over the calmer three quarters of each picture (grey values, 0 to 255); noise that a sampler
leaves raises it, outlines do not. At most {_GRAINIER:g} times Euler's counts as clean.

The first prompt ("{prompts[0]}") by each sampler:

![one prompt by every sampler](starter-kit-samplers.jpg)
"""
    return Section("Samplers", rows, text, misses)
