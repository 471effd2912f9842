"""The benchmarks start, and those that need neither a browser nor a large model measure something."""

import os
import re
import subprocess
import sys

import pytest

from webbduck_gradio.benchmarks.__main__ import BENCHMARKS, main


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"benchmarks {name}" in capsys.readouterr().out


def test_help_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in BENCHMARKS)


def test_catalog_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--loras", "3", "--runs", "1", "--kinds", "2"]) == 0
    cold, _, nothing, replaced = capsys.readouterr().out.splitlines()[2:]
    assert cold.startswith("cold") and cold.endswith("3 headers read")
    assert nothing.endswith("0 headers read") and replaced.endswith("1 headers read")


def test_gallery_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "--images", "8"]) == 0
    assert "8 in 2 runs" in capsys.readouterr().out


def test_gpu_runs_on_the_processor_and_stops_when_its_time_is_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["gpu", "--device", "cpu", "--batches", "2", "--steps", "2"]
    assert main([*small, "--only", "eager, resident"]) == 0
    table = capsys.readouterr().out.split("peak GiB")[1].splitlines()[1:]
    names = ["eager, together", "eager, plain diffusers", "eager, single"]
    assert [line[:34].strip() for line in table] == names
    assert main([*small, "--budget", "0"]) == 0
    printed = capsys.readouterr().out
    assert "left out, as the time was used: eager, together, batch 2; " in printed
    assert "policy leaf-offload" in printed.split("left out")[1]


def test_gpu_compares_with_its_goals(capsys: pytest.CaptureFixture[str]) -> None:
    from webbduck_gradio.benchmarks.gpu import Session, report
    from webbduck_gradio.benchmarks.gpu_measures import Row, Subject

    subject = Subject(None, None, "base", True, 1024)  # type: ignore[arg-type]
    session = Session(subject, 20, [4], 0)
    session.rows = [
        Row("eager, together", 4, 30.0, 1.4, 0.45, 0),
        Row("compiled, plain diffusers", 4, 40.0, 1.5, 0.55, 0),
        Row("compiled, together", 4, 38.0, 1.7, 0.52, 0),
    ]
    report(session)
    assert [" ".join(line.split()[-3:]) for line in capsys.readouterr().out.splitlines()[-3:]] == [
        "images/s 1.70 met",
        "peak 52.0% met",
        "+5.3% not met",
    ]


@pytest.mark.slow
def test_redrawing_to_8192_pixels_takes_less_than_6_gb_above_idle() -> None:
    """In a process of its own, which has taken no memory before."""
    command = [sys.executable, "-m", "webbduck_gradio.benchmarks", "redraw"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = re.search(r"8192 x 8192 px.* at most (\d+) MiB above", done.stdout)
    assert found and int(found[1]) < 6000
