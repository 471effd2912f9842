"""Prompts that change from step to step are read and counted as AUTOMATIC1111 does."""

from __future__ import annotations

import re

import pytest

from webbduck_gradio.models.prompt_schedule import Count, joined_parts, prompt_schedule, schedule
from webbduck_gradio.models.schedule_in_words import in_words
from webbduck_gradio.request import GenerationRequest

TEN = Count(10)
IN_HIRES_PASS = Count(10, before=10)

TABLE = [
    ("test", [(10, "test")]),
    ("a [b:3]", [(3, "a "), (10, "a b")]),
    ("a [b: 3]", [(3, "a "), (10, "a b")]),
    ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
    ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
    ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
    ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
    ("a [unbalanced", [(10, "a [unbalanced")]),
    ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
    ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
    ("[a|(b:1.1)]", [(step, "(b:1.1)" if step % 2 == 0 else "a") for step in range(1, 11)]),
    ("[fe|]male", [(step, "male" if step % 2 == 0 else "female") for step in range(1, 11)]),
    ("[fe|||]male", [(1, "female"), (4, "male"), (5, "female"), (8, "male"), (9, "female"), (10, "male")]),
]
"""AUTOMATIC1111's own (modules/prompt_parser.py), texts that follow each other unchanged being one."""


@pytest.mark.parametrize(("prompt", "entries"), TABLE)
def test_its_own_table(prompt: str, entries: list[tuple[int, str]]) -> None:
    assert list(schedule(prompt, TEN)) == entries


@pytest.mark.parametrize(
    ("prompt", "entries"),
    [
        ("a [b:.5] c", [(10, "a b c")]),
        ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b:14] c", [(4, "a  c"), (10, "a b c")]),
        ("a [b:4] c", [(10, "a b c")]),
        ("a [b:2.0] c", [(10, "a  c")]),
    ],
)
def test_the_hires_pass(prompt: str, entries: list[tuple[int, str]]) -> None:
    assert list(schedule(prompt, IN_HIRES_PASS)) == entries


@pytest.mark.parametrize(
    "prompt",
    [
        "a [b:c:d:3]", "[a:b]", "[a:b:c]", "a (b [c:3)", "[(a:b:c):3]", "[a [b:c]:3]", "a | [b:3]", "[b|c:3]",
        "(b|c) [d:3]", "[b:3] \\", r"\[b:3\]", r"[b\:3]", "[b:3", "b:3]", "[:", "[]", "[|", "()|", "[a:0x3]",
        "[a:\u0663]", "[a:nan]",
    ],
)  # fmt: skip
def test_what_means_nothing_is_taken_whole(prompt: str) -> None:
    assert list(schedule(prompt, TEN)) == [(10, prompt)]


@pytest.mark.parametrize(
    ("when", "last"),
    [("0", 0), ("0.0", 0), ("-1", 0), ("-.5", 0), ("1.0", 10), ("99", 10), ("9.9e9", 10), ("1e1", 10),
     ("+3", 3), ("3.", 10), (".39", 3), ("1e999", 10)],
)  # fmt: skip
def test_numbers(when: str, last: int) -> None:
    entries = schedule(f"[a:b:{when} ]", TEN)
    assert entries == {0: ((10, "b"),), 10: ((10, "a"),)}.get(last, ((last, "a"), (10, "b")))


HABITS = (
    "a photo of a [cat:dog:0.4] on a pond",
    "masterpiece, best quality, 1girl, [red hair:blue hair:0.6], (smile:1.2), park",
    "[sketch of:oil painting of:10] a castle, [:fog, :0.3]sunset",
    "portrait of a [young|old] man, (detailed face:1.3), [[blurry]]",
    "[winter|spring|summer|autumn] landscape, 8k",
    "a [forest:[desert:ocean:0.8]:0.4] at night",
    "[((ugly)):beautiful:0.25] woman, (long hair:1.1), \\(series\\)",
    "[cow|horse] in a field, [grass::0.5]",
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6]"
    "[ in background:0.25] [shoddy:masterful:0.5]",
    "(a [red:green:5] ball:1.4), [blue], ((yellow))",
    "[photo|painting|] of a ship, [storm:calm sea:15]",
    "[a|b|c][d|e]",
    "[1girl:2girls:0.15], solo, [simple background::0.7], BREAK [day|night]",
    "score_9, score_8_up, [anime:realistic:.35] style",
    "[from above|from below] shot, (cinematic:1.1), [[[film grain:0.2]]]",
    "a (very [big:small:3]:0.9) house",
    "[[cat|dog]:bird:0.5], detailed",
    "[cat:[dog|wolf]:0.5], detailed",
    "[photo:[painting:[sketch:line art:18]:12]:6] of a bridge",
    "elf, [:[glowing eyes|closed eyes]:0.5], (ornate armor:1.25), [dark::0.9]",
    "[Emma Watson: Amber Heard: 0.5], [watercolor :.2]",
)


