"""Sections of the evaluation report, and the context shared by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from ..drawing.scenes import Attributes
from .attribute_classifier import AttributeClassifier, classifier_for
from .inference import generate, held_out_prompts, open_pipeline


@dataclass(frozen=True)
class Row:
    """One row of a table. `holds` is None if there is no target."""

    measure: str
    value: str
    bar: str = ""
    holds: bool | None = None

    @classmethod
    def share(cls, measure: str, value: float, bar: float) -> Row:
        """A share (0..1) that must be at least `bar`."""
        return cls(measure, f"{value:.1%}", f"{bar:.0%}", value >= bar)

    @classmethod
    def at_least(cls, measure: str, value: float, bar: float, unit: str, digits: int = 2) -> Row:
        """A number with a unit that must be at least `bar`."""
        return cls(measure, f"{value:.{digits}f} {unit}", f"{bar:g} {unit}", value >= bar)


@dataclass
class Section:
    """The results of one part. `text` is Markdown for below the table."""

    title: str
    rows: list[Row]
    text: str = ""
    misses: Sequence[str] = ()
    """Individual failures, printed but not written to the report."""

    @property
    def holds(self) -> bool:
        """Whether all targets are met."""
        return all(row.holds is not False for row in self.rows)

    def table(self) -> str:
        """The rows as a Markdown table."""
        words = {True: "yes", False: "**no**", None: ""}
        lines = ["| measure | value | bar | holds |", "|---|---|---|---|"]
        lines += [f"| {row.measure} | {row.value} | {row.bar} | {words[row.holds]} |" for row in self.rows]
        return "\n".join(lines)


@dataclass
class EvalContext:
    """Shared inputs of the sections, created on first use."""

    checkpoint: Path
    """The base checkpoint's folder."""
    work: Path
    """Folder for the classifier and other expensive intermediate results."""
    prompts: int = 200
    """Number of held-out prompts."""
    folder: Path | None = None
    """Folder for contact sheets; None: no contact sheets."""
    models: Path = Path("checkpoint")
    """The folder with sdxl/, upscale/, caption/ and detect/."""
    loras: Path = Path("lora")

    @cached_property
    def pipeline(self) -> StableDiffusionXLPipeline:
        """The base checkpoint. A section that modifies it (LoRAs) must load its own."""
        return open_pipeline(self.checkpoint)

    @cached_property
    def _trained_classifier(self) -> tuple[AttributeClassifier, dict[str, float]]:
        return classifier_for(self.pipeline.vae, self.work / "judge.pt")

    @property
    def classifier(self) -> AttributeClassifier:
        """Classifies scene, time, hat and subject of an image."""
        return self._trained_classifier[0]

    @property
    def classifier_accuracy(self) -> dict[str, float]:
        """The classifier's accuracy on held-out drawings, by question."""
        return self._trained_classifier[1]

    @cached_property
    def asked(self) -> list[tuple[Attributes, str]]:
        """The held-out prompts with their attributes."""
        return held_out_prompts(self.prompts)

    @property
    def seeds(self) -> list[int]:
        """One seed for each held-out prompt."""
        return [1000 + index for index in range(self.prompts)]

    @cached_property
    def _painted(self) -> tuple[list[np.ndarray], list[torch.Tensor]]:
        switched: list[torch.Tensor] = []
        prompts = [prompt for _, prompt in self.asked]
        return generate(self.pipeline, prompts, self.seeds, switched=switched), switched

    @property
    def pictures(self) -> list[np.ndarray]:
        """The base checkpoint's images for the held-out prompts."""
        return self._painted[0]

    @property
    def switched(self) -> list[torch.Tensor]:
        """Their noisy latents, batch by batch, where a refiner takes over."""
        return self._painted[1]
