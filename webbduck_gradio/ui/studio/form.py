"""The Studio's form: which control holds which field of the request, and how values go in and out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import gradio as gr
from pydantic.fields import FieldInfo

from ...api.gradio_helpers import notification
from ...api.serializers import effective_settings, second_pass_of
from ...errors import RequestError, WebbDuckError
from ...models.catalog.registry import Checkpoint
from ...request import (
    DEFAULT_SCHEDULER,
    MAX_PIXELS,
    MAX_PROMPT,
    SCHEDULERS,
    SIDE_STEP,
    GenerationRequest,
    upgrade_stored_request,
)
from ...request.applicability import NEEDS, without_effect
from ...services import Services
from ...storage.images import open_picture, upright_size
from ..shared.numbers import STEPS, read, shown
from .lora_stack import to_control, to_request
from .tooltips import BUTTONS, HELP, VALUES

PRESETS = {
    "1:1": (1024, 1024),
    "4:3": (1152, 896),
    "3:2": (1216, 832),
    "16:9": (1344, 768),
    "2:3": (832, 1216),
    "9:16": (768, 1344),
}
"""The sizes that SDXL was trained on; for a checkpoint of another native size they are scaled."""

BY_CHECKPOINT = ("width", "height", "steps", "cfg", "scheduler")
"""What choosing a checkpoint sets."""
EMPTY = ("second_pass_model", "image", "mask")
"""Fields whose control says "" for nothing."""
OPTIONAL = ("seed", "second_pass_steps")
"""Numbers that may be empty, for a random seed and as many steps as the first pass."""
REQUIRED = ("width", "height", "steps", "cfg", "num_images", "strength", "mask_blur", "inpaint_padding",
            "refinement_strength", "refiner_switch", "clip_skip")  # fmt: skip
"""Numbers that the form always shows: an emptied field is an oversight, not a wish for the default."""
SHOWN_ALL_THE_SAME = ("negative_prompt",)
"""Fields that may mean nothing and yet stay in the form: their text is not lost, and a warning tells."""


@dataclass
class Form:
    """The controls of the Studio that other parts of the page reach."""

    services: Services
    fields: dict[str, Any]
    """Component of each field of the request that has a control."""
    signal: gr.HTML
    """Channel that asks the page for something beside values: {"open": "mask", "image": FILE_ID}."""

    @property
    def checkpoint(self) -> gr.Dropdown:
        return self.fields["base_model"]

    @property
    def outputs(self) -> list[Any]:
        """Every control that a stored request sets, and the signal."""
        return [*self.fields.values(), self.signal]

    def script(self, call: str) -> str:
        """JavaScript of an event with all controls as its inputs, which tells studio/form.js their values."""
        return (
            f"(...values) => {{ webbduck.form.{call}({json.dumps(list(self.fields))}, values); return []; }}"
        )

    # -- into the form -----------------------------------------------------------------------------------

    def filled(self, request: GenerationRequest) -> list[Any]:
        """Values of `outputs` that ask for this request again, seed included."""
        return self.partly(request.model_dump(mode="json"))

    def partly(self, values: Mapping[str, Any], signal: Mapping[str, Any] | None = None) -> list[Any]:
        """Values of `outputs` that set these fields of a request and leave the others as they are."""
        shown = [shown_as(name, values[name]) if name in values else gr.skip() for name in self.fields]
        if "second_pass_model" in values:
            place = list(self.fields).index("second_pass_model")
            shown[place] = self._second(values["second_pass_model"])
        return [*shown, self._signalled(signal)]

    def missing_controls(self, request: GenerationRequest) -> Any:
        """For the outcome channel: which settings of the request the page has no control for."""
        usual = GenerationRequest(base_model=request.base_model, seed=request.seed).model_dump(mode="json")
        asked = request.model_dump(mode="json")
        values = effective_settings(asked, second_pass_of(self.services, asked))
        left = [name for name in values if name not in self.fields and values[name] != usual[name]]
        if not left:
            return gr.skip()
        names = ", ".join(left).replace("_", " ")
        return notification(error=f"Left out, since the Studio has no control for it: {names}.")

    def nothing(self) -> list[Any]:
        """Leave every control as it is."""
        return [gr.skip() for _ in self.outputs]

    def use_image(self, image_id: str, purpose: str) -> list[Any]:
        """Values of `outputs` that take a picture of the gallery as the input picture.

        `purpose` is "img2img", or "inpaint", which opens the mask's editor. The size becomes the picture's
        where a request can have it. Raises `WebbDuckError` where there is no such picture.
        """
        path = self.services.outputs.resolve(image_id)
        file_id = self.services.inputs.store(path)
        values: dict[str, Any] = {"image": file_id, "mask": None}
        with open_picture(path, "The picture") as image:
            width, height = upright_size(image)
        try:
            GenerationRequest.validated(base_model="any", width=width, height=height)
        except RequestError:
            pass  # the page says what the picture's size is, and that the form's is another
        else:
            values |= {"width": width, "height": height}
        # With the picture's id, since the wish can reach the page before the values do.
        return self.partly(values, {"open": "mask" if purpose == "inpaint" else "image", "image": file_id})

    def _signalled(self, signal: Mapping[str, Any] | None) -> Any:
        return json.dumps({**signal, "at": time.time_ns()}) if signal else gr.skip()

    # -- checkpoints -------------------------------------------------------------------------------------

    def usable(self) -> list[str]:
        """Checkpoints that may be chosen."""
        return [c.name for c in self.services.registry.checkpoints() if not c.unusable and _is_base(c)]

    def choices(self, chosen: str | None, second: str | None = "") -> list[Any]:
        """Both dropdowns after the catalog changed: what is chosen stays while it is there.

        It is not sent back then: the answer would undo what was chosen meanwhile.
        """
        usable = self.usable()
        if chosen in usable:
            first = gr.update(choices=usable)
        else:
            default = self.services.registry.default_checkpoint()
            first = gr.update(choices=usable, value=default.name if default else None)
        names = self._second_choices()
        gone = second and second not in self._second_names()
        return [first, gr.update(choices=names, value="") if gone else gr.update(choices=names)]

    def _second_names(self) -> list[str]:
        return [each.name for each in self.services.registry.second_pass_models()]

    def _second_choices(self) -> list[Any]:
        return [("Off", ""), *self._second_names()]

    def _second(self, chosen: str | None) -> Any:
        """The second pass' dropdown with this model, or off where it is not there."""
        return gr.update(
            choices=self._second_choices(), value=chosen if chosen in self._second_names() else ""
        )

    def missing_models(self, chosen: str | None, second: str | None) -> dict[str, Any]:
        """For the outcome channel: what of the chosen models is no longer there, and what happens instead.

        The settings stay as they are, since a person may have set them; `defaults` names the checkpoint whose
        own ones the page offers, where those are others.
        """
        said: dict[str, Any] = {}
        sentences = []
        if chosen and chosen not in self.usable():
            now = self.services.registry.default_checkpoint()
            sentences.append(f"The checkpoint {chosen} can no longer be used.")
            if now:
                sentences[0] = (
                    f"The checkpoint {chosen} can no longer be used; {now.name} is chosen instead. "
                    "Size, steps, CFG and sampler stay as they were."
                )
                said["defaults"] = {"name": now.name, **settings_of(now)}
        if second and second not in self._second_names():
            sentences.append(f"{second} can no longer be the second pass, which is off now.")
        return said | {"error": " ".join(sentences)} if sentences else {}

    def choose(self, name: str | None) -> list[Any]:
        """The person chose a checkpoint: its values of `BY_CHECKPOINT`."""
        chosen = next((c for c in self.services.registry.checkpoints() if c.name == name), None)
        return [shown_as(name, value) for name, value in settings_of(chosen).items()]

    def opened(self, remembered: Any) -> list[Any]:
        """Values of `outputs` for a page that was just opened: as it was left, as far as that is there."""
        default = self.services.registry.default_checkpoint()
        values = {"base_model": default.name if default else None} | settings_of(default)
        values |= {name: value for name, value in self.recall(remembered).items() if name != "loras"}
        shown = self.partly(values)
        chosen, second = values["base_model"], values.get("second_pass_model")
        places = list(self.fields)
        shown[places.index("base_model")] = gr.update(choices=self.usable(), value=chosen)
        shown[places.index("second_pass_model")] = self._second(second)
        return shown

    def recall(self, remembered: Any) -> dict[str, Any]:
        """What a page remembered, without other types and vanished models and files."""
        known: dict[str, Any] = {}
        for name, value in upgrade_stored_request(remembered).items() if isinstance(remembered, dict) else ():
            if name in self.fields and _may_be(name, value):
                known[name] = value
        if known.get("base_model") not in self.usable():
            known.pop("base_model", None)
        for name in ("image", "mask"):
            if known.get(name):
                try:
                    self.services.inputs.path(known[name])
                except WebbDuckError:
                    known[name] = ""
        if not known.get("image"):
            known.pop("mask", None)
        return known

    # -- out of the form ---------------------------------------------------------------------------------

    def to_request(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """What the controls ask for, as fields of a request, without the ones that are not shown.

        Raises `RequestError` for a number that was emptied.
        """
        asked = dict(zip(self.fields, values, strict=True))
        for name in EMPTY:
            asked[name] = asked[name] or None
        if "loras" in asked:
            asked["loras"] = to_request(asked["loras"])
        wrong: dict[str, RequestError] = {}
        for name in (*OPTIONAL, *REQUIRED):
            try:
                asked[name] = number_of(name, asked[name])
            except RequestError as error:
                wrong[name] = error
        for name in self._hidden(asked):
            del asked[name]
            wrong.pop(name, None)
        if wrong:
            raise next(iter(wrong.values()))
        missing = next((name for name in REQUIRED if name in asked and asked[name] is None), None)
        if missing:
            raise RequestError(f"{missing} is empty; give a number.", field=missing)
        return asked

    def _hidden(self, asked: Mapping[str, Any]) -> list[str]:
        """Fields that mean nothing beside the others; the page shows no control for them (studio/form.js)."""
        unused = without_effect(asked, second_pass_of(self.services, asked))
        return [name for name in unused if name in asked and name not in SHOWN_ALL_THE_SAME]


def _is_base(checkpoint: Checkpoint) -> bool:
    return checkpoint.arch != "sdxl-refiner"


def shown_as(name: str, value: Any) -> Any:
    """The value of a request's field as its control holds it."""
    if name == "loras":
        return to_control(value)
    if name in (*OPTIONAL, *REQUIRED):
        return shown(value)
    return "" if value is None and name in EMPTY else value


def number_of(name: str, text: Any) -> Any:
    """The number that was typed for a field of the request. Raises `RequestError` where it is none."""
    field = GenerationRequest.model_fields[name]
    try:
        return read(text, whole="whole" in _range(field))
    except ValueError as error:
        raise RequestError(f"{name} {error}.", field=name) from None


def settings_of(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """The values of `BY_CHECKPOINT` that a checkpoint asks for."""
    if checkpoint is None:
        return {"width": 1024, "height": 1024, "steps": 30, "cfg": 6.0, "scheduler": DEFAULT_SCHEDULER}
    return {name: getattr(checkpoint.defaults, name) for name in BY_CHECKPOINT}


def _may_be(name: str, value: Any) -> bool:
    """Whether a control can hold this, also out of range: what was typed stays, and is refused later."""
    if name == "loras":  # as the page holds it (stack.py)
        return isinstance(value, str) and len(value) <= MAX_PROMPT * 4
    kind = GenerationRequest.model_fields[name].annotation
    if name == "scheduler":
        return value in SCHEDULERS
    literals = getattr(kind, "__args__", ())
    if literals and all(isinstance(each, str) for each in literals):
        return value in literals
    if name in (*OPTIONAL, *REQUIRED):
        return value is None or (isinstance(value, (int, float, str)) and not isinstance(value, bool))
    return isinstance(value, str)


def limits() -> dict[str, dict[str, float]]:
    """Range of each number of the request, for the page: least, most, above, step, whole."""
    found: dict[str, dict[str, float]] = {}
    for name, field in GenerationRequest.model_fields.items():
        range_of = _range(field)
        if range_of and name != "loras" and ("most" in range_of):
            found[name] = range_of
    return found


def _range(field: FieldInfo) -> dict[str, float]:
    keys = {"ge": "least", "gt": "above", "le": "most", "multiple_of": "step"}
    constraints = list(field.metadata)
    for inner in getattr(field.annotation, "__args__", ()):  # Annotated[int, ...] | None
        constraints += [each for part in getattr(inner, "__metadata__", ()) for each in _parts(part)]
    found = {
        ours: float(getattr(each, theirs))
        for each in constraints
        for theirs, ours in keys.items()
        if getattr(each, theirs, None) is not None
    }
    kinds = (field.annotation, *get_args(field.annotation))
    if found and any(getattr(kind, "__origin__", kind) is int for kind in kinds):
        found["whole"] = 1
    return found


def _parts(constraint: Any) -> list[Any]:
    return constraint.metadata if isinstance(constraint, FieldInfo) else [constraint]


def facts() -> dict[str, Any]:
    """What the page's scripts know of the request, so that it is written down once."""
    return {
        "presets": PRESETS,
        "side_step": SIDE_STEP,
        "max_pixels": MAX_PIXELS,
        "max_prompt": MAX_PROMPT,
        "limits": limits(),
        "number_steps": STEPS,
        "needs": {name: list(needs) for name, needs in NEEDS.items() if name not in SHOWN_ALL_THE_SAME},
        "help": HELP,
        "values": VALUES,
        "button_help": BUTTONS,
    }
