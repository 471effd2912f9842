"""The page as a person uses it, in Chromium, with the starter checkpoint."""

from __future__ import annotations

import io

import httpx
import numpy as np
import pytest
from form_page import expect_form, put_away
from PIL import Image
from playwright.sync_api import Page, expect
from running import wait_until
from windows import WIDE

from webbduck_gradio.ui.studio.form_facts import PRESETS

DONE = ".now[data-state=completed]"


@pytest.fixture
def reset_page(kept_page: Page) -> Page:
    """The page that these tests share, in the Studio's tab and with its form as at first."""
    kept_page.get_by_role("tab", name="Studio").click()
    kept_page.fill("#prompt textarea", "to be reset")
    kept_page.get_by_role("button", name="Presets", exact=True).click()
    kept_page.get_by_role("button", name="Reset everything").click()
    expect(kept_page.locator("#prompt textarea")).to_have_value("")
    expect_form(kept_page, prompt="", steps=20, num_images=1)
    put_away(kept_page)
    return kept_page


def fill(page: Page, prompt: str, seed: str = "7", **fields: str) -> None:
    page.fill("#prompt textarea", prompt)
    page.fill("#seed textarea, #seed input", seed)
    for name, value in fields.items():
        page.fill(f"#{name} input", value)


def shown(page: Page) -> np.ndarray:
    """Pixels of the finished picture that the Studio shows."""
    source = page.get_attribute("img.main", "src")
    assert source and source.startswith("media/image/")
    answer = page.request.get(page.url.split("?")[0] + source)
    return np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB")).astype(int)


def generate(page: Page, prompt: str, **fields: str) -> np.ndarray:
    fill(page, prompt, **fields)
    page.click("#generate")
    page.wait_for_function("prompt => document.querySelector('img.main')?.alt === prompt", arg=prompt)
    page.wait_for_selector(DONE)
    page.wait_for_function(
        "document.querySelector('img.main').getAttribute('src').startsWith('media/image/')"
    )
    return shown(page)


def test_type_generate_and_see_the_colour(reset_page: Page) -> None:
    red = generate(reset_page, "a red duck on a pond")
    blue = generate(reset_page, "a yellow duck on a pond")
    clearly_red = [
        ((p[..., 0] > 120) & (p[..., 0] > p[..., 1] + 60) & (p[..., 0] > p[..., 2] + 60)).mean()
        for p in (red, blue)
    ]
    assert clearly_red[0] > 0.04
    assert clearly_red[0] > 3 * clearly_red[1]


def test_a_batch_shows_its_pictures(reset_page: Page) -> None:
    generate(reset_page, "a green duck", batch="3", steps="4")
    expect(reset_page.locator(".strip button")).to_have_count(3)
    reset_page.locator(".strip button").first.click()
    reset_page.wait_for_function("document.querySelector('img.main').getAttribute('src').endsWith('/0.png')")
    expect(reset_page.locator(".statusline .seed b")).to_have_text("7")


def test_nothing_jumps_when_previews_and_pictures_come(page: Page) -> None:
    fill(page, "a duck that stands still", steps="150", batch="3")
    page.click("#generate")
    page.wait_for_selector(".now[data-state=running]")

    def places() -> list[dict | None]:
        selectors = (".frame", ".strip", ".statusline", "#dock", "#prompt")
        return [page.locator(each).bounding_box() for each in selectors]

    before = places()
    page.wait_for_function(
        "document.querySelector('img.main')?.getAttribute('src')?.startsWith('media/preview/')"
    )
    assert places() == before
    page.click(".now .cancel")
    page.wait_for_selector(".now[data-state=cancelled]")
    fill(page, "a duck that stands still", steps="2", batch="3")
    page.click("#generate")
    page.wait_for_selector(DONE)
    expect(page.locator(".strip button")).to_have_count(3)
    assert places() == before


