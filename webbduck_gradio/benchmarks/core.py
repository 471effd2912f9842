"""What this core's loop costs beside diffusers' own pipeline, and beside the UNet alone.

Both draw the same latents: the same checkpoint, prompt embeddings, noise, and Euler's method on the same
sigmas, with guidance and without the VAE. "The UNet alone" is the limit: the same forwards with the same
inputs, and nothing between them. All three are measured in turns in one run, so that a busy machine slows
them alike. With `--compile` the same with compiled blocks, and how long the first picture takes that compiles
them, or takes them from the folder.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.admission import build_request
from ..models.catalog.registry import STARTER, Registry
from ..request import GenerationRequest
from ..settings import PRECISION
from .common import Taken, Work, begin, in_turns, parser, show, temporary_settings, timed

if TYPE_CHECKING:
    import torch

    from ..core.loaded_checkpoint import LoadedCheckpoint

UNET, PLAIN, OURS, COMPILED = (
    "the UNet alone",
    "diffusers' own pipeline",
    "this core",
    "this core, compiled",
)


def works(
    loaded: LoadedCheckpoint, request: GenerationRequest
) -> tuple[dict[str, Work], dict[str, torch.Tensor]]:
    """What is measured, by name, and the latents that the latest call of each made."""
    import torch
    from diffusers import EulerDiscreteScheduler

    from ..core.modes.text2img import Text2Img
    from ..core.progress import SilentReporter
    from ..core.prompts import encode
    from ..core.sampling.denoiser import ModelContext
    from ..core.sampling.levels import sigmas_for
    from ..core.sampling.loop import SamplingRun
    from ..core.sampling.model_sigmas import ModelSigmas
    from ..core.sampling.noise import Seeds, image_noise

    pipe, config = loaded.pipe, loaded.scheduler
    sigmas = sigmas_for(request, config, ModelSigmas.from_config(config), request.steps)
    model = ModelContext(loaded, encode(pipe, request.prompt, request.negative_prompt))
    noise = image_noise(Seeds(seed=request.seed), (4, request.height // 8, request.width // 8))
    # "linspace": the pipeline multiplies the noise by the first sigma, as this core does.
    pipe.scheduler = EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    forwards: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    ends: dict[str, torch.Tensor] = {}

    def settle() -> None:
        if loaded.device.type != "cpu":
            torch.accelerator.synchronize(loaded.device)

    def plain() -> None:
        ends[PLAIN] = pipe(
            **model.embeddings.at(0).arguments(),
            width=request.width,
            height=request.height,
            sigmas=sigmas,
            guidance_scale=request.cfg,
            latents=noise[None].to(loaded.device, pipe.unet.dtype),
            output_type="latent",
        ).images
        settle()

    def ours() -> None:
        ends[OURS] = Text2Img().begin(SamplingRun(request, 0, SilentReporter()), model).sample(model)
        settle()

    @torch.no_grad()
    def unet() -> None:
        for args, more in forwards:
            pipe.unet(*args, **more)
        settle()

    hook = pipe.unet.register_forward_pre_hook(
        lambda unet, args, more: forwards.append((args, more)), with_kwargs=True
    )
    ours()
    hook.remove()
    return {UNET: unet, PLAIN: plain, OURS: ours}, ends


def measure(options: argparse.Namespace) -> None:
    from ..core.checkpoint_cache import CheckpointCache

    given = {"checkpoints": options.checkpoints} if options.checkpoints else {}

    def load(compiled: bool) -> LoadedCheckpoint:
        pipelines = CheckpointCache(options.device, "resident", options.precision, kernels=options.kernels)
        pipelines.compiling.wanted = compiled
        if problem := pipelines.compile_problem:
            raise SystemExit(problem)
        return pipelines.get(checkpoint, lambda text: None)

    with temporary_settings(**given) as settings:
        registry = Registry(settings)
        checkpoint = registry.checkpoint(options.checkpoint)
        loaded = load(False)
    fields = {"prompt": "a red duck on a pond", "base_model": checkpoint.name, "seed": 1, "sampler": "Euler"}
    fields |= {"steps": options.steps, "width": options.side, "height": options.side, "cfg": 5.0}
    request = build_request(registry, fields)
    compared, ends = works(loaded, request)
    if options.compile:
        compiled, others = load(True), {}
        _, first = timed(lambda: others.update(works(compiled, request)[0]))
        compared[COMPILED] = others[OURS]
        print(f"the first compiled picture: {first.clock:.1f} s, work {first.work:.1f} s")
    taken = in_turns(list(compared.items()), options.rounds)
    size = f"{request.width} x {request.height}, {request.steps} steps"
    show(f"{checkpoint.name}, {size}, {loaded.device}, {loaded.dtype}", taken, UNET)
    ratio, beyond = (_ratio(taken[OURS], taken[name]) for name in (PLAIN, UNET))
    apart = (ends[PLAIN].float() - ends[OURS].float()).abs().max().item()
    print(f"  {OURS} takes x {ratio:.3f} of {PLAIN}, and {beyond - 1:+.1%} beside {UNET}")
    print(f"  the latents of both differ by at most {apart:.2g}")
    if options.compile:
        print(f"  {COMPILED} takes x {_ratio(taken[COMPILED], taken[PLAIN]):.3f} of {PLAIN}")


def _ratio(ours: Sequence[Taken], others: Sequence[Taken]) -> float:
    return statistics.median(each.clock / other.clock for each, other in zip(ours, others, strict=True))


def main(arguments: Sequence[str]) -> int:
    command = parser("core", __doc__)
    command.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    command.add_argument("--steps", type=int, default=20, help="steps of the picture (default 20)")
    command.add_argument("--side", type=int, default=256, help="its size in pixels (default 256)")
    command.add_argument("--device", help="cuda, xpu, mps or cpu (default: the fastest one available)")
    command.add_argument("--precision", choices=PRECISION, help="its precision (default: as the studio's)")
    command.add_argument("--checkpoint", default=STARTER, help=f"its checkpoint (default {STARTER})")
    command.add_argument("--checkpoints", type=Path, help="another checkpoint folder")
    command.add_argument("--compile", action="store_true", help="measure it compiled too")
    command.add_argument("--kernels", type=Path, help="where compiled blocks are kept (default: torch's own)")
    options = command.parse_args(arguments)
    if options.rounds < 2:
        command.error("--rounds must be at least 2")
    begin()
    measure(options)
    return 0
