"""What the page's upscale menu (shared/upscale_menu.js) and its dialog offer for a picture, and the jobs that
they ask for; Studio and Gallery serve them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from ...api.gradio_helpers import error_as_dict
from ...api.serializers import upscalers_view
from ...gallery import metadata
from ...gallery.metadata import infotext_redraw, recall
from ...jobs.job import Job
from ...models.catalog.defaults import Defaults
from ...models.catalog.lookup import find
from ...models.catalog.registry import Checkpoint
from ...models.sizes import ABOVE
from ...models.upscalers import MAX_UPSCALED_PIXELS
from ...request import UpscaleRequest
from ...request.redraw_request import MAX_REDRAWN_SIDE
from ...services import Services
from ...storage.images import probe

SCALES: tuple[int, ...] = get_args(UpscaleRequest.model_fields["scale"].annotation)
TILE_SIZES = (128, 256, 512)
"""What the menu offers for an upscaling model, in pixels of the picture."""
REDRAWN_TILES = (512, 768, 1024, 1536)
"""What the dialog offers beside the checkpoint's native size, in pixels of the result."""
OF_REDRAW = ("scale", "upscaler", "tile_size", "strength", "prompt", "captioner")
"""What a page may ask of a redrawing."""


def upscale_choices(services: Services) -> Callable[[Any], dict[str, Any]]:
    """A server function: for the id of a gallery or input picture the `upscalers` with the reason if one
    cannot be used, the `scales`, the `tile_sizes`, the picture's `width` and `height`, how many pixels a
    result may have at `most`, and in `detail` what the dialog begins with."""

    def webbduck_upscalers(image_id: Any) -> dict[str, Any]:
        def choices() -> dict[str, Any]:
            path = services.worker.context.picture_path(str(image_id))
            width, height = probe(path, "The picture").size
            found = metadata.read(path)
            before = (found["upscaled"] or {}).get("redraw") or infotext_redraw.read(found["fields"])
            if not isinstance(before, Mapping):
                before = {}
            drawn_by = _checkpoint_of(services, path)
            usual = drawn_by.defaults if drawn_by else Defaults
            usable = (each.name for each in services.registry.captioners() if each.unusable is None)
            return {
                "upscalers": upscalers_view(services),
                "scales": list(SCALES),
                "tile_sizes": list(TILE_SIZES),
                "width": width,
                "height": height,
                "most": MAX_UPSCALED_PIXELS,
                "detail": {
                    "prompt": found["prompt"],
                    "scale": before.get("scale", usual.redraw_scale),
                    "strength": before.get("strength", usual.redraw_strength),
                    "recommended": usual.redraw_strength,
                    "too_strong": usual.redraw_strength + ABOVE,
                    "checkpoint": drawn_by.name if drawn_by else None,
                    "tile_size": before.get("tile_size"),
                    "tile_sizes": list(REDRAWN_TILES),
                    "longest": MAX_REDRAWN_SIDE,
                    "captioner": next(usable, None),
                },
            }

        return error_as_dict(choices)

    return webbduck_upscalers


def _checkpoint_of(services: Services, path: Path) -> Checkpoint | None:
    """The checkpoint that redraws a picture unless another is asked for: its own, else the default one."""
    told = recall.understand(path)["fields"].get("base_model")
    own = find(told, services.registry.checkpoints()).model if isinstance(told, str) else None
    return own if own and not own.unusable and own.arch == "sdxl" else services.registry.default_checkpoint()


def submit_upscaling(services: Services, image_id: Any, asked: Mapping[str, Any], owner: str | None) -> Job:
    """Queue what the menu or the dialog asked for. Raises `WebbDuckError`."""
    if asked.get("detail"):
        wanted = {name: asked.get(name) for name in OF_REDRAW}
        return services.submit({"image": image_id, **wanted}, "redraw", owner)
    names = ("scale", "upscaler", "tile_size")
    return services.submit({"image": image_id, **{name: asked.get(name) for name in names}}, "upscale", owner)
