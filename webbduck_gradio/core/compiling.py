"""Compiles the UNet, where the user chose that: its blocks' operations joined by torch's compiler (inductor).

Its transformer blocks are compiled, not the whole: they repeat, so that few have to be compiled, and what
guidance changes between them (`sampling/perturbations.py`) stays as it is. One compiled block is for all
numbers of images, sizes and prompt lengths, and for any weights of the same shapes. Pictures are the same but
for roundings. A block that cannot be compiled computes as if it had not been tried.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from ..errors import SuspendedError, WebbDuckError
from . import devices
from .memory_policies import MemoryPolicy
from .progress import ProgressReporter, SilentReporter

log = logging.getLogger(__name__)

BLOCKS = ("BasicTransformerBlock",)
"""Classes of diffusers' blocks that are compiled. Not "ResnetBlock2D": on the CPU it is slower compiled, and
inductor compiles it apart for one row (`docs/performance.md`)."""

VARYING = {2: (0,), 3: (0, 1)}
"""Which dimensions of a block's inputs differ from picture to picture, by the number of dimensions: images
and their parts; tokens."""

MAX_VARIANTS = 64
"""Compiled variants of one class of blocks: each width of a UNet has its own, several checkpoints more."""

BACKEND = "inductor"
CACHE = "TORCHINDUCTOR_CACHE_DIR"

NO_COMPILER = "Pictures are not compiled: there is no C++ compiler on this computer; {remedy}, then restart."
REMEDIES = {
    "Windows": "install Microsoft's C++ Build Tools and start the studio from their command prompt",
    "Darwin": "install Apple's command line tools (xcode-select --install)",
}
REMEDY = "install g++ (on Debian and Ubuntu: apt install g++)"
NO_HEADERS = (
    "Pictures are not compiled: Python's header files are missing; install them (on Debian and Ubuntu: apt "
    "install python3-dev), then restart."
)
NO_TRITON = (
    "Pictures are not compiled: Triton is not installed or does not know this graphics card; install it (on "
    "Windows: the package triton-windows), then restart."
)
NO_METAL = "Pictures are not compiled on Apple GPUs, where that was not tried yet."
MOVING = (
    "Pictures are not compiled with memory policy '{}', which changes the UNet's weights while it computes; "
    "choose resident, tiled or offload."
)
FAILED = (
    "The compiler failed ({}), so pictures are drawn uncompiled until the studio is restarted; the log has "
    "the details."
)


class Compiling:
    """Whether and how the UNets of one device are compiled."""

    wanted = False
    """What the user chose."""

    def __init__(self, kind: str, folder: Path | None = None):
        """`kind`: the card's. `folder`: where compiled blocks are kept; None = where torch keeps them."""
        self._kind, self._folder = kind, folder
        self._failure: str | None = None
        self._reporter: ProgressReporter = SilentReporter()

    def start_job(self, reporter: ProgressReporter) -> None:
        """`reporter`: asked before each block that may have to be compiled whether the job is to stop."""
        self._reporter = reporter

    def problem(self, policy: MemoryPolicy) -> str | None:
        """Why UNets are not compiled although the user chose that, as a sentence."""
        if not self.wanted:
            return None
        if policy.is_fp8 or policy.unet in ("blocks", "layers"):
            return MOVING.format(policy.name)
        return self._failure or missing_tool(self._kind)

    def is_on(self, policy: MemoryPolicy) -> bool:
        """Whether UNets are compiled."""
        return self.wanted and self.problem(policy) is None

    def apply(self, unet: Any, policy: MemoryPolicy) -> None:
        """Let a UNet compute compiled, or not; its blocks are compiled when they are first used."""
        blocks = [each for each in unet.modules() if type(each).__name__ in BLOCKS]
        if self.is_on(policy):
            self._prepare()
            for block in blocks:
                if _region_of(block) is None:
                    block.forward = _Region(self, block.forward)
        else:
            for block in blocks:
                if _region_of(block) is not None:
                    del block.forward

    @contextmanager
    def first_call(self) -> Iterator[None]:
        """Tell that a block may be compiled now. Raises where the job is to stop for good. One that is put
        aside goes on until the step is done, or the image's earlier steps would be lost."""
        with suppress(SuspendedError):
            self._reporter.check()
        self._reporter.status("Compiling, which takes long once")
        yield
        self._reporter.status("Generating")

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def give_up(self, error: Exception) -> None:
        """From now on compute uncompiled."""
        log.error("Compiling failed; drawing uncompiled from now on", exc_info=error)
        cause = getattr(error, "inner_exception", error)
        self._failure = FAILED.format(type(cause).__name__)

    def _prepare(self) -> None:
        import torch._dynamo.config as dynamo
        from torch._inductor.runtime.cache_dir_utils import default_cache_dir
        from torch.fx.experimental import _config as shapes

        # Read by inductor when it compiles. The user's own value stays; torch's default is no such value, but
        # imports have set it.
        if self._folder is not None and os.environ.get(CACHE, default_cache_dir()) == default_cache_dir():
            os.environ[CACHE] = str(self._folder)
        dynamo.recompile_limit = max(dynamo.recompile_limit, MAX_VARIANTS)
        # Else one image or one row would be compiled apart from several.
        shapes.backed_size_oblivious = True


