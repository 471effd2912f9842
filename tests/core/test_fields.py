"""Every field of the request reaches the picture. A new field that reaches nothing fails here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from request_checks import validate
from setting_changes import CHANGES, SECOND, with_pictures

from webbduck_gradio.api import serializers
from webbduck_gradio.gallery.metadata.infotext import parameters_text
from webbduck_gradio.request import SETTINGS, GenerationRequest
from webbduck_gradio.request.applicability import without_effect
from webbduck_gradio.request.conditions import CONDITIONS
from webbduck_gradio.ui.studio.form import Form

IN_CORE = {name: change for name, change in CHANGES.items() if not change.no_core}

# condition of request/conditions.py -> a request where it does not hold, and those above it in the table do
IDLE: dict[str, dict] = {
    "guidance": {"cfg": 1},
    "image": {},
    "mask": {"image": "IMAGE"},
    "whole_area": {"image": "IMAGE", "mask": "MASK", "inpaint_area": "masked"},
    "masked_area": {"image": "IMAGE", "mask": "MASK"},
    "second_pass": {},
    "img2img_pass": {"second_pass_model": "refiner", "steps": 5},
    "refiner_pass": SECOND,
    "partial": {},
    "batch": {},
    "joint": {"num_images": 2, "sampler": "DPM adaptive", "steps": 1},
    "variation": {},
    "eta": {"sampler": "Euler"},
    "churn": {"sampler": "Euler a"},
    "churned": {"sampler": "Euler"},
    "noise": {"sampler": "DPM++ 2M"},
    "step_noise": {"sampler": "DPM++ SDE"},
    "range": {"schedule": "Align Your Steps"},
    "rho": {"schedule": "Exponential"},
    "beta": {"schedule": "Karras"},
    "freeu": {},
    "mimic": {},
    "hires": {},
    "soft_border": {"image": "IMAGE"},
    "no_outpaint": {"image": "IMAGE", "outpaint": {"left": 16}, "width": 80, "height": 64},
}
REFUSED = {"mask", "outpaint"}
"""What is refused without an input picture."""


def told_of(request: GenerationRequest, registry) -> tuple[set[str], set[str], set[str]]:
    """What lists show of the request, which fields the form hides, and which a warning names."""
    services: Any = SimpleNamespace(registry=registry)
    fields = request.model_dump(mode="json")
    shown = serializers.effective_settings(fields, serializers.second_pass_of(services, fields))
    form = Form(services, dict.fromkeys(fields), None)  # type: ignore[arg-type]
    warned = {each.split(" ")[0] for each in validate(registry, request) if " has no effect " in each}
    return set(shown), set(form._hidden(fields)), warned


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


Pictures = list[numpy.ndarray]


@pytest.fixture(scope="module")
def without(paint, image, mask) -> Callable[[Mapping[str, Any]], Pictures]:
    """The pictures of a request in which nothing is changed yet; many fields share it."""
    drawn: dict[str, Pictures] = {}

    def draw(asked: Mapping[str, Any]) -> Pictures:
        key = repr(sorted(asked.items()))
        if key not in drawn:
            drawn[key] = paint(**with_pictures(asked, image, mask))
        return drawn[key]

    return draw


@pytest.mark.parametrize("field", IN_CORE)
def test_the_field_reaches_the_picture(field: str, paint, without, ask, registry, image, mask) -> None:
    rest, changed = CHANGES[field].beside, CHANGES[field].value
    request = ask(**with_pictures({**rest, field: changed}, image, mask))
    shown, hidden, warned = told_of(request, registry)
    assert field in shown and field not in hidden | warned
    before, after = without(rest), paint(**with_pictures({**rest, field: changed}, image, mask))
    if field in ("width", "height", "num_images"):
        assert [each.shape for each in before] != [each.shape for each in after]
    else:
        assert not numpy.array_equal(before[0], after[0])


def test_every_condition_has_a_request_where_it_does_not_hold() -> None:
    assert set(IDLE) == set(CONDITIONS) == {name for each in SETTINGS.values() for name in each.applies}


@pytest.mark.parametrize("condition", IDLE)
def test_a_setting_without_effect_has_none_and_is_listed_nowhere(
    condition: str, paint, ask, registry, image, mask
) -> None:
    base = with_pictures(IDLE[condition], image, mask)
    services: Any = SimpleNamespace(registry=registry)

    def kind(request: GenerationRequest):
        return serializers.second_pass_of(services, request.model_dump(mode="json"))

    request = ask(**base)
    unused = without_effect(request.model_dump(mode="json"), kind(request))
    idle = {name for name, when in unused.items() if when == CONDITIONS[condition].otherwise} - REFUSED
    changed = base | {name: CHANGES[name].value for name in idle}
    shown, hidden, warned = told_of(ask(**changed), registry)
    assert warned == idle and not shown & idle
    assert idle - {"negative_prompt"} <= hidden
    if condition != "guidance":  # the negative prompt is written down all the same, as by A1111
        one, two = (
            parameters_text(each, 7, version="1", second_pass=kind(each))
            for each in (request, ask(**changed))
        )
        assert one == two
    assert numpy.array_equal(paint(**base), paint(**changed))
