"""A graphics card without values: tensors of torch's meta device, in a memory of a given size.

All that SDXL at its own size would have on the card is counted, weights and the tensors of each layer alike;
what exceeds the card's memory raises what CUDA raises. Main memory is played by meta tensors as well, which
are known and not counted. What a card's libraries take beside tensors is not there.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from webbduck_gradio.benchmarks.sdxl import UNET, VAE
from webbduck_gradio.core import devices, fp8_storage

META, CPU = torch.device("meta"), torch.device("cpu")
TEXT = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
TEXT_1 = TEXT | {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
TEXT_2 = TEXT | {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}


def sdxl() -> Any:
    """SDXL's pipeline at its own size in float16, without values."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        with META:
            parts = {
                "unet": UNet2DConditionModel(**UNET),
                "vae": AutoencoderKL(**VAE),
                "text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT_1)),
                "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_2)),
            }
    finally:
        torch.set_default_dtype(before)
    for part in parts.values():
        part.eval().requires_grad_(False)
    pipe = StableDiffusionXLPipeline(
        **parts,
        tokenizer=None,
        tokenizer_2=None,
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


class Allocator(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive on the card."""

    def __init__(self, memory: float):
        """`memory`: bytes of the card."""
        super().__init__()
        self.memory, self.now, self.peak = memory, 0, 0
        self._alive: dict[int, int] = {}

    def at_home(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same, taken to be in main memory."""
        storage = tensor.untyped_storage()
        self._count(storage)
        self.now -= self._alive[storage._cdata]
        self._alive[storage._cdata] = 0
        return tensor

    def is_home(self, tensor: torch.Tensor) -> bool:
        return self._alive.get(tensor.untyped_storage()._cdata) == 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, torch.Tensor) and each.device == META:
                self._count(each.untyped_storage())
                self.peak = max(self.peak, self.now)
                if self.now > self.memory:
                    raise torch.OutOfMemoryError("Tried to allocate more than the card has.")
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._alive:
            self._alive[storage._cdata] = size = storage.nbytes()
            self.now += size
            weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key: int) -> None:
        self.now -= self._alive.pop(key)


class Border(TorchFunctionMode):
    """What crosses from main memory to the card and back, and attention that holds no scores, as on cards."""

    def __init__(self, allocator: Allocator):
        super().__init__()
        self._allocator = allocator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            return torch.empty_like(args[0])
        if func is torch.Tensor.to and META in args[1:] and self._allocator.is_home(args[0]):
            return torch.empty_like(args[0])
        if func is torch.Tensor.cpu or (func is torch.Tensor.to and CPU in args[1:]):
            return self._allocator.at_home(torch.empty_like(args[0]))
        return func(*args, **(kwargs or {}))


class Backend:
    """Streams of a device that does everything at once."""

    def __init__(self, device: torch.device): ...

    class Stream:
        def synchronize(self) -> None: ...

    @contextlib.contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        yield

    def current_stream(self) -> Stream:
        return self.Stream()


def _moved(module: Any, device: torch.device, non_blocking: bool = False) -> Any:
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.to(device)
    return module


@contextlib.contextmanager
def card(monkeypatch: Any, memory: float, *pipes: Any) -> Iterator[Allocator]:
    """A card with this much memory, in bytes, and pipelines of `sdxl` in main memory."""
    allocator = Allocator(memory)
    for pipe in pipes:
        for part in (pipe.unet, pipe.vae, pipe.text_encoder, pipe.text_encoder_2):
            for tensor in (*part.parameters(), *part.buffers()):
                allocator.at_home(tensor)
    stored = fp8_storage.stored_in_8_bits

    def stored_at_home(weight: torch.Tensor) -> Any:
        before, allocator.memory = allocator.memory, math.inf
        result = tuple(map(allocator.at_home, stored(weight)))
        allocator.memory = before
        return result

    monkeypatch.setattr(fp8_storage, "stored_in_8_bits", stored_at_home)
    monkeypatch.setattr("diffusers.hooks.group_offloading.TorchDeviceBackend", Backend)
    monkeypatch.setattr("webbduck_gradio.core.streaming.WITH_STREAMS", ("meta",))
    monkeypatch.setattr(torch.nn.Module, "to", _moved)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: True)
    monkeypatch.setattr(devices, "free_bytes", lambda device: int(allocator.memory - allocator.now))
    with Border(allocator), allocator:
        yield allocator
