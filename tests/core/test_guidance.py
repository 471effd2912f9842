"""What each kind of guidance does to the starter's predictions, in numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from recorder import Recorder
from torch.nn.functional import scaled_dot_product_attention

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.prompts import encode
from webbduck_gradio.core.sampling.denoiser import ModelContext, UNetDenoiser
from webbduck_gradio.core.sampling.guidance import (
    FreeU,
    Guidance,
    combined,
    guidance_of,
    rescaled,
    thresholded,
)
from webbduck_gradio.core.sampling.inpainted import Inpainted
from webbduck_gradio.core.sampling.loop import SamplingRun
from webbduck_gradio.core.sampling.model_sigmas import ModelSigmas
from webbduck_gradio.errors import CancelledError
from webbduck_gradio.request import GenerationRequest

SIGMA = 5.0
ALL: dict[str, Any] = {
    "rescale": 0.5,
    "min_sigma": 9.0,
    "pag_scale": 2.0,
    "slg_scale": 1.0,
    "freeu": FreeU(b1=1.3, b2=1.4, s1=0.9, s2=0.2),
    "mimic_cfg": 4.0,
}


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)) * SIGMA


def context_of(generator: Any, checkpoint: Any) -> ModelContext:
    loaded = generator.pipelines.get(checkpoint, lambda text: None)
    return ModelContext(loaded, encode(loaded.pipe, "a red duck on a pond", "a blue cube"))


@pytest.fixture(scope="module")
def model(generator, starter) -> ModelContext:
    return context_of(generator, starter)


def denoiser_of(model: ModelContext, inpainted: Inpainted | None = None, **options: Any) -> UNetDenoiser:
    guidance = Guidance(**{"cfg": 7.0} | options)
    return UNetDenoiser(model, ModelSigmas.from_config(model.loaded.scheduler), guidance, (64, 64), inpainted)


Make = Callable[..., UNetDenoiser]


@pytest.fixture(scope="module")
def make(model) -> Make:
    return lambda **options: denoiser_of(model, **options)


@contextmanager
def counted(unet: Any) -> Iterator[list[int]]:
    """The number of rows of each evaluation."""
    rows: list[int] = []
    hook = unet.register_forward_pre_hook(lambda unet, given: rows.append(len(given[0])))
    try:
        yield rows
    finally:
        hook.remove()


def plain(model: ModelContext, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the UNet puts out for the negative prompt and the prompt."""
    given, ids = model.embeddings, torch.tensor([[64.0, 64, 0, 0, 64, 64]])
    sigmas = ModelSigmas.from_config(model.loaded.scheduler)
    with torch.no_grad():
        output = model.loaded.pipe.unet(
            torch.cat([x * (1 / math.sqrt(SIGMA**2 + 1))] * 2),
            torch.tensor(sigmas.timestep(SIGMA)),
            torch.cat([given.negative, given.prompt]),
            added_cond_kwargs={
                "text_embeds": torch.cat([given.negative_pooled, given.pooled]),
                "time_ids": torch.cat([ids, ids]),
            },
            return_dict=False,
        )[0]
    return output[:1], output[1:]


def far(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().mean())


# The formulas


def test_all_but_cfg_is_off_by_default(make, model, x) -> None:
    assert Guidance(cfg=7) == Guidance(
        cfg=7,
        rescale=0,
        start=0,
        end=1,
        min_sigma=0,
        pag_scale=0,
        slg_scale=0,
        freeu=None,
        mimic_cfg=None,
        mimic_percentile=1,
    )
    negative, positive = plain(model, x)
    expected = x - (negative + (positive - negative) * 7) * SIGMA, x - negative * SIGMA
    assert all(map(torch.equal, make()(x, SIGMA), expected))


