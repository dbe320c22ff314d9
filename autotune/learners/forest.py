"""Forests: bagged trees (random forest) and trees with random cuts (extra trees), all folds in lockstep, tree by tree.

A forest grown by ``warm_start`` has the trees of one grown in one go. A member trains some trees ahead, since each call
checks and sorts out all rows anew, and is shown a tree at a time; its votes on the validation rows are kept up.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

from autotune.data.task import ALL_TASKS, TaskKind
from autotune.learners.checks import check_parameters
from autotune.learners.encoded import EncodedModel, align_probabilities, standardized
from autotune.learners.features import ordinal
from autotune.learners.protocol import Member, Pace, Resources, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions

FIRST_RUNG = 64.0
"""The earliest comparison before any trial has finished, in trees; the earliest of all comes at a quarter of it. Of 24
forests on each of six tables the best quarter at 16 trees held one within .0013 (AUC or R²) of the best at 50; the best
quarter at 8 trees missed that by .002 to .004 in three of twelve cases."""

TREES_AHEAD = 10
"""A member trains this many trees ahead, or as many as it has where that is more …"""

SECONDS_AHEAD = 0.2
"""… but no longer than this, so that a deadline is seen in time; the trees are the same either way."""


@dataclass(frozen=True, slots=True)
class RandomForestParams:
    """Parameters of a random forest, under scikit-learn's names.

    Parameters
    ----------
    max_features : float or "sqrt"
        Share of the features that a cut may choose from, or the square root of their number.
    max_samples : float
        Share of the rows that are drawn, with replacement, for each tree.
    min_samples_split, min_samples_leaf : int
        Rows that a node must have to be cut, and that each side must keep.
    min_impurity_decrease : float
        What a cut must bring: of the Gini impurity, or of the variance of the target, which is scaled to 1.
    n_estimators, n_estimators_at_refit : int
        Trees while searching, which is the horizon, and of the model that is kept: more trees are never worse, only
        slower.

    Examples
    --------
    >>> RandomForestParams(max_samples=0.5).n_estimators
    50
    """

    max_features: float | Literal["sqrt"] = 0.5
    max_samples: float = 1.0
    min_samples_split: int = 2
    min_samples_leaf: int = 1
    min_impurity_decrease: float = 0.0
    n_estimators: int = 50
    n_estimators_at_refit: int = 100

    def __post_init__(self) -> None:
        _check("random_forest", self)
        check_parameters("random_forest", self, {"max_samples": (1e-6, 1.0)})


@dataclass(frozen=True, slots=True)
class ExtraTreesParams:
    """Parameters of extra trees: those of `RandomForestParams`, but each tree sees all rows.

    Examples
    --------
    >>> ExtraTreesParams().max_features
    'sqrt'
    """

    max_features: float | Literal["sqrt"] = "sqrt"
    min_samples_split: int = 2
    min_samples_leaf: int = 1
    min_impurity_decrease: float = 0.0
    n_estimators: int = 50
    n_estimators_at_refit: int = 100

    def __post_init__(self) -> None:
        _check("extra_trees", self)


Params: TypeAlias = RandomForestParams | ExtraTreesParams


class RandomForest:
    """Bagged trees; see `RandomForestParams`."""

    name: ClassVar[str] = "random_forest"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[RandomForestParams]] = RandomForestParams
    fidelity: ClassVar[str] = "n_estimators"

    def train(
        self, members: Sequence[Member], params: RandomForestParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Grow all members a tree at a time, up to ``n_estimators``."""
        return _train(_random_forest, members, params, seed, resources)

    def pace(self, params: RandomForestParams) -> Pace:
        """Count trees; the last one is the best to stop at."""
        return _pace(params)


