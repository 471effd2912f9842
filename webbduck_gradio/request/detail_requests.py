"""What the regions of a detail pass are drawn with: a request for each, derived from the picture's."""

from __future__ import annotations

from collections.abc import Iterator

from .region_fields import MAIN_PROMPT, SEPARATOR, SKIPPED, DetailPass, detail_sampling
from .requests import SETTINGS, GenerationRequest

RESET = ("image", "hires", "regions")
"""Groups of settings that hold for the picture and not for its regions."""
REGION = "region"
"""Stands for input picture and mask, which a region's are not stored as."""


def detail_request(request: GenerationRequest, each: DetailPass) -> GenerationRequest:
    """The request by which the regions of a pass are inpainted, still with the picture's own prompts.

    Its seed, size, LoRAs and guidance are the picture's, except where the pass names its own.
    """
    sampler, schedule = detail_sampling(request, each)
    usual = {name: setting.default for name, setting in SETTINGS.items() if setting.group in RESET}
    own = {
        "image": REGION,
        "mask": REGION,
        "strength": each.strength,
        "steps": each.steps or request.steps,
        "cfg": each.cfg or request.cfg,
        "sampler": sampler,
        "schedule": schedule,
        "masked_content": "original",
        "inpaint_area": "masked",
        "inpaint_padding": each.padding,
        "mask_blur": each.mask_blur,
        "num_images": 1,
    }
    return request.model_copy(update=usual | own)


def region_requests(
    request: GenerationRequest, each: DetailPass, count: int
) -> Iterator[GenerationRequest | None]:
    """The request of each of `count` regions; None for one that stays as it is."""
    base = detail_request(request, each)
    negatives = region_prompts(each.negative_prompt, request.negative_prompt, count)
    for prompt, negative in zip(region_prompts(each.prompt, request.prompt, count), negatives, strict=True):
        if prompt is None:
            yield None
            continue
        # A second prompt belongs to the main one.
        second = request.prompt_2 if prompt == request.prompt else ""
        yield base.model_copy(
            update={"prompt": prompt, "negative_prompt": negative or "", "prompt_2": second}
        )


def prompts_in(each: DetailPass) -> int:
    """How many prompts a pass names."""
    return max(text.count(SEPARATOR) + 1 for text in (each.prompt, each.negative_prompt))


def region_prompts(text: str, main: str, count: int) -> list[str | None]:
    """The prompt of each of `count` regions; None for one that stays as it is.

    Of fewer prompts the last one holds for the rest, as in ADetailer.
    """
    parts = [part.strip() for part in text.split(SEPARATOR)]
    return [
        None if part == SKIPPED else part.replace(MAIN_PROMPT, main) if part else main
        for part in (parts + parts[-1:] * count)[:count]
    ]
