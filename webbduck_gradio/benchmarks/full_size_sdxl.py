"""SDXL at its own size with random weights, for the benchmark: speed does not depend on the weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file

from ..core.checkpoint_cache import CheckpointCache
from ..core.modes.text2img import Text2Img
from ..core.progress import SilentReporter
from ..core.prompts import Embeddings
from ..core.sampling.denoiser import ModelContext
from ..core.sampling.loop import SamplingRun
from ..core.unlisted import unlisted
from ..models.catalog.registry import Checkpoint
from ..models.probe.single_file_config import scheduler
from ..request import GenerationRequest
from . import common
from .sdxl import UNET, VAE

FORWARD = {512: 1.59e12, 768: 3.64e12, 1024: 6.76e12}
"""Floating-point operations of one forward of SDXL's UNet by the picture's side in pixels."""


def pipeline(device: str, dtype: torch.dtype, unet: dict[str, Any] = UNET, vae: dict[str, Any] = VAE) -> Any:
    """A pipeline without text encoders (its prompts come as embeddings), made on the device."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            parts = {"unet": UNet2DConditionModel(**unet), "vae": AutoencoderKL(**vae)}
    finally:
        torch.set_default_dtype(before)
    for part in parts.values():
        part.eval().requires_grad_(False)
    pipe = StableDiffusionXLPipeline(
        **parts,
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        scheduler=EulerDiscreteScheduler.from_config(scheduler("epsilon", False)),
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def embeddings(pipe: Any, batch: int) -> Embeddings:
    """Random ones of the right shapes."""
    config, generator = pipe.unet.config, torch.Generator().manual_seed(0)
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(batch, *shape, generator=generator).to(pipe.unet.device, pipe.unet.dtype)

    width = config.cross_attention_dim
    return Embeddings(random(77, width), random(77, width), random(pooled), random(pooled))


def works(pipe: Any, steps: int, batch: int, side: int = 1024) -> list[tuple[str, Callable[[], object]]]:
    """Denoising by plain diffusers (`batch` at once) and by this core (one after the other)."""
    request = GenerationRequest.validated(
        base_model="random", seed=0, steps=steps, width=side, height=side, scheduler="Euler", num_images=batch
    )
    together, alone = embeddings(pipe, batch), embeddings(pipe, 1)

    model = ModelContext(unlisted(pipe), alone)

    def plain() -> None:
        pipe(
            **together.arguments(),
            width=side,
            height=side,
            num_inference_steps=steps,
            guidance_scale=request.cfg,
            generator=[torch.Generator().manual_seed(index) for index in range(batch)],
            output_type="latent",
        )
        _wait(pipe)

    def ours() -> None:
        for index in range(batch):
            Text2Img().begin(SamplingRun(request, index, SilentReporter()), model).sample(model)
        _wait(pipe)

    return [("plain diffusers", plain), ("this core", ours)]


def lora(checkpoint: Checkpoint, path: Path) -> None:
    """A LoRA of rank 8 with small random weights on all attention of the checkpoint's UNet."""
    unet = CheckpointCache().get(checkpoint, lambda text: None).pipe.unet
    generator, tensors = torch.Generator().manual_seed(0), {}
    for name, module in unet.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            for part, shape in (("A", (8, module.in_features)), ("B", (module.out_features, 8))):
                tensors[f"unet.{name}.lora_{part}.weight"] = 0.1 * torch.randn(shape, generator=generator)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


def peak_memory(device: str) -> int:
    """Most bytes that were taken: on the graphics card since its counter was reset, else by the process."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return common.peak_memory()


def _wait(pipe: Any) -> None:
    synchronize(pipe.unet.device)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def matrix_peak(device: str, dtype: torch.dtype, side: int | None = None, rounds: int = 20) -> float:
    """Floating-point operations a second of the best of large matrix products."""
    side = side or (1024 if torch.device(device).type == "cpu" else 8192)
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(rounds):
        synchronize(left.device)
        start = time.perf_counter()
        left @ right
        synchronize(left.device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
