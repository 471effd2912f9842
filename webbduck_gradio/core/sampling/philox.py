"""The random numbers of NVIDIA's cards, computed on the CPU.

Philox 4x32-10 is a counter-based generator: a block of four 32-bit words is a function of a counter and a key
alone (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

Words = npt.NDArray[np.uint32]

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_WORD = 0xFFFFFFFF

_TWO_PI = float(np.float32(2 * math.pi))
"""As precise as CUDA's constant."""


def philox(counter: npt.NDArray[np.unsignedinteger], key: tuple[int, int]) -> Words:
    """The words of each counter.

    `counter` and the result: (4, number of counters), `key`: two words; a word has 32 bits.
    """
    first, second, third, fourth = counter.astype(np.uint64)
    low_word, shift = np.uint64(_WORD), np.uint64(32)
    for number in range(_ROUNDS):
        keys = [np.uint64((part + step * number) & _WORD) for part, step in zip(key, _KEY_STEPS, strict=True)]
        left, right = first * _MULTIPLIERS[0], third * _MULTIPLIERS[1]
        first, second = (right >> shift) ^ second ^ keys[0], right & low_word
        third, fourth = (left >> shift) ^ fourth ^ keys[1], left & low_word
    return np.stack([first, second, third, fourth]).astype(np.uint32)


def normal(first: Words, second: Words) -> npt.NDArray[np.float32]:
    """One normal number from each two words, by the transform of Box & Muller 1958 as in CUDA's cuRAND.

    Computed in float64 like AUTOMATIC1111's; a card computes in float32 and differs in the last digits.
    """
    uniform = (first + 0.5) / 2**32
    angle = (second + 0.5) * (_TWO_PI / 2**32)
    return (np.sqrt(-2 * np.log(uniform)) * np.sin(angle)).astype(np.float32)


class PhiloxGenerator:
    """Draws what `torch.randn` draws on an NVIDIA card from a generator with the same seed.

    This holds where the card has a thread for each element: on most cards up to at least 100,000 elements;
    SDXL's latents of 1024 x 1024 pixels have 65,536. It equals AUTOMATIC1111's "NV" at any size.
    """

    def __init__(self, seed: int) -> None:
        """`seed`: its lowest 64 bits count."""
        self._key = seed & _WORD, (seed >> 32) & _WORD
        self._calls = 0

    def randn(self, shape: Sequence[int]) -> torch.Tensor:
        """Normal numbers of unit variance, float32. Each call takes the next counter of every element."""
        count = math.prod(shape)
        counter = np.zeros((4, count), dtype=np.uint64)
        counter[0] = self._calls & _WORD
        counter[1] = self._calls >> 32
        counter[2] = np.arange(count)
        self._calls += 1
        words = philox(counter, self._key)
        return torch.from_numpy(normal(words[0], words[1])).reshape(tuple(shape))

    def position(self) -> torch.Tensor:
        """All that is needed to go on: the number of calls, as one int64."""
        return torch.tensor([self._calls], dtype=torch.int64)

    def seek(self, position: torch.Tensor) -> None:
        """Go on from a `position` of a generator with the same seed."""
        self._calls = int(position[0])
