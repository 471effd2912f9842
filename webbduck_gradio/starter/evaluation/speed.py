"""Measures the time for one image and its parts. Results are only meaningful on an idle machine."""

from __future__ import annotations

import statistics
import time

import torch
from diffusers import StableDiffusionXLPipeline

from .inference import GUIDANCE, STEPS
from .sections import EvalContext, Row, Section

REPEATS = 7
"""Number of images timed."""
_THREADS = 2
"""The target is for two cores."""


def time_one_picture(pipeline: StableDiffusionXLPipeline, repeats: int = REPEATS) -> dict[str, float]:
    """Median seconds for a 256x256 image at 20 steps, and for its parts."""
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


def section(context: EvalContext) -> Section:
    """The median time per image of the base checkpoint at 256x256."""
    threads = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    seconds = time_one_picture(context.pipeline)
    torch.set_num_threads(threads)
    whole = seconds["picture"]
    rows = [
        Row(f"one picture, median of {REPEATS}, {_THREADS} threads", f"{whole:.2f} s", "4 s", whole <= 4),
        *(Row(f"of which {name}", f"{value:.2f} s") for name, value in seconds.items() if name != "picture"),
    ]
    text = f"256x256, {STEPS} Euler steps, CFG {GUIDANCE:g}, float32 on the CPU; each part's own median."
    return Section("Speed", rows, text)
