"""JPEG and WebP output, upscaled copies and the zip: the metadata goes along."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from gallery_helpers import finished_run, picture, request
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from PIL import Image
from sd_parsers import ParserManager
from test_foreign import A1111, SAMPLES, save_exif, save_png
from test_metadata import a1111, as_a1111_sees, as_written, requests

from webbduck_gradio.errors import NotFoundError, RequestError, StorageError
from webbduck_gradio.gallery import export as export_module
from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.export import export
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.samplers import JOINED
from webbduck_gradio.settings import Settings

EMOJI = "".join(chr(0x1F300 + number * 7919 % 700) for number in range(4000))
lenient = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def save(folder: Path, format: str, asked: GenerationRequest) -> Path:
    path = folder / f"picture.{format}"
    with path.open("wb") as file:
        metadata.save_picture(picture(), file, format, metadata.build_chunk(asked, 0))
    return path


alive: list[Image.Image] = []


def sd_parsers_reads(path: Path):
    """sd-parsers 0.6 remembers the last EXIF by Python's id of the image; a new image may get the same id."""
    with Image.open(path) as image:
        alive[:] = [*alive[-1:], image]
        return ParserManager().parse(image)


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@given(asked=requests)
@example(asked=request(prompt=""))
@example(asked=request(prompt="\u0100" * 1000))
@example(asked=request(prompt=EMOJI, negative_prompt=EMOJI[::-1], prompt_2=EMOJI[1000:] + EMOJI[:1000]))
@lenient
def test_every_format_tells_all(tmp_path: Path, format: str, asked: GenerationRequest):
    path = save(tmp_path, format, asked)
    found = metadata.read(path)
    assert GenerationRequest.validated(**found["request"]) == asked.for_single_image(0)
    prompt, negative, pairs = a1111(found["parameters"])
    assert pairs["Seed"] == str(asked.seed)
    if not asked.prompt.strip().startswith("Negative prompt:"):
        assert prompt.strip() == as_a1111_sees(asked.prompt).strip()
        assert negative.strip() == as_a1111_sees(asked.negative_prompt).strip()
    info = sd_parsers_reads(path)
    assert info is not None
    assert info.full_prompt == as_written(asked.prompt).strip()
    assert info.samplers[0].name == JOINED[asked.scheduler][0]
    assert (info.samplers[0].parameters["seed"], info.samplers[0].parameters["steps"]) == (
        str(asked.seed), str(asked.steps))  # fmt: skip
    with Image.open(path) as image:
        image.load()


@pytest.mark.parametrize(("format", "name"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_a_run_in_the_asked_format(outputs: Outputs, format: str, name: str):
    run = finished_run(outputs, 2, output_format=format)
    ids = [f"{run.id}/{index}.{format}" for index in range(2)]
    (found,) = outputs.runs(query="duck")
    assert [image.id for image in found.images] == ids and [image.seed for image in found.images] == [7, 8]
    with Image.open(outputs.resolve(ids[1])) as image:
        assert image.format == name
    assert metadata.read(outputs.resolve(ids[1]))["request"]["seed"] == 8


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_the_user_comment_is_as_civitai_wants_it(tmp_path: Path, format: str):
    with Image.open(save(tmp_path, format, request(prompt="Ente 🦆"))) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be").startswith("Ente 🦆\nSteps: 30, ")


def test_damaged_exif_does_not_hide_the_picture(tmp_path: Path):
    for data in (b"webbduck\0garbage", b"", b"\0" * 40):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x927C] = data
        picture().save(tmp_path / "x.jpg", exif=exif)
        assert metadata.read(tmp_path / "x.jpg")["request"] is None
    buffer = BytesIO()
    picture().save(buffer, format="JPEG", exif=b"Exif\0\0garbage")
    (tmp_path / "x.jpg").write_bytes(buffer.getvalue())
    assert metadata.read(tmp_path / "x.jpg")["width"] == 64


def test_an_upscaled_copy_keeps_what_its_original_says(outputs: Outputs, settings: Settings):
    run = finished_run(outputs, 2)
    large = picture(size=(128, 128))
    first = outputs.save_upscaled(f"{run.id}/1.png", large, 2, "Lanczos", ["a warning"])
    second = outputs.save_upscaled(f"{run.id}/1.png", large, 4, "RealESRGAN")
    assert (first, second) == (f"{run.id}/1_upscaled.png", f"{run.id}/1_upscaled-2.png")
    found, before = (metadata.read(outputs.resolve(id)) for id in (first, f"{run.id}/1.png"))
    assert found["request"] == before["request"] and found["parameters"] == before["parameters"]
    assert found["upscaled"]["from"] == f"{run.id}/1.png" and found["upscaled"]["scale"] == 2
    assert (found["width"], before["width"]) == (128, 64)
    assert outputs.runs()[0].images[1].variants == (first, second)
    assert outputs.count() == 2 and outputs.count("is:upscaled") == 1
    with pytest.raises(NotFoundError):
        outputs.save_upscaled("nowhere/0.png", large, 2, "Lanczos")


@pytest.mark.parametrize("sample", range(len(SAMPLES)))
def test_upscaling_other_tools_pictures_keeps_their_metadata(
    outputs: Outputs, settings: Settings, sample: int
):
    tool, texts, _ = SAMPLES[sample]
    (settings.outputs / "other").mkdir()
    save_png(settings.outputs / "other" / "x.png", texts)
    found = metadata.read(outputs.resolve(outputs.save_upscaled("other/x.png", picture(), 2, "Lanczos")))
    assert found["tool"] == tool and found["settings"]["prompt"].startswith("a red duck")


def test_upscaling_a_jpeg(outputs: Outputs, settings: Settings):
    (settings.outputs / "other").mkdir()
    save_exif(settings.outputs / "other" / "x.jpg", b"UNICODE\0" + A1111.encode("utf-16-be"))
    id = outputs.save_upscaled("other/x.jpg", picture(), 2, "Lanczos")
    assert id == "other/x_upscaled.png" and metadata.read(outputs.resolve(id))["parameters"] == A1111


def test_a_selection_as_zip(outputs: Outputs, settings: Settings):
    runs = [finished_run(outputs, 2, seed=seed) for seed in (1, 5)]
    ids = [f"{runs[0].id}/1.png", f"{runs[1].id}/0.png", f"{runs[1].id}/0.png"]
    target = export(outputs, settings, ids)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(
            {*ids, f"{runs[0].id}/meta.json", f"{runs[1].id}/meta.json"}
        )
        archive.extract(ids[0], settings.data_dir / "out")
    assert metadata.read(settings.data_dir / "out" / ids[0])["request"]["seed"] == 2


def test_exports_that_cannot_be(outputs: Outputs, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    run = finished_run(outputs)
    with pytest.raises(RequestError, match="from 1 to 5,000"):
        export(outputs, settings, [])
    with pytest.raises(NotFoundError):
        export(outputs, settings, [f"{run.id}/0.png", "../secret.png"])

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module.zipfile.ZipFile, "write", full)
    with pytest.raises(StorageError, match="disk is full"):
        export(outputs, settings, [f"{run.id}/0.png"])
    assert not list((settings.data_dir / "exports").iterdir())


def test_an_old_zip_that_is_removed_meanwhile_does_not_stop_a_new_one(outputs: Outputs, settings: Settings):
    run = finished_run(outputs)
    old = settings.data_dir / "exports" / "webbduck-000000000000.zip"
    old.parent.mkdir(exist_ok=True)
    old.symlink_to("removed")  # its name is listed, the file is gone
    assert export(outputs, settings, [f"{run.id}/0.png"]).is_file()
