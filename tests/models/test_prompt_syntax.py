"""Syntax of other programs is named where it stays words; ordinary text is left alone."""

from __future__ import annotations

import pytest
from model_files import save
from request_checks import validate

from webbduck_gradio.errors import RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.prompt_syntax import not_understood
from webbduck_gradio.settings import Settings

SYNTAX = {
    "prompt editing": ("[cat:dog:0.5]", "[cat::3]", "[dog:10]", "[cat:dog:2,7]"),
    "alternating words": ("[cat|dog]", "[|dog]"),
    "AND of several prompts": ("a cat AND a dog", "a cat AND_PERP a dog"),
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
    "an embedding": ("embedding:bad-hands", "(Embedding:bad:1.2)"),
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
    "<lora:ink:1>", "<LYCO:ink>", "mask(art) MASK", "don't", "R&D", "photo.and more", "embedding: deep",
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


def test_an_embedding_that_is_asked_for_by_its_name_alone(settings: Settings) -> None:
    save(settings.loras / "old" / "bad-hands.safetensors", {"clip_l": (1, 768), "clip_g": (1, 1280)})
    registry = Registry(settings)

    def notes(text: str) -> list[str]:
        return validate(registry, build_request(registry, {"prompt": "a duck", "negative_prompt": text}))

    assert notes("fog, (Bad-Hands:1.2)") == [
        "old/bad-hands is read as plain words: the embedding of that name cannot be applied yet."
    ]
    assert notes("bad hands, bad-handsome") == []


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
