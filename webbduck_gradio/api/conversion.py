"""The endpoints that convert pickles to safetensors. They return immediately."""

from __future__ import annotations

from typing import TypedDict

from ..core.pickles.conversions import Conversion, State
from ..models.conversion import Kind, pickles
from ..services import Services
from .endpoints import endpoint
from .gradio_helpers import whole_number


class ConversionAnswer(TypedDict):
    """A conversion, as /convert returns it."""

    id: int
    kind: Kind
    name: str
    state: State
    done: int
    """Bytes read and written so far, of `total`."""
    total: int
    result: str
    """Name of the file that was written, or ""."""
    text: str
    """What came of it, in sentences; "" until it has ended."""


class PickleAnswer(TypedDict):
    """A pickle among the models. `converted`: name of the file that it was converted to, or None."""

    kind: Kind
    name: str
    converted: str | None


class ConversionsAnswer(TypedDict):
    """The answer of /conversions."""

    pickles: list[PickleAnswer]
    conversions: list[ConversionAnswer]


def conversion_view(each: Conversion) -> ConversionAnswer:
    return {
        "id": each.id,
        "kind": each.kind,
        "name": each.name,
        "state": each.state,
        "done": each.done,
        "total": each.total,
        "result": each.result,
        "text": each.text,
    }


def conversions_view(services: Services) -> ConversionsAnswer:
    return {
        "pickles": [
            {"kind": each.kind, "name": each.name, "converted": each.target.name if each.done else None}
            for each in pickles(services.registry)
        ],
        "conversions": [conversion_view(each) for each in services.conversions.items()],
    }


@endpoint()
def convert(services: Services, kind: Kind, name: str) -> ConversionAnswer:
    """Convert a pickle among the models to safetensors, in a process that reads numbers only and runs nothing
    that the file asks for. The file itself stays as it is. Answers at once; ask /conversions for the end."""
    return conversion_view(services.conversions.add(kind, name))


@endpoint()
def conversions(services: Services) -> ConversionsAnswer:
    """The `pickles` among the models, and the `conversions` that were asked for since the start: waiting,
    running, done, failed or cancelled, with the reason in `text`."""
    return conversions_view(services)


@endpoint()
def cancel_conversion(services: Services, conversion_id: int) -> ConversionAnswer:
    """Cancel a waiting or running conversion; nothing of it is kept."""
    return conversion_view(services.conversions.cancel(whole_number(conversion_id)))
