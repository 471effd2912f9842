"""Numbers with a comma in every field of the page: 1,5 is 1.5, or it is said; it is never 15."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from form_page import unfold_all
from lora_files import make_lora
from loras_page import open_loras
from playwright.sync_api import Locator, Page, expect
from running import STARTER, wait_until

from webbduck_gradio.request import SETTINGS

NUMBERS = [name for name, setting in SETTINGS.items() if setting.is_number]
FRACTIONS = [name for name in NUMBERS if not SETTINGS[name].is_whole]


def type_into(field: Locator, text: str) -> None:
    """Key by key, as a person does; the browser may drop what it does not want."""
    field.click()
    field.press("Control+a")
    field.press("Delete")
    field.press_sequentially(text)


@pytest.mark.parametrize(
    ("locale", "names"),
    [
        pytest.param("en-US", NUMBERS[::9], id="en-US"),
        pytest.param("de-DE", NUMBERS[1::3], id="de-DE"),
        pytest.param("de-DE", NUMBERS, id="de-DE-all", marks=pytest.mark.slow),
    ],
)
def test_every_number_of_the_form(window: Callable[..., Page], studio, locale: str, names: list[str]) -> None:
    page = window(locale=locale, viewport={"width": 1440, "height": 900})
    unfold_all(page)
    for name in names:
        control = page.evaluate("name => webbduck.form.control(name).id", name)
        field = page.locator(f"#{control} input").first
        text = "0,7" if name in FRACTIONS else "1,5"
        if field.is_visible():
            type_into(field, text)
            field.press("Tab")
        else:  # it means nothing beside the others now
            page.evaluate("([name, text]) => webbduck.form.set(name, text)", [name, text])
        expect(field).to_have_value(text)
        if name in FRACTIONS:
            page.wait_for_function("name => webbduck.form.state()[name] === 0.7", arg=name)
        else:
            page.wait_for_function("name => webbduck.form.state()[name] === '1,5'", arg=name)
            said = page.locator(f"#problem-{name}")
            expect(said).to_contain_text("must be a whole number without point or comma, not 1,5")
            expect(said.locator(".near")).to_have_count(0)
    # Nothing of it is made another number on its way to the queue.
    page.click("#generate")
    expect(page.locator(".notice.error").first).to_be_visible()
    assert not studio.services.store.queued()


def test_what_is_typed_reaches_the_job(kept_page: Page, studio) -> None:
    studio.services.store.pause()
    try:
        type_into(kept_page.locator("#cfg input"), "6,5")
        type_into(kept_page.locator("#steps input"), "3")
        kept_page.locator("#steps input").press("ArrowUp")
        kept_page.locator("#cfg input").press("ArrowDown")
        expect(kept_page.locator("#cfg input")).to_have_value("6")
        type_into(kept_page.locator("#cfg input"), "6,25")
        type_into(kept_page.locator("#seed input"), "-1")
        kept_page.click("#generate")
        wait_until(lambda: studio.services.store.queued())
        asked = studio.services.store.queued()[0].generation_request
        assert (asked.cfg, asked.steps) == (6.25, 4)
        assert asked.seed >= 0
    finally:
        studio.services.store.clear_queued()
        studio.services.store.resume()


@pytest.fixture
def lora(studio) -> Iterator[Path]:
    folder = studio.settings.loras
    make_lora(folder / "comma.safetensors", studio.settings.checkpoints / "sdxl" / STARTER)
    wait_until(lambda: studio.services.registry.loras())
    yield folder
    for path in folder.iterdir():
        if path.is_file():  # other tests leave empty folders
            path.unlink()
    wait_until(lambda: not studio.services.registry.loras())


def test_weights_and_defaults(kept_page: Page, studio, lora: Path) -> None:
    kept_page.click(".stack .add")
    kept_page.fill(".stack input[type=search]", "comma")
    expect(kept_page.locator(".stack ul [aria-selected=true]")).to_be_visible()
    kept_page.keyboard.press("Enter")
    weight = kept_page.get_by_label("Weight of comma", exact=True)
    type_into(weight, "0,7")
    kept_page.wait_for_function("JSON.parse(webbduck.form.state().loras)[0].weight === 0.7")
    type_into(weight, "1,500")
    expect(kept_page.locator(".stack ol li")).to_contain_text("Its weight can mean 1.500 or 1500")
    kept_page.click("#generate")
    expect(kept_page.locator(".notice.error").first).to_contain_text("The weight of a LoRA can mean")
    assert not studio.services.store.queued()

    kept_page.get_by_role("tab", name="LoRAs").click()
    kept_page.locator(".cards .card .pic").click()
    sheet = kept_page.locator(".lora-details .sheet")
    type_into(sheet.get_by_label("Default weight"), "1,5")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".form-status")).to_have_text("Saved to loras.json.")
    assert json.loads((lora / "loras.json").read_text())["comma"]["weight"] == 1.5
    kept_page.keyboard.press("Escape")
    kept_page.get_by_role("button", name="Checkpoints", exact=True).click()
    card = kept_page.locator(".models .card", has=kept_page.locator("[name=steps]")).first
    type_into(card.locator("[name=steps]"), "1,5")
    card.get_by_role("button", name="Save defaults").click()
    expect(card.locator(".form-status")).to_contain_text("Steps must be a whole number")
    type_into(card.locator("[name=steps]"), "15")
    type_into(card.locator("[name=cfg]"), "6,5")
    card.get_by_role("button", name="Save defaults").click()
    wait_until(lambda: studio.services.registry.checkpoint(STARTER).defaults.cfg == 6.5)
    assert studio.services.registry.checkpoint(STARTER).defaults.steps == 15
    card.get_by_role("button", name="Reset to suggested").click()
    wait_until(lambda: studio.services.registry.checkpoint(STARTER).defaults.cfg != 6.5)


def test_what_is_typed_survives_a_change_of_the_catalog(kept_page: Page, studio) -> None:
    registry, another = studio.services.registry, studio.settings.checkpoints / "sdxl" / "another.safetensors"
    open_loras(kept_page)
    kept_page.get_by_role("button", name="Checkpoints", exact=True).click()
    card = kept_page.get_by_label(STARTER, exact=True)
    cfg, width = card.locator("[name=cfg]"), card.locator("[name=width]")
    type_into(cfg, "6,")
    try:
        another.write_bytes(b"no model")
        expect(kept_page.get_by_label("another", exact=True)).to_be_visible()
        registry.edit_checkpoint(STARTER, {"width": 512})
        expect(width).to_have_value("512")
        kept_page.keyboard.type("5")
        expect(cfg).to_have_value("6,5")
        card.get_by_role("button", name="Save defaults").click()
        wait_until(lambda: registry.checkpoint(STARTER).defaults.cfg == 6.5)
        expect(card.locator(".form-status")).to_have_text("Saved to models.json.")

        # Another change of the same default is said, and replaced by the next save.
        type_into(cfg, "7,5")
        registry.edit_checkpoint(STARTER, {"cfg": 3.0})
        kept_page.wait_for_function(  # that the page knows of it already, which keeps what is typed
            """name => webbduck.last.get("catalog").checkpoints.some(
                (each) => each.name === name && each.defaults.cfg === 3)""",
            arg=STARTER,
        )
        card.get_by_role("button", name="Save defaults").click()
        expect(card.locator(".form-status")).to_contain_text("3")
        card.get_by_role("button", name="Save defaults").click()
        wait_until(lambda: registry.checkpoint(STARTER).defaults.cfg == 7.5)
    finally:
        another.unlink()
        registry.edit_checkpoint(STARTER, {"cfg": None, "width": None})
    expect(cfg).to_have_value("")
