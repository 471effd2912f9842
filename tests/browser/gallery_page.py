"""The Gallery tab as the tests look at it: an album of its own words, and what is shown of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from webbduck_gradio.request import GenerationRequest

COLOURS = ("crimson", "gold", "teal", "navy")


def picture(colour: str, size: tuple[int, int] = (96, 96)) -> Image.Image:
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).ellipse((16, 16, 60, 60), fill="white")
    return image


@pytest.fixture(scope="module")
def album(studio) -> Iterator[list[str]]:
    """Ids of the first pictures of six runs, oldest first, made with words that no other test uses."""
    outputs, made = studio.services.outputs, []
    for number in range(6):
        request = GenerationRequest.validated(
            prompt=f"albumword {COLOURS[number % 4]} lantern {'unique' + 'abcdef'[number]}",
            negative_prompt="fog",
            base_model="webbduck-starter",
            width=96,
            height=96,
            steps=2 + number,
            seed=1000 * number,
            num_images=4 if number == 5 else 1 + number % 2,
            scheduler="Euler a" if number % 2 else "Euler",
            loras=[{"name": "lantern-glow", "weight": 0.5}] if number == 2 else [],
        )
        run = outputs.new_run(request, "generate", f"job-{number}")
        for index in range(request.num_images):
            run.save(index, picture(COLOURS[number % 4]), request.seed_of(index), ["a warning of its own"])
        run.close("completed")
        made.append(f"{run.id}/0.png")
    outputs.save_upscaled(made[0], picture("crimson", (192, 192)), 2, "Lanczos")
    yield made
    for image_id in made:
        studio.services.trash.delete_run(image_id.rpartition("/")[0])
    studio.services.trash.empty()


@pytest.fixture
def gallery(kept_page: Page, album: list[str]) -> Page:
    """The tab, showing the album alone, by runs; in the page that the tests of one file share."""
    kept_page.get_by_role("tab", name="Gallery").click()
    kept_page.get_by_role("button", name="Runs").click()
    search(kept_page, "albumword")
    expect(kept_page.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    return kept_page


def search(page: Page, text: str) -> None:
    page.fill(".g-query", text)
    page.keyboard.press("Enter")


def cell(page: Page, image_id: str) -> Locator:
    return page.locator(f'.cell[data-id="{image_id}"]')


def expect_shown(page: Page, image_id: str) -> None:
    page.wait_for_function(
        "id => document.querySelector('.lightbox[open] img.main')?.dataset.source?.split('?')[0]"
        ".endsWith('media/image/' + id)",
        arg=image_id,
    )
    expect(page.locator(".lightbox .info h3")).to_be_visible()


def expect_alone(page: Page, image_id: str) -> None:
    cells = page.locator(".cell[data-id]")
    expect(cells).to_have_count(1)  # first: asking several for an attribute fails at once
    expect(cells).to_have_attribute("data-id", image_id)


def sibling(image_id: str, index: int) -> str:
    return f"{image_id.rpartition('/')[0]}/{index}.png"
