"""A job killed with -9, whose state is saved after each step, goes on and ends with the same pictures; what
waited behind it is done."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from painter import Painter, Unfinished
from PIL import Image
from running import free_port, wait_until
from test_kill import Studio

from webbduck_gradio.core.progress import SilentReporter
from webbduck_gradio.request import GenerationRequest

ASKED: dict[str, Any] = {
    "prompt": "a red duck",
    "base_model": "webbduck-starter",
    "width": 64,
    "height": 64,
    "seed": 7,
    "loras": [],
}
KILLS = 20


def answer(studio: Studio, **order: Any) -> Any:
    found = studio.do(**order)
    assert found is not None and "answer" in found, found
    return found["answer"]


def pixels(folder: Path, job: dict[str, Any]) -> list[bytes]:
    return [Image.open(folder / "outputs" / image).tobytes() for image in job["images"]]


# What a kill leaves is the queue's and the gallery's to find; the core keeps nothing on the disk.
def test_a_job_goes_on_after_a_kill(tmp_path: Path, starter_checkpoints: Path) -> None:
    asked = {**ASKED, "steps": 4, "num_images": 2}
    log = tmp_path / "log.txt"
    studio = Studio(tmp_path, starter_checkpoints, free_port(), log, "painter", "states", "stays")
    job_id = answer(studio, do="submit", asked=asked)
    waiting = [answer(studio, do="submit", asked={**ASKED, "steps": 1}) for _ in range(5)]
    file = tmp_path / "outputs" / ".webbduck" / "unfinished" / f"{job_id}.safetensors"
    wait_until(lambda: file.is_file() and Unfinished.read(file).index == 1)
    studio.kill()
    studio.gone()

    studio = Studio(tmp_path, starter_checkpoints, free_port(), log, "painter")
    try:
        wait_until(lambda: answer(studio, do="counts")["completed"] == len(waiting))
        # The one that ran is marked and not started again by itself; whatever waited was done, once.
        for each in waiting:
            (image,) = answer(studio, do="job", id=each)["images"]
            Image.open(tmp_path / "outputs" / image).load()
        job = answer(studio, do="job", id=job_id)
        assert (job["state"], job["can_continue"]) == ("interrupted", True)
        assert job["status"] == "Interrupted; 1 of 2 images kept"
        answer(studio, do="continue", id=job_id)
        wait_until(lambda: answer(studio, do="job", id=job_id)["state"] not in ("queued", "running"))
        job = answer(studio, do="job", id=job_id)
    finally:
        studio.stop()
    assert job["state"] == "completed", job
    request = GenerationRequest.validated(**asked)
    expected = Painter().generate(request, None, SilentReporter())  # type: ignore[arg-type]
    assert pixels(tmp_path, job) == [each.image.tobytes() for each in expected]
    assert not file.exists()
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["Euler", "DPM++ 2M SDE Karras"])
def test_the_true_core_ends_with_the_same_pictures_whenever_it_is_killed(
    tmp_path: Path, starter_checkpoints: Path, scheduler: str
) -> None:
    asked = {**ASKED, "steps": 30, "num_images": 3, "width": 256, "height": 256, "scheduler": scheduler}
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice, log = random.Random(seed), tmp_path / "log.txt"

    def start() -> Studio:
        return Studio(tmp_path, starter_checkpoints, free_port(), log, "states")

    def finish(studio: Studio, job_id: str) -> list[bytes]:
        wait_until(lambda: answer(studio, do="job", id=job_id)["state"] not in ("queued", "running"))
        job = answer(studio, do="job", id=job_id)
        assert job["state"] == "completed", job
        return pixels(tmp_path, job)

    studio = start()
    expected = finish(studio, answer(studio, do="submit", asked=asked))

    def wait_for_a_step(studio: Studio, job_id: str, before: list[int]) -> None:
        wait_until(lambda: answer(studio, do="job", id=job_id)["place"] != before)

    job_id, went_on, before = answer(studio, do="submit", asked=asked), 0, [0, 0]
    for _ in range(KILLS):
        wait_for_a_step(studio, job_id, before)
        time.sleep(dice.uniform(0, 3))
        studio.kill()
        studio.gone()
        studio = start()
        job, before = answer(studio, do="job", id=job_id), [0, 0]
        if job["state"] == "completed":
            assert pixels(tmp_path, job) == expected
            job_id = answer(studio, do="submit", asked=asked)
        elif job["can_continue"]:
            answer(studio, do="continue", id=job_id)
            went_on, before = went_on + 1, job["place"]
        else:  # killed before its first state was on the disk
            job_id = answer(studio, do="retry", id=job_id)
    try:
        assert finish(studio, job_id) == expected
    finally:
        studio.stop()
    print(f"went on {went_on} times")
    assert went_on >= KILLS // 2
    assert "Traceback" not in log.read_text()
