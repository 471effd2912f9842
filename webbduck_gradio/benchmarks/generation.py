"""What the studio costs beside the bare pipeline.

All numbers that are compared come from one run, taken in turns, so that a busy machine slows both alike.
Printed are medians, the spread between the quartiles, and ratios; beside them the seconds that the processor
really worked for it, which a busy machine changes less. `--full-size` measures SDXL's own size
with random weights: speed does not depend on the weights.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.progress import SilentReporter
from ..models.admission import build_request
from ..models.catalog.registry import STARTER, Registry
from ..request import GenerationRequest
from ..settings import PRECISION, Settings
from .common import Work, begin, in_turns, parser, show, studio, temporary_settings


def studio_overhead(settings: Settings, rounds: int, seconds: float) -> float:
    """(a) /generate through gradio_client against the bare diffusers pipeline; the ratio."""
    import torch
    from diffusers import DPMSolverMultistepScheduler
    from gradio_client import Client

    from ..core.prompts import encode

    with studio(settings) as server:
        registry = server.services.registry
        checkpoint = registry.checkpoint(STARTER)
        generator = server.services.worker.context.generator
        pipe = generator.pipelines.get(checkpoint, print).pipe
        client = Client(server.url, verbose=False)
        request = build_request(
            registry, {"prompt": "a red duck on a pond", "base_model": STARTER, "seed": 1}
        )

        def bare() -> None:
            loaded = pipe.scheduler
            pipe.scheduler = DPMSolverMultistepScheduler.from_config(loaded.config, use_karras_sigmas=True)
            try:
                pipe(
                    **embeddings.arguments(),
                    width=request.width,
                    height=request.height,
                    num_inference_steps=request.steps,
                    guidance_scale=request.cfg,
                    generator=torch.Generator().manual_seed(request.seed),
                )
            finally:
                pipe.scheduler = loaded

        embeddings = encode(pipe, request.prompt, "")
        request = request.model_copy(update={"steps": 20})
        bare()
        start = time.perf_counter()
        bare()
        once = time.perf_counter() - start
        # Enough steps that the job takes as long as asked; at most what a request may have.
        request = request.model_copy(update={"steps": min(150, max(20, round(20 * seconds / once)))})
        asked = request.model_dump(
            include={"prompt", "base_model", "seed", "steps", "cfg", "sampler", "schedule"}
        )
        taken = in_turns(
            [
                ("bare StableDiffusionXLPipeline", bare),
                ("/generate through gradio_client", lambda: client.predict(**asked, api_name="/generate")),
            ],
            rounds,
        )
        return show(
            f"(a) one picture, {request.width} x {request.height}, {request.steps} steps",
            taken,
            "bare StableDiffusionXLPipeline",
        )


def switching(settings: Settings, rounds: int) -> None:
    """(b) the next picture after a change, with what is in memory against loading all anew."""
    from ..core.image_generator import ImageGenerator
    from . import full_size_sdxl

    registry = Registry(settings)
    checkpoint = registry.checkpoint(STARTER)
    full_size_sdxl.lora(checkpoint, settings.loras / "benchmark.safetensors")
    registry.refresh()
    twin_path = settings.outputs.parent / "twin"
    twin_path.symlink_to(checkpoint.path.resolve())
    twin = dataclasses.replace(checkpoint, name="twin", path=twin_path)
    generator = ImageGenerator(registry=registry)
    # Loading anew is measured on a generator of its own: it empties what the others are to find in memory.
    forgetful = ImageGenerator(registry=registry)

    def draw(on: Any, by: Any = generator, **changed: Any) -> bool:
        fields = {"prompt": "a red duck", "base_model": STARTER, "seed": 1, "steps": 1} | changed
        request: GenerationRequest = build_request(registry, fields)
        return bool(list(by.generate(request, on, SilentReporter())))

    def reloaded() -> None:
        forgetful.free()
        draw(checkpoint, forgetful)

    works: list[tuple[str, Work]] = [
        ("all loaded anew", reloaded),
        ("nothing changed", lambda: draw(checkpoint)),
        ("another checkpoint and back", lambda: (draw(twin), draw(checkpoint))),
        ("another sampler", lambda: (draw(checkpoint, scheduler="UniPC"), draw(checkpoint))),
        ("another prompt", lambda: (draw(checkpoint, prompt="a blue duck"), draw(checkpoint))),
    ]
    stack = [{"name": "benchmark"}]
    works.append(("a LoRA and back", lambda: (draw(checkpoint, loras=stack), draw(checkpoint))))
    show("(b) one-step pictures after a change", in_turns(works, rounds), "all loaded anew")


def previewing(settings: Settings, rounds: int) -> None:
    """(d) what one live preview costs, beside one step."""
    from ..core.image_generator import ImageGenerator

    class Watching(SilentReporter):
        def wants_preview(self) -> bool:
            return True

    registry = Registry(settings)
    checkpoint, generator = registry.checkpoint(STARTER), ImageGenerator(registry=registry)
    request = build_request(registry, {"prompt": "a red duck", "base_model": STARTER, "seed": 1, "steps": 20})

    def draw(reporter: Any) -> None:
        list(generator.generate(request, checkpoint, reporter))

    works: list[tuple[str, Work]] = [
        ("20 steps without previews", lambda: draw(SilentReporter())),
        ("20 steps, a preview at each", lambda: draw(Watching())),
    ]
    show("(d) live previews; the studio makes at most four a second", in_turns(works, rounds), works[0][0])


def with_a_lora(settings: Settings, rounds: int, precision: str | None) -> None:
    """(e) what a LoRA of rank 8 on all attention of the UNet costs, in the weights, as here, and in layers of
    its own, as diffusers' pipelines have it."""
    import numpy
    from safetensors.torch import load_file
    from torch.utils._python_dispatch import TorchDispatchMode

    from ..core.image_generator import ImageGenerator
    from . import full_size_sdxl

    registry, path = Registry(settings), settings.loras / "benchmark.safetensors"
    checkpoint = registry.checkpoint(STARTER)
    full_size_sdxl.lora(checkpoint, path)
    registry.refresh()
    fields = {"prompt": "a red duck", "base_model": STARTER, "seed": 1, "steps": 20, "sampler": "Euler"}
    names = ("20 steps without a LoRA", "20 steps, a LoRA in the weights", "20 steps, in peft's layers")
    images: dict[str, Any] = {}

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += 1
            return func(*args, **(kwargs or {}))

    def drawing(name: str, loras: Sequence[Any] = (), is_layered: bool = False) -> tuple[str, Work]:
        generator = ImageGenerator(registry=registry, precision=precision)
        if is_layered:
            pipe = generator.pipelines.get(checkpoint, lambda text: None).pipe
            pipe.load_lora_weights(load_file(path))
        request: GenerationRequest = build_request(registry, {**fields, "loras": list(loras)})

        def draw() -> None:
            (made,) = generator.generate(request, checkpoint, SilentReporter())
            images[name] = numpy.asarray(made.image).astype(int)

        return name, draw

    works = [
        drawing(names[0]),
        drawing(names[1], [{"name": path.stem, "weight": 1.0}]),
        drawing(names[2], is_layered=True),
    ]
    show("(e) pictures with a LoRA", in_turns(works, rounds), names[0])
    for name, draw in works:
        with Counting() as operations:
            draw()
        print(f"  {name:<34} {operations.count:8,} operations of torch")
    apart, effect = (numpy.abs(images[names[1]] - images[name]).mean() for name in (names[2], names[0]))
    print(f"  both ways differ by {apart:.2f} of 255 levels on average, the LoRA changes {effect:.1f}")


