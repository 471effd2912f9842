"""The endpoints about other programs' folders of models, which the page's dialog uses as well.

A path that a client sends is looked for on this computer. Therefore it is taken only while the studio can be
reached from this computer alone; else folders are named when the studio is started.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from ..errors import RequestError
from ..models.foreign import layouts
from ..models.foreign.contents import counts
from ..models.foreign.folders import Tree
from ..services import Services
from .endpoints import endpoint

ONLY_AT_START = (
    "This studio can be opened from other computers, so its model folders are chosen when it is started: "
    "--models-from FOLDER, once for each folder."
)
LONGEST_PATH = 4096


class ModelFolderAnswer(TypedDict):
    """Another program's folder."""

    label: str
    """The first part of its models' names."""
    program: str
    path: str | None
    """None where the studio can be opened from other computers."""
    given: bool
    """Whether --models-from names it; it cannot be removed while the studio runs."""
    found: dict[str, int]
    """How many models it has by kind: checkpoint, lora, vae, embedding, upscale, detect, wildcards, styles,
    and controlnet, which is counted but not used."""
    problems: list[str]


@endpoint()
def model_folders(services: Services) -> list[ModelFolderAnswer]:
    """Folders of other programs whose models are used where they lie: `label`, the first part of their
    models' names, `program`, `path` (null where the studio can be opened from other computers), `given`
    (named by --models-from), `found`, how many models by kind, and `problems`, sentences about what cannot be
    read."""
    counted = services.registry.foreign_counts()
    return [
        _view(services, each, dict(counted.get(each.label, {}))) for each in services.registry.foreign.trees()
    ]


@endpoint()
def check_model_folder(services: Services, path: str) -> ModelFolderAnswer:
    """What /add_model_folder would add, without adding it; `found` is told by the names of the files."""
    tree = services.registry.foreign.check(_allowed(services, path))
    return _view(services, tree, dict(counts(tree)))


@endpoint()
def add_model_folder(services: Services, path: str, label: str = "") -> ModelFolderAnswer:
    """Use the models in the folder of another program (A1111, Forge, ComfyUI, Fooocus, InvokeAI, SwarmUI,
    StabilityMatrix) or in any folder. It is read only, now and after a restart, and its files stay as they
    are. label: the first part of its models' names; "" = after the program. Refused where the studio can be
    opened from other computers."""
    asked = _allowed(services, path)
    if not isinstance(label, str):
        raise RequestError("label must be a text.")
    tree = services.registry.foreign.add(asked, label)
    services.registry.refresh()
    return _view(services, tree, dict(services.registry.foreign_counts().get(tree.label, {})))


@endpoint()
def remove_model_folder(services: Services, label: str) -> list[ModelFolderAnswer]:
    """No longer use a folder that was added; its files stay. Returns the folders that are left. Refused for
    one that --models-from names, and where the studio can be opened from other computers."""
    _check_allowed(services)
    if not isinstance(label, str):
        raise RequestError("label must be a text.")
    services.registry.foreign.remove(label)
    services.registry.refresh()
    return model_folders(services)


def suggestions(services: Services) -> list[str]:
    """Paths of folders that look like another program's, in the places where they usually lie, without those
    that are used; none where the studio can be opened from other computers."""
    if not services.settings.is_loopback_only:
        return []
    used = {each.root for each in services.registry.foreign.trees()}
    return [
        str(each) for each in getattr(layouts, "likely_trees", lambda _: [])(Path.home()) if each not in used
    ]


def _check_allowed(services: Services) -> None:
    if not services.settings.is_loopback_only:
        raise RequestError(ONLY_AT_START)


def _allowed(services: Services, path: object) -> str:
    """The path that a client sent. Raises `RequestError`."""
    _check_allowed(services)
    if not isinstance(path, str) or len(path) > LONGEST_PATH:
        raise RequestError("path must be the path of a folder.")
    return path


def _view(services: Services, tree: Tree, found: dict[str, int]) -> ModelFolderAnswer:
    told = services.settings.is_loopback_only
    return {
        "label": tree.label,
        "program": tree.program,
        "path": str(tree.root) if told else None,
        "given": tree.label in services.registry.foreign.given,
        "found": found,
        "problems": list(tree.problems),
    }