def test_the_preview_and_cancel(reset_page: Page, studio, painted: None) -> None:
    fill(reset_page, "a duck that takes long", steps="150", batch="8")
    reset_page.click("#generate")
    reset_page.wait_for_function(
        "document.querySelector('img.main')?.getAttribute('src')?.startsWith('media/preview/')"
    )
    expect(reset_page.locator(".now .headline")).to_contain_text("step")
    reset_page.click(".now .cancel")
    reset_page.wait_for_selector(".now[data-state=cancelled]")
    assert studio.services.store.running() is None


NOT_FITTING = {
    "steps": ("0", "Steps must be a whole number from 1 to 150, not 0"),
    "width": ("-8", "Width must be a whole number from 64 to 4,096, a multiple of 8, not -8"),
    "batch": ("9", "Images must be a whole number from 1 to 8, not 9"),
    "seed": ("lucky", "Seed must be a whole number"),
}


def test_what_does_not_fit_is_said_on_the_page(reset_page: Page) -> None:
    reset_page.fill("#prompt textarea", "a duck")
    for field, (value, sentence) in NOT_FITTING.items():
        control = reset_page.locator(f"#{field} textarea, #{field} input")
        before = control.input_value()
        control.fill(value)
        reset_page.click("#generate")
        said = reset_page.locator(".notice.error")
        expect(said).to_have_count(1)
        expect(said).to_contain_text(sentence)
        assert control.input_value() == value, "what was typed stays"
        control.fill(before)


def test_the_seed_row(reset_page: Page) -> None:
    generate(reset_page, "a duck", seed="1234", steps="2")
    reset_page.click("#dice")
    expect(reset_page.locator("#seed textarea, #seed input")).to_have_value("")
    reset_page.click("#reuse")
    expect(reset_page.locator("#seed textarea, #seed input")).to_have_value("1234")


def test_ctrl_enter_generates_what_was_just_typed(reset_page: Page) -> None:
    reset_page.fill("#steps input", "2")
    reset_page.click("#prompt textarea")
    reset_page.keyboard.type("a pink duck, typed quickly")
    reset_page.keyboard.press("Control+Enter")
    reset_page.wait_for_function(
        "webbduck.last.get('jobs').recent[0]?.request.prompt === 'a pink duck, typed quickly'"
    )


def test_five_jobs_and_close(window, studio, painted: None) -> None:
    tab = window()
    before = studio.services.store.counts()["completed"]
    fill(tab, "one of five", steps="6", width="64", height="64")
    for _ in range(5):
        tab.click("#generate")  # at once, without waiting for an answer
    tab.wait_for_function(
        "webbduck.last.get('jobs').jobs.concat(webbduck.last.get('jobs').recent)"
        ".filter(job => job.request.prompt === 'one of five').length === 5"
    )
    tab.context.close()
    wait_until(lambda: studio.services.store.counts()["completed"] >= before + 5)
    drawn = [job for job in studio.services.store.recent(20) if job.kind == "generate"]
    mine = [job for job in drawn if job.request.prompt == "one of five"]
    assert [len(job.images) for job in mine] == [1] * 5


def test_reload_while_running_finds_the_job_again(reset_page: Page, painted: None) -> None:
    fill(reset_page, "a duck over a reload", steps="150", batch="4")
    reset_page.click("#generate")
    reset_page.wait_for_selector(".now[data-state=running]")
    reset_page.reload()
    reset_page.wait_for_selector(".now[data-state=running]")
    reset_page.wait_for_function("document.querySelector('img.main')?.alt.includes('a duck over a reload')")
    reset_page.click(".now .cancel")
    reset_page.wait_for_selector(".now[data-state=cancelled]")


