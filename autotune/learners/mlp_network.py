"""The multilayer perceptron in PyTorch, to be read from the layers at the top to its training and model at the end.

Every draw (weights, order of rows, dropout) comes from generators of its own: the global state of torch stays as it is.
Shapes: n rows, p numbers and q codes a row, d units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from autotune.learners.features import NetworkFeatures
from autotune.learners.mlp_params import MLPParams
from autotune.learners.torch_training import Target, Training, as_tensors, outputs_of, training_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotune.data.task import Rows
    from autotune.learners.protocol import Member, Predictions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "selu": F.selu,
}


# ---- layers ----


def drop(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Set a share of the values to 0 and scale the others up; without a generator, nothing.

    One drawn int64 serves four values: much cheaper than `torch.nn.Dropout` on a CPU.

    Examples
    --------
    >>> dropped = drop(torch.ones(10_000, 8), 0.25, torch.Generator().manual_seed(0))
    >>> dropped.unique().tolist()
    [0.0, 1.3333333730697632]
    >>> round(float((dropped == 0).float().mean()), 2)
    0.25
    """
    if generator is None or share == 0:
        return x
    bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(generator=generator)
    drawn = bits.view(torch.int16)[: x.numel()].view(x.shape).bitwise_and_(0x7FFF)  # the sign bit is not always drawn
    return x * (drawn >= round(share * 0x8000)).to(x.dtype).div_(1 - share)


class Dense(nn.Module):  # type: ignore[misc]  # torch's types are not followed
    """A linear layer whose weights are drawn with a given spread.

    Examples
    --------
    >>> Dense(3, 5, gain=1.0, generator=torch.Generator().manual_seed(0))(torch.zeros(2, 3)).shape
    torch.Size([2, 5])
    """

    def __init__(self, n_inputs: int, n_outputs: int, gain: float, generator: torch.Generator) -> None:
        super().__init__()
        spread = gain / math.sqrt(max(n_inputs, 1))
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs).normal_(0.0, spread, generator=generator))
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_inputs) to (n, n_outputs)."""
        return F.linear(x, self.weight, self.bias)


class Embeddings(nn.Module):  # type: ignore[misc]  # as above
    """A vector for each level of each category, of about unit length; all columns share one table.

    Code 0 starts as zeros, so that unknown levels mean nothing when training never sees one.

    Examples
    --------
    >>> embeddings = Embeddings((3, 4), size=2, generator=torch.Generator().manual_seed(0))
    >>> embeddings(torch.tensor([[0, 0], [2, 3]])).shape
    torch.Size([2, 4])
    """

    starts: Tensor

    def __init__(self, cardinalities: tuple[int, ...], size: int, generator: torch.Generator) -> None:
        super().__init__()
        starts = torch.tensor([sum(cardinalities[:column]) for column in range(len(cardinalities))], dtype=torch.int64)
        table = torch.empty(sum(cardinalities), size).normal_(0.0, 1 / math.sqrt(size), generator=generator)
        table[starts] = 0.0
        self.register_buffer("starts", starts)
        self.table = nn.Parameter(table)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (n, q) to (n, q · size)."""
        return F.embedding(codes + self.starts, self.table).flatten(1)


class Hidden(nn.Module):  # type: ignore[misc]  # as above
    """A hidden layer: linear, normalized, activated, dropped.

    Examples
    --------
    >>> from autotune.learners.mlp import MLPParams
    >>> hidden = Hidden(3, MLPParams(units=5, normalization="batch"), torch.Generator().manual_seed(0))
    >>> hidden(torch.zeros(2, 3), None).shape
    torch.Size([2, 5])
    """

    def __init__(self, n_inputs: int, params: MLPParams, generator: torch.Generator) -> None:
        super().__init__()
        gain = 1.0 if params.activation == "selu" else math.sqrt(2)  # variances are kept through the layers
        self.dense = Dense(n_inputs, params.units, gain, generator)
        self.normalize = _normalization(params)
        self.activation = params.activation
        self.dropout = params.dropout

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Map (n, n_inputs) to (n, d)."""
        activated = ACTIVATIONS[self.activation](self.normalize(self.dense(x)))
        return drop(activated, self.dropout, generator)


def _normalization(params: MLPParams) -> nn.Module:
    match params.normalization:
        case "batch":
            return nn.BatchNorm1d(params.units)
        case "layer":
            return nn.LayerNorm(params.units)
        case "none":
            return nn.Identity()


class Network(nn.Module):  # type: ignore[misc]  # as above
    """Numbers and embedded codes through hidden layers to the outputs.

    Examples
    --------
    >>> from autotune.learners.mlp import MLPParams
    >>> network = Network(3, (4, 2), 2, MLPParams(), torch.Generator().manual_seed(0))
    >>> network(torch.zeros(7, 3), torch.zeros(7, 2, dtype=torch.int64)).shape
    torch.Size([7, 2])
    """

    def __init__(
        self,
        n_numeric: int,
        cardinalities: tuple[int, ...],
        n_outputs: int,
        params: MLPParams,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(cardinalities, params.embedding_size, generator) if cardinalities else None
        widths = [n_numeric + len(cardinalities) * params.embedding_size, *[params.units] * params.layers]
        self.hidden = nn.ModuleList([Hidden(width, params, generator) for width in widths[:-1]])
        self.output = Dense(widths[-1], n_outputs, 0.1, generator)  # nearly nothing at first, so that no class is sure

    def forward(self, numbers: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Map numbers (n, p) and codes (n, q) to (n, n_outputs); a generator draws what is dropped."""
        x = numbers if self.embeddings is None else torch.cat([numbers, self.embeddings(codes)], dim=1)
        for layer in self.hidden:
            x = layer(x, generator)
        return self.output(x)


# ---- its training and its model ----


def begin_training(member: Member, params: MLPParams, *, seed: int, device: str) -> Training:
    """Make the network of one member, ready for its first epoch.

    Parameters
    ----------
    member : Member
        Training rows, and validation rows that are predicted on demand.
    params : MLPParams
        Network and training.
    seed : int
        Seed of weights, order of rows and dropout.
    device : str
        Where it trains.
    """
    draws = torch.Generator().manual_seed(seed % 2**63)
    drops = torch.Generator(device).manual_seed((seed + 2**32) % 2**63)
    features, _, _ = training_tensors(member)
    network = Network(features.n_numeric, features.cardinalities, member.problem.n_classes or 1, params, draws)
    return Training(
        network,
        member,
        params,
        decaying=[module.weight for module in network.modules() if isinstance(module, Dense)],
        draws=draws,
        device=device,
        forward=lambda numbers, codes: network(numbers, codes, drops),
    )


@dataclass(frozen=True, slots=True)
class MLPModel:
    """A trained network with what makes its inputs and reads its outputs; it predicts on the CPU."""

    features: NetworkFeatures
    network: Network
    target: Target

    @classmethod
    def of(cls, training: Training) -> MLPModel:
        """Return the model of a training as it stands."""
        return cls(training.features, training.snapshot(), training.target)

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        return self.target.decode(outputs_of(self.network, *as_tensors(self.features, rows)))
