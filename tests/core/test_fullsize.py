"""The benchmark's full-size parts, at a small size: both ways draw the same latents."""

from __future__ import annotations

import torch

from webbduck_gradio.benchmarks import full_size_sdxl
from webbduck_gradio.benchmarks.sdxl import UNET, VAE

SMALL_UNET = UNET | {
    "attention_head_dim": [1, 1, 1],
    "block_out_channels": [32, 32, 32],
    "cross_attention_dim": 48,
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 48 + 16,
    "transformer_layers_per_block": [1, 1, 1],
}
SMALL_VAE = VAE | {"block_out_channels": [32] * 4, "layers_per_block": 1}


def test_both_works_run_and_the_peak_is_a_number(monkeypatch) -> None:
    pipe = full_size_sdxl.pipeline("cpu", torch.float32, SMALL_UNET, SMALL_VAE)
    steps = 0
    inner = pipe.unet.forward

    def counted(*arguments: object, **more: object) -> object:
        nonlocal steps
        steps += 1
        return inner(*arguments, **more)

    monkeypatch.setattr(pipe.unet, "forward", counted)
    for (_, work), expected in zip(full_size_sdxl.works(pipe, 2, 3, side=64), (2, 6), strict=True):
        steps = 0
        work()
        assert steps == expected  # three at once, or three one after the other
    assert torch.get_default_dtype() == torch.float32
    assert full_size_sdxl.matrix_peak("cpu", torch.float32, side=64, rounds=2) > 0


def test_the_full_size_is_sdxls_own() -> None:
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel

    with init_empty_weights():
        model = UNet2DConditionModel(**UNET)
    assert round(sum(each.numel() for each in model.parameters()) / 1e5) == 25675
