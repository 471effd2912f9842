"""The catalog follows real files: each thing that happens to a model folder, with events and without."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from lora_files import lora_bytes, make_lora
from model_files import SDXL, kohya, save
from running import STARTER, wait_until

from webbduck_gradio.models.catalog.probe_cache import PATIENCE
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.catalog.watcher import CatalogWatcher
from webbduck_gradio.settings import HOME, Settings
from webbduck_gradio.storage import file_watching


@pytest.fixture(params=["events", "looking"])
def watched(request: pytest.FixtureRequest, settings: Settings, monkeypatch) -> Iterator[Registry]:
    """A registry that is kept up to date; also as where the system gives no events."""
    if request.param == "looking":

        def no_more(*args: object, **kwargs: object) -> None:
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(file_watching.Observer, "schedule", no_more)
    registry = Registry(dataclasses.replace(settings, catalog_poll_seconds=0.3))
    watcher = CatalogWatcher(registry)
    watcher.start()
    wait_until(lambda: watcher.looks > 0)
    yield registry
    watcher.stop()


def names(registry: Registry) -> list[str]:
    return [lora.name for lora in registry.loras()]


def sound(registry: Registry) -> list[str]:
    return [lora.name for lora in registry.loras() if not lora.unusable]


ODD = ["with space", 'it\'s "quoted"', "🦆 ente", "<script>alert(1)<script>", "ключ", "a,b:c{x}${y}"]


def test_all_that_happens_to_files(watched: Registry, tmp_path: Path) -> None:
    loras = watched.settings.loras
    starter = watched.settings.checkpoints / "sdxl" / STARTER
    outside = make_lora(tmp_path / "outside.safetensors", starter)

    shutil.copy(outside, loras / "copied.safetensors")
    wait_until(lambda: sound(watched) == ["copied"])
    version = watched.version
    watched.refresh(patient=True)
    assert watched.version == version, "a look alone changes nothing"

    # Moved in, within a folder that was not there.
    (loras / "styles").mkdir()
    shutil.move(shutil.copy(outside, tmp_path / "ink.safetensors"), loras / "styles" / "ink.safetensors")
    wait_until(lambda: sound(watched) == ["copied", "styles/ink"])
    (loras / "styles").rename(loras / "looks")
    wait_until(lambda: sound(watched) == ["copied", "looks/ink"])

    # Renamed: the owner's words come along.
    watched.edit_lora("looks/ink", {"trigger": "ink wash", "weight": 0.4})
    (loras / "looks" / "ink.safetensors").rename(loras / "wash.safetensors")
    wait_until(lambda: sound(watched) == ["copied", "wash"])
    assert (watched.lora("wash").trigger, watched.lora("wash").weight) == ("ink wash", 0.4)

    # Replaced by another one of the same size and of another kind.
    os.replace(save(tmp_path / "other.safetensors", kohya(768)), loras / "copied.safetensors")
    wait_until(lambda: watched.lora("copied").arch == "sd1")

    for odd in ODD:
        shutil.copy(outside, loras / f"{odd}.safetensors")
    wait_until(lambda: set(ODD) <= set(sound(watched)))
    for odd in ODD:
        (loras / f"{odd}.safetensors").unlink()
    wait_until(lambda: names(watched) == ["copied", "wash"])

    # Moved out, and deleted.
    shutil.move(loras / "wash.safetensors", tmp_path / "wash.safetensors")
    wait_until(lambda: names(watched) == ["copied"])
    (loras / "copied.safetensors").unlink()
    wait_until(lambda: names(watched) == [])
    noted = json.loads((loras / "loras.json").read_text())
    assert noted["wash"]["missing"] is True and noted["wash"]["trigger"] == "ink wash"
    shutil.move(tmp_path / "wash.safetensors", loras / "wash.safetensors")
    wait_until(lambda: "wash" in sound(watched) and watched.lora("wash").weight == 0.4)
    assert "missing" not in json.loads((loras / "loras.json").read_text())["wash"]

    # A whole checkpoint folder, copied file by file.
    sdxl = watched.settings.checkpoints / "sdxl"
    shutil.copytree(sdxl / STARTER, sdxl / "deep" / "mine", copy_function=shutil.copyfile)
    wait_until(lambda: [c.name for c in watched.checkpoints() if not c.unusable] == ["deep/mine", STARTER])
    shutil.rmtree(sdxl / "deep")
    wait_until(lambda: [c.name for c in watched.checkpoints()] == [STARTER])


def test_a_file_that_grows_appears_when_it_is_complete(watched: Registry) -> None:
    starter = watched.settings.checkpoints / "sdxl" / STARTER
    whole = lora_bytes(starter)
    seen, times = [], []
    for ending in ("safetensors.part", "safetensors"):
        with (watched.settings.loras / f"slow.{ending}").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 12):
                file.write(whole[start : start + len(whole) // 12])
                file.flush()
                time.sleep(0.15)
                seen.append((names(watched), sound(watched)))
                times.append(time.monotonic())
    wait_until(lambda: sound(watched) == ["slow"])
    assert not any(usable for _, usable in seen)
    if max(after - before for before, after in pairwise(times)) < PATIENCE / 2:  # else it seemed to rest
        assert not any(listed for listed, _ in seen), "nothing half written was listed"
    # Written over: the entry stays until the new one is complete.
    path = watched.settings.loras / "slow.safetensors"
    seen, times = [], []
    with path.open("wb") as file:
        for start in range(0, len(whole), len(whole) // 6):
            file.write(whole[start : start + len(whole) // 6])
            file.flush()
            time.sleep(0.15)
            seen.append((names(watched), sound(watched)))
            times.append(time.monotonic())
    if max(after - before for before, after in pairwise(times)) < PATIENCE / 2:
        assert seen == [(["slow"], ["slow"])] * len(seen)


def test_one_that_stays_incomplete_is_listed_with_the_reason(watched: Registry) -> None:
    starter = watched.settings.checkpoints / "sdxl" / STARTER
    path = watched.settings.loras / "half.safetensors"
    path.write_bytes(lora_bytes(starter)[:-1000])
    wait_until(lambda: names(watched) == ["half"])
    reason = watched.loras()[0].unusable
    assert reason and "1,000 of" in reason and reason.endswith("download it again.")
    path.write_bytes(lora_bytes(starter))
    wait_until(lambda: sound(watched) == ["half"])


def test_a_burst_is_one_change_or_few(watched: Registry) -> None:
    whole = lora_bytes(watched.settings.checkpoints / "sdxl" / STARTER)
    version = watched.version
    for number in range(80):
        (watched.settings.loras / f"{number:03}.safetensors").write_bytes(whole)
    wait_until(lambda: len(sound(watched)) == 80)
    assert watched.version - version < 10
    read = watched.headers_read
    (watched.settings.loras / "000.safetensors").unlink()
    save(watched.settings.loras / "050.safetensors", kohya(768))
    wait_until(lambda: len(names(watched)) == 79 and watched.lora("050").arch == "sd1")
    assert watched.headers_read == read + 1, "only what changed was read"


def test_json_edited_while_the_studio_runs(watched: Registry) -> None:
    make_lora(watched.settings.loras / "ink.safetensors", watched.settings.checkpoints / "sdxl" / STARTER)
    path = watched.settings.loras / "loras.json"
    wait_until(lambda: names(watched) == ["ink"] and path.is_file())
    table = json.loads(path.read_text())
    table["ink"] |= {"trigger": "by hand", "weight": -0.5, "hue": [1, 2]}
    path.write_text("\ufeff" + json.dumps(table), "utf-8")
    wait_until(lambda: watched.lora("ink").trigger == "by hand")
    assert watched.lora("ink").weight == -0.5
    path.write_text('{"ink": {"trigger": "half a')
    # Written in place, the file is empty for a moment, which is another problem.
    invalid = ("loras.json is not valid JSON (line 1); it is left as it is.",)
    wait_until(lambda: watched.problems == invalid)
    assert watched.lora("ink").trigger == "by hand", "what was valid before still counts"
    assert path.read_text() == '{"ink": {"trigger": "half a'
    table["ink"]["trigger"] = "again"
    path.write_text(json.dumps(table))
    wait_until(lambda: watched.lora("ink").trigger == "again" and watched.problems == ())
    models = watched.settings.checkpoints / "sdxl" / "models.json"
    models.write_text(json.dumps({STARTER: {"defaults": {"steps": 7}}}))
    wait_until(lambda: watched.checkpoint(STARTER).defaults.steps == 7)


def test_links(watched: Registry, tmp_path: Path) -> None:
    starter = watched.settings.checkpoints / "sdxl" / STARTER
    target = make_lora(tmp_path / "elsewhere" / "ink.safetensors", starter)
    (watched.settings.loras / "linked.safetensors").symlink_to(target)
    (watched.settings.loras / "folder").symlink_to(target.parent)
    (watched.settings.loras / "nowhere.safetensors").symlink_to(tmp_path / "not there")
    wait_until(lambda: sound(watched) == ["folder/ink", "linked"] and "nowhere" in names(watched))
    # What links lead to is not watched, but looked at.
    make_lora(target.parent / "second.safetensors", starter)
    wait_until(lambda: "folder/second" in sound(watched))
    (watched.settings.loras / "folder").unlink()
    wait_until(lambda: sound(watched) == ["linked"])


UNREADABLE = """
import os, sys, time
from pathlib import Path
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.catalog.watcher import CatalogWatcher
from webbduck_gradio.settings import Settings
root = Path(sys.argv[1])
if os.geteuid() == 0:  # with everything imported, since root's Python may be out of others' reach
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
registry = Registry(Settings(checkpoints=root / "checkpoint", loras=root / "lora", outputs=root / "outputs",
                             catalog_poll_seconds=0.3))
