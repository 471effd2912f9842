"""CLIP's tokens: how a prompt is weighted and cut into chunks. No model and no torch, so it is instant.

Syntax as AUTOMATIC1111's: `(x)` weighs x by 1.1, `(x:1.3)` by 1.3, `[x]` by 1/1.1; they nest; `\\(` is a
bracket; `BREAK` in capitals starts a new chunk. A chunk holds 75 tokens; a prompt takes as many chunks as
it needs, so nothing is cut off.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, TypedDict

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

CHUNK = 75
"""Tokens of a prompt that the text encoders read at once (77 with start and end)."""
START, END = 49406, 49407
COMMA = 267
PLACEHOLDER = 0
"""Stands where a vector of an embedding does, as in AUTOMATIC1111; never the end token, by which the encoders
find what they pool."""
BACKTRACK = 20
"""A chunk that fills up within this many tokens after a comma ends at the comma, to keep phrases whole."""

MOST_REPEATED = 240
"""Chunks up to which a prompt and its negative prompt are repeated to a common length."""

Weighted = tuple[str, float]


class Vectors(Protocol):
    """An embedding, which stands for `vectors` tokens; the vectors are in the file at `path`."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def stamp(self) -> str: ...
    @property
    def vectors(self) -> int: ...


class Names(Protocol):
    """The embeddings that words can name (`embeddings.EmbeddingIndex`)."""

    def split(self, text: str) -> Iterable[str | Vectors]:
        """The text's words and embeddings in their order."""


