"""The house's floors: what may import what, how long a file may be.

The imports are read, not run: those inside functions and under TYPE_CHECKING count as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "webbduck_gradio"

FLOORS = (
    ("__main__", "benchmarks", "starter"),
    ("cli",),
    ("web",),
    ("ui",),
    ("api",),
    ("services",),
    ("jobs",),
    ("core", "gallery"),
    ("models",),
    ("storage",),
    ("request", "settings"),
    ("collector", "errors", "logging_setup", "__init__"),
)
"""From the top. An import goes to a floor below, or stays within its own package."""
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

LIBRARIES = {
    ("torch", "torchsde", "diffusers", "transformers", "peft", "accelerate", "spandrel"): (
        "core",
        "starter",
        "benchmarks",
    ),
    ("gradio",): ("ui", "api", "web"),
    ("gradio_client",): ("ui", "api", "web", "benchmarks"),
    ("skia",): ("starter",),
}
"""Who may import a library, in whatever way."""

MAX_LINES = 400
MAX_COLUMNS = 110

Arrow = tuple[str, str]


def _files() -> dict[str, Path]:
    """Every module of the package by its name without the package's, which itself is `__init__`."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name or "__init__"] = path
    return found


FILES = _files()


def _imported(name: str, tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, `webbduck_gradio.` included; of `from x import y` x.y too."""
    package = [PACKAGE, *(() if name == "__init__" else name.split("."))]
    if FILES[name].name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{each.name}" for each in node.names)


IMPORTS = {name: set(_imported(name, ast.parse(path.read_text()))) for name, path in FILES.items()}


def _arrows() -> set[Arrow]:
    """Which module imports which. `from package import module` points at the module alone."""
    arrows = set()
    for name, imported in IMPORTS.items():
        ours = {each.removeprefix(f"{PACKAGE}.") for each in imported if each.startswith(f"{PACKAGE}.")}
        found = {each for each in ours if each in FILES}
        packages = {each for each in found if FILES[each].name == "__init__.py"}
        for package in packages:
            # The package itself is meant where a name comes from it that is no module.
            inner = {each for each in ours if each.rpartition(".")[0] == package}
            if inner and inner <= FILES.keys():
                found.discard(package)
        if f"{PACKAGE}.__version__" in imported:
            found.add("__init__")
        arrows |= {(name, each) for each in found if each != name}
    return arrows


ARROWS = _arrows()


def _top(name: str) -> str:
    return name.partition(".")[0]


def test_imports_are_found():
    """The reading itself: late imports, relative ones, those of a package and those of its modules."""
    tree = ast.parse(
        "import torch.nn\nfrom ..errors import X\nfrom . import loop\ndef f():\n    from ...web import csp"
    )
    assert set(_imported("core.sampling.loop", tree)) == {
        "torch.nn",
        f"{PACKAGE}.core.errors",
        f"{PACKAGE}.core.errors.X",
        f"{PACKAGE}.core.sampling",
        f"{PACKAGE}.core.sampling.loop",
        f"{PACKAGE}.web",
        f"{PACKAGE}.web.csp",
    }
    assert ("web.server", "ui.page") in ARROWS
    assert ("services", "core.image_generator") in ARROWS  # inside a function


def test_every_module_is_on_a_floor():
    assert {_top(name) for name in FILES} <= FLOOR_OF.keys()


def test_imports_go_down():
    def is_upward(arrow: Arrow) -> bool:
        upper, lower = map(_top, arrow)
        return upper != lower and FLOOR_OF[lower] <= FLOOR_OF[upper]

    assert sorted(filter(is_upward, ARROWS)) == []


def test_imports_go_round_in_no_circle():
    left = {name: {lower for upper, lower in ARROWS if upper == name} for name in FILES}
    while free := {name for name, below in left.items() if not below & left.keys()}:
        left = {name: below for name, below in left.items() if name not in free}
    # What is left lies on a circle, or above one.
    while free := {name for name in left if not any(name in below for below in left.values())}:
        left = {name: below for name, below in left.items() if name not in free}
    assert {name: sorted(below & left.keys()) for name, below in left.items()} == {}


@pytest.mark.parametrize("libraries", LIBRARIES, ids=lambda names: names[0])
def test_libraries_stay_on_their_floor(libraries):
    users = {
        (name, each)
        for name, imported in IMPORTS.items()
        for each in imported
        if _top(each) in libraries and _top(name) not in LIBRARIES[libraries]
    }
    assert sorted(users) == []


TEXTS = [path for path in (ROOT / PACKAGE).rglob("*") if path.suffix in (".py", ".js", ".css", ".html")]


def test_no_file_is_long():
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in TEXTS
        if (lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


def test_no_line_of_a_script_is_long():
    long = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in TEXTS
        if path.suffix == ".js"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert long == []
