"""What fills the form and how it is taken back, and what queues jobs by itself; on a studio of its own with a
stand-in for the core."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from barriers import violations
from form_page import expect_form
from gallery_page import picture
from lora_files import make_lora
from playwright.sync_api import Browser, Page, expect
from running import STARTER, free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

TYPED = {"prompt": "typed (words:1.2)", "negative_prompt": "typed fog", "steps": 7, "seed": 99}
DONE = ".now[data-state=completed]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    settings = studio_settings(tmp_path_factory.mktemp("filling"), starter_checkpoints, port=free_port())
    for name in ("crayon", "styles/ink"):
        make_lora(
            settings.loras / f"{name}.safetensors",
            starter_checkpoints / "sdxl" / STARTER,
            {"modelspec.trigger_phrase": f"in {name}"},
        )
    server = StudioServer(settings)
    server.services.worker.context.make_generator = Painter
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def recorded(server: StudioServer) -> str:
    """A picture of the gallery whose job nobody remembers."""
    request = GenerationRequest.validated(
        prompt="a lantern",
        negative_prompt="rain",
        base_model=STARTER,
        width=96,
        height=64,
        steps=3,
        seed=4711,
    )
    run = server.services.outputs.new_run(request, "generate", "forgotten")
    run.save(0, picture("teal", (96, 64)), 4711, [])
    run.close("completed")
    return f"{run.id}/0.png"


@pytest.fixture(scope="module")
def _window(chromium: Browser, server: StudioServer) -> Iterator[tuple[Windows, Page]]:
    windows = Windows(chromium)
    yield windows, windows.open(server.url, **WIDE)
    windows.close()


@pytest.fixture
def form(_window: tuple[Windows, Page]) -> Iterator[Page]:
    """The Studio, with something typed."""
    windows, page = _window
    page.get_by_role("tab", name="Studio").click()
    for name, value in TYPED.items():
        page.evaluate("([name, value]) => webbduck.form.set(name, value)", [name, value])
    expect_form(page, **TYPED)
    yield page
    windows.check()


def expect_taken_back(page: Page, said: str) -> None:
    """The toast says what was loaded; Undo brings back all that was typed."""
    toast = page.locator("#toast")
    expect(toast).to_contain_text(said)
    toast.get_by_role("button", name="Undo").click()
    expect_form(page, **TYPED, image="")


def from_the_gallery(action: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.get_by_role("tab", name="Gallery").click()
        page.locator(".cell img").first.click()
        page.get_by_role("button", name=action, exact=True).click()

    return act


def test_the_settings_of_a_picture(form: Page, recorded: str) -> None:
    form.evaluate("document.getElementById('settings').scrollTop = 1e4")
    from_the_gallery("Use all settings")(form)
    expect_form(form, prompt="a lantern", negative_prompt="rain", steps=3, seed=4711)
    expect(form.locator("#stage img.main")).to_have_attribute("src", f"media/image/{recorded}")
    form.wait_for_function("document.getElementById('settings').scrollTop === 0")
    expect(form.locator(".statusline .seed")).to_contain_text("4711")
    expect_taken_back(form, "Settings of the picture loaded.")
    expect(form.locator("#stage img.main")).to_have_count(0)  # the empty state, as before


def test_the_prompts_of_a_picture(form: Page, recorded: str) -> None:
    from_the_gallery("Use only the prompt")(form)
    expect_form(form, prompt="a lantern", steps=7)
    expect_taken_back(form, "Prompts of the picture loaded.")


def test_an_input_picture(form: Page, recorded: str) -> None:
    from_the_gallery("To img2img")(form)
    expect(form.locator(".chosen-picture")).to_be_visible()
    expect_taken_back(form, "Input picture loaded.")
    expect(form.locator(".chosen-picture")).to_be_hidden()


def test_an_example_and_a_saved_prompt(form: Page) -> None:
    form.get_by_role("button", name="a red duck on a pond").click()
    expect_form(form, prompt="a red duck on a pond")
    expect_taken_back(form, "Prompt replaced.")


def paste(page: Page, selector: str, text: str) -> None:
    page.evaluate(
        """([selector, text]) => {
            const data = new DataTransfer();
            data.setData('text/plain', text);
            const options = { clipboardData: data, bubbles: true, cancelable: true };
            document.querySelector(selector).dispatchEvent(new ClipboardEvent('paste', options));
        }""",
        [selector, text],
    )


def test_settings_with_a_prompt_that_is_too_long_keep_all_its_letters(
    form: Page, server: StudioServer
) -> None:
    prompt = ("a duck on a pond, " * 400).strip()
    paste(form, "#prompt textarea", f"{prompt}\nSteps: 12, Sampler: Euler a, CFG scale: 7, Seed: 1")
    expect_form(form, prompt=prompt, steps=12)
    expect(form.locator(".prompt-foot .counter")).to_have_text("7,199 of at most 4,000 characters")
    form.click("#generate")
    expect(form.locator("#problem-prompt")).to_contain_text(
        "Prompt has 7,199 of at most 4,000 characters; shorten it."
    )
    assert not server.services.store.queued()
    expect_taken_back(form, "Settings of the pasted text loaded.")


def test_settings_pasted_outside_the_prompt_are_offered(form: Page) -> None:
    text = "a castle\nSteps: 12, Sampler: Euler a, CFG scale: 7, Seed: 1"
    paste(form, "#negative textarea", text)  # into a field it is a text as any other
    paste(form, "#dice", text)
    expect(form.locator("#toast")).to_contain_text("The pasted text holds settings.")
    expect_form(form, **TYPED)
    form.locator("#toast").get_by_role("button", name="Use them").click()
    expect_form(form, prompt="a castle", steps=12)
    expect_taken_back(form, "Settings of the pasted text loaded.")


def test_brackets_breaks_and_sizes_are_said_before_generate(form: Page) -> None:
    area, said = form.locator("#prompt textarea"), form.locator(".prompt-message")
    area.fill("a (red duck:1.3 [[ on ((a pond")
    expect(said).to_have_text(
        '5 brackets of the prompt, the first in "a (red duck:1.3", are never closed and change the weight of '
        "all that follows; write \\( for a plain bracket."
    )
    area.fill("a duck :(")
    expect(said).to_contain_text('The ( in "a duck :(" of the prompt is never closed')
    area.fill("a duck on a pond BREAK at night")
    expect(form.locator(".prompt-foot .counter")).to_have_text(f"{5 + 2} / 150")
    expect(said).to_be_hidden()
    lines = form.get_by_role("list", name="The prompt by steps").get_by_role("listitem")
    form.fill("#steps input", "20")
    area.fill("a [red:blue:0.4] duck AND a pond :0.5")
    expect(lines).to_have_text(
        [
            'Joined by AND: "a [red:blue:0.4] duck" with weight 1; "a pond" with weight 0.5.',
            'Steps 1-9: "red"; 10-20: "blue".',
        ]
    )
    form.fill("#steps input", "10")
    expect(lines.last).to_have_text('Steps 1-5: "red"; 6-10: "blue".')
    area.fill("a [red:blue:0.4] duck | a pond")
    expect(lines.last).to_contain_text("a | outside [ ]")
    area.fill("a duck")
    expect(lines).to_have_count(0)

    warning = form.locator(".size-warning")
    form.get_by_label("1:1", exact=True).check(force=True)
    expect(warning).to_be_hidden()
    form.fill("#width input", "512")
    form.fill("#height input", "512")
    expect(warning).to_contain_text("512 × 512 px is 4 times the area")
    expect(warning).to_contain_text("expect repeated subjects")
    form.get_by_label("1:1", exact=True).check(force=True)
    expect(warning).to_be_hidden()


def test_a_job_of_the_queue_and_the_prompts_that_were_sent(form: Page, server: StudioServer) -> None:
    area = form.locator("#prompt textarea")
    for prompt in ("first", "second"):
        area.fill(prompt)
        form.click("#generate")
        form.wait_for_function(
            "prompt => webbduck.last.get('jobs').recent[0]?.request.prompt === prompt", arg=prompt
        )
    area.fill("not sent")
    area.press("Alt+ArrowUp")
    expect(area).to_have_value("second")
    area.press("Alt+ArrowUp")
    expect(area).to_have_value("first")
    for prompt in ("second", "not sent", ""):
        area.press("Alt+ArrowDown")
        expect(area).to_have_value(prompt)
    form.reload()
    form.wait_for_function("window.webbduck?.form?.state()")
    area.fill("")
    for prompt in ("not sent", "second"):
        area.press("Alt+ArrowUp")
        expect(area).to_have_value(prompt)
    form.locator("#dice").press("?")
    expect(form.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Alt+↑ / Alt+↓")
    form.keyboard.press("Escape")

    expect(form.locator("#stage img.main")).to_have_attribute("alt", "second")
    area.fill(TYPED["prompt"])
    expect_form(form, **TYPED)
    form.get_by_role("tab", name="Queue").click()
    row = form.locator(".jobs .job", has=form.get_by_text("first", exact=True))
    row.locator(".acts .do-edit").click()
    expect_form(form, prompt="first")
    expect(form.locator("#stage img.main")).to_have_attribute("alt", "first")
    expect_taken_back(form, "Settings of the job loaded.")
    expect(form.locator("#stage img.main")).to_have_attribute("alt", "second")


def test_a_lora_tag_is_completed_and_moves_into_the_stack(form: Page) -> None:
    area, listed = form.locator("#prompt textarea"), form.get_by_role("listbox", name="LoRAs", exact=True)
    area.fill("a duck, ")
    area.press_sequentially("<lora:")
    expect(listed.get_by_role("option")).to_have_count(2)
    area.press_sequentially("in")
    expect(listed.locator(".label")).to_have_text(["crayon", "styles/ink"])  # both triggers begin with "in"
    expect(area).to_have_attribute("aria-activedescendant", "completion-0")
    area.press("ArrowDown")
    expect(listed.get_by_role("option", selected=True)).to_contain_text("styles/ink")
    assert not violations(form, "completion")
    area.press("Escape")
    expect(listed).to_be_hidden()
    expect(area).to_have_value("a duck, <lora:in")
    area.press_sequentially("k")
    area.press("Enter")
    expect(area).to_have_value("a duck, ")
    expect(form.locator("#stack .rows li .name")).to_have_text(["styles/ink"])
    expect(area).to_be_focused()
    area.press_sequentially("<lora:cr")
    listed.get_by_role("option", name="crayon").click()
    expect(form.locator("#stack .rows li .name")).to_have_text(["styles/ink", "crayon"])
    for _ in range(2):
        form.locator("#stack .rows .remove").first.click()
    expect_form(form, prompt="a duck, ", loras="[]")


def test_generating_until_stopped(form: Page, server: StudioServer) -> None:
    store = server.services.store

    def begin() -> None:
        form.get_by_role("button", name="More ways to generate").click()
        form.get_by_role("button", name="Generate until stopped").click()

    def seeds() -> list[int]:
        return [job.request.seed for job in reversed(store.recent(50)) if job.request.prompt == "endless"]

    form.fill("#prompt textarea", "endless")
    form.evaluate("webbduck.form.set('num_images', 2)")
    expect(form.locator("#test")).to_be_visible()
    expect_form(form, prompt="endless", num_images=2)
    begin()
    told, stop = (
        form.locator(".statusline .endless-part"),
        form.get_by_role("button", name="Stop", exact=True),
    )
    expect(told).to_contain_text("Generating until stopped")
    wait_until(lambda: len(seeds()) >= 3)
    form.fill("#seed input", "")  # the next ones have a random seed
    expect_form(form, seed="")
    stop.click()
    expect(form.locator("#toast")).to_contain_text("has ended: the job that was begun goes on")
    expect(told).to_be_empty()
    form.wait_for_function("!webbduck.last.get('jobs').jobs.length")
    done = seeds()
    assert done[:3] == [99, 101, 103]

    # It goes on after a reload, and a job that is refused ends it.
    form.evaluate("webbduck.form.set('num_images', 1)")
    expect(form.locator("#test")).to_be_hidden()  # it would do what Generate does
    begin()
    wait_until(lambda: len(seeds()) > len(done) + 1)
    form.reload()
    form.wait_for_function("window.webbduck?.form.state() && webbduck.last.get('jobs')")
    expect(told).to_contain_text("Generating until stopped")
    before = len(seeds())
    wait_until(lambda: len(seeds()) > before)
    form.fill("#width input", "250")
    expect(form.locator("#toast")).to_contain_text("has ended: the job was refused.")
    expect(form.locator("#problem-width")).to_be_visible()
    assert len(set(seeds()[len(done) :])) == len(seeds()) - len(done)
    form.evaluate("webbduck.form.set('width', 256)")

    store.pause()  # so that there is a job to cancel
    begin()
    form.click(".now[data-state=queued] .cancel")
    expect(form.locator("#toast")).to_contain_text("has ended: the job was cancelled.")
    store.resume()