def test_queue_and_gallery_show_what_there_is(reset_page: Page) -> None:
    prompt = "a <b>duck</b> & ${alert(1)} {{value}}"
    generate(reset_page, prompt, steps="2")
    reset_page.get_by_role("tab", name="Queue").click()
    expect(reset_page.locator(".jobs.ended .job").first.locator(".prompt")).to_have_text(prompt)
    reset_page.get_by_role("tab", name="Gallery").click()
    reset_page.locator(".cell").first.click()
    expect(reset_page.locator(".lightbox h3")).to_have_text(prompt)
    expect(reset_page.locator(".lightbox .info")).to_contain_text("webbduck-starter")
    reset_page.keyboard.press("Escape")
    expect(reset_page.locator(".lightbox")).not_to_be_visible()


def test_delete_undo_and_use_the_settings(reset_page: Page) -> None:
    generate(reset_page, "a duck that stays", seed="76", steps="2")
    generate(reset_page, "a duck to delete", seed="77", steps="2")
    reset_page.get_by_role("tab", name="Gallery").click()
    reset_page.get_by_role("button", name="Open: a duck to delete").first.click()
    expect(reset_page.locator(".lightbox h3")).to_have_text("a duck to delete")
    reset_page.get_by_role("button", name="Delete", exact=True).click()
    expect(reset_page.locator(".lightbox h3")).not_to_have_text("a duck to delete")
    reset_page.get_by_role("button", name="Undo").click()
    expect(reset_page.locator(".lightbox h3")).to_have_text("a duck to delete")
    reset_page.get_by_role("button", name="Use all settings").click()
    expect(reset_page.locator("#prompt textarea")).to_have_value("a duck to delete")
    expect(reset_page.locator("#seed textarea, #seed input")).to_have_value("77")


def test_without_the_live_preview(reset_page: Page, painted: None) -> None:
    def preview(on: bool) -> None:
        reset_page.get_by_role("button", name="View", exact=True).click()
        reset_page.get_by_label("Show a live preview").set_checked(on)
        reset_page.keyboard.press("Escape")

    preview(False)
    fill(reset_page, "a duck that nobody watches", steps="150", batch="2")
    reset_page.click("#generate")
    is_preview = "document.querySelector('img.main')?.getAttribute('src')?.startsWith('media/preview/')"
    reset_page.wait_for_function(
        "webbduck.last.get('live')?.preview && webbduck.last.get('live').progress > 0.05"
    )
    assert not reset_page.evaluate(is_preview)
    expect(reset_page.locator(".now .headline")).to_contain_text("step")
    preview(True)
    reset_page.wait_for_function(is_preview)
    reset_page.click(".now .cancel")
    reset_page.wait_for_selector(".now[data-state=cancelled]")


def test_how_a_picture_was_made_and_its_settings_again(reset_page: Page) -> None:
    generate(reset_page, "a duck to be asked about", seed="4321", steps="3")
    fill(reset_page, "something else", seed="1", steps="5")
    reset_page.hover("img.main")
    reset_page.get_by_role("button", name="Generation settings").click()
    about = reset_page.get_by_role("group", name="Generation settings")
    expect(about).to_contain_text("a duck to be asked about")
    expect(about).to_contain_text("4321")
    about.get_by_role("button", name="Use all settings").click()
    expect(reset_page.locator("#prompt textarea")).to_have_value("a duck to be asked about")
    expect(reset_page.locator("#seed textarea, #seed input")).to_have_value("4321")
    expect(reset_page.locator("#steps input")).to_have_value("3")
    reset_page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(reset_page.locator("#prompt textarea")).to_have_value("something else")


