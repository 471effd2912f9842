"""One picture over everything: looked at, compared, used again, deleted and taken back."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

from gallery_page import cell, expect_alone, expect_shown, sibling
from playwright.sync_api import Page, expect

CAPTIONER = "webbduck-starter-captioner"


def test_the_lightbox_by_keyboard(gallery: Page, album: list[str]) -> None:
    gallery.locator(".g-query").focus()
    gallery.keyboard.press("ArrowDown")
    gallery.keyboard.press("ArrowRight")
    gallery.keyboard.press("Enter")
    expect_shown(gallery, sibling(album[5], 1))
    info = gallery.locator(".lightbox .info")
    for text in (
        "albumword gold lantern",
        "fog",
        "webbduck-starter",
        "Euler a",
        "5001",
        "96 × 96 px",
        "SHA-256",
    ):
        expect(info).to_contain_text(text)
    expect(info.locator(".g-notes.warning")).to_contain_text("a warning of its own")
    expect(gallery.locator(".g-strip button")).to_have_count(4)
    gallery.keyboard.press("ArrowRight")
    expect_shown(gallery, sibling(album[5], 2))
    gallery.keyboard.press("ArrowRight")
    expect_shown(gallery, sibling(album[5], 3))
    gallery.keyboard.press("ArrowRight")  # over the end of the run
    expect_shown(gallery, album[4])
    gallery.keyboard.press("ArrowLeft")
    expect_shown(gallery, sibling(album[5], 3))
    gallery.keyboard.press("+")
    expect(gallery.locator(".g-stage")).to_have_class(re.compile("zoomed"))
    gallery.keyboard.press("0")
    expect(gallery.locator(".g-stage")).not_to_have_class(re.compile("zoomed"))
    gallery.keyboard.press("s")
    expect(gallery.get_by_role("button", name="Favourite (S)")).to_have_attribute("aria-pressed", "true")
    gallery.keyboard.press("Escape")
    expect(gallery.locator(".lightbox")).not_to_be_visible()
    gallery.get_by_role("button", name="Filters", exact=True).click()
    gallery.get_by_role("button", name="Favourites", exact=True).click()
    gallery.keyboard.press("Escape")
    expect_alone(gallery, sibling(album[5], 3))
    expect(gallery.locator(".cell .heart")).to_have_attribute("aria-pressed", "true")


def test_compare_with_the_upscaled_copy_and_with_any_other(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[0]).locator(".open").click()
    expect_shown(gallery, album[0])
    gallery.keyboard.press("c")
    slider = gallery.get_by_role("slider")
    expect(slider).to_be_focused()
    table = gallery.locator(".g-differences")
    expect(table).to_contain_text("192 × 192 px")
    gallery.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "52")
    gallery.keyboard.press("Escape")
    expect(slider).not_to_be_visible()
    expect(gallery.locator(".lightbox")).to_be_visible()
    gallery.keyboard.press("Escape")
    for image_id in (album[1], album[2]):
        cell(gallery, image_id).locator(".open").click(modifiers=["Control"])
    expect(gallery.locator(".g-selected")).to_contain_text("2 selected")
    gallery.get_by_role("button", name="Compare", exact=True).click()
    expect(table).to_contain_text("lantern-glow × 0.5")
    expect(gallery.locator(".g-label.second")).to_have_text(album[2])
    gallery.keyboard.press("Escape")
    gallery.keyboard.press("Escape")


def test_delete_a_picture_and_undo(gallery: Page, studio, album: list[str]) -> None:
    cell(gallery, album[5]).locator(".open").click()
    expect_shown(gallery, album[5])
    gallery.keyboard.press("Delete")
    expect_shown(gallery, sibling(album[5], 1))
    assert not (studio.settings.outputs / album[5]).exists()
    gallery.get_by_role("button", name="Undo").click()
    expect_shown(gallery, album[5])
    assert (studio.settings.outputs / album[5]).is_file()
    gallery.keyboard.press("Escape")


def test_settings_and_prompt_into_the_studio(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="Use all settings").click()
    expect(gallery.locator("#prompt textarea")).to_have_value(re.compile("albumword teal"))
    expect(gallery.locator("#seed textarea, #seed input")).to_have_value("2000")
    expect(gallery.locator("#steps input")).to_have_value("4")
    gallery.get_by_role("tab", name="Gallery").click()
    cell(gallery, album[4]).locator(".open").click()
    gallery.get_by_role("button", name="Use only the prompt").click()
    expect(gallery.locator("#prompt textarea")).to_have_value(re.compile("uniquee"))
    expect(gallery.locator("#seed textarea, #seed input")).to_have_value("2000")


def test_the_same_again_and_varied(gallery: Page, studio, album: list[str]) -> None:
    cell(gallery, album[4]).locator(".open").click()
    made = ended(gallery, studio, lambda: gallery.get_by_role("button", name="Regenerate").click())
    assert (made.request.seed, made.request.steps, made.request.num_images) == (4000, 6, 1)
    made = ended(gallery, studio, lambda: gallery.get_by_role("button", name="Vary").click())
    assert made.request.seed != 4000 and made.request.prompt.startswith("albumword crimson")
    gallery.keyboard.press("Escape")
    for image_id in studio.services.store.recent(2):
        studio.services.trash.delete_run(image_id.run)
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")


def test_into_the_studio_to_be_drawn_over(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="To img2img").click()
    expect(gallery.locator(".input-picture .facts")).to_have_text("96 × 96 px")
    expect(gallery.locator("#width input")).to_have_value("96")
    expect(gallery.locator("dialog.mask-editor")).not_to_be_visible()
    gallery.get_by_role("tab", name="Gallery").click()
    cell(gallery, album[3]).locator(".open").click()
    gallery.get_by_role("button", name="To inpaint").click()
    expect(gallery.locator("dialog.mask-editor")).to_be_visible()
    gallery.keyboard.press("Escape")
    gallery.get_by_role("tab", name="Gallery").click()
    cell(gallery, album[3]).locator(".open").click()
    gallery.get_by_role("button", name="To outpaint").click()
    expect(gallery.locator("dialog.outpaint-editor")).to_be_visible()
    expect(gallery.locator(".outpaint-state")).to_contain_text("from 96 × 96 px")


def test_an_upscaled_copy_made_from_the_lightbox(gallery: Page, studio, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="Upscale", exact=True).click()
    gallery.locator(".menu:popover-open").get_by_role("button", name="2×").click()
    expect(gallery.locator(".toast")).to_contain_text("0.png was upscaled 2× with")
    copies = gallery.locator(".g-copies")
    expect(copies).to_contain_text("0_upscaled.png", timeout=120_000)
    copies.get_by_role("button", name="Compare").click()
    expect(gallery.locator(".g-differences")).to_contain_text("192 × 192 px")
    gallery.keyboard.press("Escape")
    gallery.keyboard.press("Escape")


def test_a_caption_arrives_in_the_open_lightbox(
    gallery: Page, studio, album: list[str], starter_checkpoints: Path
) -> None:
    link = studio.settings.checkpoints / "caption" / CAPTIONER
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(starter_checkpoints / "caption" / CAPTIONER)
    studio.services.registry.refresh()
    try:
        cell(gallery, album[1]).locator(".open").click()
        expect_shown(gallery, album[1])
        gallery.get_by_role("button", name="Caption", exact=True).click()
        expect(gallery.locator(".toast")).to_contain_text("Captioning is queued")
        caption = gallery.locator(".lightbox .g-caption p")
        expect(caption).not_to_be_empty()
        text = caption.inner_text()
        (job,) = [job for job in studio.services.store.recent(20) if job.kind == "caption"]
        assert job.request.image == album[1] and job.result["caption"] == text
        gallery.keyboard.press("ArrowRight")  # it belongs to its picture, and stays with it
        expect_shown(gallery, sibling(album[1], 1))
        expect(caption).not_to_be_visible()
        gallery.keyboard.press("ArrowLeft")
        expect(caption).to_have_text(text)
        gallery.get_by_role("button", name="Use as prompt").click()
        expect(gallery.locator("#prompt textarea")).to_have_value(text)
    finally:
        link.unlink()
        studio.services.registry.refresh()


def test_what_cannot_be_read_is_not_loaded_and_can_be_deleted(gallery: Page, studio) -> None:
    folder = studio.settings.outputs / "albumword broken"
    folder.mkdir()
    header = b"IHDR" + (20_000).to_bytes(4, "big") * 2 + bytes((8, 0, 0, 0, 0))
    chunk = b"\0\0\0\r" + header + zlib.crc32(header).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\1IDAT")
    (folder / "empty.png").write_bytes(b"")
    asked: list[str] = []
    gallery.on("request", lambda request: asked.append(request.url))
    try:
        expect(cell(gallery, "albumword broken/empty.png")).to_contain_text("not a readable picture")
        cell(gallery, "albumword broken/huge.png").locator(".open").click()
        info = gallery.locator(".lightbox .info")
        expect(info.get_by_role("alert")).to_contain_text("more than 178 megapixels")
        expect(gallery.locator(".lightbox .g-wait")).to_contain_text("huge.png")
        info.get_by_role("button", name="Delete").click()
        expect(gallery.locator(".toast")).to_contain_text("Moved to the trash")
        assert not (folder / "huge.png").exists()
        assert not [url for url in asked if "huge.png" in url]
        gallery.keyboard.press("Escape")
    finally:
        (folder / "empty.png").unlink()
        folder.rmdir()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")


def test_fullscreen(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[5]).locator(".open").click()
    expect_shown(gallery, album[5])
    full = "document.fullscreenElement !== null"
    gallery.keyboard.press("f")
    gallery.wait_for_function(full)
    gallery.keyboard.press("ArrowRight")
    expect_shown(gallery, sibling(album[5], 1))
    seen = "element => element.contains(document.elementFromPoint(innerWidth / 2 - 180, innerHeight / 2))"
    assert gallery.locator(".lightbox .g-stage").evaluate(seen)  # nothing lies over it
    gallery.keyboard.press("f")
    gallery.wait_for_function(f"!({full})")
    expect(gallery.locator(".lightbox")).to_be_visible()
    gallery.get_by_role("button", name="Full screen (F)").click()
    gallery.wait_for_function(full)
    gallery.get_by_role("button", name="Close (Esc)").click()
    gallery.wait_for_function(f"!({full})")


CLIPBOARD = """async () => {
  const [item] = await navigator.clipboard.read();
  const picture = await createImageBitmap(await item.getType('image/png'));
  const context = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
  context.drawImage(picture, 0, 0);
  return [picture.width, picture.height, ...context.getImageData(2, 2, 1, 1).data];
}"""


def test_the_picture_and_its_texts_into_the_clipboard(gallery: Page, album: list[str]) -> None:
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cell(gallery, album[0]).locator(".open").click()
    expect_shown(gallery, album[0])
    info = gallery.locator(".lightbox .info")
    info.get_by_role("button", name="Copy", exact=True).click()
    expect(info).to_contain_text("Copied")
    assert gallery.evaluate(CLIPBOARD) == [96, 96, 220, 20, 60, 255]  # crimson
    prompt = "albumword crimson lantern uniquea"
    for name, text in {
        "Copy prompt": re.escape(prompt),
        "Copy negative prompt": "fog",
        "Copy seed": "0",
        "Copy all settings": rf"{prompt}\nNegative prompt: fog\nSteps: 2, Sampler: Euler, .*",
        "Copy hash": "[0-9a-f]{64}",
    }.items():
        info.get_by_role("button", name=name, exact=True).click()
        gallery.wait_for_function("navigator.clipboard.readText().then(text => text.length > 0)")
        assert re.fullmatch(text, gallery.evaluate("navigator.clipboard.readText()")), name


def ended(page: Page, studio, press: Callable[[], None]):
    """The job that a press makes, once it has ended."""
    store = studio.services.store
    before = {job.id for job in store.recent(20)}
    press()
    expect(page.locator(".toast")).to_contain_text("queued")
    page.wait_for_function(
        "ids => webbduck.last.get('jobs').recent.some(job => !ids.includes(job.job_id) && job.images.length)",
        arg=list(before),
    )
    return next(job for job in store.recent(20) if job.id not in before)
