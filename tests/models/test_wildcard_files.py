"""The files of wildcards/: read within limits, edited without losing anything, and nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.models import wildcards
from webbduck_gradio.models.wildcard_edits import MAX_EDITED, WildcardEditor
from webbduck_gradio.models.wildcards import MAX_BYTES, WildcardFolder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "secret.txt").write_text("secret\n")
    return tmp_path / "wildcards"


@pytest.fixture
def lists(root: Path) -> WildcardFolder:
    return WildcardFolder(root)


@pytest.fixture
def editor(lists: WildcardFolder, tmp_path: Path) -> WildcardEditor:
    return WildcardEditor(lists, tmp_path / "kept")


def texts(lists: WildcardFolder, name: str) -> list[str]:
    return [each.text for each in lists.values(name).all]


def test_what_is_listed_and_what_is_seen_when_it_changes(root: Path, lists: WildcardFolder) -> None:
    assert lists.lists() == ()
    (root / "sub").mkdir()
    (root / "sub" / "bird.txt").write_text("\ufeff0.5::duck\n # comment\n goose \n")
    (root / "tree.yml").write_text("a: {b: [x, 1, true, [y]]}\nc: text\n")
    (root / ".hidden.txt").write_text("x")
    (root / "list.json").write_text('["p", "q"]')
    assert [(each.name, each.lines, each.file) for each in lists.lists()] == [
        ("a/b", 2, "tree.yml"),
        ("list", 2, "list.json"),
        ("sub/bird", 2, "sub/bird.txt"),
    ]
    (said,) = lists.problems()
    assert said == "tree.yml: c, a/b/3, a/b/4 are left out; a tree holds lists of words only."
    duck, goose = lists.values("sub/bird").all
    assert (duck.text, duck.weight, duck.line, goose.text, goose.line) == ("duck", 0.5, 1, "goose", 3)
    (root / "sub" / "bird.txt").write_text("only swans\n")
    assert texts(lists, "sub/bird") == ["only swans"]
    (root / "sub" / "bird.txt").rename(root / "sub" / "new.txt")
    with pytest.raises(NotFoundError, match="no wildcard named"):
        lists.values("sub/bird")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("a.txt", b"\xff\xfe\x00x", "a.txt cannot be read as text; save it as UTF-8."),
        ("a.txt", b"x\n" * (MAX_BYTES // 2 + 1), "a.txt is larger than 8 MiB; split it."),
        ("a.txt", b"x\n" * 200_001, "a.txt has more than 200,000 values; split it."),
        ("a.yaml", b"a: [", "a.yaml is not a readable tree of lists; correct it."),
        ("a.yaml", b"!!python/object/apply:os.system ['true']", "a.yaml is not a readable tree"),
        ("a.yaml", b"a: &a [x]\n" + b"".join(
            b"%c: &%c {p: *%c, q: *%c}\n" % (n, n, n - 1, n - 1) for n in range(ord("b"), ord("z"))
        ), "more than"),
        ("a.yaml", b"a: &a {" + b"".join(b"%d: [x], " % n for n in range(20_000)) + b"}\n" + b"".join(
            b"%d: {<<: *a}\n" % n for n in range(20_000)
        ), "more than"),
        ("a.yaml", b"a: &a {<<: *a}", "a.yaml is not a readable tree"),
        ("a.json", b"[" * 100_000, "a.json is not a readable tree of lists; correct it."),
    ],
)  # fmt: skip
def test_what_cannot_be_used(root: Path, lists: WildcardFolder, file: str, content: bytes, said: str) -> None:
    (root / file).write_bytes(content)
    (found,) = lists.lists()
    assert found.name == "a" and said in (found.unusable or "")
    with pytest.raises(ModelError, match=r"^a\."):
        lists.values("a")


def test_files_beyond_the_most_are_said(
    root: Path, lists: WildcardFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wildcards, "MAX_FILES", 2)
    for name in ("a.txt", "b.txt", "c.txt", "d.yaml"):
        (root / name).write_text("- x\n")
    (said,) = lists.problems()
    assert said.startswith("wildcards/ has more than 2 files, so c.txt and 1 more are left out")
    assert texts(lists, "a") == ["- x"] and texts(lists, "c") == ["- x"]
    for name in ("d", "*"):
        with pytest.raises(ModelError, match="more than 2 files"):
            lists.values(name)
    with pytest.raises(NotFoundError):
        lists.values("e")


def test_nothing_outside_is_read(root: Path, lists: WildcardFolder, editor: WildcardEditor) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent)
    assert lists.lists() == ()
    for name in ("link", "../secret", "folder/secret", "/etc/passwd", "..", "sub\0"):
        with pytest.raises(NotFoundError):
            lists.values(name)
        with pytest.raises(RequestError):
            editor.read(f"{name}.txt")


NAMES = [
    "../x.txt", "a/../../x.txt", "/x.txt", "x\0.txt", ".x.txt", "a/.b/x.txt", "C:x.txt", "a\\x.txt",
    "folder/x.txt", "a__b.txt", "", " ", "x" * 300, 5, None, "con|.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_is_written(root: Path, editor: WildcardEditor, name: object) -> None:
    (root / "folder").symlink_to(root.parent)
    before = {path: path.is_file() and path.read_bytes() for path in root.parent.rglob("*")}
    with pytest.raises(RequestError):
        editor.create(name, "x")
    (root / "a.txt").write_text("a")
    with pytest.raises(RequestError):
        editor.rename("a.txt", name)
    (root / "a.txt").unlink()
    assert {path: path.is_file() and path.read_bytes() for path in root.parent.rglob("*")} == before


def test_edits_can_be_undone(root: Path, lists: WildcardFolder, editor: WildcardEditor) -> None:
    made = editor.create("animals/birds", "duck\r\n")
    assert (made.file, made.text) == ("animals/birds.txt", "duck\n")
    assert texts(lists, "animals/birds") == ["duck"]
    saved, version = editor.save(made.file, "goose\n", made.stamp)
    assert texts(lists, "animals/birds") == ["goose"]
    back = editor.restore(version, saved.stamp)
    assert back.text == "duck\n" and texts(lists, "animals/birds") == ["duck"]
    deleted = editor.delete(made.file, back.stamp)
    assert lists.lists() == ()
    assert editor.restore(deleted, "").text == "duck\n"
    named = editor.rename(made.file, "animals/water/fowl")
    assert named.file == "animals/water/fowl.txt" and texts(lists, "animals/water/fowl") == ["duck"]
    assert not (root / "animals" / "birds.txt").exists()


def test_nothing_is_replaced_that_was_not_seen(root: Path, editor: WildcardEditor) -> None:
    made = editor.create("a", "one")
    (root / "a.txt").write_text("of another program")
    for edit in (lambda: editor.save("a.txt", "two", made.stamp), lambda: editor.delete("a.txt", made.stamp)):
        with pytest.raises(RequestError, match=r"a\.txt was changed meanwhile"):
            edit()
    with pytest.raises(RequestError, match="already"):
        editor.create("a", "two")
    editor.create("b", "b")
    with pytest.raises(RequestError, match="already"):
        editor.rename("b.txt", "a.txt")
    with pytest.raises(RequestError, match=r"must end in \.txt"):
        editor.rename("b.txt", "c.json")
    with pytest.raises(RequestError, match="at most 1,024 KiB"):
        editor.create("c", "x" * (MAX_EDITED + 1))
    with pytest.raises(NotFoundError):
        editor.restore("../../secret", "")
    assert (root / "a.txt").read_text() == "of another program"
    assert sorted(path.name for path in root.iterdir()) == ["a.txt", "b.txt"]
