"""`Setting`: the declaration that each field of `GenerationRequest` carries in its annotation. Page, API,
metadata, warnings and scripts are derived from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .conditions import ConditionName

Group = Literal[
    "model", "prompt", "loras", "size", "sampling", "seed", "image", "second", "hires", "regions",
    "guidance", "noise", "details", "more", "run",
]  # fmt: skip
"""Section of the form, in the form's order. Those of `FOLDS` are collapsible."""
FOLDS: dict[Group, str] = {
    "image": "Input picture",
    "second": "Second pass",
    "hires": "Hires fix",
    "regions": "Details",
    "guidance": "Guidance",
    "noise": "Noise and variation",
    "details": "Sampler details",
    "more": "More settings",
}
"""Titles of the collapsible groups."""
Control = Literal[
    "number", "text", "choice", "list", "model", "loras", "details", "styles", "file", "sides", "recorded"
]  # fmt: skip
"""How a value is entered: "choice" shows all values side by side, "list" is a combobox; the value of "file"
is the id of a stored input image, "sides" are pixels on each side of the picture. "recorded" has no control
in the page: the value is found out and recorded when a job is queued."""
Reset = Literal["default", "checkpoint", "kept"]
"""What resets a setting: "default", recalling an image whose metadata does not mention it (its neutral value
is its default); "checkpoint", choosing another checkpoint; "kept", neither. Settings that have no effect
without an input image or a second pass can be kept, since those are reset."""
Line = Literal["queue", "sheet", "fold"]
"""Where settings are summarised in one line: a queue row, the mobile sheet when closed, a collapsed group."""


