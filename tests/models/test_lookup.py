"""One lookup for every way of naming an installed model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from lora_files import make_lora
from model_files import save
from request_checks import validate
from running import STARTER

from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.lookup import Found, find, near
from webbduck_gradio.models.catalog.registry import Lora, Registry
from webbduck_gradio.models.prompt_resolver import resolve_prompt
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.studio.settings_menu import installed


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    hash: str | None = None
    aliases: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    said_hash: str = ""


WAX, INK = Model("wax", "aaaaaaaaaa"), Model("pens/ink", "bbbbbbbbbbbb", ("inky_v2",))
ALL = [WAX, INK, Model("Gouache"), Model("gouache "), Model("a/oil"), Model("b/oil"), Model("b/deep/tempera"),
       Model("Café"), Model("big: old, <x>"), Model("raw.ckpt"), Model("b/tin"), Model("tin")]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "name", "by"),
    [
        ("wax", "wax", "name"),
        ("wax.safetensors", "wax", "name"),
        ("WAX.SAFETENSORS", "wax", "name"),
        ("./wax", "wax", "name"),
        ("pens\\ink", "pens/ink", "name"),
        ("PENS\\\\Ink.safetensors", "pens/ink", "name"),
        ("ink", "pens/ink", "name"),
        ("deep/tempera", "b/deep/tempera", "name"),
        ("raw", "raw.ckpt", "name"),
        ("Gouache", "Gouache", "name"),
        ("gouache ", "gouache ", "name"),
        ("cafe\u0301", "Café", "name"),
        ("big old x", "big: old, <x>", "name"),
        ("tin", "tin", "name"),
        ("a/OIL", "a/oil", "name"),
        ("inky_v2", "pens/ink", "alias"),
        ("Inky_V2.safetensors", "pens/ink", "alias"),
        ("SDXL/styles/ink", "pens/ink", "folder"),
        ("c:\\loras\\B\\oil", "b/oil", "folder"),
        ("BBBBBBBB", "pens/ink", "hash"),
        ("0xbbbbbbbbbbbb", "pens/ink", "hash"),
        ("aaaaaaaaaa" + "0" * 54, "wax", "hash"),
        ("anything [aaaaaaaaaa]", "wax", "hash"),
        ("wax.safetensors [aaaaaaaaaa]", "wax", "name"),
        ("wax [ffffffffff]", "wax", "name"),
    ],
)
def test_what_a_name_stands_for(asked: str, name: str, by: str) -> None:
    found = find(asked, ALL)
    assert (found.model and found.model.name, found.by) == (name, by)


@pytest.mark.parametrize(
    "asked", ["", " ", "/", ".safetensors", "waxes", "in", "bbbb", "cccccccccc", "pens/"]
)
def test_what_stands_for_nothing(asked: str) -> None:
    assert find(asked, ALL) == Found()


def test_what_could_be_several_is_none() -> None:
    assert [model.name for model in find("oil", ALL).several] == ["a/oil", "b/oil"]
    assert [model.name for model in find("c/oil", ALL).several] == ["a/oil", "b/oil"]
    assert len(find("GOUACHE", [Model("Gouache"), Model("gouache")]).several) == 2
    assert find("oil", [Model("a/oil", "1" * 10), Model("b/oil", "2" * 10)], "2" * 10).model == Model(
        "b/oil", "2" * 10
    )


def test_a_hash_counts_more_than_a_name() -> None:
    other = Model("renamed", "cccccccccc", hashes=("c" * 64, "d" * 64))
    assert find("wax", [WAX, other], "cccccccccc") == Found(other, "hash")
    assert find("wax", [WAX, other], "dddddddddddd") == Found(other, "hash")
    assert find("wax", [WAX], "cccccccccc") == Found(WAX, "name", another=True)
    assert find("wax", [WAX], "aaaaaaaaaa") == Found(WAX, "name")
    # Hashes of another kind, or too short to be of one kind for sure, say nothing against it.
    for unlike in ("cccccccc", "cccccccccccc", "c" * 64):
        assert find("wax", [WAX], unlike) == Found(WAX, "name")
    # With both kinds known in full, any of them tells.
    assert (
        find("renamed", [other], "eeeeeeeeeeee").another and not find("renamed", [other], "eeeeeeee").another
    )
    states = Model("ink", "d" * 12, hashes=("c" * 64, "d" * 64), said_hash="f" * 64)
    assert find("ink", [states], "f" * 12) == Found(states, "name"), "what its file states is no difference"


def test_near_misses() -> None:
    assert near("inkk", ALL) == ["pens/ink"] and near("pens/imk", ALL) == ["pens/ink"]
    assert near("inky_v3", ALL) == ["pens/ink"] and near("zzzz", ALL) == []


# -- the ways in ---------------------------------------------------------------------------------------


@pytest.fixture
def registry(settings: Settings) -> Registry:
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "pens" / "ink.safetensors", starter, {"ss_output_name": "inky_v2"})
    make_lora(settings.loras / "a" / "oil.safetensors", starter)
    make_lora(settings.loras / "b" / "oil.safetensors", starter)
    make_lora(settings.loras / "wax .safetensors", starter)
    make_lora(settings.loras / "old: two.safetensors", starter)
    (settings.loras / "loras.json").write_text(json.dumps({"Quill": {"file": "pens/ink.safetensors"}}))
    (settings.checkpoints / "sdxl" / "twin").symlink_to(starter)
    return Registry(settings)


def used(registry: Registry, prompt: str) -> list[tuple[str, float]]:
    request = build_request(registry, {"prompt": prompt, "base_model": STARTER})
    validate(registry, request)
    return [(lora.name, weight) for lora, weight in resolve_prompt(registry, request).loras]


@pytest.mark.parametrize(
    "tag",
    [
        "<lora:pens\\ink:0.5>",
        "<lora:INK.safetensors:0.5>",
        "<lora:inky_v2:0.5>",
        "<lora:quill:0.5>",
        "<lora:elsewhere/ink:0.5>",
        "<LoRA: ink :0.5>",
        "<lyco:ink:0.5>",
        "<lora:ink:0.5:0.5>",
    ],
)
def test_tags(registry: Registry, tag: str) -> None:
    assert used(registry, f"a duck {tag}") == [("pens/ink", 0.5)]


def test_names_that_are_hard_to_write_in_a_tag(registry: Registry) -> None:
    assert used(registry, "<lora:wax :1>") == used(registry, "<lora:wax:1>") == [("wax ", 1.0)]
    assert (
        used(registry, "<lora:old: two:0.25>")
        == used(registry, "<lora:old two:0.25>")
        == [("old: two", 0.25)]
    )


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("<lora:oil:1>", "'oil' may mean the LoRA a/oil or b/oil; write the whole name"),
        ("<lora:imk:1>", "no LoRA named 'imk'; did you mean pens/ink?"),
        ("<lora::1>", "names no LoRA"),
        ("<lora: :1>", "names no LoRA"),
        ("<lora:ink:1:dyn=4>", "sets dyn=4, which is not possible; write it as <lora:pens/ink:1>"),
        ("<lora:ink:1:0.5:0.5>", "has more than two weights"),
        ("<lora:ink:1:lbw=1,2,3>", "has block weights that cannot be read: lbw must be one of ALL, NONE"),
        ("<lora:ink:1:start=9:stop=4>", "acts in no step"),
        ("<lora:ink:1:step=4>", "write step=FIRST-LAST"),
        (f"<lora:ink:{'1' * 39}>", "has a weight that is not a number from -2 to 2"),
    ],
)
def test_tags_that_are_refused(registry: Registry, prompt: str, words: str) -> None:
    with pytest.raises((RequestError, ModelError)) as refusal:
        used(registry, prompt)
    assert words in str(refusal.value)


def test_what_was_found_by_more_than_its_name_is_said(registry: Registry) -> None:
    def notes(prompt: str) -> list[str]:
        return validate(registry, build_request(registry, {"prompt": prompt, "base_model": STARTER}))

    assert notes("<lora:inky_v2>") == [
        "<lora:inky_v2> is pens/ink here, found by the name that its file or loras.json gives it."
    ]
    assert notes("<lora:x/ink>") == ["<lora:x/ink> is pens/ink here, found by the name without its folder."]
    assert notes("<lora:INK>") == []


def test_the_apis_names_become_the_catalogs_own(registry: Registry) -> None:
    request = build_request(
        registry,
        {
            "prompt": "",
            "base_model": "SDXL\\TWIN",
            "second_pass_model": "Webbduck-Starter.safetensors",
            "loras": [{"name": "inky_v2", "weight": 0.5}, {"name": "WAX "}],
        },
    )
    assert (request.base_model, request.second_pass_model) == ("twin", STARTER)
    assert [use.name for use in request.loras] == ["pens/ink", "wax "]
    assert [each.name for each in registry.loras("TWIN")] == [each.name for each in registry.loras()]
    with pytest.raises(RequestError, match="pens/ink is in the stack twice"):
        build_request(registry, {"prompt": "", "loras": [{"name": "ink"}, {"name": "pens\\ink"}]})
    with pytest.raises(NotFoundError, match="'twim'; did you mean twin"):
        build_request(registry, {"prompt": "", "base_model": "twim"})
    with pytest.raises(NotFoundError, match="a/oil or b/oil"):
        validate(registry, build_request(registry, {"prompt": "", "loras": [{"name": "oil"}]}))


def test_upscalers_too(settings: Settings) -> None:
    folder = settings.checkpoints / "upscale"
    layers = {"body.0.weight": (4, 3, 3, 3), "body.0.bias": (4,), "body.1.weight": (4,)}
    save(
        folder / "mine" / "Sharp.safetensors", layers | {"body.2.weight": (12, 4, 3, 3), "body.2.bias": (12,)}
    )
    found = Registry(settings).upscaler("sharp.safetensors")
    assert found is not None and found.name == "mine/Sharp"
    with pytest.raises(NotFoundError, match="did you mean mine/Sharp"):
        Registry(settings).upscaler("shrap")


def test_presets(registry: Registry) -> None:
    stack = json.dumps([{"name": "inky_v2", "weight": 1, "on": False}, {"name": "gone", "weight": 1}])
    values, notes = installed(registry, {"base_model": "TWIN", "second_pass_model": "zzz", "loras": stack})
    assert values["base_model"] == "twin" and "second_pass_model" not in values
    assert [(use["name"], use.get("on")) for use in json.loads(values["loras"])] == [
        ("pens/ink", False),
        ("gone", None),
    ]
    assert notes == [
        "TWIN is now called twin.",
        "zzz is no longer available; the selected model is kept.",
        "inky_v2 is now called pens/ink.",
    ]


def test_a_file_that_is_no_lora_is_no_candidate_for_notes(registry: Registry, settings: Settings) -> None:
    """A name is found also where its file cannot be used: the true reason is said."""
    save(settings.loras / "style.safetensors", {"x": (2,)})
    registry.refresh()
    assert isinstance(registry.any_lora("style"), Lora)
    with pytest.raises(ModelError, match=r"style\.safetensors is of an unknown kind"):
        validate(registry, build_request(registry, {"prompt": "<lora:STYLE:1>"}))


def test_renamed_files_keep_their_names_in_the_catalog(registry: Registry, settings: Settings) -> None:
    Path(settings.loras / "pens" / "ink.safetensors").rename(settings.loras / "quill.safetensors")
    registry.refresh()
    assert used(registry, "<lora:inky_v2:1>") == [("quill", 1.0)]
