"""The endpoints about other programs' folders of models, which the page's dialog uses as well.

A path that a client sends is looked for on this computer. Therefore it is taken only while the studio can be
reached from this computer alone; else folders are named when the studio is started.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from ..errors import RequestError
from ..models.catalog.registry import Registry
from ..models.foreign.contents import counts
from ..models.foreign.folders import Kind, Tree
from ..models.foreign.layouts import likely_trees
from ..services import Services
from .endpoints import endpoint

ONLY_AT_START = (
    "This studio can be opened from other computers, so its model folders are chosen when it is started: "
    "--models-from FOLDER, once for each folder."
)
PROBLEMS = "Some of it cannot be read; the studio's log says what."
"""Stands for sentences that may hold paths."""
LONGEST_PATH = 4096


class ModelFolderAnswer(TypedDict):
    """Another program's folder."""

    label: str
    """The first part of its models' names."""
    program: str
    folder: str | None
    """Its path; None where the studio can be opened from other computers."""
    given: bool
    """Whether --models-from names it; it cannot be removed while the studio runs."""
    found: dict[str, int]
    """How many models it has by kind: checkpoint, lora, vae, embedding, upscale, detect, wildcards, styles,
    and controlnet, which is counted but not used."""
    unusable: int | None
    """How many of those that are used cannot be used here; None before it is added."""
    problems: list[str]


@endpoint()
def model_folders(services: Services) -> list[ModelFolderAnswer]:
    """Folders of other programs whose models are used where they lie: `label`, the first part of their
    models' names, `program`, `folder`, its path (null where the studio can be opened from other computers),
    `given` (named by --models-from), `found`, how many models by kind, `unusable`, how many of these cannot
    be used here, and `problems`, sentences about what cannot be read."""
    listed = _listed(services.registry)
    return [_added(services, each, listed) for each in services.registry.foreign.trees()]


@endpoint()
def check_model_folder(services: Services, path: str) -> ModelFolderAnswer:
    """What /add_model_folder would add, without adding it; `found` is told by the names of the files."""
    tree = services.registry.foreign.check(_allowed(services, path))
    return _view(services, tree, counts(tree.folders), None)


@endpoint()
def add_model_folder(services: Services, path: str, label: str = "") -> ModelFolderAnswer:
    """Use the models in the folder of another program (A1111, Forge, SD.Next, ComfyUI, Fooocus, InvokeAI,
    SwarmUI, Stability Matrix) or in any folder. It is read only, now and after a restart, and its files stay
    as they are. label: the first part of its models' names, refused if it is taken; "" = after the program.
    Refused where the studio can be opened from other computers."""
    asked = _allowed(services, path)
    if not isinstance(label, str):
        raise RequestError("label must be a text.")
    tree = services.registry.foreign.add(asked, label)
    services.registry.refresh()
    return _added(services, tree, _listed(services.registry))


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
    likely = likely_trees(Path.home())
    return [str(each) for each in likely if each not in used]


def _check_allowed(services: Services) -> None:
    if not services.settings.is_loopback_only:
        raise RequestError(ONLY_AT_START)


def _allowed(services: Services, path: object) -> str:
    """The path that a client sent. Raises `RequestError`."""
    _check_allowed(services)
    if not isinstance(path, str) or len(path) > LONGEST_PATH:
        raise RequestError("path must be the path of a folder.")
    return path


def _listed(registry: Registry) -> Mapping[str, list[tuple[str, bool]]]:
    """The models of each label in the catalog, as (kind, whether it can be used)."""
    kinds: dict[Kind, Iterable[Any]] = {
        "checkpoint": registry.checkpoints(),
        "lora": registry.loras(),
        "vae": registry.vaes(),
        "embedding": registry.embeddings(),
        "upscale": registry.upscalers(),
        "detect": registry.detectors(),
        "wildcards": registry.wildcards(),
        "styles": registry.styles.styles(),
    }
    listed: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for kind, models in kinds.items():
        for each in models:
            listed[each.origin].append((kind, each.unusable is None))
    return listed


def _added(services: Services, tree: Tree, listed: Mapping[str, list[tuple[str, bool]]]) -> ModelFolderAnswer:
    models = listed.get(tree.label, [])
    found = dict(Counter(kind for kind, _ in models))
    found |= counts(each for each in tree.folders if each.kind == "controlnet")
    return _view(services, tree, found, sum(not usable for _, usable in models))


def _view(services: Services, tree: Tree, found: dict[str, int], unusable: int | None) -> ModelFolderAnswer:
    told = services.settings.is_loopback_only
    return {
        "label": tree.label,
        "program": tree.program,
        "folder": str(tree.root) if told else None,
        "given": tree.label in services.registry.foreign.given,
        "found": found,
        "unusable": unusable,
        "problems": list(tree.problems) if told else [PROBLEMS][: len(tree.problems)],
    }
