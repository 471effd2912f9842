"""What a saved picture says, read back by us, by sd-parsers and by A1111's own rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from gallery_helpers import picture, request
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from webbduck_gradio.errors import StorageError
from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata import infotext
from webbduck_gradio.gallery.metadata.other_tools import values
from webbduck_gradio.request import MAX_SEED, SCHEDULERS, GenerationRequest
from webbduck_gradio.request.samplers import AUTOMATIC, JOINED, find_sampler

PROMPTS = [
    "a red duck on a pond",
    "",
    'a "quoted" duck, with \\ and \\" in it',
    "one, two: three, Steps: 3, Seed: 5",
    "line one\nline two\n\nline four",
    "eine Ente 🦆 im Schnee, عربي, ‮rtl, 日本",
    "a sign that says Negative prompt: none",
    "a duck\nNegative prompt: not this",
    "a duck\nSteps: 3, Sampler: Euler, CFG scale: 1, Seed: 2, Size: 8x8",
    "<lora:other:1> {json: true} [a|b]",
]
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=120) | st.sampled_from(PROMPTS)
requests = st.builds(
    request,
    prompt=text,
    negative_prompt=text,
    prompt_2=text,
    steps=st.integers(1, 150),
    cfg=st.floats(1, 30) | st.integers(1, 30),
    seed=st.integers(0, MAX_SEED),
    scheduler=st.sampled_from(SCHEDULERS),
    num_images=st.integers(1, 8),
    base_model=st.sampled_from(["webbduck-starter", "my, odd: model", 'quo"ted', "日本"]),
)
lenient = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def save(folder: Path, asked: GenerationRequest, index: int = 0, **about) -> Path:
    path = folder / "picture.png"
    picture().save(path, pnginfo=metadata.png_info(metadata.build_chunk(asked, index, **about)))
    return path


def as_written(prompt: str) -> str:
    """What the docstring of `infotext` promises other readers: the colon set off."""
    return prompt.replace("Negative prompt:", "Negative prompt :")


def as_a1111_sees(prompt: str) -> str:
    """A1111 strips the text and each of its lines, and drops empty ones before the first word."""
    lines = [line.strip() for line in as_written(prompt).split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    return "\n".join(lines).rstrip("\n")


def a1111(text: str) -> tuple[str, str, dict[str, str]]:
    """A1111's grammar, written down a second time, straight from the facts."""
    pair = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    prompt, negative, in_negative = "", "", False
    *lines, last = text.strip().split("\n")
    assert len(pair.findall(last)) >= 3
    for line in lines:
        line = line.strip()
        if line.startswith("Negative prompt:"):
            in_negative, line = True, line[16:].strip()
        if in_negative:
            negative += ("\n" if negative else "") + line
        else:
            prompt += ("\n" if prompt else "") + line
    pairs = {}
    for key, value in pair.findall(last):
        pairs[key] = json.loads(value) if value.startswith('"') and value.endswith('"') else value
    return prompt, negative, pairs


@given(requests, st.integers(0, 7))
@example(request(prompt="", negative_prompt=""), 0)
@example(request(prompt="", negative_prompt="Negative prompt: x\nNegative prompt: y"), 0)
@lenient
def test_our_own_chunk_loses_nothing(tmp_path: Path, asked: GenerationRequest, index: int):
    index %= asked.num_images
    found = metadata.read(save(tmp_path, asked, index, warnings=["a – warning"], facts={"device": "cpu"}))
    assert found["tool"] == "webbduck" and not found["problems"]
    assert GenerationRequest.validated(**found["request"]) == asked.for_single_image(index)
    assert metadata.batch_request(found["webbduck"]) == asked
    assert found["webbduck"]["warnings"] == ["a – warning"]
    assert found["webbduck"]["facts"] == {"device": "cpu"}
    assert found["webbduck"]["index"] == index


@given(requests)
@example(request(prompt="", negative_prompt=""))
@example(request(prompt="", negative_prompt="blurry"))
@lenient
def test_sd_parsers_reads_it(tmp_path: Path, asked: GenerationRequest):
    info = ParserManager().parse(save(tmp_path, asked))
    assert info is not None
    sampler = info.samplers[0]
    name, schedule = JOINED[asked.scheduler]
    assert sampler.name == name
    assert sampler.parameters.get("scheduler") == (None if schedule == AUTOMATIC else schedule)
    assert int(sampler.parameters["seed"]) == asked.seed
    assert int(sampler.parameters["steps"]) == asked.steps
    assert float(sampler.parameters["cfg_scale"]) == pytest.approx(asked.cfg, rel=1e-9)
    assert info.full_prompt == as_written(asked.prompt).strip()
    assert info.full_negative_prompt == as_written(asked.negative_prompt).strip()


