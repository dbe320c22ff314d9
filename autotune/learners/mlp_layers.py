"""The layers of perceptrons that train side by side, one a fold, each with its own way forward and back.

What autograd would do a fold at a time is done here for all folds at once, with few calls: for small networks the calls
cost more than the arithmetic. Shapes: F folds, n rows, d units.

Activations are (F, n, d). Before a batch normalization they lie in memory by row, the folds of a row together, so that
the units of all folds are the channels of one call; else by fold, which matrix products like better.
"""

from __future__ import annotations

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

    Parameters
    ----------
    by_row : bool
        Whether it lies by row, the folds of a row together.
    dtype : torch.dtype, optional
        Of its values; that of what it is made like, if left out.

    Examples
    --------
    >>> room, x = Room(by_row=True), torch.zeros(5, 7, 3)
    >>> room.like(x, 2).shape, room.like(x, 2).data_ptr() == room.like(x, 2).data_ptr()
    (torch.Size([5, 7, 2]), True)
    """

    def __init__(self, by_row: bool, dtype: torch.dtype | None = None) -> None:
        self._by_row, self._dtype = by_row, dtype
        self._whole: Tensor | None = None
        self._parts: dict[torch.Size, Tensor] = {}

    def like(self, x: Tensor, width: int | None = None) -> Tensor:
        """Return room for (F, n, width), or for as much as (F, n, d); without gaps, as products want it."""
        shape = x.shape if width is None else torch.Size((*x.shape[:2], width))
        if shape not in self._parts:
            if self._whole is None or self._whole.numel() < shape.numel():
                self._whole = x.new_zeros(shape.numel(), dtype=self._dtype)  # MPS reads what `beta=0` leaves out
                self._parts.clear()
            self._parts[shape] = self.as_it_lies(self._whole[: shape.numel()], shape)
        return self._parts[shape]

    def as_it_lies(self, values: Tensor, shape: torch.Size) -> Tensor:
        """Return values in a row as (F, n, d), in the order in which this room lies."""
        n_folds, n, d = shape
        return values.view(n, n_folds, d).transpose(0, 1) if self._by_row else values.view(shape)


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
    The first layer of a network without embeddings has nothing to send its gradient to: ``is_first``. The values of an
    output of the last one lie together, which is faster where outputs are few: ``is_last``. What the layer before it
    leaves to be multiplied on the way back is in ``back_scale``: in a product it costs nothing.
    """

    weight: Tensor
    weight_gradient: Tensor
    bias: Tensor | None
    bias_gradient: Tensor | None
    out: Room
    dx: Room
    is_first: bool = False
    is_last: bool = False
    back_scale: float = 1.0
    _x: Tensor | None = None

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d_in) to (F, n, d_out)."""
        self._x = x
        if self.is_last and self.bias is not None:
            return torch.baddbmm(self.bias.unsqueeze(2), self.weight, x.mT).mT
        out = self.out.like(x, self.weight.shape[1])
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
        dx = self.dx.like(self._x)
        if self.back_scale == 1.0:
            return torch.bmm(gradient, self.weight, out=dx)
        return torch.baddbmm(dx, gradient, self.weight, beta=0, alpha=self.back_scale, out=dx)


def _of_bfloat16() -> Room:
    return Room(by_row=False, dtype=torch.bfloat16)


@dataclass(slots=True)
class RoundedLinear(Linear):
    """A linear layer between others that multiplies in bfloat16: factors and products are so rounded, all else is not.

    Its rooms of bfloat16 lie by fold whatever is around it: what is rounded is copied anyway.
    """

    _inputs: Room = field(default_factory=_of_bfloat16)
    _gradients: Room = field(default_factory=_of_bfloat16)
    _products: Room = field(default_factory=_of_bfloat16)
    _weights: Room = field(default_factory=_of_bfloat16)
    _weight_gradients: Room = field(default_factory=_of_bfloat16)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d_in) to (F, n, d_out)."""
        self._x = self._inputs.like(x).copy_(x)
        weight = self._weights.like(self.weight).copy_(self.weight)
        n_out = weight.shape[1]
        out = self.out.like(x, n_out).copy_(torch.bmm(self._x, weight.mT, out=self._products.like(x, n_out)))
        return out if self.bias is None else out.add_(self.bias.unsqueeze(1))

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d_out) to (F, n, d_in)."""
        assert self._x is not None
        rounded, weight = self._gradients.like(gradient).copy_(gradient), self._weights.like(self.weight)
        self.weight_gradient.copy_(torch.bmm(rounded.mT, self._x, out=self._weight_gradients.like(self.weight)))
        if self.bias_gradient is not None:
            torch.sum(gradient, dim=1, out=self.bias_gradient)
        products = torch.bmm(rounded, weight, out=self._products.like(self._x))
        dx = self.dx.like(gradient, weight.shape[2]).copy_(products)
        return dx if self.back_scale == 1.0 else dx.mul_(self.back_scale)


def multiplies_bfloat16_fast(device: torch.device) -> bool:
    """Return whether products of bfloat16 are several times as fast on a device: on a CPU with AMX.

    CUDA has them too; there small networks wait for calls, of which rounding makes more, and nothing was measured.
    """
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return device.type == "cpu" and bool(has_amx())


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
        y, mean, inverse = torch.native_layer_norm(x, x.shape[-1:], None, None, EPSILON)
        self._kept = (x, y, mean, inverse)
        return scaled_and_shifted(y, self.scale, self.shift)

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much."""
        x, y, mean, inverse = self._kept
        torch.sum(gradient, dim=1, out=self.shift_gradient)
        torch.sum(gradient * y, dim=1, out=self.scale_gradient)
        inner = gradient * self.scale.unsqueeze(1)
        dx, _, _ = _aten.native_layer_norm_backward(
            inner, x, x.shape[-1:], mean, inverse, None, None, [True, False, False]
        )
        return dx


