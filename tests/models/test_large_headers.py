"""Large headers are read beside the server, and what is told of them is bounded; many askers, one picture."""

from __future__ import annotations

import base64
import io
import json
import multiprocessing.spawn
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from lora_files import make_lora
from model_files import kohya, save
from PIL import Image
from running import STARTER, wait_until

from webbduck_gradio.gallery.lora_previews import LoraPreviews
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.probe import pool
from webbduck_gradio.models.probe.lora import MOST_TAGS, training_metadata
from webbduck_gradio.settings import HOME, Settings

TAGS = {"1_a": {f"tag {number}": number + 1 for number in range(5_000)}}
LARGE = {
    "tags": {"ss_tag_frequency": json.dumps(TAGS), "x": "y" * pool.LARGE},
    "text": {"ss_training_comment": "a" * pool.LARGE, "modelspec.description": "b" * 5_000},
    "entries": {f"key {number}": "z" * 60 for number in range(100_000)},
}


@pytest.mark.parametrize("kind", LARGE)
def test_large_ones_are_read_in_another_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = save(settings.loras / "large.safetensors", kohya(2048), LARGE[kind])
    save(settings.loras / "small.safetensors", kohya(2048))
    here, real = [], pool.read_one

    def note(kind: str, path: str) -> pool.Result:
        here.append(Path(path).name)
        return real(kind, path)

    monkeypatch.setattr(pool, "read_one", note)
    registry = Registry(settings)
    said = pool.training_metadata_of(path)
    assert said and registry.lora("large").unusable is None and registry.lora("small")
    assert "large.safetensors" not in here and "small.safetensors" in here
    assert said == training_metadata(path) and len(json.dumps(said)) < 300_000
    if kind == "tags":
        assert said["tags"][0] == ("tag 4999", 5000) and len(said["tags"]) == MOST_TAGS
        assert said["more_tags"] == 5_000 - MOST_TAGS
    elif kind == "text":
        assert said["facts"]["Comment"] == "(5,000,000 characters, not shown)"
        assert registry.lora("large").description.endswith("… (the rest is left out)")
    else:
        assert said["left_out"].endswith("further entries are not shown; the file holds them.")


def test_more_tensors_than_any_lora_has(settings: Settings) -> None:
    shapes = {f"lora_unet_{number}.lora_down.weight": (1, 1) for number in range(100_001)}
    save(settings.loras / "many.safetensors", shapes)
    (lora,) = Registry(settings).loras()
    assert lora.unusable and "100,001 tensors, far more than any LoRA" in lora.unusable


def test_a_helper_that_fails_costs_its_file_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(settings.loras / "large.safetensors", kohya(2048), LARGE["text"])
    save(settings.loras / "small.safetensors", kohya(2048))
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/nonexistent")
    registry = Registry(settings)
    assert registry.lora("small").unusable is None
    large = registry.any_lora("large").unusable
    assert large == "large.safetensors has a header that could not be parsed; download the file again."


def test_two_askers_for_one_embedded_picture(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "#0000ff").save(data, "PNG")
    inside = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    make_lora(
        settings.loras / "ink.safetensors",
        settings.checkpoints / "sdxl" / STARTER,
        {"modelspec.thumbnail": inside},
    )
    outputs = Outputs(settings)
    previews = LoraPreviews(settings, Registry(settings), outputs, Thumbnails(settings, outputs))
    both, real, answers = threading.Barrier(2), Image.Image.save, []

    def save_together(image: Image.Image, *args: object, **more: object) -> None:
        both.wait(30)
        real(image, *args, **more)  # type: ignore[arg-type]
        both.wait(30)

    monkeypatch.setattr(Image.Image, "save", save_together)
    askers = [threading.Thread(target=lambda: answers.append(previews.picture("ink"))) for _ in "ab"]
    for each in askers:
        each.start()
    for each in askers:
        each.join(60)
    assert len(answers) == 2
    with Image.open(answers[0]) as shown:
        assert shown.size == (40, 30)
    outputs.close()


READER = """
import sys, time
from webbduck_gradio.models.probe import pool

if __name__ == "__main__":
    processes = pool._processes(1)
    reading = processes.submit(time.sleep, 600)
    print(*processes._processes, flush=True)
    reading.result()
"""


def test_processes_end_with_a_studio_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(READER)
    studio = subprocess.Popen(
        [sys.executable, str(tmp_path / "reader.py")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    assert studio.stdout is not None
    reader = psutil.Process(int(studio.stdout.readline()))

    def has_ended() -> bool:
        try:
            return reader.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    studio.send_signal(signal.SIGKILL)
    studio.wait()
    studio.stdout.close()
    wait_until(has_ended)
