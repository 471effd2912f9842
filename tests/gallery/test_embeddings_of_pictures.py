"""The embeddings that a picture's metadata name: written and read as A1111, compared with what is here."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from gallery_helpers import picture, request
from PIL import Image

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata.recall import read_settings, read_text
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.embeddings import Embedding
from webbduck_gradio.settings import Settings

HASH = "0123456789ab"
SAME = Embedding(
    "neg/easy", Path("easy"), "sdxl", 8, (768, 1280), 0, 0.0, None, hashes=(HASH + "0" * 52, "1" * 64)
)
OF_A1111 = (
    "a duck\nNegative prompt: easy\nSteps: 20, Sampler: Euler, Schedule type: Normal, CFG scale: 6, "
    f'Seed: 42, Size: 512x512, TI hashes: "easy: {HASH}", Version: v1.10.1'
)


@dataclass
class Shelf:
    """The catalog with these embeddings."""

    registry: Registry
    there: tuple[Embedding, ...]

    def embeddings(self) -> tuple[Embedding, ...]:
        return self.there

    def __getattr__(self, name: str) -> object:
        return getattr(self.registry, name)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of the studio that was made with `neg/easy`."""
    path = tmp_path_factory.mktemp("embeddings") / "x.png"
    asked = request(prompt="a duck", negative_prompt="easy", cfg=5)
    facts = {"embedding_hashes": {"neg/easy": HASH}, "lora_hashes": {}}
    picture().save(path, pnginfo=metadata.png_info(metadata.build_chunk(asked, 0, facts=facts)))
    return path


def test_other_programs_find_name_and_hash(written: Path) -> None:
    with Image.open(written) as image:
        text = image.info["parameters"]
    assert f'TI hashes: "easy: {HASH}"' in text and '"embed:easy": "0123456789"' in text


@pytest.mark.parametrize(
    ("there", "note"),
    [
        ((SAME,), None),
        ((), "The embedding {} is not installed; its name in the prompt is read as words."),
        (
            (replace(SAME, hashes=("f" * 64, "1" * 64)),),
            "The embedding neg/easy is another file here than the picture's (its hash differs).",
        ),
        (
            (replace(SAME, name="calm"),),
            "The embedding {} is called calm here; write that name into the prompt.",
        ),
        ((replace(SAME, unusable="It is old."),), "The embedding {} cannot be used here: It is old."),
    ],
)
def test_what_is_here_is_compared(settings: Settings, written: Path, there, note: str | None) -> None:
    shelf, inputs = Shelf(Registry(settings), there), InputImageStore(settings)
    _, ours = read_settings(written, shelf, inputs)
    values, theirs = read_text(OF_A1111, shelf, inputs)
    assert values["negative_prompt"] == "easy"
    _, more = read_text(OF_A1111.replace("a duck", "a duck, (embedding:calm-pond.pt:1.2)"), shelf, inputs)
    assert set(more) - set(theirs) == {
        "The embedding calm-pond.pt is not installed; get it, or take it out of the prompt."
    }
    for notes, name in ((ours, "neg/easy"), (theirs, "easy")):
        said = [each for each in notes if "mbedding" in each or "TI hashes" in each]
        assert said == ([] if note is None else [note.format(name)])


def test_a_damaged_record_is_left_out(settings: Settings, tmp_path: Path) -> None:
    chunk = metadata.build_chunk(request(), 0, facts={"embedding_hashes": {"easy": 5}})
    found = metadata.parse_texts({"webbduck": json.dumps(chunk, default=str)}, "x.png")
    assert any("embedding_hashes" in each for each in found["problems"])
