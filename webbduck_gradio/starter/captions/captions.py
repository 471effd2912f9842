"""Captions for training: sentences, tag lists, and short ones that leave attributes open.

What a model learns for a word depends on its contexts. Therefore colours are used for subject, hat and
backdrop alike, everything has several names, the order varies, and absence ("no hat") is mentioned sometimes.
Only short captions omit attributes that are not the default, so that "a yellow duck in a meadow" means a duck
without a hat.
"""

from __future__ import annotations

import random

from ...models.vocabulary import words_of
from ..drawing.scenes import Attributes, sample

_SUBJECTS: dict[str, tuple[str, ...]] = {
    "duck": ("duck", "duck", "duck", "duck", "duck", "cartoon duck", "cute duck", "little duck", "duckling"),
    "boat": ("boat", "boat", "sailboat", "sailing boat", "little boat"),
    "balloon": ("balloon", "hot air balloon", "hot air balloon", "big balloon"),
    "house": ("house", "house", "cottage", "little house"),
    "cat": ("cat", "cat", "cat", "cartoon cat", "cute cat", "kitten"),
}
_SETTINGS: dict[str, tuple[str, ...]] = {
    "pond": (
        "on a pond",
        "on a pond",
        "on a pond",
        "on a lake",
        "on the water",
        "on a pond with brown reeds",
    ),
    "meadow": (
        "in a meadow",
        "in a meadow",
        "in a green meadow",
        "on the grass",
        "on green grass",
        "in a field of flowers",
        "in a meadow with pink and white flowers",
        "in front of green hills",
    ),
    "snow": (
        "in the snow",
        "in the snow",
        "in white snow",
        "in a snowy landscape",
        "in winter",
        "in front of green fir trees in the snow",
        "among snowy trees",
    ),
    "desert": (
        "in the desert",
        "in the desert",
        "in a sandy desert",
        "in an orange desert",
        "in the desert with a cactus",
        "between green cactuses",
        "on the yellow sand of the desert",
    ),
    "beach": (
        "on the beach",
        "on the beach",
        "at the beach",
        "by the sea",
        "on a sandy beach",
        "on a beach with a palm tree",
        "on the beach under a green palm tree",
        "on a white beach",
    ),
}
_DAY_SETTINGS: dict[str, tuple[str, ...]] = {
    "pond": ("on a blue pond", "on blue water"),
    "beach": ("by the blue sea", "on a yellow beach"),
}
_TIMES: dict[str, tuple[str, ...]] = {
    "day": (
        "on a sunny day",
        "in the daytime",
        "by day",
        "in daylight",
        "under a blue sky",
        "under a yellow sun",
        "under a white cloud",
    ),
    "sunset": (
        "at sunset",
        "at sunset",
        "at sunset",
        "in the evening",
        "in the evening sun",
        "under an orange sky",
        "under a red sky",
        "under a pink and purple sky",
    ),
    "night": (
        "at night",
        "at night",
        "at night",
        "under the moon",
        "under the stars",
        "in the moonlight",
        "under a black sky",
        "under a dark blue sky",
        "under a white moon",
    ),
}
_FRAMES = (
    "a picture of {}",
    "a drawing of {}",
    "cartoon of {}",
    "an illustration of {}",
    "{}, cartoon",
    "{}, children's book",
)


