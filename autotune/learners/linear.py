"""Linear models: logistic regression, ridge and lasso, on scaled numbers and one-hot levels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy.linalg import LinAlgWarning
from scipy.sparse import issparse
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from autotune.data.task import ALL_TASKS, TaskKind
from autotune.learners.checks import check_parameters
from autotune.learners.encoded import EncodedModel, standardized
from autotune.learners.features import dense
from autotune.learners.logistic import MOST_COLUMNS as MOST_COLUMNS_OF_CLASSES
from autotune.learners.logistic import LogLoss, Start
from autotune.learners.protocol import Member, Model, Pace, Resources, Step, one_shot

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COLUMNS = 1000
"""Tables with fewer columns than this, and than rows, are compressed for least squares."""


@dataclass(frozen=True, slots=True)
class LinearParams:
    """Parameters of a linear model.

    Parameters
    ----------
    C : float
        How much the training rows count against the penalty, for every kind of task: training makes
        ``C · Σ loss + penalty`` small, where the loss is the log loss, or half the squared error on the target with
        mean 0 and variance 1, and the penalty is ``|w|₁`` or ``½|w|²``. So ridge has ``alpha = 1 / C`` and lasso
        ``alpha = 1 / (C · n_rows)``. Sample weights are scaled to a mean of 1.
    penalty : {"l2", "l1"}
        The norm of the penalty.
    class_weight : {"none", "balanced"}
        Whether all classes count alike, however rare; regression ignores it.

    Examples
    --------
    >>> LinearParams(penalty="l1")
    LinearParams(C=1.0, penalty='l1', class_weight='none')
    """

    C: float = 1.0
    penalty: Literal["l2", "l1"] = "l2"
    class_weight: Literal["none", "balanced"] = "none"

    def __post_init__(self) -> None:
        check_parameters("linear", self, {"C": (1e-10, 1e10), "penalty": "l2 l1", "class_weight": "none balanced"})


class Linear:
    """The learner; see `LinearParams` for what it takes."""

    name: ClassVar[str] = "linear"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[LinearParams]] = LinearParams
    fidelity: ClassVar[None] = None

    def train(
        self, members: Sequence[Member], params: LinearParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Fit one member after the other."""
        return one_shot(_fit, members, params, seed, resources)

    def pace(self, params: LinearParams) -> Pace | None:
        """Return None: it trains in one go."""
        return None


def _fit(member: Member, params: LinearParams, seed: int, resources: Resources) -> Model:
    with warnings.catch_warnings():
        # A solver that stops at its last iteration has a usable model; the score judges it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        return _fit_classes(member, params, seed) if member.problem.is_classification else _fit_values(member, params)


def _fit_classes(member: Member, params: LinearParams, seed: int) -> Model:
    encoded, weight = dense(member), _class_weight(member, params)
    matrix, classes = encoded.training.astype(np.float64), np.flatnonzero(np.bincount(member.y))
    is_small = matrix.shape[1] < min(len(member.y), MOST_COLUMNS_OF_CLASSES)
    if len(classes) == 2 and params.penalty == "l2" and is_small:
        estimator = _of_two_classes(member, matrix, classes, weight, params)
    else:
        estimator = _classifier(params, len(classes), seed).fit(matrix, member.y, sample_weight=weight)
    return EncodedModel(encoded.remembering(), estimator, member.problem.n_classes)


def _of_two_classes(
    member: Member, matrix: Any, classes: NDArray[Any], weight: NDArray[np.float64], params: LinearParams
) -> Any:
    """Return the classifier, found from where the searches of all trials begin."""
    loss, key = LogLoss(matrix, member.y == classes[1], weight), (__name__, "start", params.class_weight)
    if key not in member.cache:
        member.cache[key] = Start.of(loss)
    coefficients = member.cache[key].smallest(loss, 1.0 / params.C)
    estimator = _classifier(params, len(classes), seed=0)
    estimator.classes_, estimator.n_features_in_ = classes, matrix.shape[1]
    estimator.coef_, estimator.intercept_ = coefficients[None, :-1], coefficients[-1:]
    return estimator


def _fit_values(member: Member, params: LinearParams) -> Model:
    encoded, weight = dense(member), _even_weight(member)
    target, centre, scale = standardized(member.y, weight)
    n_rows, n_columns = encoded.training.shape
    if n_columns < min(n_rows, MOST_COLUMNS):
        estimator = _compressed(member, encoded.training, target, weight).fitted(params)
    else:
        estimator = _regressor(params, n_rows).fit(encoded.training.astype(np.float64), target, sample_weight=weight)
    return EncodedModel(encoded.remembering(), estimator, 0, centre, scale)


def _even_weight(member: Member) -> NDArray[np.float64] | None:
    return None if member.weight is None else member.weight / member.weight.mean()


