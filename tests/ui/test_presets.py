"""The file of presets and saved prompts: what somebody else wrote into it is never written over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from webbduck_gradio.errors import StorageError
from webbduck_gradio.ui.studio.preset_store import PresetStore


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '"text"', '[{"name": "mine"}]', '{"presets": []}', '{"prompts": {}}', "null"],
)
def test_a_file_of_another_shape_is_said_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shelf.json"
    path.write_text(text)
    shelf = PresetStore(path)
    for change in (
        lambda: shelf.keep_preset("new", {"steps": 2}),
        lambda: shelf.keep_prompt("a duck", ""),
        lambda: shelf.drop_preset("mine"),
        shelf.content,
    ):
        with pytest.raises(StorageError, match=r"shelf\.json cannot be read; repair or remove it"):
            change()
    assert path.read_text() == text


def test_entries_that_are_not_understood_stay(tmp_path: Path) -> None:
    path = tmp_path / "shelf.json"
    path.write_text('{"prompts": [{"prompt": "by hand"}, 5], "presets": {"mine": 7}, "more": ["\\ud800"]}')
    shelf = PresetStore(path)
    shelf.keep_preset("new", {"steps": 2})
    shelf.keep_prompt("a duck", "")
    kept = json.loads(path.read_text())
    assert kept["prompts"][1:] == [{"prompt": "by hand"}, 5] and kept["prompts"][0]["prompt"] == "a duck"
    assert kept["presets"] == {"mine": 7, "new": {"steps": 2}} and kept["more"] == ["\ud800"]
    assert [each["prompt"] for each in shelf.content()["prompts"]] == ["a duck"]
