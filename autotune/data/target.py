"""The target: which kind of task it is and why, its classes as they came, and its codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autotune.data.columns import as_numbers, read_cells, settle, text_of
from autotune.data.task import Table, TaskKind
from autotune.data.wording import counted, listed, listed_rows
from autotune.errors import DataError, SettingsError
from autotune.registry import unknown_name

MOST_INTEGER_CLASSES = 20
ENOUGH_ROWS_OF_A_CLASS = 5
TASKS = ("binary", "multiclass", "classification", "regression")


@dataclass(frozen=True, slots=True)
class Target:
    """A target that was read: `Table`'s y, kind, reason and classes, and notes."""

    y: NDArray[Any]
    kind: TaskKind
    reason: str
    classes: NDArray[Any] | None
    notes: tuple[str, ...] = ()


def read_target(
    column: pd.Series[Any], *, task: str | None = None, positive: object = None, lone_rows: bool = False
) -> Target:
    """Read a target column.

    Parameters
    ----------
    column : Series, shape (n_rows,)
        The target as it came; its name is used in messages.
    task : {"binary", "multiclass", "classification", "regression"}, optional
        The kind of task, when it shall not be inferred.
    positive : object, optional
        The class of a binary task that is moved last; the text ``"1"`` names the class 1 too.
    lone_rows : bool
        Whether a class may have a single row.

    Returns
    -------
    Target

    Raises
    ------
    DataError
        When cells are missing or infinite, when there is one class only or a class with a single row, or when the
        values do not fit the task.
    UnknownNameError
        When `task` is no kind of task, or no class is called `positive`.

    Examples
    --------
    >>> read_target(pd.Series(["b", "a", "b", "a"], name="grade")).reason
    'the target holds text with 2 distinct values'
    """
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS, "task")
    _refuse_missing(column)
    regression, reason, notes = _infer(column, task)
    if regression:
        if positive is not None:
            raise SettingsError("positive names a class, and regression has none", "positive", 'task="binary"')
        return _read_values(column, reason, notes)
    read = _read_classes(column, task, reason, notes, positive)
    if not lone_rows and read.classes is not None:
        _refuse_single_rows(column, read.classes, read.y)
    return read


def code_like(column: pd.Series[Any], like: Table) -> NDArray[Any]:
    """Code another target column with the classes of a table that was read before.

    Returns
    -------
    ndarray, shape (n_rows,)
        Class codes (int64) or values (float64).

    Raises
    ------
    DataError
        When cells are missing, or a class was never seen.
    """
    _refuse_missing(column)
    if like.classes is None:
        return _read_values(column, "", ()).y
    known = pd.Index(text_of(like.classes), dtype=object)
    codes, found = pd.factorize(column)
    levels = known.get_indexer(pd.Index(text_of(found), dtype=object))
    if (levels < 0).any():
        unseen = text_of(found)[levels < 0].tolist()
        problem = f"{counted(len(unseen), 'class')} that the training table does not have: {listed(unseen)}"
        raise DataError(problem, _column(column), f"one of: {listed(known, 20)}")
    return np.asarray(levels[codes], dtype=np.int64)


def _column(column: pd.Series[Any]) -> str:
    return f"target {column.name!r}"


def _refuse_missing(column: pd.Series[Any]) -> None:
    missing = np.flatnonzero(column.isna())
    if len(missing) == len(column):
        raise DataError(f"all {counted(len(column), 'cell')} of the target are missing", _column(column))
    if len(missing):
        raise DataError(
            f"the target is missing in {len(missing):,} of {counted(len(column), 'row')} ({listed_rows(missing)})",
            _column(column),
            "remove these rows, or fill them in",
        )


def _infer(column: pd.Series[Any], task: str | None) -> tuple[bool, str, tuple[str, ...]]:
    """Return whether it is regression, why, and what to say of it."""
    cells = settle(read_cells(column))
    if task is not None:
        if task == "regression" and cells.form == "boolean":
            return True, 'task="regression" was given', (f"{_column(column)}: false is read as 0, true as 1",)
        return task == "regression", f'task="{task}" was given', ()
    text = isinstance(column.dtype, pd.CategoricalDtype) or read_cells(column).form == "text"
    n_distinct = int(column.nunique())
    match cells.form:
        case "date":
            raise DataError("the target holds dates", _column(column), "a number of days, or a class for each row")
        case "boolean":
            return False, f"the target holds true and false with {n_distinct} distinct values", ()
        case "text":
            return False, f"the target holds text with {n_distinct} distinct values", ()
        case _ if text:
            hint = (
                f'{_column(column)}: text that holds numbers is taken as classes; for numbers write task="regression"'
            )
            return False, f"the target holds text with {n_distinct} distinct values", (hint,)
    return _infer_from_numbers(column, cells.numbers)


