"""The examples of the documentation run as they stand, against a studio with the starter checkpoint."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import STARTER, starter_detector

from webbduck_gradio.settings import HOME

LOCAL = "http://127.0.0.1:7860"


@pytest.fixture(scope="module", autouse=True)
def small(studio) -> Iterator[None]:
    """The examples leave size and steps to the checkpoint, whose defaults are small while they run."""
    starter = studio.services.registry.checkpoint(STARTER)
    asked: dict[str, Any] = {"width": 128, "height": 128, "steps": 4}
    studio.services.registry.edit_checkpoint(starter.name, asked)
    yield
    studio.services.registry.edit_checkpoint(starter.name, dict.fromkeys(asked))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_examples_of_the_api_page(studio, starter_checkpoints: Path) -> None:
    examples = blocks(HOME / "docs" / "api.md", "python")
    assert len(examples) >= 9
    names: dict[str, object] = {}
    with starter_detector(studio, starter_checkpoints):
        for number, example in enumerate(examples):
            code = compile(example.replace(LOCAL, studio.url), f"docs/api.md, example {number + 1}", "exec")
            exec(code, names)
    assert names["call"].done() and names["again"]["job_id"]  # type: ignore[attr-defined, index]
    names["studio"].close()  # type: ignore[attr-defined]


def test_the_examples_of_the_readme(studio) -> None:
    names: dict[str, object] = {}
    for example in blocks(HOME / "README.md", "python"):
        exec(compile(example.replace(LOCAL, studio.url), "README.md", "exec"), names)
    assert names["info"]["status"] == "completed"  # type: ignore[index]
    names["studio"].close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_the_examples_with_curl(studio, page: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    (example,) = (each for each in blocks(HOME / page, "sh") if "curl" in each)
    command = example.replace(LOCAL, studio.url)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300)
    assert "event: complete" in done.stdout, done.stdout + done.stderr
    assert '"status": "completed"' in done.stdout


def test_every_endpoint_is_in_the_api_page(studio) -> None:
    import httpx

    text = (HOME / "docs" / "api.md").read_text()
    there = httpx.get(f"{studio.url}/gradio_api/info").json()["named_endpoints"]
    assert [name for name in there if name not in text] == []
    # What the page "Use via API" shows: what each endpoint and parameter means, and the types.
    for name, endpoint in there.items():
        assert endpoint["description"], name
        for each in endpoint["parameters"]:
            assert each["python_type"]["description"], (name, each["parameter_name"])
            assert each["python_type"]["type"] != "Any", (name, each["parameter_name"])
        assert all(each["python_type"]["type"] != "Any" for each in endpoint["returns"]), name


PROMISES = ["security.md", "running.md"]
TESTS = HOME / "tests"


def promised(text: str) -> list[str]:
    """The tests that a page names: modules in brackets, functions in its tables."""
    brackets = re.findall(r"`\[(test_[^\]]+)\]`", text)
    listed = [name for each in brackets for name in re.split(r",\s+", each)]
    return listed + re.findall(r"`(test_\w+(?:\.\.\.)?)`", text) + re.findall(r"tests/[\w/]+\.py", text)


@pytest.mark.parametrize("page", PROMISES)
def test_each_promise_names_a_test_that_is_there(page: str) -> None:
    files = sorted(TESTS.rglob("test_*.py"))
    known = {file.stem for file in files} | {file.relative_to(HOME).as_posix() for file in files}
    functions = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    named = promised((HOME / "docs" / page).read_text())
    assert len(named) > 10
    begun = {name for name in named if name.endswith("...")}
    assert [name for name in named if name not in known | functions | begun] == []
    for name in begun:
        assert any(each.startswith(name.removesuffix("...")) for each in functions), name


def test_each_bound_of_the_security_page_has_its_test() -> None:
    text = (HOME / "docs" / "security.md").read_text()
    table = text.split("| what | limit | test |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert len(rows) > 8
    assert [what for what, bound, test in rows if not promised(test)] == []
