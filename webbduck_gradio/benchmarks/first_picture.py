"""How long the first picture takes that a new studio draws, beside the second.

Starts the studio as its users do, opens the page, waits, and draws two pictures through gradio_client; the
same again with --no-preload. The seconds are those that the client waits.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..settings import Settings
from .common import begin, parser, temporary_settings

START_SECONDS = 120.0


@contextmanager
def process(settings: Settings, *more: str) -> Iterator[str]:
    """A studio of its own process; its address."""
    import httpx

    folders = {"output": settings.outputs, "inputs": settings.inputs, "loras": settings.loras}
    folders["checkpoints"] = settings.checkpoints
    flags = [str(part) for name, folder in folders.items() for part in (f"--{name}", folder)]
    command = [sys.executable, "-m", "webbduck_gradio", "--port", str(settings.port), *flags, *more]
    url = f"http://127.0.0.1:{settings.port}"
    studio = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(url, trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                if studio.poll() is not None or time.monotonic() > end:
                    raise SystemExit("The studio did not start.") from None
                time.sleep(0.1)
        yield url
    finally:
        studio.terminate()
        studio.wait()


def drawn(url: str, seed: int, steps: int) -> float:
    """Seconds that a client waited for one picture."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    try:
        start = time.perf_counter()
        client.predict("a red duck on a pond", seed=seed, steps=steps, api_name="/generate")
        return time.perf_counter() - start
    finally:
        client.close()


def measure(rounds: int, wait: float, steps: int) -> None:
    for name, flags in (("preloaded", ()), ("--no-preload", ("--no-preload",))):
        pairs = []
        for _ in range(rounds):
            with temporary_settings() as settings, process(settings, *flags) as url:
                time.sleep(wait)
                pairs.append((drawn(url, 1, steps), drawn(url, 2, steps)))
        first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"  {name:<14} first {first:6.2f} s   second {second:6.2f} s   x {ratio:.2f}", flush=True)


def main(arguments: Sequence[str]) -> int:
    command = parser("first-picture", __doc__)
    command.add_argument("--rounds", type=int, default=5, help="studios started of each kind (default 5)")
    command.add_argument("--wait", type=float, default=10.0, help="seconds the page is open (default 10)")
    command.add_argument("--steps", type=int, default=20, help="steps of each picture (default 20)")
    options = command.parse_args(arguments)
    begin()
    measure(options.rounds, options.wait, options.steps)
    return 0
