"""Images and zip files by id, under /media/.

Small images are served here, because the page shows dozens at once; large ones go to Gradio's file route.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import anyio.to_thread
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import NotFoundError, WebbDuckError
from ..gallery.export import exported
from ..services import Services
from .csp import PICTURE, with_headers
from .responses import error_response

JOB_ID = re.compile(r"[0-9a-f]{8,64}")


class Media:
    """Handles requests under /media/; `app` is Gradio's."""

    def __init__(self, app: ASGIApp, services: Services):
        self._app, self._services = app, services
        self._small: dict[str, Callable[[str], Path]] = {
            "thumb": self._services.thumbnails.thumbnail,
            "trash": self._deleted,
            "lora": lambda name: self._services.lora_previews.picture(name),
            "embedding": self._embedding,
            "style": lambda name: self._services.style_previews.picture(name),
            "input-thumb": self._input_thumbnail,
        }

    async def __call__(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        kind, _, name = path.removeprefix("/media/").partition("/")
        try:
            if kind == "preview":
                await self._preview(name, scope, receive, send)
                return
            if kind == "input":
                await self._input(name, scope, receive, send)
                return
            if kind in self._small:
                await self._small_picture(kind, name, scope, receive, send)
                return
            file = self._services.outputs.resolve(name) if kind == "image" else self._exported(kind, name)
        except WebbDuckError as error:
            await error_response(str(error), 404)(scope, receive, send)
            return
        route = f"/gradio_api/file={file}"
        inner = dict(scope, path=route, raw_path=quote(route).encode())
        headers = [*PICTURE, (b"cache-control", b"private, max-age=86400")]
        await self._app(inner, receive, with_headers(send, headers))

    def _exported(self, kind: str, name: str) -> Path:
        """An exported zip file. Raises `NotFoundError`."""
        if kind != "export":
            raise NotFoundError("There is no such picture.")
        return exported(self._services.settings, name)

    async def _small_picture(self, kind: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a thumbnail directly, because the page shows dozens at once. Raises `WebbDuckError`."""
        make = self._small[kind]

        def content() -> bytes:
            try:
                return make(name).read_bytes()
            except OSError:
                raise NotFoundError("There is no such picture.") from None

        response = Response(await anyio.to_thread.run_sync(content), media_type="image/webp")
        headers = [*PICTURE, (b"cache-control", b"private, max-age=86400")]
        await response(scope, receive, with_headers(send, headers))

    def _input_thumbnail(self, file_id: str) -> Path:
        """Thumbnail of a job's input image. Raises `NotFoundError`."""
        return self._services.thumbnails.of_file(self._services.inputs.path(file_id), file_id, 256)

    def _embedding(self, name: str) -> Path:
        """Small copy of the picture beside an embedding. Raises `NotFoundError`."""
        found = (each.preview for each in self._services.registry.embeddings() if each.name == name)
        preview = next(found, None)
        if preview is None:
            raise NotFoundError("There is no such picture.")
        return self._services.thumbnails.of_preview(preview[0], f"embedding/{name}")

    def _deleted(self, name: str) -> Path:
        """Thumbnail of an image in the trash: ENTRY/RUN/0.png."""
        entry, _, image_id = name.partition("/")
        path = self._services.trash.path(entry, image_id)
        return self._services.thumbnails.of_file(path, image_id)

    async def _preview(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a live preview from memory: its file is replaced several times a second."""
        job_id = name.removesuffix(".jpg")
        if not JOB_ID.fullmatch(job_id):
            raise NotFoundError("There is no such picture.")
        path = self._services.worker.previews.path(job_id)
        try:
            content = await anyio.to_thread.run_sync(path.read_bytes)
        except OSError:
            raise NotFoundError("The preview is gone; its job has ended.") from None
        response = Response(content, media_type="image/jpeg", headers={"cache-control": "no-cache"})
        await response(scope, receive, with_headers(send, PICTURE))

    async def _input(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an input image by id. Ids are content hashes, so it can be cached forever."""
        response = FileResponse(self._services.inputs.path(name))
        headers = [*PICTURE, (b"cache-control", b"private, max-age=31536000, immutable")]
        await response(scope, receive, with_headers(send, headers))