@dataclass(frozen=True)
class Pair:
    """The key of A1111's `parameters` text that holds this setting alone, and the format of its value."""

    key: str
    texts: Mapping[Any, str] = field(default_factory=dict)
    """A1111's names of the values; any other value is written unchanged."""
    offset: int = 0
    """A1111's number minus ours."""
    at_default: bool = True
    """Whether it is written if the setting is at its default."""
    is_written: bool = True
    """False: `infotext` writes it together with others; only reading uses this pair."""

    def write(self, value: Any) -> Any:
        """The setting's value in A1111's notation."""
        return self.texts.get(value, value + self.offset if self.offset else value)

    def read(self, text: str) -> str | None:
        """The value for A1111's text, still a text and without `offset` applied; None for an unknown name."""
        if not self.texts:
            return text
        return next((value for value, name in self.texts.items() if name == text), None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The declaration of one field of the request."""

    label: str
    """Its name in the gallery, the queue and messages, and in the form unless there is a `form_label`."""
    help: str
    """What it does and when to change it, for the tooltip and the API. "{keep}" is a placeholder for the
    value "keep", which the page replaces by its label in `choices`."""
    group: Group
    control: Control
    page_help: str = ""
    """Appended to `help` on the page only, for example keyboard shortcuts."""
    api_help: str = ""
    """Appended to `help` in the API only: where names come from, what None means."""
    form_label: str = ""
    """Its label in the form, if the group's title makes `label` redundant."""
    place: int = 100
    """Order within its group; settings of the same place keep the order of the request's fields."""
    is_beside: bool = False
    """Whether its control is in the same row as the previous one."""
    element: str = ""
    """Id of its control's HTML element; by default its name with hyphens."""
    placeholder: str = ""
    """Placeholder of an empty control."""
    unit: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Labels of its values, if it has a fixed set of them."""
    choice_groups: Mapping[str, str] = field(default_factory=dict)
    """Titles by value under which its list arranges them; one without a title comes first."""
    step: float = 0
    """Increment of the arrow keys; 0: `multiple_of`, else 1 or 0.05."""
    has_slider: bool = False
    applies: tuple[ConditionName, ...] = ()
    """It has an effect if all of these conditions hold; the most general one comes first."""
    stays_visible: bool = False
    """Whether its control stays visible without effect, so that a text is not lost; there is a warning."""
    reset: Reset = "default"
    is_content: bool = False
    """Whether it describes the image's content rather than the method; presets omit such settings."""
    listed_at_default: bool = True
    """Whether lists of settings include it when it is at its default."""
    lines: Mapping[Line, str] = field(default_factory=dict)
    """Templates for one-line summaries: "{} steps"; "{width}" is another field, "{%}" a percentage.
    A setting of a collapsible group with `listed_at_default` False needs no entry."""
    infotext: Pair | None = None
    other_tools: Mapping[str, str] = field(default_factory=dict)
    """Its key in the metadata of other programs, by `ForeignSettings.tool`."""

    # Set by `declared` from the field itself:
    name: str = ""
    is_required: bool = False
    default: Any = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """As `limits_of` returns them."""

    @property
    def element_id(self) -> str:
        return self.element or self.name.replace("_", "-")

    @property
    def is_number(self) -> bool:
        return self.control == "number"

    @property
    def is_whole(self) -> bool:
        return "whole" in self.limits

    @property
    def is_optional(self) -> bool:
        """Whether its control may be empty: no input image, a random seed."""
        return self.default is None and not self.is_required

    @property
    def label_in_sentence(self) -> str:
        """The label inside a sentence: "denoising strength", "CFG", "LoRAs"."""
        return (
            self.label if self.label[1:2].isupper() or self.label == "LoRAs" else _uncapitalised(self.label)
        )

    @property
    def tooltip(self) -> str:
        text = self.help
        for value, label in self.choices.items():
            text = text.replace(f"{{{value}}}", label)
        return " ".join(filter(None, (text, self.page_help, self._range_in_words)))

    @property
    def api_text(self) -> str:
        """Its description in the API, without its range."""
        text = self.help
        for value in self.choices:
            text = text.replace(f"{{{value}}}", value)
        return " ".join(filter(None, (text, self.api_help)))

    @property
    def _range_in_words(self) -> str:
        if not self.is_number or self.limits["most"] > 10_000:  # the seed's range is of no interest
            return ""
        least = f"{self.limits['least']:g}" if "least" in self.limits else f"Above {self.limits['above']:g}"
        multiple = f", a multiple of {self.limits['step']:g}" if "step" in self.limits else ""
        return f"{least} to {self.limits['most']:g}{self.unit and ' ' + self.unit}{multiple}."

    def called(self, value: Any) -> str:
        """The display text of a value, without its unit."""
        if isinstance(value, float):
            return f"{value:g}"
        if isinstance(value, Mapping):
            return ", ".join(f"{part} {number}" for part, number in value.items() if number)
        return self.choices.get(value, value) if isinstance(value, str) else str(value)


def declared(model: type[BaseModel]) -> dict[str, Setting]:
    """The settings of a request, by field name. Raises `TypeError` for a field without a `Setting`."""
    found = {}
    for name, info in model.model_fields.items():
        setting = next((each for each in info.metadata if isinstance(each, Setting)), None)
        if setting is None:
            raise TypeError(f"{model.__name__}.{name} carries no Setting.")
        required = info.is_required()
        default = None if required else info.default
        found[name] = replace(
            setting, name=name, is_required=required, default=default, limits=limits_of(info)
        )
    return found


def in_form_order(settings: Mapping[str, Setting]) -> list[Setting]:
    """Settings in the order of the form."""
    groups = get_args(Group)
    return sorted(settings.values(), key=lambda each: (groups.index(each.group), each.place))


def limits_of(info: FieldInfo) -> dict[str, float]:
    """Range of a numeric field: least, above (exclusive), most, step, and whole if it takes whole numbers
    only; {} for any other field."""
    names = {"ge": "least", "gt": "above", "le": "most", "multiple_of": "step"}
    kinds = (info.annotation, *get_args(info.annotation))
    kinds = tuple(getattr(kind, "__origin__", kind) for kind in kinds)
    if not {int, float} & set(kinds):
        return {}
    found = {
        ours: float(getattr(each, theirs))
        for each in _constraints(info)
        for theirs, ours in names.items()
        if getattr(each, theirs, None) is not None
    }
    return found | {"whole": 1.0} if found and int in kinds else found


def _constraints(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    for inner in get_args(info.annotation):  # Annotated[int, ...] | None
        for part in getattr(inner, "__metadata__", ()):
            yield from part.metadata if isinstance(part, FieldInfo) else (part,)


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]
