"""Tells the weights in what a pickle held from the rest, by the kind of model."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .refusal import AGAIN, RefusedError

WRAPPERS: Mapping[str, tuple[str, ...]] = {
    "checkpoint": ("state_dict",),
    "lora": ("state_dict",),
    "vae": ("state_dict",),
    "upscale": ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net"),
    "embedding": (),
}
"""Keys that training programs keep the weights under, the better one first, by kind of model."""
PREFIXES: Mapping[str, tuple[str, ...]] = {"upscale": ("module.", "netG.")}
"""Before every name where the network was trained on several cards, or beside another."""
TRAINING_ONLY: Mapping[str, tuple[str, ...]] = {"vae": ("loss.", "model_ema.")}
FIRST, SECOND, OLD_PARAMETERS, PARAMETERS = "clip_l", "clip_g", "string_to_param", "emb_params"
"""Embeddings: the vectors for SDXL's two text encoders; AUTOMATIC1111's key; its name in safetensors."""

MOST_NOTES, LONGEST_NOTE, LONGEST_NAME = 64, 500, 500
_LAYERS = 3
"""Wrappers within wrappers."""


@dataclass
class Contents:
    """`tensors`: the weights by name. `notes`: short texts and numbers beside them, as metadata."""

    tensors: dict[str, torch.Tensor]
    notes: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Names of what is not kept."""


def weights(loaded: object, kind: str) -> Contents:
    """The weights of a model of this kind, a key of `WRAPPERS`. Raises `RefusedError`."""
    found = Contents({})
    if not _is_dict(loaded):
        raise RefusedError(f"holds no list of named weights; {AGAIN}")
    inner = _unwrapped(loaded, kind, found)
    named = _embedding(inner, found) if kind == "embedding" else inner
    for name, value in named.items():
        _take(name, value, found, kind)
    prefix = next(
        (each for each in PREFIXES.get(kind, ()) if all(name.startswith(each) for name in found.tensors)), ""
    )
    found.tensors = {name.removeprefix(prefix): each for name, each in found.tensors.items()}
    if not found.tensors:
        raise RefusedError(f"holds no weights; {AGAIN}")
    for name, tensor in found.tensors.items():
        _check(name, tensor)
    return found


def _unwrapped(loaded: Any, kind: str, found: Contents) -> Any:
    for _ in range(_LAYERS):
        key = next((each for each in WRAPPERS[kind] if _is_dict(loaded.get(each))), None)
        if key is None:
            break
        for name, value in loaded.items():
            if name != key:
                _note(name, value, found)
        loaded = loaded[key]
    return loaded


def _embedding(loaded: Any, found: Contents) -> Mapping[Any, Any]:
    """An embedding's vectors under the names that safetensors files have them under."""
    inner = loaded
    if _is_dict(loaded.get(OLD_PARAMETERS)):
        inner = loaded[OLD_PARAMETERS]
        for name, value in loaded.items():
            if name not in (OLD_PARAMETERS, "string_to_token"):
                _note(name, value, found)
    tensors = {name: value for name, value in inner.items() if _is_tensor(value)}
    for name, value in inner.items():
        if name not in tensors:
            _note(name, value, found)
    if len(tensors) == 1 and not {FIRST, SECOND} & tensors.keys():
        return {PARAMETERS: next(iter(tensors.values()))}
    return tensors


def _take(name: Any, value: Any, found: Contents, kind: str) -> None:
    if not _is_tensor(value):
        _note(name, value, found)
    elif not isinstance(name, str) or name == "__metadata__" or not 0 < len(name) <= LONGEST_NAME:
        raise RefusedError(f"has weights under a name that is no usual text; {AGAIN}")
    elif name.startswith(TRAINING_ONLY.get(kind, ("\0",))):
        found.left_out.append(name)
    else:
        found.tensors[name] = value.detach()


def _note(name: Any, value: Any, found: Contents) -> None:
    """Keep what is short and plain, count the rest."""
    plain = type(value) in (str, int, float, bool) and len(str(value)) <= LONGEST_NOTE
    if type(name) is str and plain and len(name) <= LONGEST_NAME and len(found.notes) < MOST_NOTES:
        found.notes[_text(name)] = _text(str(value))
    else:
        found.left_out.append(name[:LONGEST_NAME] if type(name) is str else type(name).__name__)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _check(name: str, tensor: torch.Tensor) -> None:
    shown = _text(name)[:80]
    if _text(name) != name:
        raise RefusedError(f"has weights under a name that is no usual text; {AGAIN}")
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.device.type != "cpu":
        raise RefusedError(f"has weights of a special kind ({shown}), which safetensors cannot hold")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        raise RefusedError(
            f"has sparse, quantised or nested weights ({shown}), which safetensors cannot hold"
        )


def _is_dict(value: object) -> bool:
    return type(value) in (dict, OrderedDict, Counter)


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def shared(tensors: Mapping[str, torch.Tensor]) -> Iterator[str]:
    """Names of weights that lie where others lie already, so that each gets a copy of its own."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.numel() == 0:
            continue
        place = tensor.data_ptr()
        if place in seen:
            yield name
        seen.add(place)
