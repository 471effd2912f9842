"""The settings that say what a picture shows and how it is made from another one or passed on to a second
model. Those of guidance, noise and samplers are in `sampling_fields`.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .base import (
    MAX_INPUT_BYTES,
    InputImageId,
    JobRequest,
    LoraSelection,
    Name,
    Side,
    StrictFloat,
    StrictInt,
    reject_bool,
)
from .fields import Pair, Setting
from .samplers import DEFAULT_SAMPLER, DEFAULT_SCHEDULE, SAMPLERS, SCHEDULES

MAX_PROMPT = 4000
"""Longest prompt, in characters."""
MAX_SEED = 2**32 - 1
"""Largest seed. A batch uses seed, seed+1, ...; after the largest it wraps around to 0."""
MAX_IMAGES = 8
MAX_LORAS = 16
MAX_PIXELS = 4096 * 2304
SDXL_CLIP_SKIP = 2
"""A1111's CLIP skip for the layer that SDXL always uses, where ours is 0."""


def random_if_none(value: Any) -> Any:
    """None and -1 mean a random seed, which is chosen here, so that the request records it."""
    if value is None or (not isinstance(value, (bool, str)) and value == -1):
        return secrets.randbelow(MAX_SEED + 1)
    return value


Prompt = Annotated[str, Field(max_length=MAX_PROMPT)]
SecondPassSteps = Annotated[int, Field(ge=1, le=150)] | None
AN_IMAGE = (
    'The id of a gallery picture, for example "2026-05-01_12-30-00/0.png", or a file: PNG, JPEG or WebP, '
    f"at most {MAX_INPUT_BYTES >> 20} MiB and 64 megapixels (the first frame of an animation). "
    "URLs are not fetched."
)
OF_CHECKPOINT = "None = the checkpoint's default."


