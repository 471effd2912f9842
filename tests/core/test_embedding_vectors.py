"""Embeddings: a name is its vectors to the bit, for both text encoders and in every prompt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy
import pytest
import torch
from embedding_files import of_words
from making import store
from PIL import Image
from recorder import Recorder
from safetensors.torch import load_file, save_file

from webbduck_gradio.core.progress import GeneratedImage
from webbduck_gradio.core.prompts import encode
from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.embeddings import EmbeddingIndex, contents
from webbduck_gradio.starter.drawing.scenes import Attributes
from webbduck_gradio.starter.drawing.scenes import draw as draw_scene

WORDS = "a red party hat"


@pytest.fixture(scope="module", autouse=True)
def index(registry, starter) -> Iterator[EmbeddingIndex]:
    """`partyhat` (four vectors) and, in a folder, `Cold-Night` (two)."""
    root = registry.settings.checkpoints / "embedding"
    of_words(starter.path, root / "partyhat.safetensors", WORDS)
    of_words(starter.path, root / "moods" / "Cold-Night.safetensors", "cold night", torch.float16)
    registry.refresh()
    yield registry.embedding_index.fitting(starter)
    shutil.rmtree(root)
    registry.refresh()


@pytest.mark.parametrize(
    ("named", "spelled"),
    [
        (("a duck with partyhat, pond", "", ""), (f"a duck with {WORDS}, pond", "", "")),
        (
            ("a duck, (PARTYHAT:1.4) [embedding:partyhat]", "", ""),
            (f"a duck, ({WORDS}:1.4) [{WORDS}]", "", ""),
        ),
        (("a duck", "partyhat, fog", ""), ("a duck", f"{WORDS}, fog", "")),
        (("a duck", "", "embedding:partyhat.safetensors"), ("a duck", "", WORDS)),
        (
            ("cold-night BREAK embedding:moods/cold-night, partyhat", "", ""),
            (f"cold night BREAK cold night, {WORDS}", "", ""),
        ),
        ((f"{'duck ' * 74}partyhat", "", ""), (f"{'duck ' * 74}BREAK {WORDS}", "", "")),
        ((f"{'duck ' * 71}partyhat pond", "", ""), (f"{'duck ' * 71}{WORDS} pond", "", "")),
    ],
)
def test_a_name_is_the_words_whose_vectors_it_holds(pipe, index, named, spelled) -> None:
    ours, theirs = encode(pipe, *named, index=index), encode(pipe, *spelled)
    for field in ("prompt", "negative", "pooled", "negative_pooled"):
        assert torch.equal(getattr(ours, field), getattr(theirs, field)), field
    assert not torch.equal(encode(pipe, *named).arguments()["prompt_embeds"], ours.prompt) or named[1]
    layer = pipe.text_encoder.get_input_embeddings()
    assert not layer._forward_hooks, "nothing stays in the encoder"


def test_the_whole_way_and_what_is_recorded(paint, generator, starter, ask, registry) -> None:
    def drawn(words: str) -> list[numpy.ndarray]:
        more = {"hires_scale": 1.5, "hires_steps": 2, "hires_prompt": f"a blue duck, {words}"}
        return paint(prompt=f"a duck, {words}", negative_prompt=words, cfg=4, steps=2, **more)

    assert numpy.array_equal(drawn("partyhat")[0], drawn(WORDS)[0])
    request = ask(prompt="a duck", steps=1, hires_scale=1.5, hires_steps=2, hires_prompt="embedding:partyhat")
    (picture,) = generator.generate(request, starter, Recorder())
    hat = next(each for each in registry.embeddings() if each.name == "partyhat")
    assert picture.facts["embedding_hashes"] == {"partyhat": contents(hat.path, hat.stamp).hash}
    (plain,) = generator.generate(ask(steps=1), starter, Recorder())
    assert "embedding_hashes" not in plain.facts


def test_the_prompt_of_a_region(folders, generator, starter, ask) -> None:
    duck = draw_scene(Attributes("duck", "red", "pond", "day", "right", "top hat", "blue"), 5, 128, 128)
    image = store(folders, Image.fromarray(duck))
    head = {"detector": "webbduck-starter-detector", "classes": ["duck head"], "strength": 0.8, "steps": 4}

    def drawn(words: str) -> GeneratedImage:
        details = [head | {"prompt": f"a duck with {words}"}]
        request = ask(image=image, strength=0.05, steps=20, width=128, height=128, details=details)
        return next(iter(generator.generate(request, starter, Recorder())))

    named, spelled = drawn("partyhat"), drawn(WORDS)
    assert numpy.array_equal(named.image, spelled.image)
    assert named.facts["details"][0]["regions"] and "partyhat" in named.facts["embedding_hashes"]


def test_numbers_that_are_none_are_refused_before_drawing(registry, paint, starter) -> None:
    path = registry.settings.checkpoints / "embedding" / "broken.safetensors"
    of_words(starter.path, path, WORDS)
    tensors = load_file(path)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        tensors = {name: each.to(dtype) for name, each in tensors.items()}
        tensors["clip_g"][1, 2] = float("nan")
        save_file(tensors, path)
        registry.refresh()
        with pytest.raises(ModelError, match=r"The embedding broken holds numbers that are infinite or und"):
            paint(prompt="a broken duck")
    path.unlink()
    registry.refresh()
