"""A fitted estimator of scikit-learn's kind as a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax

from autotune.data.task import Rows
from autotune.learners.answers import as_one_hot, as_probabilities, as_values
from autotune.learners.features import Features
from autotune.learners.sklearn_steps import last_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions


@dataclass(frozen=True)
class SklearnModel:
    """A fitted estimator behind the form that it was given; pickled by value where its code is nobody's package.

    Attributes
    ----------
    features : Features
        What brings rows into the estimator's form.
    estimator : estimator
        As scikit-learn fits it; its classes are positions in `codes`.
    codes : ndarray or None, shape (n_present,)
        The class codes that its training rows held; None for regression.
    n_classes : int
        Number of classes; 0 for regression.
    """

    features: Features[Any]
    estimator: Any
    codes: NDArray[Any] | None
    n_classes: int

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        return answers(self.estimator, self.features.transform(rows).copy(), self.codes, self.n_classes)

    def __reduce__(self) -> tuple[Any, ...]:
        import cloudpickle

        parts = (self.features, self.estimator, self.codes, self.n_classes)
        return _unpickled, (cloudpickle.dumps(parts),)


def _unpickled(parts: bytes) -> SklearnModel:
    import cloudpickle

    return SklearnModel(*cloudpickle.loads(parts))


def answers(estimator: Any, X: Any, codes: NDArray[Any] | None, n_classes: int) -> Predictions:
    """Return what an estimator says of rows in its own form.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : ndarray or DataFrame
        The rows.
    codes : ndarray or None
        The class codes that its classes are positions in; None for regression.
    n_classes : int
        Number of classes of the task.

    Raises
    ------
    PlugInError
        When it answers with something else than values, probabilities or classes of its training rows.
    """
    n_rows, where = X.shape[0], f"model {type(last_step(estimator)[1]).__name__}"
    if codes is None:
        return as_values(estimator.predict(X), n_rows, where)
    aligned = np.zeros((n_rows, n_classes))
    aligned[:, codes] = _probabilities(estimator, X, len(codes), where)
    return aligned


def _probabilities(estimator: Any, X: Any, n_present: int, where: str) -> Predictions:
    n_rows = X.shape[0]
    if hasattr(estimator, "predict_proba"):
        shares = as_probabilities(estimator.predict_proba(X), n_rows, n_present, where)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))
    pairwise = getattr(last_step(estimator)[1], "decision_function_shape", None) == "ovo" and n_present > 2
    if hasattr(estimator, "decision_function") and not pairwise:
        decision = np.asarray(estimator.decision_function(X), dtype=np.float64)
        shares = (
            np.column_stack([expit(-decision), expit(decision)]) if decision.ndim == 1 else softmax(decision, axis=1)
        )
        return as_probabilities(shares, n_rows, n_present, where)
    return as_one_hot(estimator.predict(X), n_rows, n_present, where)
