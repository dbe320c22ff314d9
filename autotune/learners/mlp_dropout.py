"""Dropout for the folds of a trial side by side, at a small part of what a random number a value would cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autotune.learners.mlp_layers import ACTIVATIONS, Room

STRIP, STRETCHES = 2, 16
"""How many times as many factors as a layer's step of dropout needs are drawn at once, and how often some are taken."""

GOLDEN_RATIO = 0.618033988749895
"""Its multiples, without what is before the point, are spread evenly, and none comes twice."""


def random_bits(seed: int, device: torch.device) -> Callable[[Tensor], object]:
    """Return what fills a tensor of int64. NumPy's generator is twice as fast as torch's, where it can reach."""
    if device.type == "cuda":
        generator = torch.Generator(device).manual_seed(seed)
        return lambda out: out.random_(-(2**63), None, generator=generator)
    raw = np.random.SFC64(seed).random_raw
    return lambda out: out.copy_(torch.from_numpy(raw(out.numel()).view(np.int64)))


class Strip:
    """The factors of dropout: 0 for a share of them, and what keeps the mean for the others.

    A random number for each value would take a seventh of the time of a narrow network. So the factors of some steps
    are drawn at once, as a strip that is a few times as long as a step's, and each step of each layer has a stretch of
    it that begins elsewhere: what is dropped together in one step is not in the next.

    Parameters
    ----------
    share : float
        How many are 0.
    fill : callable
        Draws the bits; see `random_bits`.

    Attributes
    ----------
    factor : float
        The factor that is not 0.

    Examples
    --------
    >>> strip = Strip(0.25, random_bits(0, torch.device("cpu")))
    >>> factors = strip.take(80_000, torch.empty(0))
    >>> factors.unique().tolist(), round(float((factors == 0).float().mean()), 2)
    ([0.0, 1.3333333730697632], 0.25)
    """

    def __init__(self, share: float, fill: Callable[[Tensor], object]) -> None:
        self._n_dropped, self._fill = round(2**16 * share), fill
        self.factor = 2**16 / (2**16 - self._n_dropped)
        self._factors, self._n_taken = torch.empty(0), 0

    def take(self, n: int, like: Tensor) -> Tensor:
        """Return n factors in a row, of the type and on the device of another tensor."""
        if self._n_taken % STRETCHES == 0 or len(self._factors) < STRIP * n:
            self._factors = self._drawn(STRIP * n, like)
        start = int(self._n_taken * GOLDEN_RATIO % 1 * (len(self._factors) - n))
        self._n_taken += 1
        return self._factors[start : start + n]

    def _drawn(self, n: int, like: Tensor) -> Tensor:
        bits = torch.empty(math.ceil(n / 4), dtype=torch.int64, device=like.device)
        self._fill(bits)
        # new memory: layers may still need stretches of the strip before for their way back
        kept = torch.ge(bits.view(torch.int16)[:n], self._n_dropped - 2**15, out=like.new_empty(n))
        return kept.mul_(self.factor)


@dataclass(slots=True)
class Dropout:
    """Sets a share of the values to 0 and scales the others up; all layers of a network have one strip of factors.

    Examples
    --------
    >>> dropout = Dropout(Strip(0.5, random_bits(0, torch.device("cpu"))), Room(by_row=False))
    >>> dropout.forward(torch.ones(1, 10_000, 8), [10_000]).unique().tolist()
    [0.0, 2.0]
    """

    strip: Strip
    out: Room
    _factors: Tensor | None = None

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much."""
        self._factors = self.out.as_it_lies(self.strip.take(x.numel(), x), x.shape)
        return torch.mul(x, self._factors, out=self.out.like(x))

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much, in its own memory."""
        assert self._factors is not None
        return gradient.mul_(self._factors)


@dataclass(slots=True)
class DroppedRelu:
    """A relu and dropout after it, in place: what is left says where both let the gradient through.

    On the way back the factor itself is left out: `Linear.back_scale` of the layer after it is to have it.

    Examples
    --------
    >>> layer = DroppedRelu(Strip(0.5, random_bits(0, torch.device("cpu"))), Room(by_row=False))
    >>> values = torch.ones(1, 10_000, 8)
    >>> layer.forward(values, [10_000]).unique().tolist(), layer.backward(torch.ones_like(values)).unique().tolist()
    ([0.0, 2.0], [0.0, 1.0])
    """

    strip: Strip
    lies: Room
    _kept: Tensor | None = None

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much, in its own memory."""
        self._kept = x.relu_().mul_(self.lies.as_it_lies(self.strip.take(x.numel(), x), x.shape))
        return self._kept

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much, in its own memory, but for the factor."""
        assert self._kept is not None
        return ACTIVATIONS["relu"].backward(gradient, self._kept)