@given(requests)
@lenient
def test_a1111s_rules_read_it(tmp_path: Path, asked: GenerationRequest):
    with Image.open(save(tmp_path, asked)) as image:
        text = image.info["parameters"]
    prompt, negative, pairs = a1111(text)
    if not asked.prompt.strip().startswith("Negative prompt:"):
        assert prompt.strip() == as_a1111_sees(asked.prompt).strip()
        assert negative.strip() == as_a1111_sees(asked.negative_prompt).strip()
    assert pairs["Seed"] == str(asked.seed)
    assert pairs["Steps"] == str(asked.steps)
    assert float(pairs["CFG scale"]) == pytest.approx(asked.cfg, rel=1e-9)
    assert pairs["Size"] == f"{asked.width}x{asked.height}"
    assert pairs["Model"] == asked.base_model.strip()
    assert find_sampler(pairs["Sampler"], pairs.get("Schedule type")) == JOINED[asked.scheduler]
    parsed = infotext.parse(text)
    assert (parsed.prompt.strip(), parsed.negative_prompt.strip()) == (prompt.strip(), negative.strip())


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_with_something_in_them(tmp_path: Path, prompt: str):
    """The cases that people meet, by name, so that a failure says which."""
    path = save(tmp_path, request(prompt=prompt, negative_prompt="blurry, low: quality"))
    info = ParserManager().parse(path)
    assert info is not None
    assert info.full_prompt == as_written(prompt)
    assert info.full_negative_prompt == "blurry, low: quality"
    assert metadata.read(path)["prompt"] == prompt


def test_an_empty_prompt_keeps_the_newline_that_a_reader_needs(tmp_path: Path):
    with Image.open(save(tmp_path, request(prompt=""))) as image:
        assert "\nSteps: " in image.info["parameters"]


def test_the_line_is_in_a1111s_order_and_form():
    asked = request(width=832, height=1216, cfg=6.0, steps=30, negative_prompt="blurry")
    text = infotext.parameters_text(asked, 42, model_hash="31e35c80fc", version="WebbDuck 0.1.0")
    assert text == (
        "a duck\nNegative prompt: blurry\n"
        "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6, Seed: 42, Size: 832x1216, "
        "Model hash: 31e35c80fc, Model: webbduck-starter, RNG: CPU, Version: WebbDuck 0.1.0"
    )


def test_all_of_a_lora_comes_back(tmp_path: Path):
    """From our own chunk as it was asked, from A1111's text by lists and steps."""
    use = {"name": "hat", "weight": 0.8, "te_weight": 0.5, "blocks": "OUTD", "start": 0.25, "end": 0.5}
    asked = request(loras=[use], steps=20)
    path = save(tmp_path, asked)
    found = metadata.read(path)
    assert found["settings"]["loras"] == [use]
    prompt = a1111(found["parameters"])[0]
    assert prompt == "a duck <lora:hat:0.5:0.8:lbw=1,0,0,0,0,0,0,0,0,0,0,1,1,1,0,0,0,0,0,0:start=6:stop=11>"
    numbers = (1, *[0] * 10, 1, 1, 1, *[0] * 6)
    told = metadata.parse_texts({metadata.PARAMETERS: found["parameters"]}, "the text")
    assert told["settings"]["loras"] == [use | {"blocks": numbers}]


def test_loras_stand_in_the_prompt_and_in_the_hashes(tmp_path: Path):
    asked = request(loras=[{"name": "hat", "weight": 0.8}, {"name": "a, b: c", "weight": -1}])
    facts = {"lora_hashes": {"hat": "0123456789ab", "a, b: c": "ba9876543210"}, "model_hash": "31e35c80fc"}
    path = save(tmp_path, asked, facts=facts)
    with Image.open(path) as image:
        prompt, _, pairs = a1111(image.info["parameters"])
    assert prompt == "a duck <lora:hat:0.8> <lora:a b c:-1>"
    assert pairs["Lora hashes"] == "hat: 0123456789ab, a b c: ba9876543210"
    info = ParserManager().parse(path)
    assert info is not None
    assert info.metadata["Hashes"]["lora:hat"] == "0123456789ab"
    assert info.samplers[0].parameters["seed"] == "7"
    words, loras, notes = values.lora_tags(prompt)
    assert (words, notes) == ("a duck", [])
    assert loras == [{"name": "hat", "weight": 0.8}, {"name": "a b c", "weight": -1.0}]


FILE = "a" * 64 + ".png"


