"""LoRAs in the weights: exact, the same whatever was active before, and gone without a trace."""

from __future__ import annotations

import gc
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from webbduck_gradio.core import checkpoint_files, devices, interruptible
from webbduck_gradio.core.interruptible import Interruptible
from webbduck_gradio.core.lora_adapters import LoraAdapters
from webbduck_gradio.errors import CancelledError, ModelError, OutOfMemoryError
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.models.lora_uses import LoraUse
from webbduck_gradio.settings import HOME, Settings

INK, PIXEL = "webbduck-starter-ink", "webbduck-starter-pixel"
Uses = Callable[..., list[LoraUse]]
Place = tuple[str, str]


@pytest.fixture(scope="module")
def loras(folders: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled LoRAs, and a random one on all attention of the UNet and of the text encoders."""
    folder = tmp_path_factory.mktemp("loras")
    for path in (HOME / "lora" / f"{INK}.safetensors", HOME / "lora" / f"{PIXEL}.safetensors"):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(folders.loras / "whole.safetensors", folder / "whole.safetensors")
    return folder


@pytest.fixture(scope="module")
def catalog(folders: Settings, loras: Path) -> Registry:
    return Registry(
        Settings(checkpoints=folders.checkpoints, loras=loras, outputs=folders.outputs, inputs=folders.inputs)
    )


@pytest.fixture(scope="module")
def uses(catalog: Registry) -> Uses:
    """What `LoraAdapters.activate` takes."""
    return lambda *asked: [LoraUse(catalog.lora(name), weight) for name, weight in asked]


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def pipe(request: pytest.FixtureRequest, starter: Checkpoint) -> Any:
    return checkpoint_files.read(starter, request.param)


@pytest.fixture(scope="module")
def stored(starter: Checkpoint) -> Any:
    """In the precision of its files, so that the weights are mapped from them."""
    return checkpoint_files.read(starter, torch.float16)


def weights(pipe: Any) -> dict[Place, torch.Tensor]:
    return {
        (part, name): weight.data
        for part in ("unet", "text_encoder", "text_encoder_2")
        for name, weight in getattr(pipe, part).named_parameters()
    }


def bits(pipe: Any) -> dict[Place, str]:
    return {
        place: hashlib.sha256(each.contiguous().view(torch.uint8).numpy()).hexdigest()
        for place, each in weights(pipe).items()
    }


def places_in_memory(pipe: Any) -> dict[Place, int]:
    return {place: each.data_ptr() for place, each in weights(pipe).items()}


def changed(before: dict[Place, Any], after: dict[Place, Any]) -> set[Place]:
    return {place for place in before if before[place] != after[place]}


def held() -> int:
    """Bytes of all tensors in memory. What a compiler left in this process has no memory, and cannot be
    asked."""
    gc.collect()
    kinds = torch.Tensor, torch.nn.Parameter
    storages = [each.untyped_storage() for each in gc.get_objects() if type(each) in kinds]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


class Operations(TorchDispatchMode):
    """Counts what torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Failing(TorchFunctionMode):
    """Lets the fifth sum of tensors fail."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error, self._left = error, 5

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.add:
            self._left -= 1
            if not self._left:
                raise self._error
        return func(*args, **(kwargs or {}))


@pytest.fixture
def bare(pipe: Any) -> Iterator[dict[Place, str]]:
    """The weights' bits, as they have to be again after the test."""
    before = bits(pipe)
    yield before
    assert bits(pipe) == before


def test_what_is_added_is_exact_and_rounded_once(pipe: Any, uses: Uses, loras: Path, bare) -> None:
    before = weights(pipe)
    wanted = {place: each.double() for place, each in before.items()}
    ink, pixel = load_file(loras / f"{INK}.safetensors"), load_file(loras / f"{PIXEL}.safetensors")
    flat = {"lora_unet_" + name.replace(".", "_"): name for part, name in before if part == "unet"}
    for tensors, by, ends in (
        (ink, 0.7, (".lora_up.weight", ".lora_down.weight")),
        (pixel, -1.3, (".lora_B.weight", ".lora_A.weight")),
    ):
        for key in [key for key in tensors if key.endswith(ends[0])]:
            module = key.removesuffix(ends[0])
            name = flat.get(module + "_weight") or module.removeprefix("unet.") + ".weight"
            up, down = (tensors[module + end].double().flatten(1) for end in ends)
            scale = tensors[module + ".alpha"].item() / len(down) if module + ".alpha" in tensors else 1
            wanted["unet", name] += by * scale * (up @ down).view_as(wanted["unet", name])
    adapters = LoraAdapters(pipe)
    adapters.activate(uses((INK, 0.7), (PIXEL, -1.3)))
    assert adapters.active == ((INK, 0.7), (PIXEL, -1.3))
    after = weights(pipe)
    touched = {place for place in wanted if not torch.equal(wanted[place], before[place].double())}
    assert len(touched) > 100
    for place, exact in wanted.items():
        if place not in touched:
            assert after[place].data_ptr() == before[place].data_ptr()
            continue
        far = (after[place].double() - exact).abs()
        assert far.norm() <= max(1e-6, torch.finfo(after[place].dtype).eps) * exact.norm()
        # Half a unit in the last place is what rounding once costs, and float32's own sums a little.
        assert (far <= 0.501 * torch.finfo(after[place].dtype).eps * exact.abs() + 1e-6).all()
    adapters.activate([])
    assert adapters.active == ()


def test_the_same_loras_give_the_same_bits_by_any_way(pipe: Any, uses: Uses, bare) -> None:
    adapters, other = LoraAdapters(pipe), LoraAdapters(pipe)
    adapters.activate(uses((INK, 1.0)))
    one = bits(pipe)
    adapters.activate(uses((INK, 0.5)))
    assert bits(pipe) != one
    adapters.activate(uses((INK, 1.0), ("whole", 0.3)))
    assert bits(pipe) != one
    adapters.activate(uses((INK, 1.0), ("whole", 0.0)))
    assert bits(pipe) == one
    adapters.activate(uses((INK, 0.4), (PIXEL, 0.8), ("whole", 0.3)))
    three = bits(pipe)
    adapters.activate(())
    other.activate(uses(("whole", 0.3), (INK, 0.4), (PIXEL, 0.8)))
    assert bits(pipe) == three
    other.activate(())


def test_mapped_weights_are_mapped_again(stored: Any, uses: Uses) -> None:
    before, mapped = bits(stored), places_in_memory(stored)
    adapters = LoraAdapters(stored)
    adapters.activate(uses((INK, 1.0), ("whole", 0.5)))
    assert len(changed(before, bits(stored))) > 100
    assert changed(mapped, places_in_memory(stored)) == changed(before, bits(stored))
    adapters.activate(())
    assert places_in_memory(stored) == mapped and bits(stored) == before


def test_no_more_is_kept_than_the_replaced_weights_and_the_files(
    stored: Any, uses: Uses, loras: Path
) -> None:
    adapters, (ink,) = LoraAdapters(stored), uses((INK, 1.0))
    alone, before = held(), bits(stored)
    adapters.activate([ink])
    replaced = sum(weights(stored)[place].nbytes for place in changed(before, bits(stored)))
    assert replaced < held() - alone <= replaced + ink.lora.path.stat().st_size
    adapters.activate([LoraUse(ink.lora, 0.5)])
    assert held() - alone <= replaced + ink.lora.path.stat().st_size
    adapters.activate(())
    assert 0 < held() - alone <= ink.lora.path.stat().st_size
    del adapters
    assert held() == alone


def test_weights_that_did_not_change_cost_nothing(pipe: Any, uses: Uses, bare) -> None:
    adapters = LoraAdapters(pipe)
    adapters.activate(uses((INK, 1.0), ("whole", 0.5)))
    before = places_in_memory(pipe)
    with Operations() as operations:
        adapters.activate(uses(("whole", 0.5), (INK, 1.0)))
    assert operations.count == 0
    assert places_in_memory(pipe) == before
    adapters.activate(())


def test_weights_that_lie_elsewhere_are_written_in_place(
    starter: Checkpoint, stored: Any, uses: Uses
) -> None:
    """As on a graphics card: the checkpoint's own are in main memory, and the card holds no second copy."""
    home, device = weights(stored), checkpoint_files.read(starter, torch.float16)
    there, before = places_in_memory(device), bits(device)
    asked: list[str] = []
    adapters = LoraAdapters(device, pristine=lambda part, name: (asked.append(name), home[part, name])[1])
    adapters.activate(uses((INK, 1.0)))
    merged = bits(device)
    assert places_in_memory(device) == there
    assert len(asked) >= len(changed(before, merged)) > 100
    adapters.activate(uses((INK, 0.5)))
    adapters.activate(uses((INK, 1.0)))
    assert bits(device) == merged and places_in_memory(device) == there
    alike = LoraAdapters(stored)
    alike.activate(uses((INK, 1.0)))
    assert bits(stored) == merged
    alike.activate(())


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (torch.OutOfMemoryError("no"), OutOfMemoryError, f"Adding the LoRA {INK} needs more memory"),
        (RuntimeError("anything else"), RuntimeError, "anything else"),
        (KeyboardInterrupt("Ctrl+C"), KeyboardInterrupt, "Ctrl"),
    ],
)
@pytest.mark.parametrize("earlier", [False, True])
def test_after_an_error_no_lora_is_active(pipe: Any, uses: Uses, bare, error, raised, words, earlier) -> None:
    adapters = LoraAdapters(pipe)
    if earlier:
        adapters.activate(uses(("whole", 1.0)))
    with pytest.raises(raised, match=words), Failing(error):
        adapters.activate(uses((INK, 1.0)))
    assert bits(pipe) == bare and adapters.active == ()
    adapters.activate(uses((INK, 1.0)))
    assert len(changed(bare, bits(pipe))) > 100
    adapters.activate(())


