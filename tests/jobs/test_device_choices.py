"""What the user chose about the device: kept for the next start, and followed from the next job on."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from painter import Painter
from running import PATIENCE, wait_until

from webbduck_gradio.core.device_state import DeviceChoice
from webbduck_gradio.errors import StorageError
from webbduck_gradio.jobs.device_choices import DeviceChoices
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.settings import MEMORY, Settings


@pytest.fixture
def kept(settings: Settings) -> Path:
    return settings.data_dir / "device.json"


def test_a_choice_holds_after_a_restart_until_it_is_taken_back(settings: Settings, kept: Path) -> None:
    DeviceChoices(settings).change(memory="offload")
    DeviceChoices(settings).change(compiled=True)
    choices = DeviceChoices(settings)
    assert choices.current == DeviceChoice("offload", True)
    choices.change(memory=None)
    assert DeviceChoices(settings).current == DeviceChoice(None, True)
    choices.change(compiled=False)
    assert not kept.exists() and DeviceChoices(settings).current == DeviceChoice()


def test_the_command_line_goes_before_it_at_each_start(settings: Settings, kept: Path) -> None:
    DeviceChoices(settings).change(memory="offload")
    flags = replace(settings, memory="tiled", compiled=True)
    choices = DeviceChoices(flags)
    assert choices.current == DeviceChoice("tiled", True)
    choices.change(compiled=False)
    assert choices.current == DeviceChoice("tiled", False)
    assert DeviceChoices(settings).current == DeviceChoice("offload", False)  # the flags are not kept
    choices.change(memory=None)
    assert choices.current == DeviceChoice() and not kept.exists()
    assert DeviceChoices(flags).current == DeviceChoice("tiled", True)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"memory": "none"}', '{"memory": ["tiled"]}', '{"compiled": 1}', "\x00" * 40],
)
def test_a_damaged_file_is_ignored(settings: Settings, kept: Path, text: str, caplog) -> None:
    kept.write_text(text)
    choices = DeviceChoices(settings)
    assert choices.current == DeviceChoice()
    (record,) = caplog.records
    assert str(kept) in record.getMessage()
    choices.change(memory="tiled")
    assert DeviceChoices(settings).current == DeviceChoice("tiled")


def test_what_cannot_be_kept_does_not_hold(settings: Settings, kept: Path) -> None:
    choices = DeviceChoices(settings)
    kept.mkdir()
    for change in ({"memory": "tiled"}, {"memory": None}):
        with pytest.raises(StorageError, match=r"device\.json could not be saved"):
            choices.change(**change)
        assert choices.current == DeviceChoice()


def test_the_last_of_many_changes_holds(settings: Settings, kept: Path) -> None:
    choices = DeviceChoices(settings)
    threads = [threading.Thread(target=choices.change, kwargs={"memory": name}) for name in MEMORY * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert json.loads(kept.read_text())["memory"] == choices.current.memory


class Watched(Painter):
    """Stops before its first step until it is let go, and notes by which choice each step was made."""

    def __init__(self) -> None:
        super().__init__(self._stop)
        self.began, self.end = threading.Event(), threading.Event()
        self.policies: list[str | None] = []

    def _stop(self, *_: object) -> None:
        self.began.set()
        assert self.end.wait(PATIENCE)
        self.policies.append(self.choice.memory)


def test_a_running_job_is_not_disturbed_and_the_next_one_follows(store: JobStore, make_worker, ask) -> None:
    core = Watched()
    worker = make_worker(core)
    store.submit(ask("first"))
    store.submit(ask("second"))
    turns = [threading.Thread(target=worker.run_next) for _ in range(2)]
    for turn in turns:  # the second one waits for the core before anything is chosen
        turn.start()
    assert core.began.wait(PATIENCE)
    for name in MEMORY:
        worker.context.device_choices.change(memory=name)
        worker.apply_choice()
    core.end.set()
    for turn in turns:
        turn.join(PATIENCE)
    assert core.policies == [None, None, MEMORY[-1], MEMORY[-1]]


def test_it_is_followed_at_once_by_an_idle_core_and_by_one_that_comes_later(
    store: JobStore, make_worker, ask
) -> None:
    worker = make_worker(core := Painter())
    worker.context.device_choices.change(memory="tiled")
    worker.apply_choice()
    assert not worker.context.has_generator  # nothing is loaded for it
    worker.context.generator  # noqa: B018 - made, here as the core would be: by the choice of now
    worker.context.device_choices.change(memory="offload", compiled=True)
    seen = worker.device_version
    worker.apply_choice()
    assert core.choice == DeviceChoice("offload", True) and worker.device_version > seen


def test_a_choice_that_cannot_be_followed_fails_the_next_job(store: JobStore, make_worker, ask) -> None:
    class Refusing(Painter):
        def choose(self, choice: DeviceChoice) -> None:
            raise ZeroDivisionError

    worker = make_worker(Refusing())
    worker.context.generator  # noqa: B018
    worker.context.device_choices.change(compiled=True)
    worker.apply_choice()
    job = store.submit(ask())
    worker.run_next()
    assert store.get(job.id).state == "failed"
    worker.context.device_choices.change(compiled=False)
    job = store.submit(ask())
    worker.run_next()
    assert store.get(job.id).state == "completed"
    wait_until(lambda: not worker._unfinished)
