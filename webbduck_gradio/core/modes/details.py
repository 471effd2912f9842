"""Regions of the finished picture, found by detectors, are drawn again one after another.

Each is inpainted alone, at the size of the request, so that it gets as many pixels as a whole picture; what
lies outside the regions and their feathered edges stays to the bit. As the extension ADetailer of
AUTOMATIC1111 does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

import numpy
import torch
from PIL import Image, ImageChops, ImageDraw, ImageOps
from scipy.ndimage import maximum_filter, minimum_filter

from ...errors import GenerationError
from ...models import detail_admission
from ...models.catalog.registry import Registry
from ...models.detectors import Detector
from ...models.dynamic_prompts import draw_facts_of_details
from ...models.embeddings import Embedding
from ...models.prompt_resolver import ResolvedPrompt, details_vary
from ...request import MAX_SEED, DetailPass, GenerationRequest
from ...request.detail_requests import detail_request, prompts_in
from .. import seamless
from ..detection import Region
from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingRun, within
from ..sampling.noise import Seeds
from ..sampling.samplers.base import State
from ..unfinished import FOREIGN, DetailState, Stage, Unfinished
from ..yolo import whole_pixels
from . import inpaint
from .passes import Drawn, Pass, decoded

Find = Callable[[Image.Image, Detector, float], list[Region]]
"""As `Detectors.find`."""


class Load(Protocol):
    """Gives the checkpoint for a region's request."""

    def __call__(self, request: GenerationRequest, *, wording: ResolvedPrompt) -> ModelContext: ...


REGIONS_PER_PASS = 1000
"""More than a pass can find: region r of pass p draws with noise r + 1000 p, whatever else was found."""


@dataclass(frozen=True)
class Details(Pass):
    """All detail passes of a job."""

    request: GenerationRequest
    catalog: Registry
    find: Find
    load: Load
    limit: Image.Image | None = None
    """What of the picture may change (L, of its size); None = all."""
    index: int = 0
    """Of the image, whose seed draws the wildcards of its regions' prompts."""

    status = name = "Details"
    keeps = "detailed"

    @cached_property
    def detectors(self) -> list[Detector]:
        """One for each pass."""
        return detail_admission.detectors_of(self.catalog, self.request)

    def work(self, request: GenerationRequest) -> float:
        """As if each pass found as many regions as it may, or one."""
        return sum(map(self._work, request.details))

    def _work(self, each: DetailPass) -> float:
        steps = detail_request(self.request, each).first_pass_steps.drawn
        return max(1, each.count) * steps * self.request.width * self.request.height

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ("detail",)

    @cached_property
    def _all_words(self) -> list[ResolvedPrompt]:
        """What the prompt of each region of each pass comes to."""
        passes = enumerate(self.request.details)
        found = (self._wordings(number, prompts_in(each)) for number, each in passes)
        return [wording[1] for wordings in found for wording in wordings if wording]

    @property
    def embeddings(self) -> list[Embedding]:
        """That the regions' own prompts name."""
        return [each for words in self._all_words for each in words.embeddings]

    def origin(self) -> list[dict[str, str]]:
        """The detectors, and the LoRAs and embeddings that the regions' own prompts name, with their
        stamps."""
        loras = {lora.name: lora.stamp for words in self._all_words for lora, _ in words.loras}
        embeddings = {each.name: each.stamp for each in self.embeddings}
        named = [(each.name, each.stamp) for each in self.detectors]
        named += sorted(loras.items()) + sorted(embeddings.items())
        return [{"name": name, "stamp": stamp} for name, stamp in named]

    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        picture = saved.picture if saved is not None else before.images[0] if before is not None else None
        assert picture is not None  # a state of this stage has one
        state = saved.detail if saved is not None else None
        found = [] if state is None else list(state.found)
        for number in range(0 if state is None else state.number, len(self.detectors)):
            if state is not None:
                start = state
            else:
                regions = self._regions(run, picture, number)
                found.append(_facts(self.detectors[number], regions))
                drawn = (mask_of(each, picture.size, self.request.details[number].dilate) for each in regions)
                start = DetailState(number, 0, tuple(self._limited(each) for each in drawn), list(found))
            picture = self._redrawn(run, picture, start, saved)
            state = saved = None
        run.facts["details"] = found
        if details_vary(self.request):
            wordings = [self._wordings(place, len(each["regions"])) for place, each in enumerate(found)]
            texts = [[region and (region[0], region[1].drawn) for region in each] for each in wordings]
            run.facts["details_drawn"] = draw_facts_of_details(self.request, texts)
        return Drawn(lambda: [picture])

    def _regions(self, run: SamplingRun, picture: Image.Image, number: int) -> list[Region]:
        each, detector = self.request.details[number], self.detectors[number]
        run.reporter.status(f"Detecting with {detector.name}")
        run.reporter.check()
        regions = self.find(picture, detector, each.confidence)
        regions = chosen(regions, each, picture.size, self.limit)
        run.reporter.check()
        if not regions:
            where = " in the inpainted part" if self.limit is not None else ""
            run.warnings.append(
                f"{detector.name} found nothing to draw again{where} at confidence {each.confidence:g}; "
                "lower it, or choose another detector."
            )
        return regions

    def _wordings(self, number: int, count: int) -> list[tuple[GenerationRequest, ResolvedPrompt] | None]:
        return list(detail_admission.region_wordings(self.catalog, self.request, number, count, self.index))

    def _limited(self, mask: Image.Image) -> Image.Image:
        return mask if self.limit is None else ImageChops.darker(mask, self.limit)

    def _redrawn(
        self, run: SamplingRun, picture: Image.Image, start: DetailState, saved: Unfinished | None
    ) -> Image.Image:
        """The picture after the regions of a pass from `start` on. `saved`: the unfinished first of them."""
        count = len(start.masks)
        wordings = self._wordings(start.number, count)
        if saved is not None and wordings[start.region] is None:
            raise GenerationError(FOREIGN)
        span = self._span(run, start.number)
        for region in range(start.region, count):
            wording = wordings[region]
            if wording is None or start.masks[region].getbbox() is None:
                continue
            of_pass = f", pass {start.number + 1}" if len(self.detectors) > 1 else ""
            of_region = f"{self.name}{of_pass}, region {region + 1} of {count}"
            run.reporter.status(of_region)
            request, words = wording
            model = self.load(request, wording=words)
            mode = self._mode(request, picture, start.masks[region])
            regional = RegionRun(run, request, replace(start, region=region), picture)
            regional.span = within(span, region / count), within(span, (region + 1) / count)
            regional.pass_name = of_region
            with seamless.unwrapped(model.loaded.pipe.unet, model.loaded.pipe.vae):  # a region has borders
                sampling = mode.begin(regional, model)
                if saved is not None:
                    sampling.restore(saved)
                    saved = None
                picture = mode.finish(decoded(regional, model, sampling.sample(model))[0])
        return picture

    def _span(self, run: SamplingRun, number: int) -> tuple[float, float]:
        """The part of the picture's work that this detail pass is."""
        reached = list(accumulate(map(self._work, self.request.details), initial=0.0))
        begin, end = (within(run.span, each / reached[-1]) for each in reached[number : number + 2])
        return begin, end

    def _mode(self, request: GenerationRequest, picture: Image.Image, mask: Image.Image) -> inpaint.Inpaint:
        if self.limit is not None:  # the feathered edge lies inside, so that what is kept stays
            request = request.model_copy(update={"inpainting_fill": "keep"})
            mask = ImageOps.invert(mask)
        return inpaint.Inpaint(inpaint.prepare(request, picture, mask), request.mask_blur)


