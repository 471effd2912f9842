"""/resolve and /wildcards: what a prompt comes to before it is drawn; a retry after a file has changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

SMALL = {"width": 64, "height": 64, "steps": 1, "cfg": 1}
PROMPT = "a __hue__ duck, {at night|on a pond}"


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    folder = studio.settings.wildcards
    folder.mkdir(exist_ok=True)
    (folder / "hue.txt").write_text("red\nblue\n")
    client = Client(studio.url, verbose=False)
    yield client
    client.close()
    for each in folder.iterdir():
        each.unlink()


def test_what_it_comes_to_is_what_is_drawn(client: Client) -> None:
    assert {"name": "hue", "origin": "", "lines": 2, "reason": None} in client.predict(api_name="/wildcards")
    found = client.predict(PROMPT, seed=5, n=4, negative_prompt="{boat|hat}", api_name="/resolve")
    assert [each["seed"] for each in found["texts"]] == [5, 6, 7, 8] and found["combinations"] == 4
    first = found["texts"][0]
    assert [(each["field"], each["source"], each["file"]) for each in first["draws"]] == [
        ("prompt", "__hue__", "hue.txt"),
        ("prompt", "{at night|on a pond}", None),
        ("negative_prompt", "{boat|hat}", None),
    ]
    _, info = client.predict(
        PROMPT, negative_prompt="{boat|hat}", seed=5, num_images=2, **SMALL, api_name="/generate"
    )
    for image, text in zip(info["images"], found["texts"], strict=False):
        told = client.predict(image, api_name="/image")[1]
        assert told["prompt"] == text["prompt"] and told["negative_prompt"] == text["negative_prompt"]
        assert told["request"]["prompt"] == PROMPT and told["settings"]["prompt"] == text["typed"]["prompt"]


def test_the_steps_of_both_passes_are_told(client: Client) -> None:
    settings = {"steps": 10, "sampler": "Euler", "hires_scale": 2}
    found = client.predict("a [cat:dog:0.5]", settings=settings, api_name="/resolve")
    assert found["texts"][0]["steps"] == ['Steps 1-6: "cat"; 7-10: "dog".', 'Hires pass: all steps: "dog".']


def test_combinations(client: Client) -> None:
    found = client.predict(PROMPT, combination=1, n=9, api_name="/resolve")
    assert [(each["combination"], each["prompt"]) for each in found["texts"]] == [
        (1, "a red duck, on a pond"),
        (2, "a blue duck, at night"),
        (3, "a blue duck, on a pond"),
    ]
    assert client.predict("{a|b}" * 11, api_name="/resolve")["combinations"] is None
    with pytest.raises(AppError, match="There is no combination 4"):
        client.predict(PROMPT, combination=3, num_images=2, **SMALL, api_name="/generate")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prompt": "a __hues__ duck"}, "There is no wildcard named 'hues'; did you mean hue?"),
        ({"prompt": PROMPT, "n": 101}, "n must be a whole number from 1 to 100"),
        ({"prompt": PROMPT, "n": True}, "n must be a whole number"),
        ({"prompt": 5}, "prompt must be text"),
        ({"prompt": PROMPT, "settings": {"cfg": 5}}, "settings can hold base_model, height, hires_"),
        ({"prompt": "${a=xx}" + "${b=${a}${a}}" * 3 + "${c}"}, "The variable c of the prompt has no value"),
    ],
)
def test_what_is_refused(client: Client, asked: dict, said: str) -> None:
    with pytest.raises(AppError) as refused:
        client.predict(**asked, api_name="/resolve")
    assert said in str(refused.value)


def test_a_retry_says_that_a_file_has_changed(client: Client, studio) -> None:
    store, hue = studio.services.store, studio.settings.wildcards / "hue.txt"
    _, info = client.predict(PROMPT, seed=5, **SMALL, api_name="/generate")
    with store.database.writing() as db:
        db.execute("UPDATE jobs SET state = 'interrupted' WHERE id = ?", (info["job_id"],))
    store.pause()
    try:
        assert client.predict(info["job_id"], api_name="/retry")["warnings"] == []
        hue.write_text("green\n")
        (warning,) = client.predict(info["job_id"], api_name="/retry")["warnings"]
        assert warning == "The prompt may come to other words than before: hue.txt has changed."
    finally:
        hue.write_text("red\nblue\n")
        store.clear_queued()
        store.resume()