def _infer_from_numbers(column: pd.Series[Any], values: NDArray[np.float64]) -> tuple[bool, str, tuple[str, ...]]:
    _, counts = np.unique(values, return_counts=True)
    n_distinct = len(counts)
    if n_distinct <= 2:
        return False, f"the target holds numbers with {n_distinct} distinct values", ()
    whole = bool(np.all(np.isfinite(values)) and np.all(values == np.floor(values)))
    if not whole:
        return True, "the target holds numbers with fractions", ()
    if n_distinct > MOST_INTEGER_CLASSES:
        return True, f"the target holds whole numbers with {n_distinct:,} distinct values", ()
    enough = max(2, min(ENOUGH_ROWS_OF_A_CLASS, len(values) // (2 * n_distinct)))
    reason = f"the target holds whole numbers with {n_distinct} distinct values"
    if counts.min() >= enough:
        note = (
            f'{_column(column)}: {n_distinct} whole numbers are taken as classes; for numbers write task="regression"'
        )
        return False, f"{reason}, the rarest in {counted(counts.min(), 'row')}", (note,)
    note = f'{_column(column)}: whole numbers are taken as numbers; for classes write task="classification"'
    return True, f"{reason}, the rarest in {counted(counts.min(), 'row')}", (note,)


def _refuse_continuous(column: pd.Series[Any]) -> None:
    """Refuse classes that are numbers with fractions, in the words that scikit-learn's checks look for."""
    if not pd.api.types.is_float_dtype(column):
        return
    values = column.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError("the target holds infinity", _column(column), "remove these rows")
    if column.nunique() > MOST_INTEGER_CLASSES and np.any(values != np.floor(values)):
        raise DataError(
            f"Unknown label type: continuous. The target holds {column.nunique():,} numbers with fractions, no classes",
            _column(column),
            'task="regression"',
        )


def _read_values(column: pd.Series[Any], reason: str, notes: tuple[str, ...]) -> Target:
    cells = read_cells(column)
    values, unread = as_numbers(cells)
    if len(unread):
        raise DataError(
            f"regression needs numbers, and the target holds {listed(unread.tolist(), 5)}",
            _column(column),
            'task="classification"',
        )
    missing = int(np.isnan(values).sum())
    if missing:
        raise DataError(f"{counted(missing, 'blank cell')} in the target", _column(column), "remove these rows")
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise DataError(f"the target holds infinity ({listed_rows(infinite)})", _column(column), "remove these rows")
    if cells.form == "text":
        notes = (*notes, f"{_column(column)}: text that holds numbers, read as numbers")
    if len(values) > 1 and np.all(values == values[0]):
        notes = (*notes, f"{_column(column)}: every value is {values[0]:g}; there is nothing to learn")
    return Target(values.astype(np.float64), "regression", reason, None, notes)


def _read_classes(
    column: pd.Series[Any], task: str | None, reason: str, notes: tuple[str, ...], positive: object
) -> Target:
    _refuse_continuous(column)
    classes = _sorted_classes(column)
    if len(classes) == 1:
        raise DataError(f"the target holds only one class, {classes.tolist()[0]!r}", _column(column))
    if task == "binary" and len(classes) > 2:
        raise DataError(
            f"a binary task has 2 classes; the target holds {len(classes)}: {listed(classes.tolist())}",
            _column(column),
            'task="multiclass"',
        )
    if task == "multiclass" and len(classes) == 2:
        raise DataError(f"the target holds 2 classes: {listed(classes.tolist())}", _column(column), 'task="binary"')
    if positive is not None:
        classes = _with_last(classes, positive)
    codes = pd.Index(classes).get_indexer(pd.Index(column.to_numpy(dtype=classes.dtype)))
    kind: TaskKind = "binary" if len(classes) == 2 else "multiclass"
    return Target(np.asarray(codes, dtype=np.int64), kind, reason, classes, notes)


def _sorted_classes(column: pd.Series[Any]) -> NDArray[Any]:
    """Return the classes in the type they came in, sorted; ordered categories keep their order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories().cat.categories
        ordered = used if column.cat.ordered else used.sort_values()
        return ordered.to_numpy(dtype=object) if pd.api.types.is_string_dtype(ordered) else np.asarray(ordered)
    found = column.unique()
    plain = np.asarray(found) if column.dtype.kind in "biuf" else np.asarray(found, dtype=object)
    if plain.dtype == object and pd.api.types.infer_dtype(plain) in ("boolean", "integer"):
        plain = np.array(plain.tolist())
    if plain.dtype != object:
        return np.sort(plain)
    return np.array(sorted(plain.tolist(), key=_sorting(plain)), dtype=object)


def _sorting(values: NDArray[Any]) -> Any:
    """Return a sort key: values of one type by themselves, of several types by type first."""
    one_type = len({type(value) for value in values.tolist()}) == 1
    return None if one_type else lambda value: (type(value).__name__, str(value))


def _with_last(classes: NDArray[Any], positive: object) -> NDArray[Any]:
    """Return the two classes with the positive one last."""
    if len(classes) != 2:
        raise SettingsError(
            f"positive={positive!r} names a class of a binary task; the target holds {len(classes)} classes", "positive"
        )
    texts = text_of(classes).tolist()
    wanted = text_of([positive])[0] if not isinstance(positive, str) else positive
    lowered = [text.lower() for text in texts]
    if wanted not in texts and wanted.lower() not in lowered:
        raise unknown_name("class", positive, texts, "positive")
    at = texts.index(wanted) if wanted in texts else lowered.index(wanted.lower())
    return classes if at == 1 else classes[::-1].copy()


def _refuse_single_rows(column: pd.Series[Any], classes: NDArray[Any], codes: Any) -> None:
    counts = np.bincount(codes, minlength=len(classes))
    if (counts == 1).any():
        alone = classes[counts == 1]
        what = "a class" if len(alone) == 1 else f"{len(alone)} classes"
        raise DataError(
            f"{what} with a single row: {listed(alone.tolist())}",
            _column(column),
            "remove the row, or join it to another class",
        )
