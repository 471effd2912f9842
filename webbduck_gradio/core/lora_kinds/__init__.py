"""The kinds of changes that LoRA files hold; each computes what is added to the checkpoint's weights."""

from .base import Change
from .dora import Normalised
from .full import Difference
from .glora import Generalised
from .ia3 import Rescaling
from .loha import Hadamard
from .lokr import Kronecker
from .low_rank import LowRank, TuckerLowRank
from .oft import Rotation

__all__ = [
    "Change",
    "Difference",
    "Generalised",
    "Hadamard",
    "Kronecker",
    "LowRank",
    "Normalised",
    "Rescaling",
    "Rotation",
    "TuckerLowRank",
]
