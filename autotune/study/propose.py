"""A configuration that may be tried next: drafted with the sampler, redrawn where it is forbidden or known already.

A draft asks the sampler as a trial would, but writes nothing; only what is accepted becomes a trial's parameters.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import QMCSampler, RandomSampler
from optuna.trial import FrozenTrial

from autotune.spaces.draws import draw
from autotune.spaces.formula import FormulaError
from autotune.spaces.params import Choice, Parameter
from autotune.spaces.space import Config, Space
from autotune.study.strategies import N_STARTUP_TRIALS, is_dear, trial_seed
from autotune.study.suggest import suggest

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

NEVER_LEARNING = (RandomSampler, QMCSampler)
"""Samplers to which weights mean as much after any number of trials."""

REDRAWS = 20
"""Drafts from the sampler before configurations are drawn blindly; one, where its asks are dear."""

BLIND_DRAWS = 200
"""Blind draws before the open configurations are looked through, or a known one is taken."""


class Draft:
    """A trial that asks its sampler but writes nothing.

    Parameters
    ----------
    study : optuna.Study
        What the sampler learns from.
    sampler : BaseSampler
        What answers.
    trial : FrozenTrial
        The row that the configuration is for.
    weigh : random.Random or None
        Draws weighted choices while the sampler has no opinion on them; None leaves them to the sampler.
    """

    def __init__(
        self, study: optuna.Study, sampler: BaseSampler, trial: FrozenTrial, weigh: random.Random | None
    ) -> None:
        self._study = copy.copy(study)  # a copy reads the trials anew: Optuna keeps those of the last ask
        self._sampler = sampler
        self._trial = copy.deepcopy(trial)
        self._weigh = weigh
        sampler.before_trial(self._study, self._trial)
        self._space = sampler.infer_relative_search_space(self._study, self._trial)
        self._relative = sampler.sample_relative(self._study, self._trial, self._space)

    def ask(self, path: str, distribution: BaseDistribution, parameter: Parameter | None) -> Any:
        """Answer as a trial would: by its weights, from the joint draw where the parameter is in it, or else alone."""
        value = self._answer(path, distribution, parameter)
        self._trial.params = {**self._trial.params, path: value}
        self._trial.distributions = {**self._trial.distributions, path: distribution}
        return value

    def _answer(self, path: str, distribution: BaseDistribution, parameter: Parameter | None) -> Any:
        if self._weigh is not None and isinstance(parameter, Choice) and parameter.weights:
            places = list(range(len(parameter.options)))
            place = self._weigh.choices(places, parameter.weights)[0]
            return distribution.choices[place] if isinstance(distribution, CategoricalDistribution) else place
        if path in self._relative and distribution._contains(distribution.to_internal_repr(self._relative[path])):
            return self._relative[path]
        return self._sampler.sample_independent(self._study, self._trial, path, distribution)


def propose(
    study: optuna.Study,
    space: Space,
    sampler_of: Callable[[int], BaseSampler],
    trial: FrozenTrial,
    *,
    seed: int,
    accepts: Callable[[Config], bool] = lambda config: True,
    known: Collection[str] = (),
    listed: Iterable[Config] = (),
    avoided: Collection[str] = (),
) -> Config:
    """Propose a configuration for a trial.

    Parameters
    ----------
    study : optuna.Study
        What the sampler learns from.
    space : Space
        What may vary.
    sampler_of : callable
        Makes a sampler from a seed.
    trial : FrozenTrial
        The row that it is for.
    seed : int
        The study's seed; with the trial's number it fixes all draws.
    accepts : callable
        Whether a configuration's learner takes its values, computed ones among them.
    known : collection of str
        Keys, see `config_key`, of configurations that need not be tried again.
    listed : iterable of Config
        Configurations of the learners that have finitely many, those that are left among them.
    avoided : collection of str
        Learners that are not worth a trial now.

    Returns
    -------
    Config
        Allowed and accepted; not known, as long as one is left.
    """

    def is_wanted(config: Config) -> bool:
        return config.learner not in avoided and config_key(config) not in known and accepts(config)

    finished = (each for each in study.get_trials(deepcopy=False) if each.state.is_finished())
    is_beginning = len(list(islice(finished, N_STARTUP_TRIALS))) < N_STARTUP_TRIALS
    for attempt in range(REDRAWS):
        purpose = "sampler" if attempt == 0 else f"sampler {attempt}"
        own_seed = trial_seed(seed, trial.number, purpose)
        sampler = sampler_of(own_seed)
        knows_nothing = is_beginning or isinstance(sampler, NEVER_LEARNING)
        draft = Draft(study, sampler, trial, random.Random(own_seed) if knows_nothing else None)
        with suppress(FormulaError):
            config = suggest(draft.ask, space)
            if space.allows(config) and is_wanted(config):
                return config
        if is_dear(sampler, trial.number):
            break
    blind = random.Random(trial_seed(seed, trial.number, "blind"))
    for _ in range(BLIND_DRAWS):
        config = draw(space, blind)
        if is_wanted(config):
            return config
    left = [each for each in listed if is_wanted(each)]
    return blind.choice(left) if left else config


def config_key(config: Config) -> str:
    """Return a text that is equal for equal configurations."""
    return repr((config.learner, sorted(config.params.items())))
