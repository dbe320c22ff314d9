"""The sampler of a study for which none was asked: chosen when it is made, and kept with it.

Nothing is timed for it, so that a study's history stays a function of its seed. A Gaussian process learns fastest where
all parameters are numbers (on the LCBench surrogate, 17 tasks, it had a regret of .204 after 25 trials where TPE had
.273, and after 50 less than none where TPE had .175), but an ask takes about half a second of CPU, and it learns
nothing from pruned trials, which most are with halving. TPE learns from those too, draws the branches of a
conditional space jointly, and an ask takes some hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import CategoricalDistribution

from autotune.spaces.space import Space
from autotune.study.identity import IDENTITY, SAMPLER
from autotune.study.patience import waiting_briefly
from autotune.study.strategies import AUTO, PRUNERS, Pruner
from autotune.study.suggest import distribution_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

USUAL = "tpe"

DEAR_VALUES = 4_000_000
"""Values of a table from which on even a linear model's trial takes about as long as a Gaussian process's ask."""


def choose_sampler(space: Space, pruner: Pruner, n_values: int) -> str:
    """Return the name of the sampler that suits a new study.

    Parameters
    ----------
    space : Space
        What may vary.
    pruner : Pruner
        The study's.
    n_values : int
        Rows × columns of the table.

    Examples
    --------
    >>> from autotune.spaces.params import Float, Int
    >>> rates = Space({"net": {"rate": Float(1e-4, 1e-1, log=True), "width": Int(8, 512)}})
    >>> [choose_sampler(rates, PRUNERS[name], 10_000_000) for name in ("none", "halving")]
    ['gp', 'tpe']
    """
    suits = pruner is PRUNERS["none"] and n_values >= DEAR_VALUES and _is_numeric(space)
    return "gp" if suits else USUAL


def settled_sampler(
    asked: Any, storage: BaseStorage, study_name: str, choose: Callable[[], str]
) -> tuple[Any, tuple[str, ...]]:
    """Return the sampler of a call, and what there is to say about it.

    It is the one that is asked for; for "auto" the one that the study was made with, whatever calls had since then, or
    what is chosen for a new study.

    Parameters
    ----------
    asked : str or optuna.samplers.BaseSampler
        The setting.
    storage : optuna.storages.BaseStorage
        Where the study lives, if it does.
    study_name : str
        Its name.
    choose : callable
        Returns the name of the sampler of a new study.
    """
    if asked != AUTO:
        return asked, ()
    made_with = _made_with(storage, study_name)
    if made_with == "":
        problem = "the study was made with a sampler of one's own, which it cannot carry; sampler=... goes on with it"
        return USUAL, (f"sampler {USUAL!r}: {problem}",)
    name = choose() if made_with is None else made_with
    if name == USUAL:
        return name, ()
    return name, (f"sampler {name!r}: the one that the study was made with; sampler={USUAL!r} is the usual one",)


@waiting_briefly
def _made_with(storage: BaseStorage, study_name: str) -> str | None:
    """Return what a study says of its sampler, None where there is no study yet; one of an earlier version has TPE."""
    if study_name not in optuna.study.get_all_study_names(storage):
        return None
    attrs = optuna.load_study(storage=storage, study_name=study_name).user_attrs
    return str(attrs.get(SAMPLER, USUAL)) if IDENTITY in attrs else None


def _is_numeric(space: Space) -> bool:
    """Return whether all that varies are numbers of one learner, there in each configuration, and free."""
    if len(space.learners) > 1 or space.forbid:
        return False
    (parameters,) = space.learners.values()
    drawn = [each for each in parameters.values() if distribution_of(each) is not None]
    numbers = [each for each in drawn if not isinstance(distribution_of(each), CategoricalDistribution)]
    always = [each for each in numbers if not each.when and not getattr(each, "special", ())]
    return 0 < len(drawn) == len(always)
