"""Embeddings: diffusers' own to the bit for plain prompts; weights and long prompts on top."""

from __future__ import annotations

import pytest
import torch
from request_checks import validate

from webbduck_gradio.core.prompts import encode
from webbduck_gradio.models.tokens import common_length

LONG = "a red duck with a top hat on a pond at sunset, " * 12


@pytest.mark.parametrize(
    ("prompt", "negative", "prompt_2"),
    [
        ("a red duck on a pond", "", ""),
        ("a red duck on a pond", "a hat, night", ""),
        ("a red duck on a pond", "", "a balloon"),
        ("", "", ""),
        ("duck " * 75, "", ""),
    ],
)
def test_plain_prompts_are_bit_identical_to_diffusers(pipe, prompt, negative, prompt_2) -> None:
    ours = encode(pipe, prompt, negative, prompt_2)
    with torch.no_grad():
        theirs = pipe.encode_prompt(prompt, prompt_2 or None, negative_prompt=negative or None)
    for mine, other in zip(
        (ours.prompt, ours.negative, ours.pooled, ours.negative_pooled), theirs, strict=True
    ):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("skip", [1, 2])
def test_clip_skip_is_diffusers_own(pipe, skip: int) -> None:
    with torch.no_grad():
        theirs = pipe.encode_prompt("a red duck", clip_skip=skip)[0]
    assert torch.equal(encode(pipe, "a red duck", "", clip_skip=skip).prompt, theirs)


def test_long_prompts_are_read_to_their_end(pipe) -> None:
    embeddings = encode(pipe, LONG, "hat")
    assert embeddings.prompt.shape[1] == 3 * 77 == embeddings.negative.shape[1]
    changed = encode(pipe, LONG + "night", "hat")
    assert torch.equal(changed.prompt[:, :154], embeddings.prompt[:, :154])
    assert not torch.equal(changed.prompt[:, 154:], embeddings.prompt[:, 154:])
    assert torch.equal(changed.pooled, embeddings.pooled)
    assert encode(pipe, "duck", LONG).prompt.shape[1] == 3 * 77


def test_weights_scale_their_tokens_and_keep_the_mean(pipe) -> None:
    plain = encode(pipe, "a red duck", "").prompt
    weighted = encode(pipe, "a (red:1.5) duck", "").prompt
    width = pipe.text_encoder.config.hidden_size
    ratio = weighted[0, :, :width] / plain[0, :, :width]
    assert ratio[2].mean() / ratio[1].mean() == pytest.approx(1.5, rel=1e-3)
    assert weighted[..., :width].mean() == pytest.approx(float(plain[..., :width].mean()), abs=1e-5)
    assert torch.equal(encode(pipe, "a (red:1.0) duck", "").prompt, plain)
    with torch.no_grad():
        brackets = pipe.encode_prompt("a (red) duck")[0]
    assert torch.equal(encode(pipe, r"a \(red\) duck", "").prompt, brackets)


def test_break_starts_a_new_chunk(pipe) -> None:
    both = encode(pipe, "a red duck BREAK a pond", "")
    assert torch.equal(both.prompt[:, :77], encode(pipe, "a red duck", "").prompt)
    assert torch.equal(both.prompt[:, 77:], encode(pipe, "a pond", "").prompt)


def test_a_refiner_gets_the_prompt_and_not_the_second_one(generator, registry, pipe) -> None:
    refiner = generator.pipelines.get(registry.checkpoint("refiner"), lambda text: None).pipe
    both = encode(refiner, "a red duck", "", "oil painting")
    assert torch.equal(both.prompt, encode(refiner, "a red duck", "").prompt)
    assert torch.equal(both.pooled, encode(refiner, "a red duck", "").pooled)
    assert not torch.equal(both.prompt, encode(refiner, "oil painting", "").prompt)


def seen_by_the_unet(pipe, embeds: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(2))
    ids = torch.tensor([[128.0, 128, 0, 0, 128, 128]])
    more = {"text_embeds": pooled, "time_ids": ids}
    with torch.no_grad():
        return pipe.unet(
            noise, torch.tensor(400.0), encoder_hidden_states=embeds, added_cond_kwargs=more
        ).sample


@pytest.mark.parametrize(
    ("prompt", "negative", "prompt_2"),
    [
        ("a blue cat", LONG, ""),
        (LONG, "fog", ""),
        (LONG, "fog BREAK night", ""),
        ("a cat BREAK a pond", LONG, "a castle"),
        ("a (blue:1.4) cat", "fog BREAK rain BREAK night", "a castle BREAK a moat"),
    ],
)
def test_neither_prompt_is_weaker_beside_a_longer_one(pipe, prompt, negative, prompt_2) -> None:
    both = encode(pipe, prompt, negative, prompt_2)
    assert both.prompt.shape == both.negative.shape
    alone = encode(pipe, prompt, "", prompt_2)
    itself = encode(pipe, negative, "")
    for mine, pooled, other in (
        (both.prompt, both.pooled, alone),
        (both.negative, both.negative_pooled, itself),
    ):
        assert torch.equal(pooled, other.pooled)
        wanted = seen_by_the_unet(pipe, other.prompt, other.pooled)
        assert torch.allclose(seen_by_the_unet(pipe, mine, pooled), wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("prompt", "negative", "length"),
    [(1, 1, 1), (1, 4, 4), (3, 2, 6), (9, 8, 72), (16, 15, 240), (31, 30, 217), (300, 299, 300)],
)
def test_the_common_length_stays_within_bounds(prompt: int, negative: int, length: int) -> None:
    assert common_length(prompt, negative) == common_length(negative, prompt) == length


def test_two_prompts_of_no_common_length_are_read_to_their_ends(pipe) -> None:
    thirty_one, thirty = "a BREAK " * 30 + "cat", "b BREAK " * 29 + "fog"
    both = encode(pipe, thirty_one, thirty)
    assert both.prompt.shape == both.negative.shape == (1, 217 * 77, both.prompt.shape[2])
    assert torch.equal(both.negative[:, 30 * 77 : 60 * 77], both.negative[:, : 30 * 77])


def test_what_cannot_be_brought_to_one_length_is_said_before_it_is_queued(registry, ask) -> None:
    def warned(prompt: int, negative: int) -> bool:
        asked = ask(
            prompt="a BREAK " * (prompt - 1) + "cat", negative_prompt="b BREAK " * (negative - 1) + "fog"
        )
        return any("chunks" in warning for warning in validate(registry, asked))

    assert warned(31, 30) and warned(17, 16)
    assert not warned(16, 15) and not warned(40, 20)
