"""The ledger: how trials are claimed, taken over and finished in a storage, which is the only truth.

A trial is one row for life. `PlainLedger` keeps it through Optuna's own interface, for any storage; `SqlLedger`, in
the room beside, does each step in one transaction on a database, so that processes and machines can share a study.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from autotune.errors import StorageError
from autotune.study.failures import DELETED, telling_failures
from autotune.study.owner import is_dead, is_of_this_host, this_owner
from autotune.study.rows import OWNER
from autotune.study.storage import alone

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


T = TypeVar("T")

LEASE_SECONDS = 180.0
"""An owner on another host that has not been heard of for so long is taken to be gone."""

BEAT_SECONDS = 30.0
"""How often an owner says that it lives."""

BEAT = "autotune:beat"
"""How often it has said so of a trial, among Optuna's own attributes of the row."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a trial is to try.

    Attributes
    ----------
    params : mapping of str to (value, BaseDistribution)
        What the sampler sees, by path.
    attrs : mapping of str to value
        What people see: user attributes of the row.
    system_attrs : mapping of str to value
        What the sampler has noted on the row, for later asks in whatever process: TPE, what it drew jointly.
    """

    params: Mapping[str, tuple[Any, BaseDistribution]]
    attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trial ended.

    Attributes
    ----------
    state : TrialState
        COMPLETE or PRUNED.
    value : float or None
        The value that it is told with.
    rungs : mapping of int to float
        Scores at rungs that have not been written yet.
    attrs, system_attrs : mapping of str to value
        User attributes and Optuna's own attributes of the row.
    """

    state: TrialState
    value: float | None
    rungs: Mapping[int, float] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    system_attrs: Mapping[str, Any] = field(default_factory=dict)


Propose = Callable[[int], "Proposal | None"]
"""Proposes a configuration for the trial of a number; None when that number has been taken meanwhile."""