class _Region:
    """A block's `forward`, compiled when it is first called."""

    def __init__(self, owner: Compiling, forward: Callable[..., Any]):
        self._owner, self._plain = owner, forward
        self._compiled: Callable[..., Any] = torch.compile(forward, dynamic=True, backend=BACKEND)
        self._is_known = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._owner.has_failed:
            return self._plain(*args, **kwargs)
        for each in (*args, *kwargs.values()):
            if isinstance(each, torch.Tensor):
                torch._dynamo.maybe_mark_dynamic(each, list(VARYING.get(each.ndim, ())))
        try:
            with nullcontext() if self._is_known else self._owner.first_call():
                output = self._compiled(*args, **kwargs)
        except Exception as error:
            if not self._is_of_compiler(error):
                raise
            self._owner.give_up(error)
        else:
            self._is_known = True
            return output
        return self._plain(*args, **kwargs)  # outside the handler, whose error keeps tensors alive

    def _is_of_compiler(self, error: Exception) -> bool:
        if isinstance(error, WebbDuckError) or devices.is_out_of_memory(error):
            return False
        # The compiler does not translate all errors of what it calls (a full disk, a missing program).
        return not self._is_known or isinstance(error, torch._dynamo.exc.TorchDynamoException)


def _region_of(block: torch.nn.Module) -> _Region | None:
    forward = block.__dict__.get("forward")
    return forward if isinstance(forward, _Region) else None


@contextmanager
def uncompiled(part: torch.nn.Module) -> Iterator[None]:
    """Let a part of a UNet compute uncompiled: compiled blocks do not call hooks that they did not have."""
    compiled = [(block, region) for block in part.modules() if (region := _region_of(block)) is not None]
    for block, _ in compiled:
        del block.forward
    try:
        yield
    finally:
        for block, region in compiled:
            block.forward = region


def missing_tool(kind: str) -> str | None:
    """Which program is missing to compile for this kind of card, as a sentence."""
    if kind == "mps":
        return NO_METAL
    system = platform.system()
    if kind == "cpu":
        # As inductor chooses it.
        usual = {"Windows": "cl", "Darwin": "clang++"}.get(system, "g++")
        if shutil.which(os.environ.get("CXX") or usual) is None:
            return NO_COMPILER.format(remedy=REMEDIES.get(system, REMEDY))
    else:
        from torch.utils._triton import has_triton

        if not has_triton():
            return NO_TRITON
        if system == "Linux" and not any(map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))):
            return NO_COMPILER.format(remedy=REMEDY)
    if system == "Linux" and not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return NO_HEADERS
    return None
