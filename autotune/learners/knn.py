"""Nearest neighbours: a row is what the training rows most like it are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.neighbors import NearestNeighbors

from autotune.data.task import ALL_TASKS, Rows, TaskKind
from autotune.learners.checks import check_parameters
from autotune.learners.features import Features, dense
from autotune.learners.protocol import Member, Model, Pace, Resources, Step, one_shot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions

MAX_LEVELS = 20
"""Levels of a column that neighbours are told apart by; each costs a column of every distance."""

ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class KNNParams:
    """Parameters of nearest neighbours.

    Parameters
    ----------
    n_neighbors : int
        How many neighbours vote; at most all training rows.
    weights : {"distance", "uniform"}
        Whether near neighbours count more, by the inverse of their distance.
    p : float
        Power of the distance: 1 adds differences, 2 is Euclid's. Others than 1 and 2 take a hundred times as long.
    scaler : {"standard", "quantile"}
        Numbers with unit variance, or their ranks mapped to a normal distribution.

    Examples
    --------
    >>> KNNParams(n_neighbors=5).weights
    'distance'
    """

    n_neighbors: int = 20
    weights: Literal["distance", "uniform"] = "distance"
    p: float = 2.0
    scaler: Literal["standard", "quantile"] = "standard"

    def __post_init__(self) -> None:
        check_parameters("knn", self, {"n_neighbors": range(1, 10**9), "p": (1.0, 100.0)})
        check_parameters("knn", self, {"weights": "distance uniform", "scaler": "standard quantile"})


class KNearestNeighbors:
    """The learner; see `KNNParams` for what it takes."""

    name: ClassVar[str] = "knn"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[KNNParams]] = KNNParams
    fidelity: ClassVar[None] = None

    def train(self, members: Sequence[Member], params: KNNParams, *, seed: int, resources: Resources) -> Iterator[Step]:
        """Fit one member after the other."""
        return one_shot(_fit, members, params, seed, resources)

    def pace(self, params: KNNParams) -> Pace | None:
        """Return None: it trains in one go."""
        return None


@dataclass(frozen=True, slots=True)
class KNNModel:
    """Training rows that vote; scikit-learn's own neighbours take no sample weights.

    Attributes
    ----------
    features : Features
        What brings rows into the space of the distances.
    neighbors : NearestNeighbors
        Finds the voters.
    y, weight : ndarray, shape (n_training_rows,)
        What they vote for, and how much they count.
    n_classes : int
        Number of classes; 0 for regression.
    by_distance : bool
        Whether near neighbours count more.
    """

    features: Features[Any]
    neighbors: NearestNeighbors
    y: NDArray[Any]
    weight: NDArray[np.float64]
    n_classes: int
    by_distance: bool

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        matrix = self.features.transform(rows)
        starts = range(0, max(len(matrix), 1), ROWS_AT_ONCE)
        return np.concatenate([self._vote(matrix[start : start + ROWS_AT_ONCE]) for start in starts])

    def _vote(self, matrix: NDArray[np.float32]) -> Predictions:
        distance, voter = self.neighbors.kneighbors(matrix)
        share = self.weight[voter] * (_closeness(distance) if self.by_distance else 1.0)
        share /= share.sum(axis=1, keepdims=True)
        choice = self.y[voter]
        if not self.n_classes:
            return np.asarray((share * choice).sum(axis=1), dtype=np.float64)
        return np.stack([(share * (choice == code)).sum(axis=1) for code in range(self.n_classes)], axis=1)


def _closeness(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return inverse distances; where some neighbours are equal to the row, only these count."""
    equal = distance == 0
    inverse = 1.0 / np.where(equal, 1.0, distance)
    return np.where(equal.any(axis=1, keepdims=True), equal, inverse).astype(np.float64)


def _fit(member: Member, params: KNNParams, seed: int, resources: Resources) -> Model:
    encoded = dense(member, scaler=params.scaler, max_levels=MAX_LEVELS, sparse=False)
    weight = np.ones(len(member.y)) if member.weight is None else member.weight
    counted = np.flatnonzero(weight > 0)
    neighbors = NearestNeighbors(
        n_neighbors=min(params.n_neighbors, len(counted)), p=params.p, n_jobs=resources.threads
    )
    neighbors.fit(encoded.training if len(counted) == len(weight) else encoded.training[counted])
    by_distance = params.weights == "distance"
    n_classes = member.problem.n_classes
    return KNNModel(encoded.remembering(), neighbors, member.y[counted], weight[counted], n_classes, by_distance)
