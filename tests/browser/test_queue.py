"""The Queue tab in Chromium: what waits can be seen, ordered, paused, cancelled, retried, edited."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from running import wait_until

from webbduck_gradio.request import SETTINGS, CaptionRequest, GenerationRequest, UpscaleRequest


@pytest.fixture(autouse=True)
def paused(no_jobs, studio) -> Iterator[None]:
    """The queue stands still, so that what a test does to it is all that happens; it is empty afterwards."""
    store = studio.services.store
    store.pause()
    yield
    store.clear_queued()
    if running := store.running():
        store.cancel(running.id)
    wait_until(lambda: store.running() is None)
    store.resume()


@pytest.fixture
def queue(kept_page: Page, studio) -> Page:
    """Three jobs that wait, and the tab open, as at first."""
    open_queue(kept_page)
    expect(kept_page.locator(".jobs .job")).to_have_count(0)
    return with_three_jobs(kept_page, studio)


@pytest.fixture
def fresh_queue(page: Page, studio) -> Page:
    """The same in a page of its own, for what the Studio shows of its own job."""
    open_queue(page)
    return with_three_jobs(page, studio)


def with_three_jobs(page: Page, studio) -> Page:
    submit(studio, "first", "second", "third")
    expect(rows(page)).to_have_count(3)
    return page


def open_queue(page: Page) -> None:
    page.get_by_role("tab", name="Queue").click()


def submit(studio, *prompts: str, **more) -> list[str]:
    """Jobs in this order; their ids."""
    native = studio.services.registry.checkpoint("webbduck-starter").native_size
    small = {"base_model": "webbduck-starter", "steps": 2, "width": native, "height": native}
    requests = [
        GenerationRequest.validated(**{**small, "prompt": prompt, "seed": seed, **more})
        for seed, prompt in enumerate(prompts)
    ]
    return [studio.services.store.submit(request).id for request in requests]


def rows(page: Page) -> Locator:
    return page.locator(".jobs.waiting .job")


def row(page: Page, prompt: str) -> Locator:
    return page.locator(".jobs .job", has=page.get_by_text(prompt, exact=True))


def press(page: Page, prompt: str, action: str) -> None:
    row(page, prompt).locator(f".acts .do-{action}").click()


def expect_order(page: Page, *prompts: str) -> None:
    expect(rows(page).locator(".prompt")).to_have_text(list(prompts))


def drag(page: Page, prompt: str, onto: str, give_up: bool = False) -> None:
    """Drag by the handle, with a real mouse, to the upper half of another row."""
    grip, target = row(page, prompt).locator(".grip").bounding_box(), row(page, onto).bounding_box()
    assert grip and target
    page.mouse.move(grip["x"] + 10, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(target["x"] + 20, target["y"] + 5, steps=6)
    if give_up:
        page.keyboard.press("Escape")
    page.mouse.up()


def test_a_row_tells_all_of_the_job(kept_page: Page, studio, tmp_path) -> None:
    (tmp_path / "lora").mkdir()
    source = tmp_path / "input.png"
    Image.new("RGB", (64, 32), "red").save(source)
    submit(
        studio,
        "a <b>duck</b>",
        num_images=3,
        cfg=4.5,
        scheduler="UniPC",
        loras=[{"name": "film", "weight": 0.8}],
        image=studio.services.inputs.store(source),
        strength=0.6,
    )
    open_queue(kept_page)
    told = row(kept_page, "a <b>duck</b>")
    expect(told.locator(".place")).to_have_text("1")
    expect(told.locator(".state")).to_have_text("Queued")
    expect(told.locator(".timing")).to_contain_text("waiting for")
    for fact in (
        "Image to image",
        "webbduck-starter",
        "UniPC",
        "2 steps",
        "CFG 4.5",
        "seed 0",
        "3 images",
        "film 0.8",
        "strength 0.6",
    ):
        expect(told.locator(".facts")).to_contain_text(fact)
    kept_page.wait_for_function("document.querySelector('.waiting .thumb img')?.naturalWidth > 0")
    told.locator("summary").click()
    expect(told.locator("dl dt").first).to_be_visible()
    names = set(told.locator("dl dt").all_inner_texts())
    used = ("prompt", "base_model", "steps", "cfg", "sampler", "loras", "image", "strength", "num_images")
    assert {SETTINGS[name].label for name in used} <= names
    assert SETTINGS["mask"].label not in names, "what had no effect is left out"


def test_larger_copies_and_captions_have_rows_of_their_own(kept_page: Page, studio) -> None:
    store = studio.services.store
    store.submit(UpscaleRequest(image="RUN/0.png", scale=4, upscaler="Lanczos"), kind="upscale")
    caption = store.submit(CaptionRequest(image="RUN/0.png", captioner="told"), kind="caption")
    open_queue(kept_page)
    upscale, describe = rows(kept_page).nth(0), rows(kept_page).nth(1)
    expect(upscale.locator(".facts")).to_have_text("Upscale 4× · Lanczos")
    expect(describe.locator(".facts")).to_have_text("Caption · told · detailed")
    for action in ("watch", "edit"):  # the Studio shows and asks for pictures that are drawn
        expect(upscale.locator(f".do-{action}")).to_be_hidden()
    store.set_result(caption.id, {"caption": "a <b>duck</b>", "style": "detailed", "captioner": "told"})
    expect(describe.locator(".answer")).to_have_text("a <b>duck</b>")


def test_cancel_the_running_one_and_the_next_goes_on(queue: Page, studio, painted: None) -> None:
    (long,) = submit(studio, "long", steps=150, num_images=8)
    studio.services.store.move(long, "top")
    queue.locator("[data-do=resume]").click()
    running = queue.locator(".job[data-state=running]", has_text="long")
    expect(running).to_be_visible(timeout=300_000)
    expect(running.locator(".state")).to_contain_text("step")
    expect(running.locator(".track")).to_be_visible()
    running.locator(".acts .do-cancel").click()
    expect(queue.locator(".jobs.ended .job[data-state=cancelled] .prompt")).to_have_text("long")
    expect(rows(queue)).to_have_count(0)
    done = queue.locator(".jobs.ended .job[data-state=completed]")
    expect(done.locator(".prompt")).to_have_text(["third", "second", "first"])
    done.first.locator(".acts .do-gallery").click()
    expect(queue.locator(".lightbox h3")).to_have_text("third")


PUT_ASIDE = re.compile(r"Put aside (at image \d of 8, step \d+ of 150|before image \d of 8)")
"""Within an image or between two, whichever the key or the button hits."""


def test_put_aside_and_go_on(fresh_queue: Page, studio, painted: None) -> None:
    page, store = fresh_queue, studio.services.store
    (long,) = submit(studio, "long", steps=150, num_images=8)
    store.move(long, "top")
    page.locator("[data-do=resume]").click()
    running = page.locator(".jobs.waiting .job[data-state=running]", has_text="long")
    expect(running.locator(".state")).to_contain_text("step")
    running.locator(".acts .do-aside").click()
    aside = page.locator(".jobs.aside .job")
    expect(aside.locator(".prompt")).to_have_text("long")
    expect(aside.locator(".state")).to_contain_text(PUT_ASIDE)
    expect(page.locator(".queue .summary")).to_contain_text("1 put aside")
    done = page.locator(".jobs.ended .job[data-state=completed]")  # the queue goes on without it
    expect(done.locator(".prompt")).to_have_text(["third", "second", "first"])
    aside.locator("summary").focus()
    page.keyboard.press("p")
    expect(running).to_be_visible()
    expect(page.locator(".put-aside")).to_be_hidden()
    # The same in the Studio, with the key and the button.
    expect(running.locator(".state")).to_contain_text("step")
    running.locator(".acts .do-watch").click()
    now = page.locator(".now")
    expect(now.locator(".aside")).to_be_enabled()
    page.keyboard.press("p")
    expect(now).to_have_attribute("data-state", "suspended")
    expect(now.locator(".headline")).to_contain_text(PUT_ASIDE)
    page.keyboard.press("Escape")  # cancels no job that was put aside
    expect(page.locator(".frame .placeholder")).to_have_text("Put aside")
    now.locator(".continue").click()
    expect(now).to_have_attribute("data-state", "running")
    expect(page.locator("img.main")).to_be_visible()
    expect(page.locator(".frame .placeholder")).to_be_hidden()
    now.locator(".cancel").click()
    expect(now).to_have_attribute("data-state", "cancelled")
    assert store.unfinished.ids() == set()


def test_watch_another_job_in_the_studio(fresh_queue: Page) -> None:
    press(fresh_queue, "second", "watch")
    expect(fresh_queue.locator(".now .headline")).to_contain_text("2nd in line")
    fresh_queue.locator(".now .cancel").click()
    expect(fresh_queue.locator(".now")).to_have_attribute("data-state", "cancelled")
    open_queue(fresh_queue)
    expect_order(fresh_queue, "first", "third")


def test_older_jobs_are_shown_on_demand_and_forgotten_after_a_second_press(kept_page: Page, studio) -> None:
    for job in submit(studio, *(f"job {n}" for n in range(25))):
        studio.services.store.cancel(job)
    open_queue(kept_page)
    ended = kept_page.locator(".jobs.ended .job")
    expect(ended).to_have_count(20)
    kept_page.get_by_role("button", name="Show older jobs").click()
    expect(ended).to_have_count(25)
    expect(ended.last.locator(".prompt")).to_have_text("job 0")
    press(kept_page, "job 0", "remove")
    expect(ended).to_have_count(24)
    clear = kept_page.locator("[data-do=clear_finished]")
    clear.click()
    expect(ended).to_have_count(24)
    clear.click()
    expect(ended).to_have_count(0)


def test_a_full_queue_refuses_the_next_and_keeps_what_was_typed(kept_page: Page, studio) -> None:
    submit(studio, *(f"job {n}" for n in range(32)))
    kept_page.get_by_role("tab", name="Studio").click()
    kept_page.fill("#prompt textarea", "one too many")
    kept_page.click("#generate")
    expect(kept_page.locator(".notice.error")).to_contain_text("The queue is full: 32 jobs are waiting")
    assert kept_page.input_value("#prompt textarea") == "one too many"


def test_why_the_studio_paused_the_queue_is_said_and_it_can_be_resumed(
    kept_page: Page, studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The disk stays full, so that the housekeeping does not resume the queue first.
    monkeypatch.setattr(studio.services.housekeeping, "_has_space", lambda: False)
    studio.services.store.resume()
    studio.services.store.pause("The disk is full; free some space, then resume the queue.")
    open_queue(kept_page)
    expect(kept_page.locator(".queue .note")).to_have_text(
        "The disk is full; free some space, then resume the queue."
    )
    kept_page.locator("[data-do=resume]").click()
    expect(kept_page.locator(".queue .note")).to_be_hidden()
    assert not studio.services.store.paused


def test_edit_as_new_fills_the_studio(queue: Page) -> None:
    press(queue, "second", "edit")
    expect(queue.locator("#prompt textarea")).to_have_value("second")
    expect(queue.locator("#prompt textarea")).to_be_visible()
    expect(queue.locator("#steps input")).to_have_value("2")
    expect(queue.locator("#seed textarea, #seed input")).to_have_value("1")


def test_on_a_phone_rows_are_steered_by_touch(window, studio) -> None:
    submit(studio, "first", "second", "third")
    phone = window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    open_queue(phone)
    expect(rows(phone)).to_have_count(3)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390, "nothing hangs over the side"
    row(phone, "second").locator(".acts .do-top").tap()
    expect_order(phone, "second", "first", "third")
    row(phone, "first").locator(".acts .do-cancel").tap()
    expect_order(phone, "second", "third")


def test_the_tab_counts_what_is_open(queue: Page) -> None:
    expect(queue.get_by_role("tab", name="Queue")).to_have_attribute("data-count", "3, paused")
    expect(queue.locator(".queue .note")).to_contain_text("Paused")
    expect(queue.locator(".queue .summary")).to_have_text("3 waiting")


def test_buttons_and_keyboard_reorder(queue: Page) -> None:
    press(queue, "third", "top")
    expect_order(queue, "third", "first", "second")
    press(queue, "third", "down")
    expect_order(queue, "first", "third", "second")
    row(queue, "second").locator("summary").focus()
    queue.keyboard.press("Alt+ArrowUp")
    expect_order(queue, "first", "second", "third")
    queue.keyboard.press("Alt+ArrowUp")
    expect_order(queue, "second", "first", "third")
    row(queue, "third").locator(".grip").focus()
    queue.keyboard.press("Home")
    expect_order(queue, "third", "second", "first")
    queue.keyboard.press("ArrowDown")
    expect_order(queue, "second", "third", "first")
    expect(row(queue, "third").locator(".grip")).to_be_focused()


def test_dragging_reorders(queue: Page, studio) -> None:
    drag(queue, "third", onto="first")
    expect_order(queue, "third", "first", "second")
    wait_until(lambda: studio.services.store.queued()[0].request.prompt == "third")
    drag(queue, "second", onto="third", give_up=True)
    expect(queue.locator(".dragged")).to_have_count(0)
    expect_order(queue, "third", "first", "second")
    for prompt in ("first", "second"):
        row(queue, prompt).get_by_role("checkbox").check()
    drag(queue, "second", onto="third")  # the selected ones go together, in their order
    expect_order(queue, "first", "second", "third")
    wait_until(
        lambda: [job.request.prompt for job in studio.services.store.queued()] == ["first", "second", "third"]
    )


def test_the_keyboard_selects_unfolds_and_cancels(queue: Page) -> None:
    row(queue, "first").locator("summary").focus()
    queue.keyboard.press("ArrowDown")
    queue.keyboard.press("x")
    expect(row(queue, "second").get_by_role("checkbox")).to_be_checked()
    queue.keyboard.press("Space")
    expect(row(queue, "second").locator("dl")).to_be_visible()
    queue.keyboard.press("Delete")
    expect_order(queue, "first", "third")
    queue.get_by_role("button", name="Queue them again").click()
    expect_order(queue, "first", "third", "second")


def test_what_is_open_selected_and_scrolled_stays_when_something_changes(queue: Page, studio) -> None:
    submit(studio, *(f"more {n}" for n in range(8)))
    expect(rows(queue)).to_have_count(11)
    row(queue, "second").locator("summary").click()
    row(queue, "third").get_by_role("checkbox").check()
    queue.evaluate("window.scrollTo(0, 150)")
    queue.evaluate("document.querySelector('.waiting .job').kept = true")
    before = row(queue, "third").bounding_box()
    submit(studio, "one more")
    expect(rows(queue)).to_have_count(12)
    assert row(queue, "third").bounding_box() == before
    assert queue.evaluate("document.querySelector('.waiting .job').kept"), "the row was not made anew"
    expect(row(queue, "second").locator("dl.details")).to_be_visible()
    expect(row(queue, "second").locator("dl.details")).to_contain_text("webbduck-starter")
    expect(row(queue, "third").get_by_role("checkbox")).to_be_checked()
    expect(queue.locator(".chosen .count")).to_have_text("1 job selected")


def test_nothing_is_redrawn_while_nothing_changes(queue: Page) -> None:
    row(queue, "first").locator("summary").focus()  # the rows are drawn
    queue.evaluate(
        """window.changes = [];
        new MutationObserver((found) => window.changes.push(...found.filter((each) =>
            !each.target.parentElement?.closest('.timing') && !each.target.closest?.('.timing'))))
        .observe(document.querySelector('.queue'), {subtree: true, childList: true, attributes: true})"""
    )
    queue.evaluate("new Promise((done) => setTimeout(done, 2500))")  # several ticks
    assert queue.evaluate("window.changes.length") == 0


def test_several_are_cancelled_retried_and_removed_together(queue: Page, studio) -> None:
    for prompt in ("first", "third"):
        row(queue, prompt).get_by_role("checkbox").check()
    queue.locator(".chosen [data-each=cancel]").click()
    expect_order(queue, "second")
    ended = queue.locator(".jobs.ended .job[data-state=cancelled]")
    expect(ended.filter(has_text="first").first).to_be_visible()
    queue.locator(".chosen [data-each=retry]").click()
    expect(rows(queue)).to_have_count(3)
    before = len(studio.services.store.recent(100))
    queue.locator(".chosen [data-each=remove]").click()
    expect(queue.locator(".chosen")).to_be_hidden()
    assert len(studio.services.store.recent(100)) == before - 2


def test_two_browsers_see_the_same(queue: Page, window) -> None:
    other = window()
    open_queue(other)
    expect_order(other, "first", "second", "third")
    press(other, "first", "down")
    expect_order(queue, "second", "first", "third")
    press(queue, "second", "cancel")
    expect_order(other, "first", "third")
