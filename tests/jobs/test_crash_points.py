"""A process that ends before any single change of an operation leaves nothing lost, doubled or half made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

QUICK = ["upscale", "delete and restore", "edit a LoRA", "preset", "keep an input"]
SLOW = [
    "paint",
    "put aside and go on",
    "upscale an input",
    "delete two",
    "delete piece by piece",
    "empty",
    "favourite",
    "edit a checkpoint",
    "export",
    "thumbnails",
    "steer",
    "tidy",
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("operations", "every"),
    [
        pytest.param(QUICK, 5, id="quick"),  # a sample of the changes, the first among them
        pytest.param([*QUICK, *SLOW], 1, id="slow", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_lost_or_left_wherever_it_ends(
    tmp_path: Path, starter_checkpoints: Path, operations: list[str], every: int
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "crash_points.py"), str(tmp_path), str(starter_checkpoints)),
            *(str(every), *operations),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    print(done.stdout)
    assert [each["operation"] for each in found] == operations
    # So many that a countdown that counts nothing would show.
    assert [each for each in found if each["points"] < 3] == []
    assert {each["operation"]: each["faults"] for each in found if each["faults"]} == {}
