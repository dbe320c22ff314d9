"""From a file, a frame or arrays to a checked `Table`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autotune.data.columns import as_dates, as_levels, as_numbers, read_cells, seconds, settle
from autotune.data.readers import Source, read_source, without_row_numbers
from autotune.data.target import Target, code_like, read_target
from autotune.data.task import Table
from autotune.data.wording import counted, listed, listed_rows
from autotune.errors import AutotuneError, DataError, raise_all
from autotune.registry import nearest, unknown_name

T = TypeVar("T")


def read_table(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    task: str | None = None,
    groups: Any = None,
    time: Any = None,
    positive: object = None,
    sample_weight: Any = None,
    lone_rows: bool = False,
) -> Table:
    """Read and check a table with its target, groups, time and weights.

    Infinities among the features stay in ``Table.X``; `autotune.data.schema.encode` reads them as missing and says so.

    Parameters
    ----------
    data : path, DataFrame or array-like of shape (n_rows, n_columns)
        See `autotune.data.readers.read_source`.
    y : array-like of shape (n_rows,), optional
        The target, when it is no column of `data`.
    target : str, optional
        Name of the target column; needed without `y`.
    task : {"binary", "multiclass", "classification", "regression"}, optional
        The kind of task, when it shall not be inferred.
    groups, time, sample_weight : str or array-like of shape (n_rows,), optional
        Name of a column, or values. The columns are taken out of the features, but for time, which stays one.
    positive : object, optional
        The positive class of a binary task.
    lone_rows : bool
        Whether a class may have a single row, as scikit-learn's conventions ask; folds train on it and never check it.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        Everything that is wrong with the table, together.
    UnknownNameError
        When no column carries a given name.
    MissingPackageError
        When the file needs a package that is not installed.

    Examples
    --------
    >>> table = read_table({"size": [1, 2, 3, 4], "sold": ["no", "yes", "no", "yes"]}, target="sold")
    >>> table.kind, table.classes.tolist(), table.y.tolist()
    ('binary', ['no', 'yes'], [0, 1, 0, 1])
    """
    source = without_row_numbers(read_source(data))
    problems = _Problems(_shape_problems(source, y))
    column = problems.of(lambda: _find_target(source, y, target))
    problems.raise_all()
    assert column is not None, "raise_all raised"
    read = problems.of(lambda: read_target(column, task=task, positive=positive, lone_rows=lone_rows))
    for what, side in (("groups", groups), ("time", time), ("sample_weight", sample_weight)):
        if y is None and isinstance(side, str) and side == column.name:
            problems.found.append(DataError(f"{side!r} is the target", what, "another column"))
    sides = _read_sides(source, problems, groups, time, sample_weight)
    problems.of(lambda: _refuse_weightless_classes(read, sides.weight))
    X = _take_features(source, problems, {str(column.name) if y is None else None, *sides.taken})
    problems.raise_all()
    assert isinstance(read, Target), "raise_all raised"
    return Table(
        X=X,
        y=read.y,
        kind=read.kind,
        reason=read.reason,
        classes=read.classes,
        name=source.name,
        target=str(column.name),
        groups=sides.groups,
        time=sides.time,
        weight=sides.weight,
        notes=(*source.notes, *read.notes),
        source=source.path,
    )


def read_test_table(
    data: Any, like: Table, y: Any = None, *, groups: Any = None, time: Any = None, sample_weight: Any = None
) -> Table:
    """Read a test table of its own: the columns, target and classes of a table that was read before.

    Parameters
    ----------
    data : path, DataFrame or array-like of shape (n_rows, n_columns)
        The test rows, with their target unless `y` holds it. Extra columns are ignored.
    like : Table
        The training table.
    y, groups, time, sample_weight
        As given to `read_table`.

    Returns
    -------
    Table
        Its features are those of `like`, in that order.

    Raises
    ------
    DataError
        When a feature or the target is missing, or a class was never seen in `like`.

    Examples
    --------
    >>> table = read_table([[1], [2], [3], [4]], [0, 1, 0, 1])
    >>> read_test_table([[5]], table, [1]).y
    array([1])
    """
    source = read_source(data)
    problems = _Problems([] if len(source.frame) else _shape_problems(source, y))
    column = problems.of(lambda: _find_target(source, y, like.target))
    problems.raise_all()
    assert column is not None, "raise_all raised"
    coded = problems.of(lambda: code_like(column, like))
    sides = _read_sides(source, problems, groups, time, sample_weight)
    problems.of(lambda: require_columns(source.frame, list(like.X.columns), source.where))
    problems.raise_all()
    assert coded is not None, "raise_all raised"
    return Table(
        X=source.frame[list(like.X.columns)],
        y=coded,
        kind=like.kind,
        reason=like.reason,
        classes=like.classes,
        name=source.name,
        target=like.target,
        groups=sides.groups,
        time=sides.time,
        weight=sides.weight,
        notes=source.notes,
    )


def read_features(data: Any) -> pd.DataFrame:
    """Read rows to predict: a file, a frame or an array, whose columns are named ``x0``, ``x1`` and so on.

    Returns
    -------
    DataFrame, shape (n_rows, n_columns)
        With text column names and a plain index.

    Raises
    ------
    DataError
        When the file or array cannot be read.

    Examples
    --------
    >>> read_features([[1, 2]]).columns.tolist()
    ['x0', 'x1']
    """
    return read_source(data).frame


def require_columns(frame: pd.DataFrame, names: list[str], where: str) -> None:
    """Raise a DataError that names every missing column, each with the name that is spelled most like it."""
    missing = [name for name in names if name not in frame]
    if not missing:
        return
    extra = [str(name) for name in frame.columns if name not in names]
    pairs = [(nearest(name, extra), name) for name in missing[:10]]
    renamed = ", ".join(f"rename {close!r} to {name!r}" for close, name in pairs if close)
    what = "the column" if len(missing) == 1 else f"{len(missing)} columns"
    raise DataError(f"{what} {listed(missing)} {'is' if len(missing) == 1 else 'are'} missing", where, renamed or None)


@dataclass
class _Problems:
    """What is wrong with a table, collected so that it is shown together."""

    found: list[AutotuneError] = field(default_factory=list)

    def of(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except AutotuneError as error:
            self.found.append(error)
            return None

    def raise_all(self) -> None:
        raise_all(self.found)


def _shape_problems(source: Source, y: Any) -> list[AutotuneError]:
    """Find what scikit-learn's checks look for too, in its words."""
    frame, where = source.frame, source.where
    n_rows, n_columns = frame.shape
    if n_columns == 0:
        shape = f"0 feature(s) (shape=({n_rows}, 0)) while a minimum of 1 is required."
        return [DataError(f"the table has no columns: {shape}", where)]
    if n_rows == 0:
        shape = f"0 sample(s) (shape=(0, {n_columns})) while a minimum of 1 is required."
        return [DataError(f"the table has no rows: {shape}", where)]
    if n_rows == 1:
        return [DataError("one row is too few (n_samples = 1)", where)]
    if isinstance(y, str):
        return [DataError(f"y is the text {y!r}, not one value for each row", "y", f"target={y!r}")]
    if y is not None and _length(y) not in (None, n_rows):
        return [DataError(f"the table has {n_rows:,} rows and y has {_length(y):,}", "y", "one value for each row")]
    return []


