"""Upscaling: tiles without seams, models of spandrel, Lanczos where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from recorder import Recorder
from safetensors.torch import load_file, save_file

from webbduck_gradio.core import upscaling
from webbduck_gradio.core.realesrgan_compact import Compact
from webbduck_gradio.core.upscaling import upscale
from webbduck_gradio.errors import CancelledError, ModelError, RequestError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.upscalers import has_spandrel
from webbduck_gradio.request import UpscaleRequest
from webbduck_gradio.settings import HOME


def needs_spandrel(test: Callable[..., None]) -> Callable[..., None]:
    """Left out, and named, where spandrel is not installed; `-m spandrel` runs these alone."""
    reason = "spandrel is not installed: pip install --no-deps spandrel==0.4.2 einops==0.8.2"
    return pytest.mark.spandrel(pytest.mark.skipif(not has_spandrel(), reason=reason)(test))


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    noise = numpy.random.default_rng(0).integers(0, 255, (20, 26, 3)).astype(numpy.uint8)
    return Image.fromarray(noise, "RGB").resize((416, 320), Image.Resampling.BICUBIC)


def write(path: Path, scale: int, weight: float) -> Path:
    """A network of Real-ESRGAN's compact kind, small; with `weight` 0 it repeats pixels."""
    torch.manual_seed(0)
    state = {key: value * weight for key, value in Compact(8, 2, scale).state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    return path


def write_esrgan(path: Path) -> Path:
    """A tiny network of a kind that only spandrel knows, x2."""
    upscaling._spandrel()
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = ESRGAN(num_filters=4, num_blocks=1, scale=2).state_dict()
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
    assert grown.size == (80, 60) and "upscales 4x" in warnings[0]
    recorder = Recorder()
    grown, warnings = upscale(small, 4, twice, "cpu", recorder)  # two passes
    assert grown.size == (160, 120) and warnings == ()
    assert recorder.steps == [(0, 1, 2), (0, 2, 2)]  # counted over both
    grown, warnings = upscale(small, 4, write(tmp_path / "3.safetensors", 3, 0), "cpu", Recorder())
    assert grown.size == (160, 120) and "upscales 3x" in warnings[0]


@pytest.mark.parametrize("by_model", [True, False])
@pytest.mark.parametrize("tiling", ["x", "y", "both"])
def test_a_seamless_picture_stays_seamless(picture, by_model: bool, tiling: str) -> None:
    path = HOME / "checkpoint" / "upscale" / "webbduck-starter-x2.safetensors" if by_model else None
    image = picture.resize((64, 64)).convert("RGBA")
    axes = [axis for axis, name in enumerate("yx") if tiling in (name, "both")]
    # Moved by half its sides, what was at the borders lies in the middle and is upscaled with all around it.
    moved = Image.fromarray(numpy.roll(numpy.asarray(image), [32] * len(axes), axes))
    around, _ = upscaling.upscale(moved, 2, path, "cpu", Recorder(), tiling=tiling)
    there = numpy.roll(numpy.asarray(around), [-64] * len(axes), axes).astype(int)
    ways = {
        way: upscaling.upscale(image, 2, path, "cpu", Recorder(), tiling=way)[0] for way in ("none", tiling)
    }
    plain, wrapped = (numpy.abs(numpy.asarray(each).astype(int) - there).max() for each in ways.values())
    assert {each.size for each in ways.values()} == {(128, 128)}
    assert wrapped <= 1 and plain > 8


def test_a_seamless_picture_that_is_too_large_says_so(monkeypatch) -> None:
    monkeypatch.setattr(upscaling, "MAX_UPSCALED_PIXELS", 130 * 130)
    image = Image.new("RGB", (64, 64), "red")
    upscaled, warnings = upscaling.upscale(image, 2, None, "cpu", Recorder(), tiling="x")
    assert upscaled.size == (128, 128) and upscaling.NOT_SEAMLESS in warnings


def test_without_a_model_lanczos_is_said(picture) -> None:
    grown, warnings = upscale(picture, 2, None, "cpu", Recorder())
    assert grown.tobytes() == picture.resize((832, 640), Image.Resampling.LANCZOS).tobytes()
    assert "Lanczos" in warnings[0]


@pytest.mark.parametrize("by_model", [False, True])
def test_transparency_is_kept(tmp_path, by_model: bool) -> None:
    image = Image.new("RGBA", (48, 40), (0, 0, 0, 0))  # black lies hidden where it is transparent
    image.paste((250, 60, 40, 255), (0, 0, 24, 40))
    image.paste((250, 60, 40, 128), (0, 30, 24, 40))
    model = write(tmp_path / "repeat.safetensors", 2, 0) if by_model else None
    grown, warnings = upscale(image, 2, model, "cpu", Recorder())
    assert (grown.mode, grown.size) == ("RGBA", (96, 80))
    assert any("transparency was upscaled with Lanczos" in each for each in warnings) == by_model
    pixels = numpy.asarray(grown).astype(int)
    assert (pixels[:20, :40, 3] == 255).all() and (pixels[:, 56:, 3] == 0).all()
    assert numpy.abs(pixels[70:, :40, 3] - 128).max() <= 1
    seen = pixels[pixels[..., 3] > 16]
    assert numpy.abs(seen[:, :3] - [250, 60, 40]).max() < 12  # no dark fringe


def test_an_opaque_picture_stays_without_alpha(tmp_path) -> None:
    assert upscale(Image.new("LA", (8, 8), (9, 255)), 2, None, "cpu", Recorder())[0].mode == "RGB"


@pytest.mark.parametrize("size", [(1, 70), (70, 1), (1, 1), (3, 2)])
def test_pictures_one_pixel_wide(tmp_path, size) -> None:
    noise = Image.effect_noise(size, 90).convert("RGB")
    grown, _ = upscale(noise, 2, write(tmp_path / "repeat.safetensors", 2, 0), "cpu", Recorder())
    expected = noise.resize((size[0] * 2, size[1] * 2), Image.Resampling.NEAREST)
    assert grown.tobytes() == expected.tobytes()


def test_what_cannot_be_done_is_one_sentence(tmp_path, picture) -> None:
    odd = tmp_path / "odd.safetensors"
    save_file({"x": torch.zeros(2)}, odd)
    # Whether it is a model of another kind, only spandrel could tell.
    sentence = "not a supported upscaling model" if has_spandrel() else "pip install --no-deps spandrel=="
    with pytest.raises(ModelError, match=sentence):
        upscale(picture, 2, odd, "cpu", Recorder())
    same = write(tmp_path / "same.safetensors", 1, 0)
    with pytest.raises(ModelError, match="does not upscale"):
        upscale(picture, 2, same, "cpu", Recorder())
    with pytest.raises(RequestError, match="megapixels"):
        upscale(Image.new("RGB", (4096, 4096)), 4, None, "cpu", Recorder())
    stopped = Recorder(cancel_after=1)
    with pytest.raises(CancelledError):
        upscale(picture, 2, write(tmp_path / "two.safetensors", 2, 0), "cpu", stopped)
    assert len(stopped.steps) == 1


@needs_spandrel
def test_no_stand_in_for_torchvision_stays_behind(monkeypatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] in ("spandrel", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchvision", None)  # as if it were not installed
    assert upscaling._spandrel().ModelLoader
    assert not [name for name in sys.modules if name.startswith("torchvision.")]
    assert sys.modules.get("torchvision") is None


@needs_spandrel
def test_a_compact_file_gives_what_spandrel_makes_of_it(tmp_path, picture) -> None:
    path = write(tmp_path / "compact.safetensors", 2, 1)
    pixels = torch.from_numpy(numpy.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 255
    theirs = upscaling._spandrel().ModelLoader(torch.device("cpu")).load_from_file(path).eval()
    with torch.no_grad():
        ours, other = upscaling.load(path, "cpu")(pixels).clamp(0, 1), theirs(pixels)
    assert (ours - other).abs().max() < 1e-5
    wrapped = {f"params_ema.{name}": value for name, value in load_file(path).items()}
    save_file(wrapped, tmp_path / "wrapped.safetensors")
    with torch.no_grad():
        assert torch.equal(upscaling.load(tmp_path / "wrapped.safetensors", "cpu")(pixels).clamp(0, 1), ours)


@needs_spandrel
def test_other_kinds_need_spandrel_and_say_so(settings, picture, monkeypatch) -> None:
    folder = settings.checkpoints / "upscale"
    other = write_esrgan(folder / "other.safetensors")
    small = picture.crop((0, 0, 40, 30))
    assert upscale(small, 2, other, "cpu", Recorder())[0].size == (80, 60)
    write(folder / "compact.safetensors", 2, 1)
    monkeypatch.setitem(sys.modules, "spandrel", None)  # as if it were not installed
    reasons = {each.name: each.unusable for each in Registry(settings).upscalers()}
    assert reasons["compact"] is None
    assert "-m pip install --no-deps spandrel==" in str(reasons["other"])
    with pytest.raises(ModelError, match="pip install --no-deps spandrel=="):
        upscale(small, 2, other, "cpu", Recorder())
    assert upscale(small, 2, folder / "compact.safetensors", "cpu", Recorder())[0].size == (80, 60)


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
    request = UpscaleRequest.validated(image="0.png", scale=2)
    grown = generator.upscale(picture, request, chosen, Recorder())
    assert grown.image.size == (832, 640) and grown.facts["upscaler"] == "fast"
    assert numpy.array_equal(paint()[0], before)
