"""The values that a table becomes: Rows, Column, Schema, Problem and Task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

TaskKind = Literal["binary", "multiclass", "regression"]
ColumnKind = Literal["numeric", "boolean", "categorical", "datetime"]

CLASSIFICATION: frozenset[TaskKind] = frozenset({"binary", "multiclass"})
ALL_TASKS: frozenset[TaskKind] = frozenset({"binary", "multiclass", "regression"})

UNKNOWN_LEVEL = -1
MISSING_LEVEL = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the form that every learner reads: two plain arrays.

    Attributes
    ----------
    numeric : ndarray of float64, shape (n_rows, n_numeric)
        Numbers, booleans as 0 and 1, and the parts of dates; NaN where missing, never infinite.
    categorical : ndarray of int32, shape (n_rows, n_categorical)
        Level codes: -1 unknown to the schema, 0 missing, 1 … n the levels of the schema's column.
        A code says which level stands there and nothing else; what a level is worth is fitted in the fold.
    """

    numeric: NDArray[np.float64]
    categorical: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.numeric)

    def take(self, index: NDArray[np.intp]) -> Rows:
        """Return the rows at these positions, in this order."""
        return Rows(self.numeric[index], self.categorical[index])

    @property
    def n_numeric(self) -> int:
        """Number of numeric columns."""
        return int(self.numeric.shape[1])

    @property
    def n_categorical(self) -> int:
        """Number of categorical columns."""
        return int(self.categorical.shape[1])

    @property
    def n_cells(self) -> int:
        """Number of values, numeric and categorical."""
        return len(self) * (self.n_numeric + self.n_categorical)


class Excerpt(Rows):
    """Rows of a table that stays where it is: each time one of the two arrays is read, it is copied out of the table.

    The training rows of five folds are four tables. Learners read them once, to bring them into a form of their own,
    so that there need not be five copies that live as long as the folds. It is pickled as plain `Rows`.

    Parameters
    ----------
    table : Rows
        Where the rows stand.
    index : ndarray of intp
        Their positions there, in order.
    """

    __slots__ = ("_index", "_table")
    _table: Rows
    _index: NDArray[np.intp]

    def __new__(cls, *_: Any, **arrays: Any) -> Rows:  # type: ignore[misc]
        """Return plain `Rows` where the arrays themselves are given, as `dataclasses.replace` does."""
        return Rows(**arrays) if arrays else super().__new__(cls)

    def __init__(self, table: Rows, index: NDArray[np.intp]) -> None:
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_index", index)

    @property
    def numeric(self) -> NDArray[np.float64]:
        """A copy of the numbers."""
        return self._table.numeric[self._index]

    @property
    def categorical(self) -> NDArray[np.int32]:
        """A copy of the level codes."""
        return self._table.categorical[self._index]

    def __len__(self) -> int:
        return len(self._index)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self.numeric, self.categorical)

    def take(self, index: NDArray[np.intp]) -> Rows:
        """Return the rows at these positions among its own."""
        return self._table.take(self._index[index])

    @property
    def n_numeric(self) -> int:
        """Number of numeric columns; nothing is copied for it."""
        return self._table.n_numeric

    @property
    def n_categorical(self) -> int:
        """Number of categorical columns; nothing is copied for it."""
        return self._table.n_categorical


@dataclass(frozen=True, slots=True)
class Column:
    """What was decided about one column of the table, from the search rows alone.

    Attributes
    ----------
    name : str
        The column's name in the table.
    kind : {"numeric", "boolean", "categorical", "datetime"}
        How it is read.
    levels : tuple of str
        The levels of a categorical column, as text; code ``i + 1`` in `Rows` is ``levels[i]``.
    parts : tuple of str
        The numeric columns that a date becomes, such as ``("year", "month")``.
    """

    name: str
    kind: ColumnKind
    levels: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns that a model reads, in order.

    Attributes
    ----------
    columns : tuple of Column
        Every column that is kept; dropped ones are named in the task's notes.
    dropped : tuple of str
        Names of the columns that were left out as empty or constant.
    """

    columns: tuple[Column, ...]
    dropped: tuple[str, ...] = ()

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """Names of the columns of ``Rows.numeric``, in order."""
        names: list[str] = []
        for column in self.columns:
            if column.kind == "datetime":
                names.extend(f"{column.name}.{part}" for part in column.parts)
            elif column.kind != "categorical":
                names.append(column.name)
        return tuple(names)

    @property
    def categorical_columns(self) -> tuple[Column, ...]:
        """The columns of ``Rows.categorical``, in order."""
        return tuple(column for column in self.columns if column.kind == "categorical")


@dataclass(frozen=True, slots=True)
class Problem:
    """What a learner must know of the question beside the rows.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    n_classes : int
        Number of classes; 0 for regression.
    schema : Schema
        What the columns of `Rows` are.
    loss : {"log", "squared", "absolute", "quantile"}
        What training should make small, so that it fits the metric. Learners that know only one
        loss ignore it.
    quantile : float
        The quantile that is sought when the loss is ``"quantile"``.
    classes : tuple
        The classes as they came, in the order of the codes, for what people say of them; empty where nobody said.
    """

    kind: TaskKind
    n_classes: int
    schema: Schema
    loss: Literal["log", "squared", "absolute", "quantile"] = "log"
    quantile: float = 0.5
    classes: tuple[Any, ...] = ()

    @property
    def is_classification(self) -> bool:
        """True for binary and multiclass tasks."""
        return self.kind != "regression"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was read and checked, before any decision on its columns.

    Attributes
    ----------
    X : DataFrame, shape (n_rows, n_columns)
        The features as they came; target, weight, group and time columns taken out, but for a time
        column, which is also a feature.
    y : ndarray, shape (n_rows,)
        Class codes 0 … n_classes - 1 (int64), or float64 values for regression.
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    reason : str
        Why it is of that kind, in a sentence.
    classes : ndarray or None
        The classes as they came, in the order of the codes; the positive class of a binary task is last.
    name : str
        Stem of the file's name, or ``"table"``.
    target : str
        Name of the target column.
    groups, time, weight : ndarray or None, shape (n_rows,)
        Group labels (codes), time order (float64), and sample weights (float64).
    notes : tuple of str
        Everything that was dropped or changed, a line each.
    source : str or None
        The whole path of the file that it was read from.
    """

    X: pd.DataFrame
    y: NDArray[Any]
    kind: TaskKind
    reason: str
    classes: NDArray[Any] | None
    name: str
    target: str
    groups: NDArray[np.int64] | None = None
    time: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Rows with their answers, ready for learners: the search rows, or the test rows.

    Attributes
    ----------
    rows : Rows
        The features.
    y : ndarray, shape (n_rows,)
        Class codes (int64) or values (float64).
    problem : Problem
        The kind of task and the schema.
    weight : ndarray or None, shape (n_rows,)
        Sample weights.
    groups, time : ndarray or None, shape (n_rows,)
        Group codes and time order: folds and bootstrap keep to them.
    """

    rows: Rows
    y: NDArray[Any]
    problem: Problem
    weight: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    time: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y)
