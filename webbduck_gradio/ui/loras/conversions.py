"""What the LoRAs tab can ask for about pickles; what comes of it is in the page's channel "conversions"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...api.gradio_helpers import error_as_dict
from ...errors import RequestError
from ...models.conversion import pickles
from ...services import Services


def server_functions(services: Services) -> list[Callable[[Any], dict[str, Any]]]:
    """Each answers {error: sentence} where it cannot be done."""

    def webbduck_convert(asked: Any) -> dict[str, Any]:
        """`asked`: {kind, name} of one pickle, or {kinds}, for all that are not converted yet."""

        def convert() -> dict[str, Any]:
            if isinstance(asked, dict) and isinstance(asked.get("kinds"), list):
                return _convert_all(services, asked["kinds"])
            if not isinstance(asked, dict):
                raise RequestError("The page sent an invalid request (conversions).")
            services.conversions.add(asked.get("kind"), asked.get("name"))
            return {}

        return error_as_dict(convert)

    def webbduck_cancel_conversion(id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"state": services.conversions.cancel(id).state})

    def webbduck_clear_conversions(_asked: Any = None) -> dict[str, Any]:
        services.conversions.clear()
        return {}

    return [webbduck_convert, webbduck_cancel_conversion, webbduck_clear_conversions]


def _convert_all(services: Services, kinds: list[Any]) -> dict[str, Any]:
    refused = []
    open_now = {(each.kind, each.name) for each in services.conversions.items() if each.is_open}
    for each in pickles(services.registry):
        if each.kind in kinds and not each.done and (each.kind, each.name) not in open_now:
            try:
                services.conversions.add(each.kind, each.name)
            except RequestError as error:
                refused.append(str(error))
    return {"error": " ".join(refused)} if refused else {}
