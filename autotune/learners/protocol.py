"""What a learner is: it trains a cohort, one member a fold, a step at a time.

Predictions have one form everywhere: class probabilities of shape (n_rows, n_classes) for classification (binary
too), values of shape (n_rows,) for regression, both float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar

from autotune.data.task import Problem, Rows, TaskKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Predictions: TypeAlias = NDArray[np.float64]

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a trial may use.

    Attributes
    ----------
    threads : int
        Threads for each member that trains; the workers' threads together never exceed the cores.
    device : str or None
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``, for the learners that can use one; None is the best there is.
    """

    threads: int = 1
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One fold of a cohort: rows to train on, and rows to predict at each step.

    Attributes
    ----------
    problem : Problem
        The kind of task and the schema.
    rows : Rows
        Training rows. Each time one of its two arrays is read it may be copied out of the table: read it once.
    y : ndarray, shape (n_rows,)
        Class codes (int64) or values (float64) of the training rows.
    weight : ndarray or None, shape (n_rows,)
        Sample weights of the training rows.
    validation : Rows or None
        Rows to predict at each step; None at the refit.
    cache : MutableMapping
        Holds what was made of these rows alone (fitted encoders, binned data), from trial to trial; it lives and dies
        with the member. Keys are tuples that begin with the name of the module that owns them.
    """

    problem: Problem
    rows: Rows
    y: NDArray[Any]
    weight: NDArray[np.float64] | None = None
    validation: Rows | None = None
    cache: MutableMapping[Any, Any] = field(default_factory=dict)


class Model(Protocol):
    """A fitted model: it can be pickled and predicts."""

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""


@dataclass(frozen=True, slots=True)
class Step:
    """Members of a cohort after one more step.

    Attributes
    ----------
    number : int
        Steps done, from 1: rounds of a booster, epochs of a network, 1 for a learner that trains in one go.
    advanced : tuple of int
        Which members are now at this step. A learner that trains in lockstep names all of them; a one-shot learner
        names one member at a time.
    predictions : callable
        Called before the next step, returns the predictions on the validation rows of those members, in their order.
    models : callable
        Called before the next step, returns usable models of those members, in their order.
    """

    number: int
    advanced: tuple[int, ...]
    predictions: Callable[[], Sequence[Predictions]]
    models: Callable[[], Sequence[Model]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How a learner that trains in steps moves along its curve.

    Attributes
    ----------
    worth : float
        What one step is worth on the scale of the rungs: the learning rate of a booster, 1 for an epoch. Trials of one
        learner are compared at equal worth, so that low learning rates are not punished.
    first_rung : float
        Worth at the earliest rung before any trial has finished.
    patience : int
        Steps without a better mean score after which the curve ends.
    last : int or None
        The last step there is, where more steps are never worse, as trees of a forest are not: the best step is then
        the last one done, whatever the noise of the scores says.
    """

    worth: float
    first_rung: float
    patience: int
    last: int | None = None


class Learner(Protocol[P_contra]):
    """Something that can be trained; see ``lightgbm.py`` for one in steps and ``linear.py`` for a one-shot one.

    Attributes
    ----------
    name : str
        The learner's name in spaces and reports.
    tasks : frozenset of str
        The kinds of task it can learn.
    Params : type
        A frozen dataclass: every parameter with its type and default. It checks its values in ``__post_init__``.

    Notes
    -----
    What a learner may have beside these, and is asked for where it has it: ``fidelity``, the parameter that counts its
    steps, None for one that trains in one go; ``parameter_names``, where ``Params`` is no dataclass, None for any;
    ``defaults``, values by name; ``requires``, a package that it imports; ``check(problem, parameters)``, which raises
    before anything trains; and ``notes(problem, parameters, weighted=…)``, lines for the report.
    """

    name: ClassVar[str]
    tasks: ClassVar[frozenset[TaskKind]]
    Params: ClassVar[type[Any]]

    def train(self, members: Sequence[Member], params: P_contra, *, seed: int, resources: Resources) -> Iterator[Step]:
        """Train the members, yielding after each step until the horizon that the parameters name.

        The consumer may stop at any step. The same members, parameters, seed and resources give the same steps.
        """

    def pace(self, params: P_contra) -> Pace | None:
        """Return how it moves along its curve, or None for a learner that trains in one go."""


def one_shot(
    fit: Callable[[Member, P, int, Resources], Model],
    members: Sequence[Member],
    params: P,
    seed: int,
    resources: Resources,
) -> Iterator[Step]:
    """Write ``train`` for a learner that fits one member in one go: one fold a step.

    Parameters
    ----------
    fit : callable
        ``fit(member, params, seed, resources)`` returns a fitted model.
    members, params, seed, resources
        As given to ``train``; member ``i`` is fitted with seed ``seed + i``.
    """
    for index, member in enumerate(members):
        yield _fitted(index, member, fit(member, params, seed + index, resources))


def _fitted(index: int, member: Member, model: Model) -> Step:
    return Step(1, (index,), lambda: (_on_validation(member, model),), lambda: (model,))


def lockstep(
    grow: Callable[[Member, P, int, Resources], Iterator[Callable[[], Model]]],
    members: Sequence[Member],
    params: P,
    seed: int,
    resources: Resources,
) -> Iterator[Step]:
    """Write ``train`` for a learner that trains one member in steps: all members advance together.

    Parameters
    ----------
    grow : callable
        ``grow(member, params, seed, resources)`` yields, after each step, a function that makes a usable model.
    members, params, seed, resources
        As given to ``train``; member ``i`` grows with seed ``seed + i``.
    """
    growing = [grow(member, params, seed + index, resources) for index, member in enumerate(members)]
    everyone = tuple(range(len(members)))
    for number, makers in enumerate(zip(*growing, strict=True), start=1):

        def models(makers: Sequence[Callable[[], Model]] = makers) -> Sequence[Model]:
            return [make() for make in makers]

        def predictions(models: Callable[[], Sequence[Model]] = models) -> Sequence[Predictions]:
            return [_on_validation(m, model) for m, model in zip(members, models(), strict=True)]

        yield Step(number, everyone, predictions, models)


def _on_validation(member: Member, model: Model) -> Predictions:
    assert member.validation is not None, "predictions were asked for without validation rows"
    return model.predict(member.validation)
