"""Syntax of other programs is named where it stays words; ordinary text is left alone."""

from __future__ import annotations

import pytest
from request_checks import validate

from webbduck_gradio.errors import RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.prompt_schedule import with_words
from webbduck_gradio.models.prompt_syntax import not_understood
from webbduck_gradio.settings import Settings

SYNTAX = {
    "words that change": ("[cat:dog:pig:0.5]", "[cat:dog:2,7]"),
    "alternating words": ("[cat|dog:3]",),
    "AND joins parts": ("a cat AND a dog",),
    "joining prompts in this way": ("a cat AND_PERP a dog",),
    "Regional Prompter": ("sky ADDROW sea", "left ADDCOL right"),
    "ADetailer": ("a face [SEP] an eye",),
    "Unprompted": ("[choose]cat|dog[/choose]",),
    "a point, not a comma": ("(a duck:1,3)", "(a duck: -0,5 )"),
    'no closing ">"': ("a duck <lora:ink:1", "a duck <lyco:ink:1, <b"),
    "a tag of this kind": (
        "<hypernet:old:1>", "<ti:style>", "<embed:bad-hands>", "<segment:face,0.5> fine", "<random:cat|dog>",
        "<random[2]:cat|dog>", "<wildcard:animal>", "<preset:soft>", "<setvar[x]:cat>",
        "<region:0,0,1,1,0.5> a", "<fromto[0.5]:cat,dog>", "<trigger>", "<break>", "<cat-toy>",
    ),
    "braces": ("{{duck}}", "{duck}"),
    "Fooocus": ("[[red, blue]] duck",),
    "a comment": ("a duck /* or two */", "a duck // red", "# birds\na duck"),
    "compel's weights": (
        "a duck++ on a pond", "a duck--", "(a red duck)++", '"a red duck"--', "a duck+ on a pond",
        "(a red duck)1.3", "(a red duck)-",
    ),
    "compel's joined": ('("duck", "swan").blend(0.7, 0.3)', '("a duck", "a pond").and()', "cat.swap(dog)"),
    "weights with ::": ("1.5::duck::", "-1::duck ::", "hot:: dog", "hot::2 dog"),
    "options": ("a duck --ar 16:9", "a duck --no hats", "--v 6"),
    "###": ("a duck ### a swan",),
    "prompt-control": ("COUPLE(0 1) a duck",),
}  # fmt: skip

ORDINARY = (
    "3+ ducks", "C++", "g++ and notepad++", "snake__case", "a_b__c_d", "____", "A+", "18+", "Disney+", "1+1",
    "a duck (red:1.3), [soft], ((big))", "[[soft]]", r"a \[cat:dog:0.5\], \{a|b\}, \__a__", "16:9", "at 5:30",
    "score_9, score_8_up", "^_^ >_< :d <3 (o)_(o)", "a < b and c > d", "well--that is", "a duck -- on a pond",
    "two- and three-legged", "http://x.y/z", "std::vector", "rating:safe", "f/1.8", "BREAK", "a BREAK b",
    "band AND1 SAND", "painting (1990s)", "(series) 2", "#1 duck", "$5 100%", "best!!! quality", "a/b, c//d",
    "<lora:ink:1>", "<LYCO:ink>", "mask(art) MASK", "don't", "R&D", "photo.and more",
    "embedding: deep", "embedding:bad-hands",
)  # fmt: skip


@pytest.mark.parametrize(("what", "text"), [(what, text) for what, all in SYNTAX.items() for text in all])
def test_what_stays_words_is_named(what: str, text: str) -> None:
    for prompt in (text, f"a pond, {text}" if text[0] != "#" else text):
        said = not_understood(prompt)
        assert any(what in sentence for sentence in said), said
        assert all(" is read as plain words: " in sentence for sentence in said)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert not_understood(text) == not_understood(f"a pond, {text}, reeds") == []


