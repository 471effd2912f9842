"""Detectors: models that find regions of a picture, such as faces, which are then drawn again in detail.

Three kinds: YOLO v8 and v11 as ONNX files (onnxruntime runs them), folders in the layout of transformers, and
the starter detector's own format. Only headers are read here.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from ..errors import ModelError, UnreadableModelError
from ..settings import Settings
from .foreign.candidates import foreign_candidates
from .foreign.folders import ModelFolder
from .listing import bundled_last, model_folders
from .probe.checkpoint import read_json, weight_files
from .probe.onnx_header import OnnxHeader, read_onnx
from .probe.safetensors_header import PICKLE_ENDINGS, read_header
from .scan import ENDINGS, Folders, Unread, candidates, stamp_of

Kind = Literal["onnx", "folder", "starter"]

ARCHITECTURE = "centre-detector"
"""How the starter detector's format names itself in a file's metadata."""
MAX_CLASSES = 10_000
NEEDS_ONNXRUNTIME = (
    f"ONNX detectors need a package; add it with `{sys.executable} -m pip install onnxruntime==1.32.0`."
)
TO_CONVERT = (
    "is a pickle file, which could run arbitrary code when loaded; convert it with "
    "`yolo export model={} format=onnx` (package ultralytics) and put the .onnx file here"
)
SOFTMAX = frozenset({"detr", "yolos", "table-transformer"})
"""Architectures (`model_type`) whose last class means that there is nothing."""
SIGMOID = frozenset(
    {
        "conditional_detr", "d_fine", "dab-detr", "deformable_detr", "deimv2", "lw_detr", "rf_detr",
        "rt_detr", "rt_detr_v2",
    }
)  # fmt: skip
"""Architectures that score each class by itself."""
MASK_CHANNELS = 32
"""Coefficients of a mask in YOLO's segment layout."""
_ENTRY = re.compile(r"\s*\{.*\}\s*\Z", re.DOTALL)
_FLOAT32, _FLOAT16 = 1, 10


@dataclass(frozen=True)
class Detector:
    """`classes`: what it finds. `unusable`: the reason in one sentence, None when it can be used."""

    name: str
    path: Path
    kind: Kind
    size_bytes: int
    stamp: str
    classes: tuple[str, ...]
    unusable: str | None
    finds_masks: bool = False
    """Whether it finds the outline of a region, and not its box alone."""
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""


def find_detectors(
    settings: Settings, known: Folders, foreign: Sequence[ModelFolder] = ()
) -> tuple[Detector, ...]:
    """Files and folders in `checkpoint/detect`, the bundled one last, then files of other programs' folders.
    What cannot be read is noted in `known`."""
    root = settings.checkpoints / "detect"
    folders = model_folders(root, known)
    found = [_from_folder(name, folder, known) for name, folder in folders.items()]
    endings = ENDINGS | {".onnx"}
    own = candidates(root, folders=False, known=known, endings=endings)
    for each in own + foreign_candidates(foreign, own, known, endings=endings):
        if not any(each.path.is_relative_to(folder) for folder in folders.values()):
            detector = _from_file(each.name, each.path, each.size, each.stamp, known)
            found.append(replace(detector, origin=each.origin))
    return bundled_last(sorted(found, key=lambda each: each.name))


def _from_file(name: str, path: Path, size: int, stamp: str, known: Folders) -> Detector:
    ending = path.suffix.lower()
    kind: Kind = "onnx" if ending == ".onnx" else "starter"
    classes: tuple[str, ...] = ()
    finds_masks, reason = False, None
    try:
        if ending in PICKLE_ENDINGS:
            raise ModelError(f"{path.name} {TO_CONVERT.format(path.name)}.")
        if kind == "onnx":
            header = read_onnx(path)
            classes, finds_masks = _check_yolo(path, header)
            if not has_onnxruntime():
                reason = NEEDS_ONNXRUNTIME
        else:
            classes = _starter_classes(path, read_header(path).metadata)
    except UnreadableModelError as error:
        known.unread.append(Unread(path, f"cannot be read ({error.why})"))
        reason = str(error)
    except ModelError as error:
        reason = str(error)
    return Detector(name, path, kind, size, stamp, classes, reason, finds_masks)


def has_onnxruntime() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


# -- ONNX ----------------------------------------------------------------------------------------------------


