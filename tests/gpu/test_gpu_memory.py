"""Memory of a graphics card: what each policy takes, and what happens where there is too little.

On NVIDIA's and AMD's cards a checkpoint of SDXL's own size with random weights draws 1024 x 1024 pixels, with
the allocator limited to smaller cards. Elsewhere the starter draws, and torch's calls raise what they raise
where memory runs out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from pictures import psnr, ran_short
from recorder import Recorder
from test_memory import CPU_SHORTAGE, failing

from webbduck_gradio.benchmarks import full_size_files
from webbduck_gradio.core import cards
from webbduck_gradio.core.cards import GIB
from webbduck_gradio.core.device_state import DeviceChoice
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.memory_policies import POLICIES
from webbduck_gradio.errors import OutOfMemoryError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

SIZES = (24, 12, 8, 6, 4)
"""Cards, in GiB."""
CARDS = {"resident": 24, "tiled": 12, "offload": 8, "fp8": 6, "group-offload": 6, "leaf-offload": 4}
"""The smallest of them on which each policy draws 1024 x 1024 pixels."""
TAKEN = int(0.6 * GIB)
"""What the driver, the kernels and the desktop take of a card before a model is loaded."""
LEAST = {"fp8": 15.0}
"""dB beside "resident": 8 bits change a picture, other policies change roundings."""
ROUNDED = 35.0
IN_TILES = 20.0
"""dB between a picture of random weights that is decoded whole and one in tiles."""


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_each_policy_draws_the_same_picture(draw, new, policy) -> None:
    asked: dict[str, Any] = {"num_images": 2, "loras": [{"name": "kohya", "weight": 0.5}]}
    by = new(policy.name, None)
    expected, drawn, again = (
        draw(by=new("resident", None), **asked),
        draw(by=by, **asked),
        draw(by=by, **asked),
    )
    assert by.describe()["policy"] == policy.name
    for one, other, third in zip(expected, drawn, again, strict=True):
        assert ran_short(other) == [] and other.image == third.image
        assert psnr(one.image, other.image) >= LEAST.get(policy.name, ROUNDED)


@dataclass(frozen=True)
class Large:
    """A checkpoint of SDXL's size and a refiner; where the allocator cannot be limited, small ones."""

    registry: Registry
    name: str
    refiner: str
    side: int

    def draw(self, by: ImageGenerator, **fields: Any) -> Any:
        """One image of two steps."""
        asked = {"prompt": "a red duck", "seed": 7, "steps": 2, "base_model": self.name, "sampler": "Euler"}
        asked |= {"width": self.side, "height": self.side}
        request = build_request(self.registry, asked | fields)
        (picture,) = by.generate(request, self.registry.checkpoint(self.name), Recorder())
        return picture


@pytest.fixture(scope="module")
def large(kind: str, registry, card, tmp_path_factory) -> Large:
    if kind != "cuda":
        return Large(registry, "webbduck-starter", "refiner", 64)
    card.free()
    folder = tmp_path_factory.mktemp("large")
    for name in ("base", "refiner"):
        full_size_files.write(folder / "checkpoint" / "sdxl" / f"{name}.safetensors", name)
    settings = Settings(checkpoints=folder / "checkpoint", loras=folder / "lora")
    return Large(Registry(settings), "base", "refiner", 1024)


Limit = Callable[..., None]


@pytest.fixture
def limit(device: str, kind: str, monkeypatch) -> Limit:
    """From now on the card is one of `gib` GiB, and says so. With `true` it has only so many bytes for torch,
    but says the same."""

    def apply(gib: int, true: int | None = None) -> None:
        if kind != "cuda":
            return
        index = torch.device(device).index
        total = torch.cuda.get_device_properties(device).total_memory
        has = gib * GIB - TAKEN
        if has > total:
            pytest.skip(f"the card has no {gib} GiB")
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((true or has) / total, index)
        monkeypatch.setattr(
            torch.cuda,
            "mem_get_info",
            lambda *_: (max(0, has - torch.cuda.memory_reserved(index)), gib * GIB),
        )
        monkeypatch.setattr(cards, "card_of", lambda name: dataclasses.replace(whole, total=gib * GIB))

    whole = cards.card_of(device)
    return apply


@pytest.fixture
def run_short(device: str, kind: str, limit: Limit, monkeypatch) -> Callable[[int], None]:
    """In the next job the memory of a card of `gib` GiB runs out."""

    def make(gib: int) -> None:
        if kind == "cuda":
            # Other programs take it after the policy was chosen: less is left than the last job took.
            limit(gib, int(0.6 * torch.cuda.max_memory_allocated(device)))
        else:
            failing(monkeypatch, UNet2DConditionModel, "forward", CPU_SHORTAGE, 1)

    return make


@pytest.mark.parametrize("policy", CARDS)
def test_each_policy_fits_the_card_that_it_is_for(large, limit, device, kind, policy: str) -> None:
    limit(CARDS[policy])
    before = torch.accelerator.memory_allocated() if kind == "cuda" else 0
    by = ImageGenerator(device, large.registry, policy)
    picture = large.draw(by)
    assert ran_short(picture) == [] and picture.image.size == (large.side, large.side)
    assert by.describe()["policy"] == policy
    by.free()
    if kind == "cuda":
        assert torch.accelerator.memory_allocated() - before < GIB / 8  # workspaces of NVIDIA's libraries


@pytest.mark.parametrize("gib", SIZES)
def test_each_card_draws_runs_short_and_recovers(
    large, limit, run_short, same, device, kind, gib: int
) -> None:
    limit(gib)
    by = ImageGenerator(device, large.registry)
    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    expected = large.draw(by)
    assert ran_short(expected) == []
    run_short(gib)
    try:
        picture = large.draw(by)
    except OutOfMemoryError as error:
        assert kind == "cuda" and "not enough memory" in str(error)
    else:
        assert ran_short(picture) != []
        assert by.describe()["policy"] != "resident"
    limit(gib)
    by.choose(DeviceChoice())
    picture = large.draw(by)
    assert ran_short(picture) == []
    same(picture.image, expected.image, IN_TILES)


def test_base_and_refiner_draw_on_a_card_of_12_gib(large, limit, device) -> None:
    limit(12)
    by = ImageGenerator(device, large.registry)
    pictures = [
        large.draw(by, second_pass_model=large.refiner, refiner_switch=0.5, steps=4) for _ in range(2)
    ]
    assert [ran_short(each) for each in pictures] == [[], []] and pictures[0].image == pictures[1].image