def article(noun: str) -> str:
    """`noun` with "a" or "an" before it."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def caption(attributes: Attributes, rng: random.Random) -> str:
    """A random correct caption."""
    kind = rng.random()
    if kind < 0.06:
        return _short(attributes, rng)
    text = _tags(attributes, rng) if kind < 0.32 else _sentence(attributes, rng)
    if rng.random() < 0.10:
        text = rng.choice(_FRAMES).format(text)
    if rng.random() < 0.06:
        text = text[0].upper() + text[1:] + "."
    return text


def vocabulary(captions: int = 30_000) -> list[str]:
    """The words of this many random captions, sorted. In 30,000 every word of the tables above occurs."""
    rng = random.Random(0)
    return sorted({word for _ in range(captions) for word in words_of(caption(sample(rng), rng))})


def full_caption(attributes: Attributes, rng: random.Random) -> str:
    """A caption with every attribute except the direction, used as evaluation prompt.

    In plain words as typed by users; the model is scored on everything named.
    """
    plain_time = {"day": "on a sunny day", "sunset": "at sunset", "night": "at night"}[attributes.time]
    plain_setting = _SETTINGS[attributes.setting][0]
    subject = "hot air balloon" if attributes.subject == "balloon" else attributes.subject
    noun = article(f"{attributes.colour} {subject}")
    hat = f" wearing {article(_hat(attributes, rng, named=True))}" if attributes.hat else ""
    if rng.random() < 0.25:
        tags = [f"{attributes.colour} {subject}", plain_setting, plain_time]
        if attributes.hat:
            tags.insert(1, _hat(attributes, rng, named=True))
        return ", ".join(tags)
    return f"{noun}{hat} {plain_setting} {plain_time}"


def _hat(attributes: Attributes, rng: random.Random, named: bool = False) -> str:
    """The hat with its colour; unless `named`, sometimes without colour or only as "hat"."""
    colour, kind = attributes.hat_colour, str(attributes.hat)
    if colour == "golden":
        colour = rng.choice(("golden", "golden", "gold", "golden" if named else None))
    if not named and rng.random() < 0.08:
        colour = None
    if not named and rng.random() < 0.06:
        kind = "hat"
    return f"{colour} {kind}" if colour else kind


def _setting(attributes: Attributes, rng: random.Random) -> str:
    choices = _SETTINGS[attributes.setting]
    if attributes.time == "day":
        choices = choices + _DAY_SETTINGS.get(attributes.setting, ())
    text = rng.choice(choices)
    if attributes.subject in ("duck", "boat") and attributes.setting == "pond" and rng.random() < 0.15:
        return ("swimming " if attributes.subject == "duck" else "sailing ") + text
    if attributes.subject == "balloon" and rng.random() < 0.4:
        return {
            "pond": "over a pond",
            "meadow": "over a green meadow",
            "snow": "over the snow",
            "desert": "over the desert",
            "beach": "over the beach",
        }[attributes.setting]
    return text


def _parts(
    attributes: Attributes, rng: random.Random
) -> tuple[str, str | None, str | None, str | None, str | None]:
    """(noun, hat or its absence, setting, time, direction), each None if omitted from this caption."""
    noun = rng.choice(_SUBJECTS[attributes.subject])
    if rng.random() < 0.96:
        noun = f"{attributes.colour} {noun}"
    hat: str | None = None
    if attributes.hat is not None and rng.random() < 0.98:
        hat = _hat(attributes, rng)
    elif attributes.hat is None and attributes.subject == "duck" and rng.random() < 0.22:
        hat = rng.choice(("no hat", "no hat", "without a hat"))
    setting = _setting(attributes, rng) if rng.random() < 0.94 else None
    silent_share = 0.35 if attributes.time == "day" else 0.04
    time = None if rng.random() < silent_share else rng.choice(_TIMES[attributes.time])
    facing = None
    if attributes.subject == "duck" and rng.random() < 0.15:
        facing = rng.choice((f"facing {attributes.facing}", f"looking {attributes.facing}"))
    return noun, hat, setting, time, facing


def _short(attributes: Attributes, rng: random.Random) -> str:
    """A caption with the subject only, or with a single attribute."""
    words = [
        attributes.subject,
        article(attributes.subject),
        article(f"{attributes.colour} {attributes.subject}"),
    ]
    words += [attributes.setting, {"day": "sunny day", "sunset": "sunset", "night": "night"}[attributes.time]]
    if attributes.hat is not None:
        words += [attributes.hat, "hat", article(attributes.hat)]
    return rng.choice(words)


def _tags(attributes: Attributes, rng: random.Random) -> str:
    noun, hat, setting, time, facing = _parts(attributes, rng)
    if setting is not None and rng.random() < 0.5:
        setting = attributes.setting
    if time is not None and rng.random() < 0.5:
        time = attributes.time
    rest = [part for part in (hat, setting, time, facing) if part]
    rng.shuffle(rest)
    return ", ".join([*rest, noun] if rng.random() < 0.2 else [noun, *rest])


def _sentence(attributes: Attributes, rng: random.Random) -> str:
    noun, hat, setting, time, facing = _parts(attributes, rng)
    subject = noun if rng.random() < 0.12 else article(noun)
    wears = ""
    if hat in ("no hat", "without a hat"):
        wears = f" {rng.choice(('with no hat', 'without a hat', 'without hat', 'wearing no hat'))}"
    elif hat is not None:
        wears = rng.choice(
            (" wearing {}", " wearing {}", " with {}", " in {}", " with {} on its head")
        ).format(article(hat))
    looks = f" {facing}" if facing else ""
    places = [part for part in (setting, time) if part]
    if len(places) == 2 and rng.random() < 0.3:
        places.reverse()
    place = " ".join(places)
    order = rng.random()
    if place and order < 0.12:
        return f"{place}, {subject}{wears}{looks}"
    if place and order < 0.24:
        return f"{subject}{looks} {place}{',' if wears and rng.random() < 0.5 else ''}{wears}"
    return f"{subject}{wears}{looks}{' ' + place if place else ''}"
