"""Which checkpoint is in memory, where, and in which number format. Everything from local files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from ..errors import ModelError
from ..models.inspect import variant
from ..models.registry import Checkpoint

log = logging.getLogger(__name__)

# Their bars would fill the log; the reporter tells how far a job is.
transformers_logging.disable_progress_bar()
diffusers_logging.disable_progress_bar()


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


class Pipelines:
    """Loads a checkpoint on first use and keeps it until another is asked for or memory is freed."""

    def __init__(self, device: str | None = None):
        self.device = device or best_device()
        self.dtype = dtype_for(self.device)
        self._key: tuple[str, float] | None = None
        self._pipe: Any = None
        self.loaded: str | None = None
        """Name of the checkpoint in memory."""

    def get(self, checkpoint: Checkpoint, status: Callable[[str], None]) -> Any:
        """The checkpoint's txt2img pipeline. Raises `ModelError` where it cannot be loaded."""
        key = (str(checkpoint.path), checkpoint.modified)
        if self._key != key:
            self.free()
            status(f"Loading {checkpoint.name}")
            self._pipe = _load(checkpoint, self.dtype).to(self.device)
            self._pipe.set_progress_bar_config(disable=True)
            self._key, self.loaded = key, checkpoint.name
        return self._pipe

    def free(self) -> None:
        """Let go of what is loaded."""
        self._pipe, self._key, self.loaded = None, None, None
        if torch.device(self.device).type == "cuda":
            torch.cuda.empty_cache()


def _load(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    try:
        pipe = StableDiffusionXLPipeline.from_pretrained(
            checkpoint.path,
            dtype=dtype,
            variant=variant(checkpoint.path),
            local_files_only=True,
            use_safetensors=True,
            add_watermarker=False,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        log.exception("Loading %s failed", checkpoint.path)
        raise ModelError(
            f"{checkpoint.name} could not be loaded ({_brief(error)}); copy the checkpoint again."
        ) from None
    pipe.unet.eval(), pipe.vae.eval(), pipe.text_encoder.eval(), pipe.text_encoder_2.eval()
    return pipe


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:160] if lines else error.__class__.__name__).rstrip(".")
