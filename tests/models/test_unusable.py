"""A checkpoint that cannot be used is known with its reason, and refused before anything is queued."""

from __future__ import annotations

import pytest

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings


def test_the_reason_is_known_and_a_request_is_refused_with_it(settings: Settings) -> None:
    (settings.checkpoints / "sdxl" / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    registry = Registry(settings)
    reason = registry.checkpoint("cut").unusable
    assert reason and "cut.safetensors" in reason
    for ask in (
        lambda: registry.usable_checkpoint("cut"),
        lambda: build_request(registry, {"base_model": "cut", "prompt": "a duck"}),
        lambda: build_request(registry, {"second_pass_model": "cut", "prompt": "a duck"}),
    ):
        with pytest.raises(ModelError) as refused:
            ask()
        assert str(refused.value) == reason