class PictureFields(JobRequest):
    """Fields of `GenerationRequest`, in the order of the API's parameters."""

    # fmt: off

    prompt: Annotated[Prompt, Setting(
        label="Prompt", group="prompt", control="text", is_content=True,
        help="What the picture should show. (word:1.2) weighs more, [word] less; [day:night:0.5] changes at "
        "half of the steps, [day|night] at each, and AND joins prompts.",
        page_help="Ctrl+Up and Ctrl+Down change a word's weight.",
        placeholder="What should the picture show?",
    )] = ""
    negative_prompt: Annotated[Prompt, Setting(
        label="Negative prompt", group="prompt", control="text", is_content=True,
        help="What it should not show. It has no effect at CFG 1.",
        placeholder="Negative prompt: what it should not show", element="negative",
        applies=("guidance",), stays_visible=True,
    )] = ""
    prompt_2: Annotated[Prompt, Setting(
        label="Second prompt", group="more", control="text", place=10, is_content=True,
        help="A separate prompt for SDXL's second text encoder; if empty, both encoders use the prompt.",
        placeholder="Same as the prompt", listed_at_default=False, lines={"fold": "second prompt"},
    )] = ""
    base_model: Annotated[Name, Setting(
        label="Checkpoint", group="model", control="model", element="checkpoint", reset="kept",
        help="The model that generates the picture.",
        page_help="Files added to checkpoint/sdxl appear here automatically.",
        api_help="The name of a checkpoint, see /models; None = the default one.",
        lines={"queue": "{}", "sheet": "{}"}, infotext=Pair("Model", is_written=False),
        other_tools={"swarmui": "model", "fooocus": "base_model"},
    )]
    width: Annotated[Side, Setting(
        label="Width", group="size", control="number", unit="px", reset="checkpoint",
        help="Models work best near the size that they were trained on.", api_help=OF_CHECKPOINT,
        lines={"queue": "{width} × {height} px", "sheet": "{width} × {height}"},
        other_tools={"swarmui": "width", "invokeai": "width", "novelai": "width"},
    )] = 1024
    height: Annotated[Side, Setting(
        label="Height", group="size", control="number", unit="px", reset="checkpoint",
        help="Models work best near the size that they were trained on.", api_help=OF_CHECKPOINT,
        other_tools={"swarmui": "height", "invokeai": "height", "novelai": "height"},
    )] = 1024
    steps: Annotated[StrictInt, Field(ge=1, le=150), Setting(
        label="Steps", group="sampling", control="number", reset="checkpoint",
        help="Number of denoising steps. More take longer; beyond 30 to 40 little changes.",
        api_help=OF_CHECKPOINT, lines={"queue": "{} steps", "sheet": "{} steps"}, infotext=Pair("Steps"),
        other_tools={"swarmui": "steps", "invokeai": "steps", "novelai": "steps", "fooocus": "steps"},
    )] = 30
    cfg: Annotated[StrictFloat, Field(ge=1, le=30), Setting(
        label="CFG", group="sampling", control="number", step=0.5, is_beside=True, reset="checkpoint",
        help="How closely the prompt is followed. 4 to 8 is usual; more looks harsh, 1 disables guidance.",
        api_help=OF_CHECKPOINT, lines={"queue": "CFG {}"}, infotext=Pair("CFG scale"),
        other_tools={
            "swarmui": "cfgscale", "invokeai": "cfg_scale", "novelai": "scale", "fooocus": "guidance_scale"
        },
    )] = 6.0
    seed: Annotated[StrictInt, Field(ge=0, le=MAX_SEED), BeforeValidator(random_if_none), Setting(
        label="Seed", group="seed", control="number", placeholder="Random", reset="kept", is_content=True,
        help="Selects the initial noise. The same seed and settings give the same picture.",
        page_help="Empty: random.",
        api_help="None or -1 = random, 0 is a seed. Image i of a batch has seed + i.",
        lines={"queue": "seed {}"}, infotext=Pair("Seed", is_written=False),
        other_tools={"swarmui": "seed", "invokeai": "seed", "novelai": "seed", "fooocus": "seed"},
    )] = Field(default=None, validate_default=True)  # the validator replaces None
    num_images: Annotated[StrictInt, Field(ge=1, le=MAX_IMAGES), Setting(
        label="Images", group="run", control="number", element="batch",
        help="Number of pictures in one job. Each uses the next seed.",
        listed_at_default=False, lines={"queue": "{} images"},
    )] = 1
    loras: Annotated[tuple[LoraSelection, ...], Field(max_length=MAX_LORAS), Setting(
        label="LoRAs", group="loras", control="loras", element="stack",
        help="Small additions to the checkpoint: a style, a subject, a look.",
        api_help=f'At most {MAX_LORAS} of {{"name": see /loras, "weight": -2 to 2}}; without a weight, 1. '
        "More keys of each, all with defaults: te_weight, blocks, start, end (see LoRAs).",
        lines={"queue": "{}", "sheet": "{}"},
    )] = ()
    second_pass_model: Annotated[Name | None, Setting(
        label="Second pass model", form_label="Model", group="second", control="model", place=10,
        element="second-model",
        help="Runs a second pass on the image: a refiner for the last steps, or any SDXL checkpoint.",
        api_help="A name of /second_pass_models.",
        lines={"queue": "then {}", "sheet": "second pass", "fold": "{}"},
        infotext=Pair("Refiner", is_written=False),
    )] = None
    second_pass_mode: Annotated[Literal["auto", "refiner", "img2img"], Setting(
        label="Second pass mode", form_label="Mode", group="second", control="choice", place=20,
        element="second-mode", choices={"auto": "Automatic", "refiner": "Refiner", "img2img": "img2img"},
        help="{refiner} continues the unfinished image, {img2img} reworks the finished one, {auto} "
        "depends on the model.",
        applies=("second_pass",), reset="kept",
    )] = "auto"
    refinement_strength: Annotated[StrictFloat, Field(gt=0, le=1), Setting(
        label="Second pass strength", form_label="Strength", group="second", control="number", place=40,
        help="How much an img2img second pass may change.", has_slider=True,
        applies=("second_pass", "img2img_pass"), reset="kept", lines={"fold": "strength {}"},
        infotext=Pair("Second pass strength", is_written=False),
    )] = 0.3
    image: Annotated[InputImageId | None, Setting(
        label="Input picture", group="image", control="file", place=10, is_content=True,
        help="The picture to start from.",
        api_help=AN_IMAGE,
    )] = None
    mask: Annotated[InputImageId | None, Setting(
        label="Mask", group="image", control="file", place=10, is_content=True, applies=("image",),
        help="White marks the masked part; the same size as the input picture.",
        api_help="A file or an id, as for image.",
    )] = None
    strength: Annotated[StrictFloat, Field(gt=0, le=1), Setting(
        label="Denoising strength", group="image", control="number", place=20, has_slider=True,
        help="How much the input picture is changed, and so which share of the steps is drawn.",
        applies=("image",), reset="kept", lines={"queue": "strength {}", "fold": "strength {}"},
        infotext=Pair("Denoising strength"), other_tools={"invokeai": "strength"},
    )] = 0.75
    inpainting_fill: Annotated[Literal["replace", "keep"], Setting(
        label="Mask mode", group="image", control="choice", place=40,
        choices={"replace": "Inpaint masked", "keep": "Inpaint not masked"},
        help="{replace} regenerates the masked part; {keep} protects it and regenerates everything else.",
        applies=("mask",), reset="kept",
        infotext=Pair(
            "Mask mode", {"replace": "Inpaint masked", "keep": "Inpaint not masked"}, at_default=False
        ),
    )] = "replace"
    masked_content: Annotated[Literal["fill", "original", "latent noise", "latent nothing"], Setting(
        label="Masked content", group="image", control="choice", place=50,
        choices={
            "fill": "Fill", "original": "Original", "latent noise": "Latent noise",
            "latent nothing": "Latent nothing",
        },
        help="What the inpainted part starts from. {fill}: the colours around it; {original}: the input "
        "picture itself; {latent noise}: noise of the seed; {latent nothing}: zeros. The last two need a "
        "strength near 1.",
        applies=("mask",), reset="kept", infotext=Pair("Masked content"),
    )] = "fill"
    mask_blur: Annotated[StrictInt, Field(ge=0, le=64), Setting(
        label="Mask blur", group="image", control="number", place=70, unit="px",
        help="Softness of the edge of the mask, or of the old picture where it is outpainted.",
        applies=("soft_border",), reset="kept", infotext=Pair("Mask blur"),
    )] = 8
    resize_mode: Annotated[Literal["crop", "pad", "stretch"], Setting(
        label="Resize mode", group="image", control="choice", place=30,
        choices={"crop": "Crop", "pad": "Pad", "stretch": "Stretch"},
        help="How an input picture of another aspect ratio is resized to width x height. {crop} cuts off the "
        "excess, {pad} fills the sides, {stretch} distorts it.",
        applies=("image", "whole_area"), reset="kept",
    )] = "crop"
    inpaint_area: Annotated[Literal["whole", "masked"], Setting(
        label="Inpaint area", group="image", control="choice", place=60,
        choices={"whole": "Whole picture", "masked": "Only masked"},
        help="{whole}: all of it at width x height; {masked}: only the area around the mask, in more detail.",
        applies=("mask",), reset="kept",
        infotext=Pair("Inpaint area", {"masked": "Only masked"}, at_default=False),
    )] = "whole"
    inpaint_padding: Annotated[StrictInt, Field(ge=0, le=512), Setting(
        label="Padding", group="image", control="number", place=80, is_beside=True, unit="px", step=8,
        help="How much of the input picture around the mask is included.",
        applies=("mask", "masked_area"), reset="kept", infotext=Pair("Masked area padding"),
    )] = 32
    refiner_switch: Annotated[StrictFloat, Field(ge=0.1, le=0.95), Setting(
        label="Refiner switch at", form_label="Switch at", group="second", control="number", place=30,
        help="The fraction of the steps after which a refiner continues.", has_slider=True,
        applies=("second_pass", "refiner_pass"), reset="kept", lines={"fold": "from {%}"},
        infotext=Pair("Refiner switch at", is_written=False),
    )] = 0.8
    second_pass_steps: Annotated[SecondPassSteps, BeforeValidator(reject_bool), Setting(
        label="Second pass steps", form_label="Steps", group="second", control="number", place=50,
        element="second-steps", placeholder="As many as the first",
        help="Steps of an img2img second pass, before its strength is applied.",
        page_help="Empty: as many as the first pass.", api_help="None = as many as the first pass.",
        applies=("second_pass", "img2img_pass"), reset="kept",
        infotext=Pair("Second pass steps", is_written=False),
    )] = None
    clip_skip: Annotated[StrictInt, Field(ge=0, le=4), Setting(
        label="CLIP skip", group="more", control="number", place=20,
        help="Text encoder layers skipped beyond the one that SDXL always skips; A1111's 2 is 0 here.",
        listed_at_default=False, infotext=Pair("Clip skip", offset=SDXL_CLIP_SKIP, at_default=False),
        other_tools={"fooocus": "clip_skip"},
    )] = 0
    emphasis: Annotated[Literal["mean", "none"], Setting(
        label="Emphasis", group="more", control="choice", place=30, is_beside=True,
        choices={"mean": "Mean kept", "none": "As weighted"},
        help="{mean}: the mean of weighted prompt embeddings is restored, as in A1111; {none}: it is not.",
        listed_at_default=False, lines={"fold": "weights as they are"},
        infotext=Pair("Emphasis", {"none": "No norm"}, at_default=False),
    )] = "mean"
    output_format: Annotated[Literal["png", "jpg", "webp"], Setting(
        label="File format", group="more", control="choice", place=40, reset="kept",
        choices={"png": "PNG", "jpg": "JPEG", "webp": "WebP"},
        help="PNG is lossless; all three formats carry the same metadata.",
        listed_at_default=False, lines={"fold": "{}"},
    )] = "png"
    sampler: Annotated[Name, Setting(
        label="Sampler", group="sampling", control="list", reset="checkpoint",
        choices={each.name: each.name for each in SAMPLERS},
        choice_groups={each.name: each.family for each in SAMPLERS},
        help="The algorithm that removes the noise. Euler is the simplest; DPM++ 2M needs few steps.",
        api_help=f"A name of /samplers. {OF_CHECKPOINT}", lines={"queue": "{}"},
        infotext=Pair("Sampler", is_written=False),
    )] = DEFAULT_SAMPLER
    schedule: Annotated[Name, Setting(
        label="Schedule type", group="sampling", control="list", is_beside=True, reset="checkpoint",
        choices={each.name: each.name for each in SCHEDULES},
        help="The noise levels of the steps. Automatic is the sampler's usual schedule. Below 10 steps, and "
        "on distilled and zero-SNR checkpoints, Uniform becomes SGM Uniform.",
        api_help="One of the sampler's schedules in /samplers; None = Automatic, or the checkpoint's default "
        "if the sampler is its default too.",
        lines={"queue": "{}"}, infotext=Pair("Schedule type", is_written=False),
    )] = DEFAULT_SCHEDULE
    # fmt: on
