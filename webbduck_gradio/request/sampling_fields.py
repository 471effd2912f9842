"""The settings of guidance, noise and samplers. At their defaults, a picture is drawn without them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .base import MAX_SIDE, MIN_SIDE, SIDE_STEP, StrictFloat, reject_bool
from .fields import Pair, Setting
from .picture_fields import MAX_SEED, PictureFields

FREEU = {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}
"""What FreeU's authors recommend for SDXL."""


def _none_if_random(value: Any) -> Any:
    """-1 means a random seed, as None does; `GenerationRequest` chooses it if it is needed."""
    return None if value == -1 and not isinstance(value, bool) else value


# Optional numbers: None = the sampler's, the schedule's or the checkpoint's own.
_Seed = Annotated[int, Field(ge=0, le=MAX_SEED)] | None
_Size = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=SIDE_STEP)] | None
_Share = Annotated[float, Field(ge=0, le=1)] | None
_Sigma = Annotated[float, Field(ge=0, le=10_000)] | None
_SigmaMin = Annotated[float, Field(ge=0.001, le=10)] | None
_SigmaMax = Annotated[float, Field(ge=0.1, le=10_000)] | None
_Rho = Annotated[float, Field(ge=0.1, le=100)] | None
_Shape = Annotated[float, Field(ge=0.4, le=5)] | None
_Cfg = Annotated[float, Field(ge=1, le=30)] | None
_number = BeforeValidator(reject_bool)
_Scale = Annotated[StrictFloat, Field(ge=0, le=15)]
_Factor = Annotated[StrictFloat, Field(ge=0, le=4)]


