"""A row for each setting of a generation: how a test changes it, and what it leaves out on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Change:
    """Another value than the default, and `beside`, the rest of a request in which the setting has an effect.

    "IMAGE" and "MASK" stand for stored pictures. `no_core`, `no_pair` and `no_row` say why the core, the
    `parameters` text and the gallery's panel do without it.
    """

    value: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    no_core: str = ""
    no_pair: str = ""
    no_row: str = ""


IMAGE = {"image": "IMAGE"}
MASK = {"image": "IMAGE", "mask": "MASK"}
SECOND = {"second_pass_model": "webbduck-starter", "second_pass_mode": "img2img"}
REFINER = {"second_pass_model": "refiner", "second_pass_mode": "refiner"}
LATENT = {"width": 64, "height": 64, "hires_upscaler": "Latent", "hires_strength": 0.7}
HIRES = LATENT | {"hires_scale": 1.5}
RESIZED = {"seed_resize_width": 80, "seed_resize_height": 72}
KARRAS = {"sampler": "DPM++ 2M", "schedule": "Karras"}
DETAILS = [{"detector": "webbduck-starter-detector", "strength": 0.8, "confidence": 0.01}]
"""So unsure that something is found in any picture."""
STYLES = [{"name": "Night", "prompt": "{prompt} at night", "negative_prompt": "pond"}]
NO_PLACE = "A1111 has no pair for it"
HAS_OWN_PLACE = "the panel shows it by itself"

CHANGES: dict[str, Change] = {
    "prompt": Change("a balloon at night", no_row=HAS_OWN_PLACE),
    "negative_prompt": Change("pond", no_row=HAS_OWN_PLACE),
    "prompt_2": Change("a balloon at night", no_pair=NO_PLACE),
    "base_model": Change("reddish", MASK),
    "width": Change(72, no_row="it is a part of the size"),
    "height": Change(72, no_row="it is a part of the size"),
    "steps": Change(5),
    "cfg": Change(9.0),
    "sampler": Change("Euler a"),
    "schedule": Change("Exponential"),
    "seed": Change(8),
    "num_images": Change(2, no_pair="a picture tells of itself alone", no_row="it is the job's"),
    "loras": Change([{"name": "whole", "weight": 1.0}], no_row="a row for each LoRA"),
    "second_pass_model": Change("webbduck-starter", {"refinement_strength": 0.5}),
    "second_pass_mode": Change("refiner", SECOND | {"refinement_strength": 0.5}),
    "refinement_strength": Change(0.8, SECOND),
    "second_pass_steps": Change(9, SECOND),
    "refiner_switch": Change(0.5, REFINER),
    "image": Change("IMAGE", no_pair="the id is this studio's alone", no_row="a row says that there was one"),
    "mask": Change("MASK", IMAGE, no_pair="the id is this studio's alone", no_row="a row says so"),
    "strength": Change(0.3, IMAGE),
    "resize_mode": Change("stretch", IMAGE, no_pair=NO_PLACE),
    "inpainting_fill": Change("keep", MASK),
    "masked_content": Change("original", MASK),
    "outpaint": Change(
        {"left": 8, "right": 0, "top": 0, "bottom": 8}, IMAGE | {"width": 104, "height": 88}, no_pair=NO_PLACE
    ),
    "mask_blur": Change(0, MASK),
    "soft_inpainting": Change("on", MASK),
    "inpaint_area": Change("masked", MASK | {"inpaint_padding": 4}),
    "inpaint_padding": Change(2, MASK | {"inpaint_area": "masked"}),
    "clip_skip": Change(1),
    "emphasis": Change("none", {"prompt": "a (red:1.6) duck"}),
    "noise_source": Change("nv"),
    "combination": Change(0, {"prompt": "a {red duck|blue boat}"}, no_pair="the drawn prompt stands there"),
    "variation_strength": Change(0.3),
    "variation_seed": Change(9, {"variation_strength": 0.3}),
    "seed_resize_width": Change(96, RESIZED),
    "seed_resize_height": Change(96, RESIZED),
    "ensd": Change(31337, {"sampler": "Euler a"}),
    "eta": Change(0.5, {"sampler": "Euler a"}),
    "s_noise": Change(1.05, {"sampler": "Euler a"}),
    "s_churn": Change(8.0, {"sampler": "Euler"}),
    "s_tmin": Change(4.0, {"sampler": "Euler", "s_churn": 8.0}),
    "s_tmax": Change(4.0, {"sampler": "Euler", "s_churn": 8.0}),
    "sigma_min": Change(0.2, KARRAS),
    "sigma_max": Change(9.0, KARRAS),
    "rho": Change(3.0, KARRAS),
    "beta_alpha": Change(0.9, {"schedule": "Beta"}),
    "beta_beta": Change(0.9, {"schedule": "Beta"}),
    "discard_penultimate": Change("always", KARRAS),
    "strength_steps": Change("a1111", IMAGE),
    "cfg_rescale": Change(0.7),
    "guidance_start": Change(0.3),
    "guidance_end": Change(0.5),
    "ngms": Change(15.0),
    "mimic_cfg": Change(3.0, {"cfg": 12.0}),
    "mimic_percentile": Change(0.9, {"cfg": 12.0, "mimic_cfg": 3.0}),
    "pag_scale": Change(3.0),
    "slg_scale": Change(3.0),
    "freeu": Change("on"),
    "freeu_b1": Change(1.1, {"freeu": "on"}),
    "freeu_b2": Change(1.1, {"freeu": "on"}),
    "freeu_s1": Change(0.6, {"freeu": "on"}),
    "freeu_s2": Change(0.6, {"freeu": "on"}),
    "details": Change(DETAILS, {"width": 128, "height": 128}, no_row="a row for each pass"),
    "styles": Change(STYLES, no_pair="the prompts hold what they add", no_row="a row for each style"),
    "embeddings": Change(
        ["bad"],
        no_core="no word of the prompt is the name of an embedding",
        no_pair="TI hashes name those that were used",
        no_row="a row for each with its hash",
    ),
    "batch_mode": Change(
        "together", {"num_images": 2}, no_core="the pictures are the same up to rounding", no_pair=NO_PLACE
    ),
    "hires_scale": Change(1.5, LATENT),
    "hires_width": Change(96, LATENT | {"hires_height": 80}),
    "hires_height": Change(96, LATENT | {"hires_width": 80}),
    "hires_upscaler": Change("Latent (nearest)", HIRES),
    "hires_strength": Change(0.9, HIRES),
    "hires_steps": Change(2, HIRES),
    "hires_cfg": Change(2.0, HIRES),
    "hires_sampler": Change("Euler a", HIRES),
    "hires_schedule": Change("Exponential", HIRES),
    "hires_model": Change("reddish", HIRES),
    "hires_prompt": Change("a balloon at night", HIRES),
    "hires_negative_prompt": Change("pond", HIRES),
    "vae": Change("other"),
    "tiling": Change("both"),
    "keep_stages": Change(
        "on", no_core="it changes no picture", no_pair="it changes no picture", no_row="it is the job's"
    ),
    "output_format": Change("webp", no_core="the gallery saves the files", no_pair=NO_PLACE),
}


def with_pictures(asked: Mapping[str, Any], image: str, mask: str) -> dict[str, Any]:
    """Fields of a request with the ids of stored pictures in place of "IMAGE" and "MASK"."""
    stored = {"IMAGE": image, "MASK": mask}
    return {
        key: stored.get(value, value) if isinstance(value, str) else value for key, value in asked.items()
    }
