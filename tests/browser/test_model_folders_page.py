"""The dialog "Model folders": another program's models arrive in the page, are used, and go with undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import foreign_trees
import pytest
from barriers import violations
from loras_page import open_loras
from playwright.sync_api import Page, expect
from running import wait_until


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a LoRA that the starter can use, and a checkpoint of SD 1.5, which nobody can here."""
    root = foreign_trees.comfyui(tmp_path_factory.mktemp("other") / "ComfyUI")
    old = root / "models" / "checkpoints" / "old.safetensors"
    foreign_trees.save(old, {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)})
    return root


@pytest.fixture(autouse=True)
def no_folders(studio) -> Iterator[None]:
    yield
    registry = studio.services.registry
    for each in registry.foreign.trees():
        registry.foreign.remove(each.label)
    registry.refresh()
    wait_until(lambda: not [each for each in registry.loras() if each.origin])


def open_dialog(page: Page) -> None:
    open_loras(page)
    page.get_by_role("button", name="Model folders").first.click()
    expect(page.get_by_label("Path of a folder")).to_be_visible()


def test_added_used_and_removed(page: Page, painted: None, comfyui: Path) -> None:
    open_dialog(page)
    dialog = page.get_by_role("dialog", name="Model folders")
    expect(dialog).to_contain_text("nothing in these folders is changed, moved or deleted")
    path = page.get_by_label("Path of a folder")
    path.fill(str(comfyui / "nowhere"))
    path.press("Enter")
    expect(dialog.locator(".model-folders-status")).to_have_text("The folder 'nowhere' is not there.")
    path.fill(str(comfyui))
    path.press("Enter")
    expect(dialog.locator(".model-folder-found")).to_contain_text("2 checkpoints, 2 LoRAs, 1 VAE")
    assert violations(page, "a folder that was looked at") == []
    add = dialog.get_by_role("button", name="Add ComfyUI")
    expect(add).to_be_focused()
    name = dialog.get_by_label("Name, before those of its models")
    name.fill("hf")
    add.click()
    expect(dialog.locator(".model-folders-status")).to_have_text("The label hf is taken; hf-2 is free.")
    expect(name).to_have_value("hf-2")
    name.fill("ComfyUI")
    page.keyboard.press("Enter")
    row = dialog.locator("li[data-label=ComfyUI]")
    expect(row).to_contain_text(str(comfyui))
    expect(page.locator("#toast")).to_contain_text("ComfyUI added: 2 checkpoints")
    assert violations(page, "a folder that was added") == []
    dialog.get_by_role("button", name="Close").click()

    card = page.get_by_role("article", name="ComfyUI/sub/detail")
    expect(card.locator("h3")).to_have_text("sub/detail")
    expect(card.locator(".origin")).to_have_text("ComfyUI")
    assert violations(page, "cards of another program's models") == []
    page.get_by_role("button", name="Checkpoints", exact=True).click()
    old = page.get_by_role("article", name="ComfyUI/old")
    expect(page.get_by_role("article", name="ComfyUI/xl")).to_be_visible()
    expect(old).to_have_count(0)
    page.get_by_role("button", name="Not usable here (1)").click()
    expect(old).to_be_visible()
    page.get_by_role("button", name="LoRAs", exact=True).click()

    card.get_by_role("button", name="Add ComfyUI/sub/detail to the Studio").click()
    line = page.locator("#stack li[data-name='ComfyUI/sub/detail']")
    expect(line.locator(".name")).to_have_text("sub/detailComfyUI")
    page.fill("#prompt textarea", "a duck")
    page.fill("#steps input", "1")
    page.click("#generate")
    page.wait_for_function(
        """() => webbduck.last.get('jobs')?.recent.some(({ status, request }) =>
            status === 'completed' && request.loras?.some(({ name }) => name === 'ComfyUI/sub/detail'))"""
    )

    open_dialog(page)
    row.get_by_role("button", name="Remove ComfyUI").click()
    expect(row).to_have_count(0)
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("2 LoRAs")
    row.get_by_role("button", name="Remove ComfyUI").click()
    expect(row).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("article", name="ComfyUI/sub/detail")).to_have_count(0)


def test_on_a_phone(window, studio, comfyui: Path) -> None:
    studio.services.registry.foreign.add(comfyui)
    studio.services.registry.refresh()
    page = window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    open_loras(page)
    page.get_by_role("button", name="Checkpoints", exact=True).tap()
    expect(page.get_by_role("article", name="ComfyUI/xl")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Model folders").first.tap()
    remove = page.get_by_role("button", name="Remove ComfyUI")
    for control in (remove, page.get_by_label("Path of a folder")):
        box = control.bounding_box()
        assert box is not None and box["height"] >= 40 and box["width"] >= 40
    assert violations(page, "model folders on a phone") == []
    remove.tap()
    expect(page.locator(".model-folders")).to_have_text("No folders yet.")
