"""The training of the folds of a trial as one program, and the model of one fold that comes out of it.

Each fold gets what it would get alone: its weights and batches, statistics of its own rows and a learning rate for its
own progress; only what is dropped is drawn for all at once. Folds that take as many steps an epoch with about as many
rows stand side by side in one program; where batches differ in size, the smaller are filled up with rows that weigh
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from autotune.learners.features import NetworkFeatures
from autotune.learners.mlp_dropout import random_bits
from autotune.learners.mlp_losses import gradient_of_loss
from autotune.learners.mlp_network import Networks, Perceptrons, Shape
from autotune.learners.torch_optimizers import Optimizer
from autotune.learners.torch_training import (
    ROWS_A_PREDICTION,
    Target,
    as_tensors,
    row_weights,
    training_tensors,
    validation_tensors,
)
from autotune.learners.training_params import count_batches, rate_factor

if TYPE_CHECKING:
    from autotune.data.task import Rows
    from autotune.learners.mlp_params import MLPParams
    from autotune.learners.protocol import Member, Predictions

T = TypeVar("T")

CELLS_TOGETHER = 2**22
"""Cells of all members' inputs and answers that are brought together at a time. That is a whole epoch of a small table:
rows that are looked up between steps come from slower memory, and what the steps need goes there meanwhile."""

ROWS_PREDICTED = 1024
"""Rows of each member that are predicted at a time."""

SPARE_ROWS = 1.1
"""How many times as many rows one of two folds side by side may have: what is filled up is computed in vain."""


class CohortTraining:
    """The networks of all members on their way through the epochs.

    Parameters
    ----------
    members : sequence of Member
        Training rows, and validation rows that are predicted on demand.
    params : MLPParams
        Networks and training.
    seed : int
        Seed of weights, order of rows and dropout; member ``i`` has ``seed + i``.
    device : str
        Where they train.
    dtype : torch.dtype
        Of parameters and activations.
    """

    def __init__(
        self,
        members: Sequence[Member],
        params: MLPParams,
        *,
        seed: int,
        device: str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.places = side_by_side([len(member.y) for member in members], params.batch_size)
        like = torch.empty(0, dtype=dtype, device=device)
        self.groups = [
            GroupTraining([members[place] for place in places], params, [seed + place for place in places], like)
            for places in self.places
        ]

    def run_epoch(self) -> None:
        """Go once through the training rows of each member in a new order.

        Raises
        ------
        FloatingPointError
            When an output is not finite, or its square.
        """
        for group in self.groups:
            group.run_epoch()

    def predictions(self) -> list[Predictions]:
        """Predict the validation rows of each member."""
        return self._in_order([group.predictions() for group in self.groups])

    def models(self) -> list[MLPModel]:
        """Return the model of each member as it stands."""
        return self._in_order([group.models() for group in self.groups])

    def _in_order(self, parts: Sequence[Sequence[T]]) -> list[T]:
        by_place = {
            place: each
            for places, part in zip(self.places, parts, strict=True)
            for place, each in zip(places, part, strict=True)
        }
        return [by_place[place] for place in range(len(by_place))]


def side_by_side(n_rows: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return which members can train in one program: as many batches an epoch, and about as many rows.

    Examples
    --------
    >>> side_by_side([8000, 8001, 4000, 8000], batch_size=256)
    [[2], [0, 3, 1]]
    """
    groups: list[list[int]] = []
    for place in sorted(range(len(n_rows)), key=lambda place: n_rows[place]):
        n = n_rows[place]
        first = n_rows[groups[-1][0]] if groups else 0
        if groups and count_batches(n, batch_size) == count_batches(first, batch_size) and n <= SPARE_ROWS * first:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


