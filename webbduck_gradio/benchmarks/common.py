"""What the benchmarks share: their command lines, studios to measure, a browser, times and memory."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from ..web.server import StudioServer

T = TypeVar("T")
Work = Callable[[], object]


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """The command line of the benchmark `name`; `about` is its module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m webbduck_gradio.benchmarks {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def begin() -> None:
    """Say on what is measured, and keep proxies out of the way."""
    from ..web.proxies import forget_proxies

    logging.basicConfig(level=logging.WARNING)
    forget_proxies()
    print(f"{platform.platform()}, Python {platform.python_version()}: {' '.join(sys.argv)}", flush=True)


@contextmanager
def temporary_settings(with_checkpoints: bool = True, **more: Any) -> Iterator[Settings]:
    """A studio's settings with empty folders of their own and a free port, and the bundled checkpoints."""
    with tempfile.TemporaryDirectory(prefix="webbduck-benchmark-") as folder:
        names = ("outputs", "inputs", "loras", *(() if with_checkpoints else ("checkpoints",)))
        folders = {name: Path(folder, name) for name in names}
        settings = Settings(**{**folders, "port": free_port(), **more})
        settings.make_folders()
        yield settings


@contextmanager
def studio(settings: Settings) -> Iterator[StudioServer]:
    """A studio that answers at its address."""
    from ..web.server import StudioServer

    server = StudioServer(settings)
    server.start()
    try:
        yield server
    finally:
        server.close()


def find_chromium() -> str | None:
    """The program, where there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Chromium without a window, driven by Playwright. Ends the program where either is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise SystemExit(
            "Playwright is missing; install it with `python -m pip install -r tests/requirements.txt`."
        ) from None
    program = find_chromium()
    if program is None:
        raise SystemExit("Chromium is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *flags])
        try:
            yield browser
        finally:
            browser.close()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Taken(NamedTuple):
    """Seconds: by the clock, and of the processors for this process and its ended children."""

    clock: float
    work: float


def timed(work: Callable[[], T]) -> tuple[T, Taken]:
    """What the work answers, and the seconds that it took."""
    start, used = time.perf_counter(), sum(os.times()[:4])
    result = work()
    return result, Taken(time.perf_counter() - start, sum(os.times()[:4]) - used)


def in_turns(works: Sequence[tuple[str, Work]], rounds: int) -> dict[str, list[Taken]]:
    """What each work takes, round by round; the first, warming round is not counted."""
    taken: dict[str, list[Taken]] = {name: [] for name, _ in works}
    for number in range(rounds + 1):
        for name, work in works:
            _, took = timed(work)
            if number:
                taken[name].append(took)
    return taken


def show(title: str, taken: dict[str, list[Taken]], base: str) -> float:
    """Print medians, quartiles and each median's ratio to that of `base`; answer the last ratio.

    The ratio is the median of the rounds' own ratios: what slows one round slows both of its works.
    """
    print(f"\n{title}")
    ratio = 1.0
    for name, values in taken.items():
        low, middle, high = statistics.quantiles([each.clock for each in values], n=4, method="inclusive")
        pairs = list(zip(values, taken[base], strict=True))
        ratio = statistics.median(one.clock / other.clock for one, other in pairs)
        busy = statistics.median(one.work / other.work for one, other in pairs)
        print(
            f"  {name:<34} {middle:8.3f} s  ({low:.3f} .. {high:.3f})  x {ratio:.3f}"
            f"   work {statistics.median(each.work for each in values):8.3f} s  x {busy:.3f}"
        )
    return ratio


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float], unit: str = "ms", digits: int = 1) -> str:
    """'median 3.1 ms, 95 % 8.0 ms, worst 12.0 ms of 40'"""
    middle, high, worst = statistics.median(values), percentile(values, 0.95), max(values)
    return (
        f"median {middle:.{digits}f} {unit}, 95 % {high:.{digits}f} {unit}, "
        f"worst {worst:.{digits}f} {unit} of {len(values)}"
    )


def peak_memory() -> int:
    """Most bytes that this process has taken so far; 0 on Windows, which does not say."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The system counts in KiB, macOS in bytes.
    return most if sys.platform == "darwin" else most * 1024
