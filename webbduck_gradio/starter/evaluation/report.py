"""Writes the evaluation report in Markdown, with one section per part of the kit.

Evaluating a part again replaces its section and keeps the others.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ..training.export import folder_bytes
from .sections import EvalContext, Section

PARTS = ("checkpoint", "larger", "samplers", "speed", "refiner", "loras", "upscaler", "captioner", "detector")
"""Parts of the kit. The module of this name has a function `section(context)`, which returns a `Section`, or
None if the part's weights are missing."""

_INTRODUCTION = """# The starter kit, measured

Written by `python -m webbduck_gradio.starter evaluate --report docs`; `evaluate PART --report docs` measures
one part again. Every number is of the committed weights.
"""


def measure(part: str, context: EvalContext) -> Section | None:
    """The section of one of PARTS, or None if there is nothing to measure."""
    module = importlib.import_module(f".{part}", __package__)
    found: Section | None = module.section(context)
    return found


def write_report(
    context: EvalContext, parts: Sequence[str] = tuple(PARTS), say: Callable[[str], None] = print
) -> list[Section]:
    """Evaluate `parts` and print their tables; updates the page if `context` has a folder."""
    sections = []
    for part in parts:
        section = measure(part, context)
        if section is None:
            say(f"\n{part}: not there, not measured")
            continue
        say(f"\n## {section.title}\n\n{section.table()}")
        for miss in section.misses:
            say(f"missed: {miss}")
        sections.append(section)
        if context.folder is not None:
            context.folder.mkdir(parents=True, exist_ok=True)
            page = context.folder / "starter-kit.md"
            old = page.read_text("utf-8") if page.is_file() else ""
            page.write_text(updated(old, section, sizes(context)), encoding="utf-8")
    return sections


def updated(page: str, section: Section, size_table: str) -> str:
    """`page` with this section replaced or appended, and with current introduction and sizes."""
    kept: dict[str, str] = {}
    for text in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]:
        title = text.splitlines()[0].removeprefix("## ").strip()
        kept[title] = text.strip()
    kept["Sizes"] = f"## Sizes\n\n{size_table}"
    kept[section.title] = f"## {section.title}\n\n{section.table()}\n\n{section.text.strip()}"
    return "\n\n".join([_INTRODUCTION.strip(), *kept.values()]) + "\n"


def sizes(context: EvalContext) -> str:
    """A table of the bundled files and their sizes."""
    rows, total = [], 0
    for name, path in bundled(context):
        size = folder_bytes(path) if path.is_dir() else path.stat().st_size
        total += size
        rows.append(f"| `{name}` | {size / 1e6:.2f} MB |")
    bar = f"| all | **{total / 1e6:.2f} MB** of at most 60 |"
    return "\n".join(["| part | size |", "|---|---|", *rows, bar])


def bundled(context: EvalContext) -> list[tuple[str, Path]]:
    """Name and path of each existing part of the kit; all names begin with webbduck-starter."""
    found = [
        *sorted((context.models / "sdxl").glob("webbduck-starter*")),
        *sorted((context.models / "upscale").glob("webbduck-starter*")),
        *sorted((context.models / "caption").glob("webbduck-starter*")),
        *sorted((context.models / "detect").glob("webbduck-starter*")),
    ]
    named = [(f"checkpoint/{path.parent.name}/{path.name}", path) for path in found]
    return named + [(f"lora/{path.name}", path) for path in sorted(context.loras.glob("webbduck-starter*"))]
