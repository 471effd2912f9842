"""Which checkpoints are in memory, where, and in which number format. Everything from local files."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from ..errors import ModelError
from ..models.header import read_header
from ..models.inspect import variant
from ..models.layout import configs
from ..models.registry import Checkpoint
from .loras import Adapters, Use

log = logging.getLogger(__name__)

# Their bars would fill the log; the reporter tells how far a job is.
transformers_logging.disable_progress_bar()
diffusers_logging.disable_progress_bar()

GIB = 2**30
Key = tuple[str, float]


@dataclass(frozen=True)
class Policy:
    """How thriftily memory is used; each is slower than the one before and draws the same motif."""

    name: str
    tiled: bool = False
    """The VAE works on tiles of 512 pixels."""
    offload: bool = False
    """Parts wait in main memory until their turn."""


POLICIES = (Policy("resident"), Policy("tiled", tiled=True), Policy("offload", tiled=True, offload=True))


def best_device() -> str:
    """'cuda', 'mps' or 'cpu': the fastest that works here."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def dtype_for(device: str) -> torch.dtype:
    """Half precision where the hardware is made for it; on the CPU fp16 is unusably slow."""
    return torch.float32 if torch.device(device).type == "cpu" else torch.float16


def policy_for(device: str) -> Policy:
    """By its memory: an SDXL checkpoint takes 7 GB in half precision, decoding 1024 x 1024 up to 4 more."""
    kind = torch.device(device).type
    if kind == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        return POLICIES[0 if total >= 11 * GIB else 1 if total >= 9 * GIB else 2]
    return POLICIES[1 if kind == "mps" else 0]


class Loaded:
    """A checkpoint in memory, the pipelines that share its parts, and its LoRAs."""

    def __init__(self, checkpoint: Checkpoint, pipe: Any):
        self.checkpoint, self.pipe = checkpoint, pipe
        self.adapters = Adapters(pipe)
        self.scheduler = pipe.scheduler.config
        """The checkpoint's own noise schedule, never changed."""
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
    def size(self) -> int:
        """Bytes of its weights."""
        models = (part for part in self.pipe.components.values() if isinstance(part, torch.nn.Module))
        return sum(each.numel() * each.element_size() for model in models for each in model.parameters())


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


class Pipelines:
    """Loads checkpoints on first use and keeps the last ones as far as the memory allows."""

    def __init__(self, device: str | None = None, policy: str | None = None, budget: int | None = None):
        self.device = device or best_device()
        self.dtype = dtype_for(self.device)
        self.policy = next((each for each in POLICIES if each.name == policy), policy_for(self.device))
        self.budget = budget or _budget(self.device)
        self._loaded: dict[Key, Loaded] = {}
        log.info("Device %s, %s, memory policy %s", self.device, self.dtype, self.policy.name)

    def get(
        self,
        checkpoint: Checkpoint,
        status: Callable[[str], None],
        loras: Sequence[Use] = (),
        keep: Sequence[Checkpoint] = (),
    ) -> Loaded:
        """The checkpoint with exactly these LoRAs; `keep` stays in memory beside it. Raises `ModelError`."""
        key = key_of(checkpoint)
        loaded = self._loaded.pop(key, None)
        if loaded is None:
            self._make_room(checkpoint, {key_of(each) for each in keep})
            status(f"Loading {checkpoint.name}")
            loaded = self._load(checkpoint)
        self._loaded[key] = loaded  # the last one is the one used last
        if loras or loaded.adapters.active:
            status("Applying LoRAs")
        loaded.adapters.use(loras)
        return loaded

    @property
    def names(self) -> list[str]:
        """Names of the checkpoints in memory, the last used last."""
        return [each.checkpoint.name for each in self._loaded.values()]

    def thriftier(self) -> bool:
        """Go on with less memory, after letting go of everything; False where there is no less."""
        at = POLICIES.index(self.policy) + 1
        if at == len(POLICIES) or (POLICIES[at].offload and torch.device(self.device).type == "cpu"):
            return False
        self.policy = POLICIES[at]
        log.warning("Memory was short; going on with policy %s", self.policy.name)
        self.free()
        return True

    def free(self) -> None:
        """Let go of all that is loaded."""
        self._loaded.clear()
        gc.collect()  # pipelines and their views hold each other
        if torch.device(self.device).type == "cuda":
            torch.cuda.empty_cache()

    def _make_room(self, checkpoint: Checkpoint, keep: set[Key]) -> None:
        for key, loaded in list(self._loaded.items()):  # its own older version on disk is of no use
            if key[0] == str(checkpoint.path):
                del self._loaded[key], loaded
        for key in [key for key in self._loaded if key not in keep]:
            # Files are in half precision mostly; in full precision they take twice as much.
            wanted = checkpoint.size_bytes * self.dtype.itemsize // 2
            if sum(each.size for each in self._loaded.values()) + wanted > self.budget:
                del self._loaded[key]
        gc.collect()

    def _load(self, checkpoint: Checkpoint) -> Loaded:
        pipe = _quiet(_read(checkpoint, self.dtype))
        if self.policy.tiled:
            # Its own threshold is the size that it was trained at: 1024 pixels would not be tiled.
            pipe.vae.enable_tiling()
            pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = 512, 64
        if self.policy.offload:
            pipe.enable_model_cpu_offload(device=self.device)
        else:
            pipe.to(self.device)
        return Loaded(checkpoint, pipe)


