"""A page that stays open while its server is killed and started again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from barriers import violations
from form_page import expect_form
from gallery_page import picture
from lora_files import make_lora
from playwright.sync_api import expect
from running import PATIENCE, STARTER, free_port, wait_until
from windows import WIDE

from webbduck_gradio.settings import HOME


@contextmanager
def server(folder: Path, checkpoints: Path, port: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A true studio with a stand-in for the core; it answers when this returns."""
    program = HOME / "tests" / "jobs" / "studio.py"
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(program), str(folder), str(checkpoints), str(port), "painter", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdin and process.stdout
    try:
        while (line := process.stdout.readline()).strip() != "ready":
            assert line, (folder / "log.txt").read_text()[-3000:]
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdin.close()
        process.stdout.close()


PRESSED = ("pressed first", "pressed second")
TYPED = {
    "prompt": "typed to the last letter: \u00fc, \u9d28 and (words:1.2)\n\tin two lines ",
    "negative_prompt": " fog",
    "steps": 33,
    "cfg": 4.5,
    "width": 192,
    "height": 128,
    "seed": 4711,
    "sampler": "Euler a",
}


def test_a_server_that_is_killed_and_started_again_under_an_open_page(
    window, tmp_path: Path, starter_checkpoints: Path
) -> None:
    port = free_port()
    make_lora(tmp_path / "lora" / "ink.safetensors", starter_checkpoints / "sdxl" / STARTER)
    picture("teal").save(tmp_path / "input.png")
    with server(tmp_path, starter_checkpoints, port, "states") as process:
        page = window(f"http://127.0.0.1:{port}", **WIDE)
        for prompt, steps in (("slow, killed", "150"), ("waits", "2"), ("waits too", "2")):
            page.fill("#prompt textarea", prompt)
            page.fill("#steps input", steps)
            page.click("#generate")
            page.wait_for_function(
                "prompt => webbduck.last.get('jobs').jobs.some(job => job.request.prompt === prompt)",
                arg=prompt,
            )
        page.wait_for_selector(".now[data-state=running]")
        page.set_input_files("#image-input .file", tmp_path / "input.png")
        page.locator("#stack").get_by_role("button", name="Add", exact=True).click()
        page.locator("#stack").get_by_role("option", name="ink").click()
        page.wait_for_function("webbduck.form.state().image && webbduck.form.state().loras.includes('ink')")
        image = page.evaluate("webbduck.form.state().image")
        page.get_by_role("tab", name="Queue").click()
        page.click(".jobs.waiting .job[data-state=running] .do-watch")
        wait_until(lambda: list(tmp_path.glob("outputs/.webbduck/unfinished/*.safetensors")))
        # A press that finds out is kept as well.
        page.fill("#prompt textarea", PRESSED[0])
        page.fill("#steps input", "2")
        page.wait_for_function("webbduck.form.state().steps === 2")
        page.context.route("**", lambda route: route.abort())
        page.click("#generate")
        process.kill()

        banner = page.locator(".outage-banner")
        expect(banner).to_contain_text("The studio does not answer. What you type is kept.")
        expect(banner).to_contain_text(
            "Generate was pressed once; you can send that when the studio answers again."
        )
        expect(page.locator(".toast-wrap")).to_be_hidden()
        expect(page.locator("#stage .now")).to_be_hidden()
        expect(page.locator("#stage .last-known")).to_have_text(re.compile(r"^Last known: Step \d+ of 150"))
        assert not violations(page, "outage")
        page.fill("#prompt textarea", PRESSED[1])
        page.click("#generate")
        expect(banner).to_contain_text("Generate was pressed 2 times;")
        page.get_by_role("tab", name="Queue").click()
        page.click(".jobs.waiting .job[data-state=running] .do-cancel")
        expect(page.locator("#toast")).to_contain_text("The studio does not answer, so nothing was done.")
        page.get_by_role("tab", name="Gallery").click()
        expect(page.locator(".g-problem")).to_have_text(
            "The server does not answer; the pictures are listed when it does."
        )
        page.get_by_role("tab", name="Studio").click()
        page.get_by_label("Weight of ink", exact=True).fill("0.65")
        page.click("#sampler input")
        page.get_by_role("option", name="Euler a", exact=True).click()
        for field, value in TYPED.items():
            if field != "sampler":
                page.evaluate("([field, value]) => webbduck.form.set(field, value)", [field, value])
        page.fill("#cfg input", "4,5")
        page.click("#swap")  # of Gradio's events, which do not run
        page.click("#swap")
        page.locator("#prompt textarea").press("Control+Home")
        page.keyboard.press("ArrowRight")
    page.context.unroute("**")
    with server(tmp_path, starter_checkpoints, port):
        # The page finds its server again by itself; nobody reloads it.
        expect(banner).to_contain_text(
            "The studio answers again. Generate was pressed 2 times in the meantime."
        )
        expect_form(page, **TYPED, image=image)
        assert json.loads(page.evaluate("webbduck.form.state().loras")) == [
            {"name": "ink", "weight": 0.65, "on": True}
        ]
        assert page.evaluate("document.activeElement === webbduck.form.entry('prompt')")
        assert page.evaluate("document.activeElement.selectionStart") == 1
        expect(page.locator(".chosen-picture")).to_be_attached()

        page.click(".now[data-state=interrupted] .retry")
        page.click(".now[data-state=running] .cancel")
        page.wait_for_selector(".now[data-state=cancelled]")
        (again,) = page.evaluate("webbduck.last.get('jobs').recent.filter(job => job.retry_of)")
        (first,) = page.evaluate(
            "webbduck.last.get('jobs').recent.filter(job => job.status === 'interrupted')"
        )
        assert (again["retry_of"], again["request"]) == (first["job_id"], first["request"])

        banner.get_by_role("button", name="Generate these 2 now").click()
        expect(banner).to_have_count(0)
        page.wait_for_function("webbduck.last.get('jobs').counts.completed === 4")
        sent = page.evaluate("webbduck.last.get('jobs').recent.map(({ request }) => request)")
        assert [each["prompt"] for each in sent[:2]] == [*reversed(PRESSED)]
        assert {(each["steps"], each["image"]) for each in sent[:2]} == {(2, image)}
        expect_form(page, **TYPED)

        # What was sent is not offered again.
        page.wait_for_function("sessionStorage.getItem('webbduck-kept-presses') === null")
        page.get_by_role("tab", name="Queue").click()
        ended = page.locator(".jobs.ended .job")
        expect(ended).to_have_count(6)
        expect(ended.nth(5).locator(".prompt")).to_have_text("slow, killed")
        expect(ended.nth(5)).to_have_attribute("data-state", "interrupted")
        expect(ended.nth(5).locator(".why")).to_contain_text("not restarted automatically")
        expect(page.locator(".jobs.waiting .job")).to_have_count(0)
        go_on = ended.nth(5).locator(".do-continue")
        expect(go_on).to_have_text(re.compile(r"^Go on from step \d+ of 150$"))
        go_on.click()
        expect(page.locator(".jobs.waiting .job[data-state=running] .prompt")).to_have_text("slow, killed")
        expect(ended).to_have_count(5)
