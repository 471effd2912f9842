"""The page's address names what is shown, to others and after a reload; Back closes what is on top."""

from __future__ import annotations

import re
from collections.abc import Callable

from form_page import expect_form
from gallery_page import cell, expect_shown, search, sibling
from playwright.sync_api import Page, expect
from windows import WIDE

SCROLLED_TO = """id => {
    const box = document.querySelector('.g-scroll');
    box.scrollTop = box.scrollHeight; // its rows are known after their count
    const seen = document.querySelector(`.cell[data-id="${id}"]`)?.getBoundingClientRect();
    return seen && seen.top < box.getBoundingClientRect().bottom;
}"""


def ends(fragment: str) -> re.Pattern[str]:
    return re.compile(re.escape(fragment) + "$")


def expect_tab(page: Page, name: str) -> None:
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def test_the_address_follows_tab_search_and_picture(gallery: Page, album: list[str]) -> None:
    expect(gallery).to_have_url(ends("#gallery?q=albumword"))
    cell(gallery, album[5]).locator(".open").click()
    expect(gallery).to_have_url(ends(f"#picture={album[5]}"))
    gallery.keyboard.press("ArrowRight")
    expect(gallery).to_have_url(ends(f"#picture={sibling(album[5], 1)}"))
    gallery.keyboard.press("Escape")
    expect(gallery).to_have_url(ends("#gallery?q=albumword"))
    gallery.get_by_role("tab", name="LoRAs").click()
    expect(gallery).to_have_url(ends("#loras"))
    gallery.get_by_role("tab", name="Studio").click()
    expect(gallery).not_to_have_url(re.compile("#"))
    gallery.go_back()
    expect_tab(gallery, "LoRAs")
    gallery.go_back()
    expect_tab(gallery, "Gallery")
    expect(gallery.locator(".g-query")).to_have_value("albumword")


def test_back_closes_the_topmost_and_forward_does_no_harm(gallery: Page, album: list[str]) -> None:
    box = gallery.locator(".lightbox")
    cell(gallery, album[5]).locator(".open").click()
    expect_shown(gallery, album[5])
    gallery.keyboard.press("c")
    expect(gallery.get_by_role("slider")).to_be_focused()
    gallery.wait_for_function("history.state.depth === 2")
    gallery.go_back()
    expect(gallery.get_by_role("slider")).not_to_be_visible()
    expect(box).to_be_visible()
    gallery.go_back()
    expect(box).not_to_be_visible()
    expect(gallery).to_have_url(ends("#gallery?q=albumword"))
    gallery.go_forward()  # an address, so it opens again
    expect_shown(gallery, album[5])
    gallery.keyboard.press("Escape")
    gallery.wait_for_function("history.state.depth === 0")
    gallery.keyboard.press("?")
    shortcuts = gallery.locator("dialog.shortcuts")
    expect(shortcuts).to_be_visible()
    gallery.wait_for_function("history.state.depth === 1")
    gallery.go_back()
    expect(shortcuts).not_to_be_visible()
    gallery.go_forward()  # what it stood for has no address
    gallery.wait_for_function("history.state.depth === 0")
    expect(shortcuts).not_to_be_visible()
    expect_tab(gallery, "Gallery")
    gallery.locator(".g-open-trash").click()
    gallery.wait_for_function("history.state.depth === 1")
    gallery.go_back()
    expect(gallery.locator(".g-scroll")).to_be_visible()


def test_back_warns_before_paint_is_thrown_away(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="To inpaint").click()
    editor = gallery.locator("dialog.mask-editor")
    expect(editor.locator(".mask-view")).to_be_focused()
    gallery.wait_for_function("history.state.depth === 1")
    gallery.keyboard.press("Space")
    gallery.wait_for_function("history.state.depth === 2")
    gallery.go_back()
    expect(editor.locator(".mask-state")).to_contain_text("You have unsaved changes")
    gallery.keyboard.press("Space")  # to paint on is a way out of the warning
    expect(editor.locator(".mask-state")).not_to_contain_text("unsaved")
    gallery.wait_for_function("history.state.depth === 2")
    gallery.go_back()
    expect(editor.locator(".mask-state")).to_contain_text("You have unsaved changes")
    gallery.go_back()
    expect(editor).not_to_be_visible()
    expect_tab(gallery, "Studio")
    expect_form(gallery, mask="")


def test_a_link_shows_the_same_to_others_and_after_a_reload(
    gallery: Page, window: Callable[..., Page], studio, album: list[str]
) -> None:
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cell(gallery, album[3]).locator(".open").click()
    expect_shown(gallery, album[3])
    gallery.get_by_role("button", name="Copy link").click()
    gallery.wait_for_function("navigator.clipboard.readText().then(text => text.includes('#picture='))")
    link = gallery.evaluate("navigator.clipboard.readText()")
    assert link == f"{studio.url.rstrip('/')}/#picture={album[3]}"
    gallery.keyboard.press("Escape")
    other = window(link, **WIDE | {"viewport": {"width": 1000, "height": 420}})
    expect_shown(other, album[3])
    other.go_back()
    expect(other.locator(".lightbox")).not_to_be_visible()
    expect_tab(other, "Gallery")
    search(other, "albumword")
    expect(other).to_have_url(ends("#gallery?q=albumword"))
    expect(other.locator(".g-canvas:not([aria-busy])")).to_be_visible()  # the list is that of the search
    other.wait_for_function(SCROLLED_TO, arg=album[0])
    other.reload()
    expect_tab(other, "Gallery")
    expect(other.locator(".g-query")).to_have_value("albumword")
    expect(cell(other, album[0])).to_be_in_viewport()


def test_a_picture_that_is_gone_is_said_in_one_sentence(gallery: Page) -> None:
    for picture in ("albumword gone/0.png", "..%2F0.png"):
        gallery.evaluate("picture => { location.hash = `#picture=${picture}`; }", picture)
    expect(gallery.locator(".toast")).to_contain_text(
        "There is no such picture in the gallery; it may have been"
    )
    expect(gallery.locator(".lightbox")).not_to_be_visible()
    expect_tab(gallery, "Studio")  # the second address names nothing


def test_the_address_of_a_job_unfolds_it(gallery: Page, studio, painted: None) -> None:
    job = studio.services.submit(
        {"prompt": "a job with an address", "base_model": "webbduck-starter", "width": 64, "height": 64,
         "steps": 2, "num_images": 1}, "generate", None
    )  # fmt: skip
    gallery.wait_for_function(
        "id => webbduck.last.get('jobs').recent.some(job => job.job_id === id && job.finished)", arg=job.id
    )
    gallery.evaluate("id => { location.hash = `#queue?job=${id}`; }", job.id)
    row = gallery.locator(f'.job[data-id="{job.id}"]')
    expect(row.locator("details")).to_have_attribute("open", "")
    expect(row.locator("summary")).to_be_focused()
    row.locator("summary").click()
    expect(gallery).to_have_url(ends("#queue"))
    row.locator("summary").click()
    expect(gallery).to_have_url(ends(f"#queue?job={job.id}"))
    gallery.evaluate("() => { location.hash = '#queue?job=0123456789abcdef'; }")
    expect(gallery.locator(".toast")).to_contain_text("no longer in the queue's list")
