"""Folders of AUTOMATIC1111's stable-diffusion-webui and its family: Forge, reForge, SD.Next.

Further folders are named by the arguments in webui-user.sh or .bat, and by SD.Next in its config.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .folders import Kind
from .reading import Reading

MODELS: tuple[tuple[str, Kind], ...] = (
    ("Stable-diffusion", "checkpoint"),
    ("Diffusers", "checkpoint"),
    ("Lora", "lora"),
    ("LyCORIS", "lora"),
    ("VAE", "vae"),
    ("embeddings", "embedding"),
    ("ESRGAN", "upscale"),
    ("RealESRGAN", "upscale"),
    ("SwinIR", "upscale"),
    ("DAT", "upscale"),
    ("HAT", "upscale"),
    ("ControlNet", "controlnet"),
    ("adetailer", "detect"),
    ("yolo", "detect"),
    ("wildcards", "wildcards"),
)
"""Below models/; the last ones are SD.Next's, and so is embeddings there."""
EXTENSIONS: tuple[tuple[str, Kind], ...] = (
    ("sd-webui-controlnet/models", "controlnet"),
    ("sd-webui-additional-networks/models/lora", "lora"),
)
ARGUMENTS: dict[str, Kind] = {
    "ckpt-dir": "checkpoint",
    "ckpt-dirs": "checkpoint",
    "lora-dir": "lora",
    "lora-dirs": "lora",
    "lyco-dir": "lora",
    "lyco-dir-backcompat": "lora",
    "vae-dir": "vae",
    "vae-dirs": "vae",
    "embeddings-dir": "embedding",
    "esrgan-models-path": "upscale",
    "realesrgan-models-path": "upscale",
    "swinir-models-path": "upscale",
    "dat-models-path": "upscale",
    "controlnet-dir": "controlnet",
    "styles-file": "styles",
    "wildcards-dir": "wildcards",
}
"""Arguments that name folders of models, read in addition to those in models/."""
ROOTS = ("data-dir", "models-dir", "forge-ref-a1111-home")
"""Arguments that name folders laid out like the program's own, or like its models/."""
CONFIG: dict[str, Kind] = {
    "ckpt_dir": "checkpoint",
    "diffusers_dir": "checkpoint",
    "lora_dir": "lora",
    "lyco_dir": "lora",
    "vae_dir": "vae",
    "embeddings_dir": "embedding",
    "esrgan_models_path": "upscale",
    "realesrgan_models_path": "upscale",
    "swinir_models_path": "upscale",
    "control_net_models_path": "controlnet",
    "yolo_dir": "detect",
    "wildcards_dir": "wildcards",
}
"""Keys of SD.Next's config.json."""
STYLES = "styles_dir"
"""Its key of the folder with styles in JSON, which may have folders in it."""
_ARGUMENT = re.compile(r"""--([a-z0-9-]+)(?:\s*=\s*|\s+)(?:"([^"]*)"|'([^']*)'|([^\s"'-]\S*))""")
"""Its name, and its value in one of three groups."""
_COMMENT = re.compile(r"\s*(?:#|::|@?rem\b)", re.IGNORECASE)


def recognised(look: Reading) -> str | None:
    """Its name, if this is one of the family."""
    if not look.has("modules/sd_models.py"):
        return None
    if look.has("modules_forge"):
        return "Forge"
    return "SD.Next" if look.has("installer.py") else "A1111"


def read(look: Reading) -> None:
    named = list(_arguments(look))
    _read_root(look, look.root)
    for name, path, source in named:
        if name in ARGUMENTS:
            look.add(ARGUMENTS[name], path, source)
        elif look.is_there(path, source):
            (_read_models if name == "models-dir" else _read_root)(look, path)
    if look.has("installer.py"):
        config = look.root / "config.json"
        settings = look.json(config)
        for key, value in settings.items():
            found = look.configured(value, look.root, config) if key in CONFIG else None
            if found is not None:
                look.add(CONFIG[key], found, config)
        styles = look.configured(settings.get(STYLES), look.root, config)
        if styles is None or not look.is_there(styles, config):
            styles = look.below(look.root, "models/styles")
        if styles is not None:
            look.add_styles(styles, deep=True)


def _read_root(look: Reading, root: Path) -> None:
    """What lies below the program's folder, or one that is laid out like it."""
    look.add_below(root, (("embeddings", "embedding"),))
    models = look.below(root, "models")
    if models is not None:
        _read_models(look, models)
    extensions = look.below(root, "extensions")
    if extensions is not None:
        look.add_below(extensions, EXTENSIONS)
        for name in look.names(extensions):
            look.add_below(extensions / name, (("wildcards", "wildcards"),))
    for name in look.names(root):
        if re.fullmatch(r"styles(?:_.*)?\.csv", name, re.IGNORECASE):
            look.add("styles", root / name)


def _read_models(look: Reading, models: Path) -> None:
    look.add_below(models, MODELS)


def _arguments(look: Reading) -> Iterator[tuple[str, Path, Path]]:
    """(name, path, file) of the arguments that name folders."""
    for name in ("webui-user.sh", "webui-user.bat"):
        source = look.below(look.root, name)
        if source is None:
            continue
        for line in (look.text(source) or "").splitlines():
            before, _, value = line.partition("COMMANDLINE_ARGS")
            if _COMMENT.match(line) or not value:
                continue
            for found in _ARGUMENT.finditer(_unquoted(before, value)):
                argument = found[1]
                text = found[2] or found[3] or found[4]
                if argument in ARGUMENTS or argument in ROOTS:
                    path = look.configured(text, look.root, source)
                    if path is not None:
                        yield argument, path, source


def _unquoted(before: str, value: str) -> str:
    """Arguments without the quotes around all of them: `export X="…"`, `set "X=…"`."""
    value = value.strip().removeprefix("=").strip()
    if before.rstrip().endswith('"'):
        value = value.removesuffix('"')
    elif value[:1] in ('"', "'") and value[1:].lstrip().startswith("-"):
        value = value[1:].rpartition(value[0])[0] or value[1:]
    return value.replace('\\"', '"')
