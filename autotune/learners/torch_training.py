"""The training of a network in PyTorch, whatever the network: tensors, target, loss, optimizer, epochs.

A network maps numbers (n, p) and codes (n, q) to outputs (n, n_outputs): a logit for each class, or one standardized
value. The order of rows is drawn from a generator of its own: the global state of torch stays as it is.
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
from autotune.learners.torch_optimizers import Optimizer
from autotune.learners.training_params import TrainingParams, count_batches, rate_factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from autotune.data.task import Problem, Rows
    from autotune.learners.protocol import Member, Predictions

ROWS_A_PREDICTION = 8192
"""Rows that are predicted at a time."""


class Training:
    """A network on its way through the epochs of one member.

    Parameters
    ----------
    network : nn.Module
        The network; it is moved to the device.
    member : Member
        Training rows, and validation rows that are predicted on demand.
    params : TrainingParams
        How it is trained.
    decaying : iterable of nn.Parameter
        The parameters that decay. Those that need no gradient are left alone anyway.
    draws : torch.Generator
        Draws the order of rows.
    device : str
        Where it trains.
    forward : callable, optional
        What a training step calls in place of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        member: Member,
        params: TrainingParams,
        *,
        decaying: Iterable[nn.Parameter],
        draws: torch.Generator,
        device: str,
        forward: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.network = network.to(device)
        self.forward = forward or network
        self.member = member
        self.params = params
        self.draws = draws
        self.target = Target.fit(member)
        self.losses = row_losses(member.problem, params)
        self.epochs_done = 0
        self.features, numbers, codes = training_tensors(member)
        chosen = {id(parameter) for parameter in decaying}
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = Optimizer(
            [parameter for parameter in trained if id(parameter) in chosen],
            [parameter for parameter in trained if id(parameter) not in chosen],
            params,
        )
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
        numbers, codes = validation_tensors(self.member, self.features)
        return self.target.decode(outputs_of(self.network.eval(), numbers, codes, self.data[0].device))

    def snapshot(self) -> nn.Module:
        """Copy the network as it is now; the copy lives on the CPU, in its eval state."""
        return copy.deepcopy(self.network).cpu().eval()

    def _step(self, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        numbers, codes, target, weight = batch
        self.network.zero_grad()
        loss = (self.losses(self.forward(numbers, codes), target) * weight).mean()
        loss.backward()
        if self.params.gradient_clip > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.gradient_clip)
        self.optimizer.step(self.params.learning_rate * rate_factor(self.params, progress))
        return loss.detach()


def outputs_of(network: nn.Module, numbers: Tensor, codes: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Return the outputs (n, n_outputs) of a network in its eval state, on its device."""
    parts = zip(numbers.split(ROWS_A_PREDICTION), codes.split(ROWS_A_PREDICTION), strict=True)
    with torch.no_grad():
        return torch.cat([network(numbers.to(device), codes.to(device)) for numbers, codes in parts])


@contextmanager
def at_most_threads(n_threads: int) -> Iterator[None]:
    """Let torch use so many threads inside, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(n_threads, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def denormals_as_zeros() -> Iterator[None]:
    """Let this thread's arithmetic take numbers below 1e-38 as zeros inside, and afterwards as before.

    A processor may take a hundred times as long for them, and the averages that an optimizer keeps for a unit that is
    dead go through them: the last epochs of 60 took up to 1.4 times as long as the first ones.
    """
    before = bool(torch.tensor(1e-310, dtype=torch.float64, device="cpu") * 0.5 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


# ---- tensors ----


def training_tensors(member: Member) -> tuple[NetworkFeatures, Tensor, Tensor]:
    """Return features fitted on the training rows, and these as numbers (n, p) and codes (n, q); kept in the cache."""
    key = (__name__, "training")
    if key not in member.cache:
        features = NetworkFeatures.fit(member.rows, member.problem.schema)
        member.cache[key] = (features, *as_tensors(features, member.rows))
    known: tuple[NetworkFeatures, Tensor, Tensor] = member.cache[key]
    return known


def validation_tensors(member: Member, features: NetworkFeatures) -> tuple[Tensor, Tensor]:
    """Return the validation rows as numbers (n, p) and codes (n, q); the cache keeps them with the rows they are of."""
    assert member.validation is not None, "predictions were asked for without validation rows"
    key = (__name__, "validation")
    if key not in member.cache or member.cache[key][0] is not member.validation:
        member.cache[key] = (member.validation, as_tensors(features, member.validation))
    known: tuple[Tensor, Tensor] = member.cache[key][1]
    return known


def as_tensors(features: NetworkFeatures, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return rows as numbers (n, p) and codes (n, q)."""
    numbers, codes = features.transform(rows)
    return torch.from_numpy(numbers), torch.from_numpy(codes)


# ---- target and loss ----


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


def row_losses(problem: Problem, params: TrainingParams) -> Callable[[Tensor, Tensor], Tensor]:
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


def row_weights(member: Member, params: TrainingParams) -> Tensor:
    """Return what each training row counts in the loss, (n,), 1 on average."""
    weight = np.ones(len(member.y)) if member.weight is None else np.asarray(member.weight, dtype=np.float64)
    if member.problem.is_classification and params.class_weight == "balanced":
        of_class = np.bincount(member.y, weight)
        weight = weight * np.divide(1.0, of_class, out=np.zeros(len(of_class)), where=of_class > 0)[member.y]
    return torch.from_numpy((weight / weight.mean()).astype(np.float32))
