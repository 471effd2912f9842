"""The settings of the regions that a detector finds and that are drawn again in detail."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import BaseRequest, Name, StrictFloat, StrictInt, reject_bool
from .fields import Pair, Setting, declared
from .model_fields import ModelFields
from .picture_fields import Prompt
from .samplers import AUTOMATIC, SAMPLERS, SCHEDULES, sampler_named, schedules_of
from .steps import Steps, under_strength

MAX_DETAILS = 3
MAX_CLASSES = 64
MAX_REGIONS = 100
SEPARATOR, MAIN_PROMPT, SKIPPED = "[SEP]", "[PROMPT]", "[SKIP]"
"""In a prompt: what separates the prompts of the regions, the main prompt, and a region that stays as it is;
as in ADetailer."""
SAME = "As the picture"


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


_number = BeforeValidator(reject_bool)
_optional = BeforeValidator(_none_if_empty)


class DetailPass(BaseRequest):
    """One pass: the regions that a detector finds are inpainted one after another, each at the size of the
    request. The defaults are ADetailer's."""

    # fmt: off

    detector: Annotated[Name, Setting(
        label="Detector", group="regions", control="list",
        help="The model that finds the regions. Files in checkpoint/detect appear here automatically.",
        api_help="A name of /detectors.",
    )]
    prompt: Annotated[Prompt, Setting(
        label="Prompt", group="regions", control="text", placeholder="Same as the picture",
        help=f"What the regions show. Empty: the main prompt. {SEPARATOR} separates one for each region, "
        f"{MAIN_PROMPT} stands for the main prompt, {SKIPPED} leaves a region as it is.",
    )] = ""
    negative_prompt: Annotated[Prompt, Setting(
        label="Negative prompt", group="regions", control="text", placeholder="Same as the picture",
        help=f"What the regions do not show, with {SEPARATOR} and {MAIN_PROMPT} as in the prompt.",
    )] = ""
    strength: Annotated[StrictFloat, Field(gt=0, le=1), Setting(
        label="Strength", group="regions", control="number", has_slider=True,
        help="How much a region may change.",
    )] = 0.4
    confidence: Annotated[StrictFloat, Field(ge=0.01, le=1), Setting(
        label="Confidence", group="regions", control="number", has_slider=True,
        help="How sure the detector has to be.",
    )] = 0.3
    padding: Annotated[StrictInt, Field(ge=0, le=512), Setting(
        label="Padding", group="regions", control="number", unit="px", step=8,
        help="How much of the picture around a region the model sees.",
    )] = 32
    mask_blur: Annotated[StrictInt, Field(ge=0, le=64), Setting(
        label="Blur", group="regions", control="number", unit="px",
        help="Softness of a region's edge.",
    )] = 4
    dilate: Annotated[StrictInt, Field(ge=-128, le=128), Setting(
        label="Dilate", group="regions", control="number", unit="px",
        help="How much larger a region is drawn than it was found, across; below 0 smaller.",
    )] = 4
    classes: Annotated[tuple[Name, ...], Field(max_length=MAX_CLASSES), Setting(
        label="Classes", group="regions", control="text", placeholder="All",
        help="Which of the things that the detector knows are drawn again.",
        page_help="Separated by commas; empty: all.", api_help="Names of the detector's classes; empty: all.",
    )] = ()
    order: Annotated[Literal["confidence", "left to right", "size"], Setting(
        label="Order", group="regions", control="choice",
        choices={"confidence": "Confidence", "left to right": "Left to right", "size": "Size"},
        help="The order of the regions, of their prompts, and of those that a largest number leaves.",
    )] = "confidence"
    count: Annotated[StrictInt, Field(ge=0, le=MAX_REGIONS), Setting(
        label="At most", group="regions", control="number",
        help="How many regions are drawn, the first in their order; 0: all.",
    )] = 0
    min_area: Annotated[StrictFloat, Field(ge=0, le=1), Setting(
        label="Smallest area", group="regions", control="number", step=0.01,
        help="Smaller regions stay as they are: the share of the picture that their box covers.",
    )] = 0.0
    max_area: Annotated[StrictFloat, Field(gt=0, le=1), Setting(
        label="Largest area", group="regions", control="number", step=0.01,
        help="Larger regions stay as they are: the share of the picture that their box covers.",
    )] = 1.0
    steps: Annotated[Annotated[int, Field(ge=1, le=150)] | None, _number, _optional, Setting(
        label="Steps", group="regions", control="number", placeholder=SAME,
        help="Steps, before the strength is applied.", page_help="Empty: as the picture.",
        api_help="None = as the picture.",
    )] = None
    cfg: Annotated[Annotated[float, Field(ge=1, le=30)] | None, _number, _optional, Setting(
        label="CFG", group="regions", control="number", step=0.5, placeholder=SAME,
        help="How closely the prompt is followed.", page_help="Empty: as the picture.",
        api_help="None = as the picture.",
    )] = None
    sampler: Annotated[Name | None, _optional, Setting(
        label="Sampler", group="regions", control="list",
        choices={"": SAME, **{each.name: each.name for each in SAMPLERS}},
        help="The sampler of the regions.", api_help="A name of /samplers; None = as the picture.",
    )] = None
    schedule: Annotated[Name | None, _optional, Setting(
        label="Schedule type", group="regions", control="list",
        choices={"": SAME, **{each.name: each.name for each in SCHEDULES}},
        help="The schedule of the regions; with another sampler, its automatic one unless chosen.",
        api_help="One of the sampler's schedules; None = as the picture, or Automatic with another sampler.",
    )] = None

    # fmt: on

    @field_validator("sampler", "schedule")
    @classmethod
    def _known(cls, name: str | None, info: Any) -> str | None:
        names = [each.name for each in (SAMPLERS if info.field_name == "sampler" else SCHEDULES)]
        if name is not None and name not in names:
            raise ValueError(f"must be one of: {', '.join(names)}")
        return name

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _without_nul(cls, text: str) -> str:
        if "\0" in text:
            raise ValueError("must not contain a NUL character")
        return text

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.min_area >= self.max_area:
            raise ValueError(
                f"min_area {self.min_area:g} must be below max_area {self.max_area:g}; lower it or raise the "
                "other"
            )
        return self


