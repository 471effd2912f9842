"""Training the captioner: it learns, goes on after a stop, and its folder captions with the network off."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from webbduck_gradio.settings import HOME
from webbduck_gradio.starter.captions.templates import OPENINGS, UNKNOWN
from webbduck_gradio.starter.drawing.scenes import draw, sample
from webbduck_gradio.starter.training.captioner import (
    SIDE,
    export_captioner,
    make_tokenizer,
    preprocess,
    train_captioner,
    training_batch,
    word_loss,
)
from webbduck_gradio.starter.training.loop import load_state

SMALL = {"width": 32, "batch": 4, "peak": 4e-3, "warm_up": 2}

OFFLINE = """
import socket, sys
def closed(*a, **k): raise OSError("the network is off")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = closed
from pathlib import Path
import torch
from PIL import Image
from webbduck_gradio.core.captioning import caption
from webbduck_gradio.models.captioners import Captioner
captioner = Captioner("small", Path(sys.argv[1]), "folder", None)
text, warnings = caption(Image.new("RGB", (90, 60), "red"), captioner, "short", 5, "cpu", torch.float32)
assert "torchvision" not in sys.modules
print(len(text.split()) > 0, *warnings, sep="|")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    work = tmp_path_factory.mktemp("captioner")
    train_captioner(work, minutes=1, steps=8, **SMALL)
    return work, train_captioner(work, minutes=1, steps=20, **SMALL)


@pytest.mark.slow
def test_twenty_steps_lower_the_loss_and_go_on_after_a_stop(trained, tmp_path: Path) -> None:
    work, model = trained
    assert load_state(work / "captioner.pt")["step"] == 20
    tokenizer = make_tokenizer(tmp_path)
    pictures, texts, _ = training_batch(10_000, 4)
    losses = []
    for each in (train_captioner(tmp_path / "none", minutes=0, **SMALL), model):
        with torch.no_grad():
            found = each.vision_model(pixel_values=pictures).last_hidden_state
            losses.append(word_loss(each, found, [pair[0] for pair in texts], tokenizer).item())
    assert losses[1] < 0.9 * losses[0]


@pytest.mark.slow
def test_the_folder_captions_offline_and_says_what_it_cannot_do(trained, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    export_captioner(trained[1], folder, "from a test")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OFFLINE, str(folder)],
        capture_output=True, text=True, cwd=HOME, timeout=300, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    words, *warnings = done.stdout.strip().split("|")
    assert words == "True"
    assert any("knows only cartoon scenes" in warning for warning in warnings)
    assert any("cut off after 5 tokens; raise max_tokens" in warning for warning in warnings)


def test_batches_are_decided_by_the_step_and_seen_as_the_processor_sees(tmp_path: Path) -> None:
    pictures, texts, shown = training_batch(7, 8)
    again, same, _ = training_batch(7, 8)
    assert torch.equal(pictures, again)
    assert texts == same
    assert not torch.equal(pictures, training_batch(8, 8)[0])
    for pair, attributes in zip(texts, shown, strict=True):
        assert pair[0].startswith(OPENINGS["detailed"])
        assert (UNKNOWN in pair[0]) == (attributes is None)
    from transformers import AutoProcessor

    export_captioner(train_captioner(tmp_path / "none", minutes=0, **SMALL), tmp_path, "")
    processor = AutoProcessor.from_pretrained(tmp_path, local_files_only=True)
    picture = draw(sample(random.Random(1)), 2, 96, 60)
    found = processor(images=picture, return_tensors="pt")["pixel_values"][0]
    assert found.shape == (3, SIDE, SIDE)
    assert (found - torch.from_numpy(preprocess(picture))).abs().max() < 0.02
