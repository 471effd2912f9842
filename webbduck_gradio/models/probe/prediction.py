"""What a checkpoint was trained to put out, and on which noise, as far as its files say.

Understood: noise (epsilon) and v-prediction on SDXL's schedule, the latter also from pure noise (zero
terminal SNR). Everything else that a file says of itself is refused with its name: drawn as plain SDXL it
would give wrong pictures. Where nothing is said it is epsilon, as in SDXL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...errors import ModelError
from .safetensors_header import Header

EPSILON, V = "epsilon", "v_prediction"

_V = frozenset({"v", "vpred", "vprediction", "vparameterization", "velocity"})
_EPSILON = frozenset({"eps", "epsilon", "epspred", "epsprediction", "epsilonprediction", "noise"})
_ZERO_SNR = frozenset(
    {"ztsnr", "zsnr", "zerosnr", "zeroterminalsnr", "rescalebetaszerosnr", "rescalezeroterminalsnr"}
)
_MARKS = (_V | _EPSILON | _ZERO_SNR) - {"v", "noise", "velocity"}
_FLAGS_OF_OTHERS = {
    "edm": "EDM",
    "edmv": "EDM",
    "edmvpred": "EDM",
    "edmstyletraining": "EDM",
    "doedmstyletraining": "EDM",
    "flow": "flow matching",
    "flowmatching": "flow matching",
    "flowprediction": "flow matching",
    "flowshift": "flow matching",
    "discreteflowshift": "flow matching",
    "rectifiedflow": "flow matching",
    "useflowsigmas": "flow matching",
}
_NAMES_A_PREDICTION = frozenset(
    {"predictiontype", "predictkey", "predicttype", "predtype", "prediction", "parameterization", "objective"}
    | {"modelpredictiontype", "trainingobjective"}
)
_NAMES_A_SCHEDULE = frozenset({"betaschedule", "noiseschedule"})
_SCHEDULES = frozenset({"scaledlinear", "ddpm", "discrete", "sdxl"})
_FALSE = frozenset({"", "false", "0", "0.0", "no", "none", "null", "off"})
_TRUE = frozenset({"true", "1", "1.0", "yes", "on"})

_OTHER_WORDS = re.compile(r"(?<![a-z])(cosxl|edm|playground|rectified[-_ ]?flow|flow[-_ ]?match\w*)(?![a-z])")
_OTHER_MARKS = re.compile(r"(?:^|[._])(edm|rectified_?flow|flow_?match|flow_?pred|flow_?shift)(?![a-z])")
_PARTS = ("model.", "model_ema.", "first_stage_model.", "conditioner.")
_YAML_OTHERS = re.compile(r"\b(VScalingWithEDMcNoise|EDMScaling|EDMDiscretization|RectifiedFlow\w*)\b")

SCHEDULERS = frozenset(
    {
        "DDIMScheduler",
        "DDPMScheduler",
        "DEISMultistepScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSDEScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "LCMScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "SASolverScheduler",
        "TCDScheduler",
        "UniPCMultistepScheduler",
    }
)
"""diffusers' classes for models that were trained as SDXL was: each can stand for another."""


class Prediction(NamedTuple):
    kind: str = EPSILON
    zero_snr: bool = False
    notes: tuple[str, ...] = ()


def plain(text: str) -> str:
    """A name without capitals, spaces, hyphens and underscores."""
    return re.sub(r"[\s_\-]", "", text.strip().lower())


def is_mark(key: str) -> bool:
    """Whether a tensor's name alone says what was trained, in a way that is understood."""
    return "." not in key and plain(key) in _MARKS


def of_file(name: str, header: Header, sidecar: str = "") -> Prediction:
    """From marker tensors, metadata, and the text of a sidecar `.yaml`; the first that says it counts.

    Raises `ModelError` for what is said and not understood.
    """
    for key in header.tensors:
        if not key.startswith(_PARTS) and (found := _OTHER_MARKS.search(key.lower())):
            raise _refused(name, "EDM, as CosXL" if found[1].startswith("edm") else "flow matching", key)
    marks = {plain(key) for key in header.tensors if is_mark(key)}
    said = [(V, "a marker tensor")] * bool(marks & _V) + [(EPSILON, "a marker tensor")] * bool(
        marks & _EPSILON
    )
    zero_snr = bool(marks & _ZERO_SNR)
    for key, text in _told(header.metadata):
        short = plain(re.sub(r"^.*\.|^ss_", "", key))
        value = plain(text)
        flag = value in _TRUE
        if short in _NAMES_A_PREDICTION and value not in _FALSE:
            said.append((_prediction(name, text, key), key))
        elif short in _V and short != "v":
            said += _flag(name, key, text, V)
        elif short in _EPSILON and flag:
            said.append((EPSILON, key))
        elif short in _ZERO_SNR:
            zero_snr |= bool(_flag(name, key, text, "zero terminal SNR"))
        elif short in _FLAGS_OF_OTHERS and value not in _FALSE:
            raise _refused(name, _FLAGS_OF_OTHERS[short], key)
        elif short in _NAMES_A_SCHEDULE and value not in _FALSE | _SCHEDULES:
            raise _refused(name, f"the noise schedule {text.strip()[:40]}", key)
        elif short in ("architecture", "implementation") and (found := _OTHER_WORDS.search(text.lower())):
            raise _refused(name, found[1], key)
    said += _said_by_yaml(name, sidecar)
    zero_snr |= bool(re.search(r"^\s*(zero_snr|rescale_betas_zero_snr)\s*:\s*true\b", sidecar, re.M | re.I))
    if not said:
        return Prediction(EPSILON, zero_snr)
    kind, source = said[0]
    others = [where for other, where in said if other != kind]
    note = (
        f"{name} says in two ways what it was trained for; it is drawn as {kind} ({source}), not as "
        f"{others[0] if others else ''} says. Where that is wrong, set prediction_type in models.json."
    )
    return Prediction(kind, zero_snr, (note,) if others else ())


