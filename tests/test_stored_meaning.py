"""What was stored when `inpainting_fill="keep"` stood for `masked_content="original"` keeps its meaning."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webbduck_gradio.gallery import metadata, run_layout
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata import recall
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.studio.form import Form
from webbduck_gradio.ui.studio.preset_store import PresetStore

PICTURE = "0" * 64 + ".png"
ASKED = {"base_model": "webbduck-starter", "prompt": "a duck", "seed": 1, "image": PICTURE, "mask": PICTURE}
MEANINGS = [
    ({"inpainting_fill": "keep"}, ("replace", "original")),
    ({"inpainting_fill": "replace"}, ("replace", "fill")),
    ({"inpainting_fill": "keep", "masked_content": "fill"}, ("keep", "fill")),
    ({"inpainting_fill": "keep", "masked_content": "original"}, ("keep", "original")),
    ({"inpainting_fill": "replace", "masked_content": "original"}, ("replace", "original")),
]
"""What was stored, first by the studio of before, and what it means today."""
each = pytest.mark.parametrize(("stored", "meant"), MEANINGS, ids=str)


def request_of(stored: dict) -> dict:
    """A whole request as it was written down."""
    fields = GenerationRequest.validated(**ASKED).model_dump(mode="json")
    del fields["inpainting_fill"], fields["masked_content"]
    return {**fields, **stored}


def meaning(fields: dict) -> tuple[str, str]:
    return fields["inpainting_fill"], fields["masked_content"]


@each
def test_a_picture(tmp_path: Path, settings: Settings, stored: dict, meant: tuple) -> None:
    info = PngInfo()
    chunk = {"schema": 1, "request": request_of(stored), "batch": {"seed": 5, "num_images": 2}}
    info.add_text(metadata.CHUNK, json.dumps(chunk))
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png", pnginfo=info)
    found = metadata.read(tmp_path / "0.png")
    assert meaning(found["request"]) == meaning(found["webbduck"]["request"]) == meant
    assert meaning(metadata.batch_request(found["webbduck"]).model_dump()) == meant
    values, _ = recall.read_settings(tmp_path / "0.png", Registry(settings), InputImageStore(settings))
    assert meaning(values) == meant


@each
def test_a_job_that_waits_and_one_that_is_retried(settings: Settings, stored: dict, meant: tuple) -> None:
    path = settings.data_dir / "jobs.sqlite3"
    store = JobStore(path)
    waits, ended = (store.submit(GenerationRequest.validated(**ASKED)) for _ in range(2))
    store.cancel(ended.id)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE jobs SET request = ?", (json.dumps(request_of(stored)),))
    db.close()
    store = JobStore(path)
    assert meaning(store.get(waits.id).request.model_dump()) == meant
    assert meaning(store.retry(ended.id).request.model_dump()) == meant
    claimed = store.claim()
    assert claimed is not None and meaning(claimed.generation_request.model_dump()) == meant
    store.close()


@each
def test_a_preset_and_a_page_as_it_was_left(settings: Settings, stored: dict, meant: tuple) -> None:
    shelf = PresetStore(settings.data_dir / "shelf.json")
    shelf.keep_preset("mine", {"steps": 20, **stored})

    class Services:
        registry = Registry(settings)

    names = ("base_model", "inpainting_fill", "masked_content", "steps")
    form = Form(Services, dict.fromkeys(names), None)  # type: ignore[arg-type]
    assert meaning(form.recall(shelf.preset("mine"))) == meant
    assert meaning(form.recall({"base_model": "webbduck-starter", **stored})) == meant


@each
def test_the_record_of_a_run(settings: Settings, stored: dict, meant: tuple) -> None:
    folder = settings.outputs / "2026-01-01_12-00-00"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "0.png")
    top = {"prompt": "a duck", "inpainting_fill": stored["inpainting_fill"]}
    (folder / "meta.json").write_text(json.dumps({**top, "request": request_of(stored)}))
    outputs = Outputs(settings)
    meta = outputs.run(folder.name).meta
    outputs.close()
    assert meaning(meta["request"]) == meant and meta["inpainting_fill"] == meant[0]


def test_the_first_versions_keep_protects_the_mask(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({"prompt": "a duck", "inpainting_fill": "keep"}))
    assert run_layout.read_meta(tmp_path)[0]["inpainting_fill"] == "keep"


WEBBDUCK, A1111 = "Version: WebbDuck 1.0", "Version: v1.10.1"


@pytest.mark.parametrize(
    ("pairs", "meant"),
    [
        (f"Mask blur: 8, {WEBBDUCK}", ("replace", "fill")),
        (f"Mask blur: 8, Masked content: original, {WEBBDUCK}", ("replace", "original")),
        (f"Mask blur: 8, Mask mode: Inpaint not masked, Masked content: fill, {WEBBDUCK}", ("keep", "fill")),
        (f"Mask blur: 4, {A1111}", ("replace", "original")),
        (f"Mask blur: 4, Masked content: fill, {A1111}", ("replace", "fill")),
        (f"Mask blur: 4, Mask mode: Inpaint not masked, {A1111}", ("keep", "original")),
        (f"Mask mode: Inpaint masked, Inpaint area: Only masked, {A1111}", ("replace", "original")),
    ],
)
def test_the_text_for_other_programs(settings: Settings, pairs: str, meant: tuple) -> None:
    text = f"a duck\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, {pairs}"
    values, _ = recall.read_text(text, Registry(settings), InputImageStore(settings))
    assert meaning(values) == meant


def test_the_rest_of_what_another_program_says_of_its_mask(settings: Settings) -> None:
    text = (
        "a duck\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Mask blur: 4, "
        "Inpaint area: Only masked, Masked area padding: 48, Masked content: mirrored"
    )
    values, notes = recall.read_text(text, Registry(settings), InputImageStore(settings))
    assert (values["mask_blur"], values["inpaint_area"], values["inpaint_padding"]) == (4, "masked", 48)
    assert "masked_content" not in values
    assert any("masked content" in note and "mirrored" in note for note in notes)


def test_a_text_without_a_mask_says_nothing_of_it(settings: Settings) -> None:
    values, _ = recall.read_text(
        "a duck\nSteps: 20, Sampler: Euler, Seed: 1, Size: 512x512",
        Registry(settings),
        InputImageStore(settings),
    )
    assert not {"inpainting_fill", "masked_content", "mask_blur", "inpaint_area"} & set(values)


@each
def test_what_is_written_today_comes_back(tmp_path: Path, stored: dict, meant: tuple) -> None:
    asked = GenerationRequest.validated(**ASKED, inpainting_fill=meant[0], masked_content=meant[1])
    chunk = metadata.build_chunk(asked, 0)
    with (tmp_path / "0.png").open("wb") as file:
        metadata.save_picture(Image.new("RGB", (8, 8)), file, "png", chunk)
    assert meaning(metadata.read(tmp_path / "0.png")["request"]) == meant
    assert (
        meaning(metadata.parse_texts({"parameters": metadata.parameters_of(chunk)}, "x")["settings"]) == meant
    )
