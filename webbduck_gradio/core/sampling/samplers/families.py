"""The samplers of the families beside k-diffusion's, by the names that other programs give them."""

from __future__ import annotations

from .base import Solver
from .cfgpp import euler_ancestral_cfgpp, euler_cfgpp
from .consistency import lcm, tcd
from .ddim import ddim, ddim_cfgpp, ddpm
from .deis import deis
from .er_sde import er_sde
from .ipndm import ipndm
from .plms import plms
from .res_multistep import res_multistep
from .unipc import unipc

FAMILIES: dict[str, Solver] = {
    "UniPC": Solver(step=unipc),
    "DEIS": Solver(step=deis),
    "iPNDM": Solver(step=ipndm),
    "PLMS": Solver(step=plms),
    "Res Multistep": Solver(step=res_multistep),
    "DDIM": Solver(step=ddim),
    "DDPM": Solver(step=ddpm),
    "DDIM CFG++": Solver(step=ddim_cfgpp),
    "LCM": Solver(step=lcm),
    "TCD": Solver(step=tcd),
    "ER SDE": Solver(step=er_sde),
    "Euler CFG++": Solver(step=euler_cfgpp),
    "Euler a CFG++": Solver(step=euler_ancestral_cfgpp),
}
