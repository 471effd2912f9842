"""Which program laid out a folder, and where its models lie.

A program is told by files that only it has, not by the name of its folder: people rename these.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from . import a1111, comfyui, fooocus, invokeai, plain, stability_matrix, swarmui
from .folders import Tree
from .likely import likely_places
from .reading import Reading

log = logging.getLogger(__name__)

FOLDER = "folder"
"""What `Tree.program` says where no program is recognised."""
PROGRAMS: tuple[tuple[Callable[[Reading], str | None], Callable[[Reading], None]], ...] = (
    (swarmui.recognised, swarmui.read),
    (invokeai.recognised, invokeai.read),
    (fooocus.recognised, fooocus.read),
    (comfyui.recognised, comfyui.read),
    (a1111.recognised, a1111.read),
)
"""(its name, if it is this one; reads it), in the order in which they are tried."""
INNER = ("ComfyUI", "webui", "Fooocus", "SwarmUI", "invokeai", "stable-diffusion-webui")
"""Where the program lies in what people unpack."""


def read_tree(root: Path, label: str = "") -> Tree:
    """What lies where in a program's folder, or in the folders that a YAML file of ComfyUI's kind names.

    `label`: "" = one made of the program's name. Never raises; what cannot be read is among the tree's
    problems.
    """
    return read(root, label)[0]


def read(root: Path, label: str = "") -> tuple[Tree, dict[Path, str]]:
    """`read_tree`, and the stamps of all that was looked at."""
    look = Reading(Path(os.path.abspath(root)))
    try:
        program = _read(look)
    except Exception:  # whatever is in another program's folder, the studio starts
        log.exception("%s could not be read", root)
        look.problem(f"{look.shown(look.root)} could not be read further; the log has the details.")
        program = None
    look.label = label or default_label(program or look.root.name, ())
    return look.tree(program or FOLDER), look.stamps


def _read(look: Reading) -> str | None:
    """Read what lies at the root, and say whose it is."""
    if look.root.suffix.casefold() in (".yaml", ".yml") and look.is_file(look.root):
        comfyui.read_yaml_alone(look, look.root)
        return "ComfyUI"
    if not look.is_folder(look.root):
        look.problem(f"{look.shown(look.root)} is not there.")
        return None
    program = _matrix(look) or _program(look)
    if program is None:
        plain.read(look)
    return program


def _matrix(look: Reading) -> str | None:
    """StabilityMatrix, with the programs that it installed; most of their folders are links to its own."""
    program = stability_matrix.recognised(look)
    if program is not None:
        stability_matrix.read(look)
        root = look.root
        for package in list(stability_matrix.packages(look)):
            look.root = package
            _program(look)
        look.root = root
    return program


def _program(look: Reading, read: bool = True) -> str | None:
    """Which program's folder this is, or has it inside, which is read; None if it is no program's."""
    asked = look.root
    try:
        for way in ("", *INNER):
            inner = look.below(asked, way) if way else asked
            if inner is not None and look.is_folder(inner):
                look.root = inner
                for recognised, read_program in PROGRAMS:
                    if (program := recognised(look)) is not None:
                        if read:
                            read_program(look)
                        return program
        return None
    finally:
        look.root = asked


def likely_trees(home: Path) -> list[Path]:
    """Folders of programs that lie where people usually keep them; `home`: a person's own folder.

    Cheap: no folder is searched to its depths.
    """
    found: dict[str, Path] = {}
    for place in likely_places(home):
        look = Reading(place)
        if look.is_folder(place) and (stability_matrix.recognised(look) or _program(look, read=False)):
            found.setdefault(os.path.realpath(place), place)
    return list(found.values())


def default_label(name: str, taken: Collection[str]) -> str:
    """A label made of a program's or folder's name, which is none of `taken`: with a number, if need be.

    Letters, digits, points, hyphens and underscores only, since labels become part of names in prompts.
    """
    label = re.sub(r"[^\w.]+", "-", name).strip("-._")[:40] or "models"
    known = {each.casefold() for each in taken}
    number = 1
    numbered = label
    while numbered.casefold() in known:
        number += 1
        numbered = f"{label}-{number}"
    return numbered
