"""What is said before a picture of ours is made again on another machine or by a later version."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata.recall import read_settings
from webbduck_gradio.gallery.metadata.reproducibility import differences
from webbduck_gradio.request import GenerationRequest

HERE = {
    "device": "cpu",
    "name": "CPU",
    "threads": 4,
    "dtypes": {"small": "float32", "large": "bfloat16"},
}


def chunk(facts: dict[str, Any] | None = None, **asked: Any) -> dict[str, Any]:
    request = GenerationRequest.validated(**{"base_model": "any", "seed": 1, "prompt": "a cat"} | asked)
    return metadata.build_chunk(request, 0, facts=facts or {"device": "cpu", "threads": 4})


def older(**asked: Any) -> dict[str, Any]:
    made = chunk(**asked)
    del made["drawing"]
    return made


def test_nothing_is_said_where_nothing_differs() -> None:
    assert differences(chunk(), HERE) == []
    assert differences(chunk(), {}) == differences(chunk(), None) == []
    assert differences(chunk({"device": "cpu"}), HERE) == []


@pytest.mark.parametrize(
    ("facts", "here", "words"),
    [
        ({"device": "cpu", "threads": 2}, HERE, ("2 CPU threads", "here with 4")),
        ({"device": "cpu", "threads": 4}, HERE | {"device": "cuda", "name": "Card A"}, ("the CPU", "Card A")),
        ({"device": "cuda:0", "gpu": "Card A"}, {"device": "cuda:1", "name": "Card B"}, ("Card A", "Card B")),
        ({"device": "cuda", "gpu": "Card A"}, HERE, ("Card A", "the CPU")),
    ],
)
def test_another_engine_or_another_number_of_threads_is_said(facts, here, words) -> None:
    (note,) = differences(chunk(facts), here)
    assert all(word in note for word in words)


@pytest.mark.parametrize(
    ("made_in", "size", "now"),
    [
        ("float32", "large", "bfloat16"),
        ("bfloat16", "small", "float32"),
        ("float32", "small", None),
        ("bfloat16", "large", None),
        ("float32", None, None),  # not installed: the form says that
        (None, "large", None),
    ],
)
def test_another_precision_is_said_with_the_way_to_have_the_same(made_in, size, now) -> None:
    notes = differences(chunk({"device": "cpu", "threads": 4, "dtype": made_in}), HERE, size)
    assert len(notes) == (now is not None)
    for note in notes:
        assert f"worked in {made_in}, but here works in {now}" in note
        assert f"--precision {made_in}" in note


def test_a_picture_that_was_drawn_together_with_others_says_so() -> None:
    (note,) = differences(chunk({"device": "cpu", "threads": 4, "drawn_together": 3}), HERE)
    assert "together with others" in note and "slightly" in note


@pytest.mark.parametrize("compiled", [True, False])
def test_a_picture_that_was_drawn_the_other_way_says_so(compiled: bool) -> None:
    facts: dict[str, Any] = {"device": "cpu", "threads": 4} | ({"compiled": True} if compiled else {})
    here = HERE | {"compiled": True, "compile_problem": None}
    cannot = here | {"compile_problem": "There is no compiler."}
    same, others = (here, [HERE, cannot]) if compiled else (cannot, [here])
    assert differences(chunk(facts), same) == []
    for each in others:
        (note,) = differences(chunk(facts), each)
        assert ("generated compiled" in note) == compiled and "slightly" in note


def test_threads_do_not_matter_on_a_card() -> None:
    facts = {"device": "cuda", "gpu": "Card A", "threads": 2}
    assert differences(chunk(facts), {"device": "cuda", "name": "Card A", "threads": 9}) == []


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"cuda": "12.4", "cudnn": "90100"}, {"cuda": "12.8", "cudnn": "90100"}, "CUDA 12.4 (here 12.8);"),
        (
            {"cuda": "12.4", "cudnn": "90100"},
            {"cuda": "12.8", "cudnn": "91002"},
            "CUDA 12.4 (here 12.8) and cuDNN 90100 (here 91002);",
        ),
        ({"hip": "6.2"}, {"hip": "6.4"}, "HIP 6.2 (here 6.4);"),
        ({"cuda": "12.4", "cudnn": "90100"}, {"cuda": "12.4", "cudnn": "90100"}, None),
        (None, {"cuda": "12.4"}, None),  # an older picture
        (["12.4"], {"cuda": "12.4"}, None),  # of another program
    ],
)
def test_other_libraries_of_the_same_card_are_said(before, now, words) -> None:
    facts = {"device": "cuda", "gpu": "Card A", "libraries": before}
    notes = differences(chunk(facts), {"device": "cuda", "name": "Card A", "libraries": now})
    assert len(notes) == (words is not None)
    assert all(words in note for note in notes)


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ({"scheduler": "DPM++ 3M SDE Karras"}, True),
        ({"scheduler": "DPM2 a"}, True),
        ({"scheduler": "DPM++ SDE"}, True),
        ({"scheduler": "DPM++ 2M", "steps": 20}, True),
        ({"scheduler": "DPM++ 2M", "steps": 8}, False),
        ({"scheduler": "Euler Karras", "steps": 8}, True),
        ({"scheduler": "Euler Karras", "steps": 20}, False),
        ({"scheduler": "DPM++ 2M Karras"}, False),
        ({"scheduler": "Euler", "negative_prompt": "fog, " * 60}, True),
        ({"scheduler": "Euler", "negative_prompt": "fog"}, False),
    ],
)
def test_what_an_earlier_version_drew_otherwise_is_said(asked, changed) -> None:
    (note,) = differences(older(**asked), HERE)
    assert differences(chunk(**asked), HERE) == []
    assert "earlier version" in note and ("will look different" in note) == changed


@pytest.mark.parametrize(
    ("asked", "facts", "changed"),
    [
        ({"scheduler": "DPM++ 2M SDE Karras"}, {}, True),
        ({"scheduler": "DPM++ 3M SDE Exponential"}, {}, True),
        ({"scheduler": "UniPC"}, {}, True),
        ({"scheduler": "DPM2 a"}, {}, False),
        ({"scheduler": "Euler", "second_pass_model": "refiner"}, {"second_pass": "refiner"}, True),
        ({"scheduler": "Euler", "second_pass_model": "b"}, {"second_pass": "img2img"}, True),
        ({"scheduler": "Euler", "image": f"{0:064x}.png"}, {}, True),
        ({"scheduler": "Euler"}, {}, False),
    ],
)
def test_what_the_second_version_drew_otherwise_is_said(asked, facts, changed) -> None:
    made = chunk({"device": "cpu", "threads": 4} | facts, **asked) | {"drawing": 2}
    (note,) = differences(made, HERE)
    assert "earlier version" in note and ("will look different" in note) == changed


@pytest.mark.parametrize(
    ("sampler", "schedule", "changed"),
    [
        ("iPNDM", "Exponential", True),
        ("PLMS", "Automatic", True),
        ("DEIS", "Automatic", True),
        ("DEIS", "Exponential", False),
        ("DPM++ 2M SDE", "Automatic", False),
        ("LMS", "Automatic", False),
    ],
)
def test_what_the_last_version_drew_otherwise_is_said(sampler: str, schedule: str, changed: bool) -> None:
    made = chunk({"device": "cpu", "threads": 4}, sampler=sampler, schedule=schedule, image=f"{0:064x}.png")
    notes = differences(made | {"drawing": 3}, HERE)
    assert [f"handled {sampler} differently" in note for note in notes] == [True] * changed


@pytest.mark.parametrize("drawing", [3, 4])
@pytest.mark.parametrize(
    ("facts", "asked", "said"),
    [
        ({}, {"loras": [{"name": "ink"}]}, True),
        ({"loras": [{"name": "ink", "weight": 1}]}, {"prompt": "a cat <lora:ink:1>"}, True),
        ({"dtype": "bfloat16"}, {"loras": [{"name": "ink"}]}, True),
        ({}, {}, False),
    ],
)
def test_only_pictures_with_loras_are_rounded_otherwise(drawing: int, facts, asked, said: bool) -> None:
    made = chunk({"device": "cpu", "threads": 4} | facts, **asked)
    notes = differences(made | {"drawing": drawing}, HERE)
    what = "details" if facts.get("dtype") == "bfloat16" else "single pixels"
    assert [note.partition("generated again, ")[2] for note in notes] == [
        f"{what} can differ slightly."
    ] * said


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ({"prompt": "a [cat:dog:0.5]"}, True),
        ({"prompt": "a cat AND a dog"}, True),
        ({"negative_prompt": "[cat|dog]"}, True),
        ({"prompt": " AND ".join("a" * 20)}, True),
        ({"prompt": "a [cat], (dog:1.2)", "negative_prompt": "a cat AND a dog"}, False),
    ],
)
def test_prompts_that_were_plain_words_are_said(asked: dict[str, Any], changed: bool) -> None:
    notes = differences(chunk(**asked) | {"drawing": 5}, HERE)
    assert ["prompts that change from step to step" in note for note in notes] == [True] * changed
    assert differences(chunk(**asked), HERE) == []


def test_it_is_said_where_the_settings_are_read(tmp_path) -> None:
    class Installed:
        styles = None  # asked for only where a picture has any

        def checkpoints(self) -> list[Any]:
            return []

        def loras(self) -> list[Any]:
            return []

        def upscalers(self) -> list[Any]:
            return []

        def embeddings(self) -> list[Any]:
            return []

        def detectors(self) -> list[Any]:
            return []

        def vaes(self) -> list[Any]:
            return []

    path = tmp_path / "one.png"
    with path.open("wb") as file:
        metadata.save_picture(
            Image.new("RGB", (8, 8)), file, "png", chunk({"device": "cpu", "threads": 2}, steps=20)
        )
    _, alike = read_settings(path, Installed(), Installed(), HERE | {"threads": 2})
    _, notes = read_settings(path, Installed(), Installed(), HERE)
    assert len(notes) == len(alike) + 1 and "2 CPU threads" in notes[-1]


@pytest.mark.parametrize(("is_large", "notes"), [(True, 1), (False, 0)])
def test_the_precision_here_is_that_of_the_installed_checkpoint(tmp_path, is_large, notes) -> None:
    class Checkpoint:
        name, hash = "any", None

    class Installed:
        styles = None

        def checkpoints(self) -> list[Any]:
            return [Checkpoint]

        def loras(self) -> list[Any]:
            return []

        def upscalers(self) -> list[Any]:
            return []

        def embeddings(self) -> list[Any]:
            return []

        def detectors(self) -> list[Any]:
            return []

        def vaes(self) -> list[Any]:
            return []

    Checkpoint.is_large = is_large
    made = chunk({"device": "cpu", "threads": 4, "dtype": "float32"})
    with (tmp_path / "one.png").open("wb") as file:
        metadata.save_picture(Image.new("RGB", (8, 8)), file, "png", made)
    _, said = read_settings(tmp_path / "one.png", Installed(), Installed(), HERE)
    assert sum("--precision float32" in each for each in said) == notes
