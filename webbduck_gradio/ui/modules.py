"""The page's scripts: ES modules below this folder, which the browser gets as they are.

A view is a module whose default export starts it with what Gradio gives a component's script. Gradio's own
scripts (`js_on_load`, `js=` of an event) are functions and cannot import; they go through `webbduckModule`,
which the page's head defines.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping

from .theme import ASSETS, asset

ROUTE = "modules"
"""Modules lie at ROUTE/DIGEST/NAME, relative to the page."""


@functools.cache
def modules() -> Mapping[str, bytes]:
    """Every script below this folder, by its path in it. Read once: what a running studio gives out is of one
    version."""
    return {path.relative_to(ASSETS).as_posix(): path.read_bytes() for path in sorted(ASSETS.rglob("*.js"))}


@functools.cache
def digest() -> str:
    """Stands in the modules' address, so that a browser keeps them for as long as they are the same."""
    whole = hashlib.sha256()
    for name, content in modules().items():
        whole.update(f"{name} {len(content)} ".encode() + content)
    return whole.hexdigest()[:16]


def head_scripts(facts: Mapping[str, object]) -> tuple[str, ...]:
    """What stands in the page's head: `facts` of the request, the theme, and the way to the modules."""
    base = f"{ROUTE}/{digest()}/"
    load = f"(name) => import(new URL({json.dumps(base)} + name, document.baseURI).href)"
    return (
        f"window.webbduckFacts = {json.dumps(facts)};",
        asset("shared/theme.js"),
        f"window.webbduckModule = {load};",
    )


def start_view(module: str, *events: str) -> str:
    """The `js_on_load` of a component whose view is this module; `events` are those that the view triggers.
    Gradio gives a component only listeners for events whose names stand in this script."""
    named = f"/* events: {json.dumps(events)} */ " if events else ""
    return (
        f"{named}webbduckModule({json.dumps(module)})"
        ".then((view) => view.default({ element, props, trigger, server, upload, watch }));"
    )


def call(module: str, expression: str, parameters: str = "") -> str:
    """The `js=` of an event: `expression` of the module's exports, which are called `module` in it."""
    return (
        f"async ({parameters}) => {{"
        f" const module = await webbduckModule({json.dumps(module)}); return {expression}; }}"
    )
