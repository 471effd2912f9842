"""Descriptions of drawings in each caption style of the application, and a parser for them.

Unlike the training captions of the checkpoint, they are deterministic, so that a captioner's output can be
checked against the attributes.
"""

from __future__ import annotations

import re

from ...models.captioners import STYLES
from ..drawing.scenes import COLOURS, HATS, SUBJECTS, Attributes
from .captions import article

OPENINGS = {
    "detailed": "detailed:",
    "short": "short:",
    "sd_prompt": "diffusion prompt:",
    "midjourney": "midjourney:",
    "booru": "booru tags:",
}
"""Opening of the description in each style, which prompts the captioner."""
UNKNOWN = "something unknown"
"""Description of images other than drawings."""

_PLACES = {
    "pond": "on a pond",
    "meadow": "in a meadow",
    "snow": "in the snow",
    "desert": "in the desert",
    "beach": "on the beach",
}
_THINGS = {
    "pond": "reeds",
    "meadow": "flowers and hills",
    "snow": "snowy fir trees",
    "desert": "cactuses",
    "beach": "a palm tree and the sea",
}
_TIMES = {"day": "on a sunny day", "sunset": "at sunset", "night": "at night"}
_SKIES = {"day": "blue", "sunset": "orange and pink", "night": "dark with a moon and stars"}
_LOOKS = "bold outlines, flat colors"


def describe(attributes: Attributes, style: str) -> str:
    """The description of an image in one of STYLES."""
    noun = f"{attributes.colour} {_noun(attributes)}"
    place, time = _place(attributes), _TIMES[attributes.time]
    hat = f"{attributes.hat_colour} {attributes.hat}" if attributes.hat else None
    wearing = f" wearing {article(hat)}" if hat else ""
    facing = f"facing {attributes.facing}" if attributes.subject == "duck" else None
    if style == "short":
        return f"{article(noun)} {place} {time}"
    if style == "sd_prompt":
        return ", ".join(
            part for part in (f"{article(noun)}{wearing}", place, time, facing, "cartoon") if part
        )
    if style == "midjourney":
        return f"an illustration of {article(noun)}{wearing} {place} {time}, {_LOOKS}, storybook style"
    if style == "booru":
        tags = (attributes.subject, noun, "hat" if hat else None, hat, attributes.setting, attributes.time)
        return ", ".join(tag for tag in (*tags, facing, "outdoors", "no humans", "cartoon") if tag)
    sentences = [f"A cartoon drawing of {article(noun)} {place} {time}"]
    if facing:
        sentences.append(f"The duck is {facing} and wears {article(hat) if hat else 'no hat'}")
    sentences.append(f"There are {_THINGS[attributes.setting]} and the sky is {_SKIES[attributes.time]}")
    sentences.append("It is drawn with bold outlines and flat colors")
    return ". ".join(sentences) + "."


def _noun(attributes: Attributes) -> str:
    return "hot air balloon" if attributes.subject == "balloon" else attributes.subject


def _place(attributes: Attributes) -> str:
    place = _PLACES[attributes.setting]
    return f"over {place.split(' ', 1)[1]}" if attributes.subject == "balloon" else place


_COLOUR = "|".join(COLOURS)
_SUBJECT = re.compile(rf"\b({_COLOUR}) (?:hot air )?({'|'.join(SUBJECTS)})\b")
_HAT = re.compile(rf"\b({_COLOUR}|golden) ({'|'.join(HATS)})\b")
_SETTING = re.compile(rf"\b(?:on|in|over|,) (?:a |the )?({'|'.join(_PLACES)})\b")
_TIME = re.compile(r"\b(sunny day|sunset|night|day)\b")


def read(text: str) -> dict[str, str | None]:
    """Attributes in a description: colour, subject, setting, time, hat, hat_colour, facing; None if not
    named."""
    subject, hat = _SUBJECT.search(text), _HAT.search(text)
    setting = _SETTING.search(text) or re.search(rf", ({'|'.join(_PLACES)})\b", text)
    time, facing = _TIME.search(text), re.search(r"facing (left|right)", text)
    return {
        "colour": subject[1] if subject else None,
        "subject": subject[2] if subject else None,
        "setting": setting[1] if setting else None,
        "time": time[1].removeprefix("sunny ") if time else None,
        "hat": hat[2] if hat else None,
        "hat_colour": hat[1] if hat else None,
        "facing": facing[1] if facing else None,
    }


def vocabulary() -> list[str]:
    """All words and punctuation marks of descriptions and openings, in a fixed order."""
    texts = [UNKNOWN, *OPENINGS.values(), *COLOURS, "golden", *HATS]
    for subject in SUBJECTS:
        for setting in _PLACES:
            for time in _TIMES:
                for facing in ("left", "right"):
                    hatted = Attributes(subject, "red", setting, time, facing, "top hat", "blue")
                    bare = Attributes(subject, "orange", setting, time, facing)
                    texts += [describe(each, style) for each in (hatted, bare) for style in STYLES]
    return sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]", text)})