def test_perturbed_predictions_push_away_by_their_scales() -> None:
    negative, positive, one, other = (torch.full((1, 4, 2, 2), value) for value in (1.0, 3.0, 2.5, 5.0))
    assert combined(negative, positive, [], 7).unique().tolist() == [15]
    assert combined(negative, positive, [(one, 2), (other, 0.5)], 7).unique().tolist() == [15 + 1 - 1]
    assert combined(None, positive, [(one, 2)], 7).unique().tolist() == [4]


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_rescaling_mixes_the_deviations_of_each_image(share: float) -> None:
    guided = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * torch.tensor([3, 5]).view(
        2, 1, 1, 1
    )
    positive = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    wanted = positive.std((1, 2, 3)) * share + guided.std((1, 2, 3)) * (1 - share)
    found = rescaled(guided, positive, share)
    assert found.std((1, 2, 3)).tolist() == pytest.approx(wanted.tolist(), rel=1e-5)
    assert float(torch.corrcoef(torch.stack([found[0].flatten(), guided[0].flatten()]))[0, 1]) > 0.999999


def test_thresholding_clamps_beyond_the_percentile_and_scales_to_the_lower_range() -> None:
    apart = torch.tensor([-8.0, -4, -2, 2, 4, 8])
    guided, mimicked = (apart + 3).view(1, 1, 1, 6), (apart / 8 - 1).view(1, 1, 1, 6)
    assert thresholded(guided, mimicked, 1.0).flatten().tolist() == (apart / 8 + 3).tolist()
    # The 60th percentile of the distances 2, 2, 4, 4, 8, 8 is 4: what is beyond becomes 4, and 4 becomes 1.
    assert thresholded(guided, mimicked, 0.6).flatten().tolist() == [2, 2, 2.5, 3.5, 4, 4]
    assert torch.equal(thresholded(mimicked, guided, 0.6), mimicked)  # a smaller range stays
    still = torch.full((1, 1, 1, 6), 2.0)
    assert torch.equal(thresholded(still, still, 1.0), still)


def test_thresholding_takes_each_channel_of_each_image_on_its_own() -> None:
    guided = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * 9 + 1
    mimicked = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2)) + 5
    found = thresholded(guided, mimicked, 1.0)
    assert torch.allclose(found.mean((2, 3)), guided.mean((2, 3)), atol=1e-5)

    def ranges(latents: torch.Tensor) -> torch.Tensor:
        return (latents - latents.mean((2, 3), keepdim=True)).abs().amax((2, 3))

    assert torch.allclose(ranges(found), ranges(mimicked), rtol=1e-5)


# On the starter


def test_rescaling_brings_the_predicted_noise_to_the_deviation_of_the_conditional_one(make, model, x) -> None:
    def deviation(share: float) -> float:
        return float(((x - make(rescale=share)(x, SIGMA).denoised) / SIGMA).std())

    _, positive = plain(model, x)
    assert deviation(0) > 1.03 * float(positive.std())
    assert deviation(1) == pytest.approx(float(positive.std()), rel=1e-4)
    assert deviation(0.5) == pytest.approx((deviation(0) + deviation(1)) / 2, rel=1e-4)


def test_outside_its_range_guidance_costs_and_changes_nothing(make, model, x) -> None:
    _, positive = plain(model, x)
    denoise = make(**ALL | {"freeu": None, "start": 0.3, "end": 0.7})
    with counted(model.loaded.pipe.unet) as rows:
        for step in range(10):
            denoise.share = step / 10
            found = denoise(x, SIGMA)
            if not 3 <= step < 7:
                assert torch.equal(*found)
                assert torch.allclose(found.denoised, x - positive * SIGMA, atol=1e-4)
    # Within it, also the negative prompt is left out of each second evaluation.
    assert rows == [1, 1, 1, 3, 4, 3, 4, 1, 1, 1]


def test_guidance_acts_to_the_end_also_where_there_are_more_steps_than_planned() -> None:
    assert Guidance(cfg=7).acts_at(0) and Guidance(cfg=7).acts_at(1.5)
    assert not Guidance(cfg=7, end=0.9).acts_at(0.9) and Guidance(cfg=7, start=0.3).acts_at(3 / 10)