def test_it_is_said_with_the_job_for_each_of_the_texts(settings: Settings) -> None:
    registry = Registry(settings)
    words = "ADDROW is read as plain words: regions of the Regional Prompter are not supported."
    for field in ("prompt", "negative_prompt", "prompt_2"):
        asked = {"prompt": "", "cfg": 5, field: "a duck ADDROW a pond ADDCOL a boat"}
        assert validate(registry, build_request(registry, asked)) == [words], "one sentence for each kind"
    long = "a {" + "duck, " * 100 + "}"
    (sentence,) = validate(registry, build_request(registry, {"prompt": long}))
    assert sentence.startswith("{duck, duck") and len(sentence) < 150


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        (f"(a duck:{'9' * 39})", "1e+39"),
        (f"(a duck:{'9' * 400})", "inf"),
        ("(a duck:-500)", "-500"),
        ("(" * 1000 + "a duck" + ")" * 1000, "2.47e+41"),
        ("(" * 1000 + "a duck", "2.47e+41"),
        ("[" * 1000 + "a duck" + "]" * 1000, "4.05e-42"),
        ("(((a duck:9):9):9)", "729"),
        ("(a duck:0.0001)", "0.0001"),
    ],
)
def test_weights_beyond_all_measure_are_refused(settings: Settings, text: str, weight: str) -> None:
    registry = Registry(settings)
    for field, name in (
        ("prompt", "prompt"),
        ("negative_prompt", "negative prompt"),
        ("prompt_2", "second prompt"),
    ):
        with pytest.raises(RequestError) as refusal:
            validate(registry, build_request(registry, {"prompt": "", field: text}))
        assert str(refusal.value) == (
            f"The {name} gives 'a duck' the weight {weight}; 0 and 0.001 to 100 are possible."
        )


def test_weights_that_people_use_are_taken(settings: Settings) -> None:
    registry = Registry(settings)
    for text in (
        "(a duck:0)",
        "(a duck:-1)",
        "(a duck:20)",
        "((((((a duck))))))",
        "[[[[a duck]]]]",
        "(a:0.01)",
    ):
        assert validate(registry, build_request(registry, {"prompt": text})) == []


def test_what_changes_and_what_is_joined_is_understood(settings: Settings) -> None:
    registry = Registry(settings)

    def said(**texts: str) -> list[str]:
        return validate(registry, build_request(registry, {"prompt": "", "cfg": 5} | texts))

    changing = "a [cat:dog:0.5], [[big]:3], [red|blue|] ([sky::.2]:1.3)"
    for field in ("prompt", "negative_prompt", "prompt_2"):
        assert said(**{field: changing}) == []
    assert said(prompt=f"{changing} AND a pond :0.5") == []
    assert said(negative_prompt="a cat AND a dog") == [
        "AND is read as plain words: AND joins parts of the prompt alone."
    ]
    alone, change = said(prompt="a [cat:dog:0.5] | a pond")
    assert alone.startswith("[cat:dog:0.5] is read as plain words: ")
    assert change.startswith("Nothing in the prompt changes from step to step, since a | outside [ ]")


def test_what_cannot_be_joined_is_refused(settings: Settings) -> None:
    registry = Registry(settings)
    for prompt, why in (
        (" AND ".join(map(str, range(17))), "AND joins 17 prompts; at most 16 are possible."),
        ("a AND b:101", "A prompt joined by AND has the weight 101; -100 to 100 are possible."),
        (f"a AND b:{'9' * 400}", "A prompt joined by AND has the weight inf; -100 to 100 are possible."),
        ("[(a:200):b:0.5]", "The prompt gives 'a' the weight 200; 0 and 0.001 to 100 are possible."),
        (
            "|".join(["[" + "x" * 1500, *map(str, range(149)), "]"]) + "y" * 1900,
            "A prompt comes to more than 200,000 characters in all its steps together; shorten it, or let "
            "fewer of its words change.",
        ),
    ):
        with pytest.raises(RequestError) as refusal:
            validate(registry, build_request(registry, {"prompt": prompt, "steps": 150}))
        assert str(refusal.value) == why


def test_a_trigger_goes_into_each_joined_prompt() -> None:
    assert with_words("a cat, ", "ink") == "a cat, ink"
    assert with_words("a cat AND a dog :0.5", "ink") == "a cat, ink AND a dog, ink :0.5"
