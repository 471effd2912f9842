"""The studio's settings: folders, limits, network access. Read once at start, then frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SettingsError


def _home() -> Path:
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "app.py").is_file() else Path.home() / "webbduck"


HOME = _home()
"""Parent of checkpoint/, lora/, outputs/ and inpaint_input/: the folder of app.py, or ~/webbduck if the
package was installed without app.py."""

MEMORY = ("resident", "tiled", "offload", "fp8", "group-offload", "leaf-offload")
PRECISION = ("float32", "bfloat16", "float16")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Settings:
    """Folders are absolute. Times in seconds."""

    checkpoints: Path = HOME / "checkpoint"
    loras: Path = HOME / "lora"
    outputs: Path = HOME / "outputs"
    inputs: Path = HOME / "inpaint_input"
    plugins: Path | None = None
    wildcards: Path = HOME / "wildcards"
    tags: Path = HOME / "tags"
    styles: Path = HOME / "styles.csv"
    """Further files are `styles_*.csv` beside it."""
    models_from: tuple[Path, ...] = ()
    """Other programs' folders, whose models are used in place and never changed."""
    hf_cache: Path | None = None
    """The Hugging Face cache, whose models are used in place; None ignores it."""
    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    public_url: str | None = None
    """Public address behind a reverse proxy, without a trailing slash."""
    open_browser: bool = False
    auth: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    device: str | None = None
    """'cuda', 'cuda:1', 'mps' or 'cpu'; None = the fastest one available."""
    memory: str | None = None
    """Memory policy, one of `MEMORY`; None = chosen by the device's free memory."""
    precision: str | None = None
    """Precision of the models, one of `PRECISION`; None = chosen by the device and the model's size."""
    preload: bool = True
    """Whether torch and the default checkpoint are loaded before the first job."""
    compiled: bool = False
    """Whether the UNet is compiled, which draws faster after a slow first picture."""
    max_queued: int = 32
    thumb_concurrency: int = 2
    catalog_poll_seconds: float = 3.0

    @property
    def data_dir(self) -> Path:
        """The studio's own files; none is served except previews and thumbnails."""
        return self.outputs / ".webbduck"

    @property
    def is_loopback_only(self) -> bool:
        """Whether the studio is reachable from this computer only."""
        return self.host in LOOPBACK and not self.share and not self.public_url

    @property
    def uploads(self) -> Path:
        """Files that clients uploaded and no job uses yet."""
        return self.data_dir / "uploads"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def previews(self) -> Path:
        return self.data_dir / "previews"

    @property
    def thumbnails(self) -> Path:
        return self.data_dir / "thumbnails"

    @property
    def kernels(self) -> Path:
        """What torch's compiler made."""
        return self.data_dir / "compiled"

    def make_folders(self) -> None:
        """Create missing folders. Raises `SettingsError` naming the folder that cannot be used."""
        for folder in (self.checkpoints / "sdxl", self.loras):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                # A read-only model folder is fine as long as it exists.
                if not folder.parent.is_dir():
                    raise SettingsError(_cannot_use(folder, error)) from None
        for folder in (
            self.outputs,
            self.data_dir,
            self.previews,
            self.thumbnails,
            self.uploads,
            self.logs,
            self.inputs,
        ):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".write-test-{os.getpid()}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise SettingsError(_cannot_use(folder, error)) from None


def _cannot_use(folder: Path, error: OSError) -> str:
    reason = error.strerror or error.__class__.__name__
    return (
        f"The folder {folder} is not writable ({reason.lower()}); choose another or change its permissions."
    )


def number_from(
    environment: Mapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    """A number from an environment variable. Raises `SettingsError` if it is not a number or out of range."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name} must be a number from {least:g} to {most:g}, not {text[:40]!r}.")
    return value
