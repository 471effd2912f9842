"""A report's sections: one for each part of the kit, with its table, its pictures and how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from ..drawing.scenes import Attributes
from .attribute_classifier import Judge, judge_for
from .inference import held_out_prompts, open_pipeline, paint


@dataclass(frozen=True)
class Row:
    """One line of a table. `holds` is None where there is no bar to hold."""

    measure: str
    value: str
    bar: str = ""
    holds: bool | None = None

    @classmethod
    def share(cls, measure: str, value: float, bar: float) -> Row:
        """A share (0..1) that has to reach `bar`."""
        return cls(measure, f"{value:.1%}", f"{bar:.0%}", value >= bar)

    @classmethod
    def at_least(cls, measure: str, value: float, bar: float, unit: str, digits: int = 2) -> Row:
        """A number with its unit that has to reach `bar`."""
        return cls(measure, f"{value:.{digits}f} {unit}", f"{bar:g} {unit}", value >= bar)


@dataclass
class Section:
    """What was measured of one part. `text` is Markdown that follows the table (pictures included)."""

    title: str
    rows: list[Row]
    text: str = ""
    misses: Sequence[str] = ()
    """What went wrong, a line each; printed, not written into the page."""

    @property
    def holds(self) -> bool:
        """Whether every bar of this part holds."""
        return all(row.holds is not False for row in self.rows)

    def table(self) -> str:
        """The rows as a table in Markdown."""
        words = {True: "yes", False: "**no**", None: ""}
        lines = ["| measure | value | bar | holds |", "|---|---|---|---|"]
        lines += [f"| {row.measure} | {row.value} | {row.bar} | {words[row.holds]} |" for row in self.rows]
        return "\n".join(lines)


@dataclass
class Bench:
    """What the sections measure with. What several of them need is made once, when first asked for."""

    checkpoint: Path
    """The base checkpoint's folder."""
    work: Path
    """Where the judge (and whatever else takes long to make) is kept."""
    prompts: int = 200
    """Held-out prompts to paint."""
    folder: Path | None = None
    """Where contact sheets go; None = none are made."""
    models: Path = Path("checkpoint")
    """The folder with sdxl/, upscale/ and caption/."""
    loras: Path = Path("lora")

    @cached_property
    def pipeline(self) -> StableDiffusionXLPipeline:
        """The base checkpoint. A section that changes it (LoRAs) opens one of its own."""
        return open_pipeline(self.checkpoint)

    @cached_property
    def _judged(self) -> tuple[Judge, dict[str, float]]:
        return judge_for(self.pipeline.vae, self.work / "judge.pt")

    @property
    def judge(self) -> Judge:
        """Says scene, time, hat and subject of a picture."""
        return self._judged[0]

    @property
    def judge_accuracy(self) -> dict[str, float]:
        """The judge's own accuracy on held-out drawings, by question."""
        return self._judged[1]

    @cached_property
    def asked(self) -> list[tuple[Attributes, str]]:
        """The held-out prompts with what they ask for."""
        return held_out_prompts(self.prompts)

    @property
    def seeds(self) -> list[int]:
        """One seed for each held-out prompt."""
        return [1000 + index for index in range(self.prompts)]

    @cached_property
    def _painted(self) -> tuple[list[np.ndarray], list[torch.Tensor]]:
        switched: list[torch.Tensor] = []
        prompts = [prompt for _, prompt in self.asked]
        return paint(self.pipeline, prompts, self.seeds, switched=switched), switched

    @property
    def pictures(self) -> list[np.ndarray]:
        """What the base checkpoint paints for the held-out prompts."""
        return self._painted[0]

    @property
    def switched(self) -> list[torch.Tensor]:
        """The same pictures' noisy latents, batch by batch, where a refiner takes over."""
        return self._painted[1]
