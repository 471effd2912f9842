"""The record of a tab, and what tabs share while the page is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from ..services import Services
from .studio.form import Form


@dataclass
class PageParts:
    """What tabs share. `channels` are the hidden components that publish server data to the scripts, by
    name."""

    services: Services
    channels: dict[str, gr.HTML]
    tabs: gr.Tabs
    form: Form
    """The Studio's controls, which other tabs fill with settings and pictures."""


@dataclass(frozen=True)
class Tab:
    """A tab: its title, its style sheets in cascade order, and the function that builds it."""

    title: str
    style_sheets: tuple[str, ...]
    build: Callable[[PageParts], None]

    @property
    def id(self) -> str:
        """Its name in element ids and scripts."""
        return self.title.lower()
