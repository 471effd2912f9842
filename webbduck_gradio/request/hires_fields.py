"""The settings of the hires pass, which redraws the finished picture at a larger size."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from .base import MAX_SIDE, MIN_SIDE, SIDE_STEP, Name, StrictFloat, reject_bool
from .fields import Pair, Setting
from .picture_fields import MAX_PIXELS, Prompt
from .samplers import SAMPLERS, SCHEDULES, sampler_named, schedules_of
from .sampling_fields import SamplingFields
from .steps import Steps, of_second_pass

LANCZOS = "Lanczos"
"""The upscaler that is always there; it adds no detail."""
LATENT_UPSCALERS = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)
"""AUTOMATIC1111's upscalers of latents; the first is bilinear."""
SAME = "As in the first pass"
DEFAULT_HIRES_SCALE, DEFAULT_HIRES_STRENGTH = 2.0, 0.5
"""Those of SDXL; a checkpoint may recommend others."""


def _none_if_zero(value: Any) -> Any:
    """0, A1111's sign for "not asked for", means None."""
    return None if value == 0 and not isinstance(value, bool) else value


def _none_if_empty(value: Any) -> Any:
    """The empty text of a list means None."""
    return None if value == "" else value


_number = BeforeValidator(reject_bool)
_unless_zero = BeforeValidator(_none_if_zero)
_optional = BeforeValidator(_none_if_empty)
_Factor = Annotated[float, Field(ge=1, le=4)] | None
_Size = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=SIDE_STEP)] | None
_Steps = Annotated[int, Field(ge=1, le=150)] | None
_Cfg = Annotated[float, Field(ge=1, le=30)] | None


