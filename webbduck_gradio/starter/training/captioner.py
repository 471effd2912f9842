"""Trains the starter captioner: a miniature BLIP that describes drawings in the application's caption styles.

Every image is drawn for its step and used only once. Other images are labelled unknown, so that the captioner
does not see a duck in everything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import nn

from ...models.captioners import STYLES
from ..captions.templates import OPENINGS, UNKNOWN, describe, vocabulary
from ..drawing.scenes import COLOURS, HATS, SETTINGS, SIZES, SUBJECTS, TIMES, Attributes, draw, sample
from ..drawing.synthetic_images import Picture, synthetic_image
from ..precision import autocast
from .loop import Training, TrainingClock

if TYPE_CHECKING:
    from transformers import BertTokenizer, BlipForConditionalGeneration

SIDE, PATCH, WIDTH, LOOK_LAYERS, WRITE_LAYERS = 128, 16, 160, 4, 2
POSITIONS = 96
"""Maximum number of tokens of an opening and its description."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MEAN = np.array((0.48145466, 0.4578275, 0.40821073), np.float32)
DEVIATION = np.array((0.26862954, 0.26130258, 0.27577711), np.float32)
"""CLIP's normalisation, as BLIP's processor does it."""
WARNING = (
    "The starter captioner knows only cartoon scenes like the starter checkpoint's "
    "(duck, boat, balloon, house, cat) and often takes one hat for another; "
    "put another captioner into checkpoint/caption for other pictures."
)
_SEED = 2507
_UNKNOWN_SHARE = 0.06

QUESTIONS: dict[str, tuple[str, ...]] = {
    "colour": COLOURS,
    "subject": SUBJECTS,
    "setting": SETTINGS,
    "time": TIMES,
    "hat": (*HATS, "none"),
    "hat_colour": (*COLOURS, "golden", "none"),
    "facing": ("left", "right"),
}
"""Auxiliary classification targets, so that the vision encoder learns from the first step; training only."""


def make_tokenizer(folder: Path) -> BertTokenizer:
    """A WordPiece tokenizer with the vocabulary of the descriptions; writes vocab.txt into `folder`."""
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, *vocabulary()]), encoding="utf-8")
    return BertTokenizer(
        vocab=str(path), do_lower_case=False, model_max_length=POSITIONS, clean_up_tokenization_spaces=True
    )


def make_captioner(words: int, width: int = WIDTH) -> BlipForConditionalGeneration:
    """An untrained captioner with a vocabulary of `words` tokens."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    shared = {"hidden_size": width, "intermediate_size": 3 * width, "num_attention_heads": 4}
    marks = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config=shared
        | marks
        | {
            "vocab_size": words,
            "num_hidden_layers": WRITE_LAYERS,
            "encoder_hidden_size": width,
            "max_position_embeddings": POSITIONS,
        },
        vision_config=shared
        | {
            "num_hidden_layers": LOOK_LAYERS,
            "image_size": SIDE,
            "patch_size": PATCH,
            "initializer_range": 0.02,  # the default would initialise with zeros
        },
    )
    return BlipForConditionalGeneration(config)


def preprocess(picture: Picture, rng: random.Random | None = None) -> npt.NDArray[np.float32]:
    """The captioner's input (3, SIDE, SIDE); with `rng`, augmented by crop, blur and tint."""
    image = Image.fromarray(picture)
    if rng is not None:
        width, height = image.size
        edges = [rng.uniform(0, 0.07) for _ in range(4)]
        box = (edges[0] * width, edges[1] * height, width * (1 - edges[2]), height * (1 - edges[3]))
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
        if rng.random() < 0.5:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9)))
    else:
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    values = np.asarray(image, dtype=np.float32) / 255
    if rng is not None:
        noise = np.random.default_rng(rng.randrange(2**31))
        values = values * noise.uniform(0.96, 1.04, 3).astype(np.float32) + np.float32(
            rng.uniform(-0.02, 0.02)
        )
        values = values + noise.standard_normal(values.shape, dtype=np.float32) * rng.uniform(0, 0.02)
    return ((values - MEAN) / DEVIATION).astype(np.float32).transpose(2, 0, 1)


def training_sample(rng: random.Random) -> tuple[Picture, Attributes | None]:
    """An image and its attributes; None for an unrelated image."""
    seed = rng.randrange(2**31)
    if rng.random() < _UNKNOWN_SHARE:
        return synthetic_image(seed, 128), None
    attributes = sample(rng)
    while attributes.subject == "duck" and rng.random() < 0.45:  # the others are rare in the drawings
        attributes = sample(rng)
    width, height = rng.choice(SIZES)
    if rng.random() < 0.5:  # small pictures too, drawn in half the time
        width, height = round(width * 0.625), round(height * 0.625)
    return draw(attributes, seed, width, height), attributes