watcher = CatalogWatcher(registry)
watcher.start()
print([lora.unusable for lora in registry.loras()], flush=True)
input()
end = time.monotonic() + 60
while registry.loras()[0].unusable and time.monotonic() < end:
    time.sleep(0.05)
print([lora.unusable for lora in registry.loras()], registry.problems, flush=True)
watcher.stop()
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_file_without_permission(tmp_path: Path, settings: Settings) -> None:
    """In a process of another user where the tests run as root, who may read everything."""
    root = Path(tempfile.mkdtemp())
    path = make_lora(root / "lora" / "secret.safetensors", settings.checkpoints / "sdxl" / STARTER)
    (root / "checkpoint").mkdir()
    (root / "outputs" / ".webbduck").mkdir(parents=True)
    try:
        if os.geteuid() == 0:
            for each in (root, *root.rglob("*")):
                os.chown(each, 65534, 65534)
        path.chmod(0)
        process = subprocess.Popen(
            [sys.executable, "-c", UNREADABLE, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=HOME,
        )
        assert process.stdout is not None
        assert "cannot be read (permission denied)" in process.stdout.readline()
        path.chmod(0o644)  # no event tells that
        output, errors = process.communicate("go on\n", timeout=120)
        assert output.startswith("[None] ()"), errors
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_single_files_among_checkpoints_and_other_families(watched: Registry) -> None:
    root = watched.settings.checkpoints
    save(root / "sdxl" / "base.safetensors", SDXL, {"modelspec.resolution": "1024x768"})
    save(root / "sd15" / "base.safetensors", SDXL)
    save(root / "upscale" / "no checkpoint.safetensors", {"x": (2,)})
    wait_until(lambda: len(watched.checkpoints()) == 3)
    assert [each.name for each in watched.checkpoints()] == ["base", "sd15/base", STARTER]
    defaults = watched.checkpoint("base").defaults
    assert (defaults.width, defaults.height) == (1024, 768)
