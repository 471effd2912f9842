"""A small classifier that says what a picture shows: the judge of the evaluation.

It learns from drawings, shrunk so far that a soft decoder hardly shows, and its own accuracy is measured on
held-out drawings that went through the checkpoint's autoencoder before it judges anything.
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
from ..training.loop import load_state, save_state
from ..training.vae import to_tensor

QUESTIONS: dict[str, tuple[str, ...]] = {
    "subject": SUBJECTS,
    "setting": SETTINGS,
    "time": TIMES,
    "hat": (*HATS, "no hat"),
}
INPUT_SIZE = 96
"""Pictures are shrunk to this many pixels a side."""


def answers_of(attributes: Attributes) -> dict[str, int]:
    """The right answer to each question, as its place in QUESTIONS."""
    words = {
        "subject": attributes.subject,
        "setting": attributes.setting,
        "time": attributes.time,
        "hat": attributes.hat or "no hat",
    }
    return {question: QUESTIONS[question].index(word) for question, word in words.items()}


class Judge(nn.Module):
    """Four questions about one picture, answered from shared features."""

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
    def say(self, pictures: list[np.ndarray]) -> list[dict[str, str]]:
        """The answers in words for RGB byte pictures of one size."""
        self.eval()
        logits = self(to_tensor(pictures))
        return [
            {name: QUESTIONS[name][int(values[index].argmax())] for name, values in logits.items()}
            for index in range(len(pictures))
        ]


def shrink(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in -1..1 of any size, squeezed to the judge's input (count, 3, INPUT_SIZE, INPUT_SIZE)."""
    return F.interpolate(pictures, size=(INPUT_SIZE, INPUT_SIZE), mode="area")


@torch.no_grad()
def through_autoencoder(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in -1..1 encoded and decoded again."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return vae.decode(vae.encode(pictures).latent_dist.mode()).sample.float().clamp(-1, 1)


@dataclass
class Lessons:
    """Shrunk pictures (count, 3, s, s) as float16 and the right answers (count,) to each question."""

    pictures: torch.Tensor
    answers: dict[str, torch.Tensor]


def make_lessons(
    vae: AutoencoderKL | None,
    count: int,
    seed: int,
    held_out: bool,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Lessons:
    """Drawings, through the autoencoder where one is given. `change` puts each into a style first."""
    rng = random.Random(seed)
    pictures, answers = [], []
    for start in range(0, count, 8):
        shown = [sample(rng, held_out) for _ in range(min(8, count - start))]
        drawn = [draw(attributes, rng.randrange(2**31)) for attributes in shown]
        batch = to_tensor([change(picture) for picture in drawn] if change else drawn)
        if vae is not None:
            batch = through_autoencoder(vae, batch)
        pictures.append(shrink(batch).half())
        answers += [answers_of(attributes) for attributes in shown]
    columns = {name: torch.tensor([answer[name] for answer in answers]) for name in QUESTIONS}
    return Lessons(torch.cat(pictures), columns)


def train_judge(lessons: Lessons, steps: int = 500, batch: int = 48, seed: int = 3) -> Judge:
    """Learn from `lessons`, with small shifts and noise so that a few pixels more or less decide nothing."""
    torch.manual_seed(seed)
    judge = Judge().train()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(lessons.pictures), (batch,))
        shift = torch.randint(-3, 4, (2,)).tolist()
        pictures = torch.roll(lessons.pictures[chosen].float(), shift, dims=(2, 3))
        pictures = pictures + 0.05 * torch.randn_like(pictures)
        logits = judge(pictures)
        loss = torch.stack([F.cross_entropy(logits[q], lessons.answers[q][chosen]) for q in QUESTIONS]).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return judge.eval()


@torch.no_grad()
def accuracy(judge: Judge, lessons: Lessons) -> dict[str, float]:
    """Share of right answers to each question."""
    judge.eval()
    logits = judge(lessons.pictures.float())
    return {q: (logits[q].argmax(1) == lessons.answers[q]).float().mean().item() for q in QUESTIONS}


def judge_for(
    vae: AutoencoderKL,
    store: Path,
    count: int = 1200,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    log: Callable[[str], None] = print,
) -> tuple[Judge, dict[str, float]]:
    """The judge kept at `store`, or a newly trained one, with its accuracy on held-out drawings."""
    state = load_state(store)
    if state is not None:
        judge = Judge()
        judge.load_state_dict(state["judge"])
        return judge.eval(), state["accuracy"]
    log(f"training the judge on {count} drawings")
    lessons = make_lessons(None, count, seed=21, held_out=False, change=change)
    judge = train_judge(lessons, steps=max(200, count // 3))
    measured = accuracy(judge, make_lessons(vae, max(64, count // 12), seed=22, held_out=True, change=change))
    save_state(store, {"judge": judge.state_dict(), "accuracy": measured})
    return judge, measured