def reading(prompt: str, step: int, steps: int) -> str:
    """The text of one step, by replacing the innermost brackets one after the other."""
    text = re.sub(r"\\(.)", lambda found: f"\\{ord(found[1])};", prompt)
    weight = re.compile(r"(\([^()]*):([\d.]+\))")
    while weight.search(text):
        text = weight.sub("\\1\0\\2", text)

    def value(found: re.Match[str]) -> str:
        options, pieces = found[1].split("|"), found[1].split(":")
        if len(options) > 1:
            return options[(step - 1) % len(options)]
        if len(pieces) == 1:
            return f"\1{found[1]}\2"
        when = pieces[-1].strip()
        end = int(float(when) * steps if "." in when else float(when))
        return (pieces[0] if len(pieces) == 3 else "") if step <= end else pieces[-2]

    while "[" in text:
        text = re.sub(r"\[([^\[\]]*)\]", value, text, count=1)
    text = text.translate({0: ":", 1: "[", 2: "]"})
    return re.sub(r"\\(\d+);", lambda found: f"\\{chr(int(found[1]))}", text)


@pytest.mark.parametrize("prompt", HABITS)
def test_prompts_of_habit_are_what_another_reading_gives(prompt: str) -> None:
    for steps in (20, 25):
        entries = schedule(prompt, Count(steps))
        assert len(entries) > 1
        for step in range(1, steps + 1):
            text = next(text for last, text in entries if step <= last)
            assert text == reading(prompt, step, steps), step


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a cat", [("a cat", 1)]),
        ("a ratio of 16:9", [("a ratio of 16:9", 1)]),
        ("a cat AND a dog", [("a cat", 1), ("a dog", 1)]),
        ("a cat :1.2 AND a dog:.5  AND fog : -1", [("a cat", 1.2), ("a dog", 0.5), ("fog", -1)]),
        ("a cat AND (a dog:1.2)", [("a cat", 1), ("(a dog:1.2)", 1)]),
        ("a\nb :0.5 AND c\n:2", [("a\nb :0.5", 1), ("c", 2)]),
        ("a AND b:0", [("a", 1)]),
        ("a:0 AND b:0", [("a", 0)]),
        ("a AND a:0.5", [("a", 1.5)]),
        ("BAND and SAND AND1 a_AND", [("BAND and SAND AND1 a_AND", 1)]),
        ("AND", [("", 2)]),
    ],
)
def test_parts_that_are_joined(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert list(joined_parts(prompt)) == parts


def test_all_texts_of_a_pass_come_together() -> None:
    found = prompt_schedule("a [b:2] AND c", "[d:5]", "[e:2]", TEN)
    assert found.weights == (1, 1) and found.ends == (2, 5)
    assert [(each.prompts, each.negative, each.second) for each in found.texts] == [
        (("a ", "c"), "", ""),
        (("a b", "c"), "", "e"),
        (("a b", "c"), "d", "e"),
    ]
    plain = prompt_schedule("a", "b", "c", TEN)
    assert plain == prompt_schedule("a", "b", "c", Count(99)), "what does not change is encoded once for all"


@pytest.mark.parametrize(
    "prompt",
    ["[" * 4000, "[" * 2000 + "]" * 2000, "([" * 2000, "[a|" * 1300, "[a|" * 1000 + "]" * 1000,
     "[a:" * 700 + "b" + ":1]" * 700, "[a|b]" * 700, "a AND " * 15 + "[a:" * 900 + "]" * 900],
)  # fmt: skip
def test_hostile_brackets(prompt: str) -> None:
    found = prompt_schedule(prompt, prompt.replace("AND", ""), "", Count(300))
    assert 1 <= len(found.texts) == len(found.ends) + 1 <= 300


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ['Steps 1-9: "cat"; 10-20: "dog".']),
        ({"sampler": "Heun"}, ['Evaluations (2 in each step) 1-17: "cat"; 18-40: "dog".']),
        ({"prompt": "[a:b:0.95]"}, ['Steps 1-20: "a"; never: "b".']),
        ({"prompt": "a cat on a pond"}, []),
        (
            {"prompt": "[a:b:0.8] c", "image": "0" * 64 + ".png", "strength": 0.5},
            ['Steps 1-10: "a"; never: "b".'],
        ),
        (
            {"prompt": "[a|b] duck AND a pond :0.5"},
            [
                'Joined by AND: "[a|b] duck" with weight 1; "a pond" with weight 0.5.',
                'Steps 1-2: "a"; 3: "b"; 4: "a"; 5: "b"; and 15 more.',
            ],
        ),
    ],
)
def test_it_is_told_in_words(fields: dict[str, object], words: list[str]) -> None:
    asked = {"prompt": "a [cat:dog:0.4] on a pond", "sampler": "Euler", "steps": 20, "base_model": "any"}
    request = GenerationRequest.validated(**asked | fields)
    assert in_words(request.prompt, request) == words
