"""Lists of tags: the layouts that people have, damaged and hostile ones, several at once, and changes."""

from __future__ import annotations

import dataclasses
import os
import random
from pathlib import Path

import pytest

from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.tags import LONGEST, MAX_FILE, Tag, TagLibrary, merged, read_tags
from webbduck_gradio.settings import Settings


@pytest.fixture
def tagged(settings: Settings) -> Settings:
    settings.tags.mkdir()
    return settings


def names(settings: Settings, typed: str) -> list[str]:
    return [each.name for each in TagLibrary(settings).tags().find(typed, 30)]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ('long_hair,0,43,"longhair,/lh"', Tag("long_hair", "general", 43, "", ("longhair", "/lh"))),
        ("solo,4,7", Tag("solo", "character", 7, "", ())),
        ("solo", Tag("solo", "general", None, "", ())),
        ("solo,artist,7,", Tag("solo", "artist", 7, "", ())),
        ("masterpiece,5,Quality tag,", Tag("masterpiece", "meta", None, "Quality tag", ())),
        ("name,category,post_count\nsolo,3,7", Tag("solo", "copyright", 7, "", ())),
        # e621's own export.
        ("id,name,category,post_count\n12,solo,5,7\n13,x,8,1", Tag("solo", "species", 7, "", ())),
        ("solo,5,7,\ncanon,7,3,", Tag("solo", "species", 7, "", ())),
        ('"a ""quoted"" tag",1,7,', Tag('a "quoted" tag', "artist", 7, "", ())),
        ("solo,99,7", Tag("solo", "general", 7, "", ())),
        ("solo,0,-5", Tag("solo", "general", None, "-5", ())),
    ],
)
def test_a_row_is_this_tag(text: str, tag: Tag) -> None:
    assert read_tags(text)[0][0] == tag


@pytest.mark.parametrize(
    "row",
    [
        "",
        ",0,5",
        "___,0,5",
        f"{'x' * (LONGEST + 1)},0,5",
        "a\x00b,0,5",
        "a\x1fb,0,5",
        "a\tb,0,5",
        "b,prose,c",
    ],
)
def test_what_is_no_tag_is_left_out(row: str) -> None:
    tags, left_out = read_tags(f"good,0,5\n{row}\nalso good,0,4")
    assert [each.name for each in tags] == ["good", "also good"]
    assert left_out == bool(row)


def test_a_quotation_mark_that_is_not_closed_costs_its_own_row_at_most() -> None:
    tags, _ = read_tags('first,0,5,"never closed\nsecond,0,4,\n' + '"' * 200_000 + "\nthird,0,3,")
    assert [each.name for each in tags if len(each.name) < 9] == ["first", "second", "third"]


def test_no_bytes_can_break_the_list() -> None:
    draw = random.Random(3)
    good = b'long_hair,0,43,"longhair,/lh"\nblue_eyes,0,40,\n' * 20
    for _ in range(200):
        damaged = bytearray(good)
        for _ in range(draw.randint(1, 30)):
            damaged[draw.randrange(len(damaged))] = draw.choice((0, 9, 10, 31, 34, 44, 200, 255))
        tags = merged([read_tags(damaged.decode("latin-1"))[0]])
        lines = tags.text.split("\n")[1:-1]
        assert len(lines) == tags.count and all(line.count("\x1f") == 4 for line in lines)
        tags.find("lo", 30)


def test_files_that_cannot_be_used_say_why_and_the_others_are_read(tagged: Settings) -> None:
    (tagged.tags / "good.csv").write_bytes("\ufefffirst_tag,0,5\nsecond_tag,x,5".encode())
    (tagged.tags / "latin.csv").write_bytes("caf\xe9,0,5".encode("latin-1"))
    (tagged.tags / "prose.csv").write_text("Dear, sir or madam, I write, to you")
    (tagged.tags / "empty.csv").touch()
    with (tagged.tags / "large.csv").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    os.mkfifo(tagged.tags / "pipe.csv")
    found = {each.name: each.unusable or each.summary for each in TagLibrary(tagged).files()}
    assert found == {
        "good": "1 tag; 1 other row was left out",
        "latin": "latin.csv is not a text in UTF-8; save it as UTF-8.",
        "prose": "prose.csv holds no tags; its rows must be tag,category,count,aliases.",
        "empty": "empty.csv holds no tags; its rows must be tag,category,count,aliases.",
        "large": "large.csv is larger than 32 MiB; split it, or leave rare tags out.",
        "pipe": "pipe.csv cannot be read; check its permissions.",
    }
    assert names(tagged, "first") == ["first_tag"]


def test_of_several_files_the_largest_count_holds(tagged: Settings) -> None:
    (tagged.tags / "a.csv").write_text("long_hair,0,5,lh\nlong_ears,0,50,\nlong_tail,0,1")
    (tagged.tags / "b.csv").write_text("long_hair,4,500,longhair\nlong_tail,0,")
    (tagged.tags / "extra").mkdir()
    (tagged.tags / "extra" / "quality.csv").write_text("long exposure,5,Quality tag,")
    tags = TagLibrary(tagged).tags()
    assert names(tagged, "lo") == ["long exposure", "long_hair", "long_ears", "long_tail"]
    [hair] = tags.find("long h", 30)
    assert (hair.category, hair.uses) == ("character", 500)
    assert [each.alias for each in (*tags.find("lh", 9), *tags.find("longh", 9))] == ["lh", "longhair"]


def test_a_changed_file_is_noticed(tagged: Settings) -> None:
    registry = Registry(tagged)
    assert registry.tags.tags().count == 0
    version = registry.version
    (tagged.tags / "a.csv").write_text("first_tag,0,5")
    assert registry.refresh() and registry.version > version
    before = registry.tags.tags()
    assert before.count == 1 and registry.tags.tags() is before
    (tagged.tags / "a.csv").write_text("first_tag,0,5\nsecond_tag,0,4")
    assert registry.refresh() and registry.tags.tags().version != before.version
    (tagged.tags / "a.csv").unlink()
    assert registry.refresh() and registry.tags.tags().text == "\n"


def test_a_missing_folder_has_no_tags(settings: Settings, tmp_path: Path) -> None:
    library = TagLibrary(dataclasses.replace(settings, tags=tmp_path / "nowhere"))
    assert library.files() == () and library.tags().find("ab", 9) == []
