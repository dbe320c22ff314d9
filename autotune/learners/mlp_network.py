"""The network and its training in PyTorch, to be read from the layers at the top to the model at the end.

Every draw (weights, order of rows, dropout) comes from generators of its own: the global state of torch stays as it is.
Shapes: n rows, p numbers and q codes a row, d units.
"""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from autotune.learners.encoded import standardized
from autotune.learners.features import NetworkFeatures
from autotune.learners.mlp_params import MLPParams, count_batches, rate_factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autotune.data.task import Problem, Rows
    from autotune.learners.protocol import Member, Predictions

ROWS_A_PREDICTION = 8192
"""Rows that are predicted at a time."""

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


# ---- what training needs: tensors, a target, a loss, an optimizer ----


def training_tensors(member: Member) -> tuple[NetworkFeatures, Tensor, Tensor]:
    """Return features fitted on the training rows, and these as numbers (n, p) and codes (n, q); kept in the cache."""
    key = ("mlp", "training")
    if key not in member.cache:
        features = NetworkFeatures.fit(member.rows, member.problem.schema)
        member.cache[key] = (features, *_tensors(features, member.rows))
    known: tuple[NetworkFeatures, Tensor, Tensor] = member.cache[key]
    return known


def validation_tensors(member: Member, features: NetworkFeatures) -> tuple[Tensor, Tensor]:
    """Return the validation rows as numbers (n, p) and codes (n, q); the cache keeps them with the rows they are of."""
    assert member.validation is not None, "predictions were asked for without validation rows"
    key = ("mlp", "validation")
    if key not in member.cache or member.cache[key][0] is not member.validation:
        member.cache[key] = (member.validation, _tensors(features, member.validation))
    known: tuple[Tensor, Tensor] = member.cache[key][1]
    return known


def _tensors(features: NetworkFeatures, rows: Rows) -> tuple[Tensor, Tensor]:
    numbers, codes = features.transform(rows)
    return torch.from_numpy(numbers), torch.from_numpy(codes)


@dataclass(frozen=True, slots=True)
class Target:
    """How outputs and answers meet: classes as they are, values standardized on the training rows."""

    n_classes: int
    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, member: Member) -> Target:
        """Fit on a member's training rows and their weights."""
        if member.problem.is_classification:
            return cls(member.problem.n_classes)
        _, centre, scale = standardized(member.y, member.weight)
        return cls(0, centre, scale)

    def encode(self, y: np.ndarray[Any, Any]) -> Tensor:
        """Return what the loss compares outputs with, (n,)."""
        if self.n_classes:
            return torch.from_numpy(np.asarray(y, dtype=np.int64))
        return torch.from_numpy(((y - self.centre) / self.scale).astype(np.float32))

    def decode(self, outputs: Tensor) -> Predictions:
        """Turn outputs (n, n_outputs) into probabilities (n, n_classes), or values (n,)."""
        exact = outputs.cpu().double()
        decoded = exact.softmax(dim=1) if self.n_classes else exact[:, 0] * self.scale + self.centre
        predictions: Predictions = decoded.numpy()
        return predictions


