"""The endpoint about styles. It returns immediately."""

from __future__ import annotations

from ..models.style_book import Style
from ..services import Services
from .answers import StyleAnswer
from .endpoints import endpoint


def style_view(style: Style) -> StyleAnswer:
    return {
        "name": style.name,
        "prompt": style.prompt,
        "negative_prompt": style.negative_prompt,
        "group": style.group,
        "file": style.file.name,
        "reason": style.unusable,
    }


@endpoint()
def styles(services: Services) -> list[StyleAnswer]:
    """The styles of styles.csv and styles_*.csv, in their order: `name`, the texts `prompt` and
    `negative_prompt`, in which {prompt} is the place of the prompt, `group`, the divider above it, `file`,
    and the `reason` if one cannot be used."""
    return [style_view(each) for each in services.registry.styles.styles()]