def training_batch(
    step: int, count: int = 32
) -> tuple[torch.Tensor, list[list[str]], list[Attributes | None]]:
    """Images (count, 3, SIDE, SIDE), two descriptions of each, and attributes; deterministic by `step`."""
    rng = random.Random(_SEED * 1_000_003 + step)
    pictures, texts, shown = [], [], []
    for _ in range(count):
        picture, attributes = training_sample(rng)
        pictures.append(preprocess(picture, rng))
        styles = ("detailed", rng.choice(STYLES[1:]))
        texts.append([f"{OPENINGS[style]} {_words(attributes, style)}" for style in styles])
        shown.append(attributes)
    return torch.from_numpy(np.stack(pictures)), texts, shown


def _words(attributes: Attributes | None, style: str) -> str:
    return describe(attributes, style) if attributes else UNKNOWN


class AuxiliaryHeads(nn.Module):
    """Classification heads for QUESTIONS on the vision encoder's output; used only in training."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(words)) for name, words in QUESTIONS.items()})

    def loss(self, found: torch.Tensor, shown: list[Attributes | None]) -> tuple[torch.Tensor, float]:
        """Mean cross-entropy, and the share of correct colours; `found`: (n, tokens, width)."""
        known = [index for index, attributes in enumerate(shown) if attributes is not None]
        middle = found[known].mean(dim=1)
        losses, right = [], 0.0
        for name, words in QUESTIONS.items():
            answers = torch.tensor([words.index(getattr(shown[index], name) or "none") for index in known])
            logits = self.heads[name](middle)
            losses.append(F.cross_entropy(logits.float(), answers))
            if name == "colour":
                right = (logits.argmax(1) == answers).float().mean().item()
        return torch.stack(losses).mean(), right


def word_loss(
    model: BlipForConditionalGeneration, found: torch.Tensor, texts: list[str], tokenizer: Any
) -> torch.Tensor:
    """Cross-entropy of the tokens after the opening, given image features (n, tokens, width)."""
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    logits = model.text_decoder(
        input_ids=ids,
        attention_mask=mask,
        encoder_hidden_states=found,
        encoder_attention_mask=torch.ones(found.shape[:2], dtype=torch.long),
    ).logits
    colon = tokenizer.convert_tokens_to_ids(":")
    after = (ids == colon).cumsum(1) > 0  # the opening is given, not learned
    targets = torch.where(after[:, :-1] & (mask[:, 1:] > 0), ids[:, 1:], -100)
    return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), targets.flatten(), ignore_index=-100)


def train_captioner(
    work: Path,
    minutes: float,
    steps: int | None = None,
    width: int = WIDTH,
    batch: int = 32,
    peak: float = 1e-3,
    warm_up: int = 150,
    log: Callable[[str], None] = print,
) -> BlipForConditionalGeneration:
    """Train for `minutes` or `steps`, saving state to `work`/captioner.pt.

    Returns the model with averaged weights.
    """
    torch.manual_seed(_SEED)
    tokenizer = make_tokenizer(work / "captioner-tokenizer")
    model, heads = make_captioner(len(tokenizer), width).train(), AuxiliaryHeads(width)
    both = nn.ModuleDict({"model": model, "eye": heads})
    training = Training(
        work / "captioner.pt",
        {"model": both},
        both.parameters(),
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=warm_up,
        decay=0.998,
        weight_decay=0.02,
        betas=(0.9, 0.98),
    )

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        pictures, texts, shown = training_batch(step, batch)
        with autocast():
            found = model.vision_model(pixel_values=pictures).last_hidden_state
            eye_loss, colours = heads.loss(found, shown)
            asked = [text for pair in zip(*texts, strict=True) for text in pair]
            words = word_loss(model, torch.cat([found, found]), asked, tokenizer)
        return words + 0.3 * eye_loss, {"words": words.item(), "eye": eye_loss.item(), "colours": colours}

    training.run(loss_of)
    log(f"trained {training.clock.step} steps in {training.clock.seconds / 60:.1f} minutes")
    return model.eval()


def export_captioner(model: BlipForConditionalGeneration, folder: Path, provenance: str) -> None:
    """Write a folder that transformers can load: weights in half precision, processor and notes."""
    from transformers import BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    tokenizer = make_tokenizer(folder)
    model.half().save_pretrained(folder)
    model.float()
    BlipProcessor(BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer).save_pretrained(
        folder
    )
    notes = {"style_prompts": OPENINGS, "warning": WARNING, "license": "Apache-2.0", "provenance": provenance}
    (folder / "webbduck.json").write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
