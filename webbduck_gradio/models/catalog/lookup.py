"""Finds installed models by name, as spelled by users and other programs.

Used for `<lora:...>` tags, API requests, presets and settings of images. An exact match comes first, then
other spellings: backslash for slash, with or without extension, different case, without folder, the trainer's
name (`ss_output_name`, AUTOMATIC1111's "alias from file"), another folder, and finally the hash. A name that
matches several models is ambiguous and finds none.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, Literal, Protocol, TypeVar

from ...errors import NotFoundError

ENDINGS = re.compile(r"\.(?:safetensors|sft|ckpt|pth|pt|bin|onnx)$", re.IGNORECASE)
HASH = re.compile(r"(?:0x)?([0-9a-f]{8}|[0-9a-f]{10}|[0-9a-f]{12}|[0-9a-f]{64})", re.IGNORECASE)
"""AutoV1 or shortened AutoV2, AutoV2, AutoV3, and a full SHA-256."""
HASH_BEHIND = re.compile(rf"^(.+?)\s*\[{HASH.pattern}\]$", re.IGNORECASE | re.DOTALL)
"""AUTOMATIC1111's title of a checkpoint: `name.safetensors [hash]`."""
LEFT_OUT_OF_TAGS = re.compile(r"[,:<>\n]")
"""Characters removed from a name in a tag."""
SHORTEST_HASH, WHOLE = 8, 64
CACHE_SIZE = 2**16
"""Names whose normalised forms are cached, since prompts are checked on every key press."""
MOST_NEAR = 3
CLOSE_ENOUGH = 0.6
SHOWN = 80
"""Characters of a name shown in a message."""

Way = Literal["name", "folder", "alias", "hash", ""]


class Named(Protocol):
    """An installed model. Optional attributes: `hash`, `hashes` (full, of the file and of its weights),
    `said_hash`, `aliases` (other names), `origin` (label of another program's folder)."""

    @property
    def name(self) -> str: ...


M = TypeVar("M", bound=Named)


@dataclass(frozen=True)
class Found(Generic[M]):
    """Result of a lookup.

    `by` says how it was found: "name" (same file name, in any spelling), "folder" (same file name in another
    folder), "alias" (the trainer's or the user's name), "hash". `several`: the candidates if the name is
    ambiguous and `model` therefore None. `another`: the name matches, but not the given hash.
    """

    model: M | None = None
    by: Way = ""
    several: tuple[M, ...] = ()
    another: bool = False


class Models(tuple[M, ...]):
    """Models in an order, with an index that makes finding one among thousands quick."""

    @cached_property
    def _index(self) -> tuple[dict[str, list[M]], dict[str, list[M]]]:
        """Models by the loosest reading of their last name or alias, and by the beginning of a hash."""
        named: dict[str, list[M]] = {}
        hashed: dict[str, list[M]] = {}
        for model in self:
            for key in dict.fromkeys(map(_last, (model.name, *_aliases(model)))):
                named.setdefault(key, []).append(model)
            for digits in dict.fromkeys(each[:SHORTEST_HASH] for each in _known_hashes(model)):
                hashed.setdefault(digits, []).append(model)
        return named, hashed

    @cached_property
    def own(self) -> Models[M]:
        """Those of the studio's own folders."""
        return Models(model for model in self if not _origin(model))

    def perhaps(self, asked: str) -> list[M]:
        """Those that any reading of a name may mean, in their order."""
        return self._index[0].get(_last(asked), [])

    def of_hash(self, hash: str) -> list[M]:
        """Those of which a hash equals this one."""
        digits = _digits(hash)[:SHORTEST_HASH]
        return [model for model in self._index[1].get(digits, ()) if same_hash(hash, model)]


def find(asked: str, models: Iterable[M], hash: str | None = None) -> Found[M]:
    """Find a model. A given `hash` takes precedence over the name.

    Other programs' folders change nothing of what a name means without them: their models are found by the
    whole name, with the folder's label, and otherwise where no own model has the name.
    """
    models = models if isinstance(models, Models) else Models(models)
    titled = HASH_BEHIND.match(asked)
    hash = hash or (titled[2] if titled else None)
    same = models.of_hash(hash) if hash else []
    for by, group in _groups(asked, titled[1] if titled else "", models):
        named = [model for model in group if model in same]
        if named:
            return Found(named[0], by)
        if same:
            break
        if len(group) > 1:
            return Found(several=tuple(group))
        return Found(group[0], by, another=bool(hash) and _differs(hash or "", group[0]))
    if not same and HASH.fullmatch(asked):
        same = models.of_hash(asked)
    # Several copies of one file: any of them, an own one first.
    first = min(same, key=lambda model: (bool(_origin(model)), model.name), default=None)
    return Found(first, "hash") if first else Found()


def _groups(asked: str, titled: str, models: Models[M]) -> Iterator[tuple[Way, list[M]]]:
    """Matching models for each reading of a name, strictest first, without empty groups."""
    for wanted in filter(None, (asked, titled)):
        everything, own = models.perhaps(wanted), models.own.perhaps(wanted)
        readings: Iterable[tuple[Way, list[M]]] = _readings(wanted, own)
        if len(own) < len(everything):
            foreign = [model for model in everything if _origin(model)]
            readings = (*_whole_names(wanted, everything, foreign), *readings, *_readings(wanted, foreign))
        yield from ((by, group) for by, group in readings if group)


