"""LoRAs on a loaded checkpoint: attached once, then switched on and off.

peft's layers apply them; this module decides which weights go into which layer. Alpha is kept beside the
weights: multiplied into them in half precision, small values would round to zero.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from ..errors import ModelError
from ..models.catalog.registry import Lora
from .load_errors import translated_load_errors
from .lora_weights import PARTS, Addition, Place, additions, base_of

MAX_IDLE_ADAPTERS = 16
"""Inactive adapters that stay attached, so that using one again needs no loading."""

Use = tuple[Lora, float]
Key = tuple[str, str]
"""(path, stamp): a file that changed on disk is loaded again."""


class LoraAdapters:
    """The LoRAs of one pipeline. With none active, images are bit-identical to those of the bare pipeline."""

    def __init__(self, pipe: Any):
        self._pipe = pipe
        self._names: dict[Key, str] = {}
        self._count = 0
        self.active: tuple[tuple[str, float], ...] = ()
        """(adapter name, weight) of the active LoRAs."""

    def differ(self, wanted: Sequence[Use]) -> bool:
        """Whether other LoRAs, or weights, are active."""
        return tuple((self._names.get(_key(lora)), weight) for lora, weight in wanted) != self.active

    def activate(self, wanted: Sequence[Use]) -> None:
        """Make exactly these LoRAs active, with these weights.

        Raises `ModelError` naming a LoRA that is incompatible or cannot be read, and `OutOfMemoryError`.
        """
        for lora, _ in wanted:
            if _key(lora) not in self._names:
                self._load(lora)
        active = tuple((self._names[_key(lora)], weight) for lora, weight in wanted)
        if active != self.active:
            self._activate(active)
        self._evict({_key(lora) for lora, _ in wanted})

    def _activate(self, active: tuple[tuple[str, float], ...]) -> None:
        for layer in self._layers():
            if not active:
                layer.enable_adapters(False)
                continue
            layer.enable_adapters(True)
            layer.set_adapter([name for name, _ in active], inference_mode=True)
            for name, weight in active:
                layer.set_scale(name, weight)
        self.active = active

    def _load(self, lora: Lora) -> None:
        self._count += 1
        name = f"lora{self._count}"
        self.active = (("", 0.0),)  # matches nothing, so that `activate` sets the adapters again
        is_loaded = False
        try:
            with translated_load_errors(
                f"The LoRA {lora.name}",
                lora.path,
                f"The LoRA {lora.name} could not be loaded; get it again, or choose another.",
            ):
                added = additions(self._pipe, lora)
                self._attach(name, lora, added)
                self._check(name, lora, added)
            is_loaded = True
        finally:
            if not is_loaded:
                self._drop(name)
        self._names[_key(lora)] = name

    def _attach(self, name: str, lora: Lora, added: dict[Place, Addition]) -> None:
        for part in PARTS:
            modules = [module for place, module in added if place == part]
            if not modules:
                continue
            model = getattr(self._pipe, part)
            config = LoraConfig(r=1, target_modules=modules, init_lora_weights=False, inference_mode=True)
            with warnings.catch_warnings():
                # peft warns about several adapters, which are intended here.
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                # On the meta device: `_fill` replaces the weights by the file's.
                inject_adapter_in_model(
                    config,
                    model,
                    adapter_name=name,
                    low_cpu_mem_usage=True,
                    state_dict={f"{module}.lora_A.weight": torch.empty(0) for module in modules},
                )
            for module in modules:
                _fill(model.get_submodule(module), name, lora, added[part, module])

    def _check(self, name: str, lora: Lora, added: dict[Place, Addition]) -> None:
        """Raises `ModelError` if any weights were not attached, or if none has an effect."""
        halves: list[tuple[float, Any, Any]] = [
            (layer.scaling[name], layer.lora_A[name].weight, layer.lora_B[name].weight)
            for layer in self._layers()
            if name in layer.lora_A
        ]
        ready = sum(not (down.is_meta or up.is_meta) for _, down, up in halves)
        if ready != len(halves) or ready != len(added):
            raise ModelError(
                f"The LoRA {lora.name} could be applied to only {ready} of the {len(added)} modules that it "
                "changes; get it again, or choose another."
            )
        if not any(scale and down.any() and up.any() for scale, down, up in halves):
            raise ModelError(
                f"The LoRA {lora.name} has no effect: its weights or alphas are all zero; choose another."
            )

    def _layers(self) -> Iterator[LoraLayer]:
        for part in PARTS:
            model = getattr(self._pipe, part, None)
            for module in model.modules() if model is not None else ():
                if isinstance(module, LoraLayer):
                    yield module

    def _drop(self, name: str) -> None:
        for layer in self._layers():
            others = [each for each in layer.active_adapters if each != name]
            layer.set_adapter(others, inference_mode=True)
            layer.delete_adapter(name)
        for part in PARTS:
            getattr(getattr(self._pipe, part, None), "peft_config", {}).pop(name, None)

    def _evict(self, wanted: set[Key]) -> None:
        for key in [key for key in self._names if key not in wanted][
            : max(0, len(self._names) - MAX_IDLE_ADAPTERS)
        ]:
            self._drop(self._names.pop(key))


def _fill(layer: Any, name: str, lora: Lora, addition: Addition) -> None:
    """Give a layer the weights of a file, converted to the layer's device and precision."""
    own: Any = base_of(layer).weight
    for half, value in ((layer.lora_A[name], addition.down), (layer.lora_B[name], addition.up)):
        exact = value.to(own.dtype)
        if not torch.isfinite(exact).all():
            dtype = str(own.dtype).removeprefix("torch.")
            raise ModelError(
                f"The LoRA {lora.name} contains NaN or infinity in {dtype}; get it again, or start the "
                "studio with --precision float32."
            )
        half.weight = torch.nn.Parameter(exact.to(own.device), requires_grad=False)
    rank = addition.down.shape[0]
    layer.r[name], layer.lora_alpha[name] = rank, addition.scale * rank
    layer.set_scale(name, 1)


def _key(lora: Lora) -> Key:
    return str(lora.path), lora.stamp
