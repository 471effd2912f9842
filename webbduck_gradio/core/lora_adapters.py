"""LoRAs on a loaded checkpoint: added to its weights, and removed by putting its own weights back.

In layers of their own, as peft has them, LoRAs cost each step two more products in up to 1,000 modules. Added
to the weights they cost a step nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ModelError, OutOfMemoryError
from ..models.catalog.registry import Lora
from ..models.lora_uses import LoraUse, block_of
from . import devices
from .cards import GIB
from .load_errors import translated_load_errors
from .lora_kinds import Change
from .lora_weights import Place, changes_of

MAX_IDLE_ADAPTERS = 16
"""LoRAs that stay in main memory while none of them is active, so that using one again needs no loading."""

Key = tuple[str, str]
"""(path, stamp): a file that changed on disk is loaded again."""
Recipe = tuple[tuple[Key, float], ...]
"""The LoRAs that are added to a parameter, and how often each."""
Pristine = Callable[[str, str], torch.Tensor]
"""(model of the pipeline, dotted name of a parameter in it) -> the checkpoint's own values, on the CPU."""


@dataclass(frozen=True)
class _Merged:
    """A parameter that has LoRAs in it."""

    pristine: torch.Tensor
    recipe: Recipe


class LoraAdapters:
    """The LoRAs of one pipeline.

    With none active, all weights are the checkpoint's own to the bit; on the CPU they are the same tensors as
    before, so that what was mapped from a file is mapped again. With some active, a parameter is its own
    value plus the LoRAs', added in float32 and rounded once, whatever was active before.
    """

    def __init__(self, pipe: Any, device: torch.device | None = None, pristine: Pristine | None = None):
        """`device`: where new weights are computed; None = where the old ones are. `pristine`: the
        checkpoint's own weights; None = they are kept here while they are replaced; of those on another
        device than the CPU, a copy in main memory, which stays."""
        self._pipe, self._device, self._pristine = pipe, device, pristine
        self._copies: dict[Place, torch.Tensor] = {}
        self._changes: dict[Key, dict[Place, Change]] = {}  # ordered from least to most recently used
        self._merged: dict[Place, _Merged] = {}
        self.active: tuple[tuple[str, float], ...] = ()
        """(name, weight) of the active LoRAs."""
        self._keys: tuple[Any, ...] | None = ()
        """`LoraUse.key` of each; None after an error."""

    def differ(self, wanted: Sequence[LoraUse]) -> bool:
        """Whether other LoRAs, or weights, are active."""
        return tuple(use.key for use in wanted) != self._keys

    def activate(self, wanted: Sequence[LoraUse], check: Callable[[], None] = lambda: None) -> None:
        """Make exactly these LoRAs active, with these weights, in whatever order. `check` is called between
        parameters, and may raise to stop.

        Raises `ModelError` naming a LoRA that is incompatible or cannot be read, and `OutOfMemoryError`. If
        an error stops the replacing of weights, none is active.
        """
        for use in wanted:
            key = _key(use.lora)
            if key in self._changes:
                self._changes[key] = self._changes.pop(key)
            else:
                check()
                self._changes[key] = self._load(use.lora)
        # A sum's last bit depends on the order.
        uses = sorted(wanted, key=lambda use: (use.lora.name, *_key(use.lora), use.weight))
        recipes: dict[Place, Recipe] = {}
        for use in uses:
            for place in self._changes[_key(use.lora)]:
                if strength := self._strength(use, place):
                    recipes[place] = (*recipes.get(place, ()), (_key(use.lora), strength))
        with self._undone_after_an_error(), torch.no_grad():
            for place in self._merged.keys() - recipes.keys():
                self._restore(place)
            if changed := {place: each for place, each in recipes.items() if each != self._recipe_of(place)}:
                added = {key for recipe in changed.values() for key, _ in recipe}
                self._merge(changed, [use.lora for use in uses if _key(use.lora) in added], check)
        self.active = tuple((use.lora.name, use.weight) for use in wanted)
        self._keys = tuple(use.key for use in wanted)
        self._evict({_key(use.lora) for use in wanted})

    def _strength(self, use: LoraUse, place: Place) -> float:
        """How often a LoRA is added to a parameter."""
        part, name = place
        if part != "unet":
            return use.encoder_strength
        if use.blocks is None:
            return use.unet_strength(None)
        config = self._pipe.unet.config
        return use.unet_strength(block_of(name, config.layers_per_block, len(config.block_out_channels)))

    def _load(self, lora: Lora) -> dict[Place, Change]:
        with translated_load_errors(
            f"The LoRA {lora.name}",
            lora.path,
            f"The LoRA {lora.name} could not be loaded; get it again, or choose another.",
        ):
            changes = changes_of(self._pipe, lora)
            if not all(each.is_finite for each in changes.values()):
                raise ModelError(
                    f"The LoRA {lora.name} contains NaN or infinity; get it again, or choose another."
                )
            if not any(each.has_effect for each in changes.values()):
                raise ModelError(
                    f"The LoRA {lora.name} has no effect: its weights or alphas are all zero; choose another."
                )
            return changes

    def _merge(
        self, recipes: Mapping[Place, Recipe], loras: Sequence[Lora], check: Callable[[], None]
    ) -> None:
        self._check_room(recipes, loras)
        try:
            for place, recipe in recipes.items():
                check()
                weight, pristine = self._weight(place), self._pristine_of(place)
                changes = [(self._changes[key][place], by) for key, by in recipe]
                value = _sum(pristine.to(self._device or weight.device), changes, weight.dtype)
                if value is None:
                    raise _overflow([each for each in loras if _key(each) in dict(recipe)], weight.dtype)
                self._merged[place] = _Merged(pristine, recipe)
                if _is_same(weight, pristine):
                    weight.data = value.to(weight.device)
                else:
                    weight.data.copy_(value)  # takes no more of the device's memory
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            devices.log_shortage(f"adding {', '.join(str(each.path) for each in loras)}")
            raise OutOfMemoryError(
                f"{_adding(loras)} needs more memory than is available; close other programs, then try again."
            ) from None

    def _restore(self, place: Place) -> None:
        weight, pristine = self._weight(place), self._merged[place].pristine
        if (weight.device, weight.dtype) == (pristine.device, pristine.dtype):
            weight.data = pristine
        else:
            weight.data.copy_(pristine.to(weight.dtype))
        del self._merged[place]

    @contextmanager
    def _undone_after_an_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._keys = None  # until all is back, `activate` has to be called again
            with torch.no_grad():
                for place in list(self._merged):
                    self._restore(place)
            self.active = self._keys = ()
            raise

    def _check_room(self, places: Mapping[Place, object], loras: Sequence[Lora]) -> None:
        """Raises `OutOfMemoryError` if main memory cannot hold both the checkpoint's weights and the replaced
        ones: the system would kill the whole studio."""
        added = [self._weight(place) for place in places if self._takes_memory(place)]
        wanted, free = sum(each.nbytes for each in added), devices.free_bytes("cpu")
        if wanted > free:
            raise OutOfMemoryError(
                f"{_adding(loras)} needs {wanted / GIB:.1f} GiB of main memory beside the checkpoint, but "
                f"only {free / GIB:.1f} GiB are free; close other programs."
            )

    def _takes_memory(self, place: Place) -> bool:
        """Whether main memory will hold one more tensor once these weights are replaced."""
        if place in self._merged:
            return False
        if self._weight(place).is_cpu:
            return _is_same(self._weight(place), self._pristine_of(place))
        return self._pristine is None and place not in self._copies

    def _pristine_of(self, place: Place) -> torch.Tensor:
        if place in self._merged:
            return self._merged[place].pristine
        if self._pristine is not None:
            return self._pristine(*place)
        own = self._weight(place).data
        if own.is_cpu:
            return own
        if place not in self._copies:
            self._copies[place] = own.cpu()
        return self._copies[place]

    def _recipe_of(self, place: Place) -> Recipe:
        return self._merged[place].recipe if place in self._merged else ()

    def _weight(self, place: Place) -> torch.Tensor:
        part, name = place
        found: torch.Tensor = getattr(self._pipe, part).get_parameter(name)
        return found

    def _evict(self, wanted: set[Key]) -> None:
        idle = [key for key in self._changes if key not in wanted]
        for key in idle[: max(0, len(idle) - MAX_IDLE_ADAPTERS)]:
            del self._changes[key]