def _check_yolo(path: Path, header: OnnxHeader) -> tuple[tuple[str, ...], bool]:
    """The classes of a YOLO file, and whether it finds masks. Raises `ModelError` where it is none, or where
    its weights lie outside its folder."""
    name = path.name
    for location in header.external:
        if not _is_inside(path.parent, location):
            raise ModelError(f"{name} asks for a file outside its folder; export it again as one file.")
        if not (path.parent / location).is_file():
            raise ModelError(f"{name} needs {PurePosixPath(location).name} beside it; copy that file too.")
    no_yolo = ModelError(
        f"{name} is not laid out like YOLO v8 or v11 (detect or segment); export one of these with "
        "`yolo export format=onnx`."
    )
    if len(header.inputs) != 1 or header.inputs[0].kind not in (_FLOAT32, _FLOAT16):
        raise no_yolo
    shape = header.inputs[0].shape
    ranks = [len(each.shape) for each in header.outputs]
    if (
        len(shape) != 4
        or shape[0] not in (1, None)
        or shape[1] not in (3, None)
        or ranks not in ([3], [3, 4])
    ):
        raise no_yolo
    masks = MASK_CHANNELS if len(ranks) == 2 else 0
    rows = header.outputs[0].shape[1]
    names = class_names(header.metadata.get("names", ""))
    if rows is not None:
        count = rows - 4 - masks
        if count < 1 or (names and len(names) != count):
            raise no_yolo
        names = names or tuple(f"class {number}" for number in range(count))
    if not names:
        raise no_yolo
    return names, bool(masks)


def _is_inside(folder: Path, location: str) -> bool:
    """Whether a file named by an ONNX file lies in its folder, also after links are followed."""
    parts = PurePosixPath(location), PureWindowsPath(location)
    if not location or any(each.is_absolute() or ".." in each.parts or each.drive for each in parts):
        return False
    return (folder / location).resolve().is_relative_to(folder.resolve())


def class_names(text: str) -> tuple[str, ...]:
    """The class names of `yolo export`: a dict of Python or JSON, by number from 0; () where it is none."""
    if len(text) > 2**20 or not _ENTRY.match(text):
        return ()
    try:
        named: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        try:
            named = json.loads(text)
        except (ValueError, RecursionError):
            return ()
    if not isinstance(named, dict) or not 0 < len(named) <= MAX_CLASSES:
        return ()
    by_number = {str(number): str(name)[:100] for number, name in named.items()}
    numbers = [str(number) for number in range(len(by_number))]
    return tuple(by_number[each] for each in numbers) if set(numbers) == set(by_number) else ()


# -- the others ----------------------------------------------------------------------------------------------


def _starter_classes(path: Path, metadata: Mapping[str, str]) -> tuple[str, ...]:
    if metadata.get("architecture") != ARCHITECTURE:
        raise ModelError(
            f"{path.name} is no detector that can be used; take YOLO v8 or v11 as .onnx, or a folder in the "
            "layout of transformers."
        )
    try:
        names = json.loads(metadata.get("names", ""))
        side = int(metadata.get("imgsz", ""))
    except (ValueError, RecursionError):
        names, side = None, 0
    if (
        not isinstance(names, list)
        or not all(isinstance(each, str) for each in names)
        or side % 32
        or side < 32
    ):
        raise ModelError(f"{path.name} does not say what it finds; get the file again.")
    return tuple(names)


def _from_folder(name: str, folder: Path, known: Folders) -> Detector:
    classes: tuple[str, ...] = ()
    reason, size = None, 0
    stamp = stamp_of(folder / "config.json")
    try:
        config = read_json(folder / "config.json", name)
        files = weight_files(folder)
        size = sum(file.stat().st_size for file in files)
        stamp = "+".join([stamp, *map(stamp_of, files)])
        classes = _folder_classes(name, config)
        if not files:
            raise ModelError(f"{name} has no safetensors weights; get that version of the model.")
        for file in files:
            read_header(file)
    except UnreadableModelError as error:
        known.unread.append(Unread(folder, f"cannot be read ({error.why})"))
        reason = str(error)
    except (ModelError, OSError) as error:
        reason = str(error) if isinstance(error, ModelError) else f"{name} cannot be read; copy it again."
    return Detector(name, folder, "folder", size, stamp, classes, reason)


def _folder_classes(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    kind = config.get("model_type")
    if kind not in SOFTMAX | SIGMOID:
        raise ModelError(
            f"{name} is no detector that can be used; take one of {', '.join(sorted(SOFTMAX | SIGMOID))}, or "
            "YOLO v8 or v11 as .onnx."
        )
    labels = config.get("id2label")
    names = class_names(json.dumps(labels)) if isinstance(labels, dict) else ()
    if not names:
        raise ModelError(f"{name} does not say what it finds (id2label in config.json); copy it again.")
    return names
