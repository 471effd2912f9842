"""An endpoint is a function decorated with `@endpoint`; clients see its name, parameters and docstring.

Its first parameter is the studio's `Services`, which clients do not see. Gradio does not validate the
parameters of `gr.api`: the function does, or the request that it builds.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar, get_args, get_origin, is_typeddict

import gradio as gr

from ..errors import WebbDuckError
from ..services import Services

log = logging.getLogger(__name__)

Handler = TypeVar("Handler", bound=Callable[..., Any])

WAITING_CALLS = 64
"""Calls that may wait for their jobs at the same time; more than the queue's default limit."""
QUICK_OPTIONS: dict[str, Any] = {"concurrency_id": "ask", "concurrency_limit": 16}
"""Gradio's options of the endpoints that return immediately."""
WAITING_OPTIONS: dict[str, Any] = {"concurrency_id": "follow", "concurrency_limit": WAITING_CALLS}
"""Gradio's options of the endpoints that may wait for the end of a job."""
OPTIONS = "endpoint_options"


def endpoint(*, waits: bool = False) -> Callable[[Handler], Handler]:
    """Mark a function `name(services, ...)` as the endpoint `/name`; a final underscore, after a keyword of
    Python, is left out. `waits`: it may wait for a job."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, OPTIONS, WAITING_OPTIONS if waits else QUICK_OPTIONS)
        return handler

    return mark


def register(services: Services, *modules: ModuleType) -> None:
    """Add the endpoints of these modules to the Blocks being built, in source order."""
    for module in modules:
        for handler in vars(module).values():
            options = getattr(handler, OPTIONS, None)
            if options and handler.__module__ == module.__name__:
                gr.api(for_clients(services, handler), api_name=handler.__name__.removesuffix("_"), **options)


def for_clients(services: Services, handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler with `services` bound. A `WebbDuckError` reaches the client with its message; any other
    error is logged and hidden behind a general message."""
    signature = inspect.signature(handler, eval_str=True)
    first, *parameters = signature.parameters.values()
    assert first.name == "services", f"the first parameter of {handler.__name__} must be services"

    def as_gr_error(error: Exception) -> gr.Error:
        if isinstance(error, WebbDuckError):
            return gr.Error(str(error), print_exception=False)
        log.exception("An endpoint failed")
        return gr.Error(
            "An internal error occurred; the studio's log has the details.", print_exception=False
        )

    if asyncio.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return await handler(services, *args, **kwargs)
            except gr.Error:
                raise
            except Exception as error:
                raise as_gr_error(error) from None
    else:

        @functools.wraps(handler)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return handler(services, *args, **kwargs)
            except gr.Error:
                raise
            except Exception as error:
                raise as_gr_error(error) from None

    # Gradio reads the types from the signature and treats unevaluated ones as Any.
    answer = _as_gradio_knows(signature.return_annotation)
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=answer
    )
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    call.__annotations__["return"] = answer
    return call


def _as_gradio_knows(annotation: Any) -> Any:
    """The type with each TypedDict as a plain dict: Gradio describes classes that it does not know as {}."""
    if is_typeddict(annotation):
        return dict[str, Any]
    inner = tuple(_as_gradio_knows(each) for each in get_args(annotation))
    return get_origin(annotation)[inner] if get_origin(annotation) in (list, tuple) else annotation
