"""The exported folder: a real SDXL pipeline loads it, and it stays small."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline
from transformers import CLIPTokenizer

from webbduck_gradio.starter.evaluation.inference import generate, open_pipeline
from webbduck_gradio.starter.training.export import (
    MAX_BYTES,
    RECOMMENDED,
    export_parts,
    export_vae,
    folder_bytes,
    write_tokenizers,
)
from webbduck_gradio.starter.training.latents import PreviewColours
from webbduck_gradio.starter.training.models import (
    CompactVocabulary,
    TextSide,
    load_tokenizers,
    make_unet,
    tokenize,
)
from webbduck_gradio.starter.training.vae import VAE_CONFIG

PREVIEW = PreviewColours([[0.1, 0.2, 0.3]] * 4, [0.0, 0.1, 0.2])


@pytest.fixture(scope="module")
def tokenizers(starter_checkpoints: Path) -> tuple[CLIPTokenizer, CLIPTokenizer]:
    return load_tokenizers(starter_checkpoints / "sdxl" / "webbduck-starter")


@pytest.fixture(scope="module")
def text(tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]) -> TextSide:
    torch.manual_seed(1)
    return TextSide(CompactVocabulary.of_captions(tokenizers[0], captions=300)).eval()


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, tokenizers: tuple[CLIPTokenizer, CLIPTokenizer], text: TextSide
) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "starter"
    torch.manual_seed(2)
    vae = AutoencoderKL(**VAE_CONFIG)
    export_parts(folder, vae, make_unet(), text, tokenizers[0], PREVIEW, "made by a test")
    return folder


@pytest.fixture(scope="module")
def pipeline(exported: Path) -> StableDiffusionXLPipeline:
    return open_pipeline(exported)


def test_the_folder_is_small_and_complete(exported: Path) -> None:
    assert folder_bytes(exported) < MAX_BYTES
    assert [path.name for path in exported.parent.iterdir()] == ["starter"]
    about = json.loads((exported / "webbduck.json").read_text())
    assert len(about["latent_rgb"]["factors"]) == 4
    assert about["native_size"] == 256
    assert about["provenance"] == "made by a test"
    assert {name: about[name] for name in RECOMMENDED} == RECOMMENDED
    assert "duck" in about["vocabulary"]["words"]
    assert not [path for path in exported.rglob("*.json") if '"_name_or_path"' in path.read_text()]


def test_the_bundled_folder_recommends_the_same(starter_checkpoints: Path) -> None:
    about = json.loads((starter_checkpoints / "sdxl" / "webbduck-starter" / "webbduck.json").read_text())
    assert {name: about[name] for name in RECOMMENDED} == RECOMMENDED


def test_a_plain_pipeline_loads_and_paints(pipeline: StableDiffusionXLPipeline) -> None:
    assert pipeline.default_sample_size * pipeline.vae_scale_factor == 256
    pictures = generate(
        pipeline, ["a duck", "a blue duck"], [1, 2], negative="night", steps=2, width=64, height=96
    )
    assert [picture.shape for picture in pictures] == [(96, 64, 3)] * 2
    again = generate(pipeline, ["a duck"], [1], steps=2, width=64, height=64)
    assert np.array_equal(again[0], generate(pipeline, ["a duck"], [1], steps=2, width=64, height=64)[0])


def test_samplers_built_from_its_configuration_clip_nothing(pipeline: StableDiffusionXLPipeline) -> None:
    assert DDIMScheduler.from_config(pipeline.scheduler.config).config.clip_sample is False


def test_the_full_encoders_say_what_the_compact_ones_said(
    pipeline: StableDiffusionXLPipeline,
    text: TextSide,
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer],
) -> None:
    prompt = "a yellow duck wearing a crown on a pond"
    embeddings, _, pooled, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    rows = [text.vocabulary.rows(ids) for ids in tokenize(tokenizers, [prompt])]
    with torch.no_grad():
        context, small_pooled = text(*rows)
    assert torch.allclose(embeddings, context, atol=5e-3)
    assert torch.allclose(pooled, small_pooled, atol=5e-3)


def test_tokenizers_in_their_short_form_are_the_same(
    tmp_path: Path, tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]
) -> None:
    write_tokenizers(tokenizers[0], tmp_path)
    written = load_tokenizers(tmp_path)
    words = ["a duck, wearing a HAT!", "naïve café", "猫 and 🦆", "", "don't  (stop:1.2)", "x" * 400]
    for ours, theirs in zip(written, tokenizers, strict=True):
        options = {"padding": "max_length", "max_length": 77, "truncation": True}
        assert ours(words, **options).input_ids == theirs(words, **options).input_ids
    assert written[0].pad_token_id == 49_407
    assert written[1].pad_token_id == 0


def test_a_finer_decoder_is_mixed_in_and_another_encoder_refused(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported / "vae", folder / "vae")
    before = AutoencoderKL.from_pretrained(folder / "vae").float()
    finer = AutoencoderKL.from_pretrained(folder / "vae").float()
    with torch.no_grad():
        finer.decoder.conv_out.bias += 1.0
    export_vae(finer, folder, share=0.5)
    after = AutoencoderKL.from_pretrained(folder / "vae").float()
    change = after.decoder.conv_out.bias - before.decoder.conv_out.bias
    assert torch.allclose(change, torch.tensor(0.5), atol=2e-3)
    assert torch.equal(after.encoder.conv_in.weight, before.encoder.conv_in.weight)
    with torch.no_grad():
        finer.encoder.conv_in.bias += 1.0
    with pytest.raises(ValueError, match="another encoder"):
        export_vae(finer, folder)
    assert [path.name for path in folder.iterdir()] == ["vae"]
