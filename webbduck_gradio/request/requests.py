"""`GenerationRequest`: what the page builds, the API accepts, the queue stores, the core runs and the
metadata records.

A request validates itself: nothing is clamped, rounded or dropped; an invalid value raises `RequestError`.
Whether the *names* in it exist is checked against the catalog (`models.admission.validate_request`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import field_validator, model_validator

from .embedding_fields import EmbeddingFields
from .fields import Setting, declared
from .modes import Mode, mode_of
from .picture_fields import MAX_PIXELS, MAX_SEED, random_if_none
from .samplers import (
    DEFAULT_SAMPLER,
    DEFAULT_SCHEDULE,
    JOINED,
    SAMPLERS,
    SCHEDULES,
    joined_name,
    sampler_named,
    schedules_of,
    split_scheduler,
)
from .steps import Steps, of_second_pass, under_strength

SCHEDULERS = tuple(JOINED)
"""A sampler and its schedule in one name: "DPM++ 2M Karras"."""

DEFAULT_SCHEDULER = joined_name(DEFAULT_SAMPLER, DEFAULT_SCHEDULE)


class GenerationRequest(EmbeddingFields):
    """All settings of an image. Sizes in pixels; image i of a batch uses seed + i.

    Each field is declared once, in one of the base classes: its type, range and default, and in `Setting`
    everything that the page, the API and the metadata need. The order is that of the API's parameters, so a
    new field comes last.
    """

    @property
    def images_asked(self) -> int:
        return self.num_images

    @property
    def mode(self) -> Mode:
        """What the first pass starts from."""
        return mode_of({"image": self.image, "mask": self.mask, "outpaint": self.outpaint})

    @model_validator(mode="before")
    @classmethod
    def _split_scheduler(cls, asked: Any) -> Any:
        return split_scheduler(asked) if isinstance(asked, Mapping) else asked

    @model_validator(mode="before")
    @classmethod
    def _choose_variation_seed(cls, asked: Any) -> Any:
        """The random variation seed is chosen here, so that the request records it."""
        if not isinstance(asked, Mapping) or not asked.get("variation_strength"):
            return asked
        return {**asked, "variation_seed": random_if_none(asked.get("variation_seed"))}

    @field_validator("prompt", "negative_prompt", "prompt_2", "hires_prompt", "hires_negative_prompt")
    @classmethod
    def _without_nul(cls, text: str) -> str:
        if "\0" in text:
            raise ValueError("must not contain a NUL character")
        return text

    @field_validator("sampler")
    @classmethod
    def _known_sampler(cls, name: str) -> str:
        return _one_of(name, [each.name for each in SAMPLERS])

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, name: str) -> str:
        return _one_of(name, [each.name for each in SCHEDULES])

    @model_validator(mode="after")
    def _is_consistent(self) -> GenerationRequest:
        if self.width * self.height > MAX_PIXELS:
            size, most = f"{self.width} x {self.height}", f"{MAX_PIXELS / 1e6:.1f} megapixels"
            raise ValueError(f"{size} is more than {most}; choose a smaller size")
        supported = schedules_of(sampler_named(self.sampler))
        if self.schedule not in supported:
            choose = " or ".join(supported)
            raise ValueError(f"{self.sampler} does not support the schedule {self.schedule}; choose {choose}")
        if self.mask and not self.image:
            raise ValueError("A mask needs an input image")
        if self.image and self.first_pass_steps.drawn < 1:
            raise ValueError(
                f"{self.steps} steps at strength {self.strength:g} leave no step to run; raise one of them"
            )
        if (self.seed_resize_width is None) != (self.seed_resize_height is None):
            raise ValueError("seed_resize_width and seed_resize_height belong together; give both or neither")
        low, high = self.sigma_min, self.sigma_max
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"sigma_min {low:g} must be below sigma_max {high:g}; lower it or raise the other"
            )
        if self.guidance_start > self.guidance_end:
            raise ValueError(
                f"guidance_start {self.guidance_start:g} is after guidance_end {self.guidance_end:g}; "
                "lower it or raise the other"
            )
        names = [lora.name for lora in self.loras]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"The LoRA {twice} is in the stack twice; remove one of the two")
        return self

    @property
    def scheduler(self) -> str:
        """Sampler and schedule in one name: "DPM++ 2M Karras"."""
        return joined_name(self.sampler, self.schedule)

    @property
    def first_pass_steps(self) -> Steps:
        """The first pass's steps; with an input picture, those that its strength leaves."""
        if not self.image:
            return Steps(self.steps, self.steps)
        return under_strength(self.steps, self.strength, self.strength_steps)

    @property
    def img2img_pass_steps(self) -> Steps:
        """The steps of an img2img second pass."""
        steps = self.second_pass_steps or self.steps
        return of_second_pass(steps, self.refinement_strength, self.strength_steps)

    @property
    def discards_penultimate(self) -> bool:
        """Whether the schedule's penultimate noise level is left out."""
        if self.discard_penultimate == "automatic":
            return sampler_named(self.sampler).discards_penultimate
        return self.discard_penultimate == "always"

    def seed_of(self, index: int) -> int:
        """Seed of image `index` (from 0) of the batch; with a variation it is the same for all."""
        return self.seed if self.variation_strength else (self.seed + index) % (MAX_SEED + 1)

    def for_single_image(self, index: int) -> GenerationRequest:
        """The request that generates image `index` of this batch alone."""
        alone: dict[str, Any] = {"seed": self.seed_of(index), "num_images": 1}
        if self.variation_strength and self.variation_seed is not None:
            alone["variation_seed"] = (self.variation_seed + index) % (MAX_SEED + 1)
        if self.combination is not None:
            alone["combination"] = self.combination + index
        return self.model_copy(update=alone)


SETTINGS: dict[str, Setting] = declared(GenerationRequest)
"""The setting of each field of `GenerationRequest`."""


def _one_of(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"must be one of: {', '.join(names)}")
    return name


def upgrade_stored_request(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request stored by any version, converted to their current meaning.

    Before `masked_content` existed, `inpainting_fill="keep"` meant what is now `masked_content="original"`,
    and the masked part was always the inpainted one. Every request stored since then has `masked_content`.
    Before `sampler` existed, `scheduler` named sampler and schedule together.
    """
    stored = dict(stored)
    if isinstance(stored.get("scheduler"), str) and stored["scheduler"] in JOINED and "sampler" not in stored:
        stored["sampler"], stored["schedule"] = JOINED[stored.pop("scheduler")]
    fill = stored.get("inpainting_fill")
    if "masked_content" in stored or fill not in ("replace", "keep"):
        return stored
    content = "original" if fill == "keep" else "fill"
    return {**stored, "inpainting_fill": "replace", "masked_content": content}
