"""Measures a starter checkpoint: does it paint what is asked, and does its VAE keep a picture?"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from .captions import full_caption
from .judge import QUESTIONS, Judge, judge_for
from .measures import sharpness, subject_colour
from .scenes import HATS, Attributes, draw, sample
from .train_vae import held_out_psnr

STEPS = 20
GUIDANCE = 5.0
_BATCH = 8
_PROMPT_SEED = 2026

BARS: dict[str, float] = {
    "body colour": 0.95,
    "scene": 0.95,
    "time of day": 0.95,
    "hat kind or its absence": 0.85,
    "subject": 0.95,
    "negative prompt removes": 0.80,
}


def open_pipeline(checkpoint: Path) -> StableDiffusionXLPipeline:
    """The checkpoint in float32 on the CPU, as the studio runs it there."""
    if not (checkpoint / "model_index.json").is_file():
        raise FileNotFoundError(f"{checkpoint} is not a checkpoint folder: it has no model_index.json")
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        checkpoint, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def held_out_prompts(count: int, seed: int = _PROMPT_SEED) -> list[tuple[Attributes, str]]:
    """Prompts that name combinations which no training picture showed, with what they ask for."""
    rng = random.Random(seed)
    shown = [sample(rng, held_out=True) for _ in range(count)]
    return [(attributes, full_caption(attributes, rng)) for attributes in shown]


def paint(
    pipeline: StableDiffusionXLPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    negative: str | None = None,
    width: int | None = None,
    height: int | None = None,
    steps: int = STEPS,
) -> list[np.ndarray]:
    """One picture (height, width, 3) of RGB bytes for each prompt and seed."""
    pictures: list[np.ndarray] = []
    for start in range(0, len(prompts), _BATCH):
        part = list(prompts[start : start + _BATCH])
        options: dict[str, Any] = {"negative_prompt": [negative] * len(part)} if negative is not None else {}
        made = pipeline(
            part,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            width=width,
            height=height,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[start : start + _BATCH]],
            output_type="np",
            **options,
        ).images
        pictures += [(picture * 255).round().astype(np.uint8) for picture in made]
    return pictures


@dataclass
class Report:
    """What was measured; shares are 0..1."""

    prompts: int
    distinct: int
    """Prompts that differ in their words: rare subjects have few held-out combinations, so some recur."""
    shares: dict[str, float]
    judge: dict[str, float]
    """The judge's own accuracy on held-out drawings, by question."""
    psnr: tuple[float, float]
    """Mean and worst in dB over held-out drawings."""
    sharpness: tuple[float, float]
    """Of the painted pictures and of drawings of the same prompts."""
    seconds: dict[str, float]
    """Median seconds of one 256x256 picture and of its parts."""
    threads: int
    misses: list[str] = field(default_factory=list)
    """Prompts that were not met, with what was seen instead."""

    def table(self) -> str:
        """The measured values as a table in Markdown."""
        lines = ["| measure | value | bar | holds |", "|---|---|---|---|"]
        for name, bar in BARS.items():
            value = self.shares[name]
            lines.append(f"| {name} | {value:.1%} | {bar:.0%} | {_holds(value >= bar)} |")
        mean, worst = self.psnr
        lines.append(f"| VAE PSNR, mean | {mean:.2f} dB | 29 dB | {_holds(mean >= 29)} |")
        lines.append(f"| VAE PSNR, worst | {worst:.2f} dB | | |")
        whole = self.seconds["picture"]
        lines.append(f"| one picture, {self.threads} threads | {whole:.2f} s | 4 s | {_holds(whole <= 4)} |")
        parts = ", ".join(
            f"{name} {value:.2f} s" for name, value in self.seconds.items() if name != "picture"
        )
        lines.append(f"| of which | {parts} | | |")
        painted, drawn = self.sharpness
        lines.append(f"| sharpness (painted / drawn) | {painted:.2f} / {drawn:.2f} | | |")
        return "\n".join(lines)


def _holds(value: bool) -> str:
    return "yes" if value else "no"


def score(
    pictures: Sequence[np.ndarray], asked: Sequence[tuple[Attributes, str]], judge: Judge
) -> tuple[dict[str, float], list[str]]:
    """Shares of pictures that show what was asked, and the prompts that were missed."""
    hits: dict[str, list[bool]] = {name: [] for name in ("body colour", "scene", "time of day", "subject")}
    hits["hat kind or its absence"] = []
    misses = []
    for picture, (attributes, prompt) in zip(pictures, asked, strict=True):
        seen = judge.say([picture])[0]
        colour = subject_colour(picture, attributes.subject, attributes.setting, attributes.time)
        results = {
            "body colour": (colour, attributes.colour),
            "scene": (seen["setting"], attributes.setting),
            "time of day": (seen["time"], attributes.time),
            "subject": (seen["subject"], attributes.subject),
        }
        if attributes.subject == "duck":
            results["hat kind or its absence"] = (seen["hat"], attributes.hat or "no hat")
        for name, (saw, wanted) in results.items():
            hits[name].append(saw == wanted)
        wrong = [f"{name}: {saw}" for name, (saw, wanted) in results.items() if saw != wanted]
        if wrong:
            misses.append(f"{prompt} -> {', '.join(wrong)}")
    return {name: statistics.fmean(values) if values else 0.0 for name, values in hits.items()}, misses


