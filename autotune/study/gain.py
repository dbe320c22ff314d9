"""How much is still to be gained: a bound on the regret of a study's best trial (Makarova et al., AutoML 2022).

The bound is Optuna's: a Gaussian process is fitted to the better half of the trials; the bound is how far the upper
confidence bound of any configuration lies above the best lower confidence bound of a trial, in the units of the metric.
It is about what the process can see: complete trials of one learner, and those of its parameters that all of them have.
What a condition switches is noise to it, and the better half is noisy where scores are, so that the bound never falls
below what folds, seeds and conditional parameters make scores differ by.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import optuna
from optuna.trial import FrozenTrial, create_trial

from autotune.errors import MissingPackageError
from autotune.study.mirror import quiet_optuna
from autotune.study.suggest import LEARNER

TRIALS_NEEDED = 20
"""Complete trials of a learner before anything can be said, as Optuna's terminator has it."""

TIMES = 20
"""After n trials, the bound is looked at again every n-th part of so many: it costs more, the more trials there are."""


TRIALS_SEEN = 400
"""No more than the best so many are looked at: the time that it takes grows with their cube."""


def is_due(n_finished: int) -> bool:
    """Return whether the bound is worth looking at after so many trials; it hangs on their number alone.

    Examples
    --------
    >>> [n for n in range(60, 70) if is_due(n)]
    [60, 63, 66, 69]
    """
    return n_finished % max(1, n_finished // TIMES) == 0


def regret_bound(rows: Iterable[FrozenTrial], direction: optuna.study.StudyDirection, seed: int) -> float:
    """Return how much better than the best of these trials their learner may still become, in units of the metric.

    Parameters
    ----------
    rows : iterable of FrozenTrial
        Complete trials of one learner.
    direction : StudyDirection
        Which scores are better.
    seed : int
        Of the configurations at which the process is asked.

    Returns
    -------
    float
        Infinity while there are too few trials, or where they have no parameter in common.
    """
    sign = -1 if direction == optuna.study.StudyDirection.MAXIMIZE else 1
    best_first = sorted((_without_learner(row) for row in rows), key=lambda trial: sign * (trial.value or 0.0))
    trials = best_first[:TRIALS_SEEN]
    if len(trials) < TRIALS_NEEDED or not optuna.search_space.intersection_search_space(trials):
        return math.inf
    try:
        from optuna.terminator.improvement.evaluator import RegretBoundEvaluator
    except ImportError:
        problem = f"min_gain needs optuna.terminator, which Optuna {optuna.__version__} does not have"
        raise MissingPackageError(problem, "min_gain", 'pip install "optuna<6", or patience instead') from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the class itself
        evaluator = RegretBoundEvaluator(seed=seed)
    with quiet_optuna(optuna.logging.ERROR):  # where a fit fails, it takes the kernel's default, and logs that
        return float(evaluator.evaluate(trials, direction))


def _without_learner(row: FrozenTrial) -> FrozenTrial:
    """Return a trial as its learner alone would have it: another learner is no place where it could be better."""
    distributions = {path: each for path, each in row.distributions.items() if path != LEARNER}
    params = {path: row.params[path] for path in distributions}
    return create_trial(params=params, distributions=distributions, value=row.value)
