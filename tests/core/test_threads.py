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
