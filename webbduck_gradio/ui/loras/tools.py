"""The models beside checkpoints and LoRAs, as the page lists them: where they lie and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models.catalog.registry import Registry
from ...models.conversion import Kind
from ...models.probe.converted import source_of
from ...settings import HOME, Settings


@dataclass(frozen=True)
class ToolKind:
    """A kind of model. A new one is a record in `TOOL_KINDS`."""

    title: str
    about: str
    """What it is for, and which files it can be, in one or two sentences."""
    folder: Callable[[Settings], Path]
    models: Callable[[Registry], Iterable[Any]]
    """Each has a `name` and `unusable`, None or the reason in one sentence; some have `size_bytes` and
    `origin`."""
    detail: Callable[[Any], str] = lambda _model: ""
    """A fact about a model, beside its name."""
    kind: Kind | None = None
    """What its pickles are converted as; None = they are not."""


TOOL_KINDS = (
    ToolKind(
        "Upscalers",
        "Make a finished picture larger. Compact models (Real-ESRGAN) as .safetensors files; others need the "
        "package spandrel.",
        lambda settings: settings.checkpoints / "upscale",
        lambda registry: registry.upscalers(),
        kind="upscale",
    ),
    ToolKind(
        "Captioners",
        "Describe a picture in words. Folders in the layout of transformers, such as Florence-2 or BLIP.",
        lambda settings: settings.checkpoints / "caption",
        lambda registry: registry.captioners(),
        lambda captioner: "plug-in" if captioner.kind == "plugin" else "",
    ),
    ToolKind(
        "Detectors",
        "Find regions, such as faces, that are drawn again in detail: YOLO v8 and v11 as .onnx files (detect "
        "or segment), which need the package onnxruntime, and folders in the layout of transformers.",
        lambda settings: settings.checkpoints / "detect",
        lambda registry: registry.detectors(),
        lambda detector: ", ".join(detector.classes[:5]) + (", ..." if len(detector.classes) > 5 else ""),
    ),
    ToolKind(
        "VAEs",
        "Turn latents into pictures: SDXL's as .safetensors files or diffusers folders. The Studio's setting "
        "VAE chooses one, a checkpoint's default another than its own.",
        lambda settings: settings.checkpoints / "vae",
        lambda registry: registry.vaes(),
        lambda vae: "diffusers folder" if vae.layout == "diffusers" else "",
        kind="vae",
    ),
    ToolKind(
        "Wildcards",
        "Lists of words, which a prompt names as __name__: text files with one value in each line, YAML and "
        "JSON files with a tree of lists. The button Wildcards below the prompt edits them.",
        lambda settings: settings.wildcards,
        lambda registry: registry.wildcards(),
        lambda wildcard: f"{wildcard.lines} {'value' if wildcard.lines == 1 else 'values'}",
    ),
    ToolKind(
        "Tags",
        "Words that the prompt completes while you type: lists of tags as CSV files, with rows "
        "tag,category,count,aliases, as those for danbooru and e621 that a1111-sd-webui-tagcomplete has.",
        lambda settings: settings.tags,
        lambda registry: registry.tags.files(),
        lambda file: file.summary,
    ),
)


def tools_view(registry: Registry) -> list[dict[str, Any]]:
    """Each kind with its folder and its models: {title, kind, about, folder, models: [{name, origin, detail,
    converted_from, size_bytes, reason}]}."""
    return [
        {
            "title": kind.title,
            "kind": kind.kind,
            "about": kind.about,
            "folder": _told(registry.settings, kind.folder(registry.settings)),
            "models": [
                {
                    "name": model.name,
                    "origin": getattr(model, "origin", ""),
                    "detail": kind.detail(model),
                    "converted_from": source_of(model.path) if kind.kind and not model.unusable else "",
                    "size_bytes": getattr(model, "size_bytes", None),
                    "reason": model.unusable,
                }
                for model in kind.models(registry)
            ],
        }
        for kind in TOOL_KINDS
    ]


def folders_view(settings: Settings) -> dict[str, str]:
    """The folders that models belong into, by the kind of model."""
    folders = {
        "checkpoint": settings.checkpoints / "sdxl",
        "lora": settings.loras,
        "vae": settings.checkpoints / "vae",
        "embedding": settings.checkpoints / "embedding",
        "upscale": settings.checkpoints / "upscale",
        "tags": settings.tags,
    }
    return {kind: _told(settings, folder) for kind, folder in folders.items()}


def _told(settings: Settings, folder: Path) -> str:
    """The folder's absolute path; where others can open the page, only its place in the studio's folder."""
    path = folder.absolute()
    if settings.is_loopback_only:
        return str(path)
    return path.relative_to(HOME).as_posix() if path.is_relative_to(HOME) else path.name
