"""Changing a LoRA's weight on a UNet of SDXL's widths, and what a step takes: added to the weights, and in
peft's layers.

Both have the same random weights and the same LoRA on every linear layer of attention and feed-forward. The
step is one forward of a batch of two. All is measured in turns in one run. `--depth 10` is SDXL whole, which
takes 16 GB of memory in float32; 1 has every width, with fewer layers of each.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from ..settings import PRECISION
from .common import Taken, Work, begin, in_turns, parser, show, temporary_settings
from .sdxl import UNET

MERGED, LAYERS = "added to the weights", "in peft's layers"


def measure(options: argparse.Namespace) -> None:
    import torch
    from safetensors.torch import load_file

    from ..core.devices import best_device
    from ..core.unlisted import unlisted
    from ..models.catalog.registry import Registry
    from ..models.lora_uses import LoraUse
    from . import full_size_sdxl as sdxl

    device, dtype = options.device or best_device(), getattr(torch, options.precision)
    config = UNET | {"transformer_layers_per_block": [1, min(2, options.depth), options.depth]}
    pipe = sdxl.pipeline(device, dtype, config)
    with temporary_settings() as settings:
        path = settings.loras / "benchmark.safetensors"
        count = _write(pipe.unet, path, options.rank)
        lora = Registry(settings).lora(path.stem)
        size = path.stat().st_size / 1e6
        with torch.device("meta"):
            unet = type(pipe.unet)(**config)
        # The same memory twice: peft leaves the weights alone, and adding replaces them.
        unet.load_state_dict(pipe.unet.state_dict(), assign=True)
        layered = type(pipe)(**{**pipe.components, "unet": unet})
        layered.load_lora_weights(load_file(path), adapter_name="it")
        adapters = unlisted(pipe).adapters
        adapters.activate([LoraUse(lora, 1.0)])
    merged, scaled = cycle((0.5, 1.0)), cycle((0.5, 1.0))

    def merge() -> None:
        adapters.activate([LoraUse(lora, next(merged))])
        sdxl.synchronize(pipe.unet.device)

    def scale() -> None:
        layered.set_adapters("it", next(scaled))
        sdxl.synchronize(pipe.unet.device)

    def step(model: Any) -> Work:
        inputs = _inputs(model, options.side)

        @torch.no_grad()
        def forward() -> None:
            model(**inputs)
            sdxl.synchronize(model.device)

        return forward

    print(f"\n{device}, {options.precision}, depth {options.depth}, {count} modules, {size:,.0f} MB")
    switching = in_turns([(MERGED, merge), (LAYERS, scale)], options.rounds)
    print("\nanother weight")
    for name, values in switching.items():
        clock, work = (
            statistics.median(getattr(each, kind) for each in values) for kind in ("clock", "work")
        )
        print(f"  {name:<34} {clock:8.3f} s   work {work:8.3f} s")
    stepping = in_turns([(MERGED, step(pipe.unet)), (LAYERS, step(unet))], options.rounds)
    show(f"a step of {options.side} x {options.side} pixels", stepping, LAYERS)
    kind = "clock" if device != "cpu" else "work"  # other programs' work does not slow it
    later = _apart(switching[MERGED], switching[LAYERS], kind)
    saved = _apart(stepping[LAYERS], stepping[MERGED], kind)
    print(f"\n  {kind}: changing the weight takes {later:.3f} s longer, each step {saved:.3f} s less", end="")
    print(f"; even after {later / saved:.1f} steps" if saved > 0 else "")


def _apart(longer: Sequence[Taken], shorter: Sequence[Taken], kind: str) -> float:
    """Seconds, the median of the rounds. `kind`: a field of `Taken`."""
    pairs = zip(longer, shorter, strict=True)
    return statistics.median(getattr(one, kind) - getattr(other, kind) for one, other in pairs)


def _write(unet: Any, path: Path, rank: int) -> int:
    """A LoRA of this rank in float16, with small random weights; the number of its modules."""
    import torch
    from safetensors.torch import save_file

    random, tensors = torch.Generator().manual_seed(0), {}
    for name, module in unet.named_modules():
        if isinstance(module, torch.nn.Linear) and "attentions" in name:
            for part, shape in (("A", (rank, module.in_features)), ("B", (module.out_features, rank))):
                numbers = 0.01 * torch.randn(shape, generator=random)
                tensors[f"unet.{name}.lora_{part}.weight"] = numbers.half()
    save_file(tensors, path)
    return len(tensors) // 2


def _inputs(unet: Any, side: int) -> dict[str, Any]:
    """Of one step with guidance, for a picture of `side` x `side` pixels."""
    import torch

    random = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(2, *shape, generator=random).to(unet.device, unet.dtype)

    return {
        "sample": numbers(4, side // 8, side // 8),
        "timestep": 500,
        "encoder_hidden_states": numbers(77, unet.config.cross_attention_dim),
        "added_cond_kwargs": {"text_embeds": numbers(1280), "time_ids": numbers(6)},
    }


def main(arguments: Sequence[str]) -> int:
    command = parser("loras", __doc__)
    command.add_argument("--device", default=None, help="of torch (default: the best)")
    command.add_argument("--precision", choices=PRECISION, default="float32", help="default: float32")
    command.add_argument("--depth", type=int, default=1, help="layers of the widest blocks (default 1)")
    command.add_argument("--rank", type=int, default=64, help="of the LoRA (default 64)")
    command.add_argument("--side", type=int, default=512, help="of the picture in pixels (default 512)")
    command.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    options = command.parse_args(arguments)
    if options.rounds < 2:
        command.error("--rounds must be at least 2")
    begin()
    measure(options)
    return 0
