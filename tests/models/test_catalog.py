"""What the catalog remembers, computes and writes down: restarts, hashes, JSON files, others' notes."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from lora_files import make_lora
from model_files import SDXL, kohya, save
from running import STARTER, wait_until

from webbduck_gradio.benchmarks.catalog import write_lora
from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.models.catalog.config_file import EditConflictError
from webbduck_gradio.models.catalog.defaults import NOTED
from webbduck_gradio.models.catalog.hashes import autov2, autov3
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.probe import pool
from webbduck_gradio.settings import Settings


def table(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def loras_json(settings: Settings) -> Path:
    return settings.loras / "loras.json"


# -- a restart -----------------------------------------------------------------------------------------


def test_a_restart_reads_only_what_changed(settings: Settings) -> None:
    for number in range(5):
        write_lora(settings.loras / f"{number}.safetensors", number, 4 + number % 2)
    (settings.loras / "2.json").write_text('{"activation text": "beside"}')
    first = Registry(settings)
    assert first.headers_read == 7  # the starter, five LoRAs, a note
    again = Registry(settings)
    assert again.headers_read == 0
    assert (again.loras(), again.checkpoints()) == (first.loras(), first.checkpoints())
    assert again.lora("2").trigger == "beside"
    write_lora(settings.loras / "3.safetensors", 30, 8)
    (settings.loras / "4.safetensors").unlink()
    third = Registry(settings)
    assert third.headers_read == 1 and len(third.loras()) == 4


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100])
def test_a_damaged_memory_is_made_anew(settings: Settings, damage: bytes) -> None:
    write_lora(settings.loras / "a.safetensors", 1, 4)
    Registry(settings)
    memory = settings.data_dir / "catalog.sqlite3"
    memory.write_bytes(damage)
    for more in settings.data_dir.glob("catalog.sqlite3-*"):
        more.unlink()
    assert [lora.name for lora in Registry(settings).loras()] == ["a"]
    assert Registry(settings).headers_read == 0


def test_many_files_are_read_by_several_processes_with_the_same_result(settings: Settings) -> None:
    paths = [settings.loras / f"{number}.safetensors" for number in range(2 * pool.WORTH_A_PROCESS)]
    for number, path in enumerate(paths):
        save(path, kohya(2048 if number % 3 else 768), {"modelspec.trigger_phrase": f"word {number}"})
    paths[7].write_bytes(b"<html>")
    wanted = [("lora", str(path)) for path in paths]
    together = pool.read_many(wanted)
    assert together == [pool.read_one(*each) for each in wanted]
    assert "web page" in together[7]["reason"] and together[8]["found"]["trigger"] == "word 8"


# -- hashes --------------------------------------------------------------------------------------------


def test_hashes_are_those_of_other_tools(settings: Settings) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    lora = make_lora(settings.loras / "a.safetensors", starter, {"sshs_model_hash": "e3b0c44298fc"})
    model = save(settings.checkpoints / "sdxl" / "b.safetensors", SDXL)
    data = lora.read_bytes()
    weights = data[8 + int.from_bytes(data[:8], "little") :]
    v3, v2 = hashlib.sha256(weights).hexdigest()[:12], hashlib.sha256(model.read_bytes()).hexdigest()[:10]
    assert (autov3(lora), autov2(model)) == (v3, v2)
    registry = Registry(settings)
    assert registry.lora("a").hash is None
    registry.hashes.start()
    try:
        wait_until(lambda: registry.lora("a").hash and registry.checkpoint("b").hash)
        assert (registry.lora("a").hash, registry.checkpoint("b").hash) == (v3, v2)
        assert registry.known_hashes("b", ["a", "none"]) == {"model_hash": v2, "lora_hashes": {"a": v3}}
        assert registry.known_hashes(STARTER, []) == {}
        whole, of_weights = hashlib.sha256(data).hexdigest(), hashlib.sha256(weights).hexdigest()
        for named in (whole[:10], whole[:12], whole, of_weights[:10], f"0x{of_weights}"):
            assert registry.lora_called(named)[0].name == "a", "by either hash, as sites and programs give it"
        assert registry.lora_called("whatever [" + whole[:10] + "]")[1] == "hash"
        with pytest.raises(NotFoundError):
            registry.lora_called("e3b0c44298fc")
        assert Registry(settings).lora("a").hash == v3, "kept over a restart"
        make_lora(lora, starter, {"other": "metadata"})
        os.truncate(make_lora(lora, starter), 10)
        make_lora(lora, starter, {"and": "again"})
        registry.refresh()
        wait_until(lambda: registry.lora("a").hash == v3, 60)  # metadata is not part of it
    finally:
        registry.hashes.stop()


# -- loras.json and models.json ------------------------------------------------------------------------

FIRST_VERSION_LORAS = """{
    "crayon": {
        "file": "crayon.safetensors",
        "trigger": "in crayon",
        "weight": 0.7,
        "description": "wax \\u0026 paper",
        "arch": "sdxl",
        "rating": [5, {"by": "me"}]
    },
    "Old Name": {"file": "styles/ink.safetensors", "trigger": "", "weight": 1},
    "gone": {"file": "gone.safetensors", "trigger": "was here", "weight": 0.3, "description": "kept"}
}"""


def test_an_installation_of_the_first_version_works_unchanged(settings: Settings, loras_json: Path) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    for name in ("crayon", "styles/ink", "new"):
        make_lora(
            settings.loras / f"{name}.safetensors", starter, {"modelspec.trigger_phrase": "of the file"}
        )
    loras_json.write_text(FIRST_VERSION_LORAS)
    models = settings.checkpoints / "sdxl" / "models.json"
    old = {"gone": {"defaults": {"steps": 50}, "x": 1}, STARTER: {"defaults": {"cfg": 4}}}
    models.write_text(json.dumps(old))
    registry = Registry(settings)
    crayon, ink, new = (registry.lora(name) for name in ("crayon", "styles/ink", "new"))
    assert (crayon.trigger, crayon.weight, crayon.description) == ("in crayon", 0.7, "wax & paper")
    assert ink.trigger == "", "an empty trigger is a wish: nothing is added to the prompt"
    assert new.trigger == "of the file" and registry.checkpoint(STARTER).defaults.cfg == 4
    assert registry.problems == ()
    assert (registry.missing_loras, registry.missing_checkpoints) == (("gone",), ("gone",))
    before, after = json.loads(FIRST_VERSION_LORAS), table(loras_json)
    assert list(after) == ["crayon", "Old Name", "gone", "new"]
    assert after.pop("new") == {
        "file": "new.safetensors",
        "trigger": None,
        "weight": None,
        "description": None,
    }
    assert after.pop("gone") == before.pop("gone") | {"missing": True}
    assert after == before and list(after["crayon"]) == list(before["crayon"])
    assert table(models)["gone"] == {"defaults": {"steps": 50}, "x": 1, "missing": True}
    with pytest.raises(NotFoundError):
        registry.lora("gone")


def test_both_files_are_made_where_they_are_missing(settings: Settings, loras_json: Path) -> None:
    Registry(settings)
    assert table(loras_json) == {}
    settings_of = {"defaults": dict.fromkeys(NOTED)}
    assert table(settings.checkpoints / "sdxl" / "models.json") == {STARTER: settings_of}
    stamp = loras_json.stat().st_mtime_ns
    Registry(settings)
    assert loras_json.stat().st_mtime_ns == stamp, "nothing to say, nothing written"


def test_edits_are_saved_and_nothing_else_is_touched(settings: Settings, loras_json: Path) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "styles" / "ink.safetensors", starter, {"modelspec.trigger_phrase": "ink"})
    loras_json.write_text('{"Mine": {"hue": 3, "file": "styles/ink.safetensors"}, "note": "a person\'s"}')
    loras_json.chmod(0o640)
    registry = Registry(settings)
    assert registry.problems == ("loras.json: the entry 'note' must be a JSON object; it has no effect.",)
    registry.edit_lora(
        "styles/ink", {"trigger": "wash", "weight": -0.25, "description": " a\nb ", "tags": ["x"]}
    )
    registry.edit_lora("styles/ink", {"favourite": True})
    lora = registry.lora("styles/ink")
    assert (lora.trigger, lora.weight, lora.description) == ("wash", -0.25, "a\nb")
    assert lora.tags == ("x",) and lora.favourite
    assert table(loras_json)["note"] == "a person's" and table(loras_json)["Mine"]["hue"] == 3
    assert stat.S_IMODE(loras_json.stat().st_mode) == 0o640
    registry.edit_lora("styles/ink", {"trigger": None})
    assert registry.lora("styles/ink").trigger == "ink"
    registry.edit_checkpoint(STARTER, {"steps": 9, "scheduler": "Heun"})
    registry.edit_checkpoint(STARTER, {"cfg": 2.5})
    defaults = registry.checkpoint(STARTER).defaults
    assert (defaults.steps, defaults.scheduler, defaults.cfg) == (9, "Heun", 2.5)
    registry.edit_checkpoint(STARTER, dict.fromkeys(("steps", "cfg", "scheduler")))
    assert registry.checkpoint(STARTER).defaults == registry.checkpoint(STARTER).suggested
    assert [each.name for each in settings.loras.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": 3}, "default weight must be a number from -2 to 2"),
        ({"weight": True}, "default weight"),
        ({"weight": float("nan")}, "default weight"),
        ({"trigger": 5}, "trigger must be text"),
        ({"trigger": "x" * 501}, "501 characters"),
        ({"description": "a\0b"}, "description must be text"),
        ({"description": "\ud800"}, "broken character"),
        ({"tags": "a"}, "list of texts"),
        ({"favourite": 1}, "true or false"),
        ({"file": "/etc/passwd"}, "no 'file' to change"),
    ],
)
def test_edits_that_cannot_be(settings: Settings, loras_json: Path, changes: dict, words: str) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    registry = Registry(settings)
    before = loras_json.read_bytes()
    with pytest.raises(RequestError, match=words):
        registry.edit_lora("ink", changes)
    assert loras_json.read_bytes() == before
    with pytest.raises(NotFoundError):
        registry.edit_lora("../ink", {"weight": 1})
    with pytest.raises(RequestError, match="steps must be a whole number"):
        registry.edit_checkpoint(STARTER, {"steps": 0})
    with pytest.raises(RequestError, match="no default 'seed'"):
        registry.edit_checkpoint(STARTER, {"seed": 0})


def test_a_broken_file_is_left_also_by_edits(settings: Settings, loras_json: Path) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    loras_json.write_text('{"ink": {"weight": 0.5},}')
    registry = Registry(settings)
    assert registry.problems == ("loras.json is not valid JSON (line 1); it is left as it is.",)
    with pytest.raises(ModelError, match=r"left as it is\. Repair it to save changes here\."):
        registry.edit_lora("ink", {"weight": 1})
    assert loras_json.read_text() == '{"ink": {"weight": 0.5},}'


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "must contain a JSON object"),
        ("null", "must contain a JSON object"),
        ('"text"', "must contain a JSON object"),
        ('{"ink": {"weight": 1}, "ink": {"weight": 2}}', "has 'ink' twice"),
        ('{"ink": {"x": ' + "[" * 80 + "]" * 80 + "}}", "nested too deeply"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_table_of_notes_is_never_written_over(settings: Settings, said: str, words: str) -> None:
    """Editors empty a file before they write it, and a look may fall in between."""
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "ink.safetensors", starter)
    registry = Registry(settings)
    registry.edit_lora("ink", {"trigger": "my words"})
    registry.edit_checkpoint(STARTER, {"steps": 7})
    for path in (settings.loras / "loras.json", settings.checkpoints / "sdxl" / "models.json"):
        before = path.read_text()
        with path.open("w") as editor:
            editor.write(said)
            editor.flush()
            make_lora(settings.loras / f"new beside {path.stem}.safetensors", starter)
            registry.refresh()
            assert path.read_text() == said
            (problem,) = registry.problems
            assert problem.startswith(f"{path.name} ") and words in problem
            assert registry.lora("ink").trigger == "my words", "what was said before still counts"
            assert registry.checkpoint(STARTER).defaults.steps == 7
            with pytest.raises(ModelError, match="Repair it to save changes here"):
                if path.name == "loras.json":
                    registry.edit_lora("ink", {"weight": 1})
                else:
                    registry.edit_checkpoint(STARTER, {"cfg": 1})
            editor.seek(0)
            editor.truncate()
            editor.write(before)
        registry.refresh()
        assert registry.problems == () and registry.lora("ink").trigger == "my words"


def test_one_bad_entry_costs_itself(settings: Settings, loras_json: Path) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    for name in ("ink", "wax"):
        make_lora(settings.loras / f"{name}.safetensors", starter)
    said = {"ink": ["mine"], "wax": {"trigger": 5, "weight": "1", "tags": {}, "file": 3}, "x": None}
    loras_json.write_text(json.dumps(said))
    registry = Registry(settings)
    registry.edit_lora("wax", {"description": "new"})
    assert table(loras_json) == said | {"wax": {**said["wax"], "description": "new"}}
    assert len(registry.problems) == 5 and registry.lora("wax").description == "new"
    with pytest.raises(ModelError, match="the entry 'ink' must be a JSON object"):
        registry.edit_lora("ink", {"trigger": "x"})


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system which file a handle is")
def test_saved_notes_outlast_a_power_cut(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    registry, real, synced = Registry(settings), os.fsync, []

    def note(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    for name, folder, edit in (
        ("loras.json", settings.loras, lambda: registry.edit_lora("ink", {"trigger": "kept"})),
        (
            "models.json",
            settings.checkpoints / "sdxl",
            lambda: registry.edit_checkpoint(STARTER, {"steps": 3}),
        ),
    ):
        synced.clear()
        edit()
        file, then = synced
        assert file.parent == folder and file.name.startswith(f".{name}."), "the new content first"
        assert then == folder, "then its name"


def test_what_changes_while_it_is_written_is_not_written_over(
    settings: Settings, loras_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    registry, real = Registry(settings), os.fsync

    def somebody_writes(handle: int) -> None:
        real(handle)
        loras_json.write_text('{"ink": {"trigger": "by hand"}}')

    monkeypatch.setattr(os, "fsync", somebody_writes)
    with pytest.raises(ModelError, match=r"loras\.json was changed this moment by someone else; try again"):
        registry.edit_lora("ink", {"trigger": "of the page"})
    assert table(loras_json)["ink"]["trigger"] == "by hand"
    loras_json.unlink()
    registry.refresh()  # which makes the file anew, just as somebody else does
    assert table(loras_json) == {"ink": {"trigger": "by hand"}}
    assert [each.name for each in settings.loras.iterdir() if each.name.startswith(".")] == []


def test_a_full_disk_is_called_one(settings: Settings, loras_json: Path, monkeypatch) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    registry, before = Registry(settings), loras_json.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="because the disk is full; free some space"):
        registry.edit_lora("ink", {"trigger": "x"})
    assert loras_json.read_bytes() == before


def test_values_that_changed_since_they_were_seen(settings: Settings, loras_json: Path) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    registry = Registry(settings)
    seen = registry.lora_note("ink")
    registry.edit_lora("ink", {"trigger": "of another page"}, seen)
    registry.edit_lora("ink", {"weight": 0.6}, seen)  # what nobody else changed
    with pytest.raises(
        EditConflictError, match='The trigger of ink was changed meanwhile and is now "of another'
    ):
        registry.edit_lora("ink", {"trigger": "mine", "description": "d"}, seen)
    noted = table(loras_json)["ink"]
    assert (noted["trigger"], noted["weight"], noted["description"]) == ("of another page", 0.6, None)
    loras_json.write_text(json.dumps({"ink": noted | {"weight": -1}}))  # by hand, before any look
    with pytest.raises(EditConflictError, match="weight of ink was changed meanwhile and is now -1"):
        registry.edit_lora("ink", {"weight": 1}, noted)
    defaults = dataclasses.asdict(registry.checkpoint(STARTER).defaults)
    registry.edit_checkpoint(STARTER, {"steps": 5}, defaults)
    registry.edit_checkpoint(STARTER, {"cfg": 2.5}, defaults)
    with pytest.raises(EditConflictError, match=r"steps of .* was changed meanwhile and is now 5"):
        registry.edit_checkpoint(STARTER, {"steps": 6}, defaults)
    assert registry.checkpoint(STARTER).defaults.cfg == 2.5
