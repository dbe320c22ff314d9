"""The test rows, set aside once, and the folds of the search rows: both are drawn in the same way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autotune.data.given_folds import Index, Pair, read_folds
from autotune.data.task import Table, TaskKind
from autotune.data.wording import counted
from autotune.errors import DataError, SettingsError

DEFAULT_FOLDS = 5
FEWEST_ROWS_OF_A_CLASS = 2
_DRAWS = 20


@dataclass(frozen=True, slots=True)
class Folds:
    """The folds of a cross-validation.

    Attributes
    ----------
    pairs : tuple of (ndarray of intp, ndarray of intp)
        Training and validation rows of each fold.
    scheme : str
        How they were drawn, such as ``"5-fold stratified, shuffled"``.
    notes : tuple of str
        What was changed from the default.
    """

    pairs: tuple[Pair, ...]
    scheme: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)


def read_test_size(value: Any) -> int | float | None:
    """Read a number of test rows, or a share of them; None stands for anything else, such as a table of its own.

    Raises
    ------
    SettingsError
        When a number is no share below 1 and no number of rows.

    Examples
    --------
    >>> read_test_size("0.25"), read_test_size(200), read_test_size("test.csv")
    (0.25, 200, None)
    """
    number = _number(value)
    if number is None:
        return None
    if number == 0:
        return 0
    if 0 < number < 1:
        return number
    if number > 0 and number.is_integer() and (number > 1 or not isinstance(value, float)):
        return int(number)
    raise SettingsError(
        f"test_size={value!r} is no share and no number of rows", "test_size", "0.2, a number of rows, or 0 for none"
    )


def split_test(table: Table, test_size: Any, seed: int) -> tuple[Index, Index]:
    """Set the test rows aside: stratified, plain, by whole groups, or the last rows in time.

    Parameters
    ----------
    table : Table
        Its y, kind, groups and time say how.
    test_size : float, int or str
        Share or number of rows; 0 for none. With groups or equal times it is met as nearly as they allow.
    seed : int
        The same seed draws the same rows.

    Returns
    -------
    search, test : ndarray of intp
        Row positions, sorted; for a table with time too.

    Raises
    ------
    SettingsError
        When `test_size` is no number, or both groups and time are given.
    DataError
        When too few rows of a class would be left to search on.

    Examples
    --------
    >>> from autotune.data.tables import read_table
    >>> table = read_table([[i] for i in range(10)], [0, 1] * 5)
    >>> search, test = split_test(table, 0.2, seed=0)
    >>> len(search), table.y[test].tolist()
    (8, [0, 1])
    """
    size = read_test_size(test_size)
    if size is None:
        raise SettingsError(f"test_size={test_size!r} is no number", "test_size", "0.2, a number of rows, or 0")
    n_rows = len(table.y)
    everything = np.arange(n_rows, dtype=np.intp)
    if size == 0:
        return everything, everything[:0]
    _refuse_groups_in_time(table.groups, table.time)
    n_test = int(np.ceil(size * n_rows)) if isinstance(size, float) else size
    if n_test > n_rows - 2:
        raise DataError(
            f"test_size={test_size} leaves {max(n_rows - n_test, 0)} of {n_rows} rows to search on", "test_size"
        )
    mask = np.zeros(n_rows, dtype=bool)
    mask[_draw_test(table, n_test, np.random.default_rng(seed))] = True
    if not mask.any():
        raise DataError(f"test_size={test_size} leaves no row for the test", "test_size", "test_size=0 for no test")
    _require_classes(table, everything[~mask], test_size)
    return everything[~mask], everything[mask]


def make_folds(
    y: NDArray[Any],
    kind: TaskKind,
    groups: NDArray[np.int64] | None = None,
    time: NDArray[np.float64] | None = None,
    cv: Any = None,
    seed: int = 0,
    *,
    classes: Sequence[Any] | NDArray[Any] | None = None,
) -> Folds:
    """Draw the folds.

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Class codes, or values, of the search rows.
    kind : {"binary", "multiclass", "regression"}
        Folds of classes are stratified.
    groups, time : ndarray or None, shape (n_rows,)
        Groups stay in one fold; folds in time train on the past only.
    cv : int, str, splitter or iterable of (train, validation), optional
        Number of folds, ``"5x2"`` for 5 folds repeated twice, a scikit-learn splitter, or the row positions themselves.
        By default 5 folds, fewer where the rows, classes or groups carry no more.
    seed : int
        The same arguments draw the same folds.
    classes : sequence, optional
        What the codes stand for, for messages.

    Returns
    -------
    Folds

    Raises
    ------
    DataError
        When the rows, classes or groups do not carry the folds.
    SettingsError
        When `cv` is no number of folds, or both groups and time are given.
    PlugInError
        When a splitter yields rows that do not exist, no rows, or one row on both sides.

    Examples
    --------
    >>> folds = make_folds(np.array([0, 1] * 10), "binary")
    >>> folds.scheme, len(folds)
    ('5-fold stratified, shuffled', 5)
    """
    names = (
        list(range(int(y.max()) + 1) if classes is None else np.asarray(classes).tolist())
        if kind != "regression"
        else []
    )
    if cv is not None and not isinstance(cv, str) and _number(cv) is None:
        pairs, scheme = read_folds(cv, y, groups)
        return Folds(_checked(pairs, y, names), scheme)
    _refuse_groups_in_time(groups, time)
    asked, repeats = _read_cv(cv)
    most, why = _most_folds(y, names, groups, time)
    n_folds = asked or max(2, min(DEFAULT_FOLDS, most))
    if most < n_folds:
        hint = f"cv={most}" if most >= 2 else "more rows"
        raise DataError(f"{n_folds} folds do not fit: {why}", "cv", hint)
    notes = () if asked or n_folds == DEFAULT_FOLDS else (f"{n_folds} folds instead of {DEFAULT_FOLDS}: {why}",)
    if time is not None:
        folds = _in_time(y, names, time, n_folds, repeats, notes)
        if asked and len(folds) < asked:
            raise DataError(f"{asked} folds do not fit: {folds.notes[-1]}", "cv", "leave cv out for as many as fit")
        return folds
    pairs = [pair for repeat in range(repeats) for pair in _shuffled(y, names, groups, n_folds, seed + repeat)]
    way = f"{n_folds}-fold" + (" stratified" if names else "") + (", whole groups" if groups is not None else "")
    scheme = f"{way}, shuffled" + (f", {repeats} times" if repeats > 1 else "")
    return Folds(_checked(pairs, y, names), scheme, notes)


def _number(value: Any) -> float | None:
    """Return a number or a text that is one as float, NaN for a boolean, None for anything else."""
    if isinstance(value, bool | np.bool_):
        return float("nan")
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _refuse_groups_in_time(groups: object, time: object) -> None:
    if groups is not None and time is not None:
        raise SettingsError(
            "groups and time cannot both decide which rows are checked: a group would stand in the past and the future",
            "groups, time",
            "one of them; or cv=<splitter> with test_size=0",
        )


def _draw_test(table: Table, n_test: int, rng: np.random.Generator) -> Index:
    if table.time is not None:
        return _last_in_time(table.time, n_test)
    if table.groups is not None:
        return _whole_groups(table, n_test, rng)
    if table.kind == "regression":
        return rng.permutation(len(table.y))[:n_test].astype(np.intp)
    return _stratified(table, n_test, rng)


def _last_in_time(time: NDArray[np.float64], n_test: int) -> Index:
    """Return the last rows in time; rows of one time stay on one side, whichever is nearer to the number asked."""
    boundary = np.sort(time)[len(time) - n_test]
    candidates = [np.flatnonzero(time >= boundary), np.flatnonzero(time > boundary)]
    fitting = [rows for rows in candidates if 0 < len(rows) <= len(time) - 2]
    if not fitting:
        raise DataError("too many rows have the same time to set the last ones aside", "time", "test_size=0")
    return min(fitting, key=lambda rows: abs(len(rows) - n_test))


def _whole_groups(table: Table, n_test: int, rng: np.random.Generator) -> Index:
    """Draw whole groups several times; keep the draw that is nearest in size and in its share of each class."""
    labels, codes = np.unique(np.asarray(table.groups), return_inverse=True)
    if len(labels) < 2:
        raise DataError("all rows are of one group; a test needs groups of its own", "groups", "test_size=0")
    y = table.y if table.kind != "regression" else np.zeros(len(table.y), dtype=np.int64)
    counts = np.zeros((len(labels), int(y.max()) + 1))
    np.add.at(counts, (codes, y), 1)
    shares, best, least = counts.sum(axis=0) / len(y), codes[:0], np.inf
    for _ in range(_DRAWS):
        order = rng.permutation(len(labels))
        n_groups = 1 + int(np.argmin(np.abs(np.cumsum(counts[order].sum(axis=1))[:-1] - n_test)))
        drawn = counts[order[:n_groups]].sum(axis=0)
        lacking = (counts.sum(axis=0) - drawn < FEWEST_ROWS_OF_A_CLASS).sum()
        cost = abs(drawn.sum() - n_test) / n_test + np.abs(drawn / drawn.sum() - shares).sum() + 10.0 * lacking
        if cost < least:
            best, least = order[:n_groups], cost
    return np.flatnonzero(np.isin(codes, best))


def _stratified(table: Table, n_test: int, rng: np.random.Generator) -> Index:
    """Draw the same share of each class, leaving at least two of its rows to search on."""
    counts = np.bincount(table.y, minlength=len(_class_names(table)))
    fair = n_test * counts / len(table.y)
    room = np.maximum(counts - FEWEST_ROWS_OF_A_CLASS, 0)
    quota = np.minimum(np.floor(fair).astype(np.int64), room)
    while quota.sum() < n_test and (quota < room).any():
        quota[np.argmax(np.where(quota < room, fair - quota, -np.inf))] += 1
    if quota.sum() < n_test:
        raise DataError(
            f"{n_test} test rows leave no {FEWEST_ROWS_OF_A_CLASS} rows of each class to search on",
            "test_size",
            f"test_size={int(room.sum())} or less",
        )
    drawn = [rng.permutation(np.flatnonzero(table.y == code))[:number] for code, number in enumerate(quota)]
    return np.concatenate(drawn).astype(np.intp)


def _class_names(table: Table) -> list[Any]:
    return [] if table.classes is None else table.classes.tolist()


def _require_classes(table: Table, search: Index, test_size: Any) -> None:
    names = _class_names(table)
    if not names:
        return
    counts = np.bincount(table.y[search], minlength=len(names))
    for name, count in zip(names, counts, strict=True):
        if count < FEWEST_ROWS_OF_A_CLASS:
            raise DataError(
                f"test_size={test_size} leaves {counted(count, 'row')} of class {name!r} to search on",
                "test_size",
                "fewer test rows, or test_size=0",
            )


def _read_cv(cv: Any) -> tuple[int | None, int]:
    """Return the number of folds, None for the default, and how often they are drawn."""
    if cv is None:
        return None, 1
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", str(cv).strip())
    if match is None or int(match[1]) < 2 or int(match[2] or 1) < 1:
        raise SettingsError(f"cv={cv!r} is no number of folds", "cv", 'cv=5, cv="5x2" or a splitter')
    return int(match[1]), int(match[2] or 1)


def _most_folds(
    y: NDArray[Any], names: list[Any], groups: NDArray[np.int64] | None, time: NDArray[np.float64] | None
) -> tuple[int, str]:
    """Return how many folds the rows carry, and what holds them back."""
    if time is not None:
        n_times = len(np.unique(time))
        return n_times - 1, f"there are {n_times} different times"
    if groups is None and not names:
        return len(y), f"there are {len(y)} rows"
    if groups is None:
        counts = np.bincount(y, minlength=len(names)).astype(np.float64)
        counts[counts == 1] = np.inf  # folds only train on a row that is alone in its class
        least = int(np.argmin(counts))
        if not np.isfinite(counts[least]):
            return 1, "each class has a single row"
        return int(counts[least]), f"class {names[least]!r} has {counted(int(counts[least]), 'row')}"
    n_groups = len(np.unique(groups))
    spread = [len(np.unique(groups[y == code])) for code in range(len(names))]
    if spread and min(spread) < n_groups:
        rarest = names[int(np.argmin(spread))]
        return min(spread), f"class {rarest!r} stands in {counted(min(spread), 'group')}"
    return n_groups, f"there are {n_groups} groups"


def _shuffled(
    y: NDArray[Any], names: list[Any], groups: NDArray[np.int64] | None, n_folds: int, seed: int
) -> list[Pair]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    rows, seed = np.zeros((len(y), 1)), seed % 2**32
    if groups is None and not names:
        return list(KFold(n_folds, shuffle=True, random_state=seed).split(rows))
    if groups is None:
        lone = np.flatnonzero(np.bincount(y)[y] == 1)
        others = np.setdiff1d(np.arange(len(y)), lone)
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        pairs = splitter.split(rows[others], y[others])
        return [(np.append(others[train], lone), others[valid]) for train, valid in pairs]
    if not names:
        return list(GroupKFold(n_folds, shuffle=True, random_state=seed).split(rows, y, groups))
    drawn: list[Pair] = []
    for draw in range(_DRAWS):  # all groups of a rare class may fall into one fold: then draw again
        by_group = StratifiedGroupKFold(n_folds, shuffle=True, random_state=(seed + 7919 * draw) % 2**32)
        drawn = list(by_group.split(rows, y, groups))
        if all(len(valid) and len(np.unique(y[train])) == len(names) for train, valid in drawn):
            break
    return drawn


def _in_time(
    y: NDArray[Any], names: list[Any], time: NDArray[np.float64], n_folds: int, repeats: int, notes: tuple[str, ...]
) -> Folds:
    """Train on all rows before a window in time and validate on the window; rows of one time stay together."""
    if repeats > 1:
        raise SettingsError("folds in time cannot be repeated: there is one order", "cv", f"cv={n_folds}")
    order = np.argsort(time, kind="stable")
    starts = len(y) - np.arange(n_folds, -1, -1) * (len(y) // (n_folds + 1))
    edges = np.unique(np.append(np.searchsorted(time[order], time[order][starts[:-1]], side="left"), len(y)))
    windows = [(order[:start], order[start:end]) for start, end in pairwise(edges) if start > 0]
    pairs = [pair for pair in windows if len(np.unique(y[pair[0]])) >= len(names)]
    if not pairs:
        raise DataError("no row in time has all classes before it", "time", "more rows, or no time")
    if len(pairs) < n_folds:
        why = "rows of equal times" if len(pairs) == len(windows) else "the first rows in time lack a class"
        notes = (*notes, f"{counted(len(pairs), 'fold')} instead of {n_folds}: {why}")
    return Folds(_checked(pairs, y, names), f"{len(pairs)} windows in time, trained on the past", notes)


def _checked(pairs: Sequence[Pair], y: NDArray[Any], names: list[Any]) -> tuple[Pair, ...]:
    """Return the pairs if each trains on every class."""
    for number, (train, valid) in enumerate(pairs):
        counts = np.bincount(y[train], minlength=len(names)) if names else np.ones(1)
        if not len(valid) or not len(train):
            raise DataError(f"fold {number} has no rows on one side", "cv", "fewer folds")
        if not counts.all():
            lacking = names[int(np.argmin(counts))]
            raise DataError(f"fold {number} trains without class {lacking!r}", "cv", "fewer folds, or other ones")
    return tuple((train.astype(np.intp), valid.astype(np.intp)) for train, valid in pairs)