def scaled_and_shifted(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return (F, n, d) times a scale (F, d) plus a shift (F, d)."""
    return torch.addcmul(shift.unsqueeze(1), x, scale.unsqueeze(1))


@dataclass(slots=True)
class Activation:
    """What follows a hidden layer, by its name in `ACTIVATIONS`; most put their output in place of their input."""

    name: str
    out: Room
    _kept: Tensor | None = None

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map (F, n, d) to as much."""
        function = ACTIVATIONS[self.name]
        out = function.forward(x, x if function.in_place else self.out.like(x))
        self._kept = out if function.in_place else x
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        """Map (F, n, d) to as much, in its own memory."""
        assert self._kept is not None
        return ACTIVATIONS[self.name].backward(gradient, self._kept)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of each value.

    Attributes
    ----------
    in_place : bool
        Whether its slope can be told from its output, which then stands where the input stood.
    forward : callable
        Of the input and of where the output is to stand.
    backward : callable
        Of the output's gradient, which becomes that of the input, and of the output if it is in place, else the input.
    """

    in_place: bool
    forward: Callable[[Tensor, Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


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


ACTIVATIONS: dict[str, Function] = {
    "relu": Function(
        True,
        lambda x, out: x.relu_(),
        lambda gradient, y: _aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient),
    ),
    "elu": Function(
        True,
        lambda x, out: _aten.elu_(x),
        lambda gradient, y: _aten.elu_backward.grad_input(gradient, 1, 1, 1, True, y, grad_input=gradient),
    ),
    "selu": Function(
        True,
        lambda x, out: _aten.elu_(x, *_SELU),
        lambda gradient, y: _aten.elu_backward.grad_input(gradient, *_SELU, 1, True, y, grad_input=gradient),
    ),
    "gelu": Function(
        False,
        lambda x, out: _aten.gelu.out(x, out=out),
        lambda gradient, x: _aten.gelu_backward.grad_input(gradient, x, grad_input=gradient),
    ),
    "silu": Function(
        False,
        lambda x, out: _aten.silu.out(x, out=out),
        lambda gradient, x: _aten.silu_backward.grad_input(gradient, x, grad_input=gradient),
    ),
    "mish": Function(False, _mish, _mish_backward),
}
