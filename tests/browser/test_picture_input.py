"""The input picture: dropped, pasted, measured, and captioned."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from form_page import expect_form
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect

from webbduck_gradio.settings import HOME

CAPTIONER = "webbduck-starter-captioner"


@pytest.fixture
def empty_page(kept_page: Page) -> Page:
    """The page that these tests share, without an input picture."""
    if kept_page.evaluate("webbduck.form.state().image"):
        kept_page.locator(".chosen-picture .remove").click()
    kept_page.wait_for_function("!webbduck.form.state().image")
    return kept_page


BRING = """([bytes, name, type, zone]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0))], name, { type }));
    const options = { bubbles: true, cancelable: true };
    if (zone === 'paste') {
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, ...options }));
        return;
    }
    const fire = (kind, node) => node.dispatchEvent(new DragEvent(kind, { dataTransfer: data, ...options }));
    fire('dragover', document.querySelector('#stage'));
    const place = document.querySelector(`.dropper:not([hidden]) [data-zone=${zone}]`);
    fire('dragover', place);
    if (!place.classList.contains('over')) throw new Error('the place does not show that it would take it');
    fire('drop', place);
}"""


def bring(page: Page, path: Path, zone: str, kind: str = "image/png") -> None:
    """Drop a file on one of the Studio's places, or paste it."""
    page.evaluate(BRING, [base64.b64encode(path.read_bytes()).decode(), path.name, kind, zone])


def drawn(path: Path, size: tuple[int, int], parameters: str | None = None) -> Path:
    told = PngInfo()
    if parameters:
        told.add_text("parameters", parameters)
    Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 30).convert("RGB").save(path, pnginfo=told)
    return path


def expect_input(page: Page, path: Path, size: str) -> None:
    expect(page.locator(".chosen-picture .facts")).to_have_text(size)
    name = f"{hashlib.sha256(path.read_bytes()).hexdigest()}.png"
    page.wait_for_function("name => webbduck.form.state().image === name", arg=name)


def test_drop_paste_and_its_size(empty_page: Page, tmp_path: Path) -> None:
    first, second = drawn(tmp_path / "a.png", (320, 200)), drawn(tmp_path / "b.png", (322, 200))
    bring(empty_page, first, "use")
    expect_input(empty_page, first, "320 × 200 px")
    expect(empty_page.locator(".dropper")).to_be_hidden()
    empty_page.get_by_role("button", name="Use its size").click()
    expect(empty_page.locator("#width input")).to_have_value("320")
    expect(empty_page.locator("#height input")).to_have_value("200")

    bring(empty_page, second, "paste")
    expect_input(empty_page, second, "322 × 200 px")
    empty_page.get_by_role("button", name="Use its size").click()
    expect(empty_page.locator(".offers")).to_contain_text(
        "322 × 200 px; width and height must be multiples of 8"
    )
    expect(empty_page.locator("#width input")).to_have_value("320")
    empty_page.get_by_role("button", name="328 × 200").click()
    expect(empty_page.locator("#width input")).to_have_value("328")
    expect(empty_page.locator(".offers")).to_be_empty()

    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    bring(empty_page, text, "use", "text/plain")
    expect(empty_page.locator("#image-input .input-error .notice")).to_be_visible()
    expect_input(empty_page, second, "322 × 200 px")


PASTE_WORDS = """([selector, text, name]) => {
    const data = new DataTransfer(), place = document.querySelector(selector);
    const dot = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    data.setData('text/plain', text);
    data.setData('text/html', `<p>${text}</p>`);
    data.items.add(new File([Uint8Array.from(atob(dot), (each) => each.charCodeAt(0))], name, { type: 'image/png' }));
    const options = { clipboardData: data, bubbles: true, cancelable: true };
    return place.dispatchEvent(new ClipboardEvent('paste', options));
}"""  # noqa: E501


def test_words_that_come_with_a_picture_of_them_are_pasted_as_words(empty_page: Page) -> None:
    empty_page.evaluate("webbduck.form.unfold('more')")
    for field in (
        "#prompt textarea",
        "#negative textarea",
        "#prompt-2 textarea",
        "#seed input",
        "#steps input",
    ):
        assert empty_page.evaluate(PASTE_WORDS, [field, "12", "image.png"]), f"{field} did not get the words"
    assert not empty_page.evaluate("webbduck.form.state().image")
    # A copied file has its name as words, and a picture beside no text field is one.
    assert not empty_page.evaluate(PASTE_WORDS, ["#prompt textarea", "duck.png", "duck.png"])
    empty_page.wait_for_function("webbduck.form.state().image")
    empty_page.locator(".chosen-picture .remove").click()
    empty_page.wait_for_function("!webbduck.form.state().image")
    assert not empty_page.evaluate(PASTE_WORDS, ["#stage", "12", "image.png"])
    empty_page.wait_for_function("webbduck.form.state().image")


