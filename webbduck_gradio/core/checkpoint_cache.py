"""The checkpoints in memory: their device, precision and eviction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from ..errors import OutOfMemoryError, SettingsError
from ..models.catalog.registry import Checkpoint
from ..models.lora_uses import LoraUse
from ..models.vaes import Vae
from . import cards, checkpoint_files, devices
from .compiling import Compiling
from .interruptible import Interruptible
from .job_vae import JobVae
from .loaded_checkpoint import LoadedCheckpoint
from .memory_needs import (
    Order,
    Weights,
    needs_tiles,
    policy_for,
)
from .memory_policies import AUTOMATIC, OFFLOAD, POLICIES, TILED, MemoryPolicy, policy_named
from .placement import VAE, Placement

log = logging.getLogger(__name__)

# Progress bars would flood the log; progress is reported through `ProgressReporter`.
transformers_logging.disable_progress_bar()
diffusers_logging.disable_progress_bar()

Key = tuple[str, float]

SDXL_BYTES = 6_940_000_000
"""Bytes of an SDXL checkpoint in half precision."""

_FORMATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
"""Precisions by their safetensors names."""


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


class CheckpointCache:
    """Loads checkpoints on first use and evicts the least recently used ones when memory runs short."""

    def __init__(
        self,
        device: str | None = None,
        policy: str | None = None,
        precision: str | None = None,
        budget: int | None = None,
        kernels: Path | None = None,
    ):
        """`policy`: a name of `POLICIES`; `precision`: of `devices.PRECISIONS`; `budget`: bytes that all
        checkpoints may take together. None = chosen by the device. `kernels`: `folder` of `Compiling`. Raises
        `SettingsError`."""
        self.device = devices.chosen_device(device)
        devices.prepare(self.device)
        self.card = cards.card_of(self.device)
        self._precision = precision
        self._asked = policy
        self._has_own_memory = self.card.kind != "cpu"
        self._loaded: dict[Key, LoadedCheckpoint] = {}
        self.policy = self._usual_policy(Order(), SDXL_BYTES, is_large=True)
        self.budget = budget or devices.budget(self.card)
        self.compiling = Compiling(self.card.kind, kernels)
        self.tiled = False
        """Whether the VAEs are set to work in tiles; known once the job's checkpoints are loaded."""
        self._short_at: int | None = None
        self._size: tuple[int, int] | None = None
        self._vae = JobVae(self.card)
        log.info("Device %s, %s, memory policy %s", self.device, self.dtype_of(), self.policy.name)
        if (note := cards.precision_note(self.card)) and precision is None:
            log.warning(note)

    def dtype_of(self, is_large: bool = False) -> torch.dtype:
        """The precision that small models, or large ones, are loaded in."""
        return devices.chosen_dtype(self.card, self._precision, is_large)

    def get(
        self,
        checkpoint: Checkpoint,
        status: Callable[[str], None],
        loras: Sequence[LoraUse] = (),
        keep: Sequence[Checkpoint] = (),
        check: Callable[[], None] = lambda: None,
    ) -> LoadedCheckpoint:
        """The checkpoint with the job's VAE and exactly these LoRAs active; those in `keep` are not evicted.
        `check` is called now and then while LoRAs are added, and may raise to stop.

        Raises `ModelError`, `OutOfMemoryError`.
        """
        key = key_of(checkpoint)
        loaded = self._loaded.pop(key, None)
        if loaded is None:
            self._make_room(checkpoint, {key_of(each) for each in keep})
            status(f"Loading {checkpoint.name}; the first picture takes longer")
            loaded = self._load(checkpoint)
        loaded.checkpoint = checkpoint  # the user may have changed its overrides
        self.compiling.apply(loaded.pipe.unet, self.policy)
        self._loaded[key] = loaded  # ordered from least to most recently used
        self._vae.give_to(loaded, key, status)
        loaded.placement.settle()
        self.tiled = self.tiled or self._needs_tiles(loaded)
        for each in self._loaded.values():
            devices.set_vae_tiling(each.pipe.vae, self.tiled)
        if loras or loaded.adapters.active:
            status("Applying LoRAs")
        loaded.use(loras, check)
        return loaded

    def preload(self, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        """Load a checkpoint before it is needed, unless another one is in memory, or it takes more memory
        than is free, or has no VAE. `check` is called again and again meanwhile, and may raise to stop.

        Raises what `get` and `check` raise.
        """
        if self._loaded or not checkpoint.has_vae:
            return
        wanted = self._bytes_of(checkpoint)
        if wanted > devices.free_bytes("cpu" if self.policy.offloads else self.device):
            log.info("%s is not loaded beforehand: it takes more memory than is free", checkpoint.name)
            return
        with Interruptible(check):
            self.get(checkpoint, lambda text: None)

    @property
    def in_use(self) -> list[LoadedCheckpoint]:
        """The checkpoints in memory, the most recently used last."""
        return list(self._loaded.values())

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.checkpoint.name for each in self.in_use]

    def choose(self, policy: str | None) -> None:
        """Use this memory policy from now on; None = chosen for each job. Raises `SettingsError`."""
        self._asked, self._short_at = policy, None
        self._change(self._usual_policy(Order(), SDXL_BYTES, is_large=True))

    def start_job(
        self,
        size: tuple[int, int],
        rows: int = 2,
        checkpoints: Sequence[Checkpoint] = (),
        vae: Vae | None = None,
    ) -> None:
        """Choose the policy for images of this size in pixels, with this many rows in the UNet's batch. One
        that memory ran out for is kept for sizes that are not smaller. `vae`: None = the checkpoints' own."""
        self._size, self._vae.chosen = size, vae
        if self._short_at is not None and size[0] * size[1] < self._short_at:
            self._short_at = None
        largest = max(checkpoints, key=lambda each: each.size_bytes, default=None)
        usual = self.policy
        if largest is not None or self._asked is not None:
            usual = self._usual_policy(
                Order(size, rows),
                largest.size_bytes if largest else 0,
                largest.is_large if largest else True,
            )
        if self._short_at is None or POLICIES.index(usual) > POLICIES.index(self.policy):
            self._change(usual)
        self.tiled = self._short_at is not None and self.policy.tiled

    def _usual_policy(self, order: Order, size: int, is_large: bool) -> MemoryPolicy:
        """The policy for an order. `size`: bytes of the checkpoint in half precision."""
        if (asked := policy_named(self._asked)) is not None:
            if asked.is_fp8 and self.card.kind == "mps":
                raise SettingsError("Apple's GPUs have no numbers of 8 bits; choose another memory policy.")
            return asked
        dtype = self.dtype_of(is_large)
        held = sum(each.placement.on_device for each in self._loaded.values())
        return policy_for(
            Weights.of_total(size * dtype.itemsize // 2),
            replace(
                order,
                itemsize=dtype.itemsize,
                decoding_itemsize=cards.decoding_precisions(self.card, dtype, True)[0].itemsize,
            ),
            devices.free_bytes(self.device) + held,
            self.card.kind,
        )

    @property
    def replaced(self) -> str | None:
        """The memory policy that was asked for, if another one is in use since memory ran out."""
        return self._asked if self._asked not in (None, self.policy.name) else None

    @property
    def uses_tiles(self) -> bool:
        """Whether the job's images are decoded in tiles, and larger than one: that changes them a little."""
        return self.tiled and self._size is not None and max(self._size) > devices.TILE

    @property
    def is_compiled(self) -> bool:
        """Whether UNets compute compiled."""
        return self.compiling.is_on(self.policy)

    @property
    def compile_problem(self) -> str | None:
        """As `Compiling.problem`."""
        return self.compiling.problem(self.policy)

    def facts(self) -> dict[str, Any]:
        """What a picture's metadata say of how the job computed."""
        facts: dict[str, Any] = {}
        if self.uses_tiles or self.policy.is_fp8:
            facts["memory_policy"] = self.policy.name
        return facts | ({"compiled": True} if self.is_compiled else {})

    def decoding(self, checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
        """How the job's images are computed and decoded, as an unfinished one records it."""
        vaes = [self._vae.precision_with(key_of(each)) for each in checkpoints]
        return {
            "policy": self.policy.name,
            "tiles": self.uses_tiles,
            "compiled": self.is_compiled,
            "vae": [each and devices.name_of(each.current) for each in vaes],
        }

    def return_to(self, policy: object) -> None:
        """Return to tiles, in which an unfinished job's image would have been decoded. `policy`: the name of
        its policy."""
        found = policy_named(policy) or TILED
        if not self.policy.tiled:
            self._change(found if found.tiled else TILED)
        self._decode_in_tiles()

    def reduce_memory(self, decoding: bool) -> bool:
        """Change to what takes less memory; False if there is nothing.

        `decoding`: whether the job's image ran out of memory in the VAE.
        """
        thriftier = self._thriftier()
        if not self.tiled and (decoding or not thriftier):
            policy = self.policy if self.policy.tiled else TILED
        elif thriftier:
            policy = thriftier[0]
        else:
            for loaded in self._loaded.values():
                loaded.placement.release()  # what was cut off in the middle must not go on there
            return False
        log.warning("Out of memory; continuing with memory policy %s, in tiles", policy.name)
        for loaded in list(self._loaded.values())[:-1]:  # all but the most recently used
            del self._loaded[key_of(loaded.checkpoint)]
        self._change(policy)
        self._decode_in_tiles()
        devices.empty_cache(self.device)
        return True

    def _thriftier(self) -> list[MemoryPolicy]:
        """The policies that leave less on the device, none of which changes what is drawn."""
        if not self._has_own_memory:
            return []
        # Apple's GPUs share the main memory, so what is streamed would be there twice.
        ladder = (OFFLOAD,) if self.card.kind == "mps" else AUTOMATIC
        at = POLICIES.index(self.policy)
        return [each for each in ladder if each.offloads and POLICIES.index(each) > at]

    def _decode_in_tiles(self) -> None:
        """From now on, until a job of a smaller size."""
        assert self._size is not None
        self._short_at, self.tiled = self._size[0] * self._size[1], True

    def _needs_tiles(self, loaded: LoadedCheckpoint) -> bool:
        if not self.policy.tiled or self._size is None:
            return False
        channels = loaded.pipe.vae.config.block_out_channels
        assert loaded.decoding is not None
        itemsize = loaded.decoding.current.itemsize
        room = loaded.placement.room_beside(VAE)
        return needs_tiles(self.card.kind, self._size, channels, itemsize, room)

    def _change(self, policy: MemoryPolicy) -> None:
        if policy == self.policy:
            return
        self.policy = policy
        for loaded in self._loaded.values():
            loaded.placement.change(policy)
        devices.empty_cache(self.device)

    def free(self) -> None:
        """Unload all checkpoints."""
        self._loaded.clear()
        devices.empty_cache(self.device)

    def _make_room(self, checkpoint: Checkpoint, keep: set[Key]) -> None:
        for key in [key for key in self._loaded if key[0] == str(checkpoint.path)]:
            del self._loaded[key]  # loaded from an older version of the file
        dtype = self.dtype_of(checkpoint.is_large)
        wanted = self._bytes_of(checkpoint) + self._vae.bytes_beside(dtype)
        for key in [key for key in self._loaded if key not in keep]:
            if sum(each.size for each in self._loaded.values()) + wanted > self.budget:
                del self._loaded[key]
        devices.empty_cache(self.device)
        is_converted = _FORMATS.get(checkpoint.stored) != dtype  # else weights are mapped from the file
        on_cpu = torch.device(self.device).type == "cpu"
        if is_converted and on_cpu and wanted > devices.free_bytes(self.device):
            # Otherwise the system would kill the whole studio.
            half = "" if dtype.itemsize == 2 else ", or start with --precision bfloat16 (half as much)"
            free = devices.free_bytes(self.device) / cards.GIB
            raise OutOfMemoryError(
                f"{checkpoint.name} needs {wanted / cards.GIB:.1f} GiB of memory, but only {free:.1f} GiB "
                f"are free; close other programs{half}."
            )

    def _bytes_of(self, checkpoint: Checkpoint) -> int:
        # `size_bytes` is the size in half precision, whatever the file's own precision is.
        return checkpoint.size_bytes * self.dtype_of(checkpoint.is_large).itemsize // 2

    def _load(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        dtype = self.dtype_of(checkpoint.is_large)
        log.info("Loading %s in %s", checkpoint.name, devices.name_of(dtype))
        pipe = _quiet(checkpoint_files.read(checkpoint, dtype))
        device = torch.device(self.device)
        if not self._has_own_memory:
            pipe.to(device)
        placement = Placement(
            pipe,
            device,
            self.policy,
            moves=self._has_own_memory,
            is_mapped=_FORMATS.get(checkpoint.stored) == dtype,
            others=lambda: [
                each.placement for each in self._loaded.values() if each.placement is not placement
            ],
        )
        return LoadedCheckpoint(checkpoint, pipe, placement, device)


def key_of(checkpoint: Checkpoint) -> Key:
    return str(checkpoint.path), checkpoint.modified
