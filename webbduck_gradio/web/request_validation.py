"""Bodies of requests: bounded while they are read, and looked at before Gradio acts on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Receive, Scope

from ..errors import RequestError

MOST_VALUES = 50_000
"""Values in one body; more is no request of ours."""
DEEPEST = 60
"""Gradio itself walks over the values by recursion."""

LEAST_BYTES, WITHIN_SECONDS = 20 * 16 * 1024, 20.0
"""A body must bring so many bytes, or its end, in each such time that the server waits for it."""

NOT_OURS = "The image must be an uploaded file or the id of a picture in the gallery."


class BodyTooLargeError(RequestError):
    """More bytes than the route takes."""


def limit_body(receive: Receive, most: int) -> Receive:
    """`receive` that raises `BodyTooLargeError` once more than `most` bytes have come."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise BodyTooLargeError(too_large(most))
        return message

    return receiving


class BodyTooSlowError(RequestError):
    """The client stopped sending, or nearly."""


def limit_slowness(receive: Receive) -> Receive:
    """`receive` that raises `BodyTooSlowError` where a body comes too slowly. Only the time counts for which
    the client is waited for; after the body there is no limit."""
    waited, came, ended = 0.0, 0, False

    async def receiving() -> Message:
        nonlocal waited, came, ended
        if ended:
            return await receive()
        clock = asyncio.get_running_loop().time
        start = clock()
        try:
            async with asyncio.timeout(WITHIN_SECONDS - waited):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlowError(
                f"The request was broken off: less than {LEAST_BYTES >> 10} KiB of it came in "
                f"{WITHIN_SECONDS:.0f} seconds."
            ) from None
        waited += clock() - start
        came += len(message.get("body", b""))
        if came >= LEAST_BYTES:
            waited, came = 0.0, 0
        ended = not message.get("more_body", False)
        return message

    return receiving


def is_ambiguous(scope: Scope) -> bool:
    """Whether a request tells its body's end in two ways, or in one that its version of HTTP does not have:
    what one server takes for the body's end is another's next request."""
    names = [name.lower() for name, _ in scope["headers"]]
    if b"transfer-encoding" not in names:
        return False
    return b"content-length" in names or scope.get("http_version") == "1.0"


def too_large(most: int) -> str:
    size = f"{most >> 20} MiB" if most >= 2**20 else f"{most:,} bytes"
    return f"The request is larger than the {size} that are possible here."


def content_length(scope: Scope) -> int:
    """Bytes that the request says it carries; 0 where it does not say. Raises `RequestError`."""
    text = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
    if not text.isdigit() or len(text) > 15:
        raise RequestError("The request's Content-Length is no number.")
    return int(text)


def check_is_json(scope: Scope) -> None:
    """Raises `RequestError` where the request does not call itself JSON."""
    kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
    if kind.split(b";")[0].strip().lower() != b"application/json":
        raise RequestError("Send the request as JSON, with the header Content-Type: application/json.")


async def read_body(receive: Receive) -> bytes:
    """All of a body that is bounded already."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read once more."""
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
    """An endpoint's parameters by name, in order; `needed` are those without a default."""

    names: tuple[str, ...]
    needed: frozenset[str]


def parse_json(body: bytes, ours: Callable[[str], bool]) -> dict[str, Any]:
    """The JSON table of a body. Raises `RequestError` with one sentence for anything else.

    `ours` tells whether a path lies where clients' files do.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("The request is not readable JSON.") from None
    if not isinstance(value, dict):
        raise RequestError('The request must be a JSON table, for example {"data": []}.')
    check_values(value, ours)
    return value


def check_values(value: Any, ours: Callable[[str], bool]) -> None:
    """Refuse what is too much or too deep to be meant, addresses in place of files (Gradio would fetch them),
    and files that are not the client's own. Walks without recursion."""
    left, seen = [(value, 0)], 0
    while left:
        each, depth = left.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise RequestError("The request holds more values than any request of the studio.")
        if isinstance(each, dict):
            path = each.get("path")
            if isinstance(path, str) and path.lstrip().lower().startswith(("http:", "https:", "//", "ftp:")):
                raise RequestError("Pictures are uploaded, never fetched from an address.")
            if "meta" in each and not (isinstance(path, str) and ours(path)):
                raise RequestError(NOT_OURS)
            left.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            left.extend((inner, depth + 1) for inner in each)


def check_call(path: str, asked: dict[str, Any], endpoints: Mapping[str, Signature]) -> None:
    """A call of an endpoint gives each parameter once; Gradio would drop what is over without a word.

    Raises `RequestError`. `path` begins with /gradio_api/call/.
    """
    name = path.removeprefix("/gradio_api/call/").rstrip("/")
    by_name = name.startswith("v2/")
    name = name.removeprefix("v2/")
    endpoint = endpoints.get(name)
    if endpoint is None:
        raise RequestError(f"There is no endpoint /{name[:60]}.")
    if by_name:
        unknown = next((each for each in asked if each not in endpoint.names), None)
        if unknown is not None:
            raise RequestError(f"/{name} has no parameter named {unknown[:60]!r}.")
        missing = next((each for each in endpoint.names if each in endpoint.needed - asked.keys()), None)
        if missing is not None:
            raise RequestError(f"/{name} needs the parameter {missing}.")
        return
    data = asked.get("data")
    if not isinstance(data, list):
        raise RequestError('The request must hold a list named "data".')
    if len(data) != len(endpoint.names):
        raise RequestError(
            f"/{name} takes {len(endpoint.names)} values in data, not {len(data)}; "
            f"/gradio_api/call/v2/{name} takes them by name and fills in the rest."
        )


def check_event(asked: dict[str, Any], lengths: Mapping[int, int]) -> None:
    """What the page and gradio_client send: the number of a function, and as many values as it takes."""
    number, data = asked.get("fn_index"), asked.get("data")
    if not isinstance(number, int) or isinstance(number, bool) or number not in lengths:
        raise RequestError("There is no such endpoint; reload the page if the studio was started anew.")
    if not isinstance(data, list) or len(data) != lengths[number]:
        raise RequestError(f'The request must hold a list named "data" with {lengths[number]} values.')
