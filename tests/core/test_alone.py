"""No torch outside the core: in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LIGHT = ["errors", "settings", "request", "models.tokens", "models.catalog.registry", "core", "core.progress"]

CODE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"webbduck_gradio.{name}")
    print(name, *sorted({"torch", "gradio", "diffusers", "transformers", "starlette"} & set(sys.modules)))
"""


def test_no_torch_and_no_gradio_outside_their_floors() -> None:
    """One process imports them one after another; each line tells what is there then."""
    command = [sys.executable, "-c", CODE, *LIGHT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n") == [*LIGHT, ""], done.stderr
