"""What the page's upscale menu (shared/upscale_menu.js) offers for a picture; Studio and Gallery serve it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from ...api.gradio_helpers import error_as_dict
from ...api.serializers import upscalers_view
from ...models.upscalers import MAX_UPSCALED_PIXELS
from ...request import UpscaleRequest
from ...services import Services
from ...storage.images import probe

SCALES: tuple[int, ...] = get_args(UpscaleRequest.model_fields["scale"].annotation)


def upscale_choices(services: Services) -> Callable[[Any], dict[str, Any]]:
    """A server function: for a picture's id the `upscalers` with the reason if one cannot be used, the
    `scales`, the picture's `width` and `height`, and how many pixels a result may have at `most`."""

    def webbduck_upscalers(image_id: Any) -> dict[str, Any]:
        def choices() -> dict[str, Any]:
            width, height = probe(services.outputs.resolve(str(image_id)), "The picture").size
            return {
                "upscalers": upscalers_view(services),
                "scales": list(SCALES),
                "width": width,
                "height": height,
                "most": MAX_UPSCALED_PIXELS,
            }

        return error_as_dict(choices)

    return webbduck_upscalers
