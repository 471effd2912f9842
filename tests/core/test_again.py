"""A picture is made again, bit for bit, from what its own file says: through the gallery and back."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from each_sampler import EACH_SAMPLER
from PIL import Image
from recorder import Recorder
from request_checks import validate

from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata.recall import read_settings
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.samplers import JOINED, fewest_steps, sampler_named
from webbduck_gradio.settings import Settings

SIZE = {"width": 96, "height": 80}
STARTER = "webbduck-starter"
LONG = "a (red:1.3) duck, on a pond at sunset, [with] a hat \\(small\\), " * 7 + "BREAK (night)"

MODES: dict[str, dict[str, Any]] = {
    "txt2img": {},
    "img2img": {"image": "IMAGE", **SIZE},
    "inpaint": {"image": "IMAGE", "mask": "MASK", **SIZE},
    "only masked": {"image": "IMAGE", "mask": "MASK", "inpaint_area": "masked"},
    "soft from noise": {
        "image": "IMAGE",
        "mask": "MASK",
        "soft_inpainting": "on",
        "masked_content": "latent noise",
        "strength": 1.0,
        **SIZE,
    },
    "outpainting": {"image": "IMAGE", "outpaint": {"left": 80, "bottom": 16}, "width": 176, "height": 96},
    "9 channels": {"image": "IMAGE", "mask": "MASK", "base_model": "painter", **SIZE},
    "refiner": {"second_pass_model": "refiner"},
    "second pass": {"second_pass_model": STARTER, "refinement_strength": 0.5},
    "hires fix": {
        "hires_scale": 1.5,
        "hires_upscaler": "Latent (bicubic)",
        "hires_prompt": "a duck <lora:unet:0.5>",
        "hires_sampler": "Euler a",
        "loras": [{"name": "whole", "weight": 0.7}],
    },
    "LoRA, long weighted prompt": {
        "prompt": LONG + " <lora:unet:0.4>",
        "negative_prompt": "(hat:1.4), " * 30,
        "loras": [{"name": "whole", "weight": -0.7}],
        "clip_skip": 1,
    },
}


@pytest.fixture
def remake(tmp_path, folders, generator, registry, ask, image, mask):
    """Draw a batch into a gallery; then each wanted picture alone, from its file."""
    settings = Settings(
        checkpoints=folders.checkpoints, loras=folders.loras, outputs=tmp_path / "out", inputs=folders.inputs
    )
    settings.make_folders()
    stored = {"IMAGE": image, "MASK": mask}

    def draw(request: GenerationRequest) -> list[Any]:
        validate(registry, request)
        return list(generator.generate(request, registry.checkpoint(request.base_model), Recorder()))

    def make(indices: tuple[int, ...], **asked: Any) -> None:
        asked = {
            name: stored.get(each, each) if isinstance(each, str) else each for name, each in asked.items()
        }
        request = ask(**{"steps": 3} | asked)
        outputs = Outputs(settings)
        run = outputs.new_run(request)
        ids = [
            run.save(each.index, each.image, each.seed, each.warnings, each.facts) for each in draw(request)
        ]
        run.close("completed")
        paths = [outputs.resolve(each) for each in ids]
        assert len({path.read_bytes()[-2000:] for path in paths}) == len(paths)
        for index in indices:
            fields, notes = read_settings(paths[index], registry, InputImageStore(registry.settings))
            assert notes == []
            alone = GenerationRequest.validated(**fields)
            assert alone.num_images == 1 and alone.seed == request.seed_of(index)
            with Image.open(paths[index]) as saved:
                (again,) = draw(alone)
                assert numpy.array_equal(numpy.asarray(saved), numpy.asarray(again.image))
        outputs.close()

    return make


@pytest.mark.parametrize("mode", MODES)
def test_each_of_a_batch_is_made_again_alone(remake, mode: str) -> None:
    remake((1, 0), num_images=2, **MODES[mode])


# A fifth of them: that each draws the same bits in another generator is shown by test_suspend.py.
@pytest.mark.parametrize("scheduler", EACH_SAMPLER[::5])
def test_with_samplers_and_schedules(remake, scheduler: str) -> None:
    sampler, schedule = JOINED[scheduler]
    steps = max(3, fewest_steps(sampler_named(sampler), schedule))
    remake((0,), scheduler=scheduler, negative_prompt="hat", steps=steps)