@pytest.mark.parametrize(
    ("fields", "facts", "expected"),
    [
        ({"image": FILE}, {}, "Denoising strength: 0.75, RNG: CPU"),
        ({"clip_skip": 1}, {}, "Clip skip: 3, RNG: CPU"),
        ({"emphasis": "none"}, {}, "RNG: CPU, Emphasis: No norm"),
        (
            {
                "image": FILE,
                "mask": FILE,
                "inpaint_area": "masked",
                "masked_content": "original",
                "mask_blur": 3,
            },
            {},
            "Denoising strength: 0.75, RNG: CPU, Mask blur: 3, Inpaint area: Only masked, "
            "Masked area padding: 32, Masked content: original",
        ),
        (
            {"image": FILE, "mask": FILE, "inpainting_fill": "keep"},
            {},
            "Denoising strength: 0.75, RNG: CPU, Mask blur: 8, Mask mode: Inpaint not masked, "
            "Masked content: fill",
        ),
        (
            {"image": FILE, "mask": FILE, "masked_content": "latent nothing", "soft_inpainting": True},
            {},
            "Denoising strength: 0.75, RNG: CPU, Mask blur: 8, Masked content: latent nothing, "
            "Soft inpainting: Differential diffusion",
        ),
        (
            {"second_pass_model": "r"},
            {"second_pass": "refiner"},
            "RNG: CPU, Refiner: r, Refiner switch at: 0.8",
        ),
        (
            {"second_pass_model": "r", "second_pass_steps": 12},
            {"second_pass": "img2img"},
            # Of 12 steps at 0.3 three are drawn, which is what A1111 counts.
            "Denoising strength: 0.3, RNG: CPU, Hires upscale: 1, Hires steps: 3, Hires checkpoint: r, "
            "Second pass steps: 12",
        ),
    ],
)
def test_what_a_request_adds_to_the_line(tmp_path: Path, fields: dict, facts: dict, expected: str):
    with Image.open(save(tmp_path, request(**fields), facts=facts)) as image:
        line = image.info["parameters"].split("\n")[-1]
    assert f"Model: webbduck-starter, {expected}, Version: " in line


def test_the_prompt_is_the_one_that_was_drawn(tmp_path: Path):
    asked = request(prompt="a __colour__ duck <lora:hat:0.5>")
    facts = {"resolved_prompt": "a red duck, party hat", "loras": [{"name": "hat", "weight": 0.5}]}
    path = save(tmp_path, asked, facts=facts)
    with Image.open(path) as image:
        assert image.info["parameters"].startswith("a red duck, party hat <lora:hat:0.5>\nSteps")
    assert metadata.read(path)["request"]["prompt"] == asked.prompt


def test_a_name_without_a_schedule_says_it_to_others():
    """A1111 since 1.9 takes a sampler that stands alone for its automatic one, which is Karras' for many."""
    for scheduler in SCHEDULERS:
        line = infotext.parameters_text(request(scheduler=scheduler), 1, version="WebbDuck")
        assert ("Schedule type" in line) == (JOINED[scheduler][1] != AUTOMATIC)
        assert "Automatic" not in line
    assert "Sampler: DPM++ 2M, Schedule type: Uniform," in infotext.parameters_text(
        request(scheduler="DPM++ 2M"), 1, version="WebbDuck"
    )


def test_the_schedule_that_was_drawn_is_the_one_that_is_told(tmp_path: Path):
    path = save(tmp_path, request(scheduler="Euler", steps=6), facts={"schedule": "SGM Uniform"})
    assert metadata.read(path)["fields"]["Schedule type"] == "SGM Uniform"
    assert metadata.read(path)["request"]["schedule"] == "Uniform"


def test_damaged_chunks_are_named_and_the_rest_is_read(tmp_path: Path):
    path = tmp_path / "picture.png"
    for broken in ("{", "[]", '{"request": 3}', '{"request": {"steps": 0, "base_model": "x"}}', "[" * 50_000):
        info = metadata.png_info(metadata.build_chunk(request(), 0))
        info.chunks.pop()
        info.add_text("webbduck", broken)
        picture().save(path, pnginfo=info)
        found = metadata.read(path)
        assert found["problems"] and found["request"] is None
        assert found["prompt"] == "a duck" and found["fields"]["Seed"] == "7"


def test_pictures_without_metadata_and_no_pictures(tmp_path: Path):
    picture().save(tmp_path / "plain.png")
    assert metadata.read(tmp_path / "plain.png")["tool"] is None
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(StorageError, match=r"text\.png is not a readable picture"):
        metadata.read(tmp_path / "text.png")


@given(st.text(max_size=300))
@lenient
def test_any_text_can_be_parsed(text: str):
    infotext.parse(text)
