"""Styles: the file as A1111 writes it, what they make of a prompt, and finding them in a finished one."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.gallery.metadata import infotext_styles
from webbduck_gradio.models import style_import, styles
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.prompt_resolver import resolve_prompt
from webbduck_gradio.models.style_book import Style, StyleBook
from webbduck_gradio.models.style_csv import EMPTY, StyleFile
from webbduck_gradio.models.styles import all_finished
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings

OF_PEOPLE = codecs.BOM_UTF8 + (
    b"name,prompt,negative_prompt,rating\r\n"
    b"# mine,not,this\r\n"
    b"---- Photo ----,,\r\n"
    b'Film,"film still, {prompt}\nkodak",blurry,5\r\n'
    b"Plain, sharp\r\n"
    b"\r\n"
    b'"Quote ""d""",a duck,"x"" y"\r\n'
    b"Film Noir,{prompt} in black and white,"
)


def book(folder: Path, content: bytes = OF_PEOPLE) -> StyleBook:
    (folder / "styles.csv").write_bytes(content)
    return StyleBook(folder / "styles.csv")


def names(of: StyleBook) -> list[str]:
    return [style.name for style in of.styles()]


# -- the file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        OF_PEOPLE,
        EMPTY,
        b"name,text\nold,words\n",
        b"name,prompt,negative_prompt\ra,b,c\rd,e",
        b"\r\nname,prompt\r\n",
    ],
)
def test_what_is_not_edited_keeps_its_bytes(content: bytes) -> None:
    assert StyleFile.parse(content).encode() == content


def test_the_rows_are_read_as_a1111_reads_them(tmp_path: Path) -> None:
    found = book(tmp_path).styles()
    assert [(each.name, each.prompt, each.negative_prompt, each.group) for each in found] == [
        ("Film", "film still, {prompt}\nkodak", "blurry", "Photo"),
        ("Plain", "sharp", "", "Photo"),
        ('Quote "d"', "a duck", 'x" y', "Photo"),
        ("Film Noir", "{prompt} in black and white", "", "Photo"),
    ]


def test_an_edited_row_leaves_all_others_and_its_own_columns(tmp_path: Path) -> None:
    styles_of = book(tmp_path)
    change = styles_of.save("Film 2", 'a, "b"', " lead", "Film")
    edited = b'Film 2,"a, ""b"""," lead",5'
    assert styles_of.path.read_bytes() == OF_PEOPLE.replace(
        b'Film,"film still, {prompt}\nkodak",blurry,5', edited
    )
    assert Path(f"{styles_of.path}.bak").read_bytes() == OF_PEOPLE
    assert styles_of.named("Film 2").negative_prompt == " lead"
    styles_of.undo(change)
    assert styles_of.path.read_bytes() == OF_PEOPLE
    with pytest.raises(RequestError, match="cannot be undone any more"):
        styles_of.undo(change)


def test_a_new_style_is_appended_and_a_deleted_one_comes_back(tmp_path: Path) -> None:
    styles_of = book(tmp_path)
    styles_of.save("New", "x", "")
    assert styles_of.path.read_bytes() == OF_PEOPLE + b"\r\nNew,x,,\r\n"
    change = styles_of.delete("Plain")
    assert styles_of.path.read_bytes() == OF_PEOPLE.replace(b"Plain, sharp\r\n", b"") + b"\r\nNew,x,,\r\n"
    styles_of.undo(change)
    assert "Plain" in names(styles_of)
    change = styles_of.delete("Plain")
    styles_of.path.write_bytes(OF_PEOPLE)
    with pytest.raises(RequestError, match=r"was changed since; the version from before is styles\.csv\.bak"):
        styles_of.undo(change)
    assert styles_of.path.read_bytes() == OF_PEOPLE


def test_without_a_file_there_are_none_and_the_first_one_makes_it(tmp_path: Path) -> None:
    styles_of = StyleBook(tmp_path / "styles.csv")
    assert styles_of.styles() == () and list(tmp_path.iterdir()) == []
    styles_of.save("New", "x", "y")
    assert styles_of.path.read_bytes() == EMPTY + b"New,x,y\r\n"