def _class_weight(member: Member, params: LinearParams) -> NDArray[np.float64]:
    """Return weights with mean 1, and the same sum for each class where classes are to count alike."""
    even = _even_weight(member)
    weight = np.ones(len(member.y)) if even is None else even
    if params.class_weight == "balanced":
        of_class = np.bincount(member.y, weights=weight)[member.y]
        n_classes = len(np.unique(member.y[of_class > 0]))
        weight = np.divide(weight * len(weight) / n_classes, of_class, out=np.zeros_like(weight), where=of_class > 0)
    return weight


@dataclass(frozen=True, slots=True)
class Compressed:
    """A table of ``n_columns + 1`` rows with the least squares of a long one.

    Its columns and its target have the same inner products as the centred ones of the long table, so that the squared
    errors of all coefficients are the same: ridge and lasso of any penalty are fitted to it alone.

    Attributes
    ----------
    matrix : ndarray, shape (n_columns + 1, n_columns)
        Its columns.
    target : ndarray, shape (n_columns + 1,)
        Its target.
    centre : ndarray, shape (n_columns,)
        Means of the long table's columns; the mean of its target is 0.

    Examples
    --------
    >>> table = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 5.0], [6.0, 2.0]])
    >>> target = np.array([-2.0, -1.0, 0.0, 3.0])
    >>> estimator = Compressed.of(table, target, None).fitted(LinearParams(C=0.1))
    >>> np.allclose(estimator.coef_, Ridge(alpha=10.0).fit(table, target).coef_)
    True
    """

    matrix: NDArray[np.float64]
    target: NDArray[np.float64]
    centre: NDArray[np.float64]

    @classmethod
    def of(cls, matrix: Any, target: NDArray[np.float64], weight: NDArray[np.float64] | None) -> Compressed:
        """Compress a matrix, sparse or not, and a target with mean 0, under weights with mean 1."""
        weight = np.ones(len(target)) if weight is None else weight
        n_rows, n_columns = matrix.shape
        weighted = matrix.multiply(weight[:, None]).tocsr() if issparse(matrix) else matrix * weight[:, None]
        products = np.empty((n_columns + 1, n_columns + 1))
        inner = weighted.T @ matrix
        centre = np.asarray(weighted.sum(axis=0)).ravel() / n_rows
        products[:-1, :-1] = inner.toarray() if issparse(inner) else inner
        products[:-1, :-1] -= n_rows * np.outer(centre, centre)
        products[-1, :-1] = products[:-1, -1] = weighted.T @ target
        products[-1, -1] = weight @ target**2
        squares, directions = np.linalg.eigh(products)
        root = np.sqrt(np.maximum(squares, 0.0))[:, None] * directions.T
        return cls(np.asfortranarray(root[:, :-1]), root[:, -1].copy(), centre)

    def fitted(self, params: LinearParams) -> Any:
        """Return the regressor of these parameters, for rows of the long table."""
        estimator = _regressor(params, len(self.target), fit_intercept=False).fit(self.matrix, self.target)
        estimator.intercept_ = -float(self.centre @ estimator.coef_)
        return estimator


def _compressed(
    member: Member, matrix: Any, target: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> Compressed:
    """Return the compressed training rows, made once for all trials."""
    key = (__name__, "compressed")
    if key not in member.cache:
        member.cache[key] = Compressed.of(matrix.astype(np.float64), target, weight)
    compressed: Compressed = member.cache[key]
    return compressed


def _classifier(params: LinearParams, n_present: int, seed: int) -> Any:
    """Return the classifier with the solver that was fastest on 39,000 × 108 values: lbfgs, liblinear, saga."""
    if n_present == 1:
        return DummyClassifier(strategy="prior")
    for_l1 = ("liblinear", 100) if n_present == 2 else ("saga", 50)
    solver, max_iter = for_l1 if params.penalty == "l1" else ("lbfgs", 500)
    return LogisticRegression(
        C=params.C,
        solver=solver,
        max_iter=max_iter,
        tol=1e-4 if solver == "lbfgs" else 1e-3,
        random_state=seed,
        **_penalty_argument(params.penalty),
    )


def _penalty_argument(penalty: str) -> dict[str, Any]:
    if LogisticRegression().l1_ratio is None:  # before scikit-learn 1.8
        return {"penalty": penalty}
    return {"l1_ratio": 1.0 if penalty == "l1" else 0.0}


def _regressor(params: LinearParams, n_rows: int, *, fit_intercept: bool = True) -> Any:
    if params.penalty == "l2":
        return Ridge(alpha=1.0 / params.C, fit_intercept=fit_intercept)
    return Lasso(alpha=1.0 / (params.C * n_rows), fit_intercept=fit_intercept, random_state=0)
