"""Pictures put into words: a local model of transformers, or a plug-in of the user's own."""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from PIL import Image

from ..errors import GenerationError, ModelError, RequestError
from ..models.tools import STYLES, Captioner

log = logging.getLogger(__name__)

INSTRUCTIONS = {
    "detailed": "Describe this picture in detail, in one paragraph.",
    "short": "Describe this picture in one short sentence.",
    "sd_prompt": "Write a Stable Diffusion prompt that would give this picture; only the prompt.",
    "midjourney": "Write a Midjourney prompt that would give this picture; only the prompt.",
    "booru": "List booru tags for this picture, separated by commas; only the tags.",
}
NO_STYLES = "{name} takes no instructions, so it captions in its own way whatever the style."


def caption(
    image: Image.Image, captioner: Captioner, style: str, max_tokens: int, device: str, dtype: torch.dtype
) -> tuple[str, tuple[str, ...]]:
    """The caption and warnings. Raises `RequestError`, `ModelError`, `GenerationError`."""
    if style not in STYLES:
        raise RequestError(f"style must be one of: {', '.join(STYLES)}.")
    image = image.convert("RGB")
    if captioner.kind == "plugin":
        return _by_plugin(image, captioner, style, max_tokens), ()
    try:
        return _by_model(image, captioner, style, max_tokens, device, dtype)
    except (ModelError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        log.exception("Captioning with %s failed", captioner.name)
        raise GenerationError(
            f"{captioner.name} could not describe it ({type(error).__name__}); the log has the details."
        ) from error


def _by_model(
    image: Image.Image, captioner: Captioner, style: str, max_tokens: int, device: str, dtype: torch.dtype
) -> tuple[str, tuple[str, ...]]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    try:
        processor: Any = AutoProcessor.from_pretrained(captioner.path, local_files_only=True)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            captioner.path, local_files_only=True, dtype=dtype, use_safetensors=True
        )
    except Exception as error:
        log.exception("Loading %s failed", captioner.path)
        raise ModelError(
            f"{captioner.name} is of a kind that cannot be loaded here; choose another captioner."
        ) from error
    model = model.to(device).eval()
    warnings: tuple[str, ...] = ()
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": INSTRUCTIONS[style]}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        inputs = processor(images=image, text=text, return_tensors="pt").to(device, dtype)
        skipped = inputs["input_ids"].shape[1]
    else:
        inputs = processor(images=image, return_tensors="pt").to(device, dtype)
        skipped, warnings = 0, (NO_STYLES.format(name=captioner.name),)
    with torch.no_grad():
        # Without sampling: the same picture gets the same words.
        words = model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
    return processor.batch_decode(words[:, skipped:], skip_special_tokens=True)[0].strip(), warnings


def _by_plugin(image: Image.Image, captioner: Captioner, style: str, max_tokens: int) -> str:
    """`generate_caption(image, style, max_tokens)` of the plug-in's captioner.py."""
    spec = importlib.util.spec_from_file_location(f"webbduck_captioner_{captioner.name}", captioner.path)
    try:
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        text = module.generate_caption(image, style, max_tokens)
    except Exception as error:
        log.exception("The plug-in %s failed", captioner.path)
        raise GenerationError(
            f"The plug-in {captioner.name} failed ({type(error).__name__}); the log has the details."
        ) from error
    if not isinstance(text, str):
        raise GenerationError(f"The plug-in {captioner.name} gave no text; look at its generate_caption.")
    return text
