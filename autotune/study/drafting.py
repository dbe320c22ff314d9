"""The configuration of a new trial: defaults and starts first, then what the sampler proposes, nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from autotune.spaces.draws import enumerate_learner
from autotune.spaces.space import Config, Space
from autotune.study.ledger import Proposal
from autotune.study.propose import config_key, propose
from autotune.study.rows import CONFIG
from autotune.study.suggest import as_suggestions, suggest

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

LISTED_AT_MOST = 10_000
"""A finite space of no more configurations is tried without repetition until none is left."""


class Drafter:
    """Drafts the configurations of a study's trials.

    Parameters
    ----------
    space : Space
        What may vary.
    sampler : callable
        Makes the sampler of a trial from a seed.
    accepts : callable
        Whether a configuration's learner takes its values.
    seed : int
        The study's seed.
    """

    def __init__(
        self, space: Space, sampler: Callable[[int], BaseSampler], accepts: Callable[[Config], bool], seed: int
    ) -> None:
        self._space = space
        self._sampler = sampler
        self._accepts = accepts
        self._seed = seed
        self._first = space.first_configurations()
        finite = {learner: enumerate_learner(space, learner, LISTED_AT_MOST) for learner in space.learners}
        self._left = {
            learner: {config_key(config): config for config in configs if accepts(config)}
            for learner, configs in finite.items()
            if configs is not None
        }
        self._n_listed = sum(map(len, self._left.values()))
        self._known: set[str] = set()
        self._is_dry = self._has_copies = False

    @property
    def is_exhausted(self) -> bool:
        """Whether each configuration has been tried, or is being tried, or nothing else could be drawn."""
        return self._is_dry or len(self._tried_out()) == len(self._space.learners)

    @property
    def exhaustion(self) -> str:
        """What there is to say when it is."""
        if self._is_dry:
            return "nothing but configurations that have been tried could be drawn: the search ended with them"
        return f"all {self._n_listed} configurations of the space have been tried: the search ended with them"

    def note(self, config: Config | None, *, is_copy: bool = False) -> None:
        """Note that a configuration is tried, or was in the older study that this one began with."""
        if config is not None:
            key = config_key(config)
            self._known.add(key)
            self._left.get(config.learner, {}).pop(key, None)
        self._has_copies |= is_copy

    def draft(self, study: optuna.Study, row: FrozenTrial, beaten: Callable[[], set[str]]) -> Proposal:
        """Draft the configuration of a row.

        Parameters
        ----------
        study : optuna.Study
            What the sampler learns from.
        row : FrozenTrial
            The trial; its number decides about defaults, starts and seeds.
        beaten : callable
            Returns the learners that are not worth a trial now.
        """
        first = self._first[row.number : row.number + 1]
        if self._has_copies:  # which have taken the first numbers
            first = tuple(config for config in self._first if not self.knows(config))
        config = first[0] if first else self._sampled(study, row, beaten)
        return self.proposal(config, study._storage.get_trial_system_attrs(row._trial_id))

    def knows(self, config: Config) -> bool:
        """Return whether a configuration has been tried, or is being tried."""
        return config_key(config) in self._known

    def proposal(self, config: Config, system_attrs: Mapping[str, Any] | None = None) -> Proposal:
        """Return a configuration as what stands in a row."""
        values, params = as_suggestions(config, self._space), {}

        def ask(path: str, distribution: Any, parameter: Any) -> Any:
            params[path] = (values[path], distribution)
            return values[path]

        attrs = {CONFIG: suggest(ask, self._space).flat()}
        return Proposal(params, attrs, system_attrs or {})

    def _sampled(self, study: optuna.Study, row: FrozenTrial, beaten: Callable[[], set[str]]) -> Config:
        done, avoided = self._tried_out(), beaten() if len(self._space.learners) > 1 else set()
        if not set(self._space.learners) - avoided - done:
            avoided = set()
        config = propose(
            study,
            self._space,
            self._sampler,
            row,
            seed=self._seed,
            accepts=self._accepts,
            known=self._known,
            listed=chain.from_iterable(configs.values() for configs in self._left.values()),
            avoided=avoided | done,
        )
        self._is_dry = config_key(config) in self._known
        return config

    def _tried_out(self) -> set[str]:
        """Return the learners of which every configuration is known."""
        return {learner for learner, configs in self._left.items() if not configs}
