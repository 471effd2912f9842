"""Models in the folders of other programs, as the page's lists show them: the origin stands beside the
name."""

from __future__ import annotations

from typing import Protocol

from ...models.foreign.candidates import bare_name


class Found(Protocol):
    """A model of the catalog. `origin`: label of the folder that it lies in, "" in the studio's own."""

    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> str: ...


def entry(model: Found, group: str = "") -> dict[str, str]:
    """A model as an entry of a list (shared/choices.js)."""
    found = {"value": model.name, "label": bare_name(model.name, model.origin)}
    return found | ({"group": group} if group else {}) | ({"origin": model.origin} if model.origin else {})
