"""Captions of images by a local transformers model or a user's plug-in.

How a style is requested depends on the model. A chat model is given an instruction. A model trained with a
prefix for each style declares them in its folder's `webbduck.json`:
`{"style_prompts": {"short": "short :", ...}, "warning": "a limitation, in one sentence"}`.
Any other model ignores the style, and a warning reports that.
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
NO_STYLES = "{name} does not accept instructions, so the style has no effect."
CUT_OFF = "The caption was cut off after {count} tokens; {way}."


def caption(
    image: Image.Image,
    captioner: Captioner,
    style: str,
    max_tokens: int,
    device: str,
    dtype: torch.dtype,
    reporter: ProgressReporter | None = None,
) -> tuple[str, tuple[str, ...]]:
    """The caption, and warnings.

    Raises `RequestError`, `ModelError`, `GenerationError`, torch's out-of-memory errors, and what the
    reporter raises between tokens.
    """
    if style not in STYLES:
        raise RequestError(f"style must be one of: {', '.join(STYLES)}.")
    image = image.convert("RGB")
    if reporter is not None:
        reporter.status(f"Captioning with {captioner.name}")
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
            f"{captioner.name} could not caption it ({type(error).__name__}); the log has the details."
        ) from error


@dataclass(frozen=True)
class CaptionerConfig:
    """Contents of `webbduck.json` in a model's folder."""

    style_prompts: dict[str, str] = field(default_factory=dict)
    warning: str | None = None


def read_config(captioner: Captioner) -> CaptionerConfig:
    """Empty if the folder has no `webbduck.json`. Raises `ModelError` if it is invalid."""
    path = captioner.path / "webbduck.json"
    if not path.is_file():
        return CaptionerConfig()
    values = read_json(path, captioner.name)
    prompts, warning = values.get("style_prompts", {}), values.get("warning")
    valid = isinstance(prompts, dict) and all(isinstance(each, str) for each in prompts.values())
    if not valid or not isinstance(warning, str | None):
        raise ModelError(
            f"{captioner.name}/webbduck.json: style_prompts must map styles to texts, and warning must be a "
            "text; correct the file."
        )
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

    config = read_config(captioner)
    processor, model = _load(captioner, dtype)
    model = model.to(device).eval()
    inputs, prompt_length = _build_inputs(processor, image, style, config)
    inputs = inputs.to(device, dtype)
    warnings = [config.warning] if config.warning else []
    if not prompt_length and "input_ids" not in inputs:
        warnings.append(NO_STYLES.format(name=captioner.name))
    limit = _max_new_tokens(model, prompt_length)
    count = min(max_tokens, limit) if limit else max_tokens
    criteria = StoppingCriteriaList([_CancelCriteria(reporter)] if reporter is not None else [])
    with torch.no_grad():
        # Greedy decoding, so that the same image always gets the same caption.
        output = model.generate(**inputs, max_new_tokens=count, do_sample=False, stopping_criteria=criteria)
    tokens = output[:, prompt_length:]
    if tokens.shape[1] >= count and tokens[0, -1].item() not in _stop_token_ids(model):
        way = (
            "raise max_tokens for a longer one"
            if count == max_tokens
            else f"that is the most {captioner.name} can write"
        )
        warnings.append(CUT_OFF.format(count=count, way=way))
    text = processor.batch_decode(tokens, skip_special_tokens=True)[0]
    return text.strip(), tuple(warnings)


def _load(captioner: Captioner, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with translated_load_errors(
        captioner.name,
        captioner.path,
        f"{captioner.name} is not a supported captioning model; choose another captioner.",
    ):
        processor: Any = AutoProcessor.from_pretrained(captioner.path, local_files_only=True)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            captioner.path, local_files_only=True, dtype=dtype, use_safetensors=True
        )
    return processor, model


def _build_inputs(processor: Any, image: Image.Image, style: str, config: CaptionerConfig) -> tuple[Any, int]:
    """The model's inputs, and how many leading tokens of its output repeat the prompt."""
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": INSTRUCTIONS[style]}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        inputs = processor(images=image, text=text, return_tensors="pt")
        return inputs, inputs["input_ids"].shape[1]
    if style in config.style_prompts:
        inputs = processor(images=image, text=config.style_prompts[style], return_tensors="pt")
        # BLIP drops the end token that the tokenizer appends to the prefix.
        return inputs, inputs["input_ids"].shape[1] - 1
    return processor(images=image, return_tensors="pt"), 0


def _max_new_tokens(model: Any, prompt_length: int) -> int | None:
    """Tokens left in the context window; None if the model declares no limit."""
    positions = getattr(getattr(model.config, "text_config", None), "max_position_embeddings", None)
    return max(1, positions - max(1, prompt_length)) if isinstance(positions, int) else None


def _stop_token_ids(model: Any) -> set[int]:
    """Tokens that end a caption."""
    found: set[int] = set()
    for config in (model.generation_config, getattr(model.config, "text_config", None)):
        for name in ("eos_token_id", "sep_token_id", "pad_token_id"):
            value = getattr(config, name, None)
            found |= set(value) if isinstance(value, list) else {value} if isinstance(value, int) else set()
    return found


class _CancelCriteria:
    """Checked after each token, so that a job can be cancelled in the middle of a caption."""

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
    except Exception as error:  # a plug-in may raise anything
        if devices.is_out_of_memory(error):
            raise
        log.exception("The plug-in %s failed", captioner.path)
        raise GenerationError(
            f"The plug-in {captioner.name} failed ({type(error).__name__}); the log has the details."
        ) from error
    if not isinstance(text, str):
        raise GenerationError(
            f"The plug-in {captioner.name} did not return a text; correct its generate_caption."
        )
    return text
