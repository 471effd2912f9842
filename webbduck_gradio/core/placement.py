"""Where the parts of a checkpoint are: on the device, or at home in main memory.

A part that leaves the device is not copied back: its weights at home were kept, and the device's copy is
thrown away. Parts that were converted while they were loaded, and that the policy keeps on the device, have
nothing at home until they leave it for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from . import devices
from .fp8_storage import Fp8Storage
from .memory_needs import ENCODING, LIBRARIES
from .memory_policies import MemoryPolicy
from .streaming import Streamed

UNET, VAE = "unet", "vae"
ENCODERS = ("text_encoder", "text_encoder_2")


class Part:
    """One model of a checkpoint, without what is streamed while it computes."""

    def __init__(self, model: torch.nn.Module):
        """`model`: on the CPU."""
        self.model = model
        self.is_home = True
        self._tensors = [*model.parameters(), *model.buffers()]
        self._home: list[torch.Tensor] | None = None

    def leave_out(self, streamed: Collection[int]) -> None:
        """From now on, move only the tensors whose `id` is not among these. It must be at home."""
        every = (*self.model.parameters(), *self.model.buffers())
        self._tensors = [each for each in every if id(each) not in streamed]

    @property
    def size(self) -> int:
        """Bytes that it takes on the device."""
        return sum(each.nbytes for each in self._tensors)

    def come(self, device: torch.device, keeps_home: bool) -> None:
        """Copy it to the device. `keeps_home`: whether its weights stay in main memory, too."""
        if self.is_home:
            self._home = [each.data for each in self._tensors] if keeps_home else None
            self.is_home = False  # first, so that after a shortage it can leave again
            for tensor in self._tensors:
                tensor.data = tensor.data.to(device)

    def keep_changes(self) -> None:
        """Its weights were changed on the device: what is at home is no longer the same."""
        self._home = None

    def leave(self) -> None:
        """Have it in main memory alone."""
        if self.is_home:
            return
        for number, tensor in enumerate(self._tensors):
            tensor.data = self._home[number] if self._home else tensor.data.cpu()
        self._home, self.is_home = None, True


class Placement:
    """Moves the parts of one pipeline as a memory policy says."""

    def __init__(
        self,
        pipe: Any,
        device: torch.device,
        policy: MemoryPolicy,
        *,
        moves: bool = True,
        is_mapped: bool = False,
        others: Callable[[], Iterable[Placement]] = tuple,
    ):
        """`pipe`: on the CPU. `moves`: whether the device has a memory of its own. `is_mapped`: whether the
        weights are mapped from their file, so that keeping them costs nothing. `others`: those of the other
        checkpoints, the least recently used first; they leave the device where that is necessary."""
        self.policy = policy
        self._device, self._moves, self._is_mapped, self._others = device, moves, is_mapped, others
        self._parts = {
            name: Part(model)
            for name in (*ENCODERS, UNET, VAE)
            if (model := getattr(pipe, name, None)) is not None
        }
        # Free only where they are mapped; else they would be in main memory twice.
        self._mapped = {
            (name, key): tensor.data
            for name, part in self._parts.items()
            for key, tensor in part.model.named_parameters()
            if is_mapped
        }
        self._fp8: Fp8Storage | None = None
        self._streamed: Streamed | None = None

    # ---- what is where

    @property
    def on_device(self) -> int:
        """Bytes of the parts that are on the device."""
        return sum(part.size for part in self._parts.values() if not part.is_home)

    def room_beside(self, name: str) -> int:
        """Bytes on the device for what a part does, with its weights there, and without all that can
        leave."""
        part = self._parts[name]
        room = devices.free_bytes(str(self._device)) - (part.size if part.is_home and self._moves else 0)
        idle = self._idle((name,)) if self.policy.offloads else ()
        return room + sum(each.size for each in idle) + sum(each.on_device for each in self._others())

    def _idle(self, names: Collection[str]) -> list[Part]:
        return [part for key, part in self._parts.items() if key not in names and not part.is_home]

    # ---- moves

    def settle(self) -> None:
        """Bring what the policy keeps on the device."""
        if not self.policy.offloads:
            self.bring(*self._parts)

    def bring(self, *names: str, working: int = 0) -> None:
        """Have these parts on the device, and `working` bytes beside them as far as idle parts can leave it:
        first this checkpoint's, if the policy lets them, then other ones'."""
        if UNET in names:
            self._arrange()
        if not self._moves:
            return
        parts = [self._parts[name] for name in names]
        wanted = LIBRARIES + working + sum(part.size for part in parts if part.is_home)
        if wanted > devices.free_bytes(str(self._device)):
            self._make_room(names, wanted)
        keeps_home = self._is_mapped or self.policy.offloads
        for part in parts:
            part.come(self._device, keeps_home)

    def _make_room(self, names: Collection[str], wanted: int) -> None:
        idle = self._idle(names) if self.policy.offloads else []
        for other in self._others():
            idle += other._idle(())
        for part in idle:
            part.leave()
            if wanted <= devices.free_bytes(str(self._device)):
                return

    def replace(self, name: str, model: torch.nn.Module) -> None:
        """Hold this model, which is on the CPU, as a part; the one before stays in main memory, unchanged."""
        self._parts[name].leave()
        self._parts[name] = Part(model)

    def leave(self, *names: str) -> None:
        """Have these parts in main memory; all without names."""
        for name in names or self._parts:
            self._parts[name].leave()

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """The text encoders where they compute, meanwhile."""
        encoders = [name for name in ENCODERS if name in self._parts]
        if self.policy.encoders == "cpu" and self._moves:
            self.leave(*encoders)
            with _widened([self._parts[name].model for name in encoders]):
                yield
            return
        self.bring(*encoders, working=ENCODING)
        yield
        if self.policy.encoders != "card":
            self.leave(*encoders)

    # ---- how the UNet is held

    def _arrange(self) -> None:
        """Hold the UNet as the policy says."""
        unet = self._parts[UNET]
        if self.policy.is_fp8 and self._fp8 is None:
            unet.leave()
            self._fp8 = Fp8Storage(unet.model)
        if self.policy.unet in ("blocks", "layers") and self._streamed is None and self._moves:
            unet.leave()
            self._streamed = Streamed(unet.model, self._device, self.policy.unet, self._is_mapped)
            unet.leave_out(self._streamed.tensors)

    def release(self) -> None:
        """Have the plain weights, so that they can be changed: in main memory if the policy keeps any
        there."""
        if self.policy.offloads:
            self.leave()
        if self._fp8 is not None:
            self._fp8.undo()
        if self._streamed is not None:
            self._streamed.undo()
            self._parts[UNET].leave_out(())
        self._fp8 = self._streamed = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The plain weights, which may be changed meanwhile."""
        self.release()
        try:
            yield
        finally:
            for part in self._parts.values():
                part.keep_changes()

    @property
    def pristine(self) -> Callable[[str, str], torch.Tensor] | None:
        """The checkpoint's own weights by part and name, where they stay mapped from its file."""
        return (lambda part, name: self._mapped[part, name]) if self._mapped else None

    def change(self, policy: MemoryPolicy) -> None:
        """From now on, move the parts as this policy says."""
        if (policy.unet, policy.is_fp8) != (self.policy.unet, self.policy.is_fp8):
            self.release()
            self.leave()
        self.policy = policy


@contextmanager
def _widened(models: Iterable[torch.nn.Module]) -> Iterator[None]:
    """Models on the CPU in float32 meanwhile: many processors compute half precision far slower."""
    kept = [(each, each.data) for model in models for each in (*model.parameters(), *model.buffers())]
    try:
        for tensor, data in kept:
            tensor.data = data.float() if data.is_floating_point() else data
        yield
    finally:
        for tensor, data in kept:
            tensor.data = data