def row_losses(problem: Problem, params: MLPParams) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of each row, (n,), as a function of outputs (n, n_outputs) and targets (n,)."""
    if problem.is_classification:
        return lambda outputs, target: F.cross_entropy(
            outputs, target, reduction="none", label_smoothing=params.label_smoothing
        )
    match problem.loss if params.loss == "auto" else params.loss:
        case "absolute":
            return lambda outputs, target: (target - outputs[:, 0]).abs()
        case "huber":
            return lambda outputs, target: F.huber_loss(outputs[:, 0], target, reduction="none")
        case "quantile":
            high, low = problem.quantile, problem.quantile - 1
            return lambda outputs, target: torch.max(high * (target - outputs[:, 0]), low * (target - outputs[:, 0]))
    return lambda outputs, target: (target - outputs[:, 0]).square()


def row_weights(member: Member, params: MLPParams) -> Tensor:
    """Return what each training row counts in the loss, (n,), 1 on average."""
    weight = np.ones(len(member.y)) if member.weight is None else np.asarray(member.weight, dtype=np.float64)
    if member.problem.is_classification and params.class_weight == "balanced":
        of_class = np.bincount(member.y, weight)
        weight = weight * np.divide(1.0, of_class, out=np.zeros(len(of_class)), where=of_class > 0)[member.y]
    return torch.from_numpy((weight / weight.mean()).astype(np.float32))


def make_optimizer(network: Network, params: MLPParams, device: str) -> torch.optim.Optimizer:
    """Make the optimizer; only weight matrices decay. All but rmsprop take their steps in one fused program."""
    decay: list[list[nn.Parameter]] = [[], []]
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            decay[isinstance(module, Dense) and parameter is module.weight].append(parameter)
    groups = [{"params": decay[0], "weight_decay": 0.0}, {"params": decay[1], "weight_decay": params.weight_decay}]
    rate, fused = params.learning_rate, device == "cpu" or device.startswith("cuda")
    match params.optimizer:
        case "sgd":
            nesterov = params.nesterov and params.momentum > 0
            return torch.optim.SGD(groups, lr=rate, momentum=params.momentum, nesterov=nesterov, fused=fused)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, fused=fused)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=rate, momentum=params.momentum)
        case "adagrad":
            return torch.optim.Adagrad(groups, lr=rate, fused=device == "cpu")


# ---- training and the model ----


@contextmanager
def at_most_threads(n_threads: int) -> Iterator[None]:
    """Let torch use so many threads inside, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(n_threads, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Training:
    """One member on its way through the epochs.

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

    def __init__(self, member: Member, params: MLPParams, *, seed: int, device: str) -> None:
        self.member = member
        self.params = params
        self.target = Target.fit(member)
        self.losses = row_losses(member.problem, params)
        self.epochs_done = 0
        self.draws = torch.Generator().manual_seed(seed % 2**63)
        self.drops = torch.Generator(device).manual_seed((seed + 2**32) % 2**63)
        self.features, numbers, codes = training_tensors(member)
        n_outputs = self.target.n_classes or 1
        built = Network(self.features.n_numeric, self.features.cardinalities, n_outputs, params, self.draws)
        self.network = built.to(device)
        self.optimizer = make_optimizer(self.network, params, device)
        tensors = (numbers, codes, self.target.encode(member.y), row_weights(member, params))
        self.data = [tensor.to(device) for tensor in tensors]

    def run_epoch(self) -> None:
        """Go once through the training rows in a new order.

        Raises
        ------
        FloatingPointError
            When the loss is not finite.
        """
        n = len(self.data[0])
        n_batches = count_batches(n, self.params.batch_size)
        order = torch.randperm(n, generator=self.draws).to(self.data[0].device)
        batches = zip(*(tensor[order].tensor_split(n_batches) for tensor in self.data), strict=True)
        self.network.train(n > 1)
        total = torch.zeros((), device=self.data[0].device)
        for number, batch in enumerate(batches):
            total += self._step(batch, (self.epochs_done + (number + 0.5) / n_batches) / self.params.epochs)
        self.epochs_done += 1
        if not math.isfinite(float(total)):
            raise FloatingPointError(f"loss is not finite at epoch {self.epochs_done}")

    def predictions(self) -> Predictions:
        """Predict the validation rows."""
        self.network.eval()
        return self.target.decode(_outputs(self.network, *validation_tensors(self.member, self.features)))

    def model(self) -> MLPModel:
        """Copy the network as it is now; the copy lives on the CPU."""
        return MLPModel(self.features, copy.deepcopy(self.network).cpu().eval(), self.target)

    def _step(self, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        numbers, codes, target, weight = batch
        for group in self.optimizer.param_groups:
            group["lr"] = self.params.learning_rate * rate_factor(self.params, progress)
        self.optimizer.zero_grad()
        loss = (self.losses(self.network(numbers, codes, self.drops), target) * weight).mean()
        loss.backward()
        if self.params.gradient_clip > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.gradient_clip)
        self.optimizer.step()
        return loss.detach()


@dataclass(frozen=True, slots=True)
class MLPModel:
    """A trained network with what makes its inputs and reads its outputs; it predicts on the CPU."""

    features: NetworkFeatures
    network: Network
    target: Target

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        return self.target.decode(_outputs(self.network, *_tensors(self.features, rows)))


def _outputs(network: Network, numbers: Tensor, codes: Tensor) -> Tensor:
    """Return the outputs (n, n_outputs) of a network in its eval state."""
    device = network.output.bias.device
    parts = zip(numbers.split(ROWS_A_PREDICTION), codes.split(ROWS_A_PREDICTION), strict=True)
    with torch.inference_mode():
        return torch.cat([network(numbers.to(device), codes.to(device)) for numbers, codes in parts])
