"""What this core's loop costs beside diffusers' own pipeline, and beside the UNet alone.

Both draw the same latents: the same checkpoint, prompt embeddings, noise and Euler's method on the same sigmas,
with guidance and without the VAE. "The UNet alone" is the limit: the same forwards with the same inputs,
and nothing between them. All three are measured in turns in one run, so that a busy machine slows them alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.admission import build_request
from ..models.catalog.registry import STARTER, Registry
from ..settings import PRECISION
from .common import begin, in_turns, parser, show, temporary_settings

PLAIN, OURS, UNET = "diffusers' own pipeline", "this core", "the UNet alone"


def measure(options: Any) -> float:
    """Print the table; the median of the rounds' ratios of this core to diffusers' pipeline."""
    import torch
    from diffusers import EulerDiscreteScheduler

    from ..core.checkpoint_cache import CheckpointCache
    from ..core.modes.text2img import Text2Img
    from ..core.progress import SilentReporter
    from ..core.prompts import encode
    from ..core.sampling.denoiser import ModelContext
    from ..core.sampling.levels import sigmas_for
    from ..core.sampling.loop import SamplingRun
    from ..core.sampling.model_sigmas import ModelSigmas
    from ..core.sampling.noise import Seeds, image_noise

    given = {"checkpoints": options.checkpoints} if options.checkpoints else {}
    with temporary_settings(**given) as settings:
        registry = Registry(settings)
        checkpoint = registry.checkpoint(options.checkpoint)
        cache = CheckpointCache(options.device, "resident", options.precision)
        loaded = cache.get(checkpoint, lambda text: None)
    pipe, device = loaded.pipe, loaded.device
    request = build_request(
        registry,
        {
            "prompt": "a red duck on a pond",
            "base_model": checkpoint.name,
            "seed": 1,
            "steps": options.steps,
            "width": options.side,
            "height": options.side,
            "cfg": 5.0,
            "sampler": "Euler",
        },
    )
    config = loaded.scheduler
    sigmas = sigmas_for(
        request.sampler, request.schedule, config, ModelSigmas.from_config(config), request.steps
    )
    embeddings = encode(pipe, request.prompt, request.negative_prompt)
    noise = image_noise(Seeds(seed=request.seed), (4, options.side // 8, options.side // 8))[None]
    # The pipeline multiplies the noise by the root of sigma^2 + 1, we by sigma.
    noise = (noise * sigmas[0] / (sigmas[0] ** 2 + 1) ** 0.5).to(device, pipe.unet.dtype)
    pipe.scheduler = EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    model = ModelContext(loaded, embeddings)
    ends: dict[str, Any] = {}

    def settle() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()

    def plain() -> None:
        ends[PLAIN] = pipe(
            **embeddings.arguments(),
            width=request.width,
            height=request.height,
            sigmas=sigmas[:-1],
            guidance_scale=request.cfg,
            latents=noise,
            output_type="latent",
        ).images
        settle()

    def ours() -> None:
        ends[OURS] = Text2Img().begin(SamplingRun(request, 0, SilentReporter()), model).sample(model)
        settle()

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hook = pipe.unet.register_forward_pre_hook(
        lambda unet, args, more: calls.append((args, more)), with_kwargs=True
    )
    ours()
    hook.remove()

    @torch.no_grad()
    def unet() -> None:
        for args, more in calls:
            pipe.unet(*args, **more)
        settle()

    taken = in_turns([(UNET, unet), (PLAIN, plain), (OURS, ours)], options.rounds)
    dtype = str(pipe.unet.dtype).removeprefix("torch.")
    show(
        f"{checkpoint.name}, {request.width} x {request.height}, {request.steps} steps, {device}, {dtype}",
        taken,
        UNET,
    )
    apart = (ends[PLAIN].float() - ends[OURS].float()).abs().max().item()
    ratio = statistics.median(a.clock / b.clock for a, b in zip(taken[OURS], taken[PLAIN], strict=True))
    gap = statistics.median(a.clock / b.clock for a, b in zip(taken[OURS], taken[UNET], strict=True)) - 1
    print(f"  {OURS} / {PLAIN}: {ratio:.3f}; beyond {UNET}: {gap:.1%}")
    print(f"  {len(calls)} forwards; the latents differ by at most {apart:.2g}")
    return ratio


def main(arguments: Sequence[str]) -> int:
    command = parser("core", __doc__)
    command.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    command.add_argument("--steps", type=int, default=20, help="steps of the picture (default 20)")
    command.add_argument("--side", type=int, default=256, help="its size in pixels (default 256)")
    command.add_argument("--device", help="cuda, mps or cpu (default: the fastest one available)")
    command.add_argument("--precision", choices=PRECISION, help="its precision (default: by the device)")
    command.add_argument("--checkpoint", default=STARTER, help=f"its checkpoint (default {STARTER})")
    command.add_argument("--checkpoints", type=Path, help="another checkpoint folder")
    options = command.parse_args(arguments)
    if options.rounds < 2:
        command.error("--rounds must be at least 2")
    begin()
    measure(options)
    return 0
