"""Seamless borders: convolutions that continue at the opposite side of the picture instead of with zeros.

All else in UNet and VAE (attention, normalisation) knows no place, so with this the picture is drawn on a
cylinder or a torus. What works on a part of the picture must not wrap: `unwrapped` is for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.downsampling import Downsample2D
from torch.nn import functional

Axes = tuple[int, ...]
"""Dimensions of (n, c, height, width) that wrap: 3 for left and right, 2 for top and bottom."""
AXES: dict[str, Axes] = {"none": (), "x": (3,), "y": (2,), "both": (2, 3)}
"""By the setting `tiling`."""
_PATCH, _MARK = "_conv_forward", "_seamless_axes"


@contextmanager
def wrapped(models: Iterable[torch.nn.Module], axes: Axes) -> Iterator[None]:
    """Let the convolutions of these models wrap meanwhile; afterwards they are exactly as before."""
    models = list({id(each): each for each in models}.values()) if axes else []
    try:
        for model in models:
            _wrap(model, axes)
        yield
    finally:
        for model in models:
            _unwrap(model)


@contextmanager
def unwrapped(*models: torch.nn.Module) -> Iterator[None]:
    """Let models that wrap pad with zeros meanwhile."""
    before = [(each, axes_of(each)) for each in models]
    try:
        for model, _ in before:
            _unwrap(model)
        yield
    finally:
        for model, axes in before:
            if axes:
                _wrap(model, axes)


def axes_of(model: torch.nn.Module) -> Axes:
    """The dimensions that a model's convolutions wrap at the moment."""
    return model.__dict__.get(_MARK, ())


def in_tiles(
    work: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor, axes: Axes, margin: int, scale: float
) -> torch.Tensor:
    """`work(tensor)` where that works in tiles, which cannot wrap: it gets the tensor with a margin of what
    is at the opposite side, and the margin behind the end is blended into the beginning.

    `margin`: in elements of `tensor`; at most half of its side is taken. `scale`: sides of the result for
    sides of `tensor`.
    """
    step = max(1, round(1 / scale))
    margins = {axis: min(margin, tensor.shape[axis] // 2) // step * step for axis in axes}
    for axis, size in margins.items():
        before, after = tensor.narrow(axis, -size, size), tensor.narrow(axis, 0, size)
        tensor = torch.cat([before, tensor, after], axis)
    result = work(tensor)
    for axis, size in margins.items():
        size = int(size * scale)
        length = result.shape[axis] - 2 * size
        inner, behind = result.narrow(axis, size, length), result.narrow(axis, size + length, size)
        shape = [1] * inner.ndim
        shape[axis] = size
        # 0 at the border, so that the beginning continues the end; 1 where the margin ends.
        share = (torch.arange(size, device=inner.device, dtype=inner.dtype) / size).view(shape)
        begun = behind + (inner.narrow(axis, 0, size) - behind) * share
        result = torch.cat([begun, inner.narrow(axis, size, length - size)], axis)
    return result


def _wrap(model: torch.nn.Module, axes: Axes) -> None:
    model.__dict__[_MARK] = axes
    # The VAE's encoder pads by itself, with a column and a row of zeros at the end.
    padded = {
        id(each.conv) for each in model.modules() if isinstance(each, Downsample2D) and not each.padding
    }
    for conv in model.modules():
        if not isinstance(conv, torch.nn.Conv2d):
            continue
        if id(conv) in padded:
            conv.__dict__[_PATCH] = _with_wrapped_end(conv, axes)
        elif any(conv.padding):
            conv.__dict__[_PATCH] = _with_wrapped_padding(conv, axes)


def _unwrap(model: torch.nn.Module) -> None:
    if model.__dict__.pop(_MARK, None) is not None:
        for each in model.modules():
            each.__dict__.pop(_PATCH, None)


def _with_wrapped_padding(conv: Any, axes: Axes) -> Callable[..., torch.Tensor]:
    # Called by `Conv2d.forward`, so that hooks that change weight or place of a layer go on working.
    high, wide = conv.padding
    x, y = wide if 3 in axes else 0, high if 2 in axes else 0
    left = high - y, wide - x

    def forward(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        around = functional.pad(input, (x, x, y, y), mode="circular")
        return functional.conv2d(around, weight, bias, conv.stride, left, conv.dilation, conv.groups)

    return forward


def _with_wrapped_end(conv: Any, axes: Axes) -> Callable[..., torch.Tensor]:
    def forward(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        for axis in axes:
            length = input.shape[axis]
            input = torch.cat([input.narrow(axis, 0, length - 1), input.narrow(axis, 0, 1)], axis)
        return functional.conv2d(input, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)

    return forward
