"""What other programs note beside models, and which of it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import foreign_trees
import pytest

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.probe.sidecars import MAX_BYTES, MAX_TEXT, notes_of_invokeai, read_sidecar
from webbduck_gradio.models.scan import PICTURES
from webbduck_gradio.settings import Settings

TWO_WORDS = "Trained words: ink wash; sumi-e"


@pytest.mark.parametrize(
    ("ending", "content", "found"),
    [
        (
            ".metadata.json",
            foreign_trees.lora_manager_notes(),
            {
                "trigger": "very detailed",
                "weight": 0.8,
                "description": "More detail",
                "notes": "mine",
                "base": "SDXL 1.0",
                "tags": ["detail"],
            },
        ),
        (
            ".metadata.json",
            {
                "civitai": {"trainedWords": ["ink wash", "sumi-e"], "baseModel": "SDXL"},
                "notes": "N",
                "tags": [],
            },
            {"trigger": "ink wash", "notes": f"N\n{TWO_WORDS}", "base": "SDXL"},
        ),
        (".metadata.json", {"civitai": None, "usage_tips": "{", "tags": None, "notes": 3}, {}),
        (
            ".swarm.json",
            foreign_trees.swarm_notes(),
            {
                "trigger": "ink wash",
                "weight": 0.65,
                "description": "Ink wash",
                "notes": "low weights",
                "base": "Stable Diffusion XL 1.0-Base LoRA",
                "tags": ["ink", "style"],
            },
        ),
        (
            ".swarm.json",
            {"modelspec.tags": "a, b,,", "modelspec.lora_default_weight": "much", "modelspec.class": None}
            | {"modelspec.architecture": "x"},
            {"tags": ["a", "b"], "base": "x"},
        ),
        (
            ".cm-info.json",
            foreign_trees.matrix_notes(),
            {
                "trigger": "ink wash",
                "notes": TWO_WORDS,
                "description": "Ink wash",
                "base": "SDXL 1.0",
                "tags": ["ink", "style"],
            },
        ),
        (".cm-info.json", {"TrainedWords": None, "Tags": {}, "ModelDescription": None}, {}),
        (".txt", "what it is\n", {"description": "what it is"}),
        (".description.txt", "x" * 5000, {"description": f"{'x' * MAX_TEXT} … (the rest is left out)"}),
        (".json", {"activation text": "ink", "preferred weight": 0}, {"trigger": "ink"}),
    ],
)
def test_notes(tmp_path: Path, ending: str, content: Any, found: dict[str, Any]) -> None:
    assert read_sidecar(foreign_trees.text(tmp_path / f"ink{ending}", content)) == found


@pytest.mark.parametrize("ending", [".metadata.json", ".swarm.json", ".cm-info.json"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "must contain a JSON object"),
        ("[" * 100_000, "is not valid JSON"),
        (" " * (MAX_BYTES + 1), "is too large"),
    ],
    ids=["cut", "list", "deep", "large"],
)
def test_broken_notes(tmp_path: Path, ending: str, content: str, why: str) -> None:
    with pytest.raises(ModelError, match=rf"ink{ending} {why}"):
        read_sidecar(foreign_trees.text(tmp_path / f"ink{ending}", content))


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (
            {"trigger_phrases": ["ink"], "default_settings": {"weight": 0.7}},
            {"trigger": "ink", "weight": 0.7},
        ),
        (
            {"trigger_phrases": None, "default_settings": None, "description": None, "base": "sdxl"},
            {"base": "sdxl"},
        ),
        ({"trigger_phrases": "ink", "default_settings": {"weight": True}, "description": ["x"]}, {}),
        ({"trigger_phrases": [3, ""], "default_settings": {"weight": 10**400}}, {}),
    ],
)
def test_records_of_invokeai(record: dict[str, Any], found: dict[str, Any]) -> None:
    assert notes_of_invokeai(record) == found


def test_which_notes_and_pictures_count(settings: Settings) -> None:
    """What the user wrote in another program comes before what was downloaded; the best picture is shown."""
    folder = settings.loras
    foreign_trees.lora(folder / "ink.safetensors")
    foreign_trees.text(folder / "ink.cm-info.json", foreign_trees.matrix_notes())
    foreign_trees.text(folder / "ink.swarm.json", {"modelspec.trigger_phrase": "swarm's"})
    foreign_trees.text(folder / "ink.txt", "A1111's")
    (folder / "ink.thumb.jpg").write_bytes(foreign_trees.PNG)
    (folder / "ink.preview.webp").write_bytes(foreign_trees.PNG)
    foreign_trees.lora(folder / "wash.safetensors")
    (folder / "wash.thumb.png").write_bytes(foreign_trees.PNG)
    ink, wash = (Registry(settings).lora(name) for name in ("ink", "wash"))
    assert (ink.trigger, ink.description, ink.base) == ("swarm's", "Ink wash", "SDXL 1.0")
    assert ink.preview is not None and ink.preview[0].name == "ink.preview.webp"
    assert wash.preview is not None and wash.preview[0].name == "wash.thumb.png"
    assert len(set(PICTURES)) == len(PICTURES)
