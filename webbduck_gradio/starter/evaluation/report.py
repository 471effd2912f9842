"""The written form of an evaluation: a page in Markdown, one section for each part of the kit.

A part that is measured again replaces its own section of the page and leaves the others as they were.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ..training.export import folder_bytes
from .sections import Bench, Section

PARTS: dict[str, str] = {
    "checkpoint": "evaluate_checkpoint",
    "samplers": "evaluate_samplers",
    "speed": "evaluate_speed",
    "refiner": "evaluate_refiner",
    "loras": "evaluate_loras",
    "upscaler": "evaluate_upscaler",
    "captioner": "evaluate_captioner",
}
"""Each part of the kit and the module here whose `section(bench)` measures it. It gives back a `Section`, or
None where the part's weights are not there."""

_INTRODUCTION = """# The starter kit, measured

Written by `python -m webbduck_gradio.starter evaluate --report docs`; `evaluate PART --report docs` measures
one part again. Every number is of the committed weights.
"""


def measure(part: str, bench: Bench) -> Section | None:
    """The section of one of PARTS, or None where there is nothing to measure."""
    try:
        module = importlib.import_module(f".{PARTS[part]}", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.{PARTS[part]}":
            raise
        return None
    found: Section | None = module.section(bench)
    return found


def write_report(
    bench: Bench, parts: Sequence[str] = tuple(PARTS), say: Callable[[str], None] = print
) -> list[Section]:
    """Measure `parts`, printing each table as it is done; where `bench` has a folder, its page is renewed."""
    sections = []
    for part in parts:
        section = measure(part, bench)
        if section is None:
            say(f"\n{part}: not there, not measured")
            continue
        say(f"\n## {section.title}\n\n{section.table()}")
        for miss in section.misses:
            say(f"missed: {miss}")
        sections.append(section)
        if bench.folder is not None:
            bench.folder.mkdir(parents=True, exist_ok=True)
            page = bench.folder / "starter-kit.md"
            old = page.read_text("utf-8") if page.is_file() else ""
            page.write_text(updated(old, section, sizes(bench)), encoding="utf-8")
    return sections


def updated(page: str, section: Section, size_table: str) -> str:
    """`page` with this section in place of its older version, or at the end; introduction and sizes anew."""
    kept: dict[str, str] = {}
    for text in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]:
        title = text.splitlines()[0].removeprefix("## ").strip()
        kept[title] = text.strip()
    kept["Sizes"] = f"## Sizes\n\n{size_table}"
    kept[section.title] = f"## {section.title}\n\n{section.table()}\n\n{section.text.strip()}"
    return "\n\n".join([_INTRODUCTION.strip(), *kept.values()]) + "\n"


def sizes(bench: Bench) -> str:
    """The bundled files of the kit and their bytes, as a table."""
    rows, total = [], 0
    for name, path in bundled(bench):
        size = folder_bytes(path) if path.is_dir() else path.stat().st_size
        total += size
        rows.append(f"| `{name}` | {size / 1e6:.2f} MB |")
    bar = f"| all | **{total / 1e6:.2f} MB** of at most 60 |"
    return "\n".join(["| part | size |", "|---|---|", *rows, bar])


def bundled(bench: Bench) -> list[tuple[str, Path]]:
    """Name and place of each part of the kit that is there: all their names begin with webbduck-starter."""
    found = [
        *sorted((bench.models / "sdxl").glob("webbduck-starter*")),
        *sorted((bench.models / "upscale").glob("webbduck-starter*")),
        *sorted((bench.models / "caption").glob("webbduck-starter*")),
    ]
    named = [(f"checkpoint/{path.parent.name}/{path.name}", path) for path in found]
    return named + [(f"lora/{path.name}", path) for path in sorted(bench.loras.glob("webbduck-starter*"))]
