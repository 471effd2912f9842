"""What a checkpoint was trained to put out: understood, or refused with the true reason when it is listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_files import SDXL, save

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.probe.checkpoint import inspect_file
from webbduck_gradio.models.probe.prediction import of_folder


@pytest.mark.parametrize(
    ("marks", "metadata", "sidecar", "expected"),
    [
        ({}, {}, "", ("epsilon", False)),
        ({"v_pred": (0,), "ztsnr": (0,)}, {}, "", ("v_prediction", True)),
        ({"ztsnr": (0,)}, {}, "", ("epsilon", True)),
        ({}, {"modelspec.prediction_type": "Epsilon"}, "", ("epsilon", False)),
        ({}, {"modelspec.prediction_type": "v-prediction"}, "", ("v_prediction", False)),
        ({}, {"modelspec.predict_key": "v"}, "", ("v_prediction", False)),
        ({}, {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, "", ("v_prediction", True)),
        ({}, {"ss_v_parameterization": "False", "ss_zero_terminal_snr": "None"}, "", ("epsilon", False)),
        ({}, {"ss_v_parameterization": "False", "ss_discrete_flow_shift": "None"}, "", ("epsilon", False)),
        ({}, {"ot_config": json.dumps({"force_v_prediction": True})}, "", ("v_prediction", False)),
        ({}, {"ot_config": "[" * 100_000}, "", ("epsilon", False)),
        ({}, {"prompt": '{"1": {"inputs": {"sampling": "edm", "flow": 1}}}'}, "", ("epsilon", False)),
        ({}, {}, "  parameterization: eps\n", ("epsilon", False)),
        ({}, {}, "scaling_config:\n  target: sgm.denoiser_scaling.VScaling\n", ("v_prediction", False)),
        ({}, {}, "target: sgm.modules.diffusionmodules.sampling.EulerEDMSampler\n", ("epsilon", False)),
        ({}, {}, "parameterization: v\nzero_snr: true\n", ("v_prediction", True)),
    ],
)
def test_what_is_understood(tmp_path: Path, marks, metadata, sidecar: str, expected) -> None:
    path = save(tmp_path / "a.safetensors", SDXL | marks, metadata)
    if sidecar:
        path.with_suffix(".yaml").write_text(sidecar)
    found = inspect_file(path)
    assert (found.prediction_type, found.zero_snr) == expected and found.notes == ()


@pytest.mark.parametrize(
    ("marks", "metadata", "sidecar", "words"),
    [
        (
            {"edm_vpred.sigma_max": (), "edm_vpred.sigma_min": ()},
            {},
            "",
            r"EDM, as CosXL \(edm_vpred.sigma_max",
        ),
        ({"rectified_flow": (0,)}, {}, "", "flow matching .rectified_flow"),
        ({"model_sampling.shift": ()}, {}, "", "marker model_sampling.shift"),
        ({"x0_pred": (0,)}, {}, "", "marker x0_pred"),
        ({}, {"modelspec.prediction_type": "flow"}, "", r"'flow' \(modelspec.prediction_type\)"),
        ({}, {"modelspec.prediction_type": "sample"}, "", "'sample'"),
        ({}, {"ss_flow_matching": "True"}, "", r"flow matching \(ss_flow_matching\)"),
        ({}, {"ss_v_parameterization": "perhaps"}, "", "'perhaps'"),
        ({}, {"edm": "true"}, "", "EDM"),
        ({}, {"noise_schedule": "cosine"}, "", "the noise schedule cosine"),
        ({}, {"modelspec.architecture": "stable-diffusion-xl-v1-cosxl"}, "", "cosxl"),
        ({}, {}, "parameterization: x0\n", "'x0'"),
        ({}, {}, "target: sgm.denoiser_scaling.VScalingWithEDMcNoise\n", "EDM .*VScalingWithEDMcNoise"),
    ],
)
def test_what_is_not_understood_is_never_plain_sdxl(tmp_path: Path, marks, metadata, sidecar, words) -> None:
    path = save(tmp_path / "a.safetensors", SDXL | marks, metadata)
    if sidecar:
        path.with_suffix(".yaml").write_text(sidecar)
    with pytest.raises(ModelError, match=words):
        inspect_file(path)


def test_a_contradiction_is_said(tmp_path: Path) -> None:
    found = inspect_file(
        save(tmp_path / "a.safetensors", SDXL | {"v_pred": (0,)}, {"modelspec.prediction_type": "epsilon"})
    )
    assert found.prediction_type == "v_prediction"
    assert "modelspec.prediction_type" in found.notes[0] and "models.json" in found.notes[0]


USUAL = {"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012}
USUAL |= {"beta_schedule": "scaled_linear", "prediction_type": "epsilon"}


def test_schedulers_of_folders() -> None:
    assert of_folder("a", USUAL) == of_folder("a", {}) == ("epsilon", False, ())
    v = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "_class_name": "DDIMScheduler"}
    assert of_folder("a", USUAL | v) == ("v_prediction", True, ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "EDMEulerScheduler"}, "EDM, EDMEulerScheduler"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow matching, FlowMatchEuler"),
        ({"_class_name": "KarrasVeScheduler"}, "supported: KarrasVeScheduler"),
        ({"_class_name": ["my", "Own"]}, "Own"),
        ({"prediction_type": "sample"}, "'sample'"),
        ({"prediction_type": "flow_prediction"}, "'flow_prediction'"),
        ({"use_flow_sigmas": True}, "flow matching"),
        ({"timestep_type": "continuous"}, "EDM, timestep_type"),
        ({"sigma_data": 0.5}, "EDM, sigma_data"),
        ({"beta_schedule": "sigmoid"}, "the noise schedule 'sigmoid'"),
        ({"beta_end": "0.012"}, "beta_end .* must be a number"),
        ({"rescale_betas_zero_snr": "yes"}, "must be true or false"),
    ],
)
def test_schedulers_that_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        of_folder("a", USUAL | changes)
