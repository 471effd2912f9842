"""What is declared about a setting: each field of `GenerationRequest` carries one in its annotation.
Page, API, metadata, warnings and scripts take from it what they need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .conditions import ConditionName

Group = Literal["model", "prompt", "loras", "size", "sampling", "seed", "image", "second", "more", "run"]
"""Part of the form, in the form's order. "image", "second" and "more" fold."""
Control = Literal["number", "text", "choice", "list", "model", "loras", "file"]
"""How a value is entered: "choice" shows all of its values side by side, "list" drops them down; "file" holds
the id of a stored input picture."""
Reset = Literal["default", "checkpoint", "kept"]
"""What resets a setting: "default", a picture that does not mention it (its neutral value is its default);
"checkpoint", the choice of another checkpoint; "kept", neither: it stays as the form has it, as what means
nothing without an input picture or a second pass can, since those are reset."""
Line = Literal["queue", "sheet", "fold"]
"""Where settings are summed up in one line: a row of the queue, the phone's closed sheet, a folded group."""


@dataclass(frozen=True)
class Pair:
    """The one pair of a `parameters` text that holds this setting and nothing else."""

    key: str
    texts: Mapping[Any, str] = field(default_factory=dict)
    """What A1111 calls the values; a value that is not in it is written as it is."""
    offset: int = 0
    """What A1111's count is above ours."""
    at_default: bool = True
    """Whether it is written where the setting is at its default."""
    is_written: bool = True
    """False: `infotext` writes it together with others, so it is only read by itself."""

    def write(self, value: Any) -> Any:
        """A value of the setting as A1111 writes it."""
        return self.texts.get(value, value + self.offset if self.offset else value)

    def read(self, text: str) -> str | None:
        """The value that a text stands for, still as text and without `offset`; None for an unknown name."""
        if not self.texts:
            return text
        return next((value for value, name in self.texts.items() if name == text), None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The declaration of one field of the request."""

    label: str
    """What it is called in the gallery, the queue and sentences, and in the form but for `form_label`."""
    help: str
    """What it does and when to change it, for the tooltip and the API. "{keep}" stands for the value "keep",
    which the page calls by its label in `choices`."""
    group: Group
    control: Control
    page_help: str = ""
    """What `help` adds in the page alone: keys, for example."""
    api_help: str = ""
    """What `help` adds in the API alone: where names come from, what None means."""
    form_label: str = ""
    """Its label inside its group, where the group's title says the rest."""
    place: int = 100
    """Order inside its group; those of equal place stand in the order of the request."""
    is_beside: bool = False
    """Whether its control stands in one row with the one before it."""
    element: str = ""
    """Id of its control's element; by default its name with hyphens."""
    placeholder: str = ""
    """What an empty control says."""
    unit: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What its values are called, where they are a few."""
    step: float = 0
    """By how much the arrow keys change a number; 0: by `multiple_of`, else 1 or 0.05."""
    has_slider: bool = False
    applies: tuple[ConditionName, ...] = ()
    """When it means something: where all of these hold, the most general one first."""
    stays_visible: bool = False
    """Whether its control stays where it means nothing, so that a text is not lost; a warning says so."""
    reset: Reset = "default"
    is_content: bool = False
    """Whether it says what is in the picture rather than how it is made; presets leave that out."""
    listed_at_default: bool = True
    """Whether lists of settings name it although it is at its default."""
    lines: Mapping[Line, str] = field(default_factory=dict)
    """How one-line summaries tell it: "{} steps"; "{width}" stands for another field, "{%}" for a percentage.
    A setting of a folding group with `listed_at_default` False needs no entry."""
    infotext: Pair | None = None
    other_tools: Mapping[str, str] = field(default_factory=dict)
    """The one key that holds it in the metadata of other programs, by `ForeignSettings.tool`."""

    # Read off the field by `declared`:
    name: str = ""
    is_required: bool = False
    default: Any = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """Range of a number: least, above, most, step, and whole where only whole numbers fit."""

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
        """Whether an empty control says something: no picture, a random seed."""
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
        """What the API says about it, without its range."""
        text = self.help
        for value in self.choices:
            text = text.replace(f"{{{value}}}", value)
        return " ".join(filter(None, (text, self.api_help)))

    @property
    def _range_in_words(self) -> str:
        if not self.is_number or self.limits["most"] > 10_000:  # the seed's, which says nothing
            return ""
        least = f"{self.limits['least']:g}" if "least" in self.limits else f"Above {self.limits['above']:g}"
        multiple = f", a multiple of {self.limits['step']:g}" if "step" in self.limits else ""
        return f"{least} to {self.limits['most']:g}{self.unit and ' ' + self.unit}{multiple}."

    def called(self, value: Any) -> str:
        """What a value is called where people read it, without its unit."""
        if isinstance(value, float):
            return f"{value:g}"
        return self.choices.get(value, value) if isinstance(value, str) else str(value)


def declared(model: type[BaseModel]) -> dict[str, Setting]:
    """The settings of a request by field. Raises `TypeError` for a field that declares none."""
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
    """Settings in the order in which the form shows them."""
    groups = get_args(Group)
    return sorted(settings.values(), key=lambda each: (groups.index(each.group), each.place))


def limits_of(info: FieldInfo) -> dict[str, float]:
    """Range of a numeric field: least, above, most, step, whole; {} for any other."""
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
