"""Linear models: logistic regression, ridge and lasso, on scaled numbers and one-hot levels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from autotune.data.task import ALL_TASKS, TaskKind
from autotune.learners.checks import check_parameters
from autotune.learners.encoded import EncodedModel, standardized
from autotune.learners.features import dense
from autotune.learners.protocol import Member, Model, Pace, Resources, Step, one_shot

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    encoded = dense(member)
    n_classes = member.problem.n_classes
    weight = None if member.weight is None else member.weight / member.weight.mean()
    if n_classes:
        target, centre, scale = member.y, 0.0, 1.0
        estimator = _classifier(params, member.y, seed)
    else:
        target, centre, scale = standardized(member.y, weight)
        estimator = _regressor(params, len(target), encoded.training)
    with warnings.catch_warnings():
        # A solver that stops at its last iteration has a usable model; the score judges it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        estimator.fit(encoded.training.astype(np.float64), target, sample_weight=weight)
    return EncodedModel(encoded.remembering(), estimator, n_classes, centre, scale)


def _classifier(params: LinearParams, y: NDArray[Any], seed: int) -> Any:
    """Return the classifier with the solver that was fastest on 39,000 × 108 values: lbfgs, liblinear, saga."""
    n_present = len(np.unique(y))
    if n_present == 1:
        return DummyClassifier(strategy="prior")
    for_l1 = ("liblinear", 100) if n_present == 2 else ("saga", 50)
    solver, max_iter = for_l1 if params.penalty == "l1" else ("lbfgs", 500)
    return LogisticRegression(
        C=params.C,
        solver=solver,
        max_iter=max_iter,
        tol=1e-4 if solver == "lbfgs" else 1e-3,
        class_weight=None if params.class_weight == "none" else params.class_weight,
        random_state=seed,
        **_penalty_argument(params.penalty),
    )


def _penalty_argument(penalty: str) -> dict[str, Any]:
    if LogisticRegression().l1_ratio is None:  # before scikit-learn 1.8
        return {"penalty": penalty}
    return {"l1_ratio": 1.0 if penalty == "l1" else 0.0}


def _regressor(params: LinearParams, n_rows: int, matrix: Any) -> Any:
    if params.penalty == "l2":
        return Ridge(alpha=1.0 / params.C)
    # With few columns beside the rows the Gram matrix makes an iteration independent of their number.
    return Lasso(alpha=1.0 / (params.C * n_rows), precompute=n_rows > matrix.shape[1], random_state=0)
