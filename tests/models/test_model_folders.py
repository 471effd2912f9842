"""Which folders of other programs are read, and under which labels: `ForeignTrees`."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import foreign_trees
import pytest

from webbduck_gradio.errors import NameTakenError, NotFoundError, RequestError
from webbduck_gradio.models.foreign.known_trees import ForeignTrees
from webbduck_gradio.settings import Settings


def stored(settings: Settings) -> dict[str, str]:
    content = json.loads((settings.data_dir / "model-folders.json").read_text())
    return {each["label"]: each["path"] for each in content["folders"]}


def test_folders_are_given_added_and_removed(settings: Settings, tmp_path: Path) -> None:
    given, other = foreign_trees.comfyui(tmp_path / "c"), foreign_trees.comfyui(tmp_path / "c2")
    settings = dataclasses.replace(settings, models_from=(given,))
    trees = ForeignTrees(settings)
    checked = trees.check(other)
    assert (checked.program, checked.label) == ("ComfyUI", "ComfyUI-2") and len(trees.trees()) == 1
    assert trees.add(other).label == "ComfyUI-2"
    assert [each.label for each in trees.trees()] == ["ComfyUI", "ComfyUI-2"]
    assert [each.origin for each in trees.folders("lora")] == ["ComfyUI", "ComfyUI-2"]
    assert trees.given == {"ComfyUI"} and stored(settings) == {"ComfyUI": str(given), "ComfyUI-2": str(other)}

    # Labels stay, whatever is given and in whatever order.
    added_only = ForeignTrees(dataclasses.replace(settings, models_from=()))
    assert [each.label for each in added_only.trees()] == ["ComfyUI-2"]
    a1111 = foreign_trees.a1111(tmp_path / "a")
    more = ForeignTrees(dataclasses.replace(settings, models_from=(a1111, given)))
    assert [each.label for each in more.trees()] == ["A1111", "ComfyUI", "ComfyUI-2"]

    with pytest.raises(RequestError, match="is given by --models-from"):
        trees.remove("ComfyUI")
    with pytest.raises(NotFoundError, match="no model folder named 'x'"):
        trees.remove("x")
    assert trees.remove("ComfyUI-2") == other and [each.label for each in trees.trees()] == ["ComfyUI"]
    assert trees.add(other, "ComfyUI-2").label == "ComfyUI-2"
    assert trees.folders("lora")[1].path == other / "models" / "loras"


def test_a_label_is_free_and_can_be_one(settings: Settings, tmp_path: Path) -> None:
    (settings.loras / "A1111").mkdir(parents=True)
    trees = ForeignTrees(settings)
    folder = foreign_trees.a1111(tmp_path / "a")
    for label, free in (("a1111", "a1111-2"), ("a/b:<c>", "a-b-c"), ("x" * 61, "x" * 40)):
        with pytest.raises(NameTakenError, match=f"; {free} is (free|possible)\\.$") as refused:
            trees.add(folder, label)
        assert refused.value.free == free
    assert trees.add(folder).label == "A1111-2"  # as an own folder has the other
    assert trees.add(foreign_trees.a1111(tmp_path / "c"), "Mine").label == "Mine"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("relative", "Give the whole path"),
        ("", "Give the whole path"),
        ("/a\0b", "Give the whole path"),
        ("{tmp}/none", "'none' is not there"),
        ("{tmp}/c/main.py", "is not a folder"),
        ("{tmp}/c", "read already, as ComfyUI"),
        ("{tmp}/link", "read already, as ComfyUI"),
        ("{tmp}/c/models/loras", "lies in a folder that is read already, as ComfyUI"),
        ("{loras}", "the studio's own"),
        ("{loras}/sub", "the studio's own"),
        ("~", "far more than models"),
        ("/", "far more than models"),
    ],
)
def test_what_cannot_be_added(settings: Settings, tmp_path: Path, path: str, why: str) -> None:
    (settings.loras / "sub").mkdir(parents=True)
    foreign_trees.text(tmp_path / "c" / "main.py", "")
    foreign_trees.text(tmp_path / "c" / "folder_paths.py", "")
    (tmp_path / "c" / "comfy").mkdir()
    (tmp_path / "c" / "models" / "loras").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "c")
    trees = ForeignTrees(settings)
    trees.add(tmp_path / "c")
    before = stored(settings)
    for act in (trees.check, trees.add):
        with pytest.raises(RequestError, match=why) as refused:
            act(path.format(tmp=tmp_path, loras=settings.loras))
        assert str(tmp_path) not in str(refused.value)
    assert stored(settings) == before


def test_nothing_is_read_twice(settings: Settings, tmp_path: Path) -> None:
    """ComfyUI's YAML names A1111's folders, and a folder of A1111 leads to our own."""
    a1111 = foreign_trees.a1111(tmp_path / "a")
    settings.loras.mkdir(parents=True, exist_ok=True)
    (a1111 / "models" / "LyCORIS").symlink_to(settings.loras)
    extra = f"a111:\n  base_path: {a1111}\n  loras: models/Lora\n  checkpoints: models/Stable-diffusion\n"
    comfyui = foreign_trees.comfyui(tmp_path / "c", extra)
    trees = ForeignTrees(dataclasses.replace(settings, models_from=(a1111, comfyui)))
    first, second = trees.trees()
    assert [each.path.name for each in first.folders if each.kind == "lora"] == ["Lora"]
    assert [each.path.name for each in second.folders if each.kind == "lora"] == ["loras"]
    assert first.problems == ("LyCORIS is the studio's own folder or holds it; it is left out.",)
    assert "Lora (lora) is read already, as A1111." in second.problems


def test_a_tree_is_read_again_when_it_has_changed(settings: Settings, tmp_path: Path) -> None:
    comfyui = foreign_trees.comfyui(tmp_path / "c", "mine:\n  loras: ../more\n")
    trees = ForeignTrees(dataclasses.replace(settings, models_from=(comfyui,)))
    before = trees.trees()
    assert "named in extra_model_paths.yaml, is not there" in before[0].problems[0]
    foreign_trees.lora(comfyui / "models" / "loras" / "new.safetensors")  # the catalog's business
    assert not trees.is_stale() and trees.trees() is before
    (tmp_path / "more").mkdir()
    assert trees.is_stale()
    assert trees.folders("lora")[1].path == tmp_path / "more" and not trees.trees()[0].problems
    foreign_trees.text(comfyui / "extra_model_paths.yaml", "")
    assert len(trees.folders("lora")) == 1


def test_what_was_read_stays_while_a_drive_is_away(settings: Settings, tmp_path: Path) -> None:
    comfyui = foreign_trees.comfyui(tmp_path / "c")
    trees = ForeignTrees(dataclasses.replace(settings, models_from=(comfyui,)))
    folders = trees.trees()[0].folders
    os.rename(comfyui, tmp_path / "away")
    assert trees.trees()[0].folders == folders and "not there" in trees.trees()[0].problems[0]
    comfyui.mkdir()  # where a drive would be mounted
    assert trees.trees()[0].folders == folders and trees.trees()[0].program == "ComfyUI"
    comfyui.rmdir()
    shutil.move(tmp_path / "away", comfyui)
    assert trees.trees()[0].folders == folders and not trees.trees()[0].problems


def test_a_drive_of_a_part_of_the_models(settings: Settings, tmp_path: Path) -> None:
    """Behind a link and a settings file; a folder that was removed is none that is away."""
    disk, mounted = tmp_path / "disk", tmp_path / "mounted"
    (disk / "checkpoints").mkdir(parents=True)
    (disk / "loras").mkdir()
    (disk / "vae").mkdir()
    comfyui = foreign_trees.comfyui(tmp_path / "c", f"mine:\n  base_path: {mounted}\n  loras: loras\n")
    shutil.rmtree(comfyui / "models" / "checkpoints")
    (comfyui / "models" / "checkpoints").symlink_to(mounted / "checkpoints")
    os.rename(disk, mounted)
    trees = ForeignTrees(dataclasses.replace(settings, models_from=(comfyui,)))
    whole = trees.trees()[0].folders
    os.rename(mounted, disk)
    mounted.mkdir()
    shutil.rmtree(comfyui / "models" / "vae")
    (tree,) = trees.trees()
    assert {each.path for each in whole} - {each.path for each in tree.folders} == {
        comfyui / "models" / "vae"
    }
    assert "loras is not there now; what was known of it is kept." in tree.problems
    mounted.rmdir()
    os.rename(disk, mounted)
    (tree,) = trees.trees()
    assert not tree.problems and {each.path for each in tree.folders} < {each.path for each in whole}


ENTRY = '{"path": "/a", "label": "b", "added": true}'


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"folders": [{"path": "a", "label": "b", "added": true}]}',
        f'{{"folders": [{ENTRY}, {ENTRY}]}}',
    ],
)
def test_a_damaged_file_is_kept(settings: Settings, tmp_path: Path, content: str) -> None:
    file = foreign_trees.text(settings.data_dir / "model-folders.json", content)
    trees = ForeignTrees(dataclasses.replace(settings, models_from=(foreign_trees.comfyui(tmp_path / "c"),)))
    assert [each.label for each in trees.trees()] == ["ComfyUI"]
    assert trees.problems and file.read_text() == content
    with pytest.raises(RequestError, match=r"model-folders\.json cannot be read"):
        trees.add(foreign_trees.a1111(tmp_path / "a"))
    assert file.read_text() == content
