"""Predictor: a fitted model that takes tables as people have them and gives answers as they were in the target."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.schema import encode
from autotune.data.tables import read_features
from autotune.data.task import Rows, Schema, TaskKind
from autotune.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Model, Predictions


FIRST_ROWS = 512
"""Rows that are predicted at first against a deadline; then as many as are foreseen to take about a second."""


@dataclass(frozen=True, slots=True)
class MeanOfModels:
    """Several models as one: the weighted mean of their predictions.

    Attributes
    ----------
    models : tuple of Model
        The models.
    weights : tuple of float
        How much each counts.
    """

    models: tuple[Model, ...]
    weights: tuple[float, ...]

    def predict(self, rows: Rows) -> Predictions:
        """Return the weighted mean of the models' predictions."""
        predictions = [model.predict(rows) for model in self.models]
        return np.asarray(np.average(predictions, axis=0, weights=self.weights), dtype=np.float64)


def predict_until(model: Model, rows: Rows, until: float) -> Predictions | None:
    """Predict rows, some at a time; None where it is not over by then.

    Parameters
    ----------
    model : Model
        What predicts.
    rows : Rows
        The rows.
    until : float
        On the clock of `time.time`; without end, all rows are predicted at once.
    """
    if until == math.inf or not len(rows):
        return model.predict(rows)
    parts, start, size = [], 0, FIRST_ROWS
    while start < len(rows):
        began = time.time()
        if began > until:
            return None
        parts.append(model.predict(rows.take(np.arange(start, min(start + size, len(rows)), dtype=np.intp))))
        start += size
        size = max(FIRST_ROWS, min(8 * size, int(size / max(1e-3, time.time() - began))))
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Predictor:
    """A fitted model with the schema of its table and the classes of its target.

    Attributes
    ----------
    model : Model
        What was trained.
    schema : Schema
        The columns that it reads.
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    classes : ndarray or None, shape (n_classes,)
        The classes as they came, in the order of the columns of `predict_proba`.
    target : str
        Name of the target column.
    """

    model: Model
    schema: Schema
    kind: TaskKind
    classes: NDArray[Any] | None
    target: str

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict classes as they were in the target, or values.

        Parameters
        ----------
        X : path, DataFrame or array-like of shape (n_rows, n_columns)
            The columns of the training table by name, in any order; extra columns are ignored.

        Returns
        -------
        ndarray, shape (n_rows,)

        Raises
        ------
        DataError
            When a column is missing, or holds something else than it did.
        """
        return self.answers(self.raw(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : path, DataFrame or array-like of shape (n_rows, n_columns)
            As for `predict`.

        Returns
        -------
        ndarray, shape (n_rows, n_classes)
            In the order of `classes`.

        Raises
        ------
        SettingsError
            When the task is a regression.
        DataError
            As `predict`.
        """
        if self.classes is None:
            raise SettingsError("a regression has no probabilities", "predict_proba", "predict")
        return self.raw(X)

    def raw(self, X: Any) -> Predictions:
        """Return what the model predicts: probabilities (n_rows, n_classes), or values (n_rows,)."""
        rows, _ = encode(self.schema, read_features(X), strict=True)
        if not len(rows):
            return np.empty(0 if self.classes is None else (0, len(self.classes)))
        return self.model.predict(rows)

    def answers(self, predictions: Predictions) -> NDArray[Any]:
        """Return what `raw` predicted as classes as they were in the target, or values."""
        return predictions if self.classes is None else self.classes[predictions.argmax(axis=1)]

    @property
    def feature_names(self) -> Sequence[str]:
        """Names of the columns that it needs."""
        return tuple(column.name for column in self.schema.columns)
