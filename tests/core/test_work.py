"""The share of a picture's work that is told while it is drawn: one bar over all of its passes."""

from __future__ import annotations

import shutil
from itertools import groupby

import pytest
from making import store
from PIL import Image
from recorder import Recorder
from test_suspend import Saver

from webbduck_gradio.core.progress import Continuation
from webbduck_gradio.errors import SuspendedError
from webbduck_gradio.jobs.unfinished import _read
from webbduck_gradio.request import RedrawRequest
from webbduck_gradio.request.tiles import Tiles
from webbduck_gradio.settings import HOME
from webbduck_gradio.starter.drawing.scenes import Attributes
from webbduck_gradio.starter.drawing.scenes import draw as draw_scene

UPSCALER = "webbduck-starter-x2"
SMALL = {"width": 64, "height": 64, "steps": 4}
HIRES = {"hires_scale": 2, "hires_upscaler": UPSCALER, "hires_steps": 2}


@pytest.fixture(scope="module", autouse=True)
def upscaler(folders, registry) -> None:
    upscalers = folders.checkpoints / "upscale"
    upscalers.mkdir(exist_ok=True)
    shutil.copy(HOME / "checkpoint" / "upscale" / f"{UPSCALER}.safetensors", upscalers)
    registry.refresh()


def names(recorder: Recorder) -> list[str]:
    return [name for name, _ in groupby(name for _, name in recorder.work)]


def is_rising_to(recorder: Recorder, pictures: int) -> bool:
    shares = [share for share, _ in recorder.work]
    return shares == sorted(shares) and shares[-1] == pytest.approx(pictures)


def test_the_passes_of_each_picture_follow_one_another(generator, starter, ask) -> None:
    second = {"second_pass_model": "webbduck-starter", "second_pass_mode": "img2img"}
    recorder = Recorder()
    request = ask(**SMALL, **HIRES, **second, num_images=2)
    list(generator.generate(request, starter, recorder))
    assert is_rising_to(recorder, 2)
    assert names(recorder) == ["First pass", "Second pass", "Hires fix"] * 2
    # By steps times pixels: 4 of 64 x 64, those of the second pass, 2 of 128 x 128.
    drawn = request.img2img_pass_steps.drawn
    first = max(share for share, name in recorder.work if name == "First pass" and share < 1)
    assert first == pytest.approx(4 / (4 + drawn + 2 * 4))


def test_a_picture_of_one_pass_names_none(generator, starter, ask) -> None:
    recorder = Recorder()
    list(generator.generate(ask(**SMALL), starter, recorder))
    assert recorder.work == [(0.25, ""), (0.5, ""), (0.75, ""), (1.0, "")]


def test_regions_share_what_their_pass_was_planned_to_take(generator, starter, ask, folders) -> None:
    attributes = Attributes("duck", "red", "pond", "day", "right", "top hat", "blue")
    duck = store(folders, Image.fromarray(draw_scene(attributes, 5, 128, 128)))
    each = {"detector": "webbduck-starter-detector", "strength": 0.5, "steps": 2}
    details = [each | {"classes": ["duck head"]}, each | {"classes": ["hat"], "confidence": 0.05}]
    recorder = Recorder()
    asked = ask(width=128, height=128, steps=20, strength=0.05, image=duck, prompt="a duck", details=details)
    list(generator.generate(asked, starter, recorder))
    assert is_rising_to(recorder, 1)
    assert names(recorder)[:2] == ["First pass", "Details, pass 1, region 1 of 1"]


def test_a_state_tells_the_share_from_which_its_picture_goes_on(generator, starter, ask, tmp_path) -> None:
    saver = Saver(tmp_path, until=5)
    request = ask(**SMALL, **HIRES | {"hires_upscaler": "Lanczos"})
    with pytest.raises(SuspendedError):
        list(generator.generate(request, starter, saver))
    at = _read(saver.files[-1])
    assert at is not None and (at.step, at.total) == (1, 2)
    assert at.pictures == pytest.approx(saver.work[-1][0]) == pytest.approx(8 / 12)
    recorder = Recorder()
    list(generator.generate(request, starter, recorder, Continuation(0, saver.files[-1])))
    assert [share for share, _ in recorder.work] == pytest.approx([1])


def test_redrawing_in_tiles_is_one_bar_from_the_upscaler_to_the_last_tile(
    generator, registry, starter, ask
) -> None:
    tiles = Tiles.over((128, 96), 64, 32)
    drawing = ask(width=tiles.width, height=tiles.height, steps=2)
    request = RedrawRequest(
        image="a/0.png", drawing=drawing, scale=2, tile_size=64, overlap=32, upscaler=UPSCALER, strength=0.5
    )
    recorder = Recorder()
    upscaler = registry.upscaler(UPSCALER)
    generator.redraw(Image.new("RGB", (64, 48), "teal"), request, starter, upscaler, recorder)
    shares = [share for share, _ in recorder.work]
    assert shares == sorted(shares) and shares[0] > 0 and 0.9 < shares[-1] < 1
    assert len(set(shares)) > 2 * tiles.count  # of reading, of each step, of decoding
