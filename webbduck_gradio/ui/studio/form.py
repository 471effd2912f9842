"""The Studio's form: maps controls to request fields, and converts values in both directions."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import gradio as gr

from ...api.gradio_helpers import notification
from ...api.serializers import effective_settings, second_pass_of
from ...errors import RequestError, WebbDuckError
from ...models.catalog.defaults import DEFAULT_FIELDS
from ...models.catalog.registry import Checkpoint
from ...request import (
    SETTINGS,
    GenerationRequest,
    upgrade_stored_request,
)
from ...request.applicability import without_effect
from ...services import Services
from ...storage.images import open_picture, upright_size
from .. import modules
from ..shared.numbers import read, shown
from ..shared.origins import entry
from . import details, lora_stack, schedules, styles
from .outpaint import sides_of, sides_text

NUMBERS = tuple(name for name, setting in SETTINGS.items() if setting.is_number)
LISTS: dict[str, ModuleType] = {"loras": lora_stack, "details": details, "styles": styles}
"""What converts the page's JSON."""
LONGEST_LIST = 2**20  # characters: 20 styles with texts of full length
EMPTY = tuple(
    name for name, each in SETTINGS.items()
    if each.control in ("model", "file", "sides") or (each.control == "list" and each.is_optional)
)  # fmt: skip
"""Fields whose control uses "" for None."""


