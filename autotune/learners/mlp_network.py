"""Multilayer perceptrons side by side, one a fold: their parameters, the way through them and back, and their outputs.

Shapes: F folds, n rows, p numbers and q codes a row, d units. Folds may differ in their numbers and in the levels of
their categories: the narrower have columns of zeros, which no gradient and no decay ever moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from autotune.learners.mlp_dropout import Dropout, DroppedRelu, Strip
from autotune.learners.mlp_layers import (
    ACTIVATIONS,
    EPSILON,
    Activation,
    BatchNorm,
    Layer,
    LayerNorm,
    Linear,
    Room,
    RoundedLinear,
    multiplies_bfloat16_fast,
    scaled_and_shifted,
)
from autotune.learners.mlp_params import MLPParams

WIDE_ENOUGH_TO_ROUND = 128
"""Units from which on products of rounded factors are faster: there they also pay for the rounding."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the table of one fold asks of its network."""

    n_numeric: int
    cardinalities: tuple[int, ...]


class Block:
    """Parameters of all folds and their gradients, each in one tensor, so that a step is few calls.

    What `take` returns are views of both, each of them contiguous, as products of batches of matrices want it.

    Parameters
    ----------
    n_folds : int
        Folds.
    size : int
        How many numbers a fold has.
    like : Tensor
        Of the type and on the device that all are to have.
    """

    def __init__(self, n_folds: int, size: int, like: Tensor) -> None:
        self.values = like.new_zeros(n_folds * size)
        self.values.grad = torch.zeros_like(self.values)
        self.gradients: list[Tensor] = []
        self._n_folds, self._taken = n_folds, 0

    def take(self, *shape: int) -> tuple[Tensor, Tensor]:
        """Return room for parameters of this shape in each fold, and for their gradients: (F, *shape)."""
        place = slice(self._taken, self._taken + self._n_folds * math.prod(shape))
        self._taken = place.stop
        values, gradients = (part[place].view(self._n_folds, *shape) for part in (self.values, self.values.grad))
        self.gradients.append(gradients)
        return values, gradients


