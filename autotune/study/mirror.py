"""The sampler's mirror of a study: its rows in memory, merged from the storage and kept up with what is told here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from autotune.errors import StorageError
from autotune.study.failures import DELETED
from autotune.study.ledger import Ending, Proposal, write_ending, write_proposal, write_rungs
from autotune.study.rows import CONSTRAINT


class Mirror:
    """A study in memory with the numbers, parameters and results of the one in the storage.

    Parameters
    ----------
    study : optuna.Study
        The one in the storage; what samplers keep in its attributes is copied.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._storage = InMemoryStorage()
        with quiet_optuna():
            self._id = self._storage.create_new_study(study.directions, study.study_name)
        for key, value in study._storage.get_study_system_attrs(study._study_id).items():
            self._storage.set_study_system_attr(self._id, key, value)
        self.study = optuna.load_study(study_name=study.study_name, storage=self._storage)
        self._n_rows = 0  # the storage would copy its list of them for each count

    def __len__(self) -> int:
        return self._n_rows

    def rows(self) -> Sequence[FrozenTrial]:
        """Return the rows by number; they are not to be changed."""
        return self._storage.get_all_trials(self._id, deepcopy=False)

    def row(self, number: int) -> FrozenTrial:
        """Return one row; it is created where it is not there yet."""
        while self._n_rows <= number:
            self._storage.create_new_trial(self._id)
            self._n_rows += 1
        return self._storage._get_trial(number)  # ids count from 0, as numbers do

    def announce(self, row: FrozenTrial) -> None:
        """Take over what a row of the storage is to try, and nothing of what came of it."""
        if not self.row(row.number).state.is_finished():
            params = {path: (value, row.distributions[path]) for path, value in row.params.items()}
            noted = {key: attr for key, attr in row.system_attrs.items() if key != CONSTRAINT}
            self.describe(row.number, Proposal(params, row.user_attrs, noted))

    def put(self, row: FrozenTrial) -> None:
        """Take over what a row of the storage holds."""
        if self.row(row.number).state.is_finished():
            return
        self.announce(row)
        if row.state.is_finished():
            value = None if row.values is None else row.values[0]
            complete = row.state == TrialState.COMPLETE  # by another program, perhaps: the GP sampler wants it of each
            if complete and value is None:  # a database is read table by table
                raise StorageError(DELETED)
            attrs = {CONSTRAINT: 0.0, **row.system_attrs} if complete else row.system_attrs
            self.finish(row.number, Ending(row.state, value, row.intermediate_values, system_attrs=attrs))
        else:
            self.reach(row.number, row.intermediate_values)

    def describe(self, number: int, proposal: Proposal) -> None:
        """Set parameters and attributes of a row."""
        write_proposal(self._storage, self.row(number)._trial_id, proposal)

    def reach(self, number: int, rungs: Mapping[int, float]) -> None:
        """Set what a row has reached."""
        write_rungs(self._storage, self.row(number)._trial_id, rungs)

    def finish(self, number: int, ending: Ending) -> FrozenTrial:
        """End a row."""
        write_ending(self._storage, self.row(number)._trial_id, ending)
        return self.row(number)

    def sampler_attrs(self) -> Mapping[str, Any]:
        """Return what samplers keep in the study's attributes."""
        return dict(self._storage.get_study_system_attrs(self._id))


@contextmanager
def quiet_optuna(level: int = optuna.logging.WARNING) -> Iterator[None]:
    """Keep Optuna's own log lines below a level off the terminal, for this one call, such as that of a new study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(level)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
