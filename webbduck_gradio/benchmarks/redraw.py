"""Memory and time of a picture that is redrawn in tiles ("Upscale with detail").

Enlarges and redraws a picture as a job of the studio does, the saved PNG included, and prints the memory that
it takes at most above the idle studio with the checkpoint loaded, and the time per megapixel.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from io import BytesIO

import psutil
from PIL import Image

from ..jobs.job import Job
from ..services import Services
from .common import begin, parser, peak_memory, temporary_settings, timed

MEBIBYTE = 2**20


def _picture(side: int) -> bytes:
    """A fractal."""
    file = BytesIO()
    Image.effect_mandelbrot((side, side), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(file, "PNG")
    return file.getvalue()


def measure(side: int, scale: float, steps: int, strength: float, tile_size: int | None) -> Job:
    with temporary_settings() as settings:
        services = Services.start(settings)
        try:
            services.worker.warm_up()
            image = services.inputs.store(_picture(round(side / scale)))
            asked = {
                "image": image,
                "scale": scale,
                "steps": steps,
                "strength": strength,
                "tile_size": tile_size,
                "prompt": "a yellow duck in a meadow",
                "seed": 1,
            }
            job = services.submit(asked, "redraw")
            idle = psutil.Process().memory_info().rss
            _, took = timed(services.worker.run_next)
            job = services.store.get(job.id)
            if job.state != "completed":
                raise SystemExit(f"The job ended as {job.state}: {job.error}")
            with Image.open(services.outputs.resolve(job.images[0])) as result:
                width, height = result.size
        finally:
            services.worker.shutdown()
            services.outputs.close()
    above, megapixels = peak_memory() - idle, width * height / 1e6
    print(
        f"  {width} x {height} px, {steps} steps at strength {strength:g}: {took.clock:.1f} s, "
        f"{took.clock / megapixels:.2f} s per megapixel "
        f"({took.work / megapixels:.2f} s of the processor), idle {idle / MEBIBYTE:.0f} MiB, "
        f"at most {above / MEBIBYTE:.0f} MiB above it",
        flush=True,
    )
    return job


def main(arguments: Sequence[str]) -> int:
    command = parser("redraw", __doc__)
    command.add_argument("--side", type=int, default=8192, help="of the result in pixels (default 8192)")
    command.add_argument("--scale", type=float, default=4.0, help="default 4")
    command.add_argument("--steps", type=int, default=4, help="before the strength is applied (default 4)")
    command.add_argument("--strength", type=float, default=0.35, help="default 0.35")
    command.add_argument("--tile-size", type=int, help="in pixels; by default the checkpoint's native size")
    options = command.parse_args(arguments)
    logging.getLogger("webbduck_gradio").setLevel(logging.WARNING)
    begin()
    measure(options.side, options.scale, options.steps, options.strength, options.tile_size)
    return 0