class Networks:
    """The networks of some folds in training.

    Parameters
    ----------
    shapes : sequence of Shape
        What each fold's table asks.
    n_outputs : int
        Outputs a row.
    params : MLPParams
        Layers.
    draws : sequence of torch.Generator
        Draw the first weights of each fold, on the CPU.
    drop : callable
        Draws what is dropped; see `random_bits`.
    like : Tensor
        Of the type and on the device that they are to have.
    single_rows : bool
        Whether each fold trains on one row.

    Attributes
    ----------
    decaying, others : Tensor
        All weight matrices, and all other parameters but the embeddings. Their ``grad`` is what `backward` sets.
    table : Tensor
        The embeddings (F, levels, size), those of all columns below one another.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        n_outputs: int,
        params: MLPParams,
        *,
        draws: Sequence[torch.Generator],
        drop: Callable[[Tensor], object],
        like: Tensor,
        single_rows: bool = False,
    ) -> None:
        self.params, self.shapes, n_folds = params, shapes, len(shapes)
        self.n_numeric = max(shape.n_numeric for shape in shapes)
        self.n_codes = len(shapes[0].cardinalities)
        size, d = params.embedding_size, params.units
        self.widths = [self.n_numeric + self.n_codes * size, *[d] * params.layers, n_outputs]
        n_other = n_outputs + {"none": 1, "batch": 2, "layer": 3}[params.normalization] * d * params.layers
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self._decaying = Block(n_folds, sum(n_in * n_out for n_in, n_out in pairs), like)
        self._others = Block(n_folds, n_other, like)
        self.decaying, self.others = self._decaying.values, self._others.values
        self.table = like.new_zeros(n_folds, max(sum(shape.cardinalities) for shape in shapes), size)
        self.table.grad = torch.zeros_like(self.table)
        # where each column's embeddings begin, in the tables of all folds taken as one
        starts = [
            [fold * self.table.shape[1] + start for start in _starts(shape.cardinalities)]
            for fold, shape in enumerate(shapes)
        ]
        self.starts = torch.tensor(starts, dtype=torch.int64, device=like.device)
        self._places: Tensor | None = None
        self.layers = list(self._made(drop, single_rows))
        self._draw(draws)

    def _made(self, drop: Callable[[Tensor], object], single_rows: bool) -> Iterator[Layer]:
        params, last = self.params, len(self.widths) - 2
        by_row, strip = params.normalization == "batch", Strip(params.dropout, drop)
        rounds = self._rounds()
        in_one, back = params.activation == "relu" and params.dropout > 0, (Room(by_row), Room(by_row))
        for place, (n_in, n_out) in enumerate(zip(self.widths[:-1], self.widths[1:], strict=True)):
            has_bias = place == last or params.normalization != "batch"
            weight, of_weight = self._decaying.take(n_out, n_in)
            bias, of_bias = self._others.take(n_out) if has_bias else (None, None)
            dx = back[place % 2] if place else Room(by_row)  # what the layer after it sent back may be read meanwhile
            left = strip.factor if in_one and place else 1.0
            parts = (weight, of_weight, bias, of_bias, Room(by_row), dx)
            if rounds and 0 < place < last and n_in >= WIDE_ENOUGH_TO_ROUND:
                yield RoundedLinear(*parts, back_scale=left)
            else:  # what is known of a row goes in as it is, and the answer comes out so
                is_first = place == 0 and not self.n_codes
                yield Linear(*parts, is_first=is_first, is_last=place == last, back_scale=left)
            if place == last:
                return
            if params.normalization != "none":
                (scale, of_scale), (shift, of_shift) = self._others.take(n_out), self._others.take(n_out)
                scale.fill_(1.0)
                of_norm = (scale, shift, of_scale, of_shift)
                if params.normalization == "layer":
                    yield LayerNorm(*of_norm)
                else:
                    yield BatchNorm(*of_norm, torch.zeros_like(scale), torch.ones_like(scale), frozen=single_rows)
            if in_one:
                yield DroppedRelu(strip, Room(by_row))
            else:
                yield Activation(params.activation, Room(by_row))
                if params.dropout > 0:
                    yield Dropout(strip, Room(by_row))

    def _rounds(self) -> bool:
        """Return whether wide layers multiply in bfloat16."""
        if self.params.precision == "auto":
            return self.decaying.dtype == torch.float32 and multiplies_bfloat16_fast(self.decaying.device)
        return self.params.precision == "bfloat16"

    def _draw(self, draws: Sequence[torch.Generator]) -> None:
        """Draw the weights and biases of each fold as if it were alone, as widely as ``torch.nn.Linear`` does.

        On eight tables and 100 epochs that ended with losses .1 to 4 % smaller than the spread of He et al. (2015),
        which keeps variances through layers of relu; self-normalization needs a spread of its own. Biases that begin as
        zeros let all kinks of relu meet in one point: losses were .5 % larger in the mean of nine tables.
        """
        gain = 1.0 if self.params.activation == "selu" else 1 / math.sqrt(3)
        linears = self._linears()
        for fold, (shape, generator) in enumerate(zip(self.shapes, draws, strict=True)):
            if self.n_codes:
                self._draw_table(fold, shape, generator)
            own = torch.ones(self.widths[0], dtype=torch.bool)
            own[shape.n_numeric : self.n_numeric] = False
            for linear in linears:
                n_out, n_in = linear.weight.shape[1], int(own.sum())
                drawn = torch.empty(n_out, n_in).normal_(0.0, gain / math.sqrt(max(n_in, 1)), generator=generator)
                linear.weight[fold][:, own.to(drawn.device)] = drawn.to(linear.weight)
                if linear.bias is not None:
                    bound = 1 / math.sqrt(max(n_in, 1))
                    linear.bias[fold] = torch.empty(n_out).uniform_(-bound, bound, generator=generator).to(linear.bias)
                own = torch.ones(n_out, dtype=torch.bool)

    def _draw_table(self, fold: int, shape: Shape, generator: torch.Generator) -> None:
        """Draw vectors of about unit length; code 0 starts as zeros: unknown levels mean nothing if none is trained."""
        size = self.params.embedding_size
        table = torch.empty(sum(shape.cardinalities), size).normal_(0.0, 1 / math.sqrt(size), generator=generator)
        table[list(_starts(shape.cardinalities))] = 0.0
        self.table[fold, : len(table)] = table.to(self.table)

    def _linears(self) -> list[Linear]:
        return [layer for layer in self.layers if isinstance(layer, Linear)]

    @property
    def gradients(self) -> list[Tensor]:
        """All gradients, (F, …) each."""
        of_table = [self.table.grad] if self.n_codes else []
        return [*self._decaying.gradients, *self._others.gradients, *of_table]

    @property
    def undecayed(self) -> list[Tensor]:
        """All parameters but the weight matrices."""
        return [self.others, self.table] if self.n_codes else [self.others]

    def room_for_inputs(self, n: int) -> tuple[Tensor, Tensor]:
        """Return zeros as numbers (F, n, p) and codes (F, n, q)."""
        numbers = self.decaying.new_zeros(len(self.shapes), n, self.n_numeric)
        return numbers, torch.zeros(len(self.shapes), n, self.n_codes, dtype=torch.int64, device=numbers.device)

    def forward(self, numbers: Tensor, codes: Tensor, sizes: Sequence[int]) -> Tensor:
        """Map numbers (F, n, p) and codes (F, n, q) to outputs (F, n, n_outputs), as a training step does."""
        x, self._places = with_embeddings(numbers, codes, self.starts, self.table)
        for layer in self.layers:
            x = layer.forward(x, sizes)
        return x

    def backward(self, gradient: Tensor) -> None:
        """Set all gradients, from that of the outputs."""
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        if self._places is not None:
            size = self.table.shape[2]
            of_codes = gradient[:, :, self.n_numeric :].reshape(-1, size)
            self.table.grad.zero_().view(-1, size).index_add_(0, self._places.flatten(), of_codes)

    def frozen(self) -> Perceptrons:
        """Return what predicts as these networks do now; only valid until their next step."""
        linears, norms = [], []
        for layer in self.layers:
            match layer:
                case Linear():
                    linears.append((layer.weight, layer.bias))
                case BatchNorm():
                    linears[-1] = _folded(linears[-1][0], layer)
                case LayerNorm():
                    norms.append((layer.scale, layer.shift))
        return Perceptrons(self.params.activation, self.table, self.starts, tuple(linears), tuple(norms))


def _starts(cardinalities: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(cardinalities[:column]) for column in range(len(cardinalities)))


def _folded(weight: Tensor, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Return weight and bias of one linear layer that does as one without bias and the normalization after it."""
    factor = norm.scale * torch.rsqrt(norm.variance + EPSILON)
    return weight * factor.unsqueeze(2), norm.shift - norm.mean * factor


