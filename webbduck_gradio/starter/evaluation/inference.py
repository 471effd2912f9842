"""Generates images for held-out prompts and scores them; shared by all parts of the evaluation."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

from ..captions.captions import full_caption
from ..drawing.scenes import Attributes, sample
from .attribute_classifier import AttributeClassifier
from .measures import Tone, subject_colour

STEPS = 20
GUIDANCE = 5.0
SWITCH = 0.8
"""Fraction of the noise schedule after which a refiner takes over."""
_BATCH = 8
_PROMPT_SEED = 2026


def open_pipeline(checkpoint: Path) -> StableDiffusionXLPipeline:
    """Load a checkpoint in float32 on the CPU."""
    if not (checkpoint / "model_index.json").is_file():
        raise FileNotFoundError(f"{checkpoint} is not a checkpoint folder: it has no model_index.json")
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        checkpoint, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    for module in (pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2):
        module.requires_grad_(False)  # peft does so later, and on some CPUs that changes the last bit
    return pipeline


def open_refiner(folder: Path) -> StableDiffusionXLImg2ImgPipeline:
    """Load a refiner in float32 on the CPU."""
    refiner = StableDiffusionXLImg2ImgPipeline.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    refiner.set_progress_bar_config(disable=True)
    return refiner


def held_out_prompts(count: int, seed: int = _PROMPT_SEED) -> list[tuple[Attributes, str]]:
    """Prompts for held-out combinations, with their attributes."""
    rng = random.Random(seed)
    shown = [sample(rng, held_out=True) for _ in range(count)]
    return [(attributes, full_caption(attributes, rng)) for attributes in shown]


def generate(
    pipeline: StableDiffusionXLPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    negative: str | None = None,
    width: int | None = None,
    height: int | None = None,
    steps: int = STEPS,
    switched: list[torch.Tensor] | None = None,
) -> list[np.ndarray]:
    """One image (height, width, 3), 8-bit RGB, per prompt and seed.

    `switched` collects the noisy latents at SWITCH, where a refiner would take over.
    """

    def stepped(pipe: Any, _step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        last = [each for each in pipe.scheduler.timesteps if each >= 1000 * (1 - SWITCH)][-1]
        if switched is not None and timestep == last:
            switched.append(tensors["latents"].clone())
        return tensors

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
            callback_on_step_end=stepped,
            **options,
        ).images
        pictures += [(picture * 255).round().astype(np.uint8) for picture in made]
    return pictures


def finish_with_refiner(
    refiner: StableDiffusionXLImg2ImgPipeline,
    switched: Sequence[torch.Tensor],
    prompts: Sequence[str],
    steps: int = STEPS,
) -> list[np.ndarray]:
    """Images from the latents collected by `generate`, finished by the refiner."""
    pictures: list[np.ndarray] = []
    for latents in switched:
        part = list(prompts[len(pictures) : len(pictures) + len(latents)])
        made = refiner(
            part,
            denoising_start=SWITCH,
            image=latents,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            output_type="np",
        ).images
        pictures += [(picture * 255).round().astype(np.uint8) for picture in made]
    return pictures


def score(
    pictures: Sequence[np.ndarray],
    asked: Sequence[tuple[Attributes, str]],
    classifier: AttributeClassifier,
    tone: Tone | None = None,
) -> tuple[dict[str, float], list[str]]:
    """Share of images with the requested attributes, and a list of misses.

    `tone`: effect of the images' style on flat colours.
    """
    hits: dict[str, list[bool]] = {name: [] for name in ("body colour", "scene", "time of day", "subject")}
    hits["hat kind or its absence"] = []
    misses = []
    for picture, (attributes, prompt) in zip(pictures, asked, strict=True):
        seen = classifier.classify([picture])[0]
        colour = subject_colour(picture, attributes.subject, attributes.setting, attributes.time, tone)
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
