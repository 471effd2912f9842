"""Damaged, hostile and missing parts of other programs' folders: each is one sentence, and none raises."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import foreign_trees
import pytest

from webbduck_gradio.models.foreign.bounded_yaml import read_yaml
from webbduck_gradio.models.foreign.layouts import read_tree
from webbduck_gradio.models.foreign.reading import MAX_FOLDERS, MAX_PROBLEMS

BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 8)}]\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a\n  loras: *a\n",
        "a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a, *a]}}\n" for n in range(20_000)),
        "[" * 5000,
        "a: " + "[" * 40 + "]" * 40,
        "a:\n\t- x",
        "a: !!python/object/apply:os.system [x]\n  b",
        "%YAML 9\n---\n\x00",
        "? [a, b]\n: c\n" * 15_000,
    ],
    ids=["bomb", "endless alias", "merges", "open", "deep", "tab", "tag", "binary", "many"],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError):
        read_yaml(text)
    root = foreign_trees.comfyui(tmp_path / "c", text)
    tree = read_tree(root)
    assert tree.problems == ("extra_model_paths.yaml is not readable YAML; its folders are not read.",)
    assert [each.path.name for each in tree.folders if each.kind == "lora"] == ["loras"]


def test_yaml_that_is_read() -> None:
    """Texts stay texts, no tag has a meaning, and aliases and merges are followed."""
    text = "base: &b {loras: 2024, on: yes}\nl: [a, *b]\n"
    text += "mine:\n  <<: *b\n  vae: ~\n  x: !!python/name:os.system ''\n"
    assert read_yaml(text) == {
        "base": {"loras": "2024", "on": "yes"},
        "mine": {"loras": "2024", "on": "yes", "vae": None, "x": ""},
        "l": ["a", {"loras": "2024", "on": "yes"}],
    }
    assert read_yaml("") is None


@pytest.mark.parametrize(
    ("program", "file", "content", "problem"),
    [
        ("Fooocus", "config.txt", b"{", "config.txt is not valid JSON; its folders are not read."),
        ("Fooocus", "config.txt", b"[1]", None),
        ("Fooocus", "config.txt", b"[" * 100_000, "config.txt is not valid JSON; its folders are not read."),
        ("Fooocus", "config.txt", b" " * 2**21, "config.txt is larger than 1 MiB; its folders are not read."),
        ("Fooocus", "config.txt", b"\xff\xfe{", "config.txt is not UTF-8; its folders are not read."),
        ("Fooocus", "config.txt", None, "config.txt cannot be read (not a regular file)."),
        (
            "Fooocus",
            "config.txt",
            b'{"path_loras": ["a\\u0000b", "\\ud800", "$NOT_SET_9/x"]}',
            "named in config.txt",
        ),
        ("InvokeAI", "invokeai.yaml", b"{", "invokeai.yaml is not readable YAML; its folders are not read."),
        ("InvokeAI", "databases/invokeai.db", b"no database", "databases/invokeai.db cannot be read"),
        ("InvokeAI", "databases/invokeai.db", b"", "databases/invokeai.db cannot be read"),
        (
            "SwarmUI",
            "Data/Settings.fds",
            b"Paths:\n\tModelRoot: /nowhere/at all\n",
            "/nowhere/at all, named in",
        ),
        (
            "SwarmUI",
            "Data/Settings.fds",
            b"\xff",
            "Data/Settings.fds is not UTF-8; its folders are not read.",
        ),
        ("StabilityMatrix", "Data/settings.json", b"{", "Data/settings.json is not valid JSON"),
        (
            "A1111",
            "webui-user.sh",
            b"COMMANDLINE_ARGS='--ckpt-dir \\\\\\\\nas\\\\models'",
            "is not on this computer",
        ),
    ],
)
def test_settings_that_cannot_be_read(
    tmp_path: Path, program: str, file: str, content: bytes | None, problem: str | None
) -> None:
    root = foreign_trees.PROGRAMS[program](tmp_path / "x")
    path = root / file
    path.unlink(missing_ok=True)
    path.mkdir() if content is None else path.write_bytes(content)
    tree = read_tree(root)
    assert tree.program == program
    assert bool(tree.problems) == bool(problem) and all((problem or "") in each for each in tree.problems)
    "".join(tree.problems).encode()
    if program not in ("InvokeAI", "SwarmUI"):
        assert any(each.kind == "lora" for each in tree.folders)


def test_a_pipe_is_no_settings_file(tmp_path: Path) -> None:
    root = foreign_trees.fooocus(tmp_path / "f")
    os.mkfifo(root / "config.txt")
    assert read_tree(root).problems == ("config.txt cannot be read (not a regular file).",)


def test_records_of_invokeai_that_make_no_sense(tmp_path: Path) -> None:
    root = foreign_trees.invokeai(tmp_path / "i")
    good = read_tree(root).folders
    with sqlite3.connect(root / "databases" / "invokeai.db") as database:
        database.execute("DROP TABLE models")
        database.execute("CREATE TABLE models (id, config)")
        records = [
            (None, None),
            (b"\xff", "{}"),
            ("a", "[]"),
            ("b", "{"),
            ("c", '{"type": "lora", "path": 3}'),
            ("d", '{"type": "lora", "path": "a\\u0000b", "name": "x"}'),
            ("e", '{"type": ["lora"], "path": "x"}'),
            ("f", '{"type": "lora", "path": "gone/x.safetensors", "name": "Gone"}'),
            ("../../g", '{"type": "main", "path": "' + next(iter(good[0].only or ())) + '"}'),
        ]
        database.executemany("INSERT INTO models VALUES (?, ?)", records)
    database.close()
    tree = read_tree(root)
    assert tree.problems == (
        "a\\x00b, named in databases/invokeai.db, is not a path that can be read.",
        "The file of Gone is not at the place that InvokeAI notes.",
    )
    (folder,) = tree.folders
    assert (folder.kind, list(folder.names.values())) == ("checkpoint", ["-..-g"])


def test_an_endless_query_is_given_up(tmp_path: Path) -> None:
    root = foreign_trees.invokeai(tmp_path / "i")
    with sqlite3.connect(root / "databases" / "invokeai.db") as database:
        database.execute("DROP TABLE models")
        database.execute(
            "CREATE VIEW models AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS id, '' AS config FROM n WHERE i < 0"
        )
    database.close()
    assert "databases/invokeai.db cannot be read" in read_tree(root).problems[0]


def test_links_that_lead_in_circles_or_nowhere(tmp_path: Path) -> None:
    root = foreign_trees.comfyui(tmp_path / "c")
    (root / "models" / "vae" / "fix.safetensors").unlink()
    (root / "models" / "vae").rmdir()
    (root / "models" / "vae").symlink_to(tmp_path / "unmounted")
    (root / "models" / "wildcards").symlink_to(root / "models" / "wildcards")
    (root / "ComfyUI").symlink_to(root)
    shutil.rmtree(root / "custom_nodes")
    (root / "custom_nodes").symlink_to(tmp_path / "unmounted")
    tree = read_tree(root)
    assert [each.path.name for each in tree.folders if each.kind in ("vae", "lora")] == ["loras"]
    assert tree.problems == (
        "models/vae leads to something that is not there.",
        "models/wildcards leads to something that is not there.",
        "custom_nodes leads to something that is not there.",
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the system lets this user read everything")
def test_folders_that_may_not_be_read(tmp_path: Path) -> None:
    root = foreign_trees.comfyui(tmp_path / "c")
    (root / "models" / "loras").chmod(0)
    try:
        tree = read_tree(root)
    finally:
        (root / "models" / "loras").chmod(0o755)
    assert tree.problems == ("models/loras cannot be read (permission denied).",)
    assert any(each.kind == "lora" for each in tree.folders)  # so that it is listed once it can be


def test_names_that_are_no_text(tmp_path: Path) -> None:
    root = foreign_trees.a1111(tmp_path / "a")
    os.mkdir(os.fsencode(root / "extensions") + b"/\xff")
    os.mkdir(os.fsencode(root / "extensions") + b"/\xff/wildcards")
    assert read_tree(root).problems == ()
    misnamed = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe"))
    foreign_trees.comfyui(misnamed)
    tree = read_tree(misnamed)
    assert not tree.folders and all("is left out" in each for each in tree.problems)


def test_what_is_found_is_bounded(tmp_path: Path) -> None:
    lines = ""
    for number in range(MAX_FOLDERS + 20):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
        lines += f"    many/{number}\n    none/{number}\n"
    tree = read_tree(foreign_trees.text(tmp_path / "paths.yaml", f"a:\n  loras: |\n{lines}"))
    assert len(tree.folders) == MAX_FOLDERS and len(tree.problems) == MAX_PROBLEMS + 1
    assert (
        tree.problems[-1]
        == f"{2 * (MAX_FOLDERS + 20) - MAX_FOLDERS - MAX_PROBLEMS} more such things are not listed."
    )


def test_mutated_settings_never_raise(tmp_path: Path) -> None:
    """Two hundred settings files with bytes changed, cut out and doubled."""
    roots = {
        "extra_model_paths.yaml": foreign_trees.comfyui(
            tmp_path / "c", "a:\n  base_path: ../x\n  loras: |\n    y\n"
        ),
        "config.txt": foreign_trees.fooocus(tmp_path / "f", {"path_loras": ["../x"], "path_vae": "../y"}),
        "Data/Settings.fds": foreign_trees.swarmui(tmp_path / "s", "\tModelRoot: ../x;Models\n"),
        "webui-user.sh": foreign_trees.a1111(tmp_path / "a", "--lora-dir '../x y' --ckpt-dir=z"),
        "databases/invokeai.db": foreign_trees.invokeai(tmp_path / "i"),
    }
    rng = random.Random(19)
    for name, root in roots.items():
        whole = (root / name).read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 6)):
                at = rng.randrange(len(data))
                data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 4))
            (root / name).write_bytes(data)
            tree = read_tree(root)
            assert tree.label and len(tree.problems) <= MAX_PROBLEMS + 1, data
            "".join(tree.problems).encode()
