"""Other programs' folders in the catalog: what is listed, what it is called, and that none of it changes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import foreign_trees
import pytest
from lora_files import make_lora
from model_files import save
from running import STARTER, wait_until

from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata.recall import read_text
from webbduck_gradio.models.admission import build_request, obstacle
from webbduck_gradio.models.catalog import hashes
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.catalog.watcher import CatalogWatcher
from webbduck_gradio.models.probe.converted import SOURCE, SOURCE_BYTES
from webbduck_gradio.models.prompt_resolver import resolve_prompt
from webbduck_gradio.models.wildcard_edits import WildcardEditor
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings

SHARED = "comfyui:\n  base_path: ../sd/models\n  loras: Lora\n"
"""ComfyUI is told of A1111's LoRAs, too."""


@pytest.fixture
def webui(tmp_path: Path) -> Path:
    return foreign_trees.a1111(tmp_path / "sd")


@pytest.fixture
def given(settings: Settings, webui: Path, tmp_path: Path) -> Settings:
    """Of a studio that is started with A1111's folder and ComfyUI's."""
    comfy = foreign_trees.comfyui(tmp_path / "comfy", extra=SHARED)
    return dataclasses.replace(settings, models_from=(webui, comfy))


def named(models: object) -> list[tuple[str, str]]:
    return [(each.name, each.origin) for each in models]  # type: ignore[attr-defined]


def test_every_kind_is_listed_once_under_its_label(given: Settings) -> None:
    registry = Registry(given)
    assert registry.problems == ()
    assert named(registry.checkpoints()) == [
        ("A1111/anime/pony", "A1111"),
        (STARTER, ""),
        ("A1111/xl", "A1111"),
        ("ComfyUI/xl", "ComfyUI"),
    ]
    assert named(registry.loras()) == [
        ("A1111/ink", "A1111"),
        ("ComfyUI/ink", "ComfyUI"),
        ("A1111/style/wash", "A1111"),
        ("ComfyUI/sub/detail", "ComfyUI"),
    ]
    assert named(registry.embeddings()) == [("A1111/easy", "A1111"), ("ComfyUI/easy", "ComfyUI")]
    assert {*named(registry.vaes())} == {("A1111/fix", "A1111"), ("ComfyUI/fix", "ComfyUI")}
    assert named(registry.upscalers()) == [("A1111/4x", "A1111"), ("ComfyUI/4x", "ComfyUI")]
    assert named(registry.wildcards()) == [("A1111/colour", "A1111"), ("ComfyUI/hair", "ComfyUI")]
    assert named(registry.styles.styles()) == [("A1111/A1111 oil", "A1111")]
    ink = registry.lora("A1111/ink")
    assert (ink.trigger, ink.weight, ink.description) == ("ink wash", 0.6, "D") and ink.preview
    assert not registry.refresh()


def test_what_is_linked_into_our_own_folder_is_our_own(given: Settings, webui: Path) -> None:
    (given.loras / "mine.safetensors").symlink_to(webui / "models" / "Lora" / "ink.safetensors")
    registry = Registry(given)
    assert ("mine", "") in named(registry.loras()) and not registry.has_lora("A1111/ink")


def test_names_mean_what_they_mean_without_other_programs(given: Settings) -> None:
    registry = Registry(given)
    assert registry.lora_called("detail")[0].name == "ComfyUI/sub/detail"
    assert registry.lora_called("comfyui\\INK.safetensors")[0].name == "ComfyUI/ink"
    both = "'ink' may mean the LoRA A1111/ink or ComfyUI/ink; write the whole name."
    with pytest.raises(NotFoundError) as refusal:
        registry.lora_called("ink")
    assert str(refusal.value) == both
    asked = GenerationRequest(prompt="<lora:style/wash:0.5> <lora:detail>", base_model=STARTER)
    assert [lora.name for lora, _ in resolve_prompt(registry, asked).loras] == [
        "A1111/style/wash",
        "ComfyUI/sub/detail",
    ]
    request = build_request(registry, {"base_model": "pony", "loras": [{"name": "wash"}]})
    assert (request.base_model, request.loras[0].name) == ("A1111/anime/pony", "A1111/style/wash")
    # An own file, even in a folder and spelled otherwise, comes before all of them.
    make_lora(given.loras / "pens" / "Ink.safetensors", given.checkpoints / "sdxl" / STARTER)
    registry.refresh()
    assert registry.lora_called("ink")[0].name == "pens/Ink"
    assert registry.lora_called("A1111/ink")[0].name == "A1111/ink"