def test_an_old_file_gets_the_column_that_it_needs(tmp_path: Path) -> None:
    styles_of = book(tmp_path, b"name,text\nold,words\n")
    styles_of.save("new", "p", "n")
    assert styles_of.path.read_bytes() == b"name,text,negative_prompt\nold,words\nnew,p,n\n"


def test_further_files_are_read_and_edited_where_they_lie(tmp_path: Path) -> None:
    styles_of = book(tmp_path, EMPTY + b"A,first,\r\nB,x,\r\n")
    (tmp_path / "styles_art.csv").write_bytes(EMPTY + b"A,last,\r\n")
    (tmp_path / "other.csv").write_bytes(EMPTY + b"C,x,\r\n")
    assert [(each.name, each.prompt, each.group) for each in styles_of.styles()] == [
        ("A", "last", "styles_art"),
        ("B", "x", ""),
    ]
    styles_of.save("A", "edited", "", "A")
    assert (tmp_path / "styles_art.csv").read_bytes() == EMPTY + b"A,edited,\r\n"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    styles_of = book(tmp_path / "elsewhere")
    (tmp_path / "styles.csv").symlink_to(styles_of.path)
    StyleBook(tmp_path / "styles.csv").save("New", "x", "")
    assert (tmp_path / "styles.csv").is_symlink()
    assert "New" in names(styles_of)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,prompt\nä,ö".encode("cp1252"), "is not UTF-8; save it as UTF-8"),
        (b"name;prompt\na;b\n", "has no columns name and prompt"),
        (b'name,prompt\na,"' + b"x" * 200_000 + b'"\n', "cannot be read as CSV in line 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_and_left_alone(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    styles_of = book(tmp_path, content)
    assert styles_of.styles() == ()
    (problem,) = styles_of.look()
    assert sentence in problem and "styles.csv" in problem
    with pytest.raises(ModelError, match=sentence):
        styles_of.save("New", "x", "")
    assert styles_of.path.read_bytes() == content


def test_a_quotation_mark_that_is_never_closed_takes_in_no_new_row(tmp_path: Path) -> None:
    content = b'name,prompt\nA,"words\n'
    styles_of = book(tmp_path, content)
    assert names(styles_of) == ["A"]
    with pytest.raises(ModelError, match="is never closed"):
        styles_of.save("B", "x", "")
    assert styles_of.path.read_bytes() == content


def test_odd_rows_are_said_and_refused(tmp_path: Path) -> None:
    rows = f"A,one,\nA,two,\nNone,,\nLong,{'x' * 4001},\nNul,a\0b,\n,no name,\n"
    styles_of = book(tmp_path, f"name,prompt,negative_prompt\n{rows}".encode())
    assert names(styles_of) == ["A", "Long", "Nul"]
    assert styles_of.named("a").prompt == "two"
    assert styles_of.look() == ("styles.csv has 'A' twice; of equal names the last row holds.",)
    with pytest.raises(ModelError, match=r"4,001 of at most 4,000 characters"):
        styles_of.named("Long")
    with pytest.raises(ModelError, match="NUL"):
        styles_of.named("Nul")


@pytest.mark.parametrize(
    ("style", "sentence"),
    [
        (("", "x", ""), "needs a name"),
        (("#x", "x", ""), "cannot begin with #"),
        (("Empty", " ", ""), "has no text"),
        (("Film", "x", ""), "already"),
        (("Long", "x" * 4001, ""), "4,001 of at most"),
        (("x", 5, ""), "each a text"),
    ],
)
def test_what_no_row_can_hold_is_refused(tmp_path: Path, style: tuple, sentence: str) -> None:
    styles_of = book(tmp_path)
    with pytest.raises(RequestError, match=sentence):
        styles_of.save(*style)
    assert styles_of.path.read_bytes() == OF_PEOPLE


def test_an_unknown_name_is_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no style named 'Film Nor'; did you mean Film Noir"):
        book(tmp_path).named("Film Nor")
    with pytest.raises(NotFoundError, match=r"there are none in styles\.csv"):
        book(tmp_path, EMPTY).named("Film")


def test_five_thousand_styles_are_listed_at_once(tmp_path: Path) -> None:
    rows = "".join(f'Style {n},"words {n}, {{prompt}}",bad {n}\r\n' for n in range(5000))
    styles_of = book(tmp_path, EMPTY + rows.encode())
    assert len(styles_of.styles()) == 5000
    assert styles_of.named("Style 4999").prompt == "words 4999, {prompt}"
    styles_of.delete("Style 0")
    assert styles_of.path.read_bytes() == EMPTY + rows.partition("\r\n")[2].encode()


@pytest.mark.parametrize(
    "text",
    [
        OF_PEOPLE.decode("utf-8-sig"),
        json.dumps(
            [{"name": "Film", "prompt": "p"}, {"name": "F2", "negative_prompt": "n"}, {"name": "none"}, 5]
        ),
        json.dumps({"Film": {"prompt": "p", "negative_prompt": "n"}}),
    ],
)
def test_files_are_imported_without_replacing_anything(tmp_path: Path, text: str) -> None:
    styles_of = book(tmp_path, EMPTY + b"Film,mine,\r\n")
    added, taken, change = styles_of.add(style_import.styles_in(text))
    assert taken == ["Film"] and "Film" not in added
    assert styles_of.named("Film").prompt == "mine"
    assert names(styles_of) == ["Film", *added] and (change is not None) == bool(added)


@pytest.mark.parametrize("text", ["", "[", "[1]", "{}", "name,prompt\n", "a,b\nc,d", 5])
def test_a_file_without_styles_is_refused(text: object) -> None:
    with pytest.raises(RequestError, match=r"styles|JSON|columns|text"):
        style_import.styles_in(text)


def test_the_catalog_notices_a_changed_file(settings: Settings) -> None:
    registry = Registry(settings)
    version = registry.version
    settings.styles.write_bytes(OF_PEOPLE)
    assert registry.styles.is_stale
    assert names(registry.styles) and registry.styles.is_stale  # also if somebody has read it in between
    assert registry.refresh() and registry.version > version and not registry.styles.is_stale


# -- what they make of a prompt ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "prompt", "finished"),
    [
        (["masterpiece"], "a duck", "a duck, masterpiece"),
        (["masterpiece"], "", "masterpiece"),
        ([""], " a duck ", "a duck"),
        (["photo of {prompt}, sharp"], "a duck", "photo of a duck, sharp"),
        (["{prompt} and {prompt}"], "a duck", "a duck and a duck"),
        (["one {prompt}", "two {prompt}"], "a duck", "two one a duck"),
        (["tail", "photo of {prompt}"], "a duck", "photo of a duck, tail"),
        (["photo of {prompt}"], "{prompt} a duck", "photo of {prompt} a duck"),
    ],
)
def test_texts_are_put_around_a_prompt_as_in_a1111(texts: list[str], prompt: str, finished: str) -> None:
    assert styles.applied(texts, prompt) == finished


