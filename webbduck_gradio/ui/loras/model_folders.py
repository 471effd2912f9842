"""What the dialog "Model folders" asks of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...api import model_folders
from ...api.gradio_helpers import error_as_dict
from ...errors import NameTakenError, RequestError
from ...services import Services


def server_function(services: Services) -> Callable[[Any], dict[str, Any]]:
    """The view's function. Its `action` is list, check, add or remove, with the `path` and `label` of the
    endpoints; all but check return `folders`, `suggestions`, and the `refusal` where none can be added. Where
    a label is refused, the answer's `label` is one that is possible."""

    def webbduck_model_folders(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: _done(services, asked if isinstance(asked, dict) else {}))

    return webbduck_model_folders


def _done(services: Services, asked: dict[str, Any]) -> dict[str, Any]:
    action, path, label = asked.get("action"), asked.get("path"), asked.get("label")
    done: dict[str, Any] = {}
    if action == "check":
        return {"checked": model_folders.check_model_folder(services, path)}  # type: ignore[arg-type]
    if action == "add":
        try:
            done["added"] = model_folders.add_model_folder(services, path, label or "")  # type: ignore[arg-type]
        except NameTakenError as error:
            return {"error": str(error), "label": error.free}
    elif action == "remove":
        model_folders.remove_model_folder(services, label)  # type: ignore[arg-type]
    elif action != "list":
        raise RequestError("The page sent an invalid request (model folders).")
    return done | {
        "folders": model_folders.model_folders(services),
        "suggestions": model_folders.suggestions(services),
        "refusal": None if services.settings.is_loopback_only else model_folders.ONLY_AT_START,
    }
