"""The named endpoints, through gradio_client against a running studio with the starter checkpoint."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from running import wait_until

from webbduck_gradio.gallery.index.sort import ORDERS
from webbduck_gradio.request import SCHEDULERS
from webbduck_gradio.request.samplers import SCHEDULES, joined_name

SMALL = {"width": 64, "height": 64}
FEW = {"steps": 6, "scheduler": "Euler", **SMALL}


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def reddish(picture: np.ndarray) -> float:
    """Share of the pixels that are clearly red."""
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return float(((red > 120) & (red > green + 60) & (red > blue + 60)).mean())


def bluish(picture: np.ndarray) -> float:
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return float(((blue > 100) & (blue > green + 40) & (blue > red + 40)).mean())


@pytest.mark.parametrize("fill", ["keep", "replace"])
def test_a_client_of_the_first_version_names_what_is_painted(
    client: Client, tmp_path: Path, fill: str
) -> None:
    half = np.zeros((64, 64), dtype=np.uint8)
    half[:, :32] = 255
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(tmp_path / "image.png")
    Image.fromarray(half).save(tmp_path / "mask.png")
    files = {name: handle_file(tmp_path / f"{name}.png") for name in ("image", "mask")}
    asked = {**FEW, **files, "inpainting_fill": fill, "mask_blur": 0}
    (drawn,), info = client.predict("a red duck", api_name="/test", **asked)
    same = (pixels(drawn) == pixels(tmp_path / "image.png")).all(axis=-1)
    left, right = same[:, :32], same[:, 32:]
    protected, painted = (left, right) if fill == "keep" else (right, left)
    assert protected.all() and painted.mean() < 0.5
    assert info["request"]["inpainting_fill"] == fill


def test_the_picture_follows_the_prompt_and_comes_again(client: Client) -> None:
    asked = {"seed": 7, "steps": 8, "api_name": "/generate"}
    (first,), info = client.predict("a red duck on a pond", **asked)
    (again,), _ = client.predict("a red duck on a pond", **asked)
    (other,), _ = client.predict("a blue duck on a pond", **asked)
    assert np.array_equal(pixels(first), pixels(again))
    assert reddish(pixels(first)) > 0.04
    assert reddish(pixels(first)) > 3 * reddish(pixels(other))
    assert info["status"] == "completed"
    assert info["seeds"] == [7]
    assert info["request"]["prompt"] == "a red duck on a pond"
    assert info["images"] == [f"{info['run']}/0.png"]
    assert info["warnings"] == []


def test_a_joined_name_makes_the_same_picture_as_its_parts(client: Client) -> None:
    few = {"seed": 3, "steps": 9, "api_name": "/generate", **SMALL}
    (joined,), info = client.predict("a duck", scheduler="Euler Karras", **few)
    (apart,), told = client.predict("a duck", sampler="Euler", schedule="Karras", **few)
    assert np.array_equal(pixels(joined), pixels(apart))
    assert info["request"] == told["request"]
    asked = {"sampler": "Euler", "schedule": "Karras", "scheduler": "Euler Karras"}
    assert asked.items() <= info["request"].items()
    # Where the parameter stood before there were two: after the prompts, the checkpoint, size, steps and CFG.
    (by_place,), _ = client.predict(
        "a duck", "", "", None, *SMALL.values(), 9, None, "Euler Karras", 3, api_name="/generate"
    )
    assert np.array_equal(pixels(joined), pixels(by_place))


def test_a_sampler_alone_is_on_its_own_schedule(client: Client) -> None:
    _, info = client.predict("a duck", sampler="DPM2", steps=4, **SMALL, api_name="/generate")
    assert (info["request"]["schedule"], info["request"]["scheduler"]) == ("Automatic", "DPM2 Karras")


def test_image_i_of_a_batch_is_seed_plus_i_alone(client: Client) -> None:
    batch, info = client.predict("a green duck", seed=40, num_images=3, **FEW, api_name="/generate")
    assert info["seeds"] == [40, 41, 42]
    for index, path in enumerate(batch):
        (alone,), _ = client.predict("a green duck", seed=40 + index, **FEW, api_name="/generate")
        assert np.array_equal(pixels(path), pixels(alone))


def test_test_makes_one_picture(client: Client) -> None:
    images, info = client.predict("a duck", **FEW, api_name="/test")
    assert len(images) == 1
    assert client.predict(info["job_id"], api_name="/job")["kind"] == "test"


def test_no_seed_is_a_random_one_and_zero_is_zero(client: Client) -> None:
    one_step = {"steps": 1, **SMALL, "api_name": "/generate"}
    seeds = [client.predict("a duck", **one_step)[1]["seeds"][0] for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert client.predict("a duck", seed=0, **one_step)[1]["seeds"] == [0]
    assert client.predict("a duck", seed=-1, **one_step)[1]["seeds"] != [-1]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 150, not 0."),
        ({"width": -8}, "width must be a whole number from 64 to 4,096, a multiple of 8, not -8."),
        ({"width": "wide"}, "width must be a whole number from 64 to 4,096, a multiple of 8, not 'wide'."),
        ({"sampler": "Oiler"}, "sampler must be one of: DPM++ 2M, "),
        (
            {"sampler": "DPM fast", "schedule": "Karras"},
            "DPM fast does not support the schedule Karras",
        ),
        ({"sampler": "Heun", "schedule": "Karras", "steps": 4}, "Heun Karras needs at least 5 steps, not 4;"),
        (
            {"scheduler": "Euler", "sampler": "Heun"},
            "scheduler Euler contradicts",
        ),
        (
            {"scheduler": "Oiler"},
            "scheduler must be a name listed by /schedulers, such as DPM++ 2M Karras or Euler.",
        ),
        ({"base_model": "gone"}, "There is no checkpoint named 'gone'; there is: webbduck-starter."),
        ({"base_model": "../../etc/passwd"}, "There is no checkpoint named '../../etc/passwd'"),
        ({"num_images": 99}, "num_images must be a whole number from 1 to 8, not 99."),
        ({"image": {"path": "/etc/passwd"}}, "The image must be an uploaded file or the id"),
        ({"image": "../.webbduck/jobs.sqlite3"}, "The image must be an uploaded file or the id"),
        ({"image": "2020-01-02_03-04-05/0.png"}, "There is no such picture in the gallery; it may have been"),
        ({"wait_for_result": "yes"}, "wait_for_result must be true or false."),
        ({"loras": [{"name": "none such"}]}, "none such|LoRA"),
    ],
)
def test_bad_input_is_one_sentence_and_the_server_goes_on(client: Client, asked: Any, sentence: str) -> None:
    before = client.predict(api_name="/health")["queue"]
    with pytest.raises(AppError) as refused:
        client.predict("a duck", **asked, api_name="/generate")
    text = str(refused.value)
    assert any(part in text for part in sentence.split("|"))
    assert "\n" not in text and "Traceback" not in text
    assert client.predict(api_name="/health")["queue"] == before


def test_a_prompt_that_is_too_long_is_refused(client: Client) -> None:
    with pytest.raises(AppError, match="prompt has 5,000 of at most 4,000 characters"):
        client.predict("a" * 5000, api_name="/generate")


def test_progress_is_reported(client: Client) -> None:
    job = client.submit("a duck", seed=1, num_images=2, steps=75, **SMALL, api_name="/generate")
    seen = set()
    while not job.done():
        for unit in job.status().progress_data or []:
            seen.add((unit.index, unit.length))
        time.sleep(0.02)
    assert len(seen) >= 3
    assert all(length == 100 and 0 <= index <= 100 for index, length in seen)


def test_a_job_is_answered_at_once_followed_and_cancelled(client: Client) -> None:
    _, running = client.predict(
        "a duck", steps=150, num_images=8, wait_for_result=False, api_name="/generate"
    )
    _, queued = client.predict("a boat", steps=100, wait_for_result=False, api_name="/generate")
    queue = client.predict(api_name="/queue")
    assert queued["job_id"] in [job["job_id"] for job in queue["jobs"]]
    assert client.predict(queued["job_id"], api_name="/cancel")["status"] == "cancelled"
    wait_until(lambda: client.predict(running["job_id"], api_name="/job")["step"] > 0)
    client.predict(running["job_id"], api_name="/cancel")
    wait_until(lambda: client.predict(running["job_id"], api_name="/job")["status"] == "cancelled")
    with pytest.raises(AppError, match="it is already cancelled"):
        client.predict(running["job_id"], api_name="/cancel")


def test_unknown_ids_are_refused(client: Client) -> None:
    with pytest.raises(AppError, match="There is no job"):
        client.predict("nope", api_name="/job")
    with pytest.raises(AppError, match="There is no such picture"):
        client.predict("../../etc/passwd", api_name="/image")


def test_lists_and_health(client: Client) -> None:
    (starter,) = client.predict(api_name="/models")
    assert starter["name"] == "webbduck-starter" and starter["usable"]
    assert client.predict(api_name="/schedulers") == list(SCHEDULERS)
    schedules = client.predict(api_name="/schedules")
    assert schedules == [each.name for each in SCHEDULES]
    for sampler in client.predict(api_name="/samplers"):
        assert set(sampler["schedules"]) <= set(schedules)
        for schedule in sampler["schedules"]:
            assert joined_name(sampler["name"], schedule) in SCHEDULERS
    assert client.predict(api_name="/loras") == []
    health = client.predict(api_name="/health")
    assert health["status"] == "ok"
    assert health["catalog"]["checkpoints"] == 1
    assert health["memory_total"] > health["memory_used"] > 0


def test_the_gallery_lists_what_was_made(client: Client) -> None:
    _, info = client.predict('a duck, "quoted", <b>bold</b>', steps=1, **SMALL, api_name="/generate")
    newest = client.predict(api_name="/gallery")[0]
    assert newest["run"] == info["run"]
    assert newest["meta"]["prompt"] == 'a duck, "quoted", <b>bold</b>'
    file, told = client.predict(info["images"][0], api_name="/image")
    assert pixels(file).shape[2] == 3
    assert told["request"] == info["request"]


def test_the_lane_is_closed_to_clients(studio, client: Client) -> None:
    """Hidden is not enough: a call by name needs the secret of the pump."""
    import httpx

    url = f"{studio.url}/gradio_api/call/gpu_lane"
    answer = httpx.post(url, json={"data": ["guess"]})
    assert answer.status_code == 403 and "internal to the studio" in answer.json()["error"]
    assert "gpu_lane" not in str(client.view_api(return_format="dict"))


def test_cancelling_the_call_never_lets_two_jobs_run(studio, client: Client) -> None:
    """Gradio's own cancel frees its slot at once; the worker's lock still runs one job at a time."""
    job = client.submit("a duck", steps=150, num_images=8, seed=5, api_name="/generate")
    wait_until(lambda: studio.services.store.running() is not None)
    job.cancel()
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, studio.services.store.counts()["running"])
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    client.predict("a boat", steps=4, seed=6, **SMALL, api_name="/generate")
    done.set()
    watcher.join()
    assert most == 1


def test_tokenize_counts_as_the_encoders_do(client: Client) -> None:
    assert client.predict("a photo of a cat", api_name="/tokenize") == {
        "tokens": 5,
        "limit": 75,
        "over": False,
        "chunks": 1,
    }
    long = client.predict("duck " * 100, api_name="/tokenize")
    assert (long["tokens"], long["over"], long["chunks"]) == (100, True, 2)
    with pytest.raises(AppError, match="which must be one of"):
        client.predict("a", None, "other", api_name="/tokenize")


def test_delete_and_restore(client: Client) -> None:
    file, info = client.predict("a duck", steps=1, num_images=2, **SMALL, api_name="/generate")
    gone, kept = info["images"]
    deleted = client.predict(gone, api_name="/delete_image")
    assert deleted["images"] == [gone]
    with pytest.raises(AppError, match="There is no such picture"):
        client.predict(gone, api_name="/image")
    assert client.predict(kept, api_name="/image")[1]["id"] == kept
    assert client.predict(deleted["id"], api_name="/restore")["images"] == [gone]
    assert np.array_equal(pixels(client.predict(gone, api_name="/image")[0]), pixels(file[0]))


def test_the_gallery_after_a_time(client: Client) -> None:
    _, info = client.predict("the newest duck", steps=1, **SMALL, api_name="/generate")
    newest = client.predict(api_name="/gallery")[0]
    assert newest["run"] == info["run"]
    assert client.predict(0, 50, newest["created"], api_name="/gallery") == []
    with pytest.raises(AppError, match="after must be a time"):
        client.predict(0, 50, "yesterday", api_name="/gallery")


def test_the_gallery_in_every_order(client: Client) -> None:
    for side in (64, 128):
        client.predict("a ducksorted duck", seed=9, steps=1, width=side, height=side, api_name="/generate")

    def listed(order: str) -> list[dict[str, Any]]:
        # By a word of their own: the studio holds what other tests made, too.
        return client.predict(query="ducksorted", order=order, api_name="/gallery")

    newest = listed("newest")
    for order in ORDERS:
        assert sorted(run["run"] for run in listed(order)) == sorted(run["run"] for run in newest), order
    assert listed("oldest") == newest[::-1]
    by_size = listed("file_size")
    sizes = [max(image["size_bytes"] for image in run["images"]) for run in by_size]
    assert len(sizes) > 1 and sizes == sorted(sizes, reverse=True)
    for answers in ((0, 50, 0.0, "", "random"), (0, 50, newest[-1]["created"], "", "prompt")):
        with pytest.raises(AppError, match="order"):
            client.predict(*answers, api_name="/gallery")


def test_what_else_is_there(client: Client) -> None:
    assert client.predict(api_name="/second_pass_models") == ["webbduck-starter"]
    assert [each["name"] for each in client.predict(api_name="/upscalers")] == ["Lanczos"]
    assert "detailed" in client.predict(api_name="/caption_styles")
