"""Any estimator or pipeline of scikit-learn's kind as a learner."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.dummy import DummyClassifier

from autotune.data.task import ALL_TASKS, CLASSIFICATION, Problem, TaskKind
from autotune.errors import SettingsError
from autotune.learners.protocol import Member, Model, Pace, Resources, Step, one_shot
from autotune.learners.sklearn_columns import check_columns, lost_columns
from autotune.learners.sklearn_features import form_of, prepared, tags_of
from autotune.learners.sklearn_model import SklearnModel, answers
from autotune.learners.sklearn_params import (
    SklearnParams,
    check_class_weights,
    check_values,
    has_parameters,
    misspelled,
    named_parameters,
    open_to_any,
    order_notes,
    readied,
)
from autotune.learners.sklearn_steps import (
    FIRST_EPOCHS,
    FIRST_RUNG,
    Stepping,
    advance,
    last_step,
    stepping_of,
    takes,
    without_convergence_warnings,
)
from autotune.registry import unknown_name

if TYPE_CHECKING:
    from autotune.learners.protocol import Predictions


@dataclass(frozen=True, slots=True, eq=False)
class SklearnLearner:
    """A learner that trains clones of an estimator.

    An estimator that grows by ``warm_start`` or does epochs by ``partial_fit`` trains in steps, all folds together; any
    other one in one go, fold by fold. In a pipeline the last step is stepped, and what comes before it is fitted once a
    trial and fold. Classes are given as codes 0 … n - 1, values of a regression as they are.

    Parameters
    ----------
    name : str
        What it is called in spaces and reports.
    estimator : estimator
        With ``fit`` and ``predict``; parameters that a space does not name keep their values.

    Attributes
    ----------
    tasks : frozenset of str
        Classification or regression, as the estimator says; all, if it says nothing.
    parameter_names : collection of str or None
        All that can be set; None where one of its parts takes any keyword, or nothing can be set.
    fidelity : str or None
        The parameter that counts its steps.

    Examples
    --------
    >>> from sklearn.ensemble import GradientBoostingRegressor
    >>> learner = SklearnLearner("boosting", GradientBoostingRegressor())
    >>> learner.tasks, learner.fidelity
    (frozenset({'regression'}), 'n_estimators')
    """

    name: str
    estimator: Any
    tasks: frozenset[TaskKind] = field(init=False)
    parameter_names: Collection[str] | None = field(init=False, repr=False)
    fidelity: str | None = field(init=False)

    def __post_init__(self) -> None:
        if not _predicts(self.estimator):
            kind = type(self.estimator).__name__
            raise SettingsError(f"model {kind} has no predict", "model", "a classifier or a regressor")
        tags = tags_of(self.estimator)
        if tags is not None and tags.estimator_type not in (None, "classifier", "regressor"):
            what = f"{type(last_step(self.estimator)[1]).__name__} ({tags.estimator_type.replace('_', ' ')})"
            raise SettingsError(f"model {what} learns no target", "model", "a classifier or a regressor")
        named, stepping = named_parameters(self.estimator), stepping_of(self.estimator)
        object.__setattr__(self, "tasks", _tasks_of(self.estimator))
        is_open = open_to_any(self.estimator) or not has_parameters(self.estimator)
        object.__setattr__(self, "parameter_names", None if is_open else named)
        object.__setattr__(self, "fidelity", stepping.parameter if stepping else None)

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that a space leaves as they are, but for those that are estimators themselves."""
        given = self.estimator.get_params() if has_parameters(self.estimator) else {}
        return {name: value for name, value in given.items() if isinstance(value, (bool, int, float, str, type(None)))}

    def Params(self, **values: Any) -> SklearnParams:  # noqa: N802  the protocol's name for it
        """Return the parameters of a configuration.

        Raises
        ------
        SettingsError
            When the estimator has no parameter of a name, or does not take a value.
        """
        where = f"learner {self.name!r}"
        for key in values:
            self._check_name(key, where)
        check_values(self.estimator, values, where)
        return SklearnParams(values)

    def train(
        self, members: Sequence[Member], params: SklearnParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Train all members a step at a time, or one after the other where the estimator trains in one go."""
        estimator = params.applied_to(self.estimator)
        stepping = stepping_of(estimator)
        if stepping is None:
            return one_shot(partial(_fit, estimator), members, params, seed, resources)
        folds = [_Fold(estimator, member, seed + index, resources) for index, member in enumerate(members)]
        return _in_steps(folds, stepping)

    def pace(self, params: SklearnParams) -> Pace | None:
        """Count trees or epochs, times the learning rate where there is one; None for training in one go."""
        stepping = stepping_of(params.applied_to(self.estimator))
        if stepping is None:
            return None
        given = stepping_of(self.estimator) or stepping
        first_rung = FIRST_RUNG * given.horizon if stepping.by_warm_start else FIRST_EPOCHS
        return Pace(stepping.size * stepping.rate, first_rung * given.rate, stepping.patience)

    def check(self, problem: Problem, parameters: Mapping[str, Any] | None = None) -> None:
        """Raise unless what the estimator says of columns and classes fits the table.

        Raises
        ------
        SettingsError
            When a ColumnTransformer names a column that is not there, or a selector picks none; when ``class_weight``
            names a class that is not there.
        """
        estimator, where = self.Params(**parameters or {}).applied_to(self.estimator), f"learner {self.name!r}"
        check_columns(estimator, problem.schema, where)
        if problem.classes:
            check_class_weights(estimator, problem.classes, where)

    def notes(self, problem: Problem, parameters: Mapping[str, Any], *, weighted: bool) -> tuple[str, ...]:
        """Say what is made of the model with these parameters, a line each."""
        estimator = self.Params(**parameters).applied_to(self.estimator)
        form = form_of(estimator)
        stepping, said = stepping_of(estimator), [f"{self.name} is given {form.describe(problem.schema)}"]
        if lost := lost_columns(estimator, problem.schema, f"learner {self.name!r}"):
            said.append(f"{self.name}: its ColumnTransformer drops {', '.join(lost)}")
        said += order_notes(self.name, estimator, problem.classes)
        if stepping is not None:
            parameter = stepping.parameter
            said.append(f"{self.name} trains in steps of {stepping.size} {parameter}; the mean curve chooses the step")
        known = hasattr(estimator, "predict")  # some say what they have only once they are fitted
        if problem.is_classification and known and not hasattr(estimator, "predict_proba"):
            how = "a squashed decision_function" if hasattr(estimator, "decision_function") else "all or nothing"
            said.append(
                f"{self.name} has no predict_proba: its probabilities are {how}; log_loss and brier mean little"
            )
        if weighted and not _takes_weights(last_step(estimator)[1], stepping):
            said.append(f"{self.name} takes no sample_weight: weights count in the scores alone")
        return tuple(said)

    def _check_name(self, key: str, where: str) -> None:
        if not has_parameters(self.estimator):
            kind = type(self.estimator).__name__
            problem = f"{key} cannot be set: {kind} has no get_params and set_params"
            raise SettingsError(problem, where, f"class {kind}(sklearn.base.BaseEstimator)")
        known = self.parameter_names
        if known is not None and key not in known:
            error = unknown_name(f"parameter of {where}", key, known, where)
            raise SettingsError(error.problem, error.where, error.hint)
        if known is None and (close := misspelled(key, named_parameters(self.estimator))):
            raise SettingsError(f"no parameter of {where} named {key!r}", where, close)


def _predicts(estimator: Any) -> bool:
    if hasattr(estimator, "predict"):
        return True
    return hasattr(type(estimator), "predict") and _tasks_of(estimator) != ALL_TASKS


def _tasks_of(estimator: Any) -> frozenset[TaskKind]:
    if tags_of(estimator) is None and not hasattr(estimator, "_estimator_type"):
        return ALL_TASKS
    if is_classifier(estimator):
        return CLASSIFICATION
    return ALL_TASKS - CLASSIFICATION if is_regressor(estimator) else ALL_TASKS


def _fit(estimator: Any, member: Member, params: SklearnParams, seed: int, resources: Resources) -> Model:
    fold = _Fold(estimator, member, seed, resources)
    fold.fit()
    return fold.model()


def _in_steps(folds: list[_Fold], stepping: Stepping) -> Iterator[Step]:
    everyone = tuple(range(len(folds)))
    for numbers in zip(*(fold.advance(stepping) for fold in folds), strict=True):
        yield Step(
            numbers[0],
            everyone,
            lambda: [fold.predictions() for fold in folds],
            lambda: [fold.model() for fold in folds],
        )


class _Fold:
    """One member on its way: its rows in the estimator's form, and a clone of the estimator."""

    def __init__(self, estimator: Any, member: Member, seed: int, resources: Resources) -> None:
        self._problem = member.problem
        self._encoded = prepared(member, form_of(estimator))
        self._codes: Any = None
        self._y = member.y
        if self._problem.is_classification:  # a fold may lack classes; an estimator counts from 0
            self._codes, self._y = np.unique(member.y, return_inverse=True)
        self._lone = self._codes is not None and len(self._codes) == 1
        classes = self._problem.classes or range(self._problem.n_classes)
        labels = () if self._codes is None else [classes[code] for code in self._codes]
        self._estimator = DummyClassifier() if self._lone else readied(estimator, seed, resources, labels)
        self._seed, self._weight = seed, member.weight
        self._validation = None if self._encoded.validation is None else self._encoded.validation[1].copy()
        self._live = self._estimator

    def fit(self) -> None:
        """Train in one go."""
        prefix, final = last_step(self._estimator)
        weighted = self._weight is not None and takes(getattr(final, "fit", None), "sample_weight")
        words = {f"{prefix}sample_weight": self._weight} if weighted else {}
        without_convergence_warnings(self._estimator.fit, self._encoded.training.copy(), self._y, **words)

    def advance(self, stepping: Stepping) -> Iterator[int]:
        """Train in steps: what comes before the last step once, then that one on."""
        if self._lone:
            self.fit()
            yield from range(1, len(stepping.ends) + 1)
            return
        X = self._encoded.training.copy()
        _, self._live = last_step(self._estimator)
        if self._live is not self._estimator and len(self._estimator.steps) > 1:
            before = self._estimator[:-1]
            X = without_convergence_warnings(before.fit_transform, X, self._y)
            self._estimator = copy(self._estimator)  # with the fitted steps, which a memory makes copies of
            self._estimator.steps = [*before.steps, self._estimator.steps[-1]]
            self._validation = None if self._validation is None else before.transform(self._validation)
        weight = self._weight if _takes_weights(self._live, stepping) else None
        yield from advance(self._live, stepping, X, self._y, weight, self._seed)

    def predictions(self) -> Predictions:
        """Return predictions on the validation rows."""
        assert self._validation is not None, "predictions were asked for without validation rows"
        return answers(self._live, self._validation, self._codes, self._problem.n_classes)

    def model(self) -> Model:
        """Return a model that stays as it is when training goes on."""
        estimator = deepcopy(self._estimator)
        return SklearnModel(self._encoded.remembering(), estimator, self._codes, self._problem.n_classes)


def _takes_weights(final: Any, stepping: Stepping | None) -> bool:
    by_epochs = stepping is not None and not stepping.by_warm_start
    return takes(getattr(final, "partial_fit" if by_epochs else "fit", None), "sample_weight")
