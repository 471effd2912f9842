"""An endpoint is one function under `@endpoint`; its name, parameters and docstring are what clients see.

Its first parameter is the studio's `Services`, which clients do not see. Gradio validates none of the
parameters of `gr.api`: the function does, or the request that it makes of them.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import gradio as gr

from ..errors import WebbDuckError
from ..services import Services

log = logging.getLogger(__name__)

Handler = TypeVar("Handler", bound=Callable[..., Any])

WAITING_CALLS = 64
"""Clients that may wait for their jobs at the same time; the queue itself holds fewer."""
QUICK_OPTIONS: dict[str, Any] = {"concurrency_id": "ask", "concurrency_limit": 16}
"""How Gradio runs the endpoints that answer at once."""
WAITING_OPTIONS: dict[str, Any] = {"concurrency_id": "follow", "concurrency_limit": WAITING_CALLS}
"""The same for those that may wait for the end of a job."""
OPTIONS = "endpoint_options"


def endpoint(*, waits: bool = False) -> Callable[[Handler], Handler]:
    """Mark a function `name(services, ...)` of a module as the endpoint `/name`; `waits` for jobs, if so."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, OPTIONS, WAITING_OPTIONS if waits else QUICK_OPTIONS)
        return handler

    return mark


def register(services: Services, *modules: ModuleType) -> None:
    """Put the endpoints of these modules into the Blocks that is being built, in the order of their texts."""
    for module in modules:
        for handler in vars(module).values():
            options = getattr(handler, OPTIONS, None)
            if options and handler.__module__ == module.__name__:
                gr.api(for_clients(services, handler), api_name=handler.__name__, **options)


def for_clients(services: Services, handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler without `services`. An error of ours reaches the client as its one sentence, any other
    as one that says where to look."""
    signature = inspect.signature(handler, eval_str=True)
    first, *parameters = signature.parameters.values()
    assert first.name == "services", f"{handler.__name__} does not take the services first"

    def as_gr_error(error: Exception) -> gr.Error:
        if isinstance(error, WebbDuckError):
            return gr.Error(str(error), print_exception=False)
        log.exception("An endpoint failed")
        return gr.Error(
            "Something went wrong inside the studio; its log has the details.", print_exception=False
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

    # Gradio reads types off the signature and takes those that are still text for Any.
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    call.__annotations__["return"] = signature.return_annotation
    return call
