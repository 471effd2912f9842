"""Which checkpoints are in memory, where, and in which number format. Everything from local files."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from ..errors import OutOfMemoryError
from ..models.catalog.registry import Checkpoint
from . import checkpoint_files, devices
from .devices import OFFLOAD, TILED, MemoryPolicy
from .lora_adapters import LoraAdapters, Use

log = logging.getLogger(__name__)

# Their bars would fill the log; the reporter tells how far a job is.
transformers_logging.disable_progress_bar()
diffusers_logging.disable_progress_bar()

Key = tuple[str, float]

_FORMATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
"""Number formats as safetensors calls them."""


class LoadedCheckpoint:
    """A checkpoint in memory, the pipelines that share its parts, and its LoRAs."""

    def __init__(self, checkpoint: Checkpoint, pipe: Any):
        self.checkpoint, self.pipe = checkpoint, pipe
        self.adapters = LoraAdapters(pipe)
        self._pristine = dict(pipe.scheduler.config)
        self._views: dict[type, Any] = {type(pipe): pipe}

    def view(self, kind: type) -> Any:
        """A pipeline of `kind` over the same parts; costs no memory."""
        if kind not in self._views:
            known = inspect.signature(kind).parameters
            parts = {name: part for name, part in self.pipe.components.items() if name in known}
            for setting in ("force_zeros_for_empty_prompt", "requires_aesthetics_score"):
                if setting in known and setting in self.pipe.config:
                    parts[setting] = self.pipe.config[setting]
            self._views[kind] = _quiet(kind(**parts, add_watermarker=False))
        return self._views[kind]

    @property
    def scheduler(self) -> dict[str, Any]:
        """The checkpoint's own noise schedule, as its file and its owner say."""
        return self._pristine | {
            "prediction_type": self.checkpoint.prediction_type,
            "rescale_betas_zero_snr": self.checkpoint.zero_snr,
        }

    @property
    def device(self) -> torch.device:
        """Where it computes; with parts in main memory that is not where they lie."""
        return self.pipe._execution_device

    def offload(self) -> None:
        """Send parts that wait for their turn back to main memory, before another model needs the room."""
        for hook in getattr(self.pipe, "_all_hooks", ()):
            hook.offload()

    @property
    def size(self) -> int:
        """Bytes of its weights."""
        models = (part for part in self.pipe.components.values() if isinstance(part, torch.nn.Module))
        return sum(each.numel() * each.element_size() for model in models for each in model.parameters())


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


class CheckpointCache:
    """Loads checkpoints on first use and keeps the last ones as far as the memory allows."""

    def __init__(
        self,
        device: str | None = None,
        policy: str | None = None,
        precision: str | None = None,
        budget: int | None = None,
    ):
        """`policy`: a name of `memory.POLICIES`; `precision`: of `memory.PRECISIONS`; `budget`: bytes that
        checkpoints may take together. None = by the device. Raises `SettingsError`."""
        self.device = devices.chosen_device(device)
        self.dtype = devices.chosen_dtype(self.device, precision)
        self.policy = self._usual = devices.chosen_policy(self.device, policy)
        self.budget = budget or devices.budget(self.device)
        self._short_at: int | None = None
        self._apart = torch.device(self.device).type != "cpu"  # parts can wait elsewhere than they work
        self._loaded: dict[Key, LoadedCheckpoint] = {}
        log.info("Device %s, %s, memory policy %s", self.device, self.dtype, self.policy.name)

    def get(
        self,
        checkpoint: Checkpoint,
        status: Callable[[str], None],
        loras: Sequence[Use] = (),
        keep: Sequence[Checkpoint] = (),
    ) -> LoadedCheckpoint:
        """The checkpoint with exactly these LoRAs; `keep` stays in memory beside it.

        Raises `ModelError`, `OutOfMemoryError`.
        """
        key = key_of(checkpoint)
        loaded = self._loaded.pop(key, None)
        if loaded is None:
            self._make_room(checkpoint, {key_of(each) for each in keep})
            status(f"Loading {checkpoint.name}")
            loaded = self._load(checkpoint)
        loaded.checkpoint = checkpoint  # what its owner says of it may be new
        self._loaded[key] = loaded  # the last one is the one used last
        devices.set_vae_tiling(loaded.pipe.vae, self.policy.tiled)
        for each in self._loaded.values():
            each.offload()
        if loras or loaded.adapters.active:
            status("Applying LoRAs")
        loaded.adapters.activate(loras)
        return loaded

    @property
    def names(self) -> list[str]:
        """Names of the checkpoints in memory, the last used last."""
        return [each.checkpoint.name for each in self._loaded.values()]

    def start_job(self, pixels: int) -> None:
        """Return to the usual policy for pictures smaller than those that ran short of memory.

        `pixels`: the area of one picture, width times height.
        """
        if self._short_at is not None and pixels < self._short_at:
            self._short_at = None
            self._change(self._usual)

    def reduce_memory(self, pixels: int, decoding: bool) -> bool:
        """Go on with less memory; False where there is no less.

        `pixels`: the area of the picture that ran short of it, width times height. `decoding`: whether it
        ran short in the VAE.
        """
        can_offload = self._apart and not self.policy.offload
        if not self.policy.tiled and (decoding or not can_offload):
            policy = TILED
        elif can_offload:
            policy = OFFLOAD
        else:
            return False
        log.warning("Memory was short; going on with policy %s", policy.name)
        self._short_at = pixels
        self._change(policy)
        return True

    def _change(self, policy: MemoryPolicy) -> None:
        if policy.offload != self.policy.offload:
            self._loaded.clear()  # loaded anew, to where the policy wants it
        self.policy = policy
        for loaded in list(self._loaded.values())[:-1]:  # all but the one used last
            del self._loaded[key_of(loaded.checkpoint)]
        devices.empty_cache(self.device)

    def free(self) -> None:
        """Let go of all that is loaded."""
        self._loaded.clear()
        devices.empty_cache(self.device)

    def _make_room(self, checkpoint: Checkpoint, keep: set[Key]) -> None:
        for key in [key for key in self._loaded if key[0] == str(checkpoint.path)]:
            del self._loaded[key]  # its own older version on disk is of no use
        # Its size is told for half precision, however it is stored; in full precision it takes twice that.
        wanted = checkpoint.size_bytes * self.dtype.itemsize // 2
        for key in [key for key in self._loaded if key not in keep]:
            if sum(each.size for each in self._loaded.values()) + wanted > self.budget:
                del self._loaded[key]
        devices.empty_cache(self.device)
        whole = _FORMATS.get(checkpoint.stored) != self.dtype  # in the file's own format they stay on disk
        if whole and torch.device(self.device).type == "cpu" and wanted > devices.free_bytes(self.device):
            # The system would end the whole studio, with every job in it.
            half = "" if self.dtype.itemsize == 2 else ", or start with --precision bfloat16 (half as much)"
            raise OutOfMemoryError(
                f"{checkpoint.name} needs {wanted / devices.GIB:.1f} GiB of memory and "
                f"{devices.free_bytes(self.device) / devices.GIB:.1f} are free; close other programs{half}."
            )

    def _load(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        pipe = _quiet(checkpoint_files.read(checkpoint, self.dtype))
        if self.policy.offload and self._apart:
            pipe.enable_model_cpu_offload(device=self.device)
        else:
            pipe.to(self.device)
        return LoadedCheckpoint(checkpoint, pipe)


def key_of(checkpoint: Checkpoint) -> Key:
    return str(checkpoint.path), checkpoint.modified
