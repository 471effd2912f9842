"""What `pip install .` declares agrees with what is tested and with what the page needs."""

from __future__ import annotations

import importlib
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from webbduck_gradio.settings import HOME

PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]


def by_name(lines: list[str]) -> dict[str, Requirement]:
    found = (Requirement(line) for line in lines if line and not line.startswith(("#", "-r")))
    return {canonicalize_name(each.name): each for each in found}


def pinned(file: str) -> dict[str, Requirement]:
    return by_name((HOME / file).read_text().splitlines())


def test_each_pinned_package_is_a_dependency_and_fits_its_range() -> None:
    pins, ranges = pinned("requirements.txt"), by_name(PROJECT["project"]["dependencies"])
    assert pins.keys() == ranges.keys()
    for name, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "==" and exact.version in ranges[name].specifier, name


def test_the_tests_have_what_the_extras_name() -> None:
    pins = pinned("tests/requirements.txt")
    dev = by_name(EXTRAS["dev"])
    assert dev.pop("webbduck-gradio").extras == {"starter"}
    starter = by_name(EXTRAS["starter"])
    assert pins.keys() == dev.keys() | starter.keys()
    for name, each in (dev | starter).items():
        (exact,) = pins[name].specifier
        assert exact.version in each.specifier, name


def test_the_command_is_there() -> None:
    module, _, name = PROJECT["project"]["scripts"]["webbduck"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("kind", ["css", "gz", "html", "js", "svg"])
def test_files_of_each_kind_that_the_studio_reads_are_packaged(kind: str) -> None:
    assert list((HOME / "webbduck_gradio").rglob(f"*.{kind}"))
    assert f"*.{kind}" in PROJECT["tool"]["setuptools"]["package-data"]["*"]


def test_no_other_kind_of_file_is_read_by_the_studio() -> None:
    kinds = {path.suffix for path in (HOME / "webbduck_gradio").rglob("*.*") if path.is_file()}
    assert kinds - {".py", ".pyc"} == {".css", ".gz", ".html", ".js", ".md", ".svg", ".ts", ".webp"}, (
        ".md: for people; .ts: for editors and checks"
    )
