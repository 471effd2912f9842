"""The `parameters` text in all the forms that it goes round in, and how much work it may make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from webbduck_gradio.gallery.metadata import infotext
from webbduck_gradio.gallery.metadata.other_tools import reader, values

LINE = "Steps: 20, Sampler: Euler, CFG scale: 6.5, Seed: 5, Size: 832x1216, Model: lake"
FORMS = {
    "A1111's": f"a red duck\nNegative prompt: fog\n{LINE}",
    "Windows' line ends": f"a red duck\r\nNegative prompt: fog\r\n{LINE}\r\n",
    "a byte order mark": f"\ufeffa red duck\nNegative prompt: fog\n{LINE}",
    "one line": f"a red duck, Negative prompt: fog, {LINE}",
    "one line without commas": f"a red duck Negative prompt: fog {LINE}",
    "settings behind the negative prompt": f"a red duck\nNegative prompt: fog {LINE}",
    "named prompt in one line": f"Prompt: a red duck, Negative prompt: fog, {LINE}",
    "another order": "a red duck\nNegative prompt: fog\nSampler: Euler, Steps: 20, Seed: 5, CFG scale: 6.5, "
    "Size: 832x1216, Model: lake",
    "a template behind": f"a red duck\nNegative prompt: fog\n{LINE}\n"
    "Template: a {red|blue} duck, x: y, z: 3, q: 4\n"
    "Negative Template: fog",
    "lines behind": f"a red duck\nNegative prompt: fog\n{LINE}\n\nMade with love",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str):
    parsed = infotext.parse(FORMS[form])
    assert (parsed.prompt, parsed.negative_prompt) == ("a red duck", "fog")
    expected = {
        "Steps": "20",
        "Sampler": "Euler",
        "CFG scale": "6.5",
        "Seed": "5",
        "Size-1": "832",
        "Size-2": "1216",
        "Model": "lake",
    }
    assert {key: parsed.fields[key] for key in expected} == expected


def test_lines_behind_the_settings_are_kept():
    parsed = infotext.parse(FORMS["a template behind"])
    assert parsed.fields["Template"] == "a {red|blue} duck, x: y, z: 3, q: 4"
    assert parsed.fields["Negative Template"] == "fog"
    assert infotext.parse(FORMS["lines behind"]).fields["Below the settings"] == "Made with love"


@pytest.mark.parametrize(
    "text",
    [
        "a duck",
        "",
        "one: two, three: four, five: six, seven",
        "Steps: 3 up, then left",
        "how many Steps: 3, a: b",
        "x" * (infotext.MAX_TEXT + 1),
    ],
)
def test_what_holds_no_settings_is_all_prompt(text: str):
    parsed = infotext.parse(text)
    assert (parsed.fields, parsed.prompt) == ({}, text)


def test_values_with_commas_quotes_and_tables():
    hashes = {"model": "31e35c80fc", "lora:hat": "0123456789ab", "more": [1, {"a": "b, c: d"}]}
    hashed = json.dumps(hashes)
    line = f'{LINE}, ControlNet 0: "Module: canny, Weight: 1", Odd: "open, Hashes: {hashed}, Version: v1'
    fields = infotext.parse(f"x\n{line}").fields
    assert json.loads(fields["Hashes"]) == hashes
    assert fields["ControlNet 0"] == "Module: canny, Weight: 1"
    assert (fields["Odd"], fields["Version"]) == ('"open', "v1")


class Counted(str):
    """A text that counts how many of its letters are handed out in slices."""

    handed = 0

    def __getitem__(self, key):
        found = super().__getitem__(key)
        Counted.handed += len(found)
        return Counted(found)


@pytest.mark.parametrize(
    "piece", ["aa:", "a", ":", "aa: ", 'aa: "', 'aa: "x", ', "- ", 'aa: ["aa: [",', "aa, "]
)
def test_the_work_grows_with_the_length_alone(piece: str):
    def work(length: int) -> int:
        Counted.handed = 0
        infotext.pairs(Counted(piece * (length // len(piece))))
        return Counted.handed

    short, long = work(10_000), work(100_000)
    assert long <= 12 * short + 1000


def test_a_text_that_is_too_long_is_said():
    told = reader.read({"parameters": "a" * 20_000 + "\n" * infotext.MAX_TEXT + LINE})
    assert told.settings == {} and "characters" in told.notes[0]


TAGS = [
    ("a duck <lora:hat:0.8>", "a duck", [("hat", 0.8)], None),
    ("a <lora:hat:0.8>, duck", "a, duck", [("hat", 0.8)], None),
    ("a duck <lora:hat>", "a duck", [("hat", 1.0)], None),
    ("a duck <LORA:hat:1> <lyco:ink:-0.5>", "a duck", [("hat", 1.0), ("ink", -0.5)], None),
    ("a duck <lora:hat:0.8:0.8>", "a duck", [("hat", 0.8)], None),
    ("a duck <lora:hat:0.5:0.5:dyn=8>", "a duck", [("hat", 0.5)], "dyn=8"),
    ("a duck <lora:hat:1:lbw=OUT>", "a duck", [], "block weights that cannot be read"),
    ("a duck <lora:hat:much>", "a duck", [], "not a number"),
    ("a duck <hypernet:old:1>", "a duck", [], "hypernetworks"),
    ("a duck <b>", "a duck <b>", [], None),
]


@pytest.mark.parametrize(("prompt", "words", "loras", "note"), TAGS)
def test_tags_of_loras(prompt: str, words: str, loras: list[tuple[str, float]], note: str | None):
    told = reader.read({"parameters": f"{prompt}\n{LINE}"})
    assert told.settings["prompt"] == words
    assert told.settings.get("loras", []) == [{"name": name, "weight": weight} for name, weight in loras]
    assert (note in told.notes[0]) if note else told.notes == ()


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("0.5:0.9", {"weight": 0.9, "te_weight": 0.5}),
        ("te=0.5:unet=0.9", {"weight": 0.9, "te_weight": 0.5}),
        ("unet=0.9", {"weight": 0.9, "te_weight": 1.0}),
        ("0.5:0.5:lbw=outall", {"weight": 0.5, "blocks": "OUTALL"}),
        ("0.5:MIDD:start=6:stop=12", {"weight": 0.5, "blocks": "MIDD", "start": 0.25, "end": 0.55}),
        ("1:step=1-0.5", {"weight": 1.0, "start": 0.0, "end": 0.45}),
        (
            "1:lbw=1,0,0,0,0,0.5,1,1,1,1,1,-1",
            {"weight": 1.0, "blocks": (1, 0, 0, 0, 0, 0.5, 1, 1, 1, 1, 1, -1)},
        ),
    ],
)
def test_all_that_a_tag_says(tag: str, said: dict):
    told = reader.read({"parameters": f"a duck <lora:hat:{tag}>\nSteps: 20, {LINE.partition(', ')[2]}"})
    assert told.settings["loras"] == [{"name": "hat", **said}] and told.notes == ()


def test_loras_of_the_negative_prompt_are_named():
    told = reader.read({"parameters": f"a duck\nNegative prompt: fog <lora:ink:1>\n{LINE}"})
    assert told.settings["negative_prompt"] == "fog" and "ink" in told.notes[0]


OURS = "Version: WebbDuck 0.1.0"
SECOND_PASSES = [
    (f"Denoising strength: 0.3, Hires upscale: 1, Hires steps: 9, Hires checkpoint: pond, {OURS}", 9),
    (
        "Denoising strength: 0.3, Hires upscale: 1, Hires steps: 2, Hires checkpoint: pond, "
        f"Second pass steps: 9, {OURS}",
        9,
    ),
    (
        "Hires upscale: 2, Hires upscaler: Latent, Denoising strength: 0.6, Second pass: pond, "
        f"Second pass strength: 0.3, Second pass steps: 9, {OURS}",
        9,
    ),
]


@pytest.mark.parametrize(("pairs", "steps"), SECOND_PASSES)
def test_our_second_pass_is_read_as_it_was_written(pairs: str, steps: int):
    settings = reader.read({"parameters": f"a duck\n{LINE}, {pairs}"}).settings
    assert (settings["second_pass_model"], settings["second_pass_mode"]) == ("pond", "img2img")
    assert (settings["second_pass_steps"], settings["refinement_strength"]) == (steps, 0.3)
    assert "strength" not in settings and "strength_steps" not in settings
    assert settings.get("hires_scale") == (2 if "Latent" in pairs else None)


HIRES: list[tuple[str, dict[str, Any]]] = [
    (
        "Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 10, Hires upscaler: 4x-UltraSharp, "
        "Hires checkpoint: pond [31e35c80fc]",
        {
            "hires_scale": 1.5,
            "hires_steps": 10,
            "hires_strength": 0.4,
            "hires_upscaler": "4x-UltraSharp",
            "hires_model": "pond",
        },
    ),
    ("Denoising strength: 0.5, Hires upscale: 1", {"hires_scale": 1, "hires_strength": 0.5}),
    (
        "Denoising strength: 0.5, Hires resize: 832x1216, Hires steps: 0",
        {"hires_width": 832, "hires_height": 1216, "hires_strength": 0.5, "hires_steps": 0},
    ),
]


@pytest.mark.parametrize(("pairs", "expected"), HIRES)
def test_another_programs_hires_fix_is_a_hires_pass(pairs: str, expected: dict[str, Any]):
    settings = reader.read({"parameters": f"a duck\n{LINE}, {pairs}"}).settings
    assert {key: each for key, each in settings.items() if key.startswith("hires_")} == expected
    assert not {"strength", "strength_steps", "second_pass_model"} & settings.keys()


def test_the_refiner_goes_on_where_the_text_says():
    settings = reader.read(
        {"parameters": f"a duck\n{LINE}, Refiner: fine [31e35c80fc], Refiner switch at: 0.7"}
    ).settings
    assert (settings["second_pass_mode"], settings["refiner_switch"]) == ("refiner", 0.7)


def test_values_of_the_wrong_kind_are_named():
    told = reader.read(
        {"parameters": "a duck\nSteps: many, Sampler: Euler, CFG scale: nan, Seed: 5, Model: lake"}
    )
    assert told.settings.keys() == {"prompt", "negative_prompt", "sampler", "seed", "base_model"}
    assert "steps cannot be read: many" in told.notes[0] and "cfg cannot be read: nan" in told.notes[1]


def test_names_for_sentences_are_short_and_whole():
    assert values.shown("a" * 100).endswith("...") and len(values.shown("a" * 100)) == 60
    assert values.shown("\ud800\n\0 x") == "\ufffd x" and values.shown({"a": 1}) == "a JSON object"
    assert values.listed(str(at) for at in range(15)).endswith("11 and 3 more")
