"""The layers of perceptrons that train side by side, one a fold, each with its own way forward and back.

What autograd would do a fold at a time is done here for all folds at once, with few calls: for small networks the calls
cost more than the arithmetic. Shapes: F folds, n rows, d units; activations are (F, n, d) and lie in memory by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

EPSILON, MOMENTUM = 1e-5, 0.1
"""Of both normalizations, and of the running statistics: those of torch's own layers."""

_aten: Any = torch.ops.aten


class Room:
    """Memory that is used again at each step: new memory costs as much as what is computed in it.

    Examples
    --------
    >>> room, x = Room(), torch.zeros(5, 7, 3)
    >>> room.like(x, 2).shape, room.like(x, 2).data_ptr() == room.like(x, 2).data_ptr()
    (torch.Size([5, 7, 2]), True)
    """

    def __init__(self) -> None:
        self._kept: Tensor | None = None

    def like(self, x: Tensor, width: int | None = None) -> Tensor:
        """Return room for (F, n, width), or for as much as (F, n, d), that lies by row, the folds of a row together."""
        n_folds, n, d = x.shape
        if self._kept is None or len(self._kept) < n:
            self._kept = x.new_empty(n, n_folds, d if width is None else width)
        return self._kept[:n].transpose(0, 1)


class Layer(Protocol):
    """A layer of all folds; what it needs on the way back it keeps on the way forward.

    ``sizes`` counts the rows of each fold: those after them are there to make the folds even. They weigh nothing, so no
    gradient comes from them, and none may.
    """

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, …) to (F, n, …) as a training step does."""

    def backward(self, gradient: Tensor) -> Tensor:
        """Set the gradients of the parameters, and map that of the output to that of the input."""


@dataclass(slots=True)
class Linear:
    """Weights (F, d_out, d_in) and biases (F, d_out), with room for their gradients.

    Before a batch normalization there is no bias: it would be taken out again, and moved by what rounding leaves of it.
    The first layer of a network without embeddings has nothing to send its gradient to: ``is_first``.
    """

    weight: Tensor
    weight_gradient: Tensor
    bias: Tensor | None
    bias_gradient: Tensor | None
    is_first: bool = False
    _x: Tensor | None = None
    _out: Room = field(default_factory=Room)
    _dx: Room = field(default_factory=Room)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d_in) to (F, n, d_out)."""
        self._x = x
        out = self._out.like(x, self.weight.shape[1])
        if self.bias is None:
            return torch.bmm(x, self.weight.mT, out=out)
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight.mT, out=out)

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d_out) to (F, n, d_in)."""
        assert self._x is not None
        torch.bmm(gradient.mT, self._x, out=self.weight_gradient)
        if self.bias_gradient is not None:
            torch.sum(gradient, dim=1, out=self.bias_gradient)
        if self.is_first:
            return gradient
        return torch.bmm(gradient, self.weight, out=self._dx.like(self._x))


@dataclass(slots=True)
class BatchNorm:
    """Normalization of each unit over the rows of a batch, a fold's rows by themselves; see `torch.nn.BatchNorm1d`.

    Parameters, gradients and running statistics are (F, d). A single row has no variance: ``frozen`` normalizes by the
    running statistics and leaves them as they are.
    """

    scale: Tensor
    shift: Tensor
    scale_gradient: Tensor
    shift_gradient: Tensor
    mean: Tensor
    variance: Tensor
    frozen: bool = False
    _kept: tuple[Any, ...] = ()
    _out: Room = field(default_factory=Room)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much."""
        if min(sizes) == x.shape[1]:  # the units of all folds are the channels of one call
            y, statistics = self._normalized(x, slice(None))
            self._kept = (x, sizes, [statistics])
            return y
        y, kept = torch.zeros_like(x), []
        for fold, size in enumerate(sizes):
            own, statistics = self._normalized(x[fold : fold + 1, :size], slice(fold, fold + 1))
            y[fold, :size] = own[0]
            kept.append(statistics)
        self._kept = (x, sizes, kept)
        return y

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much."""
        x, sizes, kept = self._kept
        if len(kept) == 1 and min(sizes) == x.shape[1]:
            return self._gradient(gradient, x, slice(None), kept[0])
        dx = torch.zeros_like(gradient)
        for fold, size in enumerate(sizes):
            place = slice(fold, fold + 1)
            dx[fold, :size] = self._gradient(gradient[place, :size], x[place, :size], place, kept[fold])[0]
        return dx

    def _normalized(self, x: Tensor, folds: slice) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, mean, inverse = torch.native_batch_norm(
            _as_channels(x),
            self.scale[folds].flatten(),
            self.shift[folds].flatten(),
            self.mean[folds].view(-1),
            self.variance[folds].view(-1),
            not self.frozen,
            MOMENTUM,
            EPSILON,
        )
        return _as_folds(y, x), (mean, inverse)

    def _gradient(self, gradient: Tensor, x: Tensor, folds: slice, statistics: tuple[Tensor, Tensor]) -> Tensor:
        dx, scale, shift = _aten.native_batch_norm_backward(
            _as_channels(gradient),
            _as_channels(x),
            self.scale[folds].flatten(),
            self.mean[folds].view(-1),
            self.variance[folds].view(-1),
            *statistics,
            not self.frozen,
            EPSILON,
            [True, True, True],
        )
        self.scale_gradient[folds] = scale.view(-1, x.shape[2])
        self.shift_gradient[folds] = shift.view(-1, x.shape[2])
        return _as_folds(dx, x)


def _as_channels(x: Tensor) -> Tensor:
    return x.transpose(0, 1).reshape(x.shape[1], -1)


def _as_folds(y: Tensor, x: Tensor) -> Tensor:
    return y.view(x.shape[1], x.shape[0], x.shape[2]).transpose(0, 1)


@dataclass(slots=True)
class LayerNorm:
    """Normalization of each row over its units; see `torch.nn.LayerNorm`. Parameters and gradients are (F, d)."""

    scale: Tensor
    shift: Tensor
    scale_gradient: Tensor
    shift_gradient: Tensor
    _kept: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much."""
        rows = x.transpose(0, 1)  # as they lie in memory
        y, mean, inverse = torch.native_layer_norm(rows, rows.shape[-1:], None, None, EPSILON)
        self._kept = (rows, y, mean, inverse)
        return scaled_and_shifted(y.transpose(0, 1), self.scale, self.shift)

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much."""
        rows, y, mean, inverse = self._kept
        torch.sum(gradient, dim=1, out=self.shift_gradient)
        torch.sum(gradient * y.transpose(0, 1), dim=1, out=self.scale_gradient)
        inner = (gradient * self.scale.unsqueeze(1)).transpose(0, 1)
        dx, _, _ = _aten.native_layer_norm_backward(
            inner, rows, rows.shape[-1:], mean, inverse, None, None, [True, False, False]
        )
        return dx.transpose(0, 1)


def scaled_and_shifted(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return (F, n, d) times a scale (F, d) plus a shift (F, d)."""
    return torch.addcmul(shift.unsqueeze(1), x, scale.unsqueeze(1))


