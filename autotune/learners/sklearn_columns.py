"""Whether the columns that a ColumnTransformer picks are there, and which ones it picks not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.task import Rows
from autotune.errors import SettingsError
from autotune.learners.sklearn_features import TableFeatures, column_transformers, first_step, names_of
from autotune.registry import unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from autotune.data.task import Schema


def check_columns(estimator: Any, schema: Schema, where: str) -> None:
    """Raise unless the columns that ColumnTransformers name are columns of the table, and their selectors pick some.

    Raises
    ------
    SettingsError
        When one is not, or was left out; when a selector picks nothing of what goes nowhere else.
    """
    known = [name for column in schema.columns for name in names_of(column)]
    for transformer in column_transformers(estimator):
        for step, _, columns in transformer.transformers:
            for column in [columns] if isinstance(columns, str) else columns if isinstance(columns, list) else []:
                if isinstance(column, str) and column not in known:
                    raise _unknown_column(column, known, schema, f"{where}, ColumnTransformer {step!r}")
    lost = lost_columns(estimator, schema, where)
    if not lost:
        return
    table = _empty_table(schema)
    for step, _, columns in first_step(estimator).transformers:
        if callable(columns) and not columns(table):
            problem = f"the selector picks no column, and {', '.join(lost)} would be dropped"
            hint = 'make_column_selector(dtype_include="category") for text, "number" for numbers and booleans'
            raise SettingsError(problem, f"{where}, ColumnTransformer {step!r}", hint)


def lost_columns(estimator: Any, schema: Schema, where: str) -> list[str]:
    """Return the columns of the table that the ColumnTransformer before all else drops, as far as it says before a fit.

    Raises
    ------
    SettingsError
        When it picks a column by a number that none has.
    """
    from sklearn.compose import ColumnTransformer, make_column_selector

    first, table = first_step(estimator), _empty_table(schema)
    if not isinstance(first, ColumnTransformer) or first.remainder != "drop":
        return []
    picked: set[str] = set()
    for step, _, columns in first.transformers:
        if callable(columns) and not isinstance(columns, make_column_selector):  # may look at the rows
            return []
        picked |= set(_picked(columns, table, f"{where}, ColumnTransformer {step!r}"))
    return [name for name in table.columns if name not in picked]


def _picked(columns: Any, table: pd.DataFrame, where: str) -> list[str]:
    """Return the names of columns that are given as scikit-learn takes them."""
    columns = columns(table) if callable(columns) else columns
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice) and isinstance(columns.start or columns.stop, str):
        return list(table.loc[:, columns].columns)
    if isinstance(columns, list) and all(isinstance(column, str) for column in columns):
        return columns
    try:
        return list(np.atleast_1d(table.columns.to_numpy()[columns]))
    except IndexError as error:
        raise SettingsError(f"columns {columns!r} are not there: {error}", where, "columns by name") from None


def _empty_table(schema: Schema) -> pd.DataFrame:
    """Return the table that an estimator is given, without its rows."""
    n_texts = len(schema.categorical_columns)
    rows = Rows(np.empty((0, len(schema.numeric_names))), np.empty((0, n_texts), dtype=np.int32))
    return TableFeatures(schema, (np.empty(0, dtype=np.int32),) * n_texts).transform(rows)


def _unknown_column(column: str, known: list[str], schema: Schema, where: str) -> SettingsError:
    if column in schema.dropped:
        return SettingsError(f"column {column!r} was left out: the notes say why", where, "leave it out there too")
    parts = [name for name in known if name.startswith(f"{column}.")]
    if parts:
        return SettingsError(f"column {column!r} holds dates, which come in parts", where, ", ".join(parts))
    error = unknown_name("column", column, known, where)
    return SettingsError(error.problem, error.where, error.hint)
