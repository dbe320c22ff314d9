"""Any training loop as a learner: a function of a fold and its parameters that yields a model after each step."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.task import ALL_TASKS, Rows, TaskKind
from autotune.errors import PlugInError, SettingsError
from autotune.learners.answers import as_one_hot, as_probabilities, as_values
from autotune.learners.protocol import Member, Pace, Resources, Step, one_shot
from autotune.learners.sklearn_features import Form, prepared
from autotune.registry import unknown_name

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from autotune.learners.features import Features
    from autotune.learners.protocol import Model, Predictions

TABLE = Form("table")
FIRST_RUNG = 3.0
"""Steps before the earliest comparison with other trials."""

PATIENCE = 16
"""Steps without a better mean score after which a curve ends, unless the function's author says otherwise."""


@dataclass(slots=True)
class Fold:
    """What a function trains on: copies of its own, which it may change.

    Attributes
    ----------
    X : DataFrame, shape (n_rows, n_columns)
        Training rows: numbers as floats with NaN for missing, text as categories.
    y : ndarray, shape (n_rows,)
        Class codes 0 … n_classes-1 (int64), or values (float64).
    weight : ndarray or None, shape (n_rows,)
        Sample weights.
    X_validation : DataFrame or None
        The rows that models will be asked to predict; None at the refit.
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    n_classes : int
        Number of classes; 0 for regression.
    seed : int
        For whatever the function draws.
    threads, device : int, str or None
        What it may use.
    """

    X: pd.DataFrame
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    X_validation: pd.DataFrame | None
    kind: TaskKind
    n_classes: int
    seed: int
    threads: int
    device: str | None


@dataclass(frozen=True, slots=True)
class FunctionLearner:
    """A function as a learner; see `learner`, which makes it.

    Attributes
    ----------
    function : callable
        ``function(fold, params)``.
    name : str
        What it is called.
    tasks : frozenset of str
        What it can learn.
    space : object
        Its search space, for when nobody gives another one.
    patience : int
        Steps without a better mean score after which a curve ends.
    """

    function: Callable[[Fold, dict[str, Any]], Any]
    name: str
    tasks: frozenset[TaskKind] = ALL_TASKS
    space: Any = None
    patience: int = PATIENCE
    parameter_names: None = field(default=None, init=False)

    def Params(self, **values: Any) -> dict[str, Any]:  # noqa: N802  the protocol's name
        """Return the parameters as they are: only the function knows them."""
        return values

    def train(
        self, members: Sequence[Member], params: dict[str, Any], *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Train the members side by side, or one after the other where the function does not yield."""
        if not inspect.isgeneratorfunction(self.function):
            return one_shot(self._fit, members, params, seed, resources)
        return self._steps(members, params, seed, resources)

    def pace(self, params: dict[str, Any]) -> Pace | None:
        """Count what the function yields."""
        if not inspect.isgeneratorfunction(self.function):
            return None
        return Pace(worth=1.0, first_rung=FIRST_RUNG, patience=self.patience)

    def __call__(self, fold: Fold, params: dict[str, Any]) -> Any:
        """Call the function, as if it had not been decorated."""
        return self.function(fold, params)

    def _fit(self, member: Member, params: dict[str, Any], seed: int, resources: Resources) -> Model:
        fold, features = _fold(member, seed, resources)
        return self._model(self.function(fold, dict(params)), member, features)

    def _steps(
        self, members: Sequence[Member], params: dict[str, Any], seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Go on until the functions of all folds have ended; one that ended earlier keeps its last model."""
        folds = [_fold(member, seed + index, resources) for index, member in enumerate(members)]
        growing = [self.function(fold, dict(params)) for fold, _ in folds]
        now: list[FunctionModel] = []
        for number in itertools.count(1):
            yielded = [next(each, None) for each in growing]
            if all(model is None for model in yielded):
                break
            if number == 1 and any(model is None for model in yielded):
                break
            for index, model in enumerate(yielded):
                if model is not None:
                    now[index : index + 1] = [self._model(model, members[index], folds[index][1])]
            yield _step(number, members, list(now))
        if not now:
            hint = "yield a model after each step"
            raise PlugInError("the function ended without yielding a model", f"learner {self.name!r}", hint)

    def _model(self, model: Any, member: Member, features: Features[Any]) -> FunctionModel:
        if not (hasattr(model, "predict") or callable(model)):
            hint = "a model with predict or predict_proba, or a function of X; for scores alone: autotune.optimize"
            raise PlugInError(
                f"the function gave {_short(model)}, which cannot predict", f"learner {self.name!r}", hint
            )
        return FunctionModel(model, features, member.problem.n_classes, self.name)


@dataclass(frozen=True, slots=True)
class FunctionModel:
    """What a function yielded, behind what makes its table of rows."""

    model: Any
    features: Features[Any]
    n_classes: int
    name: str

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,).

        Raises
        ------
        PlugInError
            When the model predicts something else.
        """
        return self.of_table(self.features.transform(rows))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle functions and classes of a script or a notebook by value."""
        import cloudpickle

        parts = (self.model, self.features, self.n_classes, self.name)
        return _unpickled, (cloudpickle.dumps(parts),)

    def of_table(self, table: pd.DataFrame) -> Predictions:
        """Predict a table that is made already."""
        where, n_rows = f"learner {self.name!r}", len(table)
        wanted = ("predict_proba", "predict") if self.n_classes else ("predict", "predict_proba")
        how = next((how for how in wanted if hasattr(self.model, how)), None)
        found = self.model(table) if how is None else getattr(self.model, how)(table)
        if not self.n_classes:
            return as_values(found, n_rows, where)
        if how == "predict" and np.ndim(found) == 1:
            return as_one_hot(found, n_rows, self.n_classes, where)
        return as_probabilities(found, n_rows, self.n_classes, where)


