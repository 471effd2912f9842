"""What other programs read as more than words in a prompt, and this studio does not.

Such syntax would otherwise go to the text encoders as words, without a sound. Each kind is looked for by the
form that its program demands, so that ordinary text (C++, snake__case, "3+ ducks", a smiley) is left alone.
What is understood here stands in `tokens`, `dynamic_prompts`, `prompt_schedule` and `prompt_resolver`.
"""

from __future__ import annotations

import re

LONGEST_SHOWN = 60

LORA_TAG = re.compile(r"<(?:lora|lyco)\s*:([^<>]*)>", re.IGNORECASE)
"""`<lyco:...>` means the same, as in AUTOMATIC1111, and so do capitals. The group is NAME or NAME:WEIGHT."""

_END = r"(?=$|[\s,.;:!?)\]])"
_MIDJOURNEY = (
    "ar|aspect|no|v|version|s|stylize|style|c|chaos|q|quality|seed|iw|niji|tile|stop|weird|w|h|p|profile|r|repeat"
    "|sref|cref|oref|cw|sw|ow|raw|hd|fast|turbo|relax|draft|exp|test|testp|upbeta|uplight|video|motion|loop|bs"
    "|prompt|negative_prompt|steps|cfg_scale|width|height|sampler_name"
)
_PROMPT_CONTROL = (
    "COUPLE|MASK|IMASK|MASKW|MASK_SIZE|AREA|FEATHER|FILL|NOISE|SHIFT|SHUFFLE|SDXL|STYLE|TE_WEIGHT|CUT|ATTN"
)


def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(text, flags | re.MULTILINE)


CHANGES = (
    "words that change are written [from:to:when], with one number",
    "alternating words are written [a|b], without a colon",
    "AND joins parts of the prompt alone",
)
"""What is said of forms that come close to those of `prompt_schedule`."""

NOT_UNDERSTOOD: tuple[tuple[re.Pattern[str], str], ...] = (
    # AUTOMATIC1111 and its family, and what its extensions add.
    (
        _pattern(r"(?<!\\)\[[^\[\]]*:\s*(?:[\d.]+\s*,\s*)*(?:\d+(?:\.\d*)?|\.\d+)\s*\]"),
        CHANGES[0],
    ),
    (_pattern(r"(?<!\\)\[[^\[\]|]*\|[^\[\]]*\]"), CHANGES[1]),
    (_pattern(r"\bAND_[A-Z]+\b"), "joining prompts in this way is not supported"),
    (_pattern(r"\bAND\b"), CHANGES[2]),
    (_pattern(r"\bADD(?:ROW|COL|COMM|BASE)\b"), "regions of the Regional Prompter are not supported"),
    (_pattern(r"\[(?:SEP|SKIP|PROMPT)\]"), "ADetailer's marks are not supported"),
    (_pattern(r"\[/\w+\]"), "Unprompted's shortcodes are not supported"),
    (_pattern(r"\([^()\n]*:\s*[+-]?\d+,\d+\s*\)"), "a weight is written with a point, not a comma"),
    # Tags in angle brackets: A1111, SwarmUI (<segment:>, <random[2]:>, <trigger>), diffusers (<cat-toy>).
    (_pattern(r"<(?:lora|lyco)\b[^<>]*(?:<|\Z)", re.IGNORECASE), 'the tag has no closing ">"'),
    (
        _pattern(r"(?<!\\)<(?!(?:lora|lyco)\s*:)[^\W\d][\w./ -]*(?:\[[^\[\]<>]*\])?:[^<>]*>", re.IGNORECASE),
        "a tag of this kind is not supported",
    ),
    (_pattern(r"(?<!\\)</?[^\W\d_][\w-]+>"), "a tag of this kind is not supported"),
    # Braces and lists that `dynamic_prompts` leaves: NovelAI, Fooocus.
    (_pattern(r"(?<![\\${])\{+[^{}|]+\}+"), "braces, NovelAI's weights among them, are not supported"),
    (_pattern(r"(?<!\\)\[\[[^\[\]|:]*,[^\[\]|:]*\]\]"), "Fooocus' list of pictures is not supported"),
    (_pattern(r"(?:^|(?<=\s))(?:/\*[\s\S]*?\*/|//\s*\w.*$)"), "a comment is not left out"),
    (_pattern(r"^#\s.*$"), "a comment is not left out"),
    # compel's weights and joins: InvokeAI, diffusers.
    (
        _pattern(
            r"""(?:(?<![\w+])(?!notepad\+\+)\w{2,}|[)"'])(?<!_)(?:\+{2,}|-{2,})""" + _END, re.IGNORECASE
        ),
        "compel's weights are not supported",
    ),
    (_pattern(r"(?<![\w-])[a-z]{3,}\+" + _END), "compel's weights are not supported"),
    (_pattern(r"\([^()\n]+\)(?:[+-]+|\d+(?:\.\d+)?|\.\d+)" + _END), "compel's weights are not supported"),
    (_pattern(r"""[\w)"']\s*\.(?:and|blend|swap)\s*\("""), "compel's joined prompts are not supported"),
    # NovelAI, Midjourney, Stable Horde, prompt-control.
    (_pattern(r"(?<![\w:.])-?\d*\.?\d+::(?!\d*\.?\d+\s*\])"), "weights with :: are not supported"),
    (_pattern(r"(?<=[^\W\d])\s?::-?(?:\d*\.?\d+)?(?=\s|$)"), "weights with :: are not supported"),
    (_pattern(rf"(?<!\S)--(?:{_MIDJOURNEY})(?![\w-])"), "options in a prompt are not supported"),
    (_pattern(r"(?<!\S)###(?!\S)"), "a negative prompt behind ### is not supported"),
    (_pattern(rf"\b(?:{_PROMPT_CONTROL})\("), "a function of prompt-control is not supported"),
)
"""Each kind's form and what is said of it. One line for each kind that occurs, with its first place."""


def not_understood(text: str) -> list[str]:
    """A sentence for each kind of syntax in `text` that stays words."""
    said: dict[str, str] = {}
    for pattern, what in NOT_UNDERSTOOD:
        found = pattern.search(text)
        if found and what not in said:
            said[what] = f"{_short(found[0])} is read as plain words: {what}."
    return list(said.values())


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else line[: LONGEST_SHOWN - 3] + "..."
