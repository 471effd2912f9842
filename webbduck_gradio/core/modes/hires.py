"""The hires pass, which enlarges the finished images and redraws them at that size."""

from __future__ import annotations

import torch
from PIL import Image
from torch.nn import functional

from ...models.upscalers import Upscaler
from ...request import GenerationRequest
from ...request.hires_fields import LATENT_UPSCALERS
from .. import upscaling
from ..sampling.denoiser import ModelContext
from ..sampling.loop import LATENT_PIXELS, SamplingRun, within
from ..tile_reporter import TileReporter
from ..unfinished import Stage, Unfinished
from .img2img import encoded
from .passes import Drawn, Pass, of_latents

INTERPOLATION = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""torch's mode, and whether it is antialiased, of AUTOMATIC1111's upscalers of latents
(modules/shared_items.py)."""
ENLARGING = 0.1
"""About what share of the pass an upscaling model takes."""
assert tuple(INTERPOLATION) == LATENT_UPSCALERS


class HiresPass(Pass):
    """AUTOMATIC1111's hires fix (modules/processing.py, `sample_hr_pass`): new noise of the larger size from
    the same seeds, and img2img. At a scale of 1 that is the noise of the first pass once more."""

    status = "Hires pass"
    name = "Hires fix"
    keeps = "hires"

    def __init__(self, request: GenerationRequest, model: ModelContext, upscaler: str | Upscaler | None):
        """`upscaler`: the name of one of latents, or a model; None = Lanczos."""
        self._request, self._model, self._upscaler = request, model, upscaler
        self._network: upscaling.Network | None = None
        """Loaded for the first image, and kept for the job."""

    def work(self, request: GenerationRequest) -> float:
        width, height = request.hires_size
        return request.hires_pass_steps.drawn * width * height

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ("hires",)

    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        latents = None if before is None else self._enlarged(run, before)
        if isinstance(self._upscaler, Upscaler):
            run.span = within(run.span, ENLARGING), run.span[1]
        run.stage, run.picture = "hires", None
        sampling = run.begin(
            self._model,
            self._request.hires_size,
            steps=self._request.hires_pass_steps,
            latents=latents,
            request=self._request.for_hires_pass(),
        )
        if saved is not None:
            sampling.restore(saved)  # its latents hold the enlarged image already
        return of_latents(run, self._model, sampling.sample(self._model))

    def _enlarged(self, run: SamplingRun, before: Drawn) -> torch.Tensor:
        """Clean latents (n, 4, h, w) of the hires size."""
        if isinstance(self._upscaler, str):
            return _cut(self._interpolated(run, before), self._request.hires_size)
        run.reporter.status("Enlarging")
        pictures = before.images  # first: decoding them wants room, too
        # Room for encoding at this size, which is more than a tile of the upscaler takes.
        self._model.loaded.for_coding(self._request.hires_cover, torch.float32)
        enlarged = [
            self._enlarged_picture(run, run.index + number, each) for number, each in enumerate(pictures)
        ]
        run.reporter.check()
        run.reporter.status(self.status)
        return _cut(
            torch.cat([encoded(run, self._model, each) for each in enlarged]), self._request.hires_size
        )

    def _interpolated(self, run: SamplingRun, before: Drawn) -> torch.Tensor:
        assert isinstance(self._upscaler, str) and before.latents is not None
        mode, antialias = INTERPOLATION[self._upscaler]
        width, height = (side // LATENT_PIXELS for side in self._request.hires_cover)
        # On the CPU: not every device antialiases, and it is little work.
        return functional.interpolate(before.latents.cpu(), (height, width), mode=mode, antialias=antialias)

    def _enlarged_picture(self, run: SamplingRun, index: int, picture: Image.Image) -> Image.Image:
        """RGB, of the size that covers the result."""
        if self._upscaler is None:
            return picture.resize(self._request.hires_cover, Image.Resampling.LANCZOS)
        assert isinstance(self._upscaler, Upscaler)
        device = str(self._model.loaded.device)
        if self._network is None:
            self._network = upscaling.load(self._upscaler.path, device)
        number = index - run.index
        span = number / run.count * ENLARGING, (number + 1) / run.count * ENLARGING
        reporter = TileReporter(run.reporter, "Enlarging", lambda share: run.worked(within(span, share)))
        return upscaling.enlarge(picture, self._request.hires_cover, self._network, device, reporter)


def _cut(latents: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The middle of latents (n, 4, h, w) at the size of an image in pixels; of an odd rest the larger part is
    cut off below and at the right, as AUTOMATIC1111 does."""
    width, height = (side // LATENT_PIXELS for side in size)
    top, left = (latents.shape[2] - height) // 2, (latents.shape[3] - width) // 2
    return latents[:, :, top : top + height, left : left + width]
