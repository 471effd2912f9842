"""Training the upscaler: it learns, goes on after a stop, writes a file that loads; its measures are true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from webbduck_gradio.core.realesrgan_compact import Compact
from webbduck_gradio.core.upscaling import load
from webbduck_gradio.models.probe.safetensors_header import read_header
from webbduck_gradio.starter.evaluation import upscaler
from webbduck_gradio.starter.evaluation.upscaler import compare, held_out_drawings, photographs, psnr
from webbduck_gradio.starter.training.loop import load_state
from webbduck_gradio.starter.training.upscaler import (
    KERNELS,
    export_upscaler,
    relative_error,
    shrink,
    train_upscaler,
    training_pairs,
)


def loss(network: Compact) -> float:
    small, large = training_pairs(10_000)  # a batch that the short training does not reach
    with torch.no_grad():
        return relative_error(network(small), small, large)[0].item()


@pytest.mark.slow
def test_twenty_steps_lower_the_loss_and_go_on_after_a_stop(tmp_path: Path) -> None:
    start = loss(train_upscaler(tmp_path / "none", minutes=0, width=8, depth=2))
    train_upscaler(tmp_path, minutes=1, steps=8, width=8, depth=2)
    network = train_upscaler(tmp_path, minutes=1, steps=20, width=8, depth=2)
    assert load_state(tmp_path / "upscaler.pt")["step"] == 20
    assert loss(network) < 0.9 * start
    export_upscaler(network, tmp_path / "made.safetensors", "from a test")
    assert read_header(tmp_path / "made.safetensors").metadata["provenance"] == "from a test"
    small, _ = training_pairs(3)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "made.safetensors", "cpu")(small), network(small))


def test_pairs_are_the_same_picture_at_two_sizes_and_decided_by_the_step() -> None:
    small, large = training_pairs(5)
    again, _ = training_pairs(5)
    assert torch.equal(small, again)
    assert large.shape[2] == 2 * small.shape[2]
    for near, far in zip(small, torch.nn.functional.avg_pool2d(large, 2), strict=True):
        assert (near - far).abs().mean() < 0.25 * (near.roll(7, 1) - far).abs().mean() + 0.02


def test_known_answers_of_the_measures(tmp_path: Path) -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(grey, grey) == 100
    assert psnr(grey, grey + 1) == pytest.approx(48.13, abs=0.01)
    assert psnr(grey, grey + 10) == pytest.approx(28.13, abs=0.01)
    for kernel in KERNELS:
        assert np.array_equal(shrink(grey, kernel), grey[:4, :4])
    # A network that repeats pixels is worse than Lanczos on a drawing, and the measure says so.
    network = Compact(4, 1)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    export_upscaler(network, tmp_path / "repeat.safetensors", "")
    (drawing,) = held_out_drawings(1, side=128)
    found = compare(drawing, "bicubic", tmp_path / "repeat.safetensors")
    repeated = shrink(drawing, "bicubic").repeat(2, 0).repeat(2, 1)
    assert found.model == pytest.approx(psnr(repeated, drawing), abs=0.01)
    assert found.gain < -0.5


def test_no_section_without_the_file(tmp_path: Path) -> None:
    from webbduck_gradio.starter.evaluation.sections import EvalContext

    assert upscaler.section(EvalContext(tmp_path, tmp_path, models=tmp_path)) is None


def test_photographs_are_there() -> None:
    pictures = photographs()
    assert len(pictures) >= 4
    assert all(side % 4 == 0 for _, picture in pictures for side in picture.shape[:2])