def test_below_the_sigma_the_negative_prompt_is_evaluated_every_second_time(make, model, x) -> None:
    denoise = make(min_sigma=4.0)
    with counted(model.loaded.pipe.unet) as rows:
        for sigma in (9, 7, 5, 4, 3.9, 2, 1, 0.5, 0.1):
            found = denoise(x, sigma)
            assert torch.equal(*found) == (rows[-1] == 1)
    assert rows == [2, 2, 2, 2, 2, 1, 2, 1, 2]


def test_the_evaluations_of_a_pass_are_counted_on(model, x) -> None:
    sigmas = ModelSigmas.from_config(model.loaded.scheduler)
    with counted(model.loaded.pipe.unet) as rows:
        for done in (4, 5):
            denoise = UNetDenoiser(model, sigmas, Guidance(cfg=7, min_sigma=9), (64, 64), evaluations=done)
            denoise(x, SIGMA)
            assert denoise.evaluations == done + 1
    assert rows == [2, 1]


def test_without_cfg_the_negative_prompt_is_never_evaluated(make, model, x) -> None:
    _, positive = plain(model, x)
    with counted(model.loaded.pipe.unet) as rows:
        found = make(cfg=1.0, rescale=0.7, mimic_cfg=0.5)(x, SIGMA)
        perturbed = make(cfg=1.0, pag_scale=2.0)(x, SIGMA)
    assert rows == [1, 2] and torch.equal(*found)
    for each in (found.denoised, perturbed.unconditional):
        assert torch.allclose(each, x - positive * SIGMA, atol=1e-4)
    assert far(perturbed.denoised, perturbed.unconditional) > 1e-3