@dataclass(slots=True)
class Activation:
    """What follows a hidden layer, by its name in `ACTIVATIONS`."""

    name: str
    _x: Tensor | None = None
    _out: Room = field(default_factory=Room)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much."""
        self._x = x
        out = x if self.name == "relu" else self._out.like(x)  # whose gradient can be told from its output
        return ACTIVATIONS[self.name](x, out)

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much, in its own memory."""
        assert self._x is not None
        return _BACKWARD[self.name](gradient, self._x)


_SELU = (1.6732632423543772, 1.0507009873554805)  # alpha and scale


def _mish(x: Tensor, out: Tensor) -> Tensor:
    """Compute x · tanh(softplus(x)) by one exponential: much cheaper than torch's own on a CPU."""
    e = torch.clamp(x, max=20.0, out=out).exp_()  # above 20 the tanh is 1
    part = e.mul_(e + 2)
    return part.div_(part + 2).mul_(x)


def _mish_backward(gradient: Tensor, x: Tensor) -> Tensor:
    # with e = exp(x): the tanh of softplus is t = (e² + 2e) / (e² + 2e + 2), and its slope (1 - t²) · e / (1 + e)
    e = x.clamp(max=20.0).exp_()
    tanh = e * (e + 2)
    tanh.div_(tanh + 2)
    slope = e.div_(e + 1).mul_(1 - tanh.square())
    return gradient.mul_(slope.mul_(x).add_(tanh))


ACTIVATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda x, out: _aten.relu.out(x, out=out),
    "elu": lambda x, out: _aten.elu.out(x, out=out),
    "gelu": lambda x, out: _aten.gelu.out(x, out=out),
    "silu": lambda x, out: _aten.silu.out(x, out=out),
    "mish": _mish,
    "selu": lambda x, out: _aten.elu.out(x, *_SELU, out=out),
}
"""Each as a function of its input and of where its output is to stand."""

_BACKWARD: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda gradient, x: _aten.threshold_backward.grad_input(gradient, x, 0, grad_input=gradient),
    "elu": lambda gradient, x: _aten.elu_backward.grad_input(gradient, 1, 1, 1, False, x, grad_input=gradient),
    "gelu": lambda gradient, x: _aten.gelu_backward.grad_input(gradient, x, grad_input=gradient),
    "silu": lambda gradient, x: _aten.silu_backward.grad_input(gradient, x, grad_input=gradient),
    "mish": _mish_backward,
    "selu": lambda gradient, x: _aten.elu_backward.grad_input(gradient, *_SELU, 1, False, x, grad_input=gradient),
}


@dataclass(slots=True)
class Dropout:
    """Sets a share of the values to 0 and scales the others up; each fold draws from a generator of its own.

    One drawn int64 serves four values: much cheaper than `torch.nn.Dropout` on a CPU.

    Examples
    --------
    >>> dropout = Dropout(0.25, [torch.Generator().manual_seed(0)])
    >>> dropped = dropout.forward(torch.ones(1, 10_000, 8), [10_000])
    >>> dropped.unique().tolist()
    [0.0, 1.3333333730697632]
    >>> round(float((dropped == 0).float().mean()), 2)
    0.25
    """

    share: float
    generators: Sequence[torch.Generator]
    _mask: Tensor | None = None
    _bits: Tensor | None = None
    _masks: Room = field(default_factory=Room)
    _out: Room = field(default_factory=Room)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much."""
        n_folds, n, width = x.shape
        if self._bits is None or self._bits.shape[1] < math.ceil(n * width / 4):
            self._bits = torch.empty(n_folds, math.ceil(n * width / 4), dtype=torch.int64, device=x.device)
        for own, size, generator in zip(self._bits, sizes, self.generators, strict=True):
            own[: math.ceil(size * width / 4)].random_(generator=generator)
        drawn = self._bits.view(torch.int16)[:, : n * width].bitwise_and_(0x7FFF)  # the sign bit is not always drawn
        self._mask = self._masks.like(x)  # of floats: multiplying by a bool is slow
        torch.ge(drawn.view(n_folds, n, width), round(self.share * 0x8000), out=self._mask)
        return torch.mul(x, self._mask.mul_(1 / (1 - self.share)), out=self._out.like(x))

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much, in its own memory."""
        assert self._mask is not None
        return gradient.mul_(self._mask)
