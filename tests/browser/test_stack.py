"""The Studio's LoRA stack: what is switched on, with which weight and in which order, is what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lora_files import make_lora
from playwright.sync_api import Page, expect
from running import STARTER, wait_until


@pytest.fixture
def loras(studio) -> Iterator[Path]:
    """Two LoRAs in the running studio's folder that fit the starter."""
    folder = studio.settings.loras
    starter = studio.settings.checkpoints / "sdxl" / STARTER
    make_lora(folder / "crayon.safetensors", starter, {"modelspec.trigger_phrase": "in crayon"})
    make_lora(folder / "styles" / 'ink "wash" <b>.safetensors', starter)
    wait_until(lambda: len(studio.services.registry.loras()) == 2)
    yield folder
    for path in folder.rglob("*.safetensors"):
        path.unlink()


def add(page: Page, words: str) -> None:
    page.click(".stack .add")
    page.fill(".stack input[type=search]", words)
    expect(page.locator(".stack ul [aria-selected=true]")).to_be_visible()
    page.keyboard.press("Enter")


def asked(page: Page, seed: str) -> list[dict]:
    """The LoRAs of the job that Generate makes now."""
    page.fill("#seed textarea, #seed input", seed)
    page.fill("#steps input", "2")
    page.click("#generate")
    found = page.wait_for_function(
        "seed => { const state = webbduck.last.get('jobs');"
        "const job = [...state.jobs, ...state.recent].find(job => job.request.seed === seed);"
        "return job ?? null; }",
        arg=int(seed),
    )
    return found.json_value()["request"]["loras"]


def test_the_stack_is_what_is_asked(page: Page, loras: Path) -> None:
    page.fill("#prompt textarea", "a duck")
    add(page, "crayon")
    add(page, "ink wash")
    rows = page.locator(".stack ol li")
    expect(rows.nth(0)).to_contain_text("Adds to the prompt: in crayon")
    page.fill("#prompt textarea", "a duck In  Crayon")
    expect(rows.nth(0)).to_contain_text("Already in the prompt: in crayon")
    rows.nth(0).locator("input.typed-number").fill("-0.35")
    rows.nth(1).get_by_title("Move up").click()
    ink = 'styles/ink "wash" <b>'
    wanted = [{"name": ink, "weight": 1}, {"name": "crayon", "weight": -0.35}]
    assert asked(page, "501") == wanted
    rows.nth(0).locator("input[type=checkbox]").uncheck()
    assert asked(page, "502") == wanted[1:]
    page.reload()
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text(ink)
    expect(rows.nth(0).locator("input[type=checkbox]")).not_to_be_checked()
    rows.nth(0).get_by_title("Remove").click()
    rows.nth(0).get_by_title("Remove").click()
    assert asked(page, "503") == []
    page.wait_for_function("webbduck.last.get('jobs').recent.filter(job => job.images.length).length >= 3")
    page.get_by_role("tab", name="Gallery").click()
    first = page.evaluate("webbduck.last.get('jobs').recent.find(job => job.request.seed === 501).images[0]")
    page.locator(f'.cell[data-id="{first}"] .open').click()
    page.get_by_role("button", name="Use all settings").click()
    expect(page.locator("#seed textarea, #seed input")).to_have_value("501")
    expect(rows).to_have_count(2)
    expect(rows.nth(1).locator("input.typed-number")).to_have_value("-0.35")
    (loras / "crayon.safetensors").unlink()
    expect(page.locator(".stack .incompatible-note")).to_contain_text("crayon cannot be used")
    page.click("#generate")
    expect(page.locator(".notice.error")).to_contain_text("no LoRA named 'crayon'")


def test_more_of_a_lora_is_asked_and_comes_back(page: Page, loras: Path) -> None:
    page.fill("#prompt textarea", "a duck")
    add(page, "crayon")
    row = page.locator(".stack ol li")
    row.locator("summary").press("Enter")
    row.get_by_label("Text encoder weight of crayon").fill("0,5")
    row.get_by_label("Start of crayon").fill("0.25")
    row.get_by_role("combobox", name="Blocks of crayon").fill("OUTD")
    page.keyboard.press("Enter")
    expect(row.locator(".more-summary")).to_have_text("text 0.5 · OUTD · steps 0.25 to 1")
    use = {"name": "crayon", "weight": 1, "te_weight": 0.5, "blocks": "OUTD", "start": 0.25}
    assert asked(page, "511") == [use]
    page.reload()
    expect(row.locator(".more-summary")).to_have_text("text 0.5 · OUTD · steps 0.25 to 1")
    row.locator("summary").press("Enter")
    row.get_by_role("combobox", name="Blocks of crayon").fill("Own")
    page.keyboard.press("Enter")
    row.get_by_label("Block weights of crayon, numbers").fill("1,0,0.5")
    page.click("#generate")
    expect(page.locator(".notice.error")).to_contain_text("12, 17, 20 or 26 numbers")
    row.get_by_label("Block weights of crayon, numbers").fill("1,0,0.5,1,1,1,1,1,1,1,1,1")
    row.get_by_label("Start of crayon").fill("")
    row.get_by_label("Text encoder weight of crayon").fill("")
    numbers = [1, 0, 0.5, *[1] * 9]
    assert asked(page, "512") == [{"name": "crayon", "weight": 1, "blocks": numbers}]
