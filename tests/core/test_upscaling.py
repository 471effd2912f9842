"""Upscaling: tiles without seams, models of spandrel, Lanczos where there is none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from recorder import Recorder
from safetensors.torch import save_file

from webbduck_gradio.core import upscaling
from webbduck_gradio.core.upscaling import upscale
from webbduck_gradio.errors import Cancelled, ModelError, RequestError
from webbduck_gradio.models.registry import Registry
from webbduck_gradio.request import UpscaleRequest


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    noise = numpy.random.default_rng(0).integers(0, 255, (20, 26, 3)).astype(numpy.uint8)
    return Image.fromarray(noise, "RGB").resize((416, 320), Image.Resampling.BICUBIC)


def write(path: Path, scale: int, weight: float) -> Path:
    """A real network of Real-ESRGAN's compact kind, small; with `weight` 0 it repeats pixels."""
    if importlib.util.find_spec("spandrel") is None:
        pytest.skip("spandrel is not installed: pip install --no-deps spandrel==0.4.2 einops")
    upscaling._spandrel()
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=scale)
    state = {key: value * weight for key, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize("scale", [2, 4])
def test_a_network_that_repeats_pixels_does_exactly_that_in_tiles(tmp_path, picture, scale: int) -> None:
    recorder = Recorder()
    model = write(tmp_path / "repeat.safetensors", scale, 0)
    grown, warnings = upscale(picture, scale, model, "cpu", recorder)
    assert grown.tobytes() == picture.resize(grown.size, Image.Resampling.NEAREST).tobytes()
    assert grown.size == (416 * scale, 320 * scale) and warnings == ()
    assert [step for _, step, _ in recorder.steps] == [1, 2, 3, 4]


def test_tiles_leave_no_seam(tmp_path, picture, monkeypatch) -> None:
    model = write(tmp_path / "random.safetensors", 2, 1)
    tiled, _ = upscale(picture, 2, model, "cpu", Recorder())
    monkeypatch.setattr(upscaling, "TILE", 4096)
    whole, _ = upscale(picture, 2, model, "cpu", Recorder())
    assert numpy.abs(numpy.asarray(tiled).astype(int) - numpy.asarray(whole)).max() <= 1


def test_another_scale_than_the_models_is_said(tmp_path, picture) -> None:
    small = picture.crop((0, 0, 40, 30))
    twice, four = (write(tmp_path / f"{scale}.safetensors", scale, 0) for scale in (2, 4))
    grown, warnings = upscale(small, 2, four, "cpu", Recorder())
    assert grown.size == (80, 60) and "enlarges 4 times" in warnings[0]
    grown, warnings = upscale(small, 4, twice, "cpu", Recorder())  # two passes
    assert grown.size == (160, 120) and warnings == ()


def test_without_a_model_lanczos_is_said(picture) -> None:
    grown, warnings = upscale(picture, 2, None, "cpu", Recorder())
    assert grown.tobytes() == picture.resize((832, 640), Image.Resampling.LANCZOS).tobytes()
    assert "Lanczos" in warnings[0]


def test_what_cannot_be_done_is_one_sentence(tmp_path, picture) -> None:
    odd = tmp_path / "odd.safetensors"
    save_file({"x": torch.zeros(2)}, odd)
    with pytest.raises(ModelError, match="no upscaling model that is known"):
        upscale(picture, 2, odd, "cpu", Recorder())
    same = write(tmp_path / "same.safetensors", 1, 0)
    with pytest.raises(ModelError, match="does not enlarge"):
        upscale(picture, 2, same, "cpu", Recorder())
    with pytest.raises(RequestError, match="megapixels"):
        upscale(Image.new("RGB", (4096, 4096)), 4, None, "cpu", Recorder())
    stopped = Recorder(cancel_after=1)
    with pytest.raises(Cancelled):
        upscale(picture, 2, write(tmp_path / "two.safetensors", 2, 0), "cpu", stopped)
    assert len(stopped.steps) == 1


def test_no_stand_in_for_torchvision_stays_behind() -> None:
    if importlib.util.find_spec("spandrel") is None:
        pytest.skip("spandrel is not installed: pip install --no-deps spandrel==0.4.2 einops")
    upscaling._spandrel()
    module = sys.modules.get("torchvision")
    assert module is None or module.__file__


def test_the_catalog_and_the_generator(settings, picture, generator, paint) -> None:
    folder = settings.checkpoints / "upscale"
    write(folder / "fast.safetensors", 2, 0)
    (folder / "bad.safetensors").write_bytes(b"")
    (folder / "old.pth").write_bytes(b"\x80\x02")
    registry = Registry(settings)
    reasons = {each.name: each.unusable for each in registry.upscalers()}
    assert reasons["fast"] is None and "is empty" in reasons["bad"] and "pickle" in reasons["old.pth"]
    for name, words in (("old.pth", "pickle"), ("none", "no upscaler named 'none'; there are: fast")):
        with pytest.raises((ModelError, RequestError), match=words):
            registry.upscaler(name)
    chosen = registry.upscaler(None)
    assert chosen is not None and chosen.name == "fast"
    before = paint()[0]
    request = UpscaleRequest.of(image="0.png", scale=2)
    grown = generator.upscale(picture, request, chosen, Recorder())
    assert grown.image.size == (832, 640) and grown.facts["upscaler"] == "fast"
    assert numpy.array_equal(paint()[0], before)
