"""Forests: bagged trees (random forest) and trees with random cuts (extra trees)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor

from autotune.data.task import ALL_TASKS, TaskKind
from autotune.learners.checks import check_parameters
from autotune.learners.encoded import EncodedModel, standardized
from autotune.learners.features import ordinal
from autotune.learners.protocol import Member, Model, Pace, Resources, Step, one_shot


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
        Trees while searching, and of the model that is kept: more trees are never worse, only slower.

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


class RandomForest:
    """Bagged trees; see `RandomForestParams`."""

    name: ClassVar[str] = "random_forest"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[RandomForestParams]] = RandomForestParams
    fidelity: ClassVar[None] = None

    def train(
        self, members: Sequence[Member], params: RandomForestParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Fit one member after the other."""
        return one_shot(_fit_random_forest, members, params, seed, resources)

    def pace(self, params: RandomForestParams) -> Pace | None:
        """Return None: it trains in one go."""
        return None


class ExtraTrees:
    """Trees with random cuts; see `ExtraTreesParams`."""

    name: ClassVar[str] = "extra_trees"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[ExtraTreesParams]] = ExtraTreesParams
    fidelity: ClassVar[None] = None

    def train(
        self, members: Sequence[Member], params: ExtraTreesParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Fit one member after the other."""
        return one_shot(_fit_extra_trees, members, params, seed, resources)

    def pace(self, params: ExtraTreesParams) -> Pace | None:
        """Return None: it trains in one go."""
        return None


def _check(learner: str, params: RandomForestParams | ExtraTreesParams) -> None:
    rules: dict[str, range | tuple[float, float] | str] = {
        "min_samples_split": range(2, 10**9),
        "min_samples_leaf": range(1, 10**9),
        "min_impurity_decrease": (0.0, 1e9),
        "n_estimators": range(1, 10**6),
        "n_estimators_at_refit": range(1, 10**6),
    }
    rules["max_features"] = "sqrt" if isinstance(params.max_features, str) else (1e-6, 1.0)
    check_parameters(learner, params, rules)


def _fit_random_forest(member: Member, params: RandomForestParams, seed: int, resources: Resources) -> Model:
    estimator_class = RandomForestClassifier if member.problem.is_classification else RandomForestRegressor
    options = {"bootstrap": True, "max_samples": float(params.max_samples)}
    return _fit(estimator_class, options, member, params, seed, resources)


def _fit_extra_trees(member: Member, params: ExtraTreesParams, seed: int, resources: Resources) -> Model:
    estimator_class = ExtraTreesClassifier if member.problem.is_classification else ExtraTreesRegressor
    return _fit(estimator_class, {"bootstrap": False}, member, params, seed, resources)


def _fit(
    estimator_class: type[Any],
    options: dict[str, Any],
    member: Member,
    params: RandomForestParams | ExtraTreesParams,
    seed: int,
    resources: Resources,
) -> Model:
    encoded = ordinal(member)
    n_classes = member.problem.n_classes
    weight = None if member.weight is None else member.weight / member.weight.mean()
    target, centre, scale = (member.y, 0.0, 1.0) if n_classes else standardized(member.y, weight)
    at_refit = member.validation is None
    estimator = estimator_class(
        n_estimators=params.n_estimators_at_refit if at_refit else params.n_estimators,
        max_features=params.max_features if params.max_features == "sqrt" else float(params.max_features),
        min_samples_split=params.min_samples_split,
        min_samples_leaf=params.min_samples_leaf,
        min_impurity_decrease=params.min_impurity_decrease,
        n_jobs=resources.threads,
        random_state=seed,
        **options,
    )
    estimator.fit(encoded.training, target, sample_weight=weight)
    return EncodedModel(encoded.remembering(), estimator, n_classes, centre, scale)
