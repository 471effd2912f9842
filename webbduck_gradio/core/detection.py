"""Finds regions of a picture with a detector: boxes, class names, confidences and, where it knows them,
outlines.

Detectors are small and always run on the CPU, so that what they find does not depend on the graphics card.
"""

from __future__ import annotations

import ast
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file

from ..errors import GenerationError, ModelError, WebbDuckError
from ..models.detectors import MASK_CHANNELS, NEEDS_ONNXRUNTIME, SOFTMAX, Detector
from ..models.probe.checkpoint import read_json
from ..models.probe.onnx_header import read_onnx
from ..models.probe.safetensors_header import read_header
from . import centre_detector, devices, yolo
from .load_errors import translated_load_errors

log = logging.getLogger(__name__)

INPUT_SIDE = 640
"""Side of the input of YOLO files that do not say their own, in pixels."""
LARGEST_SIDE = 2048
STRIDE = 32
MAX_LOADED = 3
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, with which nearly all models of transformers normalise."""


@dataclass(frozen=True)
class Region:
    """A region of a picture. `box`: left, top, right, bottom in its pixels; `confidence` in 0..1; `mask`: its
    outline (L, of the picture's size, 255 inside), None where the detector knows boxes only."""

    name: str
    confidence: float
    box: tuple[float, float, float, float]
    mask: Image.Image | None = None

    def told(self) -> dict[str, Any]:
        """As JSON: `class`, `confidence`, `box`."""
        box = [round(side, 1) for side in self.box]
        return {"class": self.name, "confidence": round(self.confidence, 4), "box": box}


Run = Callable[[Image.Image, float], list[Region]]
"""A loaded detector: the regions of an RGB picture from a confidence on, the most confident first."""


class Detectors:
    """Loaded detectors, of which the last few stay in memory. Not thread-safe."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Run] = {}

    def find(self, image: Image.Image, detector: Detector, confidence: float) -> list[Region]:
        """The regions of a picture, the most confident first.

        Raises `ModelError` and `GenerationError`, and torch's out-of-memory errors.
        """
        key = str(detector.path), detector.stamp
        try:
            run = self._loaded.pop(key, None) or LOADERS[detector.kind](detector)
            self._loaded[key] = run
            for old in list(self._loaded)[:-MAX_LOADED]:
                del self._loaded[old]
            return run(image.convert("RGB"), confidence)
        except WebbDuckError:
            raise
        except Exception as error:  # onnxruntime has no errors of its own
            if devices.is_out_of_memory(error):
                raise
            log.exception("Detecting with %s failed", detector.name)
            raise GenerationError(
                f"{detector.name} could not be used ({type(error).__name__}); the log has the details."
            ) from error

    def free(self) -> None:
        self._loaded.clear()


def _regions(
    detector: Detector, found: yolo.Found, place: yolo.Letterbox, prototypes: yolo.Floats | None = None
) -> list[Region]:
    boxes = place.to_picture(found.boxes)
    regions = []
    for number, box in enumerate(boxes):
        if box[2] <= box[0] or box[3] <= box[1]:  # in the border alone
            continue
        mask = None
        if prototypes is not None:
            mask = yolo.mask_of(found.coefficients[number], prototypes, box, place)
            if mask.getbbox() is None:
                mask = None
        left, top, right, bottom = (float(side) for side in box)
        name, score = detector.classes[int(found.classes[number])], float(found.scores[number])
        regions.append(Region(name, score, (left, top, right, bottom), mask))
    return regions


# -- the starter's format ------------------------------------------------------------------------------------


def _starter(detector: Detector) -> Run:
    with translated_load_errors(
        detector.name, detector.path, f"{detector.name} is damaged; get the file again."
    ):
        side = int(read_header(detector.path).metadata["imgsz"])
        network = centre_detector.from_state(load_file(detector.path))

    def run(image: Image.Image, confidence: float) -> list[Region]:
        pixels, place = yolo.letterbox(image, side, side)
        with torch.no_grad():
            output = network(torch.from_numpy(pixels)).numpy()
        return _regions(detector, yolo.decode(output, len(detector.classes), confidence), place)

    return run


# -- ONNX ----------------------------------------------------------------------------------------------------


def _onnx(detector: Detector) -> Run:
    try:
        import onnxruntime
    except ImportError:
        raise ModelError(NEEDS_ONNXRUNTIME) from None

    header = read_onnx(detector.path)
    width, height = _input_size(header.inputs[0].shape, header.metadata)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(detector.path), options, providers=["CPUExecutionProvider"])
    kind = numpy.float16 if session.get_inputs()[0].type == "tensor(float16)" else numpy.float32
    name = session.get_inputs()[0].name

    def run(image: Image.Image, confidence: float) -> list[Region]:
        pixels, place = yolo.letterbox(image, width, height)
        outputs = session.run(None, {name: pixels.astype(kind)})
        rows = 4 + len(detector.classes) + (MASK_CHANNELS if detector.finds_masks else 0)
        if outputs[0].ndim != 3 or outputs[0].shape[1] != rows:
            raise ModelError(f"{detector.name} names other classes than it finds; export it again.")
        found = yolo.decode(outputs[0], len(detector.classes), confidence)
        prototypes = outputs[1][0].astype(numpy.float32) if detector.finds_masks else None
        return _regions(detector, found, place, prototypes)

    return run


def _input_size(shape: tuple[int | None, ...], metadata: dict[str, str]) -> tuple[int, int]:
    """(width, height) of a YOLO file's input: fixed by the file, else what it was trained with ("imgsz")."""
    said: Any = None
    with contextlib.suppress(ValueError, SyntaxError):
        said = ast.literal_eval(metadata.get("imgsz", "")[:100])
    said = [said, said] if isinstance(said, int) else said
    if not isinstance(said, list) or len(said) != 2 or not all(isinstance(each, int) for each in said):
        said = [INPUT_SIDE, INPUT_SIDE]
    height, width = (
        fixed or min(max(STRIDE, side), LARGEST_SIDE) // STRIDE * STRIDE
        for fixed, side in zip(shape[2:], said, strict=True)
    )
    return width, height


# -- transformers --------------------------------------------------------------------------------------------


def _folder(detector: Detector) -> Run:
    from transformers import AutoModelForObjectDetection
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = read_json(detector.path / "config.json", detector.name)
    has_nothing = config.get("model_type") in SOFTMAX
    prepare = _preprocessor(detector)
    with translated_load_errors(
        detector.name,
        detector.path,
        f"{detector.name} is not a supported detector; choose another one.",
    ):
        model: Any = AutoModelForObjectDetection.from_pretrained(
            detector.path, local_files_only=True, dtype=torch.float32, use_safetensors=True
        ).eval()

    def run(image: Image.Image, confidence: float) -> list[Region]:
        with torch.no_grad():
            answer = model(pixel_values=torch.from_numpy(prepare(image)))
        logits = answer.logits[0].float()
        shares = logits.softmax(-1)[:, :-1] if has_nothing else logits.sigmoid()
        boxes = answer.pred_boxes[0].float() * torch.tensor([*image.size, *image.size])
        # As one output of YOLO: centre and size in pixels, then the classes.
        output = torch.cat([boxes, shares[:, : len(detector.classes)]], dim=1).T[None].numpy()
        place = yolo.Letterbox(image.size, image.size, image.size, 0, 0)
        return _regions(detector, yolo.decode(output, len(detector.classes), confidence), place)

    return run


def _preprocessor(detector: Detector) -> Callable[[Image.Image], yolo.Floats]:
    """What a folder's preprocessor_config.json says. transformers' own way needs torchvision."""
    path = detector.path / "preprocessor_config.json"
    said = read_json(path, detector.name) if path.is_file() else {}
    mean, deviation = said.get("image_mean") or MEAN, said.get("image_std") or DEVIATION
    size = said.get("size")

    def prepare(image: Image.Image) -> yolo.Floats:
        if said.get("do_resize", True):
            resample = Image.Resampling(said.get("resample", Image.Resampling.BILINEAR))
            image = image.resize(_resized(image.size, size), resample)
        values = numpy.asarray(image, dtype=numpy.float32)
        if said.get("do_rescale", True):
            values = values * numpy.float32(said.get("rescale_factor", 1 / 255))
        if said.get("do_normalize", True):
            values = (values - numpy.array(mean)) / numpy.array(deviation)
        return numpy.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=numpy.float32)

    return prepare


def _resized(size: tuple[int, int], said: Any) -> tuple[int, int]:
    """(width, height) of the input, by the ways in which transformers writes it."""
    width, height = size
    said = said if isinstance(said, dict) else {"shortest_edge": 800, "longest_edge": 1333}
    if "height" in said and "width" in said:
        return int(said["width"]), int(said["height"])
    if "max_height" in said and "max_width" in said:
        scale = min(said["max_width"] / width, said["max_height"] / height)
    else:
        shortest, longest = said.get("shortest_edge", 800), said.get("longest_edge", 1333)
        scale = min(shortest / min(size), longest / max(size))
    return max(1, int(width * scale)), max(1, int(height * scale))


LOADERS: dict[str, Callable[[Detector], Run]] = {"starter": _starter, "onnx": _onnx, "folder": _folder}
"""By the kind of detector."""
