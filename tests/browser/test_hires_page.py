"""The hires fix in the form, and of a picture that was finished before."""

from __future__ import annotations

import re

from barriers import violations
from form_page import choose, expect_form
from playwright.sync_api import Page, expect
from running import STARTER, wait_until

RULES = ("label", "aria-input-field-name", "button-name", "color-contrast", "aria-required-children")


def draw(page: Page, studio, press: str) -> None:
    """Press a button of the Studio, and wait for its picture."""
    before = {job.id for job in studio.services.store.recent(50)}
    page.click(press)
    wait_until(lambda: any(job.id not in before and job.images for job in studio.services.store.recent(50)))


def test_from_the_form_the_viewer_and_the_gallery(kept_page: Page, studio) -> None:
    page, store = kept_page, studio.services.store
    page.fill("#prompt textarea", "a hires duck")
    for name, value in {"width": "64", "height": "64", "steps": "2", "seed": "5"}.items():
        page.fill(f"#{name} input", value)
    page.get_by_role("button", name="Hires fix", exact=True).press("Enter")
    expect(page.locator("#hires-upscaler")).to_be_hidden()
    page.fill("#hires-scale input", "1.5")
    fold = page.locator("#fold-hires")
    expect(fold.locator(".fold-summary")).to_contain_text("64 × 64 → 96 × 96")
    choose(page, "Upscaler", "Latent (nearest)")
    expect(page.locator("#hires-sampler input")).to_be_visible()
    expect_form(page, hires_scale=1.5, hires_upscaler="Latent (nearest)")
    karras = page.get_by_role("option", name="Karras", exact=True)
    for sampler, schedules in (("DPM fast", 0), ("As in the first pass", 1)):
        page.locator("#hires-sampler input").click()
        page.get_by_role("option", name=sampler, exact=True).click()
        expect_form(page, hires_sampler="" if schedules else sampler)
        expect(page.locator("#hires-schedule")).not_to_have_class(re.compile("pending"))
        page.locator("#hires-schedule input").click()
        expect(page.get_by_role("option", name="As in the first pass", exact=True)).to_be_visible()
        expect(karras).to_have_count(schedules)
        page.keyboard.press("Escape")
    found = violations(page, "hires fix", RULES)
    assert found == []
    draw(page, studio, "#generate")
    at_once = store.recent(1)[0]
    assert (at_once.request.hires_scale, at_once.request.hires_sampler) == (1.5, None)

    page.fill("#hires-scale input", "")
    expect(fold.locator(".fold-summary")).to_have_text("")
    draw(page, studio, "#generate")
    assert store.recent(1)[0].request.hires_scale is None
    page.fill("#hires-scale input", "1.5")
    expect_form(page, hires_scale=1.5)
    page.wait_for_selector(".now[data-state=completed]")
    page.locator(".canvas").hover()
    draw(page, studio, ".tool.hires")
    later = store.recent(1)[0]
    outputs = studio.services.outputs
    pictures = [outputs.resolve(job.images[0]) for job in (at_once, later)]
    assert later.request == at_once.request and pictures[0] != pictures[1]

    page.get_by_role("tab", name="Gallery").click()
    page.locator(f'.cell[data-id="{later.images[0]}"] .open').click()
    before = {job.id for job in store.recent(50)}
    page.get_by_role("button", name="Hires fix", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("The hires pass is queued")
    wait_until(lambda: any(job.id not in before and job.images for job in store.recent(50)))
    assert store.recent(1)[0].request == at_once.request


def test_any_two_stages_are_compared_by_keyboard(kept_page: Page, studio) -> None:
    page = kept_page
    page.get_by_role("tab", name="Studio").click()
    asked = {"prompt": "a duck", "width": 64, "height": 64, "steps": 2, "seed": 3, "keep_stages": "on"}
    passes = {"hires_scale": 1.5, "second_pass_model": STARTER, "refinement_strength": 0.9}
    job = studio.services.submit({**asked, **passes, "second_pass_mode": "img2img"}, "generate")
    wait_until(lambda: studio.services.store.get(job.id).state == "completed")
    run = studio.services.store.get(job.id).run
    expect(page.locator(f'.canvas img[src*="{run}/0.png"]').first).to_be_visible()
    page.locator(".canvas").hover()
    page.locator(".tool.compare").press("Enter")
    expect(page.get_by_role("slider", name="Compare: share of the left picture")).to_be_focused()
    sides = (
        ("Compare with", ".other:not(.under)", "redrawn", "after the second pass"),
        ("Right side", ".under", "base", "after the first pass"),
    )
    for side, picture, stage, name in sides:
        picker = page.get_by_role("combobox", name=side, exact=True)
        picker.fill(name)
        picker.press("Enter")
        expect(page.locator(f".comparing {picture}")).to_have_attribute("src", re.compile(f"_{stage}"))
    expect(page.locator(".comparing .under")).to_be_visible()
    page.locator(".tool.compare").press("Enter")
    expect(page.locator(".comparing")).to_have_count(0)
