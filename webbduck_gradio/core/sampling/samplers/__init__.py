"""The samplers: pure functions of their state, one file for each family."""

from __future__ import annotations

from .base import Solver
from .dpm2 import dpm_2, dpm_2_ancestral
from .dpm_solver import adaptive_is_finished, adaptive_sigma, dpm_adaptive, dpm_fast, fast_plan
from .dpmpp import dpmpp_2s_ancestral, dpmpp_sde
from .dpmpp_multistep import dpmpp_2m, dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_3m_sde
from .euler import euler, euler_ancestral
from .families import FAMILIES
from .heun import heun, heunpp2
from .lms import lms
from .restart import restart, restart_plan

SOLVERS: dict[str, Solver] = {
    "Euler": Solver(step=euler),
    "Euler a": Solver(step=euler_ancestral),
    "Heun": Solver(step=heun),
    "HeunPP2": Solver(step=heunpp2),
    "LMS": Solver(step=lms),
    "DPM2": Solver(step=dpm_2),
    "DPM2 a": Solver(step=dpm_2_ancestral),
    "DPM++ 2S a": Solver(step=dpmpp_2s_ancestral),
    "DPM++ SDE": Solver(step=dpmpp_sde),
    "DPM++ 2M": Solver(step=dpmpp_2m),
    "DPM++ 2M SDE": Solver(step=dpmpp_2m_sde),
    "DPM++ 2M SDE Heun": Solver(step=dpmpp_2m_sde_heun),
    "DPM++ 3M SDE": Solver(step=dpmpp_3m_sde),
    "DPM fast": Solver(step=dpm_fast, plan=fast_plan),
    "DPM adaptive": Solver(step=dpm_adaptive, is_finished=adaptive_is_finished, sigma=adaptive_sigma),
    "Restart": Solver(step=restart, plan=restart_plan),
    **FAMILIES,
}
"""All samplers, by AUTOMATIC1111's or Forge's name."""
