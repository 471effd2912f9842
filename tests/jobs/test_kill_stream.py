"""kill -9 at random moments over everything that changes something; then what is lost, doubled or left is
counted."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lora_files import make_lora
from running import STARTER, free_port
from studio import folders
from test_kill import Studio

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.jobs.job import FINAL
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.settings import Settings

pytestmark = pytest.mark.slow

ENDINGS = ("png", "jpg", "webp")
ORDERS = {
    "submit": 12,
    "cancel": 2,
    "retry": 2,
    "delete": 4,
    "delete run": 2,
    "restore": 5,
    "empty": 0.5,
    "favourite": 5,
    "upscale": 4,
    "preset": 4,
    "prompt": 2,
    "LoRA": 4,
    "export": 1,
    "thumbnail": 3,
}


@dataclass
class Told:
    """What was acknowledged, or may have happened because the answer never came."""

    jobs: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    emptied: set[str] = field(default_factory=set)
    favourites: dict[str, set[bool]] = field(default_factory=dict)
    values: dict[str, set[Any]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)


def in_trash(settings: Settings) -> list[str]:
    """Ids of the pictures that lie in the trash, each as often as it does."""
    files = [each for ending in ENDINGS for each in settings.data_dir.glob(f"trash/*/*/*.{ending}")]
    return [f"{path.parent.name}/{path.name}" for path in files]


def disturb(studio: Studio, dice: random.Random, told: Told, settings: Settings) -> bool:
    """One random order; whether the studio lived to answer it."""
    pictures = (studio.do(do="pictures") or {}).get("answer")
    if pictures is None:
        return False
    what = dice.choices(list(ORDERS), list(ORDERS.values()))[0]
    order: dict[str, Any] = {"do": what}
    possible: tuple[str, Any] | None = None
    if what == "submit":
        order["asked"] = {
            "prompt": f"a duck {len(told.jobs)}",
            "base_model": STARTER,
            "steps": dice.randint(1, 3),
            "num_images": dice.randint(1, 3),
            "width": 64,
            "height": 64,
            "output_format": dice.choice(ENDINGS),
        }
    elif what in ("cancel", "retry"):
        if not told.jobs:
            return True
        order |= {"id": dice.choice(told.jobs[-6:]), "after_image": dice.random() < 0.5}
    elif what == "restore":
        if not told.entries:
            return True
        order["id"] = dice.choice(told.entries[-8:])
    elif what == "empty":
        told.emptied.update(in_trash(settings))
        told.entries.clear()
    elif what in ("preset", "LoRA", "prompt"):
        value = dice.randrange(10**6)
        name = "ink" if what == "LoRA" else f"p{dice.randrange(4)}"
        order |= {"name": name, "steps": value, "trigger": f"words {value}", "text": f"duck {value % 50}"}
        possible = (f"{what} {name}", order["trigger"] if what == "LoRA" else value)
        told.values.setdefault(possible[0], set()).add(possible[1])
    else:
        if not pictures:
            return True
        image = dice.choice(pictures)
        order |= {"id": image, "run": image.rpartition("/")[0], "on": dice.random() < 0.7}
        order["ids"] = dice.sample(pictures, min(len(pictures), dice.randint(1, 3)))
        if what == "favourite":
            told.favourites.setdefault(image, {False}).add(order["on"])
    answer = studio.do(**order)
    if answer is None:
        return False
    if "answer" not in answer:
        return True
    told.done[what] += 1
    if what in ("submit", "retry", "upscale"):
        told.jobs.append(answer["answer"])
    elif what.startswith("delete"):
        told.entries.append(answer["answer"])
    elif what == "restore":
        told.entries.remove(order["id"])
    elif what == "favourite":
        told.favourites[order["id"]] = {order["on"]}
    elif possible:
        told.values[possible[0]] = {possible[1]}
    return True


def test_nothing_is_lost_doubled_or_left(tmp_path: Path, starter_checkpoints: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice, told, log = random.Random(seed), Told(), tmp_path / "log.txt"
    settings = folders(tmp_path, starter_checkpoints, 0)
    make_lora(settings.loras / "ink.safetensors", starter_checkpoints / "sdxl" / STARTER)
    for _ in range(25):
        studio = Studio(tmp_path, starter_checkpoints, free_port(), log, "painter")
        killer = threading.Timer(dice.uniform(0.1, 4), studio.kill)
        killer.start()
        while disturb(studio, dice, told, settings):
            time.sleep(dice.uniform(0, 0.05))
        killer.join()
        studio.gone()
        assert studio.process.returncode == -signal.SIGKILL, log.read_text()[-3000:]
    studio = Studio(tmp_path, starter_checkpoints, free_port(), log, "painter")
    try:
        while (counts := (studio.do(do="counts") or {})["answer"])["queued"] or counts["running"]:
            time.sleep(0.1)
    finally:
        studio.stop()
    print(dict(told.done), counts)
    # Whether one of the latest jobs can be retried depends on where the kills fall.
    assert set(told.done) | {"retry"} == set(ORDERS), "each kind of order was obeyed at least once"
    check(settings, told, log.read_text())


def check(settings: Settings, told: Told, log: str) -> None:
    store, outputs = JobStore(settings.data_dir / "jobs.sqlite3"), Outputs(settings)
    jobs = {job.id: job for job in store.recent(100_000)}
    store.close()
    files = [each for ending in ENDINGS for each in settings.outputs.glob(f"*/*.{ending}")]
    here = {f"{path.parent.name}/{path.name}": path for path in files}
    deleted = in_trash(settings)
    print(f"{len(jobs)} jobs, {len(here)} pictures, {len(deleted)} in the trash, {len(told.emptied)} emptied")

    # Jobs: each that was acknowledged is there, in a final state, with pictures that are somewhere.
    assert set(told.jobs) <= set(jobs)
    assert {job.state for job in jobs.values()} <= set(FINAL)
    # A copy cannot be made of what was deleted meanwhile; nothing else fails.
    assert [job.error for job in jobs.values() if job.state == "failed" and job.kind != "upscale"] == []
    named = {image: job for job in jobs.values() for image in job.images}
    assert set(named) - set(here) - set(deleted) - told.emptied == set(), "lost"
    assert set(here) - set(named) == set(), "known to no job"

    # Pictures: none twice, none broken.
    # The name of a copy that was deleted is free for the next one.
    originals = [image for image in deleted if "_upscaled" not in image]
    assert sorted(set(originals) & set(here)) == [], "in its place and in the trash"
    assert len(originals) == len(set(originals))
    made: Counter[tuple[str, int]] = Counter()
    for path in here.values():
        about = metadata.read(path)
        if not about["upscaled"]:
            made[about["webbduck"]["job_id"], about["webbduck"]["index"]] += 1
    assert max(made.values()) == 1, "painted twice"
    listed = outputs.images(0, 10_000)
    assert {each.id for each in listed} | {copy for each in listed for copy in each.variants} == set(here)

    # What its owner said is as it was acknowledged.
    marks = {
        each.removeprefix("outputs/")
        for each in json.loads((settings.outputs / "favorites.json").read_text())
    }
    for image, possible in told.favourites.items():
        assert (image in marks) in possible, image
    shelf = json.loads((settings.data_dir / "shelf.json").read_text())["presets"]
    ink = json.loads((settings.loras / "loras.json").read_text())["ink"]
    for key, values in told.values.items():
        kind, name = key.split(" ", 1)
        if kind == "LoRA":
            assert ink["trigger"] in values
        elif kind == "preset" and name in shelf:
            assert shelf[name]["steps"] in values, name

    # Nothing is left, and everything that was deleted can come back with its record.
    folder = settings.outputs.parent
    assert [path for path in folder.rglob("*.tmp") if path.is_file()] == []
    runs = [path for path in settings.outputs.iterdir() if path.is_dir() and path.name[0] != "."]
    assert [path.name for path in runs if not {each.suffix[1:] for each in path.iterdir()} & {*ENDINGS}] == []
    trash = Trash(settings, outputs)
    for entry in trash.entries():
        taken = [image for image in entry.images if (settings.outputs / image).exists()]
        assert all("_upscaled" in image for image in taken), "anything else can come back"
        if not taken:
            trash.restore(entry.id)
    of_generations = {job.run for job in jobs.values() if job.state == "completed" and job.kind == "generate"}
    for path in settings.outputs.iterdir():
        if path.name in of_generations:
            assert json.loads((path / "meta.json").read_text())["state"] in FINAL, path.name
    outputs.close()
    assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:3000]
