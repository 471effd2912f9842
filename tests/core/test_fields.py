"""Every field of the request reaches the picture. A new field that reaches nothing fails here."""

from __future__ import annotations

import numpy
import pytest

from webbduck_gradio.request import GenerationRequest

SECOND = {"second_pass_model": "webbduck-starter"}
STARTER = {"base_model": "webbduck-starter"}

# field -> (the rest of the request, its changed value); "IMAGE" and "MASK" stand for stored pictures.
CHANGES: dict[str, tuple[dict, object]] = {
    "prompt": ({}, "a balloon at night"),
    "negative_prompt": ({}, "pond"),
    "prompt_2": ({}, "a balloon at night"),
    "base_model": ({"image": "IMAGE", "mask": "MASK"}, "reddish"),
    "width": ({}, 72),
    "height": ({}, 72),
    "steps": ({}, 5),
    "cfg": ({}, 9.0),
    "scheduler": ({}, "Euler a"),
    "seed": ({}, 8),
    "num_images": ({}, 2),
    "loras": ({}, [{"name": "whole", "weight": 1.0}]),
    "second_pass_model": ({"refinement_strength": 0.5}, "webbduck-starter"),
    "second_pass_mode": (SECOND | {"refinement_strength": 0.5}, "refiner"),
    "refinement_strength": (SECOND, 0.8),
    "second_pass_steps": (SECOND, 9),
    "refiner_switch": ({"second_pass_model": "refiner"}, 0.5),
    "image": ({}, "IMAGE"),
    "mask": ({"image": "IMAGE"}, "MASK"),
    "strength": ({"image": "IMAGE"}, 0.3),
    "resize_mode": ({"image": "IMAGE"}, "stretch"),
    "inpainting_fill": ({"image": "IMAGE", "mask": "MASK"}, "keep"),
    "masked_content": ({"image": "IMAGE", "mask": "MASK"}, "original"),
    "mask_blur": ({"image": "IMAGE", "mask": "MASK"}, 0),
    "inpaint_area": ({"image": "IMAGE", "mask": "MASK", "inpaint_padding": 4}, "masked"),
    "inpaint_padding": ({"image": "IMAGE", "mask": "MASK", "inpaint_area": "masked"}, 2),
    "clip_skip": ({}, 1),
    "emphasis": ({"prompt": "a (red:1.6) duck"}, "none"),
}


def test_the_list_is_complete() -> None:
    how_it_is_saved = {"output_format"}  # the gallery's, not the core's
    assert set(CHANGES) == set(GenerationRequest.model_fields) - how_it_is_saved


@pytest.fixture(scope="module", autouse=True)
def reddish(folders, registry) -> None:
    """Another checkpoint to choose: the starter with other weights in its last layer."""
    from making import copy_of
    from safetensors.torch import load_file, save_file

    folder = copy_of(registry.checkpoint("webbduck-starter").path, folders.checkpoints / "sdxl" / "reddish")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["conv_out.bias"] = tensors["conv_out.bias"] + 0.2
    save_file(tensors, weights)
    registry.refresh()


@pytest.mark.parametrize("field", CHANGES)
def test_the_field_reaches_the_picture(field: str, paint, image, mask) -> None:
    rest, changed = CHANGES[field]
    stored = {"IMAGE": image, "MASK": mask}

    def draw(**asked: object) -> list[numpy.ndarray]:
        asked = {
            name: stored.get(value, value) if isinstance(value, str) else value
            for name, value in asked.items()
        }
        return paint(**asked)

    before, after = draw(**rest), draw(**rest | {field: changed})
    if field in ("width", "height", "num_images"):
        assert [each.shape for each in before] != [each.shape for each in after]
    else:
        assert not numpy.array_equal(before[0], after[0])
