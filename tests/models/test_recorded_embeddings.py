"""A request lists the embeddings that its prompts name, so that a file that comes or goes changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedding_files import for_sdxl, of_words
from request_checks import validate
from running import STARTER

from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.prompt_resolver import resolve_prompt
from webbduck_gradio.models.recorded_embeddings import with_embeddings
from webbduck_gradio.settings import Settings


@pytest.fixture
def folder(settings: Settings, starter_checkpoints: Path) -> Path:
    folder = settings.checkpoints / "embedding"
    of_words(starter_checkpoints / "sdxl" / STARTER, folder / "calm.safetensors", "pond")
    return folder


def queued(registry: Registry, **asked):
    return with_embeddings(registry, build_request(registry, {"prompt": "a calm duck", "seed": 1, **asked}))


def names(registry: Registry, request) -> list[str]:
    return [each.name for each in resolve_prompt(registry, request).embeddings]


def test_words_of_all_prompts_are_listed(settings: Settings, folder: Path) -> None:
    (settings.wildcards).mkdir(parents=True, exist_ok=True)
    (settings.wildcards / "mood.txt").write_text("tidy\n")
    for name in ("bad", "large", "tidy", "face"):
        (folder / f"{name}.safetensors").write_bytes((folder / "calm.safetensors").read_bytes())
    registry = Registry(settings)
    asked = {
        "prompt": "a calm __mood__ duck",
        "negative_prompt": "embedding:bad",
        "hires_scale": 2,
        "hires_prompt": "large",
    }
    request = queued(registry, **asked)
    assert sorted(request.embeddings) == ["bad", "calm", "large", "tidy"]
    assert queued(registry, **asked, embeddings=["BAD"]).embeddings == ("bad",)


def test_one_that_vanishes_is_no_plain_word(settings: Settings, folder: Path) -> None:
    registry = Registry(settings)
    request = queued(registry)
    (folder / "calm.safetensors").unlink()
    registry.refresh()
    with pytest.raises(NotFoundError, match=r"^There is no embedding named 'calm'\.$"):
        resolve_prompt(registry, request)
    for_sdxl(folder / "calm.safetensors")
    registry.refresh()
    with pytest.raises(ModelError, match="made for text encoders of another size"):
        resolve_prompt(registry, request)
    # Stored by a version that did not list them, it is read as it is now.
    assert names(registry, request.model_copy(update={"embeddings": None})) == []


def test_one_that_appears_stays_a_plain_word(settings: Settings, folder: Path) -> None:
    registry = Registry(settings)
    request = queued(registry, prompt="a calm and tidy duck, embedding:calm")
    assert request.embeddings == ("calm",)
    (folder / "tidy.safetensors").write_bytes((folder / "calm.safetensors").read_bytes())
    (folder / "a").mkdir()
    (folder / "a" / "calm.safetensors").write_bytes((folder / "calm.safetensors").read_bytes())
    registry.refresh()
    assert names(registry, request) == ["calm"]
    said = "tidy is read as plain words: the embedding tidy is not among the embeddings of the request."
    assert said in validate(registry, request)
    assert names(registry, request.model_copy(update={"embeddings": None}))[-1] == "tidy"


@pytest.mark.parametrize(("names", "why"), [(["clam"], "did you mean calm"), ([5], "must be text")])
def test_what_is_no_embedding_is_refused(settings: Settings, folder: Path, names: list, why: str) -> None:
    registry = Registry(settings)
    with pytest.raises((NotFoundError, RequestError), match=why):
        resolve_prompt(registry, queued(registry, embeddings=names))
