"""A small classifier of what an image shows, used to score generated images.

It is trained on drawings downscaled so far that a soft decoder hardly matters. Its own accuracy is measured
on held-out drawings encoded and decoded by the checkpoint's VAE.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from ..drawing.scenes import HATS, SETTINGS, SUBJECTS, TIMES, Attributes, draw, sample
from ..precision import autocast
from ..training.loop import load_state, save_state
from ..training.vae import to_tensor

QUESTIONS: dict[str, tuple[str, ...]] = {
    "subject": SUBJECTS,
    "setting": SETTINGS,
    "time": TIMES,
    "hat": (*HATS, "no hat"),
}
INPUT_SIZE = 96
"""Side of the input images in pixels."""


def labels_of(attributes: Attributes) -> dict[str, int]:
    """The correct class index for each of QUESTIONS."""
    words = {
        "subject": attributes.subject,
        "setting": attributes.setting,
        "time": attributes.time,
        "hat": attributes.hat or "no hat",
    }
    return {question: QUESTIONS[question].index(word) for question, word in words.items()}


class AttributeClassifier(nn.Module):
    """Four classification heads on shared features."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.Flatten())
        cells = (INPUT_SIZE // 16) ** 2
        self.heads = nn.ModuleDict(
            {name: nn.Linear(128 * cells, len(words)) for name, words in QUESTIONS.items()}
        )

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """(count, 3, h, w) in -1..1 -> logits (count, choices) for each question."""
        features = self.features(shrink(pictures))
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def classify(self, pictures: list[np.ndarray]) -> list[dict[str, str]]:
        """Class names per question, for 8-bit RGB images of one size."""
        self.eval()
        logits = self(to_tensor(pictures))
        return [
            {name: QUESTIONS[name][int(values[index].argmax())] for name, values in logits.items()}
            for index in range(len(pictures))
        ]


def shrink(pictures: torch.Tensor) -> torch.Tensor:
    """Images in -1..1 of any size, resized to (count, 3, INPUT_SIZE, INPUT_SIZE)."""
    return F.interpolate(pictures, size=(INPUT_SIZE, INPUT_SIZE), mode="area")


@torch.no_grad()
def through_autoencoder(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Images in -1..1, encoded and decoded by the VAE."""
    with autocast():
        return vae.decode(vae.encode(pictures).latent_dist.mode()).sample.float().clamp(-1, 1)


@dataclass
class SampleSet:
    """Downscaled images (count, 3, s, s) in float16, and class indices (count,) per question."""

    pictures: torch.Tensor
    answers: dict[str, torch.Tensor]


def make_samples(
    vae: AutoencoderKL | None,
    count: int,
    seed: int,
    held_out: bool,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> SampleSet:
    """Drawings, encoded and decoded if a VAE is given. `change` applies a style first."""
    rng = random.Random(seed)
    pictures, answers = [], []
    for start in range(0, count, 8):
        shown = [sample(rng, held_out) for _ in range(min(8, count - start))]
        drawn = [draw(attributes, rng.randrange(2**31)) for attributes in shown]
        batch = to_tensor([change(picture) for picture in drawn] if change else drawn)
        if vae is not None:
            batch = through_autoencoder(vae, batch)
        pictures.append(shrink(batch).half())
        answers += [labels_of(attributes) for attributes in shown]
    columns = {name: torch.tensor([answer[name] for answer in answers]) for name in QUESTIONS}
    return SampleSet(torch.cat(pictures), columns)


def train_classifier(
    samples: SampleSet, steps: int = 500, batch: int = 48, seed: int = 3
) -> AttributeClassifier:
    """Train on `samples`, with small shifts and noise as augmentation."""
    torch.manual_seed(seed)
    classifier = AttributeClassifier().train()
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(samples.pictures), (batch,))
        shift = torch.randint(-3, 4, (2,)).tolist()
        pictures = torch.roll(samples.pictures[chosen].float(), shift, dims=(2, 3))
        pictures = pictures + 0.05 * torch.randn_like(pictures)
        logits = classifier(pictures)
        loss = torch.stack([F.cross_entropy(logits[q], samples.answers[q][chosen]) for q in QUESTIONS]).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return classifier.eval()


@torch.no_grad()
def accuracy(classifier: AttributeClassifier, samples: SampleSet) -> dict[str, float]:
    """Accuracy per question."""
    classifier.eval()
    logits = classifier(samples.pictures.float())
    return {q: (logits[q].argmax(1) == samples.answers[q]).float().mean().item() for q in QUESTIONS}


def classifier_for(
    vae: AutoencoderKL,
    store: Path,
    count: int = 1200,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    log: Callable[[str], None] = print,
) -> tuple[AttributeClassifier, dict[str, float]]:
    """The classifier stored at `store`, or a newly trained one, with its accuracy on held-out drawings."""
    state = load_state(store)
    if state is not None:
        classifier = AttributeClassifier()
        classifier.load_state_dict(state["judge"])
        return classifier.eval(), state["accuracy"]
    log(f"training the classifier on {count} drawings")
    samples = make_samples(None, count, seed=21, held_out=False, change=change)
    classifier = train_classifier(samples, steps=max(200, count // 3))
    measured = accuracy(
        classifier, make_samples(vae, max(64, count // 12), seed=22, held_out=True, change=change)
    )
    save_state(store, {"judge": classifier.state_dict(), "accuracy": measured})
    return classifier, measured
