"""The same picture, bit for bit, whichever thread draws it."""

from __future__ import annotations

import threading

import numpy as np
import torch
from recorder import Recorder


def test_a_thread_that_counts_its_cores_otherwise_draws_the_same(generator, starter, ask) -> None:
    drawn = []

    def draw(threads: int) -> None:
        torch.set_num_threads(threads)
        (picture,) = generator.generate(ask(), starter, Recorder())
        drawn.append((np.asarray(picture.image), torch.get_num_threads()))

    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            thread = threading.Thread(target=draw, args=(threads,))
            thread.start()
            thread.join()
    finally:
        torch.set_num_threads(before)
    assert len({count for _, count in drawn}) == 1
    assert all(np.array_equal(drawn[0][0], image) for image, _ in drawn)


def test_a_picture_records_what_its_last_bits_depend_on(generator, starter, ask) -> None:
    (picture,) = generator.generate(ask(), starter, Recorder())
    assert picture.facts["threads"] == torch.get_num_threads() == generator.describe()["threads"]
    assert "gpu" not in picture.facts or picture.facts["device"] != "cpu"


def test_few_steps_record_the_schedule_that_they_really_lie_on(generator, starter, ask) -> None:
    def schedule(**asked: object) -> str | None:
        (picture,) = generator.generate(ask(**asked), starter, Recorder())
        return picture.facts.get("schedule")

    assert schedule(scheduler="Euler", steps=2) == "SGM Uniform"
    assert schedule(scheduler="Euler Karras", steps=2) is None
    assert schedule(scheduler="DPM2", steps=2) is None
    assert schedule(scheduler="Euler", steps=10) is None