def test_none_is_taken_unasked_before_what_was_there(given: Settings, starter_checkpoints: Path) -> None:
    shutil.copytree(starter_checkpoints / "upscale", given.checkpoints / "upscale")
    registry = Registry(given)
    upscaler = registry.upscaler(None)
    assert upscaler is not None and not upscaler.origin
    # But any checkpoint of the user's is taken before the bundled one.
    default = registry.default_checkpoint()
    assert default is not None and default.name == "A1111/anime/pony"
    shutil.copytree(given.checkpoints / "sdxl" / STARTER, given.checkpoints / "sdxl" / "zebra")
    registry.refresh()
    default = registry.default_checkpoint()
    assert default is not None and default.name == "zebra"


def test_a_folder_of_no_known_layout_gives_each_file_once(settings: Settings, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    foreign_trees.checkpoint(shelf / "big.safetensors")
    foreign_trees.lora(shelf / "small.safetensors")
    foreign_trees.embedding(shelf / "word.safetensors")
    save(shelf / "odd.safetensors", {"x": (2,)})
    registry = Registry(dataclasses.replace(settings, models_from=(shelf,)))
    assert named(registry.checkpoints()) == [("shelf/big", "shelf"), ("shelf/odd", "shelf"), (STARTER, "")]
    assert registry.lora("shelf/small").origin == "shelf"
    assert named(registry.embeddings()) == [("shelf/word", "shelf")]
    assert not registry.has_lora("shelf/odd") and not registry.has_lora("shelf/big")


def test_a_tree_that_is_away_keeps_its_models_and_their_notes(given: Settings, webui: Path) -> None:
    registry = Registry(given)
    registry.edit_lora("A1111/ink", {"trigger": "mine"})
    before = named(registry.loras()), named(registry.checkpoints())
    request = build_request(registry, {"base_model": STARTER, "loras": [{"name": "A1111/ink"}]})
    assert obstacle(registry, request) is None
    webui.rename(webui.with_name("unplugged"))
    registry.refresh()
    assert (named(registry.loras()), named(registry.checkpoints())) == before
    assert registry.missing_loras == () and any("LoRA folder" in each for each in registry.problems)
    waiting = obstacle(registry, request)
    assert waiting and "LoRA folder" in waiting and "A1111" in waiting and "the queue resumes" in waiting
    webui.with_name("unplugged").rename(webui)
    registry.refresh()
    assert registry.problems == () and registry.lora("A1111/ink").trigger == "mine"


def test_notes_are_kept_in_our_own_file_and_follow_a_file_that_moves(given: Settings, webui: Path) -> None:
    registry = Registry(given)
    registry.edit_lora("A1111/ink", {"trigger": "mine", "favourite": True})
    folder = webui / "models" / "Lora"
    shutil.move(folder / "ink.safetensors", folder / "style" / "pen.safetensors")
    registry.refresh()
    moved = registry.lora("A1111/style/pen")
    assert (moved.trigger, moved.favourite) == ("mine", True)
    notes = json.loads((given.loras / "loras.json").read_text())
    assert notes.keys() == {"A1111/style/pen"}, "those without notes of the user's have no entry"
    (folder / "style" / "pen.safetensors").unlink()
    registry.refresh()
    assert registry.missing_loras == ("A1111/style/pen",)


def test_a_tree_is_in_force_as_soon_as_it_is_added(settings: Settings, webui: Path) -> None:
    registry = Registry(settings)
    assert registry.loras() == () and registry.headers_read
    registry.foreign.add(webui)
    version = registry.version
    assert registry.refresh() and registry.version > version
    assert registry.has_lora("A1111/ink") and Registry(settings).has_lora("A1111/ink")
    read = registry.headers_read
    registry.foreign.remove("A1111")
    registry.refresh()
    assert registry.loras() == () and registry.headers_read == read


def state(root: Path) -> dict[str, tuple[int, int]]:
    """All below a folder, with size and time, the folders' included."""
    paths = [root, *root.rglob("*")]
    return {str(path): ((found := path.stat()).st_size, found.st_mtime_ns) for path in paths}


def test_nothing_is_written_below_another_programs_folder(given: Settings, webui: Path) -> None:
    before = state(webui)
    registry = Registry(given)
    registry.edit_lora("A1111/ink", {"trigger": "t", "favourite": True, "preview": "a/0.png", "tags": ["x"]})
    registry.edit_checkpoint("A1111/xl", {"steps": 12})
    assert registry.checkpoint("A1111/xl").defaults.steps == 12
    editor = WildcardEditor(registry.wildcard_folder, given.data_dir / "wildcard-versions")
    opened = editor.read("A1111/colour.txt")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: editor.save("A1111/colour.txt", "x", opened.stamp),
        lambda: editor.delete("A1111/colour.txt", opened.stamp),
        lambda: editor.rename("A1111/colour.txt", "mine.txt"),
        lambda: editor.create("A1111/colour.txt", "x"),
        lambda: registry.styles.delete("A1111/A1111 oil"),
    )
    for attempt in attempts:
        with pytest.raises(RequestError, match="belongs to A1111, whose files are never changed"):
            attempt()
    change = registry.styles.save("A1111/A1111 oil", "in oil, {prompt}", "", replacing="A1111/A1111 oil")
    assert registry.styles.named("A1111 oil").prompt == "in oil, {prompt}"
    registry.styles.undo(change)
    registry.hashes.start()
    wait_until(lambda: registry.lora("A1111/ink").hash)
    registry.hashes.stop()
    registry.refresh(patient=True)
    assert state(webui) == before