def test_it_can_be_stopped_in_the_middle(pipe: Any, uses: Uses, bare, monkeypatch) -> None:
    monkeypatch.setattr(interruptible, "CHECK_SECONDS", 0)
    adapters, before, calls = LoraAdapters(pipe), places_in_memory(pipe), [0]

    def check() -> None:
        calls[0] += 1
        if calls[0] % 50 == 0 and len(changed(before, places_in_memory(pipe))) > 20:
            raise CancelledError("Stopped.")

    with pytest.raises(CancelledError), Interruptible(check):
        adapters.activate(uses((INK, 1.0)))
    assert bits(pipe) == bare and adapters.active == ()


def test_a_set_that_main_memory_cannot_hold_is_refused(stored: Any, uses: Uses, monkeypatch) -> None:
    before = places_in_memory(stored)
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1000)
    words = rf"^Adding the LoRAs {INK}, {PIXEL} needs 0\.0 GiB of main memory beside the checkpoint, but only"
    with pytest.raises(OutOfMemoryError, match=words):
        LoraAdapters(stored).activate(uses((PIXEL, 1.0), (INK, 1.0)))
    assert places_in_memory(stored) == before


def test_one_that_does_not_fit_into_half_precision_is_refused(
    stored: Any, loras: Path, uses: Uses, catalog: Registry
) -> None:
    tensors = load_file(loras / f"{PIXEL}.safetensors")
    large = {key: value.float() * (1e7 if ".lora_B." in key else 1) for key, value in tensors.items()}
    save_file(large, loras / "large.safetensors")
    catalog.refresh()
    before = places_in_memory(stored)
    adapters = LoraAdapters(stored)
    words = (
        r"^Adding the LoRA large makes weights of the checkpoint too large for float16; lower the LoRA "
        r"weights, or start the studio with --precision float32\.$"
    )
    with pytest.raises(ModelError, match=words):
        adapters.activate(uses(("large", 1.0)))
    assert places_in_memory(stored) == before
    adapters.activate(uses(("large", 1e-7)))
    assert places_in_memory(stored) != before
    adapters.activate(())


def test_a_step_computes_no_more_with_a_lora(paint) -> None:
    counts = []
    for stack in ([], [{"name": "whole", "weight": 0.5}]):
        paint(steps=2, loras=stack)
        with Operations() as operations:
            paint(steps=2, loras=stack)
        counts.append(operations.count)
    assert counts[0] == counts[1] > 1000
