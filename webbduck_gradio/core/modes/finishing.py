"""The last step of a mode: with a mask, what is kept of the input image is put back."""

from __future__ import annotations

from ..sampling.loop import SamplingRun
from ..unfinished import Stage, Unfinished
from .base import Mode
from .passes import Drawn, Pass


class Finishing(Pass):
    def __init__(self, mode: Mode):
        self._mode = mode

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ()

    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        assert before is not None
        return Drawn(lambda: [self._mode.finish(each) for each in before.images])
