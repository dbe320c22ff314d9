"""From a table's columns to a `Schema`, decided on the search rows, and from rows to `Rows`, coded by it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autotune.data.columns import (
    Cells,
    as_booleans,
    as_dates,
    as_levels,
    as_numbers,
    read_cells,
    seconds,
    settle,
    text_of,
)
from autotune.data.tables import require_columns
from autotune.data.task import UNKNOWN_LEVEL, Column, Rows, Schema, Table
from autotune.data.wording import counted, listed
from autotune.errors import AutotuneError, DataError, raise_all

MANY_LEVELS = 1000
FEWEST_IDENTIFIERS = 50
_FIELDS = {"weekday": "day_of_week"}  # parts that pandas calls otherwise
DATE_PARTS = ("time", "year", "month", "day", "weekday", "hour", "minute")

Floats: TypeAlias = NDArray[np.float64]
Decision: TypeAlias = Column | Literal["empty", "constant", "identifiers"]


def decide(X: pd.DataFrame) -> tuple[Schema, tuple[str, ...]]:
    """Decide how each column is read, and which are left out.

    Columns without a value, with one value only, and text that differs in every row are left out. Text is read as
    booleans, numbers or ISO dates where all of it is; other text becomes levels. Dates are read in UTC.

    Parameters
    ----------
    X : DataFrame, shape (n_rows, n_columns)
        The features of the search rows, and of no others.

    Returns
    -------
    Schema
        The columns that a model reads.
    tuple of str
        What was left out or read in another way than it came, a line each.

    Raises
    ------
    DataError
        When no column is left, or a column holds what no model reads.

    Examples
    --------
    >>> schema, notes = decide(pd.DataFrame({"size": ["1", " ", "3"], "zone": ["a", "b", "a"], "one": [1, 1, 1]}))
    >>> [(column.name, column.kind) for column in schema.columns]
    [('size', 'numeric'), ('zone', 'categorical')]
    >>> notes
    ("column 'size': text that holds numbers; 1 blank cell read as missing", "constant, left out: 'one'")
    """
    columns: list[Column] = []
    left_out: dict[str, list[str]] = {"empty": [], "constant": [], "identifiers": []}
    notes: list[str] = []
    for name in X.columns:
        cells = settle(read_cells(X[name]))
        decision = _decide(str(name), cells)
        if isinstance(decision, str):
            left_out[decision].append(str(name))
            continue
        columns.append(decision)
        if remarks := (*cells.remarks, *_remarks(decision, cells)):
            notes.append(f"column {str(name)!r}: {'; '.join(remarks)}")
    if not columns:
        raise DataError("no column is left to learn from: " + "; ".join(_left_out_lines(left_out)))
    dropped = tuple(name for names in left_out.values() for name in names)
    return Schema(tuple(columns), dropped), (*notes, *_left_out_lines(left_out))


def encode(schema: Schema, X: pd.DataFrame, *, strict: bool = True) -> tuple[Rows, tuple[str, ...]]:
    """Code rows by a schema.

    Columns are found by name: their order does not matter, and extra ones are ignored. Infinities are read as missing.

    Parameters
    ----------
    schema : Schema
        As `decide` made it.
    X : DataFrame, shape (n_rows, n_columns)
        Features of any rows.
    strict : bool
        True raises for cells that do not fit their column's kind; False reads them as missing and says so.

    Returns
    -------
    Rows
        A level that the schema does not know has the code -1, a missing one 0.
    tuple of str
        What was read in another way than it came, a line each.

    Raises
    ------
    DataError
        When columns are missing, or (if strict) hold another type than the schema's.

    Examples
    --------
    >>> schema, _ = decide(pd.DataFrame({"size": [1.5, 2.0, 3.0], "zone": ["a", "b", "a"]}))
    >>> rows, _ = encode(schema, pd.DataFrame({"zone": ["b", "z", None], "size": [4, 5, 6]}))
    >>> rows.categorical[:, 0].tolist(), rows.numeric[:, 0].tolist()
    ([2, -1, 0], [4.0, 5.0, 6.0])
    """
    require_columns(X, [column.name for column in schema.columns], "the table")
    numeric = np.empty((len(X), len(schema.numeric_names)), dtype=np.float64)
    categorical = np.empty((len(X), len(schema.categorical_columns)), dtype=np.int32)
    notes: list[str] = []
    problems: list[AutotuneError] = []
    at_number = at_level = 0
    for column in schema.columns:
        try:
            cells = read_cells(X[column.name])
            if column.kind == "categorical":
                categorical[:, at_level], unread = _codes(column, cells)
                at_level += 1
            else:
                values, unread = _numbers(column, cells)
                width = values.shape[1]
                numeric[:, at_number : at_number + width], n_infinite = _finite(values)
                at_number += width
                notes += [_infinite_line(column, n_infinite)] if n_infinite else []
        except DataError as error:
            problems.append(error)
            continue
        if len(unread) and strict:
            problems.append(_retyped(column, unread))
        elif len(unread):
            notes.append(f"column {column.name!r}: read as missing, since it is {column.kind}: {_examples(unread)}")
    raise_all(problems)
    return Rows(numeric, categorical), tuple(notes)


def fingerprint_table(table: Table) -> str:
    """Return 16 hexadecimal digits over the values of a table, in whatever types it came.

    Equal tables have equal fingerprints, whether they come from CSV, from Parquet or as a slice of a larger frame.

    Examples
    --------
    >>> from autotune.data.tables import read_table
    >>> whole, fractional = read_table([[1], [2]] * 2, [0, 1] * 2), read_table([[1.0], [2.0]] * 2, [0.0, 1.0] * 2)
    >>> fingerprint_table(whole) == fingerprint_table(fractional)
    True
    """
    digest = hashlib.blake2b(digest_size=8)
    for name in table.X.columns:
        digest.update(f"\0{name}\0".encode())
        _update(digest, settle(read_cells(table.X[name])))
    digest.update(f"\0{table.target}\0{table.kind}\0".encode())
    if table.classes is not None:
        digest.update("\0".join(text_of(table.classes)).encode())
    for values in (table.y, table.groups, table.time, table.weight):
        digest.update(b"\0-" if values is None else b"\0" + np.ascontiguousarray(values + 0.0).tobytes())
    return digest.hexdigest()


def _decide(name: str, cells: Cells) -> Decision:
    """Decide on one column; one value beside missing cells is no constant, since what is missing may tell."""
    missing = cells.missing
    if missing.all():
        return "empty"
    gaps = bool(missing.any())
    match cells.form:
        case "text":
            return _decide_text(name, cells, gaps)
        case "date":
            dates = cells.dates[~missing]
            parts = tuple(part for part in DATE_PARTS if np.ptp(_date_part(dates, part)) > 0)
            return Column(name, "datetime", parts=parts or ("time",)) if parts or gaps else "constant"
        case form:
            varies = gaps or np.ptp(cells.numbers[~missing]) > 0
            return Column(name, "boolean" if form == "boolean" else "numeric") if varies else "constant"


def _decide_text(name: str, cells: Cells, gaps: bool) -> Decision:
    n_present = int((cells.codes >= 0).sum())
    if len(cells.levels) == 1 and not gaps:
        return "constant"
    if len(cells.levels) == n_present > FEWEST_IDENTIFIERS:
        return "identifiers"
    levels = cells.levels.tolist() if cells.ordered else sorted(cells.levels.tolist())
    return Column(name, "categorical", levels=tuple(levels))


def _remarks(column: Column, cells: Cells) -> tuple[str, ...]:
    """Say what a person may want to know of a column that is kept."""
    if column.kind == "datetime":
        return (f"dates, read as {', '.join(column.parts)}",)
    if column.kind != "categorical":
        return ()
    remarks = (f"{len(column.levels):,} levels",) if len(column.levels) > MANY_LEVELS else ()
    numbers, unread = as_numbers(cells)
    n_present = int((cells.codes >= 0).sum())
    if not cells.declared and len(unread) and np.isfinite(numbers).sum() >= 0.9 * n_present:
        return (*remarks, f"read as text, though most of it is numbers, because of {_examples(unread)}")
    return remarks


def _left_out_lines(left_out: dict[str, list[str]]) -> list[str]:
    words = {"empty": "empty", "constant": "constant", "identifiers": "another text in each row (names or free text)"}
    return [f"{words[why]}, left out: {listed(names)}" for why, names in left_out.items() if names]


def _examples(unread: NDArray[np.object_]) -> str:
    return listed(unread[:3].tolist())


def _date_part(dates: pd.DatetimeIndex, part: str) -> Floats:
    values = seconds(dates) if part == "time" else getattr(dates, _FIELDS.get(part, part))
    return np.asarray(values, dtype=np.float64)


def _numbers(column: Column, cells: Cells) -> tuple[Floats, NDArray[np.object_]]:
    """Return the numbers of a column, shape (n_rows, n_parts), and the texts that do not fit its kind."""
    if cells.missing.all():
        return np.full((len(cells.missing), len(column.parts) or 1), np.nan), np.empty(0, dtype=object)
    match column.kind:
        case "datetime":
            dates, unread = as_dates(cells)
            return np.column_stack([_date_part(dates, part) for part in column.parts]), unread
        case "boolean":
            values, unread = as_booleans(cells)
        case _:
            values, unread = as_numbers(cells)
    return values[:, np.newaxis], unread


def _finite(values: Floats) -> tuple[Floats, int]:
    infinite = np.isinf(values)
    n_infinite = int(infinite.sum())
    return (np.where(infinite, np.nan, values), n_infinite) if n_infinite else (values, 0)


def _codes(column: Column, cells: Cells) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Return level codes, shape (n_rows,), and the texts that show that the column has another type."""
    codes, levels = as_levels(cells)
    known = pd.Index(column.levels, dtype=object).get_indexer(pd.Index(levels, dtype=object)) + 1
    known[known == 0] = UNKNOWN_LEVEL
    coded = np.append(known, 0)[codes].astype(np.int32)
    retyped = cells.form != "text" and len(levels) and not (known > 0).any() and not _hold_numbers(column.levels)
    return coded, levels if retyped else levels[:0]


