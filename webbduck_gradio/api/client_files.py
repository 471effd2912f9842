"""Images that clients send or refer to, and the URLs of images that they may fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import NotFoundError, RequestError
from ..gallery.run_layout import is_image_id
from ..jobs.context import is_input
from ..services import Services, inside
from .gradio_internals import upload_folder

NOT_OURS = "The image must be an uploaded file or the id of a picture in the gallery."


def media_url(kind: str, name: str) -> str:
    """URL of an image, relative to the page; `kind` is image, thumb, input, input-thumb or preview."""
    return f"media/{kind}/{quote(name)}"


def client_file(services: Services, value: Any) -> Path:
    """The file of an image parameter sent by a client: an upload, or a gallery image or an input picture by
    id.

    Raises `RequestError` for any other path, since {"path": ...} could name any file on the server.
    """
    name = value.get("path") if isinstance(value, dict) else getattr(value, "path", value)
    if not isinstance(name, str) or not name or "\0" in name:
        raise RequestError(NOT_OURS)
    try:
        path = Path(name)
        if path.is_absolute() and inside(path, upload_folder()) and path.resolve().is_file():
            return path.resolve()
        return services.inputs.path(name) if is_input(name) else services.outputs.resolve(name)
    except NotFoundError as missing:
        # Also one that was deleted between a client's look at the gallery and its request.
        raise RequestError(str(missing) if is_image_id(name) or is_input(name) else NOT_OURS) from None
    except (OSError, ValueError):
        raise RequestError(NOT_OURS) from None


def stored_input(services: Services, value: Any) -> str | None:
    """Store a client's image as an input image and return its id; None for None."""
    return None if value is None else services.inputs.store(client_file(services, value))


def named_input(services: Services, value: Any) -> tuple[str, str]:
    """As `stored_input`, with the file's name, which is noted: (id, name)."""
    path = client_file(services, value)
    told = value.get("orig_name") if isinstance(value, dict) else getattr(value, "orig_name", None)
    name = told if isinstance(told, str) and told else path.name
    return services.inputs.store(path, name), name


def picture_id(services: Services, value: Any) -> str:
    """The id of a gallery image unchanged, or of an uploaded file after storing it as an input image."""
    path = client_file(services, value)
    # The upload folder is usually inside the output folder.
    if inside(path, services.outputs.root) and not inside(path, upload_folder()):
        return path.relative_to(services.outputs.root.resolve()).as_posix()
    return services.inputs.store(path)


def asked_picture(services: Services, value: Any) -> str:
    """As `picture_id`; raises `RequestError` if the parameter is missing."""
    if value is None:
        raise RequestError("image is missing; give a picture's id or a file.")
    return picture_id(services, value)
