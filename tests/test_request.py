"""The vocabulary refuses what does not fit, with one sentence, and changes nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webbduck_gradio.errors import RequestError
from webbduck_gradio.request import MAX_SEED, GenerationRequest
from webbduck_gradio.request.samplers import SAMPLERS, SCHEDULES


def of(**asked: object) -> GenerationRequest:
    return GenerationRequest.validated(**{"base_model": "x", "seed": 1, **asked})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 150, not 0."),
        ({"steps": 1.5}, "steps must be a whole number from 1 to 150, not 1.5."),
        ({"steps": True}, "steps must be a number."),
        ({"width": -8}, "width must be a whole number from 64 to 4,096, a multiple of 8, not -8."),
        ({"width": "wide"}, "width must be a whole number from 64 to 4,096, a multiple of 8, not 'wide'."),
        ({"width": 513}, "width must be a multiple of 8, not 513."),
        ({"width": None}, "width must be a whole number from 64 to 4,096, a multiple of 8, not None."),
        ({"width": 4096, "height": 4096}, "4096 x 4096 is more than 9.4 megapixels; choose a smaller size."),
        ({"sampler": "Eulr"}, f"sampler must be one of: {', '.join(each.name for each in SAMPLERS)}."),
        ({"schedule": "Kerras"}, f"schedule must be one of: {', '.join(each.name for each in SCHEDULES)}."),
        (
            {"sampler": "DPM fast", "schedule": "Karras"},
            "DPM fast does not support the schedule Karras; choose Automatic.",
        ),
        (
            {"scheduler": "Euler", "sampler": "Heun"},
            "scheduler Euler contradicts sampler and schedule; give only one of the two.",
        ),
        (
            {"scheduler": "Eulr"},
            "scheduler must be a name listed by /schedulers, such as DPM++ 2M Karras or Euler.",
        ),
        ({"prompt": "a" * 5000}, "prompt has 5,000 of at most 4,000 characters; shorten it."),
        ({"prompt": 3}, "prompt must be text, not 3."),
        ({"prompt": "a\0b"}, "prompt must not contain a NUL character."),
        ({"prompt": "a\ud800"}, "prompt contains an invalid character (half of a surrogate pair)."),
        ({"cfg": float("nan")}, "cfg must be a number from 1 to 30, not infinity or NaN."),
        ({"seed": -2}, "seed must be a whole number from 0 to 4,294,967,295, not -2."),
        ({"seed": "abc"}, "seed must be a whole number from 0 to 4,294,967,295, not 'abc'."),
        ({"num_images": 9}, "num_images must be a whole number from 1 to 8, not 9."),
        ({"loras": [{"name": "a", "weight": 3}]}, "loras.weight must be a number from -2 to 2, not 3."),
        ({"loras": [{"name": "a"}] * 2}, "The LoRA a is in the stack twice; remove one of the two."),
        ({"loras": "x"}, "loras must be a list, not 'x'."),
        ({"second_pass_mode": "no"}, "second_pass_mode must be auto, refiner or img2img, not 'no'."),
        ({"image": "/etc/passwd"}, "image must be the id of an uploaded image, not '/etc/passwd'."),
        ({"base_model": ""}, "base_model is empty; give a name."),
        ({"stepz": 3}, "There is no setting named 'stepz'."),
    ],
)
def test_refused_with_one_sentence(asked: dict, sentence: str) -> None:
    with pytest.raises(RequestError) as refused:
        of(**asked)
    assert str(refused.value) == sentence


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(RequestError, match=r"^base_model is missing\.$"):
        GenerationRequest.validated(prompt="a duck")


@pytest.mark.parametrize("nothing", [None, -1])
def test_no_seed_draws_one_and_records_it(nothing: object) -> None:
    drawn = {of(seed=nothing).seed for _ in range(8)}
    assert len(drawn) == 8
    assert all(0 <= seed <= MAX_SEED for seed in drawn)


def test_seed_zero_is_a_seed() -> None:
    assert of(seed=0).seed == 0


def test_image_of_a_batch_alone() -> None:
    batch = of(seed=MAX_SEED, num_images=3, prompt="a duck")
    assert [batch.seed_of(index) for index in range(3)] == [MAX_SEED, 0, 1]
    assert batch.for_single_image(1) == of(seed=0, num_images=1, prompt="a duck")


@given(
    prompt=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300),
    width=st.integers(8, 512).map(lambda n: n * 8),
    cfg=st.floats(1, 30),
    seed=st.integers(0, MAX_SEED),
)
def test_json_and_back_is_the_same_request(prompt: str, width: int, cfg: float, seed: int) -> None:
    request = of(prompt=prompt, width=width, height=64, cfg=cfg, seed=seed)
    assert GenerationRequest.validated(**json.loads(request.model_dump_json())) == request
