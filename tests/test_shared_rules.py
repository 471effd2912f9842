"""Rules that Python and the page's scripts share: here against Python, in tests/js against the scripts."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from webbduck_gradio.gallery.index.search import COLUMNS, FIELDS, TERM, parse
from webbduck_gradio.models.catalog.defaults import Defaults
from webbduck_gradio.models.catalog.entries import Checkpoint, Lora
from webbduck_gradio.models.sizes import LIMITS, TEXTS, fault
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.conditions import CONDITIONS, SECOND_PASS_RULES, conditions, second_pass
from webbduck_gradio.request.modes import MODE_RULES, mode_of
from webbduck_gradio.ui.shared.numbers import read

RULES = Path(__file__).parent / "rules"


def rules(name: str) -> Any:
    return json.loads((RULES / f"{name}.json").read_text(encoding="utf-8"))


def test_a_search_falls_into_these_terms() -> None:
    for text, expected in rules("search_terms")["terms"].items():
        terms = [found.groups() for found in TERM.finditer(text)]
        assert [
            {
                "name": (name or "").lower(),
                "without": bool(minus),
                "exact": bool(equals),
                "value": quoted if quoted is not None else word,
            }
            for minus, name, equals, quoted, word in terms
        ] == expected, text


def test_each_name_means_this_column() -> None:
    for name, column in rules("search_terms")["columns"].items():
        assert FIELDS[name] == column, name


def test_these_terms_find_favourites() -> None:
    index = sqlite3.connect(":memory:")
    index.execute(f"CREATE VIRTUAL TABLE pictures USING fts5({', '.join(COLUMNS)})")
    index.execute("INSERT INTO pictures (kind) VALUES ('txt2img favourite')")
    for text, is_favourite in rules("search_terms")["favourite"].items():
        query = parse(text)
        sought = query.match or query.without
        found = index.execute("SELECT count(*) FROM pictures WHERE pictures MATCH ?", (sought,)).fetchone()[0]
        asks_for_kind = text.lower().lstrip("-").startswith(("is:", "kind:"))
        assert (bool(found) and asks_for_kind) == is_favourite, text


@pytest.mark.parametrize("rule", rules("lora_fit"))
def test_these_loras_fit_these_checkpoints(rule: dict[str, Any]) -> None:
    lora = Lora("a", Path("a.safetensors"), rule["lora"]["arch"], "LoRA", "", 1.0, "", 1, 0.0, None)
    lora = Lora(**{**vars(lora), "context": rule["lora"]["context"]})
    checkpoint = Checkpoint(
        name="b",
        path=Path("b.safetensors"),
        layout="single_file",
        arch=rule["checkpoint"]["arch"],
        prediction_type="epsilon",
        native_size=1024,
        size_bytes=1,
        modified=0.0,
        defaults=Defaults(steps=20, cfg=5.0, width=1024, height=1024, scheduler="Euler"),
        unusable=None,
        context=rule["checkpoint"]["context"],
    )
    assert checkpoint.lora_arch == rule["checkpoint"]["lora_arch"]
    assert lora.is_compatible_with(checkpoint) == rule["compatible"]


def test_each_picture_of_a_batch_has_this_seed() -> None:
    for rule in rules("seeds"):
        index, expected = rule.pop("index"), rule.pop("image_seed")
        assert GenerationRequest(base_model="a", **rule).seed_of(index) == expected


@pytest.mark.parametrize("whole", [False, True])
def test_a_typed_number_means_this(whole: bool) -> None:
    allowed, refused = ("whole_numbers", "refused_as_whole") if whole else ("numbers", "refused")
    for text, value in rules("numbers")[allowed].items():
        assert read(text, whole) == value, text
    for text, problem in rules("numbers")[refused].items():
        with pytest.raises(ValueError) as error:
            read(text, whole)
        assert str(error.value) == problem


def test_these_sizes_are_drawn_badly() -> None:
    table = rules("sizes")
    assert (table["limits"], table["texts"]) == (LIMITS, TEXTS)
    for case in table["cases"]:
        asked = {name: value for name, value in case.items() if name != "said"}
        assert fault(**asked | {"size": tuple(case["size"])}) == case["said"], case


def test_these_conditions_hold_for_these_requests() -> None:
    tables = rules("conditions")
    known = json.loads(json.dumps({name: asdict(each) for name, each in CONDITIONS.items()}))
    assert tables["conditions"] == known
    assert tables["second_pass_rules"] == json.loads(json.dumps(SECOND_PASS_RULES))
    assert tables["mode_rules"] == json.loads(json.dumps(MODE_RULES))
    for case in tables["cases"]:
        assert mode_of(case["request"]) == case["mode"], case
        kind = second_pass(case["request"], case["arch"])
        assert kind == case["kind"], case
        hold = conditions(case["request"], kind)
        assert [name for name, holds in hold.items() if holds] == case["hold"], case
