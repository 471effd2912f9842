"""What a prompt that changes comes to in the hires pass, told as the core draws it."""

from __future__ import annotations

import pytest

from webbduck_gradio.models.prompt_schedule import hires_count, schedule
from webbduck_gradio.models.schedule_in_words import hires_in_words
from webbduck_gradio.request import GenerationRequest

ASKED = {
    "base_model": "any",
    "seed": 1,
    "steps": 20,
    "sampler": "Euler",
    "hires_scale": 1.5,
    "hires_steps": 10,
}


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a [cat:dog:0.4] on a pond", ['All steps: "dog".']),
        ("a [cat:dog:1.5] on a pond", ['Steps 1-6: "cat"; 7-10: "dog".']),
        ("a [cat:dog:25] on a pond", ['Steps 1-6: "cat"; 7-10: "dog".']),
        ("a [cat:dog:2.5] on a pond", []),
        ("[a|b] duck", ['Steps 1-2: "a"; 3: "b"; 4: "a"; 5: "b"; and 5 more.']),
        ("a cat AND a dog", []),
    ],
)
def test_shares_from_one_to_two_and_whole_numbers_that_go_on(prompt: str, told: list[str]) -> None:
    request = GenerationRequest.validated(prompt=prompt, **ASKED)
    expected = [f"Hires pass: {each[:1].lower()}{each[1:]}" for each in told]
    assert hires_in_words(prompt, request, first=prompt) == expected


def test_by_the_sampler_and_the_prompt_of_the_hires_pass() -> None:
    prompt = "[cat:dog:1.5] AND a pond :0.5"
    request = GenerationRequest.validated(hires_sampler="Heun", hires_prompt=prompt, **ASKED)
    assert hires_in_words(prompt, request, first="a duck") == [
        'Hires pass: joined by AND: "[cat:dog:1.5]" with weight 1; "a pond" with weight 0.5.',
        'Hires pass: evaluations (2 in each step) 1-11: "cat"; 12-20: "dog".',
    ]
    assert [each.last for each in schedule("[cat:dog:1.5]", hires_count(request))] == [10, 20]
