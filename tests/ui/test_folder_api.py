"""Many pictures by img2img with the same settings: a job for each, what is there already is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from running import wait_until

from webbduck_gradio.gallery import metadata

SETTINGS = {"prompt": "a red duck", "width": 64, "height": 64, "steps": 2, "strength": 0.5}


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for name, colour in (("pond at noon.png", "blue"), ("meadow.jpg", "green")):
        Image.new("RGB", (64, 64), colour).save(folder / name)
    return [folder / "pond at noon.png", folder / "meadow.jpg"]


def test_each_picture_has_its_job_and_is_left_out_the_next_time(
    studio, client: Client, files: list[Path], tmp_path: Path
) -> None:
    def send(paths: list[Path], **more: object) -> dict:
        images = [handle_file(path) for path in paths]
        return client.predict(images, SETTINGS | more, api_name="/generate_folder")

    first = send(files)
    assert [each["name"] for each in first["jobs"]] == ["pond at noon.png", "meadow.jpg"]
    assert not first["skipped"]
    ids = [each["job_id"] for each in first["jobs"]]
    wait_until(lambda: all(client.predict(each, api_name="/job")["status"] == "completed" for each in ids))
    jobs = [client.predict(each, api_name="/job") for each in ids]
    assert [each["request"]["image"] for each in jobs] == [each["image"] for each in first["jobs"]]
    assert {each["request"]["seed"] for each in jobs} == {first["seed"]}
    # Where it came from is in the file, in the panel and found.
    result = jobs[0]["images"][0]
    assert metadata.read(studio.services.outputs.resolve(result))["webbduck"]["facts"]["source_name"] == (
        "pond at noon.png"
    )
    assert studio.services.outputs.count("noon") == 1

    third = tmp_path / "desert.webp"
    Image.new("RGB", (64, 64), "yellow").save(third)
    again = send([*files, third], seed=first["seed"])
    assert [each["existing"] for each in again["skipped"]] == [each["images"][0] for each in jobs]
    assert [each["name"] for each in again["jobs"]] == ["desert.webp"]
    other = send([files[0]], seed=first["seed"], strength=0.6)
    assert len(other["jobs"]) == 1
    wait_until(lambda: not studio.services.store.queued() and studio.services.store.running() is None)
    studio.services.outputs.resolve(jobs[0]["images"][0]).unlink()
    assert len(send([files[0]], seed=first["seed"])["jobs"]) == 1


@pytest.mark.parametrize(
    "images, settings, said",
    [
        (
            ["/etc/passwd"],
            SETTINGS,
            "uploaded file or the id",
        ),
        (["/tmp"], SETTINGS, "uploaded file or the id"),
        ([], SETTINGS, "1 to 500 pictures"),
        (["FILE"], SETTINGS | {"image": "x"}, "parameters of /generate but image and mask"),
        (["FILE"], SETTINGS | {"steps": 0}, "meadow.jpg: steps must be"),
        (["FILE"], SETTINGS | {"nonsense": 1}, "There is no setting named"),
    ],
)
def test_nothing_is_queued_where_something_is_refused(
    studio, client: Client, files: list[Path], images: list, settings: dict, said: str
) -> None:
    before = sum(studio.services.store.counts().values())
    sent = [handle_file(files[1]) if each == "FILE" else each for each in images]
    with pytest.raises(AppError, match=re.escape(said)):
        client.predict(sent, settings, api_name="/generate_folder")
    assert sum(studio.services.store.counts().values()) == before


def test_what_does_not_fit_into_the_queue_is_said_before(studio, client: Client, tmp_path: Path) -> None:
    store = studio.services.store
    paths = [tmp_path / f"{number}.png" for number in range(store.max_queued + 1)]
    for number, path in enumerate(paths):
        Image.new("RGB", (64, 64), (number, 0, 99)).save(path)
    before = sum(store.counts().values())
    with pytest.raises(AppError, match="pictures are to be drawn, but the queue has"):
        client.predict([handle_file(path) for path in paths], SETTINGS, api_name="/generate_folder")
    assert sum(store.counts().values()) == before
