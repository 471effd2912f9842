"""Pictures put into words: a local model of transformers, or a plug-in of the user's own.

How a model is asked for a style depends on it. One that follows a chat is given an instruction. One that
was trained with an opening text for each style says so in its folder's `webbduck.json`:
`{"style_prompts": {"short": "short :", ...}, "warning": "what it cannot do, in one sentence"}`.
Any other writes in its own way, which is said.
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from ..errors import GenerationError, ModelError, RequestError, WebbDuckError
from ..models.captioners import STYLES, Captioner
from ..models.probe.checkpoint import read_json
from . import devices
from .load_errors import translated_load_errors
from .progress import ProgressReporter

log = logging.getLogger(__name__)

INSTRUCTIONS = {
    "detailed": "Describe this picture in detail, in one paragraph.",
    "short": "Describe this picture in one short sentence.",
    "sd_prompt": "Write a Stable Diffusion prompt that would give this picture; only the prompt.",
    "midjourney": "Write a Midjourney prompt that would give this picture; only the prompt.",
    "booru": "List booru tags for this picture, separated by commas; only the tags.",
}
NO_STYLES = "{name} takes no instructions, so it captions in its own way whatever the style."
CUT = "The caption was cut off after {count} tokens; {way}."


def caption(
    image: Image.Image,
    captioner: Captioner,
    style: str,
    max_tokens: int,
    device: str,
    dtype: torch.dtype,
    reporter: ProgressReporter | None = None,
) -> tuple[str, tuple[str, ...]]:
    """The caption and warnings.

    Raises `RequestError`, `ModelError`, `GenerationError`, and what the reporter raises between tokens.
    """
    if style not in STYLES:
        raise RequestError(f"style must be one of: {', '.join(STYLES)}.")
    image = image.convert("RGB")
    if reporter is not None:
        reporter.status(f"Describing with {captioner.name}")
    if captioner.kind == "plugin":
        return _by_plugin(image, captioner, style, max_tokens), ()
    try:
        return _by_model(image, captioner, style, max_tokens, device, dtype, reporter)
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        log.exception("Captioning with %s failed", captioner.name)
        raise GenerationError(
            f"{captioner.name} could not describe it ({type(error).__name__}); the log has the details."
        ) from error


@dataclass(frozen=True)
class CaptionerConfig:
    """What a model's folder says of it in `webbduck.json`."""

    style_prompts: dict[str, str] = field(default_factory=dict)
    warning: str | None = None


def read_config(captioner: Captioner) -> CaptionerConfig:
    """Empty where the folder has no notes. Raises `ModelError` for notes that cannot be understood."""
    path = captioner.path / "webbduck.json"
    if not path.is_file():
        return CaptionerConfig()
    said = read_json(path, captioner.name)
    prompts, warning = said.get("style_prompts", {}), said.get("warning")
    good = isinstance(prompts, dict) and all(isinstance(each, str) for each in prompts.values())
    if not good or not isinstance(warning, str | None):
        raise ModelError(f"{captioner.name}/webbduck.json: style_prompts must be texts by style; correct it.")
    return CaptionerConfig(prompts, warning)


def _by_model(
    image: Image.Image,
    captioner: Captioner,
    style: str,
    max_tokens: int,
    device: str,
    dtype: torch.dtype,
    reporter: ProgressReporter | None,
) -> tuple[str, tuple[str, ...]]:
    from transformers import StoppingCriteriaList

    notes = read_config(captioner)
    processor, model = _load(captioner, dtype)
    model = model.to(device).eval()
    inputs, given = _build_inputs(processor, image, style, notes)
    inputs = inputs.to(device, dtype)
    warnings = [notes.warning] if notes.warning else []
    if not given and "input_ids" not in inputs:
        warnings.append(NO_STYLES.format(name=captioner.name))
    room = _max_new_tokens(model, given)
    count = min(max_tokens, room) if room else max_tokens
    watch = StoppingCriteriaList([_CancelCriteria(reporter)] if reporter is not None else [])
    with torch.no_grad():
        # Without sampling: the same picture gets the same words.
        words = model.generate(**inputs, max_new_tokens=count, do_sample=False, stopping_criteria=watch)
    said = words[:, given:]
    if said.shape[1] >= count and said[0, -1].item() not in _stop_token_ids(model):
        way = "raise max_tokens for more" if count == max_tokens else f"{captioner.name} writes no more"
        warnings.append(CUT.format(count=count, way=way))
    text = processor.batch_decode(said, skip_special_tokens=True)[0]
    return text.strip(), tuple(warnings)


def _load(captioner: Captioner, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with translated_load_errors(
        captioner.name,
        captioner.path,
        f"{captioner.name} is of a kind that cannot be loaded here; choose another captioner.",
    ):
        processor: Any = AutoProcessor.from_pretrained(captioner.path, local_files_only=True)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            captioner.path, local_files_only=True, dtype=dtype, use_safetensors=True
        )
    return processor, model


def _build_inputs(processor: Any, image: Image.Image, style: str, notes: CaptionerConfig) -> tuple[Any, int]:
    """The model's inputs, and how many tokens of its answer are only the question."""
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": INSTRUCTIONS[style]}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        inputs = processor(images=image, text=text, return_tensors="pt")
        return inputs, inputs["input_ids"].shape[1]
    if style in notes.style_prompts:
        inputs = processor(images=image, text=notes.style_prompts[style], return_tensors="pt")
        # BLIP drops the end mark that the tokenizer puts after the opening text.
        return inputs, inputs["input_ids"].shape[1] - 1
    return processor(images=image, return_tensors="pt"), 0


def _max_new_tokens(model: Any, given: int) -> int | None:
    """How many tokens the model can still write, where its positions are few; None where it does not say."""
    positions = getattr(getattr(model.config, "text_config", None), "max_position_embeddings", None)
    return max(1, positions - max(1, given)) if isinstance(positions, int) else None


def _stop_token_ids(model: Any) -> set[int]:
    """Tokens that end a caption."""
    found: set[int] = set()
    for config in (model.generation_config, getattr(model.config, "text_config", None)):
        for name in ("eos_token_id", "sep_token_id", "pad_token_id"):
            value = getattr(config, name, None)
            found |= set(value) if isinstance(value, list) else {value} if isinstance(value, int) else set()
    return found


class _CancelCriteria:
    """Asked after each token: lets a cancelled job stop there."""

    def __init__(self, reporter: ProgressReporter):
        self._reporter = reporter

    def __call__(self, input_ids: torch.Tensor, scores: Any, **more: Any) -> torch.Tensor:
        self._reporter.check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def _by_plugin(image: Image.Image, captioner: Captioner, style: str, max_tokens: int) -> str:
    """`generate_caption(image, style, max_tokens)` of the plug-in's captioner.py."""
    spec = importlib.util.spec_from_file_location(f"webbduck_captioner_{captioner.name}", captioner.path)
    try:
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        text = module.generate_caption(image, style, max_tokens)
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        log.exception("The plug-in %s failed", captioner.path)
        raise GenerationError(
            f"The plug-in {captioner.name} failed ({type(error).__name__}); the log has the details."
        ) from error
    if not isinstance(text, str):
        raise GenerationError(f"The plug-in {captioner.name} gave no text; look at its generate_caption.")
    return text
