"""A VAE of its own: it encodes and decodes in place of the checkpoint's, which stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from core_fixtures import Ask, Paint
from making import vae_folder
from recorder import Recorder

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import Continuation
from webbduck_gradio.errors import ModelError, NotFoundError, SuspendedError
from webbduck_gradio.models.admission import build_request, validate_request
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def vaes(folders: Settings, starter: Checkpoint) -> None:
    from making import vae_file

    vae_folder(starter.path, folders.checkpoints / "vae" / "folder")
    vae_file(starter.path, folders.checkpoints / "vae" / "plain.safetensors", original=False)


def test_all_layouts_draw_the_same_and_the_own_vae_comes_back_unchanged(
    paint: Paint, generator: ImageGenerator
) -> None:
    (before,) = paint()
    loaded = generator.pipelines.in_use[-1]
    kept = loaded.pipe.unet, loaded.pipe.text_encoder, loaded.pipe.text_encoder_2
    pictures = [paint(vae=name)[0] for name in ("other", "folder", "plain", "OTHER.safetensors")]
    assert generator.pipelines.in_use[-1] is loaded
    assert kept == (loaded.pipe.unet, loaded.pipe.text_encoder, loaded.pipe.text_encoder_2)
    assert all(numpy.array_equal(pictures[0], each) for each in pictures[1:])
    # Its last bias is higher by 0.1 of -1..1, which is 12.75 of 255, but for what is white already.
    assert 6 < (pictures[0] - before).mean() < 13
    assert numpy.array_equal(paint()[0], before)


def test_both_vaes_count_while_one_takes_the_place_of_the_other(
    paint: Paint, generator: ImageGenerator, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator.free()
    paint(steps=1)
    (loaded,) = generator.pipelines.in_use
    alone = loaded.size
    paint(steps=1, vae="other")
    own = sum(each.numel() * each.element_size() for each in loaded.own_vae.parameters())
    assert loaded.pipe.vae is not loaded.own_vae and loaded.size == alone + own
    # There is room for both checkpoints, but not for the VAE beside them.
    refiner = registry.checkpoint("refiner")
    budget = loaded.size + refiner.size_bytes * 2 + own // 2
    monkeypatch.setattr(generator.pipelines, "budget", budget)
    generator.pipelines.get(refiner, lambda text: None)
    assert generator.pipelines.names == ["refiner"]
    generator.free()


def test_it_encodes_the_input_picture_and_decodes_the_second_pass(paint: Paint, image: str) -> None:
    second = {"second_pass_model": "webbduck-starter", "second_pass_mode": "img2img"}
    for beside in ({"image": image, "strength": 0.5}, second, {"second_pass_model": "refiner"}):
        before, after = paint(**beside), paint(**beside, vae="other")
        assert (after[0] - before[0]).mean() > 4, beside


def test_it_is_the_checkpoints_latents_that_it_decodes(
    paint: Paint, registry: Registry, starter: Checkpoint, generator: ImageGenerator
) -> None:
    """A single file says nothing of the scale, and what a folder says need not be the checkpoint's."""
    from making import change

    folder = registry.settings.checkpoints / "vae" / "scaled"
    change(vae_folder(starter.path, folder) / "config.json", scaling_factor=0.5)
    assert numpy.array_equal(paint(vae="scaled")[0], paint(vae="other")[0])


def test_only_what_is_there_and_usable_is_taken(registry: Registry, ask: Ask) -> None:
    from webbduck_gradio.gallery.input_images import InputImageStore

    inputs = InputImageStore(registry.settings)
    with pytest.raises(NotFoundError, match="There is no VAE named 'gone'"):
        validate_request(registry, ask(vae="gone"), inputs)
    (registry.settings.checkpoints / "vae" / "old.pt").write_bytes(b"\x80\x02")
    try:
        with pytest.raises(ModelError, match="pickle"):
            validate_request(registry, ask(vae="old.pt"), inputs)
    finally:
        (registry.settings.checkpoints / "vae" / "old.pt").unlink()


def test_a_checkpoint_has_a_default_vae_which_a_request_can_refuse(registry: Registry, ask: Ask) -> None:
    registry.edit_checkpoint("webbduck-starter", {"vae": "other"})
    try:
        assert registry.checkpoint("webbduck-starter").defaults.vae == "other"
        assert ask().vae == "other" and ask(vae="").vae == ""
        again: dict[str, Any] = ask(vae="").model_dump()
        assert build_request(registry, again).vae == ""
    finally:
        registry.edit_checkpoint("webbduck-starter", {"vae": None})
    assert ask().vae == ""


def test_a_suspended_picture_goes_on_with_its_vae_or_says_that_it_changed(
    generator: ImageGenerator, registry: Registry, ask: Ask, starter: Checkpoint, tmp_path: Path
) -> None:
    from making import vae_file

    path = vae_file(starter.path, registry.settings.checkpoints / "vae" / "changing.safetensors")
    request = ask(vae="changing", steps=3)

    class Saver(Recorder):
        def wants_state(self) -> bool:
            return True

        def state(self, state: Any) -> None:
            with (tmp_path / "state").open("wb") as file:
                state.write(file)
            raise SuspendedError

    (whole,) = generator.generate(request, starter, Recorder())
    with pytest.raises(SuspendedError):
        list(generator.generate(request, starter, Saver()))
    on = Continuation(0, tmp_path / "state")
    list(generator.generate(ask(), starter, Recorder()))  # another VAE in between
    (again,) = generator.generate(request, starter, Recorder(), on)
    assert again.image.tobytes() == whole.image.tobytes() and not again.warnings
    path.unlink()
    vae_file(starter.path, path)
    with pytest.raises(ModelError, match="The VAE changing has changed since this job began"):
        list(generator.generate(request, starter, Recorder(), on))


def test_the_precision_that_works_is_remembered_for_each_vae(
    paint: Paint, generator: ImageGenerator, starter: Checkpoint
) -> None:
    paint()
    own = generator.pipelines.in_use[-1].decoding
    paint(vae="other")
    other = generator.pipelines.in_use[-1].decoding
    assert own is not other and other is not None and other.current == torch.float32
    paint()
    assert generator.pipelines.in_use[-1].decoding is own