def _hold_numbers(levels: Sequence[str]) -> bool:
    return bool(pd.to_numeric(pd.Series(levels[:100], dtype=object), errors="coerce").notna().any())


def _infinite_line(column: Column, n_infinite: int) -> str:
    return f"column {column.name!r}: {counted(n_infinite, 'infinite cell')} read as missing"


def _retyped(column: Column, unread: NDArray[np.object_]) -> DataError:
    was = {"numeric": "numbers", "boolean": "true and false", "datetime": "dates", "categorical": "text"}[column.kind]
    return DataError(
        f"column {column.name!r} held {was} when the model was made, and now holds {_examples(unread)}",
        hint="give it the type that it had, or leave these cells empty",
    )


def _update(digest: Any, cells: Cells) -> None:
    """Add a column's values to a digest: the same for the same values."""
    match cells.form:
        case "text":
            hashes = np.append(pd.util.hash_array(cells.levels), 0) if len(cells.levels) else np.zeros(1, np.uint64)
            values = hashes.astype(np.uint64)[cells.codes]
        case "date":
            values = pd.util.hash_array(seconds(cells.dates))
        case _:
            numbers = np.where(np.isfinite(cells.numbers), cells.numbers + 0.0, np.nan)
            values = pd.util.hash_array(numbers)
    empty = "empty" if cells.missing.all() else cells.form
    digest.update(empty.encode() + b"\0" + values.tobytes())
