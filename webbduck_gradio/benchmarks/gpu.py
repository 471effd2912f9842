"""What a graphics card does with SDXL, beside its own matrix-multiply peak and plain diffusers.

A checkpoint of SDXL's own size with random weights is written (7 GB) and drawn with: speed does not depend on
the weights. Measured are images one by one and together, eager and compiled, each memory policy, plain
diffusers with the same models, decoding, and memory layouts. Each number is printed as soon as it is there; a
table of all, and the goals, come at the end, also after Ctrl+C or when the budget of time is used. On the
processor, and with --small, the starter checkpoint runs through the same code.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch

from ..core.device_state import DeviceChoice
from ..core.devices import best_device, empty_cache, is_out_of_memory, name_of
from ..core.image_generator import ImageGenerator
from ..core.memory_policies import POLICIES
from ..errors import OutOfMemoryError
from ..models.catalog.registry import STARTER, Registry
from ..settings import PRECISION, Settings
from . import full_size_files, gpu_measures
from .common import begin, parser
from .full_size_sdxl import matrix_peak
from .gpu_measures import HEADINGS, LAYOUTS, Row, Subject, ours, plain

IMAGES_A_SECOND = 1.6
SHARE_OF_PEAK = 0.5
OVERHEAD = 0.03
"""The goals on an H100 or H200 at 1024 x 1024 pixels, 20 steps, with guidance, four images together; the last
beside the bare compiled pipeline."""
GOAL_BATCH, GOAL_SIDE = 4, 1024
EAGER, COMPILED = "eager", "compiled"
PLAIN, OURS_TOGETHER, OURS_SINGLE = "plain diffusers", "together", "single"
SHORTEST = 5.0
"""Seconds that must be left for another measurement to begin."""


class Session:
    """Measurements within a budget of time."""

    def __init__(self, subject: Subject, steps: int, batches: Sequence[int], budget: float):
        self.subject, self.steps, self.batches = subject, steps, batches
        self.rows: list[Row] = []
        self.left_out: list[str] = []
        self.failures = 0
        self._end = time.monotonic() + budget

    def attempt(self, name: str, work: Callable[[], object]) -> None:
        """Do it if there is time. What fails is said, and the others go on."""
        if time.monotonic() + SHORTEST > self._end:
            self.left_out.append(name)
            return
        try:
            work()
        except Exception as error:
            if isinstance(error, OutOfMemoryError) or is_out_of_memory(error):
                print(f"  {name}: out of memory", flush=True)
            else:
                self.failures += 1
                print(f"  {name}: failed, {type(error).__name__}: {error}", flush=True)
                traceback.print_exc()
        empty_cache(str(self.subject.device))

    def add(self, name: str, measure: Callable[[], Row]) -> None:
        """Attempt to measure a row of the table."""

        def work() -> None:
            row = measure()
            self.rows.append(row)
            print(f"  {row}", flush=True)

        self.attempt(name, work)

    def row(self, name: str, batch: int) -> Row | None:
        return next((each for each in self.rows if (each.name, each.batch) == (name, batch)), None)


def pictures(session: Session, way: str) -> None:
    """One by one and together by this core, and by plain diffusers."""
    subject, steps = session.subject, session.steps
    for batch in sorted(session.batches, key=lambda batch: batch != GOAL_BATCH):
        kinds = [PLAIN, OURS_SINGLE] if batch == 1 else [OURS_TOGETHER, PLAIN]
        if batch > 1 and way == EAGER:
            kinds.append(OURS_SINGLE)  # compiled, it would say again what a batch of 1 says
        for kind in kinds:
            name = f"{way}, {kind}"
            measure = partial(ours, subject, name, batch, kind == OURS_TOGETHER, steps)
            if kind == PLAIN:
                measure = partial(plain, subject, name, batch, steps)
            session.add(f"{name}, batch {batch}", measure)


def compiled(session: Session) -> None:
    """The same with the UNet compiled, if a compiler is there."""
    subject = session.subject

    def work() -> None:
        start = time.perf_counter()
        subject.generator.choose(DeviceChoice("resident", compiled=True))
        (picture,) = subject.draw(2)
        problem = subject.generator.describe().get("compile_problem")
        if problem is None and not picture.facts.get("compiled"):
            problem = "the image does not say that it was"
        if problem is not None:
            print(f"  not compiled: {problem}", flush=True)
            return
        print(f"  first image of two steps after {time.perf_counter() - start:.1f} s", flush=True)
        pictures(session, COMPILED)

    session.attempt("compiled", work)


def decoding(session: Session) -> None:
    def work() -> None:
        for line in gpu_measures.decoding(session.subject):
            print(f"  {line}", flush=True)

    session.attempt("decoding", work)


def layouts(session: Session) -> None:
    """The UNet in other layouts of its weights, beside the usual one."""
    subject = session.subject

    def measure(name: str, batch: int) -> Row:
        with LAYOUTS[name](subject.pipe.unet):
            return ours(subject, f"{EAGER}, {name}", batch, batch > 1, session.steps)

    for batch in sorted({1, min(GOAL_BATCH, max(session.batches))}):
        for name in LAYOUTS:
            session.add(f"{name}, batch {batch}", partial(measure, name, batch))


def policies(session: Session) -> None:
    """One image by each memory policy."""
    subject, steps = session.subject, min(session.steps, 8)

    def measure(name: str) -> Row:
        subject.generator.choose(DeviceChoice(name))
        return ours(subject, f"policy {name}", 1, False, steps)

    for policy in POLICIES:
        session.add(f"policy {policy.name}", partial(measure, policy.name))


SECTIONS: dict[str, Callable[[Session], None]] = {
    "eager, resident": lambda session: pictures(session, EAGER),
    "decoding one image": decoding,
    "compiled, resident": compiled,
    "memory policies": policies,
    "layouts of the UNet's weights": layouts,
}
"""In the order in which they matter: those at the end are left out when time runs out."""


def report(session: Session) -> None:
    """The table of all, what was left out, and the goals."""
    print(f"\n{HEADINGS}")
    for row in session.rows:
        print(row)
    if session.left_out:
        print(f"left out, as the time was used: {'; '.join(session.left_out)}")
    if not session.subject.is_full_size or session.subject.side != GOAL_SIDE:
        return
    print("\ngoals, on an H100 or H200 at 1024 x 1024, 20 steps, batch 4 together")
    eager, fast = (session.row(f"{way}, {OURS_TOGETHER}", GOAL_BATCH) for way in (EAGER, COMPILED))
    bare, own = session.row(f"{COMPILED}, {PLAIN}", GOAL_BATCH), [row for row in (fast, eager) if row]
    images = max((row.images for row in own), default=None)
    share = max((row.share or 0.0 for row in own), default=None)
    overhead = bare.steps / fast.steps - 1 if bare and fast else None
    for text, found, form, is_met in (
        (f">= {IMAGES_A_SECOND} images/s", images, "{:.2f}", (images or 0.0) >= IMAGES_A_SECOND),
        (f">= {SHARE_OF_PEAK:.0%} of the matrix peak", share, "{:.1%}", (share or 0.0) >= SHARE_OF_PEAK),
        (
            f"<= {OVERHEAD:.0%} beyond the bare compiled pipeline",
            overhead,
            "{:+.1%}",
            (overhead or 0.0) <= OVERHEAD,
        ),
    ):
        shown = "not measured" if found is None else form.format(found) + (" met" if is_met else " not met")
        print(f"  {text:<44} {shown}")


def subject_of(options: argparse.Namespace, folder: Path) -> Subject:
    """The checkpoint on the device, which is loaded; both are said."""
    settings, name, is_large = Settings(), STARTER, not options.small
    if is_large:
        name = "base"
        settings = Settings(checkpoints=folder / "checkpoint", loras=folder / "lora")
        path = settings.checkpoints / "sdxl" / f"{name}.safetensors"
        if not path.exists():
            start = time.perf_counter()
            size = full_size_files.write(path, name)
            print(f"written: {size / 1e9:.2f} GB in {time.perf_counter() - start:.0f} s", flush=True)
    registry = Registry(settings)
    generator = ImageGenerator(options.device, registry, precision=options.precision)
    state, dtype = generator.describe(), generator.pipelines.dtype_of(is_large)
    libraries = ", ".join(f"{key} {value}" for key, value in state["libraries"].items())
    print(
        f"{state['name']}, {state['memory_total'] / 2**30:.0f} GiB, {state['device']}, {name_of(dtype)}, "
        f"torch {torch.__version__}, {libraries or 'no libraries of its own'}",
        flush=True,
    )
    peak = matrix_peak(state["device"], dtype)
    print(f"matrix-multiply peak: {peak / 1e12:.2f} TFLOP/s", flush=True)
    subject = Subject(generator, registry, name, is_large, options.side, peak)
    start = time.perf_counter()
    assert subject.pipe is not None
    print(
        f"{name} loaded in {time.perf_counter() - start:.1f} s; {options.side} x {options.side}, "
        f"{options.steps} steps",
        flush=True,
    )
    return subject


def main(arguments: Sequence[str]) -> int:
    command = parser("gpu", __doc__)
    command.add_argument("--device", help="cuda, xpu, mps or cpu (default: the fastest one available)")
    command.add_argument("--precision", choices=PRECISION, help="of the models (default: by the device)")
    command.add_argument("--small", action="store_true", help="draw with the starter checkpoint")
    command.add_argument("--side", type=int, help="size of the images in pixels (default 1024; 64 if small)")
    command.add_argument("--steps", type=int, help="of an image, at least 2 (default 20; 3 if small)")
    command.add_argument(
        "--batches", type=int, nargs="+", default=[1, 4, 8], help="images of a job (default 1 4 8)"
    )
    command.add_argument(
        "--budget", type=float, default=225, help="seconds after which nothing is begun (default 225)"
    )
    command.add_argument(
        "--folder", type=Path, help="where the full-size checkpoint is, or is written and kept"
    )
    command.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help="; ".join(SECTIONS))
    options = command.parse_args(arguments)
    started = time.monotonic()
    options.device = options.device or best_device()
    options.small = options.small or options.device == "cpu"
    options.side = options.side or (64 if options.small else 1024)
    options.steps = options.steps or (3 if options.small else 20)
    if options.steps < 2:
        command.error("--steps must be at least 2")
    begin()
    kept = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory()
    with kept as folder:
        subject = subject_of(options, Path(folder))
        budget = options.budget - (time.monotonic() - started)
        session = Session(subject, options.steps, options.batches, budget)
        try:
            for title, section in SECTIONS.items():
                if options.only and title not in options.only:
                    continue
                print(f"\n{title}", flush=True)
                subject.generator.choose(DeviceChoice("resident"))
                section(session)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
        finally:
            report(session)
            subject.generator.free()
    return 1 if session.failures else 0
