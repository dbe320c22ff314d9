"""A scikit-learn estimator behind the features that it was trained on, as a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.task import Rows
from autotune.learners.features import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions


@dataclass(frozen=True, slots=True)
class EncodedModel:
    """A fitted scikit-learn estimator behind the features that it was trained on.

    Attributes
    ----------
    features : Features
        What brings rows into the estimator's form.
    estimator : estimator
        A fitted classifier with ``predict_proba``, or a regressor of ``(y - centre) / scale``.
    n_classes : int
        Number of classes; 0 for regression.
    """

    features: Features[Any]
    estimator: Any
    n_classes: int
    centre: float = 0.0
    scale: float = 1.0

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        matrix = self.features.transform(rows)
        if self.n_classes:
            return align_probabilities(self.estimator.predict_proba(matrix), self.estimator.classes_, self.n_classes)
        values: Predictions = self.centre + self.scale * np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        return values


def align_probabilities(probabilities: NDArray[Any], classes: NDArray[Any], n_classes: int) -> Predictions:
    """Return probabilities with a column for each class of the task, 0 for those that training rows lacked.

    Examples
    --------
    >>> align_probabilities(np.array([[0.3, 0.7]]), np.array([0, 2]), 3)
    array([[0.3, 0. , 0.7]])
    """
    aligned = np.zeros((len(probabilities), n_classes))
    aligned[:, np.asarray(classes, dtype=np.intp)] = probabilities
    return aligned


def standardized(y: NDArray[Any], weight: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], float, float]:
    """Return a regression target with mean 0 and variance 1, and the centre and scale that undo it."""
    centre = float(np.average(y, weights=weight))
    scale = float(np.sqrt(np.average((y - centre) ** 2, weights=weight))) or 1.0
    return (y - centre) / scale, centre, scale
