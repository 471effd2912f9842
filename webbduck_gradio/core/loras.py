"""LoRAs on a loaded checkpoint: loaded once, then only switched."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from typing import Any

from safetensors.torch import load_file

from ..errors import ModelError
from ..models.registry import Lora

log = logging.getLogger(__name__)

KEPT = 16
"""Adapters that stay attached though unused, so that going back to one costs nothing."""

Use = tuple[Lora, float]
_DOWN = re.compile(r"(lora_down|lora_A|lora\.down|lora_linear_layer\.down)(\.\w+)?\.weight$")


class Adapters:
    """The LoRAs of one pipeline. Without any in use, its pictures are to the bit those of the bare one."""

    def __init__(self, pipe: Any):
        self._pipe = pipe
        self._names: dict[tuple[str, float], str] = {}
        self._made = 0
        self.active: tuple[tuple[str, float], ...] = ()
        """(adapter, weight) of those in use."""

    def use(self, wanted: Sequence[Use]) -> None:
        """Exactly these LoRAs with these weights. Raises `ModelError` naming the one that does not fit."""
        for lora, _ in wanted:
            if _key(lora) not in self._names:
                self._load(lora)
        active = tuple((self._names[_key(lora)], weight) for lora, weight in wanted)
        if active != self.active:
            if active:
                self._pipe.enable_lora()
                self._pipe.set_adapters([name for name, _ in active], [weight for _, weight in active])
            else:
                self._pipe.disable_lora()
            self.active = active
        self._forget({_key(lora) for lora, _ in wanted})

    def _load(self, lora: Lora) -> None:
        self._made += 1
        name = f"lora{self._made}"
        try:
            weights = load_file(lora.path)
            with warnings.catch_warnings():
                # peft warns that there are several; that is what is meant.
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                self._pipe.load_lora_weights(weights, adapter_name=name)
            parts = sum(1 for key in weights if _DOWN.search(key))
            attached = self._attached(name)
        except Exception as error:
            log.exception("Loading %s failed", lora.path)
            self._drop(name)
            raise ModelError(
                f"The LoRA {lora.name} does not fit this checkpoint; choose one that was made for it."
            ) from error
        # load_lora_weights only logs what it leaves out; a LoRA that works in part is not what was asked.
        if attached != parts:
            self._drop(name)
            raise ModelError(
                f"The LoRA {lora.name} does not fit: {attached} of its {parts} parts are in this checkpoint."
            )
        self._names[_key(lora)] = name
        self.active = ()  # loading makes the new one the active one

    def _attached(self, name: str) -> int:
        models = (self._pipe.unet, self._pipe.text_encoder, self._pipe.text_encoder_2)
        ending = f".lora_A.{name}.weight"
        return sum(
            1
            for model in models
            if model is not None
            for key, _ in model.named_parameters()
            if key.endswith(ending)
        )

    def _drop(self, name: str) -> None:
        try:
            self._pipe.delete_adapters(name)
        except Exception:
            log.warning("Nothing of adapter %s was attached", name)
        self.active = (("", 0.0),)  # whatever is active now: set it anew at the next use

    def _forget(self, wanted: set[tuple[str, float]]) -> None:
        for key in [key for key in self._names if key not in wanted][: max(0, len(self._names) - KEPT)]:
            self._pipe.delete_adapters(self._names.pop(key))


def _key(lora: Lora) -> tuple[str, float]:
    return str(lora.path), lora.modified