class GroupTraining:
    """The networks of members that take the same steps, as one program; see `CohortTraining`."""

    def __init__(self, members: Sequence[Member], params: MLPParams, seeds: Sequence[int], like: Tensor) -> None:
        self.members, self.params = members, params
        self.targets = [Target.fit(member) for member in members]
        self.gradient = gradient_of_loss(members[0].problem, params)
        self.epochs_done = 0
        self.draws = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
        fitted = [training_tensors(member) for member in members]
        self.features = [features for features, _, _ in fitted]
        self.shapes = [Shape(features.n_numeric, features.cardinalities) for features in self.features]
        self.networks = Networks(
            self.shapes,
            members[0].problem.n_classes or 1,
            params,
            draws=self.draws,
            drop=random_bits((seeds[0] + 2**32) % 2**63, like.device),
            like=like,
            single_rows=all(len(member.y) == 1 for member in members),
        )
        self.optimizer = Optimizer([self.networks.decaying], self.networks.undecayed, params)
        self.inputs = [(numbers.to(like), codes.to(like.device)) for _, numbers, codes in fitted]
        encoded = [
            target.encode(member.y).to(like.device) for target, member in zip(self.targets, members, strict=True)
        ]
        self.answers = [answers.to(like) if answers.is_floating_point() else answers for answers in encoded]
        self.weights = [row_weights(member, params).to(like) for member in members]
        self.batches = Batches([len(member.y) for member in members], params.batch_size, like)
        n_batches, n = self.batches.places.shape[1:]
        cells_a_batch = n * len(members) * (self.networks.n_numeric + self.networks.n_codes + self.networks.widths[-1])
        self.together = min(max(CELLS_TOGETHER // cells_a_batch, 1), n_batches)
        self.room = self.networks.room_for_inputs(max(self.together * n, ROWS_PREDICTED))

    def run_epoch(self) -> None:
        """Go once through each member's rows in a new order; FloatingPointError if an output overflows."""
        n_steps, size = len(self.batches.sizes), self.networks.decaying.new_zeros(())
        for step, (sizes, (numbers, codes, wanted, weights)) in enumerate(
            zip(self.batches.sizes, self._gathered(), strict=True)
        ):
            outputs = self.networks.forward(numbers, codes, sizes)
            size += torch.linalg.vector_norm(outputs)
            self.networks.backward(self.gradient.of(outputs, wanted, weights))
            self._clip()
            progress = (self.epochs_done + (step + 0.5) / n_steps) / self.params.epochs
            self.optimizer.step(self.params.learning_rate * rate_factor(self.params, progress))
        self.epochs_done += 1
        if not math.isfinite(float(size)):
            raise FloatingPointError(f"outputs are not finite at epoch {self.epochs_done}")

    def _gathered(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield each batch: numbers (F, n, p), codes (F, n, q), what is wanted (F, …, n) and weights (F, n)."""
        n = self.batches.places.shape[2]
        orders = [
            torch.randperm(len(member.y), generator=draws)
            for member, draws in zip(self.members, self.draws, strict=True)
        ]
        rows = [
            order.to(places.device)[places].split(self.together)
            for order, places in zip(orders, self.batches.places, strict=True)
        ]
        sizes = iter(self.batches.sizes)
        for shares, *some in zip(self.batches.shares.split(self.together, dim=1), *rows, strict=True):
            places = [own.flatten() for own in some]
            self._bring(places)
            answers = torch.stack([each[own] for each, own in zip(self.answers, places, strict=True)])
            weights = torch.stack([each[own] for each, own in zip(self.weights, places, strict=True)])
            weights *= shares.flatten(1)
            wanted = self.gradient.prepared(answers, weights)
            for start in range(0, len(places[0]), n):
                rows_of_batch = slice(start, start + max(next(sizes)))
                numbers, codes = (room[:, rows_of_batch] for room in self.room)
                yield numbers, codes, wanted[..., rows_of_batch], weights[:, rows_of_batch]

    def _bring(self, places: Sequence[Tensor]) -> None:
        """Copy these rows of each member to where there is room for them."""
        for whole_of_folds, room in zip(zip(*self.inputs, strict=True), self.room, strict=True):
            if not room.shape[2]:
                continue
            for own, whole, of_fold in zip(places, whole_of_folds, room, strict=True):
                part = of_fold[: len(own)]
                if whole.shape[1] == part.shape[1]:
                    torch.index_select(whole, 0, own, out=part)
                else:  # the columns that only other members have stay zeros
                    part[:, : whole.shape[1]] = whole.index_select(0, own)

    def _clip(self) -> None:
        """Shorten the gradient of each member that is longer than allowed."""
        if self.params.gradient_clip <= 0:
            return
        parts = self.networks.gradients
        norm = torch.stack([part.flatten(1).norm(dim=1) for part in parts]).norm(dim=0)
        factor = (self.params.gradient_clip / (norm + 1e-6)).clamp(max=1.0)
        for part in parts:
            part.mul_(factor.view(-1, *[1] * (part.ndim - 1)))

    def predictions(self) -> list[Predictions]:
        """Predict the validation rows of each member."""
        inputs = [
            validation_tensors(member, features) for member, features in zip(self.members, self.features, strict=True)
        ]
        outputs = torch.cat(list(self._outputs(inputs)), dim=1)
        return [
            target.decode(own[: len(numbers)])
            for target, own, (numbers, _) in zip(self.targets, outputs, inputs, strict=True)
        ]

    def _outputs(self, inputs: Sequence[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        """Yield the outputs (F, n, n_outputs) of some rows of each member at a time; of any where one has no more."""
        frozen = self.networks.frozen()
        longest = max(len(numbers) for numbers, _ in inputs)
        for start in range(0, longest, ROWS_PREDICTED):
            n = min(ROWS_PREDICTED, longest - start)
            for fold, own in enumerate(inputs):
                for whole, part in zip(own, self.room, strict=True):
                    rows = whole[start : start + n]
                    part[fold, : len(rows), : rows.shape[1]] = rows
            numbers, codes = self.room
            yield frozen.outputs(numbers[:, :n], codes[:, :n])

    def models(self) -> list[MLPModel]:
        """Return the model of each member as it stands."""
        frozen = self.networks.frozen()
        return [
            MLPModel(features, frozen.alone(fold, shape, self.networks.n_numeric), target)
            for fold, (features, shape, target) in enumerate(zip(self.features, self.shapes, self.targets, strict=True))
        ]


class Batches:
    """Where the rows of each batch stand in an epoch's order of rows.

    Attributes
    ----------
    sizes : list of tuple of int
        The rows of each member, for each batch.
    places : Tensor, shape (F, n_batches, n)
        Where they stand in the member's order; 0 for what fills up.
    shares : Tensor, shape (F, n_batches, n)
        What each of them is of its member's batch; 0 for what fills up.

    Examples
    --------
    >>> Batches([32, 33], 16, torch.empty(0)).sizes
    [(16, 17), (16, 16)]
    """

    def __init__(self, n_rows: Sequence[int], batch_size: int, like: Tensor) -> None:
        n_batches = count_batches(n_rows[0], batch_size)
        parts = [torch.arange(n).tensor_split(n_batches) for n in n_rows]
        self.sizes = list(zip(*([len(batch) for batch in own] for own in parts), strict=True))
        longest = max(map(max, self.sizes))
        places = torch.zeros(len(n_rows), n_batches, longest, dtype=torch.int64)
        shares = torch.zeros(len(n_rows), n_batches, longest, dtype=like.dtype)
        for fold, own in enumerate(parts):
            for step, batch in enumerate(own):
                places[fold, step, : len(batch)] = batch
                shares[fold, step, : len(batch)] = 1 / len(batch)
        self.places, self.shares = places.to(like.device), shares.to(like.device)


@dataclass(frozen=True, slots=True)
class MLPModel:
    """A trained network with what makes its inputs and reads its outputs; it predicts on the CPU."""

    features: NetworkFeatures
    network: Perceptrons
    target: Target

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        numbers, codes = as_tensors(self.features, rows)
        parts = zip(numbers.split(ROWS_A_PREDICTION), codes.split(ROWS_A_PREDICTION), strict=True)
        outputs = [self.network.outputs(numbers.unsqueeze(0), codes.unsqueeze(0))[0] for numbers, codes in parts]
        return self.target.decode(torch.cat(outputs))
