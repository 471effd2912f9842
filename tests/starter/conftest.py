"""What the tests of the trainings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

SHARD = 12


@pytest.fixture(scope="module")
def small_shards() -> Iterator[int]:
    """Drawings in a shard of latents, while these tests run: a training of a few steps needs no more."""
    from webbduck_gradio.starter.training import latents

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latents, "SHARD", SHARD)
        yield SHARD