class SamplingFields(PictureFields):
    """Further fields of `GenerationRequest`, which follow those of `PictureFields` in the API."""

    # fmt: off

    noise_source: Annotated[Literal["cpu", "nv"], Setting(
        label="Noise source", group="noise", control="choice", place=10,
        choices={"cpu": "CPU", "nv": "NVIDIA"},
        help="The random numbers that the noise is made of. {cpu}: torch's on the CPU, as in ComfyUI; {nv}: "
        "those of an NVIDIA card, as A1111 takes them. Both are computed on the CPU.",
        listed_at_default=False, lines={"fold": "noise of {}"},
        infotext=Pair("RNG", {"cpu": "CPU", "nv": "NV"}),
    )] = "cpu"
    variation_strength: Annotated[StrictFloat, Field(ge=0, le=1), Setting(
        label="Variation strength", group="noise", control="number", place=20, has_slider=True, step=0.05,
        help="Share of a second seed in the initial noise, for small variations of a picture. Above 0, all "
        "pictures of a batch have the same seed and different variation seeds.",
        is_content=True, listed_at_default=False,
        infotext=Pair("Variation seed strength", at_default=False),
    )] = 0.0
    variation_seed: Annotated[_Seed, _number, BeforeValidator(_none_if_random), Setting(
        label="Variation seed", group="noise", control="number", place=30, placeholder="Random",
        help="The second seed.",
        page_help="Empty: random.",
        api_help="None or -1 = random. Image i of a batch has variation_seed + i.",
        applies=("variation",), is_content=True, infotext=Pair("Variation seed"),
    )] = None
    seed_resize_width: Annotated[_Size, _number, Setting(
        label="Seed resize width", group="noise", control="number", place=40, unit="px",
        form_label="Resize seed from width", placeholder="Off",
        help="The size of another picture whose composition is to be kept: its noise is put into the middle.",
        api_help="None = off; wants a height, too.", is_content=True,
        infotext=Pair("Seed resize from", is_written=False),
    )] = None
    seed_resize_height: Annotated[_Size, _number, Setting(
        label="Seed resize height", group="noise", control="number", place=40, unit="px", is_beside=True,
        form_label="height", placeholder="Off",
        help="The height of that picture.", api_help="None = off; wants a width, too.", is_content=True,
        infotext=Pair("Seed resize from", is_written=False),
    )] = None
    ensd: Annotated[int, _number, Field(ge=0, le=MAX_SEED), Setting(
        label="ENSD", group="noise", control="number", place=50,
        help="Eta noise seed delta: added to the seed for the noise of the steps. NovelAI's is 31337.",
        applies=("step_noise",), listed_at_default=False, infotext=Pair("ENSD", at_default=False),
    )] = 0
    eta: Annotated[_Share, _number, Setting(
        label="Eta", group="details", control="number", place=10, placeholder="The sampler's own", step=0.05,
        help="How much of the noise is drawn anew at each step; 0 draws none.",
        api_help="None = the sampler's own: 1, DDIM 0, TCD 0.3.",
        applies=("eta",), infotext=Pair("Eta", is_written=False),
    )] = None
    s_noise: Annotated[StrictFloat, Field(ge=0, le=2), Setting(
        label="Sigma noise", group="details", control="number", place=20, is_beside=True, step=0.01,
        help="Factor of all noise that the sampler adds.",
        applies=("noise",), listed_at_default=False, infotext=Pair("Sigma noise", at_default=False),
    )] = 1.0
    s_churn: Annotated[StrictFloat, Field(ge=0, le=100), Setting(
        label="Sigma churn", group="details", control="number", place=30, step=1,
        help="Noise added before the steps, over the whole run.",
        applies=("churn",), listed_at_default=False, infotext=Pair("Sigma churn", at_default=False),
    )] = 0.0
    s_tmin: Annotated[StrictFloat, Field(ge=0, le=10_000), Setting(
        label="Sigma tmin", group="details", control="number", place=40,
        help="The lowest noise level at which churn acts.",
        applies=("churn", "churned"), listed_at_default=False,
        infotext=Pair("Sigma tmin", at_default=False),
    )] = 0.0
    s_tmax: Annotated[_Sigma, _number, Setting(
        label="Sigma tmax", group="details", control="number", place=40, is_beside=True,
        placeholder="No limit", help="The highest noise level at which churn acts.",
        api_help="None = no limit.", applies=("churn", "churned"), infotext=Pair("Sigma tmax"),
    )] = None
    sigma_min: Annotated[_SigmaMin, _number, Setting(
        label="Sigma min", group="details", control="number", place=50, placeholder="The checkpoint's",
        help="The noise level of the last step.", api_help="None = the checkpoint's lowest.",
        applies=("range",), infotext=Pair("Schedule min sigma"),
    )] = None
    sigma_max: Annotated[_SigmaMax, _number, Setting(
        label="Sigma max", group="details", control="number", place=50, is_beside=True,
        placeholder="The checkpoint's",
        help="The noise level of the first step.", api_help="None = the checkpoint's highest.",
        applies=("range",), infotext=Pair("Schedule max sigma"),
    )] = None
    rho: Annotated[_Rho, _number, Setting(
        label="Rho", group="details", control="number", place=60, placeholder="Karras 7, Polyexponential 1",
        help="How much the steps are concentrated at low noise levels.",
        api_help="None = 7 for Karras, 1 for Polyexponential.",
        applies=("rho",), infotext=Pair("Schedule rho"),
    )] = None
    beta_alpha: Annotated[_Shape, _number, Setting(
        label="Beta schedule alpha", group="details", control="number", place=70, placeholder="0.6",
        form_label="Beta alpha",
        help="Lower values put more steps at high noise levels.", api_help="None = 0.6.",
        applies=("beta",), infotext=Pair("Beta schedule alpha"),
    )] = None
    beta_beta: Annotated[_Shape, _number, Setting(
        label="Beta schedule beta", group="details", control="number", place=70, is_beside=True,
        placeholder="0.6", form_label="Beta beta",
        help="Lower values put more steps at low noise levels.", api_help="None = 0.6.",
        applies=("beta",), infotext=Pair("Beta schedule beta"),
    )] = None
    discard_penultimate: Annotated[
        Literal["automatic", "always", "never"], Setting(
            label="Discard penultimate sigma", group="details", control="choice", place=80,
            choices={"automatic": "Automatic", "always": "Always", "never": "Never"},
            help="Whether the last noise level but one is left out, which leaves less grain. {automatic}: "
            "with DPM2, DPM2 a and DPM++ 3M SDE, as in A1111.",
            listed_at_default=False, lines={"fold": "penultimate sigma discarded: {}"},
            infotext=Pair(
                "Discard penultimate sigma", {"always": "True", "never": "False"}, at_default=False
            ),
        )] = "automatic"
    strength_steps: Annotated[Literal["share", "a1111"], Setting(
        label="Steps under strength", group="details", control="choice", place=90,
        choices={"share": "Share", "a1111": "As A1111"},
        help="How many steps a denoising strength leaves. {share}: int(steps * strength). {a1111}: one more, "
        "and in a second pass as many as were asked for.",
        applies=("partial",), listed_at_default=False, lines={"fold": "steps under strength as A1111"},
        infotext=Pair("Steps under strength", {"a1111": "A1111"}, at_default=False),
    )] = "share"
    cfg_rescale: Annotated[StrictFloat, Field(ge=0, le=1), Setting(
        label="CFG rescale", group="guidance", control="number", place=10, has_slider=True,
        help="Lowers the contrast that a high CFG gives; 0.7 is usual for zero-SNR checkpoints.",
        applies=("guidance",), listed_at_default=False, infotext=Pair("CFG rescale", at_default=False),
    )] = 0.0
    guidance_start: Annotated[StrictFloat, Field(ge=0, le=1), Setting(
        label="Guidance start", group="guidance", control="number", place=20, has_slider=True,
        help="Share of the steps after which guidance begins; before it the negative prompt is not used.",
        applies=("guidance",), listed_at_default=False, lines={"fold": "guidance from {%}"},
        infotext=Pair("Skip Early CFG", at_default=False),
    )] = 0.0
    guidance_end: Annotated[StrictFloat, Field(ge=0, le=1), Setting(
        label="Guidance end", group="guidance", control="number", place=20, has_slider=True, is_beside=True,
        help="Share of the steps after which guidance ends; steps without it take half the time.",
        applies=("guidance",), listed_at_default=False, lines={"fold": "guidance up to {%}"},
        infotext=Pair("Guidance end", at_default=False),
    )] = 1.0
    ngms: Annotated[_Scale, Setting(
        label="NGMS", group="guidance", control="number", place=30,
        help="Negative guidance minimum sigma: below this noise level every second step goes without the "
        "negative prompt, which is faster.",
        applies=("guidance",), listed_at_default=False, infotext=Pair("NGMS", at_default=False),
    )] = 0.0
    mimic_cfg: Annotated[_Cfg, _number, Setting(
        label="Mimicked CFG", group="guidance", control="number", place=40, placeholder="Off",
        help="Dynamic thresholding: keeps the range of values that this lower CFG would give.",
        api_help="None = off.", applies=("guidance",),
        infotext=Pair("dynthres_mimic_scale", at_default=False),
    )] = None
    mimic_percentile: Annotated[StrictFloat, Field(ge=0.5, le=1), Setting(
        label="Mimic percentile", group="guidance", control="number", place=40, is_beside=True, step=0.01,
        help="Share of the values that stay within that range.",
        applies=("guidance", "mimic"), listed_at_default=False,
        infotext=Pair("dynthres_threshold_percentile"),
    )] = 1.0
    pag_scale: Annotated[_Scale, Setting(
        label="PAG scale", group="guidance", control="number", place=50, step=0.5,
        help="Perturbed attention guidance: clearer structure, by comparison with a prediction without "
        "self-attention. 3 is usual; 0 is off. Takes longer.",
        listed_at_default=False, infotext=Pair("pag_scale", at_default=False),
    )] = 0.0
    slg_scale: Annotated[_Scale, Setting(
        label="SLG scale", group="guidance", control="number", place=50, is_beside=True, step=0.5,
        help="Skip layer guidance: the same, by comparison with a prediction that skips the UNet's middle "
        "transformer.",
        listed_at_default=False, infotext=Pair("slg_scale", at_default=False),
    )] = 0.0
    freeu: Annotated[Literal["off", "on"], Setting(
        label="FreeU", group="guidance", control="choice", place=60, choices={"off": "Off", "on": "On"},
        help="Weighs the UNet's backbone more and its skip connections less, for cleaner shapes.",
        listed_at_default=False, lines={"fold": "FreeU"},
        infotext=Pair("freeu_enabled", {"on": "True"}, at_default=False),
    )] = "off"
    freeu_b1: Annotated[_Factor, Setting(
        label="FreeU b1", form_label="b1", group="guidance", control="number", place=70,
        help="Factor of the backbone in the innermost block.", applies=("freeu",),
        listed_at_default=False, infotext=Pair("freeu_b1"),
    )] = FREEU["b1"]
    freeu_b2: Annotated[_Factor, Setting(
        label="FreeU b2", form_label="b2", group="guidance", control="number", place=70, is_beside=True,
        help="Factor of the backbone in the next block.", applies=("freeu",),
        listed_at_default=False, infotext=Pair("freeu_b2"),
    )] = FREEU["b2"]
    freeu_s1: Annotated[_Factor, Setting(
        label="FreeU s1", form_label="s1", group="guidance", control="number", place=70, is_beside=True,
        help="Factor of the skip connection's low frequencies in the innermost block.", applies=("freeu",),
        listed_at_default=False, infotext=Pair("freeu_s1"),
    )] = FREEU["s1"]
    freeu_s2: Annotated[_Factor, Setting(
        label="FreeU s2", form_label="s2", group="guidance", control="number", place=70, is_beside=True,
        help="Factor of the skip connection's low frequencies in the next block.", applies=("freeu",),
        listed_at_default=False, infotext=Pair("freeu_s2"),
    )] = FREEU["s2"]
    batch_mode: Annotated[Literal["single", "together"], Setting(
        label="Batches", group="more", control="choice", place=35, reset="kept",
        choices={"single": "One by one", "together": "Together"},
        help="{together} draws several pictures of a job at once, as many as the memory allows: faster on a "
        "graphics card, but single pixels can differ from the picture drawn alone.",
        applies=("batch", "joint"), listed_at_default=False, lines={"fold": "batches together"},
    )] = "single"
    # fmt: on