def test_lists_of_words_are_found_by_their_own_names(given: Settings, webui: Path, tmp_path: Path) -> None:
    registry = Registry(given)
    lists = registry.wildcard_folder

    def words(name: str) -> list[str]:
        return [each.text for each in lists.values(name).all]

    assert words("colour") == words("A1111/colour") == words("COLOUR") == ["red", "blue"]
    other = tmp_path / "comfy" / "custom_nodes" / "ComfyUI-Impact-Pack" / "wildcards" / "colour.txt"
    other.write_text("grey\n")
    registry.refresh()
    with pytest.raises(NotFoundError, match="may mean the wildcard A1111/colour or ComfyUI/colour"):
        words("colour")
    given.wildcards.mkdir(exist_ok=True)
    (given.wildcards / "colour.txt").write_text("own\n")
    (given.wildcards / "column.txt").write_text("doric\n")
    lists.forget()
    assert words("colour") == ["own"] and words("co*") == ["own", "doric"]
    assert words("A1111/*") == ["red", "blue"]


def test_styles_of_other_programs_come_last(given: Settings) -> None:
    given.styles.write_text("name,prompt,negative_prompt\nOil,own {prompt},\n")
    (given.models_from[0] / "styles.csv").write_text(
        "name,prompt,negative_prompt\nOil,other {prompt},\nInk,ink {prompt},\n"
    )
    book = Registry(given).styles
    assert named(book.styles()) == [("Oil", ""), ("A1111/Oil", "A1111"), ("A1111/Ink", "A1111")]
    assert book.named("oil").prompt == "own {prompt}" and book.named("ink").name == "A1111/Ink"
    assert book.named("A1111/Oil").prompt == "other {prompt}"


