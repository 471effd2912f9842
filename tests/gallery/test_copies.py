"""Pictures that differ in their ending alone, and whose upscaled copies are whose."""

from __future__ import annotations

import json
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest
from gallery_helpers import finished_run, old_run, picture
from PIL.PngImagePlugin import PngInfo

from webbduck_gradio.api import gallery_serializers
from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.export import export
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings

COLOURS = {"photo.jpg": "red", "photo.png": "blue", "photo.webp": "green", "other.png": "black"}


@pytest.fixture
def album(settings: Settings) -> list[str]:
    folder = settings.outputs / "album"
    folder.mkdir()
    for name, colour in COLOURS.items():
        picture(colour).save(folder / name)
    return [f"album/{name}" for name in COLOURS]


def copy_of(settings: Settings, name: str, source: str | None) -> str:
    """An upscaled copy as it was written before, under this name."""
    info = PngInfo()
    if source:
        info.add_text(metadata.UPSCALED, json.dumps({"from": source, "scale": 2}))
    picture(size=(128, 128)).save(settings.outputs / name, pnginfo=info)
    return name


def variants(outputs: Outputs) -> dict[str, list[str]]:
    return {image.id: list(image.variants) for run in outputs.runs() for image in run.images}


def test_each_has_its_own_copies(outputs: Outputs, album: list[str]) -> None:
    made: dict[str, list[str]] = {}
    for image in [*album, *reversed(album)]:
        made.setdefault(image, []).append(outputs.save_upscaled(image, picture(), 2, "Lanczos"))
    assert made["album/other.png"] == ["album/other_upscaled.png", "album/other_upscaled-2.png"]
    assert made["album/photo.jpg"] == ["album/photo.jpg_upscaled.png", "album/photo.jpg_upscaled-2.png"]
    assert variants(outputs) == made
    services: Any = SimpleNamespace(outputs=outputs)
    for image, copies in made.items():
        assert gallery_serializers.with_copies(services, [image]) == [image, *copies]
        assert gallery_serializers.around(services, copies[1])["original"] == image


def test_deleting_one_leaves_the_others_and_their_copies(
    outputs: Outputs, settings: Settings, album: list[str]
) -> None:
    copies = {image: outputs.save_upscaled(image, picture(), 2, "Lanczos") for image in album}
    trash = Trash(settings, outputs)
    entry = trash.delete_images(["album/photo.jpg", copies["album/photo.jpg"]])
    assert variants(outputs) == {image: [copies[image]] for image in album[1:]}
    trash.restore(entry.id)
    trash.delete_image("album/photo.png")
    left = {image: [copies[image]] for image in album if image != "album/photo.png"}
    assert variants(outputs) == left | {copies["album/photo.png"]: []}, "a picture of its own, nobody's copy"


def test_marks_thumbnails_and_the_zip_keep_them_apart(
    outputs: Outputs, settings: Settings, album: list[str]
) -> None:
    outputs.favourite("album/photo.jpg")
    assert [image.id for image in outputs.images(query="is:favourite")] == ["album/photo.jpg"]
    thumbnails = Thumbnails(settings, outputs)
    assert len({thumbnails.thumbnail(image) for image in album}) == len(album)
    with zipfile.ZipFile(export(outputs, settings, album)) as packed:
        assert sorted(packed.namelist()) == sorted(album)


@pytest.mark.parametrize("source", ["album/photo.jpg", "album/photo.png"])
def test_a_copy_of_before_says_itself_whose_it_is(
    outputs: Outputs, settings: Settings, album: list[str], source: str
) -> None:
    copy = copy_of(settings, "album/photo_upscaled.png", source)
    assert variants(outputs) == {image: [copy] if image == source else [] for image in album}
    (settings.outputs / source).unlink()
    (settings.outputs / "album" / "photo.webp").unlink()
    assert variants(outputs)[copy] == [], "the one picture left of that stem is not its original"


def test_a_copy_that_says_nothing_belongs_to_the_only_picture_of_its_stem(
    outputs: Outputs, settings: Settings, album: list[str]
) -> None:
    unclear = copy_of(settings, "album/photo_upscaled.png", None)
    clear = copy_of(settings, "album/other_upscaled.png", None)
    renamed = copy_of(settings, "album/other_upscaled-2.png", "album/before_it_was_renamed.png")
    found = variants(outputs)
    assert found[unclear] == [] and found["album/other.png"] == [clear, renamed]


def test_a_name_that_looks_like_a_stem(outputs: Outputs, settings: Settings, album: list[str]) -> None:
    picture().save(settings.outputs / "album" / "photo.jpg.png")
    made = {
        image: [outputs.save_upscaled(image, picture(), 2, "Lanczos")]
        for image in ("album/photo.jpg", "album/photo.jpg.png")
    }
    assert {image: copies for image, copies in variants(outputs).items() if copies} == made


def test_somebody_elses_jpeg_in_a_run_of_the_first_version(outputs: Outputs, settings: Settings) -> None:
    folder = old_run(settings, "2024-05-05_12-00-00", prompt="an old duck", seed=3, timestamp=1714903200.5)
    picture().save(folder / "0.jpg")
    assert [image.id for image in outputs.images(query="old duck")] == [f"{folder.name}/0.png"]
    assert {image.id: image.seed for image in outputs.images()}[f"{folder.name}/0.jpg"] is None


def test_a_caption_beside_a_picture_changes_no_name(outputs: Outputs) -> None:
    run = finished_run(outputs)
    (run.path / "0.txt").write_text("a duck")
    assert outputs.save_upscaled(f"{run.id}/0.png", picture(), 2, "Lanczos") == f"{run.id}/0_upscaled.png"


def test_a_copy_of_a_copy_is_shown_with_the_first_original(outputs: Outputs, settings: Settings) -> None:
    run = finished_run(outputs, 1)
    first = outputs.save_upscaled(f"{run.id}/0.png", picture(size=(128, 128)), 2, "Lanczos")
    second = outputs.save_upscaled(first, picture(size=(256, 256)), 2, "Lanczos")
    third = outputs.save_upscaled(second, picture(size=(300, 300)), 2, "Lanczos")
    (image,) = outputs.images()
    assert image.id == f"{run.id}/0.png"
    assert set(image.variants) == {first, second, third}
