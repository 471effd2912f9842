"""Embeddings (textual inversion): which there are, and where a prompt names them.

A name stands for the embedding's vectors, which take as many tokens. As in AUTOMATIC1111 the file's name
alone, as whole words in any case, is enough; ComfyUI's `embedding:NAME` may have the folder and the ending.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy
import safetensors

from ..errors import ModelError
from ..storage.reading import read_regular
from .catalog.lookup import ENDINGS
from .foreign.candidates import bare_name
from .probe.lora import NAMES

HASH_DIGITS = 12
"""Of an embedding's hash as AUTOMATIC1111 writes it, the beginning of the file's SHA-256."""
MOST_LISTS = 16
"""Requests whose indexes are kept, since the images of a batch and the passes of each ask for the same."""
MAX_BYTES = 4_000_000
"""Of a file: 75 vectors for SDXL in double precision take 1.2 MB."""


class Encoders(Protocol):
    """What of a checkpoint decides whether an embedding fits."""

    @property
    def name(self) -> str: ...
    @property
    def arch(self) -> str: ...
    @property
    def context(self) -> int:
        """Sum of its text encoders' widths; 0 = unknown."""


@dataclass(frozen=True)
class Embedding:
    """An installed embedding. `vectors`: the tokens that it takes; `widths`: of its vectors for both text
    encoders; `unusable`: the reason in one sentence, None when it can be used."""

    name: str
    path: Path
    arch: str
    vectors: int
    widths: tuple[int, int]
    size_bytes: int
    modified: float
    unusable: str | None
    description: str = ""
    notes: str = ""
    base: str = ""
    tags: tuple[str, ...] = ()
    preview: tuple[Path, str] | None = None
    """Preview image beside the file, and its stamp."""
    stamp: str = ""
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""
    converted_from: str = ""
    """Name of the pickle that it was made from."""
    hashes: tuple[str, ...] = field(default=(), compare=False)
    """SHA-256 of the file and of its weights, as soon as they have been computed."""

    @property
    def trigger(self) -> str:
        """What stands for it in a prompt: its name without folder and ending."""
        return ENDINGS.sub("", self.name.rpartition("/")[2])

    @property
    def hash(self) -> str | None:
        """As AUTOMATIC1111 writes it; None until computed."""
        return self.hashes[0][:HASH_DIGITS] if self.hashes else None

    @property
    def context(self) -> int:
        """Sum of the widths, to be compared with a checkpoint's."""
        return sum(self.widths)

    def fits(self, checkpoint: Encoders) -> bool:
        """Whether the checkpoint's text encoders can read it. A refiner has only the second."""
        if self.unusable:
            return False
        own = self.widths[1] if checkpoint.arch == "sdxl-refiner" else self.context
        return own == checkpoint.context if checkpoint.context else self.arch == "sdxl"

    def why_not(self, checkpoint: Encoders) -> str:
        """Why the checkpoint cannot use it, in one sentence."""
        return self.unusable or (
            f"The embedding {self.name} is made for text encoders of another size; "
            f"{checkpoint.name} cannot use it."
        )


def why_unusable(name: str, arch: str, fault: str) -> str | None:
    """The reason in one sentence; None for a sound embedding for SDXL. `fault`: of its probe."""
    if arch != "sdxl":
        made_for = NAMES.get(arch, "an unknown model")
        return f"The embedding {name} is made for {made_for}, not for SDXL; choose another."
    return f"The embedding {name} {fault}." if fault else None


class Contents(NamedTuple):
    """What is told of an embedding's file only by reading it."""

    hash: str
    """As AUTOMATIC1111 writes it."""
    is_finite: bool
    """Whether every number is one that can be computed with."""


_EXPONENTS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000)}
_EXPONENTS["F64"] = ("<u8", 0x7FF0000000000000)
"""The bits of the exponent of each type; all of them are set in infinity and in what is not a number."""


@lru_cache(256)
def contents(path: Path, stamp: str) -> Contents:
    """Read an embedding's file, which is small. `stamp` changes with the file. Raises `ModelError`."""
    try:
        data = read_regular(path, MAX_BYTES)
        tensors = safetensors.deserialize(data)
    except (OSError, ValueError, safetensors.SafetensorError):
        raise ModelError(f"The embedding {path.name} cannot be read; get it again.") from None
    is_finite = True
    for _, tensor in tensors:
        kind, bits = _EXPONENTS.get(tensor["dtype"], ("<u1", 0x100))
        exponents = numpy.frombuffer(tensor["data"], kind) & bits
        is_finite &= not (exponents == bits).any()
    return Contents(hashlib.sha256(data).hexdigest()[:HASH_DIGITS], is_finite)


@dataclass(frozen=True)
class Mention:
    """A place of a text that names an embedding. `embedding`: None where `embedding:` names none that there
    is; `asked`: the name as written; `is_explicit`: whether `embedding:` stands before it."""

    start: int
    end: int
    embedding: Embedding | None
    asked: str
    is_explicit: bool


_WORD = re.compile(r"\w+")
_EXPLICIT = re.compile(r"(?<![\w\\])embedding:(?=[^\s,()\[\]:|])", re.IGNORECASE)
_ASKED = re.compile(r"[^\s,()\[\]:|]+")
_WORD_END = re.compile(r"(?<!\w)|(?!\w)")
_NAME_END = re.compile(r"(?:\.(?:safetensors|pt|bin))?(?=$|[\s,()\[\]:|]|[.;!?](?:\s|$))")
"""What ends a name alone, which only must not go on as a word, and one behind `embedding:`."""


