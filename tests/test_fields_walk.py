"""A walk over all settings: each is declared, has a control, is documented, and survives its metadata.

That it reaches the picture, and is without effect where it says so, is tested in core/test_fields.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from setting_changes import CHANGES, with_pictures

from webbduck_gradio.api import parameter_docs
from webbduck_gradio.api.gallery_serializers import rows
from webbduck_gradio.api.serializers import effective_settings
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata import build_chunk, infotext, read
from webbduck_gradio.gallery.metadata.chunk import save_picture
from webbduck_gradio.gallery.metadata.recall import read_text, understand
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import SETTINGS, GenerationRequest
from webbduck_gradio.request.applicability import second_pass, without_effect
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.studio.form_facts import facts

PICTURE = "a" * 64 + ".png"
FIELDS = list(GenerationRequest.model_fields)


def changed(field: str) -> GenerationRequest:
    """A request in which the field has another value than its default, and an effect."""
    asked = {"base_model": "x", "seed": 7, **CHANGES[field].beside, field: CHANGES[field].value}
    request = GenerationRequest.validated(**with_pictures(asked, PICTURE, PICTURE))
    assert getattr(request, field) != SETTINGS[field].default
    return request


def kind_of(request: GenerationRequest) -> Any:
    return second_pass(request.model_dump(), "sdxl-base")


def test_each_field_is_declared_and_has_a_row_in_the_table() -> None:
    assert list(SETTINGS) == FIELDS and set(CHANGES) == set(FIELDS)
    labels = [setting.label for setting in SETTINGS.values()]
    assert len(labels) == len(set(labels))
    for name, setting in SETTINGS.items():
        assert setting.help.endswith("."), name
        assert setting.tooltip and "{" not in setting.tooltip, name
        if setting.control == "list":  # samplers and schedules, whose names stand in their table
            continue
        choices = getattr(GenerationRequest.model_fields[name].annotation, "__args__", ())
        assert set(setting.choices) == {each for each in choices if isinstance(each, str)}, name


def test_each_field_has_a_control_in_the_page(studio) -> None:
    there = {each["props"].get("elem_id") for each in httpx.get(f"{studio.url}/config").json()["components"]}
    missing = [name for name, setting in SETTINGS.items() if setting.element_id not in there]
    assert missing == [name for name, setting in SETTINGS.items() if setting.control == "recorded"]
    assert set(facts()["settings"]) == set(FIELDS)
    json.dumps(facts())


def test_each_field_is_documented(studio) -> None:
    endpoints = httpx.get(f"{studio.url}/gradio_api/info").json()["named_endpoints"]
    told = {each["parameter_name"]: each for each in endpoints["/generate"]["parameters"]}
    assert set(told) == {*FIELDS, "scheduler", "wait_for_result"}
    for name, setting in SETTINGS.items():
        text = told[name]["python_type"]["description"]
        assert setting.api_text in text, name
        if setting.is_number:
            assert f"{setting.limits['most']:,.10g}" in text, name
    page = parameter_docs.API_PAGE.read_text(encoding="utf-8")
    assert parameter_docs.with_settings_table(page) == page, (
        "docs/api.md lags behind the declarations; run python -m webbduck_gradio.api.parameter_docs"
    )


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_listed_where_it_has_an_effect(field: str) -> None:
    request = changed(field)
    values = request.model_dump(mode="json")
    used = effective_settings(values, kind_of(request))
    assert used[field] == values[field]
    assert field not in without_effect(values, kind_of(request))
    if not CHANGES[field].no_row:
        assert dict(rows(used, {}))[SETTINGS[field].label].startswith(SETTINGS[field].called(values[field]))


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_goes_through_our_chunk_and_back(field: str, tmp_path: Path) -> None:
    request = changed(field)
    with (tmp_path / "x.png").open("wb") as file:
        save_picture(Image.new("RGB", (8, 8)), file, "png", build_chunk(request, 0))
    fields = understand(tmp_path / "x.png")["fields"]
    expected = request.for_single_image(0).model_dump(mode="json")
    assert fields[field] == expected[field]
    assert read(tmp_path / "x.png")["request"] == expected


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_goes_through_a_parameters_text_and_back(field: str, tmp_path: Path) -> None:
    request = changed(field)
    text = infotext.parameters_text(request, request.seed, version="WebbDuck 1", second_pass=kind_of(request))
    info = PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=info)
    fields = understand(tmp_path / "x.png")["fields"]
    if CHANGES[field].no_pair:
        assert field not in fields
    else:
        assert fields[field] == request.model_dump(mode="json")[field], text


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_reset_by_a_picture_that_does_not_mention_it(field: str, settings: Settings) -> None:
    text = "a duck\nSteps: 20, Sampler: Euler, CFG scale: 7"
    values, _ = read_text(text, Registry(settings), InputImageStore(settings))
    setting = SETTINGS[field]
    told = {"prompt": "a duck", "steps": 20, "sampler": "Euler", "schedule": "Uniform", "cfg": 7.0}
    if field in told:
        assert values[field] == told[field]
    elif setting.reset == "default":
        assert values[field] == json.loads(json.dumps(setting.default))
    else:
        assert field not in values
