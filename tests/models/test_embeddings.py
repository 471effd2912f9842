"""Embeddings in the catalog, and where a prompt names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedding_files import of_words
from model_files import save
from request_checks import validate
from running import STARTER

from webbduck_gradio.errors import ModelError, NotFoundError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.embeddings import Embedding, EmbeddingIndex
from webbduck_gradio.models.prompt_resolver import resolve_prompt
from webbduck_gradio.models.tokens import CHUNK, PLACEHOLDER, chunks, count, is_split
from webbduck_gradio.settings import Settings

SDXL = {"clip_l": (8, 768), "clip_g": (8, 1280)}


def embedding(name: str, vectors: int = 2) -> Embedding:
    path = Path(f"{name}.safetensors")
    return Embedding(name, path, "sdxl", vectors, (768, 1280), 0, 0.0, None)


INDEX = EmbeddingIndex(
    map(
        embedding,
        ("bad", "bad hands", "neg/Easy-Negative", "Überduck", "v1.5_fix", "-minus", "neg/cafe\u0301"),
    )
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("bad", ["bad"]),
        ("BAD, Bad", ["bad", "bad"]),
        ("badly, notbad, bad_day, bad2", []),
        ("bad hands", ["bad hands"]),
        ("bad  hands", ["bad"]),
        ("bad-hands", ["bad"]),
        ("easy-negative.", ["neg/Easy-Negative"]),
        ("neg/easy-negative", ["neg/Easy-Negative"]),
        ("easy negative", []),
        ("embedding:neg/easy-negative.safetensors, fog", ["neg/Easy-Negative"]),
        ("embedding:neg\\easy-negative.pt", ["neg/Easy-Negative"]),
        ("EMBEDDING:easy-negative", ["neg/Easy-Negative"]),
        ("embedding:bad. Duck", ["bad"]),
        ("embedding:bad.tail embedding:bad-hands", []),
        ("embedding:bad hands embedding:bad", ["bad hands", "bad"]),
        ("überduck ÜBERDUCK U\u0308berduck", ["Überduck"] * 3),
        ("v1.5_fix v1.5_fixed", ["v1.5_fix"]),
        ("a -minus, minus", ["-minus"]),
        ("caf\u00e9", ["neg/cafe\u0301"]),
        ("İ bad", ["bad"]),
        ("embedding: bad", ["bad"]),
        ("embedding", []),
        ("", []),
    ],
)
def test_names_in_a_text(text: str, named: list[str]) -> None:
    parts = list(INDEX.split(text))
    assert [part.name for part in parts if isinstance(part, Embedding)] == named
    assert len(named) or parts == [text]


def test_vectors_take_places_and_stay_together() -> None:
    index = EmbeddingIndex([embedding("hat", 8), embedding("whole", CHUNK)])
    (chunk,) = chunks("a (hat:1.5) duck", index)
    assert chunk.ids[1:9] == (PLACEHOLDER,) * 8 and chunk.weights == (1.0, *(1.5,) * 8, 1.0)
    assert [(at, each.name) for at, each in chunk.embeddings] == [(1, "hat")]
    assert count("a hat duck", index)["tokens"] == 10 and count("a hat duck")["tokens"] == 3
    fits, over = f"{'duck ' * 67}hat", f"{'duck ' * 68}hat"
    assert len(chunks(fits, index)) == 1 and not is_split(fits, index)
    first, second = chunks(over, index)
    assert (len(first.ids), second.ids, second.embeddings[0][0]) == (68, (PLACEHOLDER,) * 8, 0)
    assert is_split(over, index) and not is_split(over.replace(" hat", " BREAK hat"), index)
    # What lies behind the comma that ends a full chunk moves to the next one with its place.
    moved = chunks(f"{'duck ' * 60}, hat {'fog ' * 8}", index)
    assert [len(each.ids) for each in moved] == [61, 16]
    assert [each.embeddings and each.embeddings[0][0] for each in moved] == [(), 0]
    assert [len(each.ids) for each in chunks("duck whole duck", index)] == [1, CHUNK, 1]


def listed(settings: Settings) -> dict[str, Embedding]:
    return {each.name: each for each in Registry(settings).embeddings()}


def test_each_kind_of_file_is_said(settings: Settings) -> None:
    root = settings.checkpoints / "embedding"
    save(root / "style" / "sound.safetensors", SDXL)
    save(root / "single.safetensors", {"clip_l": (768,), "clip_g": (1280,)})
    save(root / "old.safetensors", {"emb_params": (8, 768)})
    save(root / "older.safetensors", {"<cat-toy>": (1024,)})
    save(root / "half.safetensors", {"clip_l": (8, 768)})
    save(root / "uneven.safetensors", {"clip_l": (8, 768), "clip_g": (7, 1280)})
    save(root / "long.safetensors", {"clip_l": (76, 768), "clip_g": (76, 1280)})
    save(root / "next.safetensors", SDXL | {"t5xxl": (8, 4096)})
    save(root / "whole.safetensors", SDXL, dtypes=dict.fromkeys(SDXL, "I32"))
    save(root / "deep.safetensors", {"clip_l": (1, 8, 768), "clip_g": (8, 1280)})
    save(root / "lora.safetensors", {"lora_unet_x.lora_down.weight": (4, 8), "lora_unet_x.alpha": ()})
    (root / "pickled.pt").write_bytes(b"\x80\x02cos\nsystem\n")
    save(settings.loras / "astray.safetensors", SDXL)
    save(settings.loras / "old.safetensors", SDXL)
    said = {name: each.unusable for name, each in listed(settings).items()}
    assert {name for name, reason in said.items() if reason is None} == {
        "style/sound", "single", "astray", "lora/old"}  # fmt: skip
    for name, why in {
        "old": "The embedding old is made for Stable Diffusion 1, not for SDXL; choose another.",
        "older": "The embedding older is made for Stable Diffusion 2, not for SDXL; choose another.",
        "half": "The embedding half has vectors for one of SDXL's two text encoders only.",
        "uneven": "it has 8 vectors for one text encoder and 7 for the other",
        "long": "has 76 vectors; at most 75 fit",
        "next": "made for Stable Diffusion 3",
        "whole": "is stored as I32",
        "deep": "is damaged",
        "lora": "lora.safetensors is a LoRA, not an embedding",
        "pickled.pt": "pickled.pt is ",
    }.items():
        assert why in str(said[name]), (name, said[name])
    assert listed(settings)["single"].vectors == 1
    with pytest.raises(ModelError, match=r"is an embedding \(textual inversion\), not a LoRA"):
        Registry(settings).lora("astray")


def test_what_lies_beside_it_is_read(settings: Settings) -> None:
    root = settings.checkpoints / "embedding"
    save(root / "sound.safetensors", SDXL)
    (root / "sound.json").write_text('{"description": "for calm ponds", "sd version": "SDXL"}')
    (root / "sound.preview.png").write_bytes(b"")
    found = listed(settings)["sound"]
    assert (found.description, found.base) == ("for calm ponds", "SDXL")
    assert found.preview is not None and found.preview[0].name == "sound.preview.png"
    registry = Registry(settings)
    (root / "sound.safetensors").unlink()
    assert registry.refresh() and registry.embeddings() == ()


def test_a_name_that_cannot_be_used(settings: Settings) -> None:
    root = settings.checkpoints / "embedding"
    starter = settings.checkpoints / "sdxl" / STARTER
    of_words(starter, root / "calm" / "pond-mood.safetensors", "a pond")
    of_words(starter, root / "wild" / "pond-mood.safetensors", "a pond in a storm")
    save(root / "large.safetensors", SDXL)
    save(root / "old" / "bad-hands.safetensors", {"emb_params": (8, 768)})
    (root / "pickled.pt").write_bytes(b"\x80\x02cos\nsystem\n")
    registry = Registry(settings)

    def notes(text: str, field: str = "negative_prompt") -> list[str]:
        return validate(registry, build_request(registry, {"prompt": "a duck", "cfg": 4, field: text}))

    old = "The embedding old/bad-hands is made for Stable Diffusion 1, not for SDXL; choose another."
    assert notes("(Bad-Hands:1.2)") == [f"bad-hands is read as plain words: t{old[1:]}"]
    large = f"The embedding large is made for text encoders of another size; {STARTER} cannot use it."
    assert notes("a large duck") == [f"large is read as plain words: t{large[1:]}"]
    assert notes("a Pickled duck")[0].startswith("pickled is read as plain words: pickled.pt is a pickle")
    assert notes("bad hands, bad-handsome, a pond") == []
    assert notes("pond-mood") == [
        "pond-mood is the embedding calm/pond-mood here; write embedding:wild/pond-mood for the other."
    ]
    assert notes("embedding:wild/pond-mood") == []
    for text, sentence in {"embedding:old/bad-hands.pt": old, "(embedding:large:1.1)": large}.items():
        for field in ("prompt", "negative_prompt", "prompt_2", "hires_prompt"):
            with pytest.raises(ModelError) as refused:
                validate(registry, build_request(registry, {"prompt": "", "hires_scale": 2, field: text}))
            assert str(refused.value) == sentence
    with pytest.raises(
        NotFoundError, match=r"no embedding named 'pond-mod'; did you mean (calm|wild)/pond-mood"
    ):
        notes("a duck, embedding:pond-mod.")
    request = build_request(registry, {"prompt": "embedding:calm/pond-mood, pond-mood"})
    assert [each.name for each in resolve_prompt(registry, request).embeddings] == ["calm/pond-mood"]


def test_where_there_is_none_it_is_said_where_to_put_one(settings: Settings) -> None:
    registry = Registry(settings)
    with pytest.raises(NotFoundError) as refused:
        validate(registry, build_request(registry, {"prompt": "embedding:EasyNegative"}))
    assert str(refused.value) == (
        "There is no embedding named 'EasyNegative'; put one into checkpoint/embedding."
    )
