"""A page that stays open while its server is killed and started again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect
from running import PATIENCE, free_port, wait_until

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


def test_a_server_that_is_killed_and_started_again_under_an_open_page(
    window, tmp_path: Path, starter_checkpoints: Path
) -> None:
    port = free_port()
    with server(tmp_path, starter_checkpoints, port, "states"):
        page = window(f"http://127.0.0.1:{port}")
        for prompt, steps in (("slow, killed", "150"), ("waits", "2"), ("waits too", "2")):
            page.fill("#prompt textarea", prompt)
            page.fill("#steps input", steps)
            page.click("#generate")
            page.wait_for_function(
                "prompt => webbduck.last.get('jobs').jobs.some(job => job.request.prompt === prompt)",
                arg=prompt,
            )
        page.wait_for_selector(".now[data-state=running]")
        wait_until(lambda: list(tmp_path.glob("outputs/.webbduck/unfinished/*.safetensors")))
    with server(tmp_path, starter_checkpoints, port):
        # The page finds its server again by itself; nobody reloads it.
        page.wait_for_function("window.webbduck?.last?.get('jobs')?.counts?.completed === 2")
        page.get_by_role("tab", name="Queue").click()
        ended = page.locator(".jobs.ended .job")
        expect(ended.locator(".prompt")).to_have_text(["waits too", "waits", "slow, killed"])
        expect(ended.nth(2)).to_have_attribute("data-state", "interrupted")
        expect(ended.nth(2).locator(".why")).to_contain_text("not restarted automatically")
        expect(page.locator(".jobs.waiting .job")).to_have_count(0)
        go_on = ended.nth(2).locator(".do-continue")
        expect(go_on).to_have_text(re.compile(r"^Go on from step \d+ of 150$"))
        go_on.click()
        expect(page.locator(".jobs.waiting .job[data-state=running] .prompt")).to_have_text("slow, killed")
        expect(ended).to_have_count(2)
