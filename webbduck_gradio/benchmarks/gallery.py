"""How fast the gallery's index is.

Makes small pictures with real metadata in a temporary folder, four to a run, and measures the index on them,
side by side with what the first version did: reading every run's meta.json for each listing.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ..gallery import metadata
from ..gallery.index.sort import ORDERS
from ..gallery.outputs import Outputs
from ..request import SCHEDULERS, GenerationRequest
from ..settings import Settings
from .common import parser, peak_memory, spread, timed

SUBJECTS = (
    "duck",
    "goose",
    "swan",
    "cat",
    "dog",
    "fox",
    "owl",
    "bear",
    "whale",
    "robot",
    "castle",
    "harbour",
)
COLOURS = ("red", "green", "blue", "yellow", "white", "black", "golden", "silver", "pink", "orange", "teal")
STYLES = ("oil painting", "watercolor", "35mm photograph", "pencil sketch", "pixel art", "studio lighting")
PER_RUN = 4


def make_request(number: int, chance: random.Random, rare: list[str]) -> GenerationRequest:
    """A request such as people write, with words from very common to very rare."""
    unusual = " ".join(rare[min(int(chance.paretovariate(0.6)), len(rare)) - 1] for _ in range(12))
    prompt = (
        f"a {chance.choice(COLOURS)} {chance.choice(SUBJECTS)}, {chance.choice(STYLES)}, "
        f"masterpiece, best quality, {unusual}"
    )
    loras = [{"name": f"style-{chance.randrange(200)}", "weight": 0.8}] if number % 3 == 0 else []
    return GenerationRequest.validated(
        prompt=prompt,
        negative_prompt="blurry, low quality, watermark",
        base_model=f"checkpoint-{chance.randrange(30)}",
        scheduler=chance.choice(SCHEDULERS),
        width=chance.choice((832, 1024, 1216)),
        seed=chance.randrange(2**32),
        num_images=PER_RUN,
        loras=loras,
    )


def fill(root: Path, images: int) -> None:
    """Write the runs, as `storage.Run` would, but without waiting for the disk each time."""
    chance = random.Random(7)
    rare = [
        f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "ar", "on") for c in _ends()
    ]
    chance.shuffle(rare)
    picture = Image.new("RGB", (16, 16), "teal")
    start = time.time() - images * 20
    for number in range(images // PER_RUN):
        request = make_request(number, chance, rare)
        created = start + number * 80
        folder = root / time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(created))
        folder.mkdir()
        records = {}
        for index in range(PER_RUN):
            chunk = metadata.build_chunk(request, index, job_id=f"job-{number}", facts={"device": "cpu"})
            buffer = BytesIO()
            picture.save(buffer, format="PNG", pnginfo=metadata.png_info(chunk))
            (folder / f"{index}.png").write_bytes(buffer.getvalue())
            size = {"width": request.width, "height": request.height}
            records[f"{index}.png"] = {"seed": request.seed_of(index), **size, "warnings": []}
        fields = request.model_dump(mode="json")
        meta = {**fields, "timestamp": created, "kind": "generate", "images": records, "request": fields}
        (folder / "meta.json").write_text(json.dumps(meta, indent=2))


def _ends() -> list[str]:
    return [
        f"{middle}{end}"
        for middle in ("l", "r", "st", "nd", "v", "sh")
        for end in ("a", "en", "ic", "o", "us")
    ]


def plain_scan(root: Path, query: str = "") -> int:
    """What the first version's fallback did: read all meta.json, newest first, and look for the words."""
    found = 0
    for folder in sorted((path for path in root.iterdir() if path.is_dir()), reverse=True):
        try:
            meta = json.loads((folder / "meta.json").read_text())
        except (OSError, ValueError):
            continue
        text = f"{meta.get('prompt')} {meta.get('negative_prompt')} {meta.get('base_model')}".lower()
        if all(word in text for word in query.lower().split()):
            found += len([path for path in folder.glob("*.png") if not path.name.endswith("_upscaled.png")])
    return found


def seconds_of(action: Callable[[], object]) -> float:
    return timed(action)[1].clock


def queries(outputs: Outputs) -> list[str]:
    """What people search for: common and rare words, filters, seeds, phrases, exclusions, nothing found."""
    chance = random.Random(11)
    samples = outputs.images(0, 2000)
    made = []
    for _ in range(40):
        image = chance.choice(samples)
        made += [
            chance.choice(COLOURS),
            f"{chance.choice(COLOURS)} {chance.choice(SUBJECTS)}",
            f'"{chance.choice(COLOURS)} {chance.choice(SUBJECTS)}" {chance.choice(STYLES).split()[0]}',
            f"masterpiece -{chance.choice(SUBJECTS)}",
            f"model:checkpoint-{chance.randrange(30)} {chance.choice(SUBJECTS)}",
            f"lora:style-{chance.randrange(200)}",
            f"seed:{image.seed}",
            f"{image.seed}",
            f"size:832x1024 {chance.choice(SUBJECTS)}",
            f"date:{time.strftime('%Y-%m-%d', time.localtime(image.modified))} quality",
            f"sampler:euler {chance.choice(COLOURS)} quality",
            chance.choice(SUBJECTS)[:3],
            f"{chance.choice(STYLES)} nothinglikethis",
        ]
    return made