def of_folder(name: str, config: Mapping[str, Any]) -> Prediction:
    """From a folder's scheduler_config.json. Raises `ModelError` for what is not understood."""
    where = "scheduler/scheduler_config.json"
    scheduler = str(config.get("_class_name", "EulerDiscreteScheduler"))
    if scheduler not in SCHEDULERS:
        kind = "EDM" if scheduler.startswith("EDM") else "flow matching" if "Flow" in scheduler else None
        raise _refused(name, f"{kind + ', ' if kind else ''}{scheduler}", where)
    if config.get("use_flow_sigmas") is True:
        raise _refused(name, "flow matching, use_flow_sigmas", where)
    if config.get("timestep_type", "discrete") != "discrete":
        raise _refused(name, f"EDM, timestep_type {config['timestep_type']!r}", where)
    if config.get("sigma_data") is not None:
        raise _refused(name, "EDM, sigma_data", where)
    for key in ("beta_start", "beta_end"):
        value = config.get(key, 0.01)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise ModelError(f"{name}: {key} in {where} must be a number between 0 and 1.")
    schedule = config.get("beta_schedule", "scaled_linear")
    if schedule not in ("scaled_linear", "linear", "squaredcos_cap_v2"):
        raise _refused(name, f"the noise schedule {schedule!r}", where)
    zero_snr = config.get("rescale_betas_zero_snr", False)
    if zero_snr not in (True, False, None):
        raise ModelError(f"{name}: rescale_betas_zero_snr in {where} must be true or false.")
    kind = _prediction(name, str(config.get("prediction_type") or EPSILON), where)
    return Prediction(kind, zero_snr is True)


def _prediction(name: str, text: str, source: str) -> str:
    value = plain(text)
    if value in _V:
        return V
    if value in _EPSILON:
        return EPSILON
    raise _refused(name, repr(text.strip()[:40]), source)


def _flag(name: str, key: str, text: str, what: str) -> list[tuple[str, str]]:
    """[what, where it is said] where it is true. Raises `ModelError` where it is neither true nor false."""
    value = plain(text)
    if value not in _TRUE | _FALSE:
        raise _refused(name, repr(text.strip()[:40]), key)
    return [(what, key)] if value in _TRUE else []


def _told(metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Metadata, and what OneTrainer's configuration in it says."""
    yield from metadata.items()
    try:
        config = json.loads(metadata.get("ot_config", "{}"))
    except (ValueError, RecursionError):
        return
    if not isinstance(config, dict):
        return
    for key, meaning in (
        ("force_v_prediction", "v_prediction"),
        ("force_epsilon_prediction", "epsilon"),
        ("rescale_noise_scheduler_to_zero_terminal_snr", "ztsnr"),
    ):
        if config.get(key) is True:
            yield f"ot_config.{meaning}", "true"


def _said_by_yaml(name: str, text: str) -> list[tuple[str, str]]:
    if found := _YAML_OTHERS.search(text):
        raise _refused(name, "flow matching" if "Flow" in found[1] else "EDM", f"its .yaml, {found[1]}")
    found = re.search(r"^\s*parameterization\s*:\s*[\"']?([\w\-]+)", text, re.MULTILINE)
    if found and plain(found[1]) not in _FALSE:
        return [(_prediction(name, found[1], "its .yaml"), "its .yaml")]
    return [(V, "its .yaml")] if re.search(r"\bVScaling\b", text) else []


def _refused(name: str, what: str, source: str) -> ModelError:
    return ModelError(
        f"{name} was trained in a way that this studio does not draw: {what} ({source}); "
        "choose a checkpoint for epsilon or v-prediction."
    )