@dataclass(frozen=True)
class Chunk:
    """At most 75 token ids (without start and end) and the weight of each."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    embeddings: tuple[tuple[int, Vectors], ...] = ()
    """Embeddings, each with the place of its first vector among the ids, which hold `PLACEHOLDER` there."""


@cache
def tokenizer() -> Tokenizer:
    """CLIP's tokenizer, which all SDXL checkpoints share, from its 48,894 merges (OpenAI CLIP, MIT)."""
    text = gzip.decompress((Path(__file__).parent / "clip_merges.txt.gz").read_bytes()).decode()
    merges = [(left, right) for left, right in (line.split(" ") for line in text.split("\n"))]
    # The ids are the order of: 256 bytes, the same at a word's end, the merges, start, end.
    alphabet = _alphabet()
    words = [*alphabet, *(each + "</w>" for each in alphabet), *(left + right for left, right in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    made = Tokenizer(
        models.BPE(
            vocab={word: index for index, word in enumerate(words)},
            merges=merges,
            unk_token="<|endoftext|>",
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    # Start and end are no special words here: a prompt that spells them out does not end there.
    word = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(word, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return made


def _alphabet() -> list[str]:
    """One printable character for each byte, in the order of CLIP's vocabulary (as GPT-2's)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def token_ids(text: str) -> list[int]:
    """Token ids of plain text, without start and end."""
    return tokenizer().encode(text, add_special_tokens=False).ids


_NUMBER = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_STEP = 1.1


def parse(prompt: str) -> list[Weighted | None]:
    """Text with its weight, piece by piece; None stands for BREAK. Brackets that do not pair are text."""
    pieces: list[Weighted | None] = []
    open_round: list[int] = []
    open_square: list[int] = []
    text = ""

    def flush() -> None:
        nonlocal text
        for index, part in enumerate(_BREAK.split(text)):
            if index:
                pieces.append(None)
            if part:
                pieces.append((part, 1.0))
        text = ""

    def weigh(start: int, factor: float) -> None:
        for index in range(start, len(pieces)):
            piece = pieces[index]
            if piece is not None:
                pieces[index] = (piece[0], piece[1] * factor)

    position = 0
    while position < len(prompt):
        char = prompt[position]
        number = _NUMBER.match(prompt, position) if open_round else None
        if char == "\\" and prompt[position + 1 : position + 2] in tuple("()[]\\"):
            text += prompt[position + 1]
            position += 1
        elif char in "([":
            flush()
            (open_round if char == "(" else open_square).append(len(pieces))
        elif number:
            flush()
            weigh(open_round.pop(), float(number[1]))
            position = number.end() - 1
        elif char == ")" and open_round:
            flush()
            weigh(open_round.pop(), _STEP)
        elif char == "]" and open_square:
            flush()
            weigh(open_square.pop(), 1 / _STEP)
        else:
            text += char
        position += 1
    flush()
    # A bracket that was never closed weighs all that follows, as in AUTOMATIC1111.
    for start in open_round:
        weigh(start, _STEP)
    for start in open_square:
        weigh(start, 1 / _STEP)
    return _merged(pieces)


def _merged(pieces: list[Weighted | None]) -> list[Weighted | None]:
    """Neighbours of equal weight become one, so that brackets around nothing change no token."""
    merged: list[Weighted | None] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if piece is not None and last is not None and last[1] == piece[1]:
            merged[-1] = (last[0] + piece[0], piece[1])
        else:
            merged.append(piece)
    return merged


_SMILEY = re.compile(r"[:;=8xX]['^-]?$")


@dataclass(frozen=True)
class Unpaired:
    """A bracket without its counterpart."""

    bracket: str
    position: int

    @property
    def weighs(self) -> bool:
        """Whether it changes the weight of all that follows (`parse`); the others are plain text."""
        return self.bracket in "(["


def unpaired(prompt: str) -> list[Unpaired]:
    """Brackets without their counterpart, in order: ( [ { never closed, and ) ] } that close nothing.

    Brackets behind a backslash are text, and so is the ")" of a smiley. Braces mean nothing here, but most
    programs that give them a meaning need them in pairs.
    """
    opened: dict[str, list[int]] = {"(": [], "[": [], "{": []}
    found: list[Unpaired] = []
    position = 0
    while position < len(prompt):
        char = prompt[position]
        if char == "\\" and prompt[position + 1 : position + 2] in tuple("()[]{}\\"):
            position += 1
        elif char in opened:
            opened[char].append(position)
        elif char in ")]}":
            before = opened["([{"[")]}".index(char)]]
            if before:
                before.pop()
            elif not _SMILEY.search(prompt[max(0, position - 2) : position]):
                found.append(Unpaired(char, position))
        position += 1
    found += [Unpaired(char, each) for char, places in opened.items() for each in places]
    return sorted(found, key=lambda each: each.position)


def is_split(prompt: str, embeddings: Names | None = None) -> bool:
    """Whether words that no BREAK separates are in different chunks."""
    size = 0
    for piece in parse(prompt):
        if piece is None:
            size = 0
            continue
        for part in _parts(piece[0], embeddings):
            size += len(token_ids(part)) if isinstance(part, str) else part.vectors
            if size > CHUNK:
                return True
    return False


def _parts(text: str, embeddings: Names | None) -> Iterable[str | Vectors]:
    return [text] if embeddings is None else embeddings.split(text)


def chunks(prompt: str, embeddings: Names | None = None) -> tuple[Chunk, ...]:
    """The prompt's chunks; an empty prompt has one empty chunk. `embeddings`: those that its words can name;
    the vectors of one are never in two chunks."""
    done: list[Chunk] = []
    ids: list[int] = []
    weights: list[float] = []
    placed: list[tuple[int, Vectors]] = []

    def close(upto: int) -> None:
        nonlocal ids, weights, placed
        before = tuple(each for each in placed if each[0] < upto)
        done.append(Chunk(tuple(ids[:upto]), tuple(weights[:upto]), before))
        ids, weights = ids[upto:], weights[upto:]
        placed = [(at - upto, embedding) for at, embedding in placed[len(before) :]]

    for piece in parse(prompt):
        if piece is None:
            close(len(ids))
            continue
        for part in _parts(piece[0], embeddings):
            if not isinstance(part, str):
                if len(ids) + part.vectors > CHUNK:
                    close(len(ids))
                placed.append((len(ids), part))
                ids += [PLACEHOLDER] * part.vectors
                weights += [piece[1]] * part.vectors
                continue
            for token in token_ids(part):
                if len(ids) == CHUNK:
                    close(_cut(ids, token))
                ids.append(token)
                weights.append(piece[1])
    if ids or not done:
        close(len(ids))
    return tuple(done)


def common_length(*lengths: int) -> int:
    """Chunks to which all are brought: where that is no multiple of one, empty ones fill the rest.

    Repeating a prompt as a whole changes nothing in what is drawn, an empty chunk behind it dilutes it. The
    least common multiple needs none, but two long prompts may be too long for that.
    """
    least = math.lcm(*lengths)
    longer = max(lengths)
    return least if least <= MOST_REPEATED else longer * max(MOST_REPEATED // longer, 1)


def _cut(ids: list[int], following: int) -> int:
    """Where a full chunk ends: behind its last comma when that is near, else at its very end."""
    if following == COMMA or COMMA not in ids[-BACKTRACK:]:
        return len(ids)
    return len(ids) - ids[::-1].index(COMMA)


class TokenCount(TypedDict):
    """For the counter."""

    tokens: int
    limit: int
    """Tokens of a chunk."""
    over: bool
    """Whether more than one chunk is needed."""
    chunks: int


def count(prompt: str, embeddings: Names | None = None) -> TokenCount:
    found = chunks(prompt, embeddings)
    tokens = sum(len(chunk.ids) for chunk in found)
    return {"tokens": tokens, "limit": CHUNK, "over": len(found) > 1, "chunks": len(found)}
