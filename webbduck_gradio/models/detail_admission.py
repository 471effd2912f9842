"""Detail passes and what is installed: named as the catalog does, and refused before they are queued."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import RequestError
from ..request import DetailPass, GenerationRequest
from ..request.detail_requests import prompts_in, region_requests
from .catalog.lookup import find, near, quoted
from .catalog.registry import Registry
from .detectors import Detector
from .prompt_resolver import ResolvedPrompt, details_vary, resolve_prompt


def with_catalog_name(catalog: Registry, each: Any) -> Any:
    """A detail pass with the catalog's name of its detector. `checked` refuses unknown ones."""
    if isinstance(each, DetailPass):
        each = each.model_dump()
    name = each.get("detector") if isinstance(each, dict) else None
    if not isinstance(name, str):
        return each
    found = find(name, catalog.detectors()).model
    return each if found is None else {**each, "detector": found.name}


def detectors_of(catalog: Registry, request: GenerationRequest) -> list[Detector]:
    """The detector of each pass. Raises `NotFoundError`, `ModelError`."""
    return [catalog.detector(each.detector) for each in request.details]


def region_wordings(
    catalog: Registry, request: GenerationRequest, number: int, count: int, index: int = 0
) -> Iterator[tuple[GenerationRequest, ResolvedPrompt] | None]:
    """The request of each of `count` regions of pass `number` (from 0) of image `index`, and what its prompt
    comes to; None for a region that stays as it is. Raises what `resolve_prompt` raises."""
    for place, region in enumerate(region_requests(request, request.details[number], count)):
        if region is None:
            yield None
            continue
        if details_vary(request):  # each region draws words of its own, which were not listed before
            region = region.model_copy(update={"embeddings": None})
        yield region, resolve_prompt(catalog, region, index, request, f"details {number} {place} ")


def checked(
    catalog: Registry, request: GenerationRequest, index: int = 0
) -> Iterator[tuple[GenerationRequest, ResolvedPrompt]]:
    """Each request that the passes draw regions of image `index` with, and what its prompt comes to.

    Raises `NotFoundError`, `ModelError` or `RequestError` for a detector, a class or a prompt that cannot be
    used.
    """
    detectors = detectors_of(catalog, request)
    for number, (each, detector) in enumerate(zip(request.details, detectors, strict=True)):
        _check_classes(each, detector)
        for wording in region_wordings(catalog, request, number, prompts_in(each), index):
            if wording is not None:
                yield wording


def _check_classes(each: DetailPass, detector: Detector) -> None:
    known = {name.casefold() for name in detector.classes}
    for name in each.classes:
        if name.strip().casefold() not in known:
            close = near(name, [_Named(each) for each in detector.classes]) or list(detector.classes[:8])
            raise RequestError(
                f"{detector.name} does not find {quoted(name)}; it finds {', '.join(close)}"
                + ("." if len(close) == len(detector.classes) else ", among others.")
            )


class _Named:
    def __init__(self, name: str):
        self.name = name