def full_size(rounds: int, steps: int, side: int, precision: str | None, batches: Sequence[int]) -> None:
    """(c) steps per second and peak memory, as a share of the device's own matrix peak."""
    import torch

    from ..core.cards import card_of
    from ..core.devices import best_device, chosen_dtype
    from . import full_size_sdxl

    device = best_device()
    dtype = chosen_dtype(card_of(device), precision, is_large=True)
    peak = full_size_sdxl.matrix_peak(device, dtype)
    print(f"\n(c) full-size SDXL, random weights, {side} x {side}, {steps} steps, {device}, {dtype}")
    print(f"  measured matrix-multiply peak: {peak / 1e12:.1f} TFLOP/s")
    pipe = full_size_sdxl.pipeline(device, dtype)
    for batch in batches:
        for name, work in full_size_sdxl.works(pipe, steps, batch, side):
            if device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats(device)
            taken = in_turns([(name, work)], rounds)[name]
            rate = steps * batch / statistics.median(each.clock for each in taken)
            # Two forwards a step (guidance).
            share = rate * 2 * full_size_sdxl.FORWARD[side] / peak
            print(
                f"  batch {batch}  {name:<24} {rate:8.4f} steps/s  {share:6.1%} of the peak  "
                f"{full_size_sdxl.peak_memory(device) / 2**30:.1f} GiB"
            )


def main(arguments: Sequence[str]) -> int:
    command = parser("generation", __doc__)
    command.add_argument(
        "--rounds", type=int, default=5, help="how often each is measured, at least 2 (default 5)"
    )
    command.add_argument("--seconds", type=float, default=4.0, help="length of (a)'s picture (default 4)")
    command.add_argument("--full-size", action="store_true", help="measure SDXL's own size too; wants a GPU")
    command.add_argument("--steps", type=int, default=20, help="steps of the full-size picture (default 20)")
    command.add_argument(
        "--side", type=int, choices=(512, 768, 1024), default=1024, help="its size in pixels (default 1024)"
    )
    command.add_argument(
        "--precision", choices=PRECISION, help="(c)'s and (e)'s precision (default: by the device)"
    )
    command.add_argument("--batches", type=int, nargs="+", default=[1, 4], help="its batches (default 1 4)")
    command.add_argument("--only-full-size", action="store_true", help="leave the other measurements out")
    command.add_argument("--checkpoints", type=Path, default=None, help="another checkpoint folder")
    options = command.parse_args(arguments)
    if options.rounds < 2:
        command.error("--rounds must be at least 2")
    begin()
    given = {"checkpoints": options.checkpoints} if options.checkpoints else {}
    if not options.only_full_size:
        with temporary_settings(preload=False, **given) as settings:
            studio_overhead(settings, options.rounds, options.seconds)
            switching(settings, options.rounds)
            previewing(settings, options.rounds)
            with_a_lora(settings, options.rounds, options.precision)
    if options.full_size or options.only_full_size:
        full_size(options.rounds, options.steps, options.side, options.precision, options.batches)
    return 0