def test_a_prompt_cannot_grow_without_end() -> None:
    with pytest.raises(RequestError, match="more than 16,000 characters; leave out a style"):
        styles.applied(["{prompt}{prompt}"] * 20, "a duck")


def test_styles_bring_loras_and_reach_the_hires_pass(settings: Settings) -> None:
    settings.styles.write_bytes(EMPTY + b"Night,{prompt} at night,pond\r\n")
    registry = Registry(settings)
    request = GenerationRequest(
        base_model="any", prompt="a duck", negative_prompt="fog", prompt_2="a pond", styles=["night"],
        hires_scale=2, hires_prompt="a sharp duck",
    )  # fmt: skip
    wording = resolve_prompt(registry, request)
    assert (wording.prompt, wording.negative_prompt) == ("a duck at night", "fog, pond")
    assert wording.prompt_2 == "a pond" and wording.notes == ()
    assert resolve_prompt(registry, request.for_hires_pass()).prompt == "a sharp duck at night"
    tagged = {"styles": [{"name": "L", "prompt": "{prompt} <lora:gone:1>"}]}
    with pytest.raises(NotFoundError, match="no LoRA named 'gone'"):
        resolve_prompt(registry, GenerationRequest(base_model="any", prompt="a duck", **tagged))


def test_recorded_texts_stay_and_a_difference_is_said(tmp_path: Path) -> None:
    uses = [{"name": "Film", "prompt": "old {prompt}"}, {"name": "Gone", "prompt": "x"}]
    request = GenerationRequest(base_model="any", prompt="a duck", styles=uses)
    finished, notes = styles.put_in(book(tmp_path), request)
    assert (finished.prompt, finished.styles) == ("old a duck, x", ())
    assert notes == [
        "The style 'Film' was changed since; its recorded text is used.",
        "There is no style 'Gone' here any more; its recorded text is used.",
    ]


