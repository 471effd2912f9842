"""Which program laid out a folder, and where its models lie.

A program is told by files that only it has, not by the name of its folder: people rename these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from . import a1111, comfyui, plain
from .folders import Tree
from .reading import Reading

FOLDER = "folder"
"""What `Tree.program` says where no program is recognised."""
PROGRAMS: tuple[tuple[Callable[[Reading], str | None], Callable[[Reading], None]], ...] = (
    (comfyui.recognised, comfyui.read),
    (a1111.recognised, a1111.read),
)
"""(its name, if it is this one; reads it), in the order in which they are tried."""
INNER = ("ComfyUI", "webui", "Fooocus", "SwarmUI", "invokeai", "stable-diffusion-webui")
"""Where the program lies in what people unpack."""


def read_tree(root: Path, label: str = "") -> Tree:
    """What lies where in a program's folder, or in a YAML file of ComfyUI's kind. `label`: "" = one made of
    the program's name. Never raises; what cannot be read is among the tree's problems."""
    return read(root, label)[0]


def read(root: Path, label: str = "") -> tuple[Tree, dict[Path, str]]:
    """`read_tree`, and the stamps of all that was looked at."""
    look = Reading(Path(os.path.abspath(root)), label)
    if look.root.suffix.casefold() in (".yaml", ".yml") and look.is_file(look.root):
        look.label = label or default_label("ComfyUI", ())
        comfyui.read_yaml_alone(look, look.root)
        return look.tree("ComfyUI"), look.stamps
    if not look.is_folder(look.root):
        look.label = label or default_label(look.root.name, ())
        look.problem(f"{look.shown(look.root)} is not there.")
        return look.tree(FOLDER), look.stamps
    asked = look.root
    for way in ("", *INNER):
        inner = look.below(asked, way) if way else asked
        if inner is None or not look.is_folder(inner):
            continue
        look.root = inner
        for recognised, read_program in PROGRAMS:
            program = recognised(look)
            if program is not None:
                look.label = label or default_label(program, ())
                read_program(look)
                look.root = asked
                return look.tree(program), look.stamps
    look.root = asked
    look.label = label or default_label(look.root.name, ())
    plain.read(look)
    return look.tree(FOLDER), look.stamps


def default_label(name: str, taken: Collection[str]) -> str:
    """A label made of a program's or folder's name, which is none of `taken`: with a number, if need be.

    Letters, digits, points and hyphens only, since labels become part of names in prompts.
    """
    label = re.sub(r"[^\w.]+", "-", name).strip("-._")[:40] or "models"
    known = {each.casefold() for each in taken}
    number = 1
    numbered = label
    while numbered.casefold() in known:
        number += 1
        numbered = f"{label}-{number}"
    return numbered