def with_embeddings(numbers: Tensor, codes: Tensor, starts: Tensor, table: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return numbers (F, n, p) beside the embeddings of codes (F, n, q), and where in the tables these stand."""
    if not codes.shape[2]:
        return numbers, None
    places = codes + starts.unsqueeze(1)
    embedded = F.embedding(places, table.view(-1, table.shape[2]))
    return torch.cat([numbers, embedded.flatten(2)], dim=2), places


@dataclass(frozen=True, slots=True)
class Perceptrons:
    """Networks that only predict, side by side: no gradients, and batch normalization is part of the weights.

    Attributes
    ----------
    activation : str
        What follows the hidden layers.
    table : Tensor, shape (F, levels, size)
        The embeddings of all columns.
    starts : Tensor, shape (F, q)
        Where each column's begin, in the tables of all folds taken as one.
    linears : tuple of (Tensor, Tensor)
        The weights (F, d_out, d_in) and biases (F, d_out) of each layer.
    norms : tuple of (Tensor, Tensor)
        Scales and shifts (F, d) of layer normalizations; empty without these.
    """

    activation: str
    table: Tensor
    starts: Tensor
    linears: tuple[tuple[Tensor, Tensor], ...]
    norms: tuple[tuple[Tensor, Tensor], ...]

    def outputs(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Map numbers (F, n, p) and codes (F, n, q) to outputs (F, n, n_outputs)."""
        x, _ = with_embeddings(numbers, codes, self.starts, self.table)
        for place, (weight, bias) in enumerate(self.linears):
            if place:
                x = self._normalized(x, place - 1)
                function = ACTIVATIONS[self.activation]
                x = function.forward(x, x if function.in_place else torch.empty_like(x))
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
        return x

    def _normalized(self, x: Tensor, layer: int) -> Tensor:
        if not self.norms:
            return x
        return scaled_and_shifted(F.layer_norm(x, x.shape[2:], eps=EPSILON), *self.norms[layer])

    def alone(self, fold: int, shape: Shape, n_numeric: int) -> Perceptrons:
        """Copy one fold's network to the CPU, without the columns that it has only beside the other folds."""

        def own(tensor: Tensor) -> Tensor:
            return tensor[fold : fold + 1].to("cpu", copy=True)

        (weight, bias), *others = ((own(weight), own(bias)) for weight, bias in self.linears)
        weight = torch.cat([weight[:, :, : shape.n_numeric], weight[:, :, n_numeric:]], dim=2)
        return Perceptrons(
            self.activation,
            own(self.table)[:, : sum(shape.cardinalities)].clone(),
            torch.tensor([_starts(shape.cardinalities)], dtype=torch.int64),
            ((weight, bias), *others),
            tuple((own(scale), own(shift)) for scale, shift in self.norms),
        )