class ExtraTrees:
    """Trees with random cuts; see `ExtraTreesParams`."""

    name: ClassVar[str] = "extra_trees"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[ExtraTreesParams]] = ExtraTreesParams
    fidelity: ClassVar[str] = "n_estimators"

    def train(
        self, members: Sequence[Member], params: ExtraTreesParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Grow all members a tree at a time, up to ``n_estimators``."""
        return _train(_extra_trees, members, params, seed, resources)

    def pace(self, params: ExtraTreesParams) -> Pace:
        """Count trees; the last one is the best to stop at."""
        return _pace(params)


def _check(learner: str, params: Params) -> None:
    rules: dict[str, range | tuple[float, float] | str] = {
        "min_samples_split": range(2, 10**9),
        "min_samples_leaf": range(1, 10**9),
        "min_impurity_decrease": (0.0, 1e9),
        "n_estimators": range(1, 10**6),
        "n_estimators_at_refit": range(1, 10**6),
    }
    rules["max_features"] = "sqrt" if isinstance(params.max_features, str) else (1e-6, 1.0)
    check_parameters(learner, params, rules)


def _random_forest(params: RandomForestParams, *, classifies: bool) -> Any:
    estimator_class = RandomForestClassifier if classifies else RandomForestRegressor
    return estimator_class(bootstrap=True, max_samples=float(params.max_samples))


def _extra_trees(params: ExtraTreesParams, *, classifies: bool) -> Any:
    return (ExtraTreesClassifier if classifies else ExtraTreesRegressor)(bootstrap=False)


def _pace(params: Params) -> Pace:
    return Pace(worth=1.0, first_rung=FIRST_RUNG, patience=params.n_estimators, last=params.n_estimators)


def _train(
    make: Callable[..., Any], members: Sequence[Member], params: Params, seed: int, resources: Resources
) -> Iterator[Step]:
    growing = [
        _Growing(make(params, classifies=member.problem.is_classification), member, params, seed + index, resources)
        for index, member in enumerate(members)
    ]
    everyone, n_trees = tuple(range(len(members))), growing[0].n_trees
    for n_shown in range(1, n_trees + 1):
        for one in growing:
            one.grow(n_shown)
        number = n_shown * params.n_estimators // n_trees  # at the refit, what that share of all trees is worth
        yield Step(
            number, everyone, lambda: [one.predictions() for one in growing], lambda: [one.model() for one in growing]
        )


class _Growing:
    """A member's forest, trained some trees ahead of what is shown of it."""

    def __init__(self, estimator: Any, member: Member, params: Params, seed: int, resources: Resources) -> None:
        self.encoded, self.n_classes = ordinal(member), member.problem.n_classes
        self.weight = None if member.weight is None else member.weight / member.weight.mean()
        self.y, self.centre, self.scale = member.y, 0.0, 1.0
        if not self.n_classes:
            self.y, self.centre, self.scale = standardized(member.y, self.weight)
        self.n_trees = params.n_estimators if member.validation is not None else params.n_estimators_at_refit
        self.estimator = estimator.set_params(
            max_features=params.max_features if params.max_features == "sqrt" else float(params.max_features),
            min_samples_split=params.min_samples_split,
            min_samples_leaf=params.min_samples_leaf,
            min_impurity_decrease=params.min_impurity_decrease,
            n_jobs=resources.threads,
            random_state=seed,
            warm_start=True,
        )
        self.threads, self.seconds_a_tree = resources.threads, SECONDS_AHEAD  # a tree a thread first, to time them
        self.trained = self.shown = self.in_votes = 0
        self.votes: Any = 0.0

    def grow(self, n_shown: int) -> None:
        """Show so many of the trees, which are trained if need be."""
        self.shown = n_shown
        while self.trained < n_shown:
            self._train_ahead()

    def _train_ahead(self) -> None:
        most = max(self.threads, int(SECONDS_AHEAD / self.seconds_a_tree))
        size = min(max(TREES_AHEAD, self.trained), most, self.n_trees - self.trained)
        began = time.perf_counter()
        self.estimator.set_params(n_estimators=self.trained + size)
        self.estimator.fit(self.encoded.training, self.y, sample_weight=self.weight)
        self.seconds_a_tree = (time.perf_counter() - began) / size
        self.trained += size

    def predictions(self) -> Predictions:
        """Add the votes of the trees that are new since the last call, in the order in which the forest adds them."""
        assert self.encoded.validation is not None, "predictions were asked for without validation rows"
        _, matrix = self.encoded.validation
        for tree in self.estimator.estimators_[self.in_votes : self.shown]:
            vote = tree.predict_proba if self.n_classes else tree.predict
            self.votes = self.votes + vote(matrix, check_input=False)
        self.in_votes = self.shown
        mean: NDArray[np.float64] = self.votes / self.shown
        if self.n_classes:
            return align_probabilities(mean, self.estimator.classes_, self.n_classes)
        return self.centre + self.scale * mean

    def model(self) -> EncodedModel:
        """Return the forest of the trees that are shown."""
        shown = copy.copy(self.estimator).set_params(n_estimators=self.shown, warm_start=False)
        shown.estimators_ = self.estimator.estimators_[: self.shown]
        return EncodedModel(self.encoded.remembering(), shown, self.n_classes, self.centre, self.scale)