def visible_after(outputs: Outputs) -> float:
    """Seconds until a picture that another program wrote is listed."""
    folder = outputs.root / "another-program"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "new.png")
    start = time.perf_counter()
    while not any(image.id == "another-program/new.png" for image in outputs.images(0, 5)):
        if time.perf_counter() - start > 30:
            return float("inf")
        time.sleep(0.01)
    return time.perf_counter() - start


def main(arguments: Sequence[str]) -> int:
    command = parser("gallery", __doc__)
    command.add_argument("--images", type=int, default=100_000)
    command.add_argument("--folder", type=Path, help="keep the pictures here, or use those that are there")
    options = command.parse_args(arguments)
    root = options.folder or Path(tempfile.mkdtemp(prefix="webbduck-benchmark-"))
    root.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        outputs=root, inputs=root / ".inputs", loras=root / ".loras", checkpoints=root / ".checkpoints"
    )
    settings.make_folders()
    try:
        if not any(root.glob("2*")):
            print(
                f"writing {options.images} pictures: {seconds_of(lambda: fill(root, options.images)):.0f} s",
                flush=True,
            )
        measure(settings)
    finally:
        if options.folder is None:
            shutil.rmtree(root, ignore_errors=True)
    return 0


def measure(settings: Settings) -> None:
    for left in settings.data_dir.glob("gallery.sqlite3*"):
        left.unlink()
    memory, cpu = peak_memory(), time.process_time()
    outputs = Outputs(settings)
    seconds = seconds_of(outputs.count)
    cpu = time.process_time() - cpu
    total, runs = outputs.count(), outputs.count_runs()
    size = sum(path.stat().st_size for path in settings.data_dir.glob("gallery.sqlite3*")) / 2**20
    show("pictures", f"{total:,} in {runs:,} runs")
    show("index built", f"{seconds:.1f} s, {total / seconds:,.0f} pictures/s")
    show("  processor time alone", f"{cpu:.1f} s, {total / cpu:,.0f} pictures/s")
    show("  memory, size on disk", f"+{(peak_memory() - memory) / 2**20:.0f} MiB, {size:.0f} MiB")
    outputs.close()

    outputs = Outputs(settings)
    seconds = seconds_of(outputs.watch) + seconds_of(partial(outputs.runs, 0, 50))
    show("first page after a start", f"{seconds * 1e3:.1f} ms")
    seconds = seconds_of(lambda: _wait_for(outputs))
    show("all folders compared after", f"{seconds:.1f} s")
    show("page of 50 runs", each(outputs.runs, [(0, 50)] * 50))
    show("page of 100 pictures", each(outputs.images, [(0, 100)] * 50))
    show(
        "page anywhere, 50 runs", each(outputs.runs, [(at, 50) for at in range(0, runs, max(1, runs // 50))])
    )
    asked = queries(outputs)
    show(f"{len(asked)} searches, 50 runs", each(outputs.runs, [(0, 50, query) for query in asked]))
    show(f"{len(asked)} searches, 100 pictures", each(outputs.images, [(0, 100, query) for query in asked]))
    show(f"{len(asked)} searches, counted", each(outputs.count, [(query,) for query in asked]))
    sorts = [name for name in ORDERS if name not in ("newest", "oldest")]
    show("page of 50 runs, sorted", each(outputs.runs, [(0, 50, "", name) for name in sorts] * 10))
    show("layout of all runs, sorted", each(outputs.layout, [("", name) for name in sorts] * 3))
    both = [(0, 50, query, name) for query in asked[::4] for name in sorts]
    show(f"{len(both)} sorted searches, 50 runs", each(outputs.runs, both))
    show(f"{len(both)} sorted searches, pictures", each(outputs.images, both))
    show("layout of all runs", each(outputs.layout, [()] * 10))
    show(f"{len(asked)} searches, layout", each(outputs.layout, [(query,) for query in asked]))
    show("names to choose from", each(outputs.names, [()] * 5))
    show("a new picture is listed after", f"{visible_after(outputs):.2f} s")
    outputs.close()
    shutil.rmtree(settings.outputs / "another-program", ignore_errors=True)
    show("plain scan, first page", f"{seconds_of(lambda: plain_scan(settings.outputs)) * 1e3:.0f} ms")
    show("plain scan, search", f"{seconds_of(lambda: plain_scan(settings.outputs, 'red duck')) * 1e3:.0f} ms")


def show(what: str, value: str) -> None:
    print(f"{what:<32} {value}", flush=True)


def each(action: Callable[..., object], calls: Sequence[tuple[Any, ...]]) -> str:
    cpu = time.process_time()
    seconds = [seconds_of(partial(action, *call)) for call in calls]
    busy = (time.process_time() - cpu) / len(calls)
    return f"{spread([1e3 * each for each in seconds])}; processor {1e3 * busy:.1f} ms each"


def _wait_for(outputs: Outputs) -> None:
    while not outputs.complete:
        time.sleep(0.05)
