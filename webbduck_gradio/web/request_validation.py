"""Size limits and validation of request bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Receive, Scope

from ..api.client_files import NOT_OURS
from ..errors import RequestError

MAX_VALUES = 50_000
"""Values in one body; legitimate requests have far fewer."""
MAX_DEPTH = 60
"""Nesting depth; Gradio processes values recursively."""

MIN_BYTES, WITHIN_SECONDS = 20 * 16 * 1024, 20.0
"""Minimum bytes of a body per period that the server spends waiting for it."""


class BodyTooLargeError(RequestError):
    """The body exceeds the route's limit."""


def limit_body(receive: Receive, most: int) -> Receive:
    """`receive` that raises `BodyTooLargeError` after more than `most` bytes."""
    received = 0

    async def receiving() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise BodyTooLargeError(too_large(most))
        return message

    return receiving


class BodyTooSlowError(RequestError):
    """The client stopped sending, or sends too slowly."""


def limit_slowness(receive: Receive) -> Receive:
    """`receive` that raises `BodyTooSlowError` if the body arrives too slowly. Only time spent waiting for
    the client counts; there is no limit after the body."""
    waited, received, ended = 0.0, 0, False

    async def receiving() -> Message:
        nonlocal waited, received, ended
        if ended:
            return await receive()
        clock = asyncio.get_running_loop().time
        start = clock()
        try:
            async with asyncio.timeout(WITHIN_SECONDS - waited):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlowError(
                f"The request was aborted: less than {MIN_BYTES >> 10} KiB of it arrived within "
                f"{WITHIN_SECONDS:.0f} seconds."
            ) from None
        waited += clock() - start
        received += len(message.get("body", b""))
        if received >= MIN_BYTES:
            waited, received = 0.0, 0
        ended = not message.get("more_body", False)
        return message

    return receiving


def is_ambiguous(scope: Scope) -> bool:
    """Whether a request declares its length in two ways, or in one that its HTTP version does not support
    (request smuggling)."""
    names = [name.lower() for name, _ in scope["headers"]]
    if b"transfer-encoding" not in names:
        return False
    return b"content-length" in names or scope.get("http_version") == "1.0"


def too_large(most: int) -> str:
    size = f"{most >> 20} MiB" if most >= 2**20 else f"{most:,} bytes"
    return f"The request is larger than the limit of {size}."


def content_length(scope: Scope) -> int:
    """The declared length of the body in bytes; 0 if missing. Raises `RequestError`."""
    text = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
    if not text.isdigit() or len(text) > 15:
        raise RequestError("The request's Content-Length is not a number.")
    return int(text)


def check_is_json(scope: Scope) -> None:
    """Raises `RequestError` if the content type is not JSON."""
    kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
    if kind.split(b";")[0].strip().lower() != b"application/json":
        raise RequestError("Send the request as JSON, with the header Content-Type: application/json.")


async def read_body(receive: Receive) -> bytes:
    """The whole body; `receive` must be limited already."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns an already read body again."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


@dataclass(frozen=True)
class Signature:
    """Parameter names of an endpoint, in order; `needed` are those without a default."""

    names: tuple[str, ...]
    needed: frozenset[str]


def parse_json(body: bytes, is_own_file: Callable[[str], bool]) -> dict[str, Any]:
    """The JSON object in a body. Raises `RequestError` for anything else.

    `is_own_file` decides whether a client may refer to a path.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("The request is not readable JSON.") from None
    if not isinstance(value, dict):
        raise RequestError('The request must be a JSON object, for example {"data": []}.')
    check_values(value, is_own_file)
    return value


def check_values(value: Any, is_own_file: Callable[[str], bool]) -> None:
    """Raise `RequestError` for too many or too deeply nested values, URLs instead of files (Gradio would
    fetch them), and files that the client may not refer to. Does not recurse."""
    stack, count = [(value, 0)], 0
    while stack:
        each, depth = stack.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise RequestError("The request is too large or too deeply nested.")
        if isinstance(each, dict):
            path = each.get("path")
            if isinstance(path, str) and path.lstrip().lower().startswith(("http:", "https:", "//", "ftp:")):
                raise RequestError("Pictures must be uploaded; URLs are not fetched.")
            if "meta" in each and not (isinstance(path, str) and is_own_file(path)):
                raise RequestError(NOT_OURS)
            stack.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            stack.extend((inner, depth + 1) for inner in each)


def check_call(path: str, payload: dict[str, Any], endpoints: Mapping[str, Signature]) -> None:
    """Check the parameters of a call; Gradio would silently drop surplus ones.

    Raises `RequestError`. `path` begins with /gradio_api/call/.
    """
    name = path.removeprefix("/gradio_api/call/").rstrip("/")
    by_name = name.startswith("v2/")
    name = name.removeprefix("v2/")
    endpoint = endpoints.get(name)
    if endpoint is None:
        raise RequestError(f"There is no endpoint /{name[:60]}.")
    if by_name:
        unknown = next((each for each in payload if each not in endpoint.names), None)
        if unknown is not None:
            raise RequestError(f"/{name} has no parameter named {unknown[:60]!r}.")
        missing = next((each for each in endpoint.names if each in endpoint.needed - payload.keys()), None)
        if missing is not None:
            raise RequestError(f"/{name} needs the parameter {missing}.")
        return
    data = payload.get("data")
    if not isinstance(data, list):
        raise RequestError('The request must hold a list named "data".')
    if len(data) != len(endpoint.names):
        raise RequestError(
            f"/{name} takes {len(endpoint.names)} values in data, not {len(data)}; "
            f"/gradio_api/call/v2/{name} takes them by name and fills in the rest."
        )


def check_event(payload: dict[str, Any], lengths: Mapping[int, int]) -> None:
    """Check a call by the page or gradio_client: `fn_index` and the number of values."""
    number, data = payload.get("fn_index"), payload.get("data")
    if not isinstance(number, int) or isinstance(number, bool) or number not in lengths:
        raise RequestError("There is no such endpoint; reload the page if the studio was restarted.")
    if not isinstance(data, list) or len(data) != lengths[number]:
        raise RequestError(f'The request must hold a list named "data" with {lengths[number]} values.')