def test_a_dropped_picture_tells_its_settings(empty_page: Page, tmp_path: Path) -> None:
    told = "a castle by the sea\nSteps: 13, Sampler: Euler a, CFG scale: 6.5, Seed: 99, Size: 192x256"
    bring(empty_page, drawn(tmp_path / "told.png", (64, 64), told), "read")
    expect(empty_page.locator("#prompt textarea")).to_have_value("a castle by the sea")
    expect(empty_page.locator("#steps input")).to_have_value("13")
    expect(empty_page.locator("#height input")).to_have_value("256")
    assert not empty_page.evaluate("webbduck.form.state().image"), "only read, not taken as input"


@pytest.fixture
def captioner(studio) -> Iterator[Path]:
    """Where the running studio looks for the bundled captioner, which is not there yet."""
    link = studio.settings.checkpoints / "caption" / CAPTIONER
    link.parent.mkdir(exist_ok=True)
    yield link
    link.unlink(missing_ok=True)


def test_a_picture_is_put_into_words(page: Page, captioner: Path) -> None:
    page.fill("#prompt textarea", "a red duck on a pond")
    page.fill("#seed textarea, #seed input", "7")
    page.click("#generate")
    page.wait_for_selector(".now[data-state=completed]")
    size = page.locator(".chosen-picture .facts")
    page.hover("img.main")
    page.click(".tool.input")
    expect(size).to_have_text("256 × 256 px")
    page.wait_for_function("webbduck.form.state().image")
    chosen = page.evaluate("webbduck.form.state().image")
    page.locator(".chosen-picture .remove").click()
    page.locator(".latest button").first.click()  # the newest of the recent pictures
    expect(size).to_be_visible()
    expect_form(page, image=chosen)

    def caption() -> None:
        page.get_by_role("button", name="Caption", exact=True).click()
        page.get_by_role("button", name="One sentence").click()

    caption()
    expect(page.locator("#image-input .input-error")).to_contain_text(
        "There is no captioner; put a model's folder"
    )
    captioner.symlink_to(HOME / "checkpoint" / "caption" / CAPTIONER)
    page.locator("#image-input .dismiss").click()
    caption()
    shown = page.locator(".caption-box .caption")
    expect(shown).to_contain_text("duck")
    text = shown.inner_text()
    page.get_by_role("button", name="Use as prompt").click()
    expect(page.locator("#prompt textarea")).to_have_value(text)
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#prompt textarea")).to_have_value("a red duck on a pond")


DROP = """([files, selector, zone]) => {
    const data = new DataTransfer();
    for (const [bytes, name] of files) {
        data.items.add(new File([Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0))], name));
    }
    // Whether the browser is kept from opening the file.
    const fire = (kind, node) =>
        !node.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
    const onto = document.querySelector(selector);
    const over = fire('dragover', onto);
    return over && fire('drop', (zone && document.querySelector(`.dropper [data-zone=${zone}]`)) || onto);
}"""


def drop(page: Page, paths: list[Path], onto: str, zone: str = "") -> None:
    files = [[base64.b64encode(path.read_bytes()).decode(), path.name] for path in paths]
    assert page.evaluate(DROP, [files, onto, zone])


@pytest.mark.parametrize(
    ("tab", "place"), [("Gallery", ".gallery"), ("Queue", "#queue-view"), ("LoRAs", "#loras-view")]
)
def test_a_picture_dropped_on_any_tab_comes_to_the_studio(
    empty_page: Page, tmp_path: Path, tab: str, place: str
) -> None:
    path = drawn(tmp_path / f"{tab}.png", (64, 96))
    empty_page.get_by_role("tab", name=tab).click()
    expect(empty_page.locator(place)).to_be_visible()
    drop(empty_page, [path], place, "use")
    expect(empty_page.get_by_role("tab", name="Studio")).to_have_attribute("aria-selected", "true")
    expect_input(empty_page, path, "64 × 96 px")


def test_what_is_no_single_picture_is_told_where_it_belongs(empty_page: Page, studio, tmp_path: Path) -> None:
    header = b'{"lora_unet_a.lora_down.weight": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}}'
    lora, other = tmp_path / "style.safetensors", tmp_path / "old.ckpt"
    lora.write_bytes(len(header).to_bytes(8, "little") + header)
    other.write_bytes(b"pickle")
    toast = empty_page.locator("#toast")
    empty_page.get_by_role("tab", name="LoRAs").click()
    drop(empty_page, [lora], "#loras-view")
    expect(toast).to_contain_text(
        f"style.safetensors is a LoRA: put the file into {studio.settings.loras.absolute()}"
    )
    empty_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    toast.get_by_role("button", name="Copy the folder's path").click()
    empty_page.wait_for_function(
        "path => navigator.clipboard.readText().then(text => text === path)",
        arg=str(studio.settings.loras.resolve()),
    )
    drop(empty_page, [other], "#loras-view")
    expect(toast).to_contain_text("old.ckpt cannot be loaded: models have to be .safetensors files.")
    drop(empty_page, [lora, other], "#loras-view")
    expect(toast).to_contain_text("2 files were dropped; drop pictures only, or one file at a time.")
    expect(empty_page.get_by_role("tab", name="LoRAs")).to_have_attribute("aria-selected", "true")
    empty_page.keyboard.press("?")  # under a dialog nothing takes a file, and the page is not left either
    drop(empty_page, [lora], "dialog.shortcuts")
    empty_page.keyboard.press("Escape")
    empty_page.get_by_role("tab", name="Studio").click()
