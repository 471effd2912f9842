"""No network, and no torch outside the core: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


LIGHT = ["errors", "settings", "request", "models.tokens", "models.catalog.registry", "core", "core.progress"]


def test_no_torch_and_no_gradio_outside_their_floors() -> None:
    """One process imports them one after another; each line tells what is there then."""
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"webbduck_gradio.{name}")
    print(name, *sorted({"torch", "gradio", "diffusers", "transformers", "starlette"} & set(sys.modules)))
"""
    assert run(code, *LIGHT).split("\n") == [*LIGHT, ""]


def test_a_picture_without_any_network_and_without_noise_in_the_log(starter_checkpoints: Path) -> None:
    code = """
import socket, sys
from pathlib import Path

def refuse(*arguments, **more):
    raise AssertionError(f"the network was asked for {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

class Quiet:
    step = preview = status = worked = lambda self, *_: None
    wants_preview = lambda self: True
    wants_state = lambda self: False
    check = lambda self: None

registry = Registry(Settings(checkpoints=Path(sys.argv[1])))
request = build_request(registry, {"prompt": "a red duck", "steps": 2, "width": 64, "height": 64})
for picture in ImageGenerator("cpu").generate(request, registry.checkpoint(request.base_model), Quiet()):
    print(picture.image.size)
"""
    assert run(code, str(starter_checkpoints)).strip() == "(64, 64)"
