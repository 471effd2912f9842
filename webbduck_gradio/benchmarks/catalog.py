"""How fast the catalog is.

Makes that many LoRA files with the full header of an SDXL LoRA (every layer of the UNet and of both text
encoders, 2,958 tensors) and a tag table, in some different ranks; their weights are holes in the file, since
no weight is read. Prints how long each took and how many headers it read. The CPU seconds tell more where
other programs run beside it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from ..models.catalog.lookup import find
from ..models.catalog.registry import Registry
from ..settings import Settings
from .catalog_trees import write_trees
from .common import Taken, parser, temporary_settings, timed
from .sdxl import write_header

Change = Callable[[int], object]
"""Of the files, given the number of the run."""
LOOKUPS = 100
UNET = {
    **dict.fromkeys(("input_blocks_4_1", "input_blocks_5_1"), (2, 640)),
    **dict.fromkeys(("input_blocks_7_1", "input_blocks_8_1", "middle_block_1"), (10, 1280)),
    **dict.fromkeys((f"output_blocks_{n}_1" for n in range(3)), (10, 1280)),
    **dict.fromkeys((f"output_blocks_{n}_1" for n in range(3, 6)), (2, 640)),
}
"""SDXL's blocks with attention: depth and width."""


def layers() -> Iterator[tuple[str, int, int]]:
    """(name as kohya's trainer writes it, width in, width out) of each layer that a full LoRA changes."""
    for block, (depth, width) in UNET.items():
        yield f"lora_unet_{block}_proj_in", width, width
        yield f"lora_unet_{block}_proj_out", width, width
        for index in range(depth):
            name = f"lora_unet_{block}_transformer_blocks_{index}_"
            for attention, context in (("attn1", width), ("attn2", 2048)):
                yield name + attention + "_to_q", width, width
                yield name + attention + "_to_k", context, width
                yield name + attention + "_to_v", context, width
                yield name + attention + "_to_out_0", width, width
            yield name + "ff_net_0_proj", width, 8 * width
            yield name + "ff_net_2", 4 * width, width
    for encoder, depth, width in (("lora_te1", 12, 768), ("lora_te2", 32, 1280)):
        for index in range(depth):
            name = f"{encoder}_text_model_encoder_layers_{index}_"
            for layer in ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj", "self_attn_out_proj"):
                yield name + layer, width, width
            yield name + "mlp_fc1", width, 4 * width
            yield name + "mlp_fc2", 4 * width, width


def write_lora(path: Path, number: int, rank: int) -> None:
    """A LoRA file with a full header, metadata of its own and a hole for weights."""
    tags = {f"tag {tag} of {number}": 200 - tag for tag in range(150)}
    metadata = {
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_output_name": f"lora {number}",
        "ss_tag_frequency": json.dumps({"10_pictures": tags}),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, into, out in layers():
        shapes |= {f"{name}.alpha": (), f"{name}.lora_down.weight": (rank, into)}
        shapes[f"{name}.lora_up.weight"] = (out, rank)
    write_header(path, shapes, metadata)


def main(arguments: Sequence[str]) -> int:
    asked = parser("catalog", __doc__)
    asked.add_argument("--loras", type=int, default=2000, help="how many files (default 2000)")
    asked.add_argument("--runs", type=int, default=3, help="runs of each measurement (default 3)")
    asked.add_argument(
        "--foreign",
        type=int,
        default=0,
        metavar="N",
        help="instead, N models in the folders of A1111, ComfyUI and SwarmUI (catalog_trees.py)",
    )
    asked.add_argument("--kinds", type=int, default=12, help="different shapes among them (default 12)")
    wanted = asked.parse_args(arguments)
    if wanted.foreign:
        return measure_trees(wanted.foreign, wanted.runs)
    with temporary_settings(with_checkpoints=False) as settings:
        for number in range(wanted.loras):
            write_lora(settings.loras / f"lora {number:04}.safetensors", number, 4 + number % wanted.kinds)
        print(f"{wanted.loras} LoRAs, {sum(1 for _ in layers()) * 3} tensors each, {wanted.kinds} shapes")
        replaced = settings.loras / "lora 0000.safetensors"
        measure(settings, wanted.runs, {"one replaced": lambda run: write_lora(replaced, 10_000 + run, 4)})
    return 0


def measure_trees(count: int, runs: int) -> int:
    """Print how long each takes with `count` models over three programs' folders."""
    with tempfile.TemporaryDirectory(prefix="webbduck-trees-") as folder:
        trees = write_trees(Path(folder), count, write_lora)
        fresh = trees[1] / "models" / "loras" / "shelf 0" / "fresh.safetensors"
        changes: dict[str, Change] = {
            "one added": lambda run: write_lora(fresh, run, 4),
            "one removed": lambda run: fresh.unlink(),
        }
        with temporary_settings(with_checkpoints=False, models_from=tuple(trees)) as settings:
            print(f"{count} models in the folders of A1111, ComfyUI and SwarmUI")
            before = psutil.Process().memory_info().rss
            registry = measure(settings, runs, changes)
            grown = psutil.Process().memory_info().rss - before
            names = [f"shelf {number}/none" for number in range(LOOKUPS)]
            took = timed(lambda: [find(name, registry.loras()) for name in names])[1]
            print(f"{LOOKUPS} unknown names looked up: {1000 * took.work:.0f} ms of CPU")
            print(f"memory of the process: {grown / 2**20:.0f} MiB more than before the first scan")
    return 0


def measure(settings: Settings, runs: int, changes: Mapping[str, Change]) -> Registry:
    """Print the medians, and answer the last registry."""
    memory = settings.data_dir / "catalog.sqlite3"
    rows: dict[str, list[Taken]] = {}
    reads: dict[str, int] = {}
    for run in range(runs):
        for file in settings.data_dir.glob("catalog.sqlite3*"):
            file.unlink()
        registry, took = timed(lambda: Registry(settings))
        rows.setdefault("cold", []).append(took)
        reads["cold"] = registry.headers_read
        assert memory.exists()
        registry, took = timed(lambda: Registry(settings))
        rows.setdefault("warm", []).append(took)
        reads["warm"] = registry.headers_read
        rows.setdefault("nothing changed", []).append(timed(registry.refresh)[1])
        reads["nothing changed"] = registry.headers_read - reads["warm"]
        for name, change in changes.items():
            before = registry.headers_read
            change(run)
            changed, took = timed(registry.refresh)
            assert changed
            rows.setdefault(name, []).append(took)
            reads[name] = registry.headers_read - before
    print("wall and CPU seconds (all processes), medians:")
    for name, times in rows.items():
        print(f"{name:16} {middle(times, 0):7.2f} {middle(times, 1):7.2f}, {reads[name]} headers read")
    return registry


def middle(times: list[Taken], which: int) -> float:
    return statistics.median(each[which] for each in times)