class RegionRun(SamplingRun):
    """The sampling of one region: with its own request and noise, and saved as a detail."""

    def __init__(
        self, owner: SamplingRun, request: GenerationRequest, detail: DetailState, picture: Image.Image
    ):
        super().__init__(
            request,
            owner.index,
            owner.reporter,
            owner._origin,
            owner._memory_warnings,
            owner.slow_steps,
        )
        self.warnings, self.stages = owner.warnings, owner.stages
        self.stage, self.picture, self._detail = "detail", picture, detail

    def _seeds(self, index: int, second: bool) -> Seeds:
        """Those of the image, moved beyond those of its passes: each region has noise of its own, which no
        other picture's seed gives."""
        number = REGIONS_PER_PASS * self._detail.number + self._detail.region
        beyond = (2 + number) * (MAX_SEED + 1)
        of_image = super()._seeds(index, second)
        return replace(of_image, seed=of_image.seed + beyond, variation_seed=of_image.variation_seed + beyond)

    def unfinished(self, state: State, total: int, noise: torch.Tensor, evaluations: int) -> Unfinished:
        return replace(super().unfinished(state, total, noise, evaluations), detail=self._detail)


def chosen(
    regions: Sequence[Region], each: DetailPass, size: tuple[int, int], limit: Image.Image | None = None
) -> list[Region]:
    """The regions that a pass draws, in their order. `regions`: the most confident first; `size`: of the
    picture; `limit`: what of it may change (L), None = all."""
    wanted = {name.strip().casefold() for name in each.classes}
    least, most = (share * size[0] * size[1] for share in (each.min_area, each.max_area))
    left = [
        region
        for region in regions
        if (not wanted or region.name.casefold() in wanted)
        and least <= _area(region) <= most
        and (limit is None or ImageChops.darker(mask_of(region, size), limit).getbbox() is not None)
    ]
    if each.order == "left to right":
        left.sort(key=lambda region: region.box[0])
    elif each.order == "size":
        left.sort(key=_area, reverse=True)
    return left[: each.count] if each.count else left


def _area(region: Region) -> float:
    left, top, right, bottom = region.box
    return (right - left) * (bottom - top)


def mask_of(region: Region, size: tuple[int, int], dilate: int = 0) -> Image.Image:
    """A region's mask (L): its outline, or its box, grown by a square of `dilate` pixels, or shrunk by one
    where that is negative; it may be empty then."""
    mask = region.mask
    if mask is None:
        mask = Image.new("L", size, 0)
        left, top, right, bottom = whole_pixels(region.box, size)
        ImageDraw.Draw(mask).rectangle((left, top, right - 1, bottom - 1), fill=255)
    if not dilate:
        return mask
    change = maximum_filter if dilate > 0 else minimum_filter
    edge = 0 if dilate > 0 else 255
    return Image.fromarray(change(numpy.asarray(mask), abs(dilate), mode="constant", cval=edge), "L")


def _facts(detector: Detector, regions: Sequence[Region]) -> dict[str, Any]:
    return {"detector": detector.name, "regions": [each.told() for each in regions]}
