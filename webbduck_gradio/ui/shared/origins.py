"""Models in the folders of other programs, as the page's lists show them: the origin stands beside the
name."""

from __future__ import annotations

from ...models.foreign.candidates import Named, bare_name


def entry(model: Named, group: str = "") -> dict[str, str]:
    """A model as an entry of a list (shared/choices.js)."""
    found = {"value": model.name, "label": bare_name(model.name, model.origin)}
    return found | ({"group": group} if group else {}) | ({"origin": model.origin} if model.origin else {})