# -- finding them again --------------------------------------------------------------------------------


def style(name: str, prompt: str, negative: str = "") -> Style:
    return Style(name, prompt, negative, "", Path("styles.csv"))


PHOTO, TAIL, BAD = (
    style("Photo", "photo of {prompt}, sharp"),
    style("Tail", "masterpiece"),
    style("Bad", "", "fog"),
)
TWICE = style("Twice", "{prompt} and {prompt}")


@pytest.mark.parametrize(
    ("prompt", "negative", "found", "bare"),
    [
        ("a duck, masterpiece", "", ["Tail"], ("a duck", "")),
        ("photo of a duck, masterpiece, sharp", "", ["Tail", "Photo"], ("a duck", "")),
        ("photo of a duck, sharp, masterpiece", "", ["Photo", "Tail"], ("a duck", "")),
        ("a duck", "pond, fog", ["Bad"], ("a duck", "pond")),
        ("masterpiece", "", ["Tail"], ("", "")),
        ("a masterpiece", "", [], ("a masterpiece", "")),
        ("a duck", "thick fog", [], ("a duck", "thick fog")),
        ("a duck and a duck", "", [], ("a duck and a duck", "")),
        ("photo of, sharp", "", [], ("photo of, sharp", "")),
    ],
)
def test_styles_are_found_in_a_finished_prompt(
    prompt: str, negative: str, found: list[str], bare: tuple[str, str]
) -> None:
    uses, *left = styles.extracted((PHOTO, TAIL, BAD, TWICE), prompt, negative)
    assert ([use.name for use in uses], tuple(left)) == (found, bare)


def test_other_prompts_lose_the_styles_too_or_none_are_taken(tmp_path: Path) -> None:
    details = [{"detector": "d", "prompt": "face, sharp [SEP] [SKIP]", "negative_prompt": ""}]
    fields = {"prompt": "a duck, sharp", "hires_prompt": "a hen, sharp", "details": details}
    found = {"request": None, "tool": "a1111"}
    told = dict(fields)
    (note,) = infotext_styles.recall(found, told, book(tmp_path))
    assert "what the style Plain adds, which is chosen instead" in note
    assert (told["prompt"], told["hires_prompt"]) == ("a duck", "a hen")
    assert told["details"][0]["prompt"] == "face [SEP] [SKIP]"
    told = fields | {"hires_prompt": "a hen"}
    assert infotext_styles.recall(found, told, book(tmp_path)) == [] and told["prompt"] == "a duck, sharp"


def test_a1111s_text_holds_each_finished_prompt() -> None:
    request = GenerationRequest(
        base_model="any", prompt="a duck",
        styles=[{"name": "P", "prompt": "{prompt}, x", "negative_prompt": "n"}],
        hires_scale=2, hires_prompt="sharp", hires_negative_prompt="soft",
        details=[{"detector": "d", "prompt": "[PROMPT] face [SEP] [SKIP] [SEP] hat"}],
    )  # fmt: skip
    finished = all_finished(request)
    assert (finished.prompt, finished.negative_prompt, finished.styles) == ("a duck, x", "n", ())
    assert (finished.hires_prompt, finished.hires_negative_prompt) == ("sharp, x", "soft, n")
    assert finished.details[0].prompt == "a duck face, x [SEP] [SKIP] [SEP] hat, x"
    assert finished.details[0].negative_prompt == ""