REMOVALS: tuple[tuple[str, str, str, str], ...] = (
    # (prompt that leaves open which it is, negative prompt, question, answer that has to go)
    *(("a duck wearing a hat", hat, "hat", hat) for hat in HATS),
    ("a duck", "night, moon, stars", "time", "night"),
    ("a duck", "sunset, evening", "time", "sunset"),
    ("a duck", "pond, water, lake", "setting", "pond"),
    ("a duck", "meadow, grass", "setting", "meadow"),
    ("a duck", "snow, winter", "setting", "snow"),
    ("a duck", "beach, sea", "setting", "beach"),
    ("a duck", "desert, cactus", "setting", "desert"),
)


def removal_share(pipeline: StableDiffusionXLPipeline, judge: Judge, seeds: int) -> tuple[float, int]:
    """Of the pictures that show a thing by themselves, the share that loses it when it is a negative prompt.

    The same seeds are painted with and without the negative prompt. Also gives how many pictures counted.
    """
    plain: dict[str, list[dict[str, str]]] = {}
    gone, counted = 0, 0
    for prompt, negative, question, answer in REMOVALS:
        numbers = list(range(700, 700 + seeds))
        if prompt not in plain:
            plain[prompt] = [judge.say([p])[0] for p in paint(pipeline, [prompt] * seeds, numbers)]
        showing = [n for n, seen in zip(numbers, plain[prompt], strict=True) if seen[question] == answer]
        if not showing:
            continue
        for picture in paint(pipeline, [prompt] * len(showing), showing, negative=negative):
            counted += 1
            gone += judge.say([picture])[0][question] != answer
    return (gone / counted if counted else 0.0), counted


def time_one_picture(pipeline: StableDiffusionXLPipeline, repeats: int = 5) -> dict[str, float]:
    """Median seconds of a whole 256x256 picture at 20 steps, and of its parts."""
    spent: dict[str, list[float]] = {"picture": [], "text encoders": [], "UNet": [], "VAE": []}
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        embeddings = pipeline.encode_prompt("a yellow duck on a pond", do_classifier_free_guidance=True)
        encoded = time.perf_counter()
        names = (
            "prompt_embeds",
            "negative_prompt_embeds",
            "pooled_prompt_embeds",
            "negative_pooled_prompt_embeds",
        )
        latents = pipeline(
            **dict(zip(names, embeddings, strict=True)),
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(repeat),
            output_type="latent",
        ).images
        denoised = time.perf_counter()
        with torch.no_grad():
            pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor)
        end = time.perf_counter()
        if repeat:  # The first run warms up.
            for name, value in zip(
                spent, (end - start, encoded - start, denoised - encoded, end - denoised), strict=True
            ):
                spent[name].append(value)
    return {name: statistics.median(values) for name, values in spent.items()}


def evaluate(
    checkpoint: Path, work: Path, prompts: int = 200, timing_threads: int = 2
) -> tuple[Report, list[np.ndarray], list[tuple[Attributes, str]]]:
    """Everything measured on one checkpoint, with the painted pictures and what was asked for."""
    pipeline = open_pipeline(checkpoint)
    judge, judge_accuracy = judge_for(pipeline.vae, work / "judge.pt")
    asked = held_out_prompts(prompts)
    pictures = paint(pipeline, [prompt for _, prompt in asked], [1000 + i for i in range(prompts)])
    shares, misses = score(pictures, asked, judge)
    shares["negative prompt removes"], _ = removal_share(pipeline, judge, seeds=max(8, min(24, prompts // 4)))
    drawn = [draw(attributes, index) for index, (attributes, _) in enumerate(asked[:48])]
    threads = torch.get_num_threads()
    torch.set_num_threads(timing_threads)
    seconds = time_one_picture(pipeline)
    torch.set_num_threads(threads)
    report = Report(
        prompts=prompts,
        distinct=len({prompt for _, prompt in asked}),
        shares=shares,
        judge={question: judge_accuracy[question] for question in QUESTIONS},
        psnr=held_out_psnr(pipeline.vae),
        sharpness=(
            statistics.fmean(sharpness(p) for p in pictures[:48]),
            statistics.fmean(sharpness(p) for p in drawn),
        ),
        seconds=seconds,
        threads=timing_threads,
        misses=misses,
    )
    return report, pictures, asked
