"""What a tab is made of, and what it finds while the page is built; each tab's folder has its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from ..services import Services
from .studio.form import Form


@dataclass
class PageParts:
    """What tabs share. `channels` are the components through which the server's news reach the scripts."""

    services: Services
    channels: dict[str, gr.HTML]
    tabs: gr.Tabs
    form: Form
    """The Studio's controls, into which the other tabs put settings and pictures."""


@dataclass(frozen=True)
class Tab:
    """A tab: its title, its style sheets in their order, and what puts it into the page."""

    title: str
    style_sheets: tuple[str, ...]
    build: Callable[[PageParts], None]

    @property
    def id(self) -> str:
        """Its name in addresses and events."""
        return self.title.lower()