class Alone:
    """Self-attention in which each position may see itself alone, by a mask; attention otherwise."""

    def __call__(self, attn: Any, hidden_states: torch.Tensor, *_: Any, **more: Any) -> torch.Tensor:
        rows, count, _width = hidden_states.shape
        query, key, value = (
            layer(hidden_states).view(rows, count, attn.heads, -1).transpose(1, 2)
            for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        seen = torch.eye(count, dtype=torch.bool)
        output = scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return attn.to_out[0](output.transpose(1, 2).reshape(rows, count, -1))


@contextmanager
def without_attention(unet: Any) -> Iterator[None]:
    blocks = [block for each in unet.mid_block.attentions for block in each.transformer_blocks]
    before = [block.attn1.processor for block in blocks]
    for block in blocks:
        block.attn1.processor = Alone()
    try:
        yield
    finally:
        for block, processor in zip(blocks, before, strict=True):
            block.attn1.processor = processor


@contextmanager
def without_transformer(unet: Any) -> Iterator[None]:
    (transformer,) = unet.mid_block.attentions
    transformer.forward = lambda hidden, **more: (hidden,)
    try:
        yield
    finally:
        del transformer.forward


@pytest.mark.parametrize(
    ("option", "perturbation"), [("pag_scale", without_attention), ("slg_scale", without_transformer)]
)
def test_perturbation_guides_away_from_a_prediction_without_a_part_of_the_middle_block(
    make, model, x, option: str, perturbation: Callable[[Any], Any]
) -> None:
    unet = model.loaded.pipe.unet
    negative, positive = plain(model, x)
    with perturbation(unet):
        _, perturbed = plain(model, x)
    assert far(positive, perturbed) > 1e-3
    for scale in (0.0, 1.0, 3.0):
        with counted(unet) as rows:
            found = make(**{option: scale})(x, SIGMA)
        output = negative + (positive - negative) * 7 + (positive - perturbed) * scale
        assert torch.allclose(found.denoised, x - output * SIGMA, atol=2e-4)
        assert torch.allclose(found.unconditional, x - negative * SIGMA, atol=1e-4)
        assert rows == [2 if scale == 0 else 3]
        alone = (x - make(**{"cfg": 1.0, option: scale})(x, SIGMA).denoised) / SIGMA
        assert far(alone, perturbed) == pytest.approx((1 + scale) * far(positive, perturbed), rel=1e-2)


def test_both_perturbations_go_into_one_evaluation(make, model, x) -> None:
    with counted(model.loaded.pipe.unet) as rows:
        both = make(pag_scale=2.0, slg_scale=1.5)(x, SIGMA).denoised
        plain, pag, slg = (
            make(**each)(x, SIGMA).denoised for each in ({}, {"pag_scale": 2.0}, {"slg_scale": 1.5})
        )
    assert rows == [4, 2, 3, 3]
    assert torch.allclose(both, pag + slg - plain, atol=1e-3)


def test_freeu_strengthens_what_comes_from_below_and_weakens_the_low_frequencies_beside_it(
    make, model, x
) -> None:
    unet = model.loaded.pipe.unet
    seen: list[torch.Tensor] = []
    hook = (
        unet.up_blocks[0]
        .resnets[0]
        .register_forward_pre_hook(lambda layer, given: seen.append(given[0].clone()))
    )
    try:
        usual = make()(x, SIGMA).denoised
        changed = make(freeu=FreeU(b1=1.3, b2=1.0, s1=0.5, s2=1.0))(x, SIGMA).denoised
    finally:
        hook.remove()
    below = unet.mid_block.out_channels
    off, on = seen
    deviations = [each[:, : below // 2].std() for each in seen]
    assert float(deviations[1] / deviations[0]) == pytest.approx(1.3, rel=1e-4)
    assert torch.equal(off[:, below // 2 : below], on[:, below // 2 : below])
    means = [each[:, below:].mean((2, 3)) for each in seen]
    assert torch.allclose(means[1], means[0] * 0.5, atol=1e-4)
    assert far(usual, changed) > 0.05


def test_mimicked_cfg_brings_the_range_of_high_cfg_down(make, x) -> None:
    def largest(**options: Any) -> float:
        denoised = make(**options)(x, SIGMA).denoised
        return float((denoised - denoised.mean((2, 3), keepdim=True)).abs().max())

    high, low = largest(cfg=20.0), largest(cfg=7.0)
    assert high > 2 * low
    assert largest(cfg=20.0, mimic_cfg=7.0) == pytest.approx(low, rel=1e-3)
    assert largest(cfg=7.0, mimic_cfg=20.0) == pytest.approx(low, rel=1e-3)
    whole, clamped = (
        make(cfg=20.0, mimic_cfg=4.0, mimic_percentile=each)(x, SIGMA).denoised for each in (1.0, 0.9)
    )
    assert float(clamped.std()) > 1.05 * float(whole.std())  # fewer outliers decide about the scale


def traces(unet: Any) -> list[Any]:
    """What guidance could leave in a UNet."""
    kept = [unet.attn_processors]
    for module in unet.modules():
        kept += [dict(module._forward_hooks), dict(module._forward_pre_hooks), "forward" in vars(module)]
    return [
        *kept,
        *(getattr(block, name, None) for block in unet.up_blocks for name in ("b1", "b2", "s1", "s2")),
    ]


def test_the_unet_is_left_as_it_was(make, model, x) -> None:
    unet = model.loaded.pipe.unet
    before, usual = traces(unet), make()(x, SIGMA).denoised
    denoise = make(**ALL)
    denoise(x, SIGMA)
    assert traces(unet) == before

    def fail(layer: Any, given: Any) -> None:
        assert traces(unet) != before  # everything is in place now
        raise RuntimeError("no memory")

    hook = unet.conv_out.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="no memory"):
            denoise(x, SIGMA)
    finally:
        hook.remove()
    assert traces(unet) == before and torch.equal(make()(x, SIGMA).denoised, usual)


# Other checkpoints


def test_an_inpainting_checkpoint_keeps_what_is_kept(generator, registry, x) -> None:
    painter = context_of(generator, registry.checkpoint("painter"))
    assert painter.loaded.pipe.unet.config.in_channels == 9
    latents, mask = torch.ones(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    found = denoiser_of(painter, Inpainted(latents, mask, latents), **ALL)(x, SIGMA)
    for each in found:
        assert each.isfinite().all() and torch.equal(each[..., :4], latents[..., :4])
    assert far(*found) > 0.01


def test_a_refiner_takes_all_of_it(generator, registry, x) -> None:
    refiner = context_of(generator, registry.checkpoint("refiner"))
    with counted(refiner.loaded.pipe.unet) as rows:
        found = denoiser_of(refiner, **ALL)(x, SIGMA)
    assert rows == [4] and all(each.isfinite().all() for each in found)


def test_a_checkpoint_distilled_with_guidance_is_perturbed_without_cfg(model, x) -> None:
    from diffusers import UNet2DConditionModel

    pipe = model.loaded.pipe
    distilled = UNet2DConditionModel.from_config({**pipe.unet.config, "time_cond_proj_dim": 32}).eval()
    distilled.load_state_dict(pipe.unet.state_dict(), strict=False)

    class Loaded:
        device, scheduler = model.loaded.device, model.loaded.scheduler

        class pipe:
            unet, config = distilled, model.loaded.pipe.config

    other = replace(model, loaded=Loaded)
    with counted(distilled) as rows:
        plain, stronger, guided = (
            denoiser_of(other, **each)(x, SIGMA).denoised for each in ({}, {"cfg": 3.0}, ALL)
        )
    assert rows == [1, 1, 3] and far(plain, stronger) > 1e-4 and far(plain, guided) > 1e-3


# From a request to its picture

ASKED: dict[str, Any] = {
    "cfg_rescale": 0.7,
    "guidance_start": 0.25,
    "guidance_end": 0.75,
    "ngms": 9.0,
    "mimic_cfg": 3.0,
    "pag_scale": 3.0,
    "slg_scale": 2.0,
    "freeu": "on",
}


def test_a_request_says_how_it_is_guided(ask) -> None:
    assert guidance_of(ask(cfg=7)) == Guidance(cfg=7)
    factors = {"freeu_b1": 1.1, "freeu_b2": 1.2, "freeu_s1": 0.6, "freeu_s2": 0.4}
    assert guidance_of(ask(cfg=7, mimic_percentile=0.9, **ASKED, **factors)) == Guidance(
        cfg=7,
        rescale=0.7,
        start=0.25,
        end=0.75,
        min_sigma=9,
        pag_scale=3,
        slg_scale=2,
        freeu=FreeU(b1=1.1, b2=1.2, s1=0.6, s2=0.4),
        mimic_cfg=3,
        mimic_percentile=0.9,
    )


def test_without_cfg_a_request_has_perturbations_and_freeu_alone(ask) -> None:
    found = guidance_of(ask(cfg=1, **ASKED))
    assert found == Guidance(cfg=1, pag_scale=3, slg_scale=2, freeu=found.freeu) and found.freeu


def test_cfg_plus_plus_takes_all_scales_smaller(ask) -> None:
    found = guidance_of(ask(cfg=5, sampler="Euler CFG++", **ASKED))
    scales = found.cfg, found.mimic_cfg, found.pag_scale, found.slg_scale
    assert scales == pytest.approx((5 / 12.5, 3 / 12.5, 3 / 12.5, 2 / 12.5))


def test_a_cfg_whose_scale_is_one_is_guidance_all_the_same(model, ask, x) -> None:
    """CFG 12.5 of a CFG++ sampler, which needs the prediction with the negative prompt."""
    guidance = guidance_of(ask(cfg=12.5, sampler="Euler CFG++"))
    sigmas = ModelSigmas.from_config(model.loaded.scheduler)
    with counted(model.loaded.pipe.unet) as rows:
        found = UNetDenoiser(model, sigmas, guidance, (64, 64))(x, SIGMA)
    assert rows == [2] and not torch.equal(found.denoised, found.unconditional)


@pytest.fixture(scope="module")
def usual(paint) -> numpy.ndarray:
    return paint()[0]


@pytest.mark.parametrize("name", ASKED)
def test_each_setting_changes_the_picture_and_at_its_default_it_does_not(paint, usual, name: str) -> None:
    default = GenerationRequest.model_fields[name].default
    assert numpy.array_equal(paint(**{name: default})[0], usual)
    assert not numpy.array_equal(paint(**{name: ASKED[name]})[0], usual)


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [("Euler", [1, 2, 2, 1]), ("Heun", [1, 1, 2, 2, 2, 2, 1]), ("DPM++ 2M", [1, 2, 2, 1])],
)
def test_a_range_of_steps_counts_steps_whatever_a_sampler_evaluates(
    paint, pipe, sampler: str, evaluations: list[int]
) -> None:
    with counted(pipe.unet) as rows:
        paint(sampler=sampler, steps=4, guidance_start=0.25, guidance_end=0.75)
    assert rows == evaluations


def test_a_refiner_goes_on_counting(generator, registry, paint, pipe) -> None:
    refiner = generator.pipelines.get(registry.checkpoint("refiner"), lambda text: None).pipe
    with counted(pipe.unet) as before, counted(refiner.unet) as after:
        paint(steps=6, second_pass_model="refiner", refiner_switch=0.5, ngms=15)
    assert before == [2, 1, 2] and after == [1, 2, 1]


@pytest.mark.parametrize(
    "mode",
    [
        {"image": True, "strength": 0.5},
        {"image": True, "mask": True, "strength": 0.5, "base_model": "painter"},
        {"second_pass_model": "webbduck-starter", "refinement_strength": 0.5},
        {"sampler": "DPM fast", "steps": 6},
        {"sampler": "Euler a CFG++"},
        {"loras": [{"name": "unet", "weight": 0.8}]},
    ],
    ids=["img2img", "inpaint", "second pass", "DPM fast", "CFG++", "LoRA"],
)
def test_all_of_it_goes_with_each_mode(paint, image, mask, pipe, mode: dict[str, Any]) -> None:
    given = mode | {name: {"image": image, "mask": mask}[name] for name in ("image", "mask") if name in mode}
    before = traces(pipe.unet)
    plain, guided, again = (paint(**given, **each)[0] for each in ({}, ASKED, ASKED))
    assert far(*map(torch.as_tensor, (plain * 1.0, guided * 1.0))) > 0.5 and numpy.array_equal(guided, again)
    if "loras" not in mode:
        assert traces(pipe.unet) == before


def test_all_of_it_goes_with_half_precision_and_uneven_sizes(registry, ask) -> None:
    """FreeU's Fourier transform has no half precision, and wants more of sizes that are no power of two."""
    half = ImageGenerator("cpu", registry, precision="bfloat16")
    request = ask(width=72, height=104, **ASKED)
    (picture,) = half.generate(request, registry.checkpoint(request.base_model), Recorder())
    assert picture.image.size == (72, 104) and numpy.asarray(picture.image).std() > 10


def test_a_cancelled_picture_leaves_nothing_behind(paint, pipe, usual) -> None:
    before = traces(pipe.unet)
    with pytest.raises(CancelledError):
        paint(Recorder(cancel_after=2), **ASKED)
    assert traces(pipe.unet) == before and numpy.array_equal(paint()[0], usual)


def test_the_latents_of_a_high_cfg_keep_the_range_of_the_mimicked_one(ask, model) -> None:
    def largest(**options: Any) -> float:
        run = SamplingRun(ask(steps=8, **options), 0, Recorder())
        latents = run.begin(model, (128, 128)).sample(model)
        return float((latents - latents.mean((2, 3), keepdim=True)).abs().max())

    high, low, mimicked = largest(cfg=20), largest(cfg=5), largest(cfg=20, mimic_cfg=5)
    assert high > 1.3 * low and mimicked - low < 0.2 * (high - low)