@dataclass
class Form:
    """The Studio's controls, shared with the other tabs."""

    services: Services
    fields: dict[str, Any]
    """Component of each field of the request that has a control."""
    signal: gr.HTML
    """Channel for actions beside values: {"open": "mask", "outpaint" or "image", "image": FILE_ID}."""

    @property
    def checkpoint(self) -> gr.HTML:
        return self.fields["base_model"]

    @property
    def outputs(self) -> list[Any]:
        """Every control that a stored request sets, and the signal."""
        return [*self.fields.values(), self.signal]

    def script(self, call: str, *fields: str) -> str:
        """JavaScript of an event whose inputs are the controls of these fields, or all: calls `call` of
        studio/form.js with their names and values."""
        names = json.dumps(fields or list(self.fields))
        return modules.call("studio/form.js", f"module.{call}({names}, values), []", "...values")

    # -- into the form -----------------------------------------------------------------------------------

    def filled(self, request: GenerationRequest) -> list[Any]:
        """Values of `outputs` that reproduce this request, seed included."""
        return self.partly(request.model_dump(mode="json"))

    def partly(self, values: Mapping[str, Any], signal: Mapping[str, Any] | None = None) -> list[Any]:
        """Values of `outputs` that set these fields of a request and leave the others as they are."""
        shown = [_shown_beside(name, values) if name in values else gr.skip() for name in self.fields]
        if "second_pass_model" in values:
            place = list(self.fields).index("second_pass_model")
            shown[place] = self._second(values["second_pass_model"])
        return [*shown, self._signalled(signal)]

    def missing_controls(self, request: GenerationRequest) -> list[str]:
        """A note about settings of the request that the Studio has no control for, if there are any."""
        usual = GenerationRequest(base_model=request.base_model, seed=request.seed).model_dump(mode="json")
        asked = request.model_dump(mode="json")
        values = effective_settings(asked, second_pass_of(self.services, asked))
        missing = [
            name
            for name, setting in SETTINGS.items()
            if name in values.keys() - self.fields.keys()
            and setting.control != "recorded"
            and values[name] != usual[name]
        ]
        names = ", ".join(missing).replace("_", " ")
        return [f"Ignored, because the Studio has no control for it: {names}."] if missing else []

    def nothing(self) -> list[Any]:
        """Leave every control as it is."""
        return [gr.skip() for _ in self.outputs]

    def use_image(self, image_id: str, purpose: str) -> list[Any]:
        """Values of `outputs` that make a gallery picture the input picture.

        `purpose` is "inpaint" or "outpaint", which also open their editor; any other is img2img. Width and
        height are set to the picture's if a request can have them. Raises `WebbDuckError` if there is no such
        picture.
        """
        path = self.services.outputs.resolve(image_id)
        file_id = self.services.inputs.store(path)
        values: dict[str, Any] = {"image": file_id, "mask": None, "outpaint": None}
        with open_picture(path, "The picture") as image:
            width, height = upright_size(image)
        try:
            GenerationRequest.validated(base_model="any", width=width, height=height)
        except RequestError:
            pass  # the form keeps its size; the page shows the picture's
        else:
            values |= {"width": width, "height": height}
        # The id tells the page which picture is meant, since this signal can arrive before the values.
        opened = {"inpaint": "mask", "outpaint": "outpaint"}.get(purpose, "image")
        return self.partly(values, {"open": opened, "image": file_id})

    def _signalled(self, signal: Mapping[str, Any] | None) -> Any:
        return json.dumps({**signal, "at": time.time_ns()}) if signal else gr.skip()

    # -- checkpoints -------------------------------------------------------------------------------------

    def usable(self) -> list[str]:
        """Names of the checkpoints that can be selected."""
        return [each.name for each in self._usable()]

    def _usable(self) -> list[Checkpoint]:
        return [each for each in self.services.registry.checkpoints() if not each.unusable and _is_base(each)]

    def choices(self, chosen: str | None, second: str | None = "") -> list[Any]:
        """Both lists of models after the catalog changed; a selection that still exists is kept.

        A kept selection is not sent back, since that would undo a change made in the meantime.
        """
        entries = self.checkpoint_entries()
        if chosen in self.usable():
            first = gr.update(choices=entries)
        else:
            default = self.services.registry.default_checkpoint()
            first = gr.update(choices=entries, value=default.name if default else "")
        models = self.second_entries()
        gone = second and second not in self._second_names()
        return [first, gr.update(choices=models, value="") if gone else gr.update(choices=models)]

    def checkpoint_entries(self) -> list[dict[str, str]]:
        """The choices of the list of checkpoints (shared/choices.js)."""
        return [entry(each) for each in self._usable()]

    def second_entries(self) -> list[dict[str, str]]:
        """Those of the list of models for a second pass: "Off", then refiners, then the others."""
        models = self.services.registry.second_pass_models()
        entries = [entry(each, "Checkpoints" if _is_base(each) else "Refiners") for each in models]
        entries.sort(key=lambda each: each["group"], reverse=True)
        return [{"value": "", "label": "Off"}, *entries]

    def _second_names(self) -> list[str]:
        return [each.name for each in self.services.registry.second_pass_models()]

    def _second(self, chosen: str | None) -> Any:
        """The list of second-pass models with this one selected, or "Off" if it does not exist."""
        return gr.update(
            choices=self.second_entries(), value=chosen if chosen in self._second_names() else ""
        )

    def missing_models(self, chosen: str | None, second: str | None) -> dict[str, Any]:
        """For the outcome channel: selected models that no longer exist, and their replacement; or {}.

        The settings are kept, since the user may have set them; `defaults` holds those of the replacement
        checkpoint, which the page offers where they differ.
        """
        outcome: dict[str, Any] = {}
        sentences = []
        if chosen and chosen not in self.usable():
            now = self.services.registry.default_checkpoint()
            sentences.append(f"The checkpoint {chosen} is no longer available.")
            if now:
                sentences[0] = (
                    f"The checkpoint {chosen} is no longer available; {now.name} is selected instead. "
                    "Size, steps, CFG and sampler are unchanged."
                )
                outcome["defaults"] = {"name": now.name, **settings_of(now)}
        if second and second not in self._second_names():
            sentences.append(f"{second} is no longer available; the second pass is now off.")
        return outcome | {"error": " ".join(sentences)} if sentences else {}

    def choose(self, name: Any, *before: Any) -> list[Any]:
        """The user selected a checkpoint: its values of `DEFAULT_FIELDS`, and a notification of what they
        change, given the values that the controls held `before`."""
        chosen = next((c for c in self.services.registry.checkpoints() if c.name == name), None)
        values = settings_of(chosen)
        changed = [
            field
            for field, held in zip(values, before, strict=True)
            if shown_as(field, values[field]) != held
        ]
        shown = [_shown_beside(field, values) for field in values]
        if not changed or chosen is None:
            return [*shown, gr.skip()]
        return [*shown, notification(done=chosen.name, said=_taken_over(chosen.name, changed))]

    def opened(self, remembered: Any) -> list[Any]:
        """Values of `outputs` for a page that was just opened: the stored form over the defaults."""
        default = self.services.registry.default_checkpoint()
        values = {"base_model": default.name if default else None} | settings_of(default)
        values |= {name: value for name, value in self.recall(remembered).items() if name != "loras"}
        shown = self.partly(values)
        chosen, second = values["base_model"], values.get("second_pass_model")
        places = list(self.fields)
        shown[places.index("base_model")] = gr.update(choices=self.checkpoint_entries(), value=chosen or "")
        shown[places.index("second_pass_model")] = self._second(second)
        return shown

    def recall(self, remembered: Any) -> dict[str, Any]:
        """The valid part of a form that the browser stored: no wrong types, missing models or files."""
        known: dict[str, Any] = {}
        for name, value in upgrade_stored_request(remembered).items() if isinstance(remembered, dict) else ():
            if name in self.fields and may_be(name, value):
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
            known.pop("outpaint", None)
        return known

    # -- out of the form ---------------------------------------------------------------------------------

    def to_request(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """The controls' values as request fields, without those of hidden controls.

        Raises `RequestError` for a required number that is empty, or text that is not a number.
        """
        asked = dict(zip(self.fields, values, strict=True))
        for name in EMPTY:
            asked[name] = asked[name] or None
        for name in LISTS.keys() & asked.keys():
            asked[name] = LISTS[name].to_request(asked[name])
        if "outpaint" in asked:
            asked["outpaint"] = sides_of(asked["outpaint"])
        wrong: dict[str, RequestError] = {}
        for name in NUMBERS:
            try:
                asked[name] = number_of(name, asked[name])
            except RequestError as error:
                wrong[name] = error
        for name in self._hidden(asked):
            del asked[name]
            wrong.pop(name, None)
        if wrong:
            raise next(iter(wrong.values()))
        # An empty required number is an oversight, not a request for the default.
        required = (name for name in NUMBERS if not SETTINGS[name].is_optional and name in asked)
        missing = next((name for name in required if asked[name] is None), None)
        if missing:
            raise RequestError(f"{missing} is empty; enter a number.", field=missing)
        return asked

    def _hidden(self, asked: Mapping[str, Any]) -> list[str]:
        """Fields without effect given the others; studio/form.js hides their controls."""
        unused = without_effect(asked, second_pass_of(self.services, asked))
        return [name for name in unused if name in asked and not SETTINGS[name].stays_visible]


def _is_base(checkpoint: Checkpoint) -> bool:
    return checkpoint.arch != "sdxl-refiner"


def shown_as(name: str, value: Any) -> Any:
    """A request field's value in the form that its control holds."""
    if name in LISTS:
        return LISTS[name].to_control(value)
    if name == "outpaint":
        return sides_text(value)
    if SETTINGS[name].is_number:
        return shown(value)
    return "" if value is None and name in EMPTY else value


def _shown_beside(name: str, values: Mapping[str, Any]) -> Any:
    """As `shown_as`; a schedule comes with the choices that its sampler supports."""
    if name in schedules.CHOSEN_BY and isinstance(values.get("sampler"), str):
        return schedules.shown(name, values)
    return shown_as(name, values[name])


def _taken_over(checkpoint: str, fields: list[str]) -> str:
    """The sentence that these settings are now a checkpoint's."""
    size = {"width": "size", "height": "size"}
    names = list(dict.fromkeys(size.get(each, SETTINGS[each].label_in_sentence) for each in fields))
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"Set as {checkpoint} suggests: {listed}."


def number_of(name: str, text: Any) -> Any:
    """The number typed for a request field. Raises `RequestError` if it is not a number."""
    try:
        return read(text, whole=SETTINGS[name].is_whole)
    except ValueError as error:
        raise RequestError(f"{name} {error}.", field=name) from None


def settings_of(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """A checkpoint's values of `DEFAULT_FIELDS`; the general defaults for None."""
    if checkpoint is None:
        return {name: SETTINGS[name].default for name in DEFAULT_FIELDS}
    return {name: getattr(checkpoint.defaults, name) for name in DEFAULT_FIELDS}


def may_be(name: str, value: Any) -> bool:
    """Whether a control can hold this value. Out-of-range numbers pass: they are kept and refused on
    submit."""
    setting = SETTINGS[name]
    if name in LISTS:
        return isinstance(value, str) and len(value) <= LONGEST_LIST
    if setting.choices:
        return isinstance(value, str) and value in setting.choices
    if setting.is_number:
        return value is None or (isinstance(value, (int, float, str)) and not isinstance(value, bool))
    return isinstance(value, str)