def test_a_picture_of_another_program_finds_its_models(given: Settings, webui: Path) -> None:
    folder = webui / "models" / "Lora"
    make_lora(folder / "ink.safetensors", given.checkpoints / "sdxl" / STARTER, {"ss_output_name": "first"})
    registry = Registry(given)
    registry.hashes.start()
    wait_until(lambda: all(each.hash for each in registry.loras()))
    registry.hashes.stop()
    digits = hashes.autov3(folder / "ink.safetensors")
    text = (
        "a duck <lora:wash:0.7> <lora:ink:0.5>\nSteps: 20, Sampler: Euler, CFG scale: 6, Seed: 1, "
        f'Size: 64x64, Model: pony, Lora hashes: "ink: {digits}"'
    )
    fields, _ = read_text(text, registry, InputImageStore(given))
    assert fields["base_model"] == "A1111/anime/pony"
    found = resolve_prompt(registry, GenerationRequest.validated(**{"seed": 1} | fields))
    assert [lora.name for lora, _ in found.loras] == ["A1111/style/wash", "A1111/ink"]


@pytest.fixture
def watched(given: Settings) -> Iterator[Registry]:
    registry = Registry(dataclasses.replace(given, catalog_poll_seconds=0.3))
    watcher = CatalogWatcher(registry)
    watcher.start()
    wait_until(lambda: watcher.looks > 0)
    yield registry
    watcher.stop()


def test_changes_of_the_trees_are_seen(watched: Registry, webui: Path, tmp_path: Path) -> None:
    foreign_trees.lora(webui / "models" / "Lora" / "new" / "chalk.safetensors")
    wait_until(lambda: watched.has_lora("A1111/new/chalk"))
    (webui / "models" / "Lora" / "ink.safetensors").unlink()
    wait_until(lambda: not watched.has_lora("A1111/ink"))
    (webui / "styles.csv").write_text("name,prompt,negative_prompt\nNew,new {prompt},\n")
    version = watched.version
    wait_until(lambda: watched.version > version)
    assert watched.styles.named("New").origin == "A1111"
    # Another folder in ComfyUI's own file of paths.
    foreign_trees.lora(tmp_path / "drive" / "far.safetensors")
    (tmp_path / "comfy" / "extra_model_paths.yaml").write_text(f"x:\n  loras: {tmp_path / 'drive'}\n")
    wait_until(lambda: watched.has_lora("ComfyUI/far"))
    foreign_trees.lora(tmp_path / "drive" / "farther.safetensors")
    wait_until(lambda: watched.has_lora("ComfyUI/farther"))


@pytest.mark.skipif(os.name == "nt", reason="names of POSIX")
def test_a_name_that_is_not_text_is_said(given: Settings, webui: Path) -> None:
    odd = os.fsencode(webui / "models" / "Lora") + b"/\xff.safetensors"
    with open(odd, "wb"):
        pass
    assert Registry(given).problems == (
        r"The name \xff.safetensors in Lora is not UTF-8; rename it to use it.",
    )


def test_a_folder_that_is_not_there_is_said(settings: Settings, tmp_path: Path) -> None:
    registry = Registry(dataclasses.replace(settings, models_from=(tmp_path / "nothing",)))
    assert len(registry.problems) == 1 and "is not there" in registry.problems[0]


def test_what_cannot_be_used_says_why(given: Settings, webui: Path) -> None:
    (webui / "models" / "Stable-diffusion" / "old.ckpt").write_bytes(b"\x80\x02")
    registry = Registry(given)
    with pytest.raises(ModelError, match="pickle"):
        registry.checkpoint_called("old")


def test_a_pickle_that_was_converted_is_listed_by_what_it_became(given: Settings, webui: Path) -> None:
    pickle = webui / "models" / "Lora" / "old.pt"
    pickle.write_bytes(b"\x80\x02}.")
    registry = Registry(given)
    assert "A1111/old.pt" in [each.name for each in registry.loras()]
    foreign_trees.lora(given.loras / "old.safetensors", {SOURCE: "old.pt", SOURCE_BYTES: "4"})
    registry.refresh()
    assert [each.name for each in registry.loras() if "old" in each.name] == ["old"]
    pickle.write_bytes(b"\x80\x02]q.")  # another one, under the same name
    registry.refresh()
    assert "A1111/old.pt" in [each.name for each in registry.loras()]
