"""Tokens, weights and chunks, against the vocabulary of a real CLIP tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from webbduck_gradio.models.tokens import CHUNK, chunks, count, is_split, parse, token_ids, unpaired


@pytest.fixture(scope="module")
def reference(starter_checkpoints: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(starter_checkpoints / "sdxl" / "webbduck-starter" / "tokenizer")


@given(st.text(max_size=60).filter(lambda text: "<|" not in text))
def test_equal_to_the_checkpoints_own_tokenizer(reference: CLIPTokenizer, text: str) -> None:
    assert token_ids(text) == reference(text, add_special_tokens=False).input_ids


def test_known_ids_and_special_words_are_text() -> None:
    assert token_ids("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert token_ids("a <|endoftext|> b")[0] == 320 and 49407 not in token_ids("a <|endoftext|> b")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a duck", [("a duck", 1.0)]),
        ("", []),
        ("a (duck)", [("a ", 1.0), ("duck", 1.1)]),
        ("((duck))", [("duck", 1.21)]),
        ("[duck]", [("duck", 1 / 1.1)]),
        ("(duck:1.3)", [("duck", 1.3)]),
        ("(duck:.5)", [("duck", 0.5)]),
        ("(duck: -1 )", [("duck", -1.0)]),
        ("(a (b:2):0.5) c", [("a ", 0.5), ("b", 1.0), (" c", 1.0)]),
        (r"a \(b\) \[c\] \\", [("a (b) [c] \\", 1.0)]),
        ("a \\b", [("a \\b", 1.0)]),
        ("a) b]", [("a) b]", 1.0)]),
        ("a (b", [("a ", 1.0), ("b", 1.1)]),
        ("a:1.3)", [("a:1.3)", 1.0)]),
        ("()", []),
        ("a BREAK b", [("a", 1.0), None, ("b", 1.0)]),
        ("aBREAK BREAKb break", [("aBREAK BREAKb break", 1.0)]),
        ("(a BREAK b:1.2)", [("a", 1.2), None, ("b", 1.2)]),
    ],
)
def test_syntax(prompt: str, expected: list) -> None:
    joined: list = []
    for piece in expected:
        if piece and joined and joined[-1] and joined[-1][1] == piece[1]:
            joined[-1] = (joined[-1][0] + piece[0], piece[1])
        else:
            joined.append(piece)
    found = parse(prompt)
    assert [piece and piece[0] for piece in found] == [piece and piece[0] for piece in joined]
    assert [piece and piece[1] for piece in found] == pytest.approx([piece and piece[1] for piece in joined])


def test_long_prompts_lose_nothing_and_break_behind_a_comma() -> None:
    words = "one two three four five six seven eight nine, " * 20
    found = chunks(words)
    assert [token for chunk in found for token in chunk.ids] == token_ids(words)
    assert len(found) == 3 and all(chunk.ids[-1] == 267 for chunk in found)
    assert len(found[0].ids) == 70


def test_chunks_at_the_limit() -> None:
    assert [len(chunk.ids) for chunk in chunks("duck " * 75)] == [75]
    assert [len(chunk.ids) for chunk in chunks("duck " * 76)] == [75, 1]
    assert [len(chunk.ids) for chunk in chunks("duck " * 74 + ", duck")] == [75, 1]
    assert [len(chunk.ids) for chunk in chunks("a BREAK b c")] == [1, 2]
    assert [len(chunk.ids) for chunk in chunks("")] == [0]
    assert count("duck " * 76) == {"tokens": 76, "limit": 75, "over": True, "chunks": 2}


@given(st.text(alphabet="ab ,()[]:1.5\\\nBREAK", max_size=400))
def test_any_text_is_read_and_no_chunk_is_too_long(prompt: str) -> None:
    found = chunks(prompt)
    assert found and all(len(chunk.ids) <= CHUNK for chunk in found)
    assert all(len(chunk.ids) == len(chunk.weights) for chunk in found)
    pieces = [piece for piece in parse(prompt) if piece]
    assert sum(len(chunk.ids) for chunk in found) == sum(len(token_ids(text)) for text, _ in pieces)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a (red duck:1.3 [[ on ((a pond", "([[(("),
        ("a duck :(", "("),  # A1111 weighs what follows a smiley, too
        ("a duck :) and another ;-)", ""),
        (r"a \(duck, [b \\] and \{c", ""),
        ("a duck:1.3), (a [b) c]", ")"),
        ("{a|b", "{"),
    ],
)
def test_brackets_without_their_counterpart(prompt: str, expected: str) -> None:
    found = unpaired(prompt)
    assert "".join(each.bracket for each in found) == expected
    assert all(prompt[each.position] == each.bracket for each in found)
    weights = {piece[1] for piece in parse(prompt + " end") if piece and piece[0].endswith("end")}
    assert (weights == {1.0}) == (not any(each.weighs for each in found))


def test_only_words_that_no_break_separates_count_as_split() -> None:
    assert is_split("duck " * 76) and is_split("a BREAK " + "duck " * 76)
    assert not is_split("duck " * 75) and not is_split("duck " * 70 + "BREAK " + "duck " * 70)