def learner(
    function: Callable[[Fold, dict[str, Any]], Any] | None = None,
    *,
    space: Any = None,
    name: str | None = None,
    tasks: Sequence[TaskKind] = tuple(ALL_TASKS),
    patience: int = PATIENCE,
) -> Any:
    """Make a learner of a function that trains: a decorator.

    Parameters
    ----------
    function : callable
        ``function(fold, params)``, where the fold is a `Fold`, and params a dict of the configuration's values. It
        returns a model, or is a generator that yields one after each step and then is stopped early and pruned. A
        model has ``predict_proba`` or ``predict`` for a DataFrame, or is a function of one.
    space : dict, Space, str or path, optional
        Its parameters, for when nobody gives another space.
    name : str, optional
        What it is called; the function's name.
    tasks : sequence of str
        What it can learn.
    patience : int
        Steps without a better mean score over the folds after which training ends.

    Returns
    -------
    FunctionLearner
        For ``autotune.tune(…, model=this)``.

    Raises
    ------
    SettingsError
        When it is given something that is no function, or tasks or a patience that cannot be.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from autotune import Float
    >>> @learner(space={"alpha": Float(1e-3, 1e3, log=True)}, tasks=["regression"])
    ... def ridge(fold, params):
    ...     return Ridge(alpha=params["alpha"]).fit(fold.X, fold.y)
    >>> ridge.name
    'ridge'
    """
    if function is None:
        return lambda function: learner(function, space=space, name=name, tasks=tasks, patience=patience)
    if not callable(function):
        raise SettingsError(f"{function!r} cannot be called", "learner", "@autotune.learner above a function")
    _check_tasks(tasks)
    if not (isinstance(patience, int) and patience >= 1):
        raise SettingsError(f"patience={patience!r} is not a whole number of at least 1", "learner, patience")
    own_name = name or getattr(function, "__name__", "function").strip("<>")
    return FunctionLearner(function, own_name, frozenset(tasks), space, patience)


def _check_tasks(tasks: Any) -> None:
    where, hint = "learner, tasks", 'tasks=["regression"]'
    if isinstance(tasks, str) or not isinstance(tasks, Iterable) or not list(tasks):
        raise SettingsError(f"tasks={tasks!r} is no list of tasks", where, hint)
    for task in tasks:
        if task not in ALL_TASKS:
            error = unknown_name("task", task, ALL_TASKS, where)
            raise SettingsError(error.problem, error.where, error.hint)


def _step(number: int, members: Sequence[Member], now: Sequence[FunctionModel]) -> Step:
    def predictions() -> list[Predictions]:
        return [_predicted(model, member) for model, member in zip(now, members, strict=True)]

    return Step(number, tuple(range(len(members))), predictions, lambda: copy.deepcopy(list(now)))


def _fold(member: Member, seed: int, resources: Resources) -> tuple[Fold, Features[Any]]:
    encoded = prepared(member, TABLE)
    validation = None if encoded.validation is None else encoded.validation[1].copy()
    problem = member.problem
    weight = None if member.weight is None else member.weight.copy()
    extras = (problem.kind, problem.n_classes, seed, resources.threads, resources.device)
    return Fold(encoded.training.copy(), member.y.copy(), weight, validation, *extras), encoded.features


def _unpickled(parts: bytes) -> FunctionModel:
    import cloudpickle

    return FunctionModel(*cloudpickle.loads(parts))


def _predicted(model: FunctionModel, member: Member) -> Predictions:
    encoded = prepared(member, TABLE)
    assert encoded.validation is not None, "predictions were asked for without validation rows"
    return model.of_table(encoded.validation[1])


def _short(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) < 60 else f"{text[:57]}..."