def _length(values: Any) -> int | None:
    return len(values) if hasattr(values, "__len__") else None


def _find_target(source: Source, y: Any, target: str | None) -> pd.Series[Any]:
    """Return the target's cells, named."""
    if y is not None:
        column = _from_values(y, "y", str(target or getattr(y, "name", None) or "target"))
        if column.name in source.frame and source.frame[str(column.name)].equals(column):
            hint = f"X.drop(columns={column.name!r}), or target={column.name!r} without y"
            raise DataError(f"the features still hold the target {column.name!r}", source.where, hint)
        return column
    columns = list(source.frame.columns)
    if target is None and not source.named:
        raise DataError("tuning requires y to be passed, but the target y is None", "y", "tune(X, y)")
    if target is None:
        shown = ", ".join(columns[:30]) + (f", … ({len(columns)} in all)" if len(columns) > 30 else "")
        close = columns[-1] if columns else "COLUMN"
        raise DataError(f"the target is not named; the columns are: {shown}", source.where, f'target="{close}"')
    return _find_column(source, target)


def _find_column(source: Source, name: object) -> pd.Series[Any]:
    if str(name) not in source.frame:
        raise unknown_name("column", str(name), source.frame.columns, source.where)
    return source.frame[str(name)]


def _from_values(values: Any, what: str, name: str) -> pd.Series[Any]:
    """Make a column of an array, a list or a series; a single column of two dimensions is flattened."""
    if hasattr(values, "to_pandas"):
        values = values.to_pandas()
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0] if values.shape[1] == 1 else values.to_numpy()
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True).rename(name)
    array = np.asarray(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{what} should be a 1d array, got an array of shape {array.shape} instead", what)
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported", what)
    return pd.Series(array, name=name).infer_objects() if array.dtype == object else pd.Series(array, name=name)


@dataclass(frozen=True, slots=True)
class _Sides:
    groups: NDArray[np.int64] | None
    time: NDArray[np.float64] | None
    weight: NDArray[np.float64] | None
    taken: frozenset[str]


def _read_sides(source: Source, problems: _Problems, groups: Any, time: Any, weight: Any) -> _Sides:
    """Read groups, time and weights; the names of the columns that are no features are in `taken`."""
    taken = frozenset(name for name in (groups, weight) if isinstance(name, str))
    return _Sides(
        problems.of(lambda: _read_side(source, "groups", groups, _read_groups)),
        problems.of(lambda: _read_side(source, "time", time, _read_time)),
        problems.of(lambda: _read_side(source, "sample_weight", weight, _read_weight)),
        taken,
    )


def _read_side(source: Source, what: str, value: Any, read: Callable[[pd.Series[Any], str], T]) -> T | None:
    if value is None:
        return None
    if isinstance(value, str):
        return read(_find_column(source, value), f"{what} {value!r}")
    if not hasattr(value, "__len__"):
        raise DataError(f"{what}={value!r} is no column", what, "the name of a column, or a value for each row")
    if len(value) != len(source.frame):
        raise DataError(f"the table has {len(source.frame):,} rows and {what} has {len(value):,}", what)
    return read(_from_values(value, what, what), what)


def _refuse_missing(missing: NDArray[np.bool_], where: str, what: str) -> None:
    rows = np.flatnonzero(missing)
    if len(rows):
        raise DataError(f"{counted(len(rows), 'row')} without a {what} ({listed_rows(rows)})", where, "fill them in")


def _read_groups(column: pd.Series[Any], where: str) -> NDArray[np.int64]:
    codes, levels = as_levels(read_cells(column))
    _refuse_missing(codes < 0, where, "group")
    rank = np.empty(len(levels), dtype=np.int64)
    rank[np.argsort(levels.astype(str), kind="stable")] = np.arange(len(levels))
    return rank[codes]


def _read_time(column: pd.Series[Any], where: str) -> NDArray[np.float64]:
    cells = settle(read_cells(column))
    if cells.form == "text":
        _, unread = as_dates(cells)
        example = ", ".join(map(repr, unread[:3]))
        raise DataError(f"no dates or numbers: {example}", where, "dates written as 2024-01-31 or 2024-01-31 23:59:00")
    values = seconds(cells.dates) if cells.form == "date" else cells.numbers
    _refuse_missing(~np.isfinite(values), where, "time")
    return values


def _read_weight(column: pd.Series[Any], where: str) -> NDArray[np.float64]:
    values, unread = as_numbers(settle(read_cells(column)))
    if len(unread):
        raise DataError(f"weights are numbers, and {unread[0]!r} is none", where)
    _refuse_missing(~np.isfinite(values), where, "weight")
    if (values < 0).any():
        raise DataError(f"{counted(int((values < 0).sum()), 'negative weight')}", where, "weights of 0 or more")
    if not values.any():
        raise DataError("all weights are 0", where, "weights of 0 or more, some above 0")
    return values


def _refuse_weightless_classes(read: Target | None, weight: NDArray[np.float64] | None) -> None:
    if read is None or read.classes is None or weight is None or len(weight) != len(read.y):
        return
    if len(np.unique(read.y[weight > 0])) < 2:
        raise DataError("rows of only one class have a sample_weight above 0", "sample_weight")


def _take_features(source: Source, problems: _Problems, taken: set[str | None]) -> pd.DataFrame:
    X = source.frame[[name for name in source.frame.columns if name not in taken]]
    if not X.shape[1]:
        shape = f"0 feature(s) (shape=({len(X)}, 0)) while a minimum of 1 is required."
        problems.found.append(DataError(f"no column is left to learn from: {shape}", source.where))
    for name in X.columns:
        if not pd.api.types.is_numeric_dtype(X[name]) or pd.api.types.is_complex_dtype(X[name]):
            column = X[name]
            problems.of(lambda column=column: read_cells(column))  # type: ignore[misc]  # a lambda's default has no type
    return X