class HiresFields(SamplingFields):
    """Further fields of `GenerationRequest`, which follow those of `SamplingFields` in the API."""

    # fmt: off

    hires_scale: Annotated[_Factor, _number, _unless_zero, Setting(
        label="Hires scale", form_label="Scale", group="hires", control="number", place=10, step=0.25,
        placeholder="Off",
        help="Redraws the finished picture this many times as large (hires fix).",
        page_help="Empty: off.",
        api_help="None or 0 = off. Sides become multiples of 8. Works with text to image and img2img.",
        lines={"queue": "hires {}×", "sheet": "hires {}×"},
        infotext=Pair("Hires upscale", is_written=False),
    )] = None
    hires_width: Annotated[_Size, _number, _unless_zero, Setting(
        label="Hires width", form_label="or width", group="hires", control="number", place=10, unit="px",
        is_beside=True, placeholder="From scale",
        help="The width to draw, in place of a scale. Alone it keeps the ratio; with a height the picture is "
        "enlarged to cover both, and what protrudes is cut off.",
        api_help="None or 0 = not given.", lines={"queue": "hires {} px wide"},
        infotext=Pair("Hires resize", is_written=False),
    )] = None
    hires_height: Annotated[_Size, _number, _unless_zero, Setting(
        label="Hires height", form_label="height", group="hires", control="number", place=10, unit="px",
        is_beside=True, placeholder="From scale",
        help="The height to draw, in place of a scale.",
        api_help="None or 0 = not given.", lines={"queue": "hires {} px high"},
        infotext=Pair("Hires resize", is_written=False),
    )] = None
    hires_upscaler: Annotated[Name | None, _optional, Setting(
        label="Hires upscaler", form_label="Upscaler", group="hires", control="model", place=20,
        help="What enlarges the picture first: an upscaling model, Lanczos, or one of latents, which needs a "
        "strength of about 0.5 or more.",
        api_help='One of /upscalers, "Lanczos", '
        + ", ".join(f'"{name}"' for name in LATENT_UPSCALERS)
        + "; None = the first model installed, else Lanczos.",
        applies=("hires",), reset="kept", lines={"fold": "{}"},
        infotext=Pair("Hires upscaler", is_written=False),
    )] = None
    hires_strength: Annotated[StrictFloat, Field(gt=0, le=1), Setting(
        label="Hires strength", form_label="Strength", group="hires", control="number", place=30,
        has_slider=True, help="How much the enlarged picture may change.",
        api_help="None = as its checkpoint recommends.",
        applies=("hires",), reset="checkpoint", lines={"fold": "strength {}"},
        infotext=Pair("Hires denoising strength", is_written=False),
    )] = DEFAULT_HIRES_STRENGTH
    hires_steps: Annotated[_Steps, _number, _unless_zero, Setting(
        label="Hires steps", form_label="Steps", group="hires", control="number", place=40,
        placeholder="The same",
        help="Steps that the hires pass draws, whatever its strength, as in A1111.",
        page_help="Empty: as many as the first pass.", api_help="None or 0 = as many as steps.",
        applies=("hires",), infotext=Pair("Hires steps", is_written=False),
    )] = None
    hires_cfg: Annotated[_Cfg, _number, _unless_zero, Setting(
        label="Hires CFG", form_label="CFG", group="hires", control="number", place=40, is_beside=True,
        step=0.5, placeholder="The same", help="CFG of the hires pass.", api_help="None or 0 = as cfg.",
        applies=("hires",), infotext=Pair("Hires CFG Scale", is_written=False),
    )] = None
    hires_sampler: Annotated[Name | None, _optional, Setting(
        label="Hires sampler", form_label="Sampler", group="hires", control="list", place=50,
        choices={"": SAME, **{each.name: each.name for each in SAMPLERS}},
        choice_groups={each.name: each.family for each in SAMPLERS},
        help="Sampler of the hires pass.", api_help="A name of /samplers; None = as sampler.",
        applies=("hires",), infotext=Pair("Hires sampler", is_written=False),
    )] = None
    hires_schedule: Annotated[Name | None, _optional, Setting(
        label="Hires schedule type", form_label="Schedule type", group="hires", control="list", place=50,
        is_beside=True, choices={"": SAME, **{each.name: each.name for each in SCHEDULES}},
        help="Schedule of the hires pass.", api_help="One that its sampler supports; None = as schedule.",
        applies=("hires",), infotext=Pair("Hires schedule type", is_written=False),
    )] = None
    hires_model: Annotated[Name | None, _optional, Setting(
        label="Hires checkpoint", form_label="Checkpoint", group="hires", control="model", place=60,
        help="Another checkpoint for the hires pass.",
        api_help="The name of a checkpoint, see /models; None = as base_model.",
        applies=("hires",), lines={"fold": "{}"},
        infotext=Pair("Hires checkpoint", is_written=False),
    )] = None
    hires_prompt: Annotated[Prompt, Setting(
        label="Hires prompt", form_label="Prompt", group="hires", control="text", place=70, is_content=True,
        placeholder="Same as the prompt",
        help="Another prompt for the hires pass, for both text encoders. It may name LoRAs, which replace "
        "those named in the prompt; those of the stack stay.",
        applies=("hires",), listed_at_default=False, lines={"fold": "its own prompt"},
        infotext=Pair("Hires prompt", is_written=False),
    )] = ""
    hires_negative_prompt: Annotated[Prompt, Setting(
        label="Hires negative prompt", form_label="Negative prompt", group="hires", control="text", place=80,
        is_content=True, placeholder="Same as the negative prompt",
        help="Another negative prompt for the hires pass.",
        applies=("hires",), listed_at_default=False, lines={"fold": "its own negative prompt"},
        infotext=Pair("Hires negative prompt", is_written=False),
    )] = ""
    # fmt: on

    @property
    def has_hires(self) -> bool:
        """Whether a hires pass follows."""
        return bool(self.hires_scale or self.hires_width or self.hires_height)

    @property
    def hires_cover(self) -> tuple[int, int]:
        """Width and height in pixels that the hires pass enlarges the picture to, before `hires_size` is cut
        out of its middle."""
        width, height = self.hires_exact
        return width // SIDE_STEP * SIDE_STEP, height // SIDE_STEP * SIDE_STEP

    @property
    def hires_exact(self) -> tuple[int, int]:
        """`hires_cover` before its sides are rounded down to multiples of 8: AUTOMATIC1111's
        `calculate_target_resolution` (modules/processing.py)."""
        width, height = self.hires_width, self.hires_height
        if width and (not height or self.width * height <= width * self.height):
            return width, width * self.height // self.width
        if height:
            return height * self.width // self.height, height
        scale = self.hires_scale or 1.0
        # 960 * 1.15 is a little less than 1104
        return int(round(self.width * scale, 6)), int(round(self.height * scale, 6))

    @property
    def hires_size(self) -> tuple[int, int]:
        """Width and height in pixels of the finished picture of a hires pass."""
        if self.hires_width and self.hires_height:
            return self.hires_width, self.hires_height
        return self.hires_cover

    @property
    def largest_size(self) -> tuple[int, int]:
        """Width and height in pixels of what the job's largest pass draws."""
        return self.hires_cover if self.has_hires else (self.width, self.height)

    @property
    def hires_pass_steps(self) -> Steps:
        """The steps of the hires pass: exactly as many as asked for are drawn."""
        return of_second_pass(self.hires_steps or self.steps, self.hires_strength, "a1111")

    def for_hires_pass(self) -> Self:
        """The settings that the hires pass has in place of the first pass's, as a request of its own."""
        width, height = self.hires_size
        other: dict[str, Any] = {
            "width": width,
            "height": height,
            "steps": self.hires_pass_steps.scheduled,
            "cfg": self.hires_cfg or self.cfg,
            "sampler": self.hires_sampler or self.sampler,
            "schedule": self.hires_schedule or self.schedule,
            "base_model": self.hires_model or self.base_model,
            "negative_prompt": self.hires_negative_prompt or self.negative_prompt,
        }
        if self.hires_prompt:
            other |= {"prompt": self.hires_prompt, "prompt_2": ""}
        return self.model_copy(update=other)

    @model_validator(mode="after")
    def _has_possible_hires_pass(self) -> Self:
        if not self.has_hires:
            return self
        _check_names(self)
        if self.hires_scale and (self.hires_width or self.hires_height):
            raise ValueError("hires_scale and a hires size exclude each other; give one of them")
        if self.mask:
            raise ValueError(
                "A hires pass redraws the whole picture, so it does not go with a mask; leave one of them out"
            )
        (width, height), most = self.hires_cover, f"{MAX_PIXELS / 1e6:.1f} megapixels"
        if width < self.width or height < self.height:
            raise ValueError(
                f"The hires pass would make {width} x {height} of {self.width} x {self.height}, but it can "
                "only enlarge; choose a larger size"
            )
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise ValueError(
                f"The hires pass would draw {width} x {height}, but at most {MAX_SIDE} pixels a side and "
                f"{most} are possible; choose a smaller one"
            )
        return self


def _check_names(request: HiresFields) -> None:
    """Raises `ValueError` for a sampler or schedule that is none, or that do not go together."""
    for name, known in (
        ("hires_sampler", [each.name for each in SAMPLERS]),
        ("hires_schedule", [each.name for each in SCHEDULES]),
    ):
        if getattr(request, name) not in (None, *known):
            raise ValueError(f"{name} must be one of: {', '.join(known)}")
    alone = request.for_hires_pass()
    supported = schedules_of(sampler_named(alone.sampler))
    if alone.schedule not in supported:
        raise ValueError(
            f"{alone.sampler} does not support the schedule {alone.schedule} in the hires pass; set "
            f"hires_schedule to {' or '.join(supported)}"
        )