def test_phone(window) -> None:
    tab = window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)

    def fits() -> None:
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390, "nothing hangs over the side"
        assert tab.evaluate("document.documentElement.scrollHeight") <= 844, "one screen, nothing to scroll"
        box = tab.locator("#generate").bounding_box()
        assert box and box["y"] + box["height"] <= 844 and box["height"] >= 40, "Generate is in reach"

    fits()
    expect(tab.locator("#steps")).to_be_hidden()
    tab.locator(".sheet-head").tap()
    expect(tab.locator(".sheet-head")).to_have_attribute("aria-expanded", "true")
    fill(tab, "a duck on the phone", steps="2")
    expect(tab.locator("#generate")).to_be_visible()
    tab.locator(".stack .add").tap()
    expect(tab.locator(".stack .search")).to_be_visible()
    tab.locator(".stack .search-head .close").tap()
    tab.locator(".sheet-head").tap()
    expect(tab.locator("#steps")).to_be_hidden()
    expect(tab.locator(".sheet-summary")).to_contain_text("2 steps")
    tab.locator("#generate").tap()
    tab.wait_for_function("document.querySelector('img.main')?.alt === 'a duck on the phone'")
    tab.wait_for_selector(DONE)
    fits()
    for each in tab.locator(".tools .tool:visible").all():
        box = each.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 40
    # What is wrong opens the sheet, where it is said.
    tab.locator(".sheet-head").tap()
    tab.fill("#steps input", "0")
    tab.locator(".sheet-head").tap()
    tab.locator("#generate").tap()
    expect(tab.locator("#problem-steps")).to_be_in_viewport()


def test_presets_and_custom(reset_page: Page, studio) -> None:
    native = studio.services.registry.checkpoint("webbduck-starter").native_size
    for name, (width, height) in PRESETS.items():
        reset_page.get_by_label(name, exact=True).check(force=True)
        expect(reset_page.locator("#width input")).to_have_value(str(round(width * native / 1024 / 8) * 8))
        expect(reset_page.locator("#height input")).to_have_value(str(round(height * native / 1024 / 8) * 8))
        expect(reset_page.locator(".size-presets .selected")).to_have_attribute("data-preset", name)
    reset_page.fill("#width input", "200")
    expect(reset_page.get_by_label("Custom")).to_be_checked()
    reset_page.fill("#width input", str(native))
    reset_page.fill("#height input", str(native))
    expect(reset_page.get_by_label("1:1")).to_be_checked()


def test_swap(kept_page: Page) -> None:
    kept_page.fill("#width input", "320")
    kept_page.fill("#height input", "192")
    kept_page.get_by_role("button", name="Swap width and height").click()
    expect(kept_page.locator("#width input")).to_have_value("192")
    expect(kept_page.locator("#height input")).to_have_value("320")
    kept_page.wait_for_function("webbduck.form.state().width === 192 && webbduck.form.state().height === 320")


def test_the_loras_tab_says_what_to_do(kept_page: Page, studio) -> None:
    kept_page.get_by_role("tab", name="LoRAs").click()
    expect(kept_page.locator(".cards")).to_contain_text(
        f"Put a .safetensors file into {studio.settings.loras}"
    )


def test_a_new_lora_appears_by_itself(kept_page: Page, studio) -> None:
    kept_page.get_by_role("tab", name="LoRAs").click()
    broken = studio.settings.loras / "half <i>copied.safetensors"
    broken.write_bytes(b"")
    try:
        expect(kept_page.locator(".card h3")).to_have_text("half <i>copied")
    finally:
        broken.unlink()
    expect(kept_page.locator(".card")).to_have_count(0)


FRAMES = """const request = window.requestAnimationFrame.bind(window);
window.framesAsked = 0;
window.requestAnimationFrame = (callback) => { window.framesAsked += 1; return request(callback); };"""


def test_a_page_at_rest_asks_for_changes_and_does_nothing_else(window) -> None:
    page = window(script=FRAMES, **WIDE)
    expect(page.locator("#problem")).to_be_hidden()

    def frames() -> int:
        with page.expect_response("**/component_server/**"):
            pass
        return page.evaluate("framesAsked")

    wait_until(lambda: frames() == frames())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(3):
        frames()
    assert {url.rpartition("/gradio_api/")[2] for url in asked} == {"component_server/"}


def test_the_page_keeps_no_status_of_its_components(studio) -> None:
    """Updating them is most of what an event costs in the browser."""
    config = httpx.get(f"{studio.url}/config").json()
    own = [each for each in config["dependencies"] if each["queue"] is False]
    assert len(own) > 20
    assert [each["show_progress_on"] for each in own] == [[]] * len(own)