def _sum(
    pristine: torch.Tensor, changes: Sequence[tuple[Change, float]], dtype: torch.dtype
) -> torch.Tensor | None:
    """The weights with all changes, each so many times, in `dtype`; None if they overflow."""
    own = pristine.float()
    (first, by), *others = changes
    total = first.delta(own)
    if others:
        total, by = total * by, 1.0
    for change, times in others:
        total = torch.add(total, change.delta(own), alpha=times)
    # The given output keeps the order of the axes in memory.
    total = torch.add(own, total, alpha=by, out=torch.empty_like(own))
    (low, high), largest = total.aminmax(), torch.finfo(dtype).max
    if not (-largest <= low and high <= largest) and own.isfinite().all():
        return None
    return total.to(dtype)


def _is_same(weight: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether both are the same memory."""
    return weight.device == other.device and weight.data_ptr() == other.data_ptr()


def _adding(loras: Sequence[Lora]) -> str:
    names = list(dict.fromkeys(each.name for each in loras))
    return f"Adding the {'LoRA' if len(names) == 1 else 'LoRAs'} {', '.join(names)}"


def _overflow(loras: Sequence[Lora], dtype: torch.dtype) -> ModelError:
    precision = "" if dtype == torch.float32 else ", or start the studio with --precision float32"
    return ModelError(
        f"{_adding(loras)} makes weights of the checkpoint too large for {devices.name_of(dtype)}; lower the "
        f"LoRA weights{precision}."
    )


def _key(lora: Lora) -> Key:
    return str(lora.path), lora.stamp