DETAIL_SETTINGS: dict[str, Setting] = declared(DetailPass)
"""The setting of each field of `DetailPass`."""


class RegionFields(ModelFields):
    """Further fields of `GenerationRequest`, which follow those of `ModelFields` in the API."""

    # fmt: off

    details: Annotated[tuple[DetailPass, ...], Field(max_length=MAX_DETAILS), Setting(
        label="Details", group="regions", control="details",
        help="Finds regions of the finished picture, such as faces, and draws each again in detail.",
        api_help=f"At most {MAX_DETAILS} passes, each an object with detector and, if they differ from the "
        f"default, {', '.join(list(DETAIL_SETTINGS)[1:])}; see docs/api.md.",
        lines={"queue": "details by {}", "sheet": "details", "fold": "with {}"},
        infotext=Pair("ADetailer model", is_written=False),
    )] = ()

    # fmt: on

    @model_validator(mode="after")
    def _each_detail_is_possible(self) -> Self:
        for number, each in enumerate(self.details, 1):
            steps = detail_steps(self, each)
            if steps.drawn < 1:
                raise ValueError(
                    f"details {number}: {steps.scheduled} steps at strength {each.strength:g} leave no step "
                    "to run; raise one of them"
                )
            sampler, schedule = detail_sampling(self, each)
            supported = schedules_of(sampler_named(sampler))
            if schedule not in supported:
                raise ValueError(
                    f"details {number}: {sampler} does not support the schedule {schedule}; "
                    f"choose {' or '.join(supported)}"
                )
        return self


def detail_sampling(request: Any, each: DetailPass) -> tuple[str, str]:
    """Sampler and schedule of a pass. `request`: a `GenerationRequest`."""
    sampler = each.sampler or request.sampler
    return sampler, each.schedule or (request.schedule if sampler == request.sampler else AUTOMATIC)


def detail_steps(request: Any, each: DetailPass) -> Steps:
    """The steps of a pass over a region. `request`: a `GenerationRequest`."""
    return under_strength(each.steps or request.steps, each.strength, request.strength_steps)