def _whole_names(wanted: str, everything: Sequence[M], foreign: Sequence[M]) -> Iterator[tuple[Way, list[M]]]:
    """The readings that name another program's model with the label of its folder."""
    yield "name", [model for model in everything if model.name == wanted]
    for key in KEYS:
        if name := key(wanted):
            yield "name", [model for model in foreign if key(model.name) == name]


def _readings(wanted: str, models: Sequence[M]) -> Iterator[tuple[Way, list[M]]]:
    yield "name", [model for model in models if model.name == wanted]
    keys = [(key, key(wanted)) for key in KEYS if key(wanted)]
    for key, name in keys:
        yield "name", [model for model in models if key(model.name) == name]
    for key, name in keys:
        yield "name", [model for model in models if key(model.name).endswith(f"/{name}")]
    for key, name in keys:
        yield "alias", [model for model in models if name in map(key, _aliases(model))]
    for start in range(1, _path(wanted).count("/") + 1):  # prefer more matching folders
        for key, name in keys:
            tail = "/".join(["", *name.split("/")[start:]])
            if tail.strip("/"):
                yield "folder", [model for model in models if f"/{key(model.name)}".endswith(tail)]


@lru_cache(CACHE_SIZE)
def _path(name: str) -> str:
    """With forward slashes, composed characters (macOS decomposes them), and no leading `./`."""
    return re.sub(r"^(?:\.?/)+|(?<=/)/+", "", unicodedata.normalize("NFC", name).replace("\\", "/"))


@lru_cache(CACHE_SIZE)
def _plain(name: str) -> str:
    return ENDINGS.sub("", _path(name))


@lru_cache(CACHE_SIZE)
def _folded(name: str) -> str:
    return _plain(name).casefold()


@lru_cache(CACHE_SIZE)
def _as_in_tags(name: str) -> str:
    """Without characters that tags cannot contain, and stripped."""
    return ENDINGS.sub("", LEFT_OUT_OF_TAGS.sub("", _folded(name)).strip())


KEYS: tuple[Callable[[str], str], ...] = (_path, _plain, _folded, _as_in_tags)
"""Normalisations of names, strictest first."""


def _aliases(model: Named) -> tuple[str, ...]:
    return tuple(getattr(model, "aliases", ()))


def _origin(model: Named) -> str:
    return str(getattr(model, "origin", ""))


@lru_cache(CACHE_SIZE)
def _last(name: str) -> str:
    """The last part of a name in a form that is equal wherever any reading of two names is."""
    return _as_in_tags(name).rpartition("/")[2].strip()


def _hashes(model: Named) -> list[str]:
    computed = (getattr(model, "hash", None), *getattr(model, "hashes", ()))
    return [each.casefold() for each in computed if each]


def _known_hashes(model: Named) -> list[str]:
    """Also the one that is stated in its file."""
    return [*_hashes(model), *filter(None, [getattr(model, "said_hash", "")])]


def _digits(hash: str) -> str:
    return hash.strip().casefold().removeprefix("0x")


def same_hash(hash: str, model: Named) -> bool:
    """Whether one of the model's hashes, including the one stated in its file, equals this one up to the
    shorter length."""
    wanted = _digits(hash)
    shared = ((wanted, each, min(len(wanted), len(each))) for each in _known_hashes(model))
    return any(length >= SHORTEST_HASH and one[:length] == other[:length] for one, other, length in shared)


def _differs(hash: str, model: Named) -> bool:
    """Whether the model is certainly another file: its hash of the same kind is known and different.

    The kind follows from the length, unless all kinds are known in full. Eight digits may be AUTOMATIC1111's
    oldest hash, which is not computed here.
    """
    wanted = _digits(hash)
    if len(wanted) <= SHORTEST_HASH or not HASH.fullmatch(wanted) or same_hash(wanted, model):
        return False
    return any(len(each) in (len(wanted), WHOLE) for each in _hashes(model))


def near(asked: str, models: Iterable[Named]) -> list[str]:
    """Similar names, best match first."""
    names: dict[str, str] = {}
    for model in models:
        for said in (model.name, model.name.rpartition("/")[2], *_aliases(model)):
            names.setdefault(_as_in_tags(said), model.name)
    wanted = _as_in_tags(asked)
    close = difflib.get_close_matches(wanted, names, MOST_NEAR, CLOSE_ENOUGH)
    close += difflib.get_close_matches(wanted.rpartition("/")[2], names, MOST_NEAR, CLOSE_ENOUGH)
    return list(dict.fromkeys(names[each] for each in close))[:MOST_NEAR]


def unknown(asked: str, what: str, models: Iterable[Named], otherwise: str = "") -> NotFoundError:
    """The error for an unknown or ambiguous name; `otherwise` is appended if there is no similar name."""
    models = list(models)
    several = find(asked, models).several
    if several:
        names = sorted(model.name for model in several)
        return NotFoundError(
            f"{quoted(asked)} may mean the {what} {_either(names[:8])}; write the whole name."
        )
    close = near(asked, models)
    hint = f"; did you mean {_either(close)}?" if close else f"{otherwise}."
    return NotFoundError(f"There is no {what} named {quoted(asked)}{hint}")


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def quoted(name: Any) -> str:
    """A name quoted for a message: shortened, printable characters only."""
    text = str(name)
    text = text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
    return "'" + "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text) + "'"
