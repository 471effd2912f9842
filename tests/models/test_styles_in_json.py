"""The JSON styles of Fooocus and SD.Next, read where they lie."""

from __future__ import annotations

from pathlib import Path

import foreign_trees
import pytest

from webbduck_gradio.errors import ModelError, RequestError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

LIGHT = {"name": "Light", "prompt": "{prompt}, rim light", "negative": "flat", "extra": "steps: 8"}


@pytest.fixture
def registry(settings: Settings, tmp_path: Path) -> Registry:
    fooocus = foreign_trees.fooocus(tmp_path / "Fooocus")
    foreign_trees.text(fooocus / "sdxl_styles" / "broken.json", "[")
    sdnext = foreign_trees.a1111(tmp_path / "s")
    foreign_trees.text(sdnext / "installer.py", "")
    folder = sdnext / "models" / "styles"
    foreign_trees.text(folder / "light.json", LIGHT)
    foreign_trees.text(folder / "more" / "dark.json", {"prompt": "dark", "preview": "x.jpg"})
    foreign_trees.text(folder / "more" / "odd.json", [{"name": "Steps", "extra": "steps: 4"}, 5])
    registry = Registry(settings)
    registry.foreign.add(fooocus)
    registry.foreign.add(sdnext)
    registry.refresh()
    return registry


def listed(registry: Registry) -> dict[str, tuple[str, str]]:
    return {each.name: (each.prompt, each.negative_prompt) for each in registry.styles.styles()}


def test_read_where_they_lie(registry: Registry) -> None:
    assert {name: texts for name, texts in listed(registry).items() if "oil" not in name} == {
        "Fooocus/sai-origami": ("origami style {prompt}", "photo"),
        "Fooocus/Fooocus Sharp": ("sharp {prompt}", ""),
        "SD.Next/Light": ("{prompt}, rim light", "flat"),
        "SD.Next/dark": ("dark", ""),
        "SD.Next/Steps": ("", ""),
    }
    sharp = registry.styles.named("fooocus sharp")
    assert (sharp.origin, sharp.group) == ("Fooocus", "fooocus")
    with pytest.raises(RequestError, match="whose files are never changed"):
        registry.styles.delete(sharp.name)


def test_what_cannot_be_used_is_said(registry: Registry) -> None:
    with pytest.raises(ModelError, match="'Steps' has no texts"):
        registry.styles.named("Steps")
    assert [each for each in registry.problems if "style" in each] == [
        "The styles of broken.json are left out: it is not valid JSON.",
        "Entries of odd.json that are no styles are left out (1).",
        "2 styles of SD.Next have settings beside their texts, which are not used.",
    ]


def test_a_new_file_is_seen(registry: Registry, tmp_path: Path) -> None:
    assert not registry.styles.is_stale and not registry.foreign.is_stale()
    foreign_trees.text(tmp_path / "s" / "models" / "styles" / "more" / "fog.json", {"prompt": "fog"})
    assert registry.foreign.is_stale()
    registry.refresh()
    assert listed(registry)["SD.Next/fog"] == ("fog", "")
