"""The endpoint about styles. It returns immediately."""

from __future__ import annotations

from urllib.parse import quote

from ..gallery.style_previews import key_of
from ..models.style_book import Style
from ..services import Services
from .answers import StyleAnswer
from .endpoints import endpoint


def styles_view(services: Services) -> list[StyleAnswer]:
    """All styles in their order."""
    versions = services.style_previews.versions()
    return [_view(each, versions.get(key_of(each.name))) for each in services.registry.styles.styles()]


def _view(style: Style, version: str | None) -> StyleAnswer:
    return {
        "name": style.name,
        "origin": style.origin,
        "prompt": style.prompt,
        "negative_prompt": style.negative_prompt,
        "group": style.group,
        "file": style.file.name,
        "preview": f"media/style/{quote(style.name, safe='')}?v={version}" if version else None,
        "reason": style.unusable,
    }


@endpoint()
def styles(services: Services) -> list[StyleAnswer]:
    """The styles of styles.csv and styles_*.csv, in their order: `name`, the texts `prompt` and
    `negative_prompt`, in which {prompt} is the place of the prompt, `group`, the divider above it, `file`,
    `preview`, the path of a picture below the studio's address, and the `reason` if one cannot be used."""
    return styles_view(services)
