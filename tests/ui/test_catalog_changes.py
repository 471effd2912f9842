"""What a page is sent of the catalog after a change."""

from __future__ import annotations

from typing import Any

from webbduck_gradio.ui.catalog_changes import KEPT, LISTS, CatalogChanges, difference


def entries(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "weight": 1} for name in names]


def test_a_difference_has_what_came_changed_and_went() -> None:
    before, now = entries("a", "b", "c"), [*entries("a"), {"name": "c", "weight": 2}, *entries("d")]
    assert difference(before, now) == {"gone": ["b"], "put": [[1, now[1]], [2, now[2]]], "count": 3}


def test_a_page_that_has_a_version_gets_the_difference_to_it() -> None:
    catalog: dict[str, Any] = {name: entries("a", "b") for name in LISTS} | {"problems": ["p"]}
    changes = CatalogChanges(lambda: dict(catalog))
    assert changes.view(None, "1") == (catalog, "1")
    catalog["loras"] = entries("a")
    same = {"gone": [], "put": [], "count": 2}
    wanted = {"checkpoints": same, "embeddings": same, "loras": {"gone": ["b"], "put": [], "count": 1}}
    assert changes.view("1", "2") == (catalog | wanted, "2")
    assert changes.view("of another server", "2") == (catalog, "2")
    # A page that comes while the catalog changes has something in between, and gets the whole next time.
    catalog["loras"] = entries("c")
    assert changes.view("1", "2")[1] == "2+"
    assert changes.view("2+", "3") == (catalog, "3")
    for version in range(4, 4 + KEPT):
        changes.view(str(version - 1), str(version))
    assert changes.view("3", "9") == (catalog, "9")