class Ledger(Protocol):
    """The rows of one study."""

    def news(self) -> Sequence[FrozenTrial]:
        """Return the rows that are new or may have changed since the last call, by number; not those held here."""

    def claim(self, propose: Propose, limit: int | None) -> int | None:
        """Create a RUNNING row with its parameters and owner; return its number, or None where the limit is reached."""

    def describe(self, number: int, proposal: Proposal) -> None:
        """Write the parameters of a row that its owner left without."""

    def adopt(self, number: int) -> bool:
        """Take over a RUNNING row whose owner is gone: same number, same parameters; False where it is not."""

    def reach(self, number: int, rungs: Mapping[int, float]) -> bool:
        """Write what a trial has reached; False where the storage is away: it need not be written now."""

    def note(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Write user attributes of a trial, in place of those it has by these names."""

    def finish(self, number: int, ending: Ending) -> bool:
        """End a trial; False where the row is no longer held here, and then nothing is written."""

    def give_back(self, number: int, rungs: Mapping[int, float]) -> None:
        """Leave a trial to whoever comes next, with what it has reached: it stays RUNNING, without an owner."""

    def patiently(self, step: Callable[[], T]) -> T:
        """Do something with the storage that can be done twice; where it may be away for a while, wait for it."""

    def wait_until(self, end: float) -> None:
        """Wait for a storage that is away until then, on the clock of `time.time`."""


def write_proposal(storage: BaseStorage, trial_id: int, proposal: Proposal) -> None:
    """Write parameters and attributes of a row through Optuna's interface; a parameter that is there stays."""
    known = storage.get_trial(trial_id).params
    for path, (value, distribution) in proposal.params.items():
        if path not in known:
            storage.set_trial_param(trial_id, path, distribution.to_internal_repr(value), distribution)
    for key, attr in proposal.attrs.items():
        storage.set_trial_user_attr(trial_id, key, attr)
    for key, attr in proposal.system_attrs.items():
        storage.set_trial_system_attr(trial_id, key, attr)


def write_rungs(storage: BaseStorage, trial_id: int, rungs: Mapping[int, float]) -> None:
    """Write the rungs that are not written yet."""
    written = storage.get_trial(trial_id).intermediate_values
    for rung, score in rungs.items():
        if rung not in written:
            storage.set_trial_intermediate_value(trial_id, rung, score)


def write_ending(storage: BaseStorage, trial_id: int, ending: Ending) -> None:
    """Write rungs and attributes, and last of all the state."""
    write_rungs(storage, trial_id, ending.rungs)
    for key, attr in ending.attrs.items():
        storage.set_trial_user_attr(trial_id, key, attr)
    for key, attr in ending.system_attrs.items():
        storage.set_trial_system_attr(trial_id, key, attr)
    storage.set_trial_state_values(trial_id, ending.state, None if ending.value is None else [ending.value])


class PlainLedger:
    """A ledger through Optuna's own interface: for memory, journals and whatever storage a person brings.

    Its steps are several writes. In a journal file they are done while no other process writes; processes that share a
    storage without a lock at the same moment may create a row more than they were asked for.

    Parameters
    ----------
    storage : BaseStorage
        Where the study lives.
    study_id : int
        Which one it is.
    say : callable
        Told a line when an owner on another host is no longer heard of.
    """

    def __init__(self, storage: BaseStorage, study_id: int, say: Callable[[str], Any] = lambda line: None) -> None:
        self._storage = storage
        self._say = say
        self._heard: dict[int, tuple[tuple[str, Any], float]] = {}
        self._missed: set[str] = set()
        self._heart: threading.Thread | None = None
        self._study_id = study_id
        self._me = this_owner()
        self._held: dict[int, int] = {}
        self._over: set[int] = set()
        self._n_settled = 0  # as many rows from the first on are over

    def news(self) -> Sequence[FrozenTrial]:
        """Return the rows that are new or may have changed since the last call, by number; not those held here."""
        with self._telling():
            rows = self._storage.get_all_trials(self._study_id, deepcopy=False)
        newer = rows[self._n_settled :]
        found = [row for row in newer if row.number not in self._over and row.number not in self._held]
        self._over.update(row.number for row in found if row.state.is_finished())
        while self._n_settled in self._over:
            self._over.remove(self._n_settled)
            self._n_settled += 1
        return found

    def claim(self, propose: Propose, limit: int | None) -> int | None:
        """Create a RUNNING row with its parameters and owner, in one write."""
        while True:
            number = self._count()
            if limit is not None and number >= limit:
                return None
            proposal = propose(number)
            if proposal is not None and (claimed := self._insert(number, proposal)) is not None:
                return claimed

    def describe(self, number: int, proposal: Proposal) -> None:
        """Write the parameters of a row that its owner left without."""
        with self._alone():
            write_proposal(self._storage, self._held[number], proposal)

    def adopt(self, number: int) -> bool:
        """Take over a row whose owner is dead, has given it back, or has not been heard of for the time of a lease."""
        with self._alone():
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
            row = self._storage.get_trial(trial_id)
            if row.state.is_finished() or not self._is_gone(row):
                return False
            self._storage.set_trial_user_attr(trial_id, OWNER, self._me)
        self._hold(number, trial_id)
        return True

    def reach(self, number: int, rungs: Mapping[int, float]) -> bool:
        """Write what is not written yet, as long as the row is held here."""
        with self._alone():
            if self._is_mine(number):
                write_rungs(self._storage, self._held[number], rungs)
        return True

    def note(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Write user attributes."""
        for key, attr in attrs.items():
            self._storage.set_trial_user_attr(self._held[number], key, attr)

    def finish(self, number: int, ending: Ending) -> bool:
        """Write rungs and attributes, and last of all the state."""
        with self._alone():
            if not self._is_mine(number):
                del self._held[number]
                return False
            write_ending(self._storage, self._held[number], ending)
        self._over.add(number)
        del self._held[number]
        return True

    def give_back(self, number: int, rungs: Mapping[int, float]) -> None:
        """Write what was reached and blank the owner, as long as it is this process."""
        with self._alone():
            if self._is_mine(number):
                write_rungs(self._storage, self._held[number], rungs)
                self._storage.set_trial_user_attr(self._held[number], OWNER, "")
        del self._held[number]

    def patiently(self, step: Callable[[], T]) -> T:
        """Do it."""
        with self._telling():
            return step()

    def wait_until(self, end: float) -> None:
        """Nothing is waited for."""

    def _count(self) -> int:
        with self._telling():
            return self._storage.get_n_trials(self._study_id)

    def _insert(self, number: int, proposal: Proposal) -> int | None:
        """Create the row; None where its number has been taken meanwhile."""
        row = create_trial(
            state=TrialState.RUNNING,
            params={path: value for path, (value, _) in proposal.params.items()},
            distributions={path: distribution for path, (_, distribution) in proposal.params.items()},
            user_attrs={**proposal.attrs, OWNER: self._me},
        )
        with self._alone():
            if self._count() != number:
                return None
            trial_id = self._storage.create_new_trial(self._study_id, row)
            number = self._storage.get_trial_number_from_id(trial_id)
        self._hold(number, trial_id)
        return number

    def _is_gone(self, row: FrozenTrial) -> bool:
        """Return whether a row's owner is; one on another host is when its beat has stayed as it is, by this clock."""
        owner = row.user_attrs.get(OWNER)
        if not owner or is_of_this_host(owner):
            return is_dead(owner)
        heard, now = (owner, row.system_attrs.get(BEAT)), time.monotonic()
        if self._heard.get(row.number, ("", 0.0))[0] != heard:
            self._heard[row.number] = heard, now
        silence = now - self._heard[row.number][1]
        if silence > LEASE_SECONDS / 3 and owner not in self._missed:
            self._missed.add(owner)
            host = owner.partition("/")[0]
            then = f"its trials are taken over after {LEASE_SECONDS:.0f} s"
            self._say(f"{host} has not been heard of for {silence:.0f} s; {then}")
        return silence > LEASE_SECONDS

    def _hold(self, number: int, trial_id: int) -> None:
        self._held[number] = trial_id
        shared = not isinstance(self._storage, InMemoryStorage)
        if shared and (self._heart is None or not self._heart.is_alive()):
            self._heart = threading.Thread(target=self._keep_beating, daemon=True)
            self._heart.start()

    def _keep_beating(self) -> None:
        """Say every so often that the owner of the held rows lives; ends when none is held."""
        for beat in count(1):
            time.sleep(BEAT_SECONDS)
            if not self._held:
                return
            with suppress(StorageError, UpdateFinishedTrialError), self._alone():
                for number, trial_id in list(self._held.items()):
                    if self._is_mine(number):
                        self._storage.set_trial_system_attr(trial_id, BEAT, beat)

    def _is_mine(self, number: int) -> bool:
        row = self._storage.get_trial(self._held[number])
        return not row.state.is_finished() and row.user_attrs.get(OWNER) == self._me

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Do several writes while no other process writes, where the storage has a lock for that."""
        with self._telling(), alone(self._storage):
            self._storage.get_study_name_from_id(self._study_id)  # it is still there
            yield

    @contextmanager
    def _telling(self) -> Iterator[None]:
        with telling_failures():
            try:
                yield
            except KeyError:
                raise StorageError(DELETED) from None
