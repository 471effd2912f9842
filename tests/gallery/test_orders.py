"""The orders of the gallery: by size, by text, and that pages, layout and pictures agree."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from gallery_helpers import finished_run, old_run, picture, request
from running import studio_settings

from webbduck_gradio.errors import RequestError
from webbduck_gradio.gallery.index.index import MAX_SHOWN
from webbduck_gradio.gallery.index.sort import ORDERS, key
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.run_layout import ImageInfo
from webbduck_gradio.settings import Settings

PROMPTS = (
    "Élan duck",
    "(apple:1.2) duck",
    "zebra duck",
    "",
    "Banana duck",
    "äther duck",
    "鴨 duck",
    "10 duck",
)
ALPHABET = (
    "10 duck",
    "(apple:1.2) duck",
    "äther duck",
    "Banana duck",
    "Élan duck",
    "zebra duck",
    "鴨 duck",
    "",
)
CHECKPOINTS = ("starter", "Alpha", "beta")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Outputs:
    """Runs of one to three pictures, of all sizes, prompts and checkpoints, some with an upscaled copy. The
    tests only look at them."""
    outputs = Outputs(studio_settings(tmp_path_factory.mktemp("mixed"), starter_checkpoints))
    chance = random.Random(5)
    for number in range(24):
        asked = request(
            prompt=PROMPTS[number % len(PROMPTS)],
            base_model=CHECKPOINTS[number % 3],
            seed=number,
            num_images=1 + number % 3,
        )
        run = outputs.new_run(asked, "generate", f"job-{number}")
        for index in range(asked.num_images):
            size = chance.choice((16, 24, 64)), chance.choice((16, 48))
            run.save(index, picture(size=size), asked.seed_of(index))
        run.close("completed")
        if number % 5 == 0:  # copies are larger than all else, but stand with their originals
            outputs.save_upscaled(f"{run.id}/0.png", picture(size=(256, 256)), 2, "Lanczos")
    return outputs


def place(order: str, image: ImageInfo, prompts: dict[str, str], models: dict[str, str]) -> object:
    run = image.id.partition("/")[0]
    return {
        "picture_size": -(image.width or 0) * (image.height or 0),
        "file_size": -image.size_bytes,
        "prompt": ALPHABET.index(prompts[run]),
        "checkpoint": models[run].casefold(),
    }[order]


@pytest.mark.parametrize("order", [order for order in ORDERS if order not in ("newest", "oldest")])
@pytest.mark.parametrize("query", ["", "duck", "-zebra", "duck -banana"])
def test_every_order(mixed: Outputs, query: str, order: str) -> None:
    newest = mixed.images(0, 100, query)
    runs = {run.id: run for run in mixed.runs(0, 50, query)}
    prompts = {id: run.prompt or "" for id, run in runs.items()}
    models = {id: run.facts[0] for id, run in runs.items()}
    expected = sorted(newest, key=lambda image: place(order, image, prompts, models))  # stable: newest first
    assert [i.id for at in range(0, 60, 7) for i in mixed.images(at, 7, query, order)] == [
        image.id for image in expected
    ]
    pages = [run for at in range(0, 30, 5) for run in mixed.runs(at, 5, query, order)]
    assert [run.id for run in pages] == list(dict.fromkeys(i.id.partition("/")[0] for i in expected))
    assert [len(run.images) for run in pages] == mixed.layout(query, order).counts
    assert pages == [runs[run.id] for run in pages]


def test_what_is_shown_above_a_run_needs_no_record(mixed: Outputs) -> None:
    for run, light in zip(mixed.runs(), mixed.runs(with_meta=False), strict=True):
        assert run.meta["prompt"] == run.prompt and light == replace(run, meta={})


def test_an_order_follows_what_changes(settings: Settings, outputs: Outputs) -> None:
    small = finished_run(outputs, prompt="b").id
    large = finished_run(outputs, 2, prompt="a").id
    assert [run.id for run in outputs.runs(order="prompt")] == [large, small]
    picture(size=(512, 512)).save(settings.outputs / small / "1.png")
    assert [run.id for run in outputs.runs(order="picture_size")] == [small, large]
    (settings.outputs / small / "1.png").unlink()
    assert [run.id for run in outputs.runs(order="picture_size")] == [large, small]
    (settings.outputs / "broken.png").write_bytes(b"")
    assert [image.id for image in outputs.images(order="picture_size")][-1] == "broken.png"
    assert [image.id for image in outputs.images(order="prompt")][-1] == "broken.png"


def test_large_folders_in_an_order(settings: Settings, outputs: Outputs) -> None:
    old_run(settings, "many", images=MAX_SHOWN + 5)
    (run,) = outputs.runs(query="name:many", order="file_size")
    assert (len(run.images), run.total) == (MAX_SHOWN, MAX_SHOWN + 5)
    assert outputs.layout("name:many", "file_size").counts == [MAX_SHOWN]


def test_an_unknown_order_is_refused(outputs: Outputs) -> None:
    for unknown in ("", "random", "pixels; DROP TABLE runs", None, 5, []):
        with pytest.raises(RequestError, match="order must be one of: newest, oldest, picture_size"):
            outputs.runs(order=unknown)


def test_text_that_is_sorted_by(outputs: Outputs) -> None:
    assert key("  ((Émile:1.2)), a") == "emile:1.2)), a"
    assert key("a" * 500) == "a" * 100
    assert key("\ud800\ud800 half") == "half"
    assert sorted(["zz", "", "-- ", "Ab", "aa"], key=key) == ["aa", "Ab", "zz", "", "-- "]
