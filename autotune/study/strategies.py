"""Samplers and pruners by name.

The usual sampler is TPE, over conditional branches jointly; `autotune.study.choosing` says where it is another one. It
learns from the fifth trial on, not from the tenth as in Optuna: on the LCBench surrogate the regret was .064 ± .011
smaller after 10 trials, .013 ± .012 after 25, .002 ± .012 after 50 and .020 ± .018 after 100 (17 tasks × 17 seeds, 8
at 100; standard errors of the paired differences). More candidates an ask, other shares of good trials and a
quasi-random start were no better.

The default pruner is asynchronous successive halving on the mean curve of the folds (ASHA; Li et al., MLSys 2020),
provided that no rung comes before about 5 % of a typical length. What it saves and costs is measured on recorded curves
by tests/benchmarks/pruning.py; most of what it can cost comes of judging by two or three others, most of all while the
first few configurations decide a short study. The best half instead of the best third of the same trials has half of
the regret for networks, for 1.6 times the cost; at equal cost the third is no worse. Learners that train fold by fold
are judged by the "forgiving" rule of Bergman, Purucker and Hutter (AutoML 2024): stop when the mean so far is worse
than the incumbent's worst fold.
"""

from __future__ import annotations

import hashlib
import logging
import math
import statistics
import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from autotune.errors import SettingsError
from autotune.registry import Registry

HALVING_FACTOR = 3
"""Of the trials of a learner at a rung, the best one in this many goes on."""

PEERS_NEEDED = 4
"""Fewer scores than this at a rung decide nothing."""


N_STARTUP_TRIALS = 5
"""Finished trials before a sampler learns from them; until then it draws at random."""


GP_TRIALS = 250
"""Trials of a study that a Gaussian process proposes, at about a second of CPU for the last of them."""

AUTO = "auto"
"""The sampler where none is asked for."""


@dataclass(frozen=True, slots=True)
class Pruner:
    """Two rules that say whether a trial may go on; larger scores are better here.

    Attributes
    ----------
    at_rung : callable
        ``at_rung(own, peers)``: its score, and the scores of the other trials at the same rung, in ascending order.
    after_fold : callable
        ``after_fold(mean, incumbent)``: its mean over the folds so far, and the fold scores of the best trial.
    """

    at_rung: Callable[[float, Sequence[float]], bool]
    after_fold: Callable[[float, Sequence[float]], bool]


def _tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the argument `group`
        return optuna.samplers.TPESampler(seed=seed, group=True, n_startup_trials=N_STARTUP_TRIALS)


class _EarlyGPSampler(optuna.samplers.GPSampler):
    """A Gaussian process for the first trials of a study; its asks cost more with each, and TPE takes over."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=N_STARTUP_TRIALS)
        self._later = _tpe(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if trial.number < GP_TRIALS:
            return super().infer_relative_search_space(study, trial)
        return self._later.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if trial.number < GP_TRIALS:
            return super().sample_relative(study, trial, search_space)
        return self._later.sample_relative(study, trial, search_space)


def is_dear(sampler: BaseSampler, number: int) -> bool:
    """Return whether a sampler's ask for a trial of this number takes so long that there is only one.

    Examples
    --------
    >>> is_dear(SAMPLERS["gp"](0), GP_TRIALS - 1), is_dear(SAMPLERS["gp"](0), GP_TRIALS), is_dear(SAMPLERS["tpe"](0), 9)
    (True, False, False)
    """
    takes_over = isinstance(sampler, _EarlyGPSampler) and number >= GP_TRIALS
    return isinstance(sampler, optuna.samplers.GPSampler) and not takes_over


def _random(seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def _gp(seed: int) -> BaseSampler:
    logging.getLogger("optuna._gp.batched_lbfgsb").setLevel(logging.ERROR)  # its one line: greenlet is not installed
    return _EarlyGPSampler(seed)


def _qmc(seed: int) -> BaseSampler:
    """Return a sampler that goes on with one sequence: were it scrambled anew for each trial, it would be random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the class itself
        return optuna.samplers.QMCSampler(
            seed=0, scramble=True, independent_sampler=_random(seed), warn_independent_sampling=False
        )


SAMPLERS: Registry[Callable[[int], BaseSampler]] = Registry(
    "sampler", {AUTO: _tpe, "tpe": _tpe, "random": _random, "gp": _gp, "qmc": _qmc}
)
"""By name; what "auto" stands for in a study of a table, `autotune.study.choosing` says."""


def _always(own: float, others: Sequence[float]) -> bool:
    return True


def _no_worse_than_median(own: float, peers: Sequence[float]) -> bool:
    return len(peers) < PEERS_NEEDED or own >= statistics.median(peers)


def _forgiving(mean: float, incumbent: Sequence[float]) -> bool:
    return mean >= min(incumbent)


def halving(factor: int = HALVING_FACTOR, peers_needed: int = PEERS_NEEDED) -> Pruner:
    """Return successive halving: the best one in `factor` of the trials at a rung goes on, once there are enough.

    Examples
    --------
    >>> pruner = halving(factor=2, peers_needed=3)
    >>> pruner.at_rung(0.7, [0.6, 0.8, 0.9]), pruner.at_rung(0.85, [0.6, 0.8, 0.9]), pruner.at_rung(0.1, [0.6, 0.8])
    (False, True, True)
    """

    def among_the_best(own: float, peers: Sequence[float]) -> bool:
        survivors = math.ceil((len(peers) + 1) / factor)
        return len(peers) < peers_needed or len(peers) - bisect_right(peers, own) < survivors

    return Pruner(among_the_best, _forgiving)


PRUNERS: Registry[Pruner] = Registry(
    "pruner",
    {
        "halving": halving(),
        "median": Pruner(_no_worse_than_median, _forgiving),
        "none": Pruner(_always, _always),
    },
)


def find_sampler(sampler: Any) -> Callable[[int], BaseSampler]:
    """Return what makes the sampler of a trial from a seed.

    Parameters
    ----------
    sampler : str or optuna.samplers.BaseSampler
        A name of `SAMPLERS`, or a sampler of one's own, which is used as it is for all trials.

    Raises
    ------
    UnknownNameError
        When no sampler has the name.
    SettingsError
        When it is neither a name nor a sampler.
    """
    if isinstance(sampler, BaseSampler):
        return lambda seed: sampler
    if isinstance(sampler, str):
        return SAMPLERS[sampler]
    raise SettingsError(f"sampler={sampler!r} is no sampler", "sampler", f"one of: {', '.join(SAMPLERS)}")


def find_pruner(pruner: Any) -> Pruner:
    """Return a pruner by its name, see `PRUNERS`, or one's own `Pruner`."""
    if isinstance(pruner, Pruner):
        return pruner
    if isinstance(pruner, str):
        return PRUNERS[pruner]
    raise SettingsError(f"pruner={pruner!r} is no pruner", "pruner", f"one of: {', '.join(PRUNERS)}")


def trial_seed(seed: int, number: int, purpose: str) -> int:
    """Return the seed of one trial for one purpose, from the study's seed and the trial's number alone.

    Examples
    --------
    >>> trial_seed(0, 1, "sampler") == trial_seed(0, 1, "sampler") != trial_seed(0, 2, "sampler")
    True
    """
    digest = hashlib.blake2b(f"{seed}/{number}/{purpose}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % (2**31 - 1000)