class EmbeddingIndex:
    """Embeddings by the words of their names; finds them in a text. Immutable."""

    def __init__(self, embeddings: Iterable[Embedding] = ()):
        self.embeddings = tuple(embeddings)
        self._plain: dict[str, list[tuple[str, int, Embedding]]] = {}
        self._paths: dict[str, list[tuple[str, int, Embedding]]] = {}
        self._fitting: dict[tuple[str, int], EmbeddingIndex] = {}
        self._listed: dict[tuple[str, ...], EmbeddingIndex] = {}
        self._explicit_paths: tuple[dict[str, list[tuple[str, int, Embedding]]], ...] = (self._paths,)
        for each in self.embeddings:
            _enter(self._plain, each.trigger, each)
            _enter(self._paths, each.trigger, each)
            for name in {each.name, bare_name(each.name, each.origin)} - {each.trigger}:
                _enter(self._paths, name, each)
        for entries in (*self._plain.values(), *self._paths.values()):
            # The longest name first; of equal ones that of the embedding that is listed first.
            entries.sort(key=lambda entry: -len(entry[0]))

    def listed(self, names: tuple[str, ...]) -> EmbeddingIndex:
        """The index for a request that lists its embeddings: a name alone stands for one of these, and
        `embedding:NAME` for another only if none of these has this name."""
        if names not in self._listed:
            if len(self._listed) >= MOST_LISTS:
                self._listed.clear()
            self._listed[names] = _ListedIndex(self, names)
        return self._listed[names]

    def fitting(self, checkpoint: Encoders | None) -> EmbeddingIndex:
        """Those that a checkpoint can use; with None, all that any can."""
        if not self.embeddings:
            return self
        key = ("", 0) if checkpoint is None else (checkpoint.arch, checkpoint.context)
        if key not in self._fitting:
            fits = [
                each
                for each in self.embeddings
                if (each.unusable is None if checkpoint is None else each.fits(checkpoint))
            ]
            self._fitting[key] = EmbeddingIndex(fits)
        return self._fitting[key]

    def mentions(self, text: str) -> Iterator[Mention]:
        """The places of `text`, which is in the form NFC, that name an embedding, in their order."""
        if not self.embeddings and "embedding:" not in text.lower():
            return
        lower = _lower(text)
        end = 0
        for word in _WORD.finditer(lower):
            if word.start() < end:
                continue
            explicit = _EXPLICIT.match(text, word.start())
            found = (
                self._explicit(text, lower, word.start(), explicit.end())
                if explicit
                else _match(self._plain, lower, word.start(), word[0], end, _WORD_END)
            )
            if found is not None:
                yield found
                end = found.end

    def _explicit(self, text: str, lower: str, start: int, after: int) -> Mention:
        if word := _WORD.search(lower, after):
            for paths in self._explicit_paths:
                found = _match(paths, lower, word.start(), word[0], after, _NAME_END)
                if found and found.start == after:
                    return Mention(start, found.end, found.embedding, found.asked, True)
        asked = _ASKED.match(text, after)
        assert asked is not None  # by the pattern of the prefix
        return Mention(start, asked.end(), None, asked[0].rstrip(".;!?"), True)

    def split(self, text: str) -> Iterator[str | Embedding]:
        """The text's words and embeddings in their order."""
        text = unicodedata.normalize("NFC", text)
        start = 0
        for each in self.mentions(text):
            if each.embedding is not None:
                yield text[start : each.start]
                yield each.embedding
                start = each.end
        yield text[start:]

    def namesakes(self, embedding: Embedding) -> list[Embedding]:
        """The others that the same name stands for."""
        key = _lower(unicodedata.normalize("NFC", embedding.trigger))
        word = _WORD.search(key)
        entries = self._plain.get(word[0], ()) if word else ()
        return [each for name, _, each in entries if name == key and each != embedding]

    def used(self, pieces: Iterable[str]) -> tuple[Embedding, ...]:
        """The embeddings that are named, each once, in their order."""
        found = (part for text in pieces for part in self.split(text) if isinstance(part, Embedding))
        return tuple(dict.fromkeys(found))


NO_EMBEDDINGS = EmbeddingIndex()


class _ListedIndex(EmbeddingIndex):
    """See `EmbeddingIndex.listed`."""

    def __init__(self, everything: EmbeddingIndex, names: tuple[str, ...]):
        wanted = set(names)
        super().__init__(each for each in everything.embeddings if each.name in wanted)
        self.embeddings = everything.embeddings
        self._explicit_paths = (self._paths, everything._paths)
        self._everything, self._names = everything, names

    def fitting(self, checkpoint: Encoders | None) -> EmbeddingIndex:
        return self._everything.fitting(checkpoint).listed(self._names)


def _enter(index: dict[str, list[tuple[str, int, Embedding]]], name: str, embedding: Embedding) -> None:
    """Under the first word of its name, with where in the name that begins."""
    key = _lower(unicodedata.normalize("NFC", name))
    word = _WORD.search(key)
    if word is not None:
        index.setdefault(word[0], []).append((key, word.start(), embedding))


def _match(
    index: dict[str, list[tuple[str, int, Embedding]]],
    lower: str,
    at: int,
    word: str,
    least: int,
    end: re.Pattern[str],
) -> Mention | None:
    """The longest name whose first word stands at `at`, which begins at `least` or behind; `end`: what has to
    follow."""
    for name, before, embedding in index.get(word, ()):
        start = at - before
        if start >= least and lower.startswith(name, start):
            ending = end.match(lower, start + len(name))
            if ending:
                return Mention(start, ending.end(), embedding, name, False)
    return None


def _lower(text: str) -> str:
    """In small letters, with `/` for a backslash; as long as before."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(each.lower() if len(each.lower()) == 1 else each for each in text)
    return lower.replace("\\", "/")
