"""Measures whether each sampler of the studio paints clean pictures with the starter checkpoint."""

from __future__ import annotations

import statistics

import numpy as np
from diffusers import StableDiffusionXLPipeline

from ...core.sampling import schedulers
from ...request import SCHEDULERS
from .contact_sheets import contact_sheet, save_jpeg
from .inference import GUIDANCE, STEPS, paint, score
from .measures import grain
from .sections import Bench, Row, Section

PROMPTS = 16
_BAR = 0.85
_GRAINIER = 1.6
"""How many times Euler's grain still counts as clean."""
_QUESTIONS = ("body colour", "scene", "subject")


def paint_with(
    sampler: str, pipeline: StableDiffusionXLPipeline, prompts: list[str], seeds: list[int]
) -> list[np.ndarray]:
    """A picture for each prompt and seed, by one of SCHEDULERS; the pipeline stays as it was."""
    own = pipeline.scheduler
    pipeline.scheduler = schedulers.build(sampler, own.config, STEPS, seeds[0])
    try:
        return paint(pipeline, prompts, seeds)
    finally:
        pipeline.scheduler = own


def section(bench: Bench) -> Section:
    """Every sampler on the first held-out prompts."""
    asked = bench.asked[:PROMPTS]
    prompts, seeds = [prompt for _, prompt in asked], bench.seeds[:PROMPTS]
    painted = {name: paint_with(name, bench.pipeline, prompts, seeds) for name in SCHEDULERS}
    grains = {name: statistics.fmean(map(grain, pictures)) for name, pictures in painted.items()}
    most = _GRAINIER * grains["Euler"]
    rows, misses = [], []
    for name, pictures in painted.items():
        shares, missed = score(pictures, asked, bench.judge)
        misses += [f"{name}: {miss}" for miss in missed]
        told = ", ".join(f"{question} {shares[question]:.0%}" for question in _QUESTIONS)
        clean = grains[name] <= most and all(shares[question] >= _BAR for question in _QUESTIONS)
        bar = f"{_BAR:.0%} each, grain {most:.3f}"
        rows.append(Row(name, f"{told}, grain {grains[name]:.3f}", bar, clean))
    if bench.folder is not None:
        sheet = contact_sheet([pictures[0] for pictures in painted.values()], list(painted))
        save_jpeg(sheet, bench.folder / "starter-kit-samplers.jpg", 200_000)
    text = f"""The first {len(asked)} held-out prompts, 256x256, {STEPS} steps, CFG {GUIDANCE:g}, each
sampler as the studio builds it. Grain: how far a pixel is from the median of its 3 by 3 neighbours, over
the calmer three quarters of each picture (grey values, 0 to 255); noise that a sampler leaves raises it,
outlines do not. At most {_GRAINIER:g} times Euler's counts as clean.

The first prompt ("{prompts[0]}") by each sampler:

![one prompt by every sampler](starter-kit-samplers.jpg)
"""
    return Section("Samplers", rows, text, misses)
