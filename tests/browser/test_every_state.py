"""What axe finds in each state that a person meets, in the colours that people use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import pytest
from barriers import violations
from embedding_files import of_words
from form_page import unfold_all
from gallery_page import cell, search
from lora_files import make_lora
from playwright.sync_api import Page, expect
from running import STARTER, wait_until

DONE = ".now[data-state=completed]"

MENU = ".menu:popover-open"

NAMELESS = "document.querySelector('main').append(document.createElement('button'))"
FAINT = """{
    const text = document.createElement('p');
    text.style = 'position: fixed; z-index: 9999; top: 0; left: 0; color: #eee; background: #fff';
    text.textContent = 'hardly to be read';
    document.querySelector('main').append(text);
}"""

FORCED = FAINT.replace("position:", "forced-color-adjust: none; position:")

STILL = """() => document.getAnimations().every((each) => {
    const { endTime } = each.effect.getComputedTiming();
    return each.playState !== 'running' || endTime === Infinity;
})"""
"""Nothing fades any more: axe would take a colour on its way for the colour."""


COLOURS = """theme => {
    if (window.webbduckTheme.isDark() !== (theme !== 'light')) window.webbduckTheme.toggle();
}"""
THEMES: dict[str, tuple[Sequence[str], Literal["active", "none"], str]] = {
    "dark": ((), "none", NAMELESS),
    "light": (("color-contrast",), "none", FAINT),
    "forced": (("color-contrast",), "active", FORCED),
}
"""Each theme's rules, whether the system's palette is forced, and what the check has to find. The themes
differ in their colours alone, so that the other rules are asked in one of them."""


class Looks:
    """Opens states of a page and notes what axe finds in each, in each theme."""

    def __init__(self, page: Page):
        self.page = page
        self.found: list[str] = []

    def at(self, state: str, open_it: Callable[[], Any], seen: str) -> None:
        """`seen`: a selector of what the state shows. It is closed with Escape by whoever comes next."""
        self._at(state, open_it, seen, "")

    def above(self, state: str, open_it: Callable[[], Any], part: str, seen: str = "") -> None:
        """The same of a part that opens above the page, which stays as it is: in the themes that are asked
        for their colours alone, only the part is looked at. `seen` lies in it."""
        self._at(state, open_it, f"{part} {seen}".strip(), part)

    def _at(self, state: str, open_it: Callable[[], Any], seen: str, part: str) -> None:
        open_it()
        expect(self.page.locator(seen).first).to_be_visible()
        for theme, (rules, _, _) in THEMES.items():
            self.found += self.in_theme(theme, state, part if rules else "")
        self.dressed("dark")

    def dressed(self, theme: str) -> None:
        self.page.emulate_media(color_scheme="dark", forced_colors=THEMES[theme][1])
        self.page.evaluate(COLOURS, theme)
        self.page.wait_for_function(STILL)

    def in_theme(self, theme: str, state: str, part: str = "") -> list[str]:
        self.dressed(theme)
        return violations(self.page, f"{theme}, {state}", THEMES[theme][0], part)

    def away(self) -> None:
        self.page.keyboard.press("Escape")

    def button(self, name: str, inside: str = "body") -> Callable[[], None]:
        return self.page.locator(inside).get_by_role("button", name=name, exact=True).first.click


@pytest.fixture
def words(studio) -> Iterator[None]:
    """A style, a wildcard and an embedding."""
    settings, registry = studio.settings, studio.services.registry
    made = [
        settings.styles,
        settings.wildcards / "hue.txt",
        settings.checkpoints / "embedding" / "pond.safetensors",
    ]
    made[1].parent.mkdir(exist_ok=True)
    made[0].write_text("name,prompt,negative_prompt\nNight,{prompt} at night,pond\n")
    made[1].write_text("red\nblue\n")
    of_words(settings.checkpoints / "sdxl" / STARTER, made[2], "a pond")
    wait_until(lambda: registry.refresh() or registry.embeddings())
    yield
    for each in made:
        each.unlink()
    wait_until(lambda: registry.refresh() or not registry.embeddings())


@pytest.fixture
def opened(window, studio) -> Iterator[Callable[[str], Page]]:
    file = studio.settings.loras / "ink.safetensors"
    make_lora(file, studio.settings.checkpoints / "sdxl" / STARTER)
    wait_until(lambda: any(each.name == "ink" for each in studio.services.registry.loras()))

    def open_in(theme: str) -> Page:
        options: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"}
        page = window(f"{studio.url}/?__theme={theme}", **options)
        assert page.evaluate("document.documentElement.style.colorScheme") == theme
        return page

    yield open_in
    file.unlink()
    wait_until(lambda: not studio.services.registry.loras())


def see_the_studio(looks: Looks) -> None:
    page = looks.page
    looks.at("unknown words", lambda: page.fill("#prompt textarea", "a horse on mars"), ".prompt-unknown")
    page.fill("#prompt textarea", "")
    page.focus("#prompt textarea")
    looks.above("completion", lambda: page.keyboard.type("a <lora:"), ".completions")
    looks.away()
    looks.above("samplers", lambda: page.click("#sampler input"), ".combobox-list", "[role=option]")
    looks.away()
    looks.above("presets", looks.button("Presets"), MENU)
    looks.away()
    looks.above("saved prompts", looks.button("Saved prompts"), MENU)
    looks.away()
    looks.above("view", looks.button("View"), MENU)
    looks.away()
    looks.above("device", lambda: page.click(".statusline .device"), "dialog[open]", "#device-title")
    looks.away()
    looks.above("LoRAs to add", looks.button("Add", "#stack"), "#stack", "[role=option]")
    looks.away()
    page.fill("#prompt textarea", "a duck to be read aloud")
    page.fill("#steps input", "2")
    page.fill("#batch input", "2")
    page.click("#generate")
    page.wait_for_selector(DONE)
    unfold_all(page)
    looks.at("a value that cannot be", lambda: page.fill("#width input", "250"), "#problem-width")
    page.fill("#width input", "256")
    looks.above("upscaling", lambda: page.locator("#stage .tool.upscale").click(), MENU)
    looks.away()
    looks.above("about", lambda: page.locator("#stage .tool.about").click(), MENU)
    looks.away()
    looks.above("grid", lambda: page.locator("#stage img.main").press("g"), ".batch-grid")
    page.keyboard.press("g")
    looks.at("input picture", lambda: page.locator("#stage .tool.input").click(), ".input-chip")
    looks.above("mask editor", page.locator("#stage .tool.inpaint").click, ".mask-editor", ".paper img")
    looks.away()


def see_the_words(looks: Looks) -> None:
    page = looks.page
    page.fill("#prompt textarea", "a __hue__ duck")
    looks.at("draws", looks.button("Preview draws"), ".draws li")
    looks.away()
    looks.above("wildcards", looks.button("Wildcards"), "dialog[open]", ".wildcard-files li")
    looks.above("a wildcard", page.locator(".wildcard-files button").first.click, "dialog[open]", "textarea")
    looks.away()
    looks.above("styles", looks.button("Styles"), "dialog[open]", ".style-list li")
    looks.above("a style", looks.button("Edit Night"), "dialog[open]", ".style-editor textarea")
    looks.button("Back")()
    page.locator(".style-list input[type=checkbox]").first.check()
    looks.button("Done")()
    looks.at("chosen styles", page.get_by_text("Finished prompt").click, ".style-rows li")
    looks.button("Add", "#stack")()
    page.locator("#stack [role=option]").first.click()
    looks.at("more of a LoRA", page.locator(".lora-more summary").click, ".more-fields")
    page.get_by_role("combobox", name="Blocks of ink").fill("Own")
    page.keyboard.press("Enter")
    looks.at("block weights", lambda: None, ".more-fields > input")
    for name in ("ink", "Night"):
        looks.button(f"Remove: {name}")()


def see_the_other_tabs(looks: Looks, picture: str) -> None:
    page = looks.page
    page.get_by_role("tab", name="Gallery").click()
    search(page, "albumword")
    looks.at("gallery", lambda: None, ".cell img.there")
    looks.above("filters", looks.button("Filters"), ".g-filters")
    looks.away()
    looks.above("lightbox", cell(page, picture).locator("img").click, ".lightbox[open]", ".info h3")
    looks.above("upscaling there", looks.button("Upscale", ".lightbox"), MENU)
    looks.away()
    looks.away()
    page.get_by_role("tab", name="Queue").click()
    looks.at("queue", lambda: None, ".job")
    page.get_by_role("tab", name="LoRAs").click()
    looks.at("LoRAs", lambda: None, ".cards .card")
    looks.above("a LoRA", page.locator(".cards .card .pic").first.click, "dialog[open]")
    looks.away()
    for section in ("Embeddings", "Checkpoints", "Tools"):
        looks.at(section, looks.button(section), "#tab-loras")


@pytest.mark.usefixtures("painted", "words")
def test_no_barrier_in_any_state(opened, album: list[str]) -> None:
    looks = Looks(opened("dark"))
    see_the_words(looks)
    see_the_studio(looks)
    see_the_other_tabs(looks, album[0])
    looks.at("outage", lambda: looks.page.context.set_offline(True), ".outage-banner")
    assert not looks.found, "\n".join(looks.found)
    # The check sees what is wrong, where something is.
    for theme, (_, _, barrier) in THEMES.items():
        looks.dressed(theme)
        looks.page.evaluate(barrier)
        assert looks.in_theme(theme, "with a barrier")
        looks.page.evaluate("document.querySelector('main').lastChild.remove()")
        assert not looks.in_theme(theme, "without it")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_browser_draws_its_own_controls_in_the_theme(opened, theme: str) -> None:
    page = opened(theme)
    assert page.evaluate("getComputedStyle(document.querySelector('#steps input')).colorScheme") == theme
    ground = "getComputedStyle(document.querySelector(each)).backgroundColor"
    grounds = page.evaluate(f"['#steps input', '#dice'].map(each => {ground})")
    assert (grounds[0] != grounds[1]) == (theme == "light")  # a field does not look like a button