def key_of(checkpoint: Checkpoint) -> Key:
    return str(checkpoint.path), checkpoint.modified


def _budget(device: str) -> int:
    """Bytes that checkpoints may take together."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * 0.75)
    return psutil.virtual_memory().total // 2


def _read(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    refiner = checkpoint.arch == "sdxl-refiner"
    kind = StableDiffusionXLImg2ImgPipeline if refiner else StableDiffusionXLPipeline
    try:
        if checkpoint.layout == "single_file":
            pipe = _from_file(checkpoint, kind, dtype)
        else:
            pipe = kind.from_pretrained(
                checkpoint.path,
                dtype=dtype,
                variant=variant(checkpoint.path),
                local_files_only=True,
                use_safetensors=True,
                add_watermarker=False,
            )
    except (torch.OutOfMemoryError, MemoryError, ModelError):
        raise
    except Exception as error:
        log.exception("Loading %s failed", checkpoint.path)
        raise ModelError(
            f"{checkpoint.name} could not be loaded ({_brief(error)}); copy the checkpoint again."
        ) from None
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            # LoRAs switch gradients off, which changes the last bit of some layers: off from the start.
            part.eval().requires_grad_(False)
    return pipe


def _from_file(checkpoint: Checkpoint, kind: Any, dtype: torch.dtype) -> Any:
    """A file in the original layout. The configuration comes from its header, so nothing is fetched;
    in the file's own number format the weights stay where they are on disk until they are used."""
    parts = configs(
        checkpoint.name,
        read_header(checkpoint.path),
        checkpoint.arch,
        checkpoint.prediction_type,
        checkpoint.zero_snr,
    )
    with tempfile.TemporaryDirectory(prefix="webbduck-") as folder:
        for part, config in parts.items():
            name = {"model_index": "model_index.json", "scheduler": "scheduler/scheduler_config.json"}
            path = Path(folder, name.get(part, f"{part}/config.json"))
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(config), "utf-8")
        return kind.from_single_file(
            str(checkpoint.path),
            config=folder,
            dtype=dtype,
            local_files_only=True,
            add_watermarker=False,
            tokenizer=None,
            tokenizer_2=None,
            scheduler=EulerDiscreteScheduler.from_config(parts["scheduler"]),
        )


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:160] if lines else error.__class__.__name__).rstrip(".")
