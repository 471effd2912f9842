"""Full-size SDXL files with random weights in the original layout, through the core.

Each is written (6.9 GB), recognised, loaded offline and drawn with in a process of its own; printed are
times and memory. The files are deleted afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path

import numpy
import torch
from accelerate import init_empty_weights

from ..core.progress import SilentReporter
from ..gallery.input_images import InputImageStore
from ..models.admission import build_request, validate_request
from ..models.catalog.registry import Registry
from ..settings import Settings
from . import common, original_layout
from .sdxl import CLIP, OPEN_CLIP, UNET, VAE

GIB = 2**30
REFINER = {
    "attention_head_dim": [6, 12, 24, 24],
    "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": [1, 4, 4, 4],
}


def weightless(kind: str) -> dict[str, torch.Tensor]:
    """Names and shapes of a file of `kind`: base, inpaint, refiner or v."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    refiner = kind == "refiner"
    config = UNET | {"in_channels": 9 if kind == "inpaint" else 4} | (REFINER if refiner else {})
    with init_empty_weights():
        tensors = original_layout.unet(UNet2DConditionModel(**config)) | original_layout.vae(
            AutoencoderKL(**VAE)
        )
        second = CLIPTextModelWithProjection(CLIPTextConfig(**OPEN_CLIP, projection_dim=1280))
        tensors |= original_layout.open_clip(second, f"conditioner.embedders.{0 if refiner else 1}.")
        if not refiner:
            tensors |= original_layout.clip(CLIPTextModel(CLIPTextConfig(**CLIP)), "conditioner.embedders.0.")
    if kind == "v":
        tensors |= {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    return tensors


def write(path: Path, kind: str) -> int:
    """Half precision, weights scaled so that numbers stay small through all layers. Bytes written."""
    header, at = {}, 0
    shapes = {key: tuple(value.shape) for key, value in weightless(kind).items()}
    for key, shape in shapes.items():
        size = prod(shape) * 2
        header[key] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pool = numpy.random.default_rng(0).standard_normal(1 << 22, dtype=numpy.float32)

    @cache
    def scaled(inputs: int) -> numpy.ndarray:
        return (pool / inputs**0.5).astype(numpy.float16)

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, shape in shapes.items():
            count, norm = (
                prod(shape),
                "norm" in key or "ln_" in key or "_layers.0." in key or ".out.0." in key,
            )
            if len(shape) < 2:
                value = 1.0 if norm and key.endswith("weight") else 0.0
                file.write(numpy.full(count, value, numpy.float16).tobytes())
                continue
            weights = scaled(prod(shape[1:]))
            for start in range(0, count, len(pool)):
                file.write(weights[: count - start].data)
    return path.stat().st_size


class StepCounter(SilentReporter):
    steps = 0

    def step(self, image_index: int, step: int, total: int) -> None:
        self.steps += 1


class Memory:
    """Highest resident and anonymous memory of this process, looked at every 20 ms (Linux)."""

    def __enter__(self) -> Memory:
        self.resident = self.anonymous = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.resident = max(self.resident, int(lines["VmRSS"].split()[0]) * 1024)
            self.anonymous = max(self.anonymous, int(lines["RssAnon"].split()[0]) * 1024)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __str__(self) -> str:
        return f"peak {self.resident / GIB:.2f} GiB resident, {self.anonymous / GIB:.2f} GiB anonymous"


def load_only(folder: Path, kind: str) -> None:
    """In the file's own precision: the weights stay on disk until they are used."""
    from ..core import checkpoint_files

    start = time.perf_counter()
    checkpoint = Registry(Settings(checkpoints=folder / "checkpoint", loras=folder / "lora")).checkpoint(kind)
    known = time.perf_counter() - start
    print(
        f"{kind}: {checkpoint.arch}, {checkpoint.prediction_type}, known in {known * 1000:.0f} ms", flush=True
    )
    start = time.perf_counter()
    with Memory() as memory:
        pipe = checkpoint_files.read(checkpoint, torch.float16)
    count = sum(
        each.numel() for part in (pipe.unet, pipe.vae, pipe.text_encoder_2) for each in part.parameters()
    )
    print(f"  in its own float16: {time.perf_counter() - start:.1f} s, {memory}; {count / 1e6:.0f} M weights")


def draw(folder: Path, kind: str, side: int, steps: int, precision: str) -> None:
    from PIL import Image

    from ..core.image_generator import ImageGenerator

    def store(picture: Image.Image) -> str:
        path = folder / "picture.png"
        picture.save(path)
        return InputImageStore(settings).store(path)

    settings = Settings(checkpoints=folder / "checkpoint", loras=folder / "lora", inputs=folder / "in")
    registry = Registry(settings)
    asked: dict[str, object] = {"prompt": "a (red:1.2) duck", "seed": 1, "steps": steps, "width": side}
    asked |= {"height": side, "base_model": kind, "scheduler": "Euler"}
    if kind == "inpaint":
        mask = Image.new("L", (side, side), 0)
        mask.paste(255, (side // 4, side // 4, side // 2, side // 2))
        picture = Image.effect_noise((side, side), 90).convert("RGB")
        asked |= {"image": store(picture), "mask": store(mask), "strength": 1.0}
    if kind == "refiner":
        # It only continues: a base would need as much memory again, so it goes over a picture here.
        picture = Image.effect_noise((side, side), 90).convert("RGB")
        asked |= {"image": store(picture), "strength": 0.5}
    request = build_request(registry, asked)
    if kind != "refiner":
        validate_request(registry, request, InputImageStore(settings))
    generator = ImageGenerator("cpu", registry, precision=precision)
    counter, start = StepCounter(), time.perf_counter()
    with Memory() as memory:
        generator.pipelines.get(registry.checkpoint(kind), lambda text: None)
        loaded = time.perf_counter() - start
        (drawn,) = generator.generate(request, registry.checkpoint(kind), counter)
    seconds = time.perf_counter() - start - loaded
    spread = numpy.asarray(drawn.image).std()
    print(
        f"  {precision}: loaded in {loaded:.1f} s; {side} x {side}, {counter.steps} steps in "
        f"{seconds:.1f} s, {memory}; deviation {spread:.0f}, {drawn.warnings or 'no warnings'}"
    )


def main(arguments: Sequence[str]) -> int:
    parser = common.parser("full-size-files", __doc__)
    parser.add_argument("kinds", nargs="+", choices=["base", "inpaint", "refiner", "v"])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/webbduck-full-size"))
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--only", choices=["write", "load", "draw"])
    asked = parser.parse_args(arguments)
    for kind in asked.kinds:
        path = asked.folder / "checkpoint" / "sdxl" / f"{kind}.safetensors"
        if asked.only == "write":
            start = time.perf_counter()
            print(
                f"{kind}: {write(path, kind) / 1e9:.2f} GB in {time.perf_counter() - start:.0f} s", flush=True
            )
        elif asked.only == "load":
            load_only(asked.folder, kind)
        elif asked.only == "draw":
            draw(asked.folder, kind, asked.side, asked.steps, asked.precision)
        else:
            more = [f"--folder={asked.folder}", f"--side={asked.side}", f"--steps={asked.steps}"]
            try:
                for part in ("write", "load", "draw"):
                    command = [
                        sys.executable,
                        "-m",
                        f"{__package__}",
                        "full-size-files",
                        kind,
                        f"--only={part}",
                        f"--precision={asked.precision}",
                    ]
                    subprocess.run([*command, *more], check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
            finally:
                shutil.rmtree(asked.folder, ignore_errors=True)
    return 0
