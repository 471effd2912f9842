"""The stages of a picture: kept when asked for, each as if it had been drawn alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from core_fixtures import Ask
from PIL import Image, ImageChops
from recorder import Recorder

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import Continuation
from webbduck_gradio.errors import SuspendedError
from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.stages import request_of
from webbduck_gradio.settings import Settings

REDRAWN = {"second_pass_model": "webbduck-starter", "second_pass_mode": "img2img", "refinement_strength": 0.6}


@pytest.fixture(scope="module")
def request_(ask: Ask) -> GenerationRequest:
    return ask(**REDRAWN, keep_stages=True, num_images=2)


def same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox() is None


def test_a_stage_is_the_picture_of_its_own_request_and_lies_beside_the_final_one(
    request_: GenerationRequest, generator: ImageGenerator, starter: Checkpoint, folders: Settings
) -> None:
    pictures = list(generator.generate(request_, starter, Recorder()))
    outputs = Outputs(folders)
    run = outputs.new_run(request_)
    for each in pictures:
        run.save(each.index, each.image, each.seed, each.warnings, each.facts, stages=each.stages)
    run.close("completed")
    assert sorted(path.name for path in run.path.glob("*.png")) == [
        "0.png", "0_base.png", "1.png", "1_base.png",
    ]  # fmt: skip
    listed = outputs.run(run.id)
    assert [(each.id, each.variants) for each in listed.images] == [
        (f"{run.id}/{number}.png", (f"{run.id}/{number}_base.png",)) for number in "01"
    ]
    assert listed.total == 2
    assert outputs.count("is:upscaled") == 0
    found = metadata.read(run.path / "1_base.png")
    assert found["request"] is not None and found["webbduck"] is not None
    assert found["webbduck"]["stage"] == "base" and "Hires" not in str(found["parameters"])
    alone = GenerationRequest.validated(**found["request"])
    assert alone == request_of("base", request_.for_single_image(1))
    (again,) = generator.generate(alone, starter, Recorder())
    with Image.open(run.path / "1_base.png") as base:
        assert same(base, again.image) and not same(base, pictures[1].image)
    assert not again.stages


def test_nothing_is_kept_unasked(ask: Ask, generator: ImageGenerator, starter: Checkpoint) -> None:
    (picture,) = generator.generate(ask(**REDRAWN), starter, Recorder())
    assert not picture.stages


def test_a_suspended_picture_keeps_its_stages(
    ask: Ask, generator: ImageGenerator, starter: Checkpoint, tmp_path: Path
) -> None:
    request = ask(**REDRAWN, keep_stages="on")

    class Saver(Recorder):
        def wants_state(self) -> bool:
            return len(self.steps) == 5  # the first of the second pass

        def state(self, state: Any) -> None:
            with (tmp_path / "state").open("wb") as file:
                state.write(file)
            raise SuspendedError

    (whole,) = generator.generate(request, starter, Recorder())
    with pytest.raises(SuspendedError):
        list(generator.generate(request, starter, Saver()))
    (again,) = generator.generate(request, starter, Recorder(), Continuation(0, tmp_path / "state"))
    assert same(again.image, whole.image) and same(again.stages["base"], whole.stages["base"])


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_other_formats_and_foreign_files_of_such_names(
    format: str, ask: Ask, folders: Settings, registry: Registry
) -> None:
    request = ask(output_format=format)
    outputs = Outputs(folders)
    run = outputs.new_run(request)
    red, blue = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    leftover = run.path / f"0_base.{format}"
    leftover.write_bytes(b"left by a crash")
    run.save(0, red, 7, stages={"base": blue})
    run.close("completed")
    blue.save(run.path / "0_redrawn.png")  # says nothing of a stage
    outputs.changed(run.id)
    images = {each.id.rpartition("/")[2]: each.variants for each in outputs.run(run.id).images}
    assert images == {f"0.{format}": (f"{run.id}/0_base.{format}",), "0_redrawn.png": ()}
