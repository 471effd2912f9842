"""Detects a checkpoint's prediction type and noise schedule from its files.

Supported: epsilon and v-prediction on SDXL's schedule, also with zero terminal SNR. Anything else that a file
declares is refused by name, since sampling it like SDXL would give wrong images. The default is epsilon, as
in SDXL.
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
_MARKERS = (_V | _EPSILON | _ZERO_SNR) - {"v", "noise", "velocity"}
_UNSUPPORTED_FLAGS = {
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
_PREDICTION_KEYS = frozenset(
    {"predictiontype", "predictkey", "predicttype", "predtype", "prediction", "parameterization", "objective"}
    | {"modelpredictiontype", "trainingobjective"}
)
_SCHEDULE_KEYS = frozenset({"betaschedule", "noiseschedule"})
_SCHEDULES = frozenset({"scaledlinear", "ddpm", "discrete", "sdxl"})
_FALSE = frozenset({"", "false", "0", "0.0", "no", "none", "null", "off"})
_TRUE = frozenset({"true", "1", "1.0", "yes", "on"})

_UNSUPPORTED_WORDS = re.compile(
    r"(?<![a-z])(cosxl|edm|playground|rectified[-_ ]?flow|flow[-_ ]?match\w*)(?![a-z])"
)
_UNSUPPORTED_MARKERS = re.compile(
    r"(?:^|[._])(edm|rectified_?flow|flow_?match|flow_?pred|flow_?shift)(?![a-z])"
)
_PARTS = ("model.", "model_ema.", "first_stage_model.", "conditioner.")
_UNSUPPORTED_YAML = re.compile(r"\b(VScalingWithEDMcNoise|EDMScaling|EDMDiscretization|RectifiedFlow\w*)\b")

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
"""diffusers' scheduler classes for models trained like SDXL; they are interchangeable."""


class Prediction(NamedTuple):
    kind: str = EPSILON
    zero_snr: bool = False
    notes: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Normalise a name: lower case, without spaces, hyphens and underscores."""
    return re.sub(r"[\s_\-]", "", text.strip().lower())


def is_marker(key: str) -> bool:
    """Whether a tensor is a known marker of the prediction type."""
    return "." not in key and plain(key) in _MARKERS


def of_file(name: str, header: Header, sidecar: str = "") -> Prediction:
    """From marker tensors, metadata and the text of a `.yaml` sidecar, in this order of precedence.

    Raises `ModelError` for unsupported or unknown declarations.
    """
    for key in header.tensors:
        if not key.startswith(_PARTS) and (found := _UNSUPPORTED_MARKERS.search(key.lower())):
            raise _refused(name, "EDM, as CosXL" if found[1].startswith("edm") else "flow matching", key)
    markers = {plain(key) for key in header.tensors if is_marker(key)}
    declared = [(V, "a marker tensor")] * bool(markers & _V) + [(EPSILON, "a marker tensor")] * bool(
        markers & _EPSILON
    )
    zero_snr = bool(markers & _ZERO_SNR)
    for key, text in _declarations(header.metadata):
        short = plain(re.sub(r"^.*\.|^ss_", "", key))
        value = plain(text)
        flag = value in _TRUE
        if short in _PREDICTION_KEYS and value not in _FALSE:
            declared.append((_prediction(name, text, key), key))
        elif short in _V and short != "v":
            declared += _flag(name, key, text, V)
        elif short in _EPSILON and flag:
            declared.append((EPSILON, key))
        elif short in _ZERO_SNR:
            zero_snr |= bool(_flag(name, key, text, "zero terminal SNR"))
        elif short in _UNSUPPORTED_FLAGS and value not in _FALSE:
            raise _refused(name, _UNSUPPORTED_FLAGS[short], key)
        elif short in _SCHEDULE_KEYS and value not in _FALSE | _SCHEDULES:
            raise _refused(name, f"the noise schedule {text.strip()[:40]}", key)
        elif short in ("architecture", "implementation") and (
            found := _UNSUPPORTED_WORDS.search(text.lower())
        ):
            raise _refused(name, found[1], key)
    declared += _from_yaml(name, sidecar)
    zero_snr |= bool(re.search(r"^\s*(zero_snr|rescale_betas_zero_snr)\s*:\s*true\b", sidecar, re.M | re.I))
    if not declared:
        return Prediction(EPSILON, zero_snr)
    kind, source = declared[0]
    others = [where for other, where in declared if other != kind]
    note = (
        f"{name} declares its prediction type inconsistently; it is used as {kind} ({source}), not as in "
        f"{others[0] if others else ''}. If that is wrong, set prediction_type in models.json."
    )
    return Prediction(kind, zero_snr, (note,) if others else ())


def of_folder(name: str, config: Mapping[str, Any]) -> Prediction:
    """From a folder's scheduler_config.json. Raises `ModelError` if it is not supported."""
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
    """[(what, source)] if true, else []. Raises `ModelError` if it is neither true nor false."""
    value = plain(text)
    if value not in _TRUE | _FALSE:
        raise _refused(name, repr(text.strip()[:40]), key)
    return [(what, key)] if value in _TRUE else []


def _declarations(metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Metadata entries, including those of OneTrainer's configuration."""
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


def _from_yaml(name: str, text: str) -> list[tuple[str, str]]:
    if found := _UNSUPPORTED_YAML.search(text):
        raise _refused(name, "flow matching" if "Flow" in found[1] else "EDM", f"its .yaml, {found[1]}")
    found = re.search(r"^\s*parameterization\s*:\s*[\"']?([\w\-]+)", text, re.MULTILINE)
    if found and plain(found[1]) not in _FALSE:
        return [(_prediction(name, found[1], "its .yaml"), "its .yaml")]
    return [(V, "its .yaml")] if re.search(r"\bVScaling\b", text) else []


def _refused(name: str, what: str, source: str) -> ModelError:
    return ModelError(
        f"{name} was trained in a way that is not supported: {what} ({source}); "
        "choose a checkpoint for epsilon or v-prediction."
    )
