"""The page's scripts: the ES modules below this folder, served unchanged.

A view is a module whose default export is called with what Gradio passes to a component's script. Gradio's
own scripts (`js_on_load`, `js=` of an event) are function bodies and cannot import; they load modules with
`webbduckModule`, which is defined in the page's head.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping

from .theme import ASSETS, asset

ROUTE = "modules"
"""Modules are served at ROUTE/DIGEST/NAME, relative to the page."""


@functools.cache
def modules() -> Mapping[str, bytes]:
    """Content of every script by its path below this folder. Read once, so that a running studio serves one
    version."""
    return {path.relative_to(ASSETS).as_posix(): path.read_bytes() for path in sorted(ASSETS.rglob("*.js"))}


@functools.cache
def digest() -> str:
    """Digest of all modules. It is part of their URL, so that browsers can cache them until they change."""
    combined = hashlib.sha256()
    for name, content in modules().items():
        combined.update(f"{name} {len(content)} ".encode() + content)
    return combined.hexdigest()[:16]


def head_scripts(facts: Mapping[str, object]) -> tuple[str, ...]:
    """Scripts of the page's head: the request's `facts`, the theme, what is typed and pressed early, and
    the module loader."""
    base = f"{ROUTE}/{digest()}/"
    load = f"(name) => import(new URL({json.dumps(base)} + name, document.baseURI).href)"
    return (
        f"window.webbduckFacts = {json.dumps(facts)};",
        asset("shared/theme.js"),
        asset("shared/typed_early.js"),
        asset("shared/pressed_early.js"),
        f"window.webbduckModule = {load};",
    )


def start_view(module: str, *events: str) -> str:
    """The `js_on_load` of a component with this view. `events` are those that the view triggers; Gradio
    connects only events whose names occur in the script."""
    named = f"/* events: {json.dumps(events)} */ " if events else ""
    return (
        f"{named}webbduckPressedEarly.wait(element);"
        f" Promise.all([webbduckModule('shared/view.js'), webbduckModule({json.dumps(module)})])"
        ".then(([shared, view]) => shared.start(view, { element, props, trigger, server, upload, watch }));"
    )


def call(module: str, expression: str, parameters: str = "") -> str:
    """The `js=` of an event that returns `expression`, in which `module` is the loaded module."""
    return (
        f"async ({parameters}) => {{"
        f" const module = await webbduckModule({json.dumps(module)}); return {expression}; }}"
    )
