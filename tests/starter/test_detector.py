"""The starter detector: its drawings tell the truth, its training learns, and the committed weights find
heads and hats in drawings and in the checkpoint's own pictures.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import skia
import torch
from PIL import Image

from webbduck_gradio.core.centre_detector import CentreDetector, from_state
from webbduck_gradio.core.detection import Detectors, Region
from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.detectors import Detector
from webbduck_gradio.settings import Settings
from webbduck_gradio.starter.drawing.backdrops import draw_backdrop
from webbduck_gradio.starter.drawing.flocks import draw_flock
from webbduck_gradio.starter.drawing.scenes import Attributes, draw, draw_subject
from webbduck_gradio.starter.drawing.subjects import PARTS, Part
from webbduck_gradio.starter.drawing.synthetic_images import synthetic_image
from webbduck_gradio.starter.evaluation.detector import (
    held_out_flocks,
    hits,
    measured,
    overlap,
    precision_and_recall,
)
from webbduck_gradio.starter.evaluation.inference import generate, open_pipeline
from webbduck_gradio.starter.training.detector import (
    SIDE,
    export_detector,
    losses,
    targets,
    train_detector,
    training_batch,
)
from webbduck_gradio.starter.training.loop import load_state


@pytest.fixture(scope="module")
def detector(starter_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    folder = tmp_path_factory.mktemp("bundled")
    settings = Settings(
        checkpoints=starter_checkpoints, loras=folder / "l", outputs=folder / "o", inputs=folder / "i"
    )
    return Registry(settings).detector("webbduck-starter-detector")


def test_the_boxes_are_where_the_drawing_is() -> None:
    # What a box holds differs from the same picture without it: the duck with and without a hat.
    plain = Attributes("duck", "red", "meadow", "day", "right")
    hatted = Attributes("duck", "red", "meadow", "day", "right", "crown", "golden")
    differs = (draw(plain, 3, 256, 256) != draw(hatted, 3, 256, 256)).any(axis=2)
    hat = Image.fromarray(differs).getbbox()
    rng = random.Random(3)
    canvas = skia.Surface(256, 256).getCanvas()
    draw_backdrop(canvas, 256, 256, "meadow", "day", rng)
    parts = {part.name: part.box for part in draw_subject(canvas, hatted, 256, 256, rng)}
    assert set(parts) == set(PARTS) and hat is not None
    assert parts["hat"] == pytest.approx(hat, abs=2)
    assert overlap(parts["hat"], parts["duck head"]) > 0


def test_a_flock_is_decided_by_its_seed_and_holds_as_many_ducks_as_asked() -> None:
    picture, parts = draw_flock(5, 160, 120, ducks=3)
    again, same = draw_flock(5, 160, 120, ducks=3)
    assert np.array_equal(picture, again) and parts == same
    assert picture.shape == (120, 160, 3)
    assert [part.name for part in parts].count("duck head") == 3
    assert draw_flock(5, 160, 120, ducks=0)[1] == []


def test_targets_and_losses_have_their_least_at_the_truth() -> None:
    parts = [[Part("duck head", (40.0, 48.0, 88.0, 80.0)), Part("hat", (120.0, 8.0, 150.0, 40.0))], []]
    heat, boxes, weight = targets(parts)
    assert heat.shape == (2, 2, SIDE // 8, SIDE // 8)
    assert (heat == 1).sum() == 2 and heat[0, 0, 8, 8] == 1 and heat[0, 1, 3, 16] == 1
    middles = (torch.arange(SIDE // 8) + 0.5) * 8
    sides = torch.stack(
        [
            middles - boxes[:, 0], middles[:, None] - boxes[:, 1],
            boxes[:, 2] - middles, boxes[:, 3] - middles[:, None],
        ],
        dim=1,
    )  # fmt: skip
    truth = torch.cat([(sides / 8).clamp_min(1e-3).log(), torch.where(heat == 1, 9.0, -9.0)], dim=1)
    focal, box, shared = losses(truth, heat, boxes, weight)
    assert focal < 0.05 and box < 1e-4 and shared == pytest.approx(1, abs=1e-4)
    focal, box, shared = losses(torch.zeros_like(truth), heat, boxes, weight)
    assert focal > 1 and box > 0.2 and shared < 0.9


def loss(network: CentreDetector) -> float:
    pixels, parts = training_batch(10_000, 4)  # a batch that the short training does not reach
    with torch.no_grad():
        focal, box, _ = losses(network.raw(pixels), *targets(parts))
    return (focal + box).item()


@pytest.mark.slow
def test_a_few_steps_lower_the_loss_and_go_on_after_a_stop(tmp_path: Path) -> None:
    start = loss(train_detector(tmp_path / "none", minutes=0))
    train_detector(tmp_path, minutes=1, steps=4, batch=4)
    network = train_detector(tmp_path, minutes=1, steps=12, batch=4)
    assert load_state(tmp_path / "detector.pt")["step"] == 12
    assert loss(network) < start
    export_detector(network, tmp_path / "detect" / "made.safetensors", "from a test")
    settings = Settings(
        checkpoints=tmp_path, loras=tmp_path / "l", outputs=tmp_path / "o", inputs=tmp_path / "i"
    )
    made = Registry(settings).detector("made")
    assert made.classes == PARTS
    Detectors().find(Image.new("RGB", (64, 64)), made, 0.3)


def test_weights_of_another_shape_are_refused() -> None:
    network, pixels = CentreDetector(2).eval(), torch.zeros(1, 3, 64, 64)
    state = network.state_dict()
    assert torch.equal(from_state(state)(pixels), network(pixels))
    with pytest.raises(ModelError, match="inconsistent"):
        from_state(state | {"to_fine.weight": torch.zeros(1, 1, 1, 1)})
    with pytest.raises(ModelError, match="inconsistent"):
        from_state({"weight": torch.zeros(2)})


def test_known_answers_of_the_measures() -> None:
    assert overlap((0, 0, 10, 10), (0, 5, 10, 15)) == pytest.approx(1 / 3)
    parts = [Part("hat", (0, 0, 10, 10)), Part("hat", (20, 0, 30, 10)), Part("hat", (-9, 0, 1, 10))]
    found = [
        Region("hat", 0.9, (1, 0, 10, 10)),
        Region("hat", 0.8, (0, 0, 10, 10)),
        Region("duck head", 0.7, (0, 0, 9, 9)),
    ]
    counted = hits(found, parts, (100, 100))
    assert {name: counted[f"hat {name}"] for name in ("there", "found", "hit")} == {
        "there": 2,
        "found": 2,
        "hit": 1,
    }
    assert precision_and_recall(counted, "hat") == (0.5, 0.5)
    assert precision_and_recall(Counter(), "hat") == (0, 0)


def test_heads_and_hats_of_unseen_drawings_are_found(detector: Detector) -> None:
    assert detector.size_bytes <= 3_000_000
    counted = measured(detector, held_out_flocks(40))
    precision, recall = precision_and_recall(counted, "duck head")
    assert precision >= 0.9 and recall >= 0.9
    precision, recall = precision_and_recall(counted, "hat")
    assert precision >= 0.7 and recall >= 0.85


@pytest.mark.slow
def test_a_head_is_found_in_pictures_that_the_checkpoint_drew(
    detector: Detector, starter_checkpoints
) -> None:
    pipeline = open_pipeline(starter_checkpoints / "sdxl" / "webbduck-starter")
    prompts = [f"a {colour} duck in a meadow" for colour in ("red", "yellow", "white", "blue")]
    pictures = generate(pipeline, prompts, [1, 2, 3, 4])
    names = [
        [region.name for region in Detectors().find(Image.fromarray(picture), detector, 0.3)]
        for picture in pictures
    ]
    assert sum("duck head" in each for each in names) >= 3


def test_other_pictures_have_no_duck(detector: Detector) -> None:
    found = [
        Detectors().find(Image.fromarray(synthetic_image(40_000_000 + n, 128)), detector, 0.3)
        for n in range(8)
    ]
    assert sum(map(bool, found)) <= 1
