"""The forms that learners read, fitted on a member's training rows alone: ordinal, dense and for networks.

Medians, scales and levels come from the training rows of one fold. A level that does not occur in them is unknown,
just as a level that nobody has seen will be at predict.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.data.task import Rows, Schema
    from autotune.learners.protocol import Member

Scaler = Literal["standard", "quantile"]
Form_co = TypeVar("Form_co", covariant=True)

LARGEST, LARGEST_SCALED = 1e30, 1e6  # larger numbers are cut: their squares would leave the range of a float

INDICATOR = 0.3
"""What tells a network that a number was missing. Such columns are mostly 0 and say little, but an optimizer that
scales each gradient learns them as fast as any: with 1, losses were 2 to 4 % larger on three tables."""


class Features(Protocol[Form_co]):
    """Something fitted on training rows that brings any rows into one form."""

    def transform(self, rows: Rows) -> Form_co:
        """Return the rows in this form."""


@dataclass(frozen=True, slots=True)
class NetworkFeatures:
    """Numbers and codes for a network, after the recipe of RealMLP (Holzmüller et al., NeurIPS 2024).

    Numbers are imputed with the median, centred on it, divided by the interquartile range and clipped smoothly into
    (-3, 3); each column with missing values gets an indicator of 0 and `INDICATOR`. Levels become codes from 1; code 0
    stands for unknown and rare ones, so that it is trained where rare levels occur. Missing is a level of its own.

    Examples
    --------
    >>> from autotune.data.task import Column, Rows, Schema
    >>> schema = Schema((Column("size", "numeric"), Column("colour", "categorical", levels=("blue", "red"))))
    >>> rows = Rows(np.array([[1.0], [2.0], [np.nan], [3.0]]), np.array([[1], [1], [2], [1]], dtype=np.int32))
    >>> features = NetworkFeatures.fit(rows, schema)
    >>> features.n_numeric, features.cardinalities
    (2, (2,))
    >>> features.transform(rows)[1].ravel()
    array([1, 1, 0, 1])
    """

    numbers: Numbers
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    levels: Levels

    @classmethod
    def fit(cls, rows: Rows, schema: Schema) -> NetworkFeatures:
        """Fit on the training rows of one member; the schema says what their columns are."""
        numbers = Numbers.fit(rows.numeric)
        centre, scale = _robust_scale(numbers.transform(rows.numeric)[:, : len(numbers.medians)])
        return cls(numbers, centre, scale, Levels.fit(rows, schema, min_count=2, max_levels=1000))

    @property
    def n_numeric(self) -> int:
        """Number of columns of the numeric part, indicators included."""
        return self.numbers.width

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of codes of each categorical column, code 0 included."""
        return self.levels.sizes

    def transform(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return float32 numbers of shape (n_rows, n_numeric) and int64 codes of shape (n_rows, n_categorical)."""
        values = self.numbers.transform(rows.numeric)
        n_columns = len(self.centre)
        scaled = np.clip((values[:, :n_columns] - self.centre) / self.scale, -LARGEST, LARGEST)
        values[:, :n_columns] = scaled / np.sqrt(1.0 + (scaled / 3.0) ** 2)
        values[:, n_columns:] *= INDICATOR
        return values.astype(np.float32), self.levels.transform(rows.categorical).astype(np.int64)


@dataclass(frozen=True, slots=True)
class OrdinalFeatures:
    """One float32 matrix for trees: imputed numbers, missing indicators, levels as codes.

    Codes keep the order of the schema's levels; 0 is unknown, and missing comes before the other levels.
    """

    numbers: Numbers
    levels: Levels

    @classmethod
    def fit(cls, rows: Rows, schema: Schema) -> OrdinalFeatures:
        """Fit on the training rows of one member."""
        return cls(Numbers.fit(rows.numeric), Levels.fit(rows, schema))

    def transform(self, rows: Rows) -> NDArray[np.float32]:
        """Return a matrix of shape (n_rows, n_features)."""
        numbers, codes = self.numbers.transform(rows.numeric), self.levels.transform(rows.categorical)
        return np.concatenate([numbers.astype(np.float32), codes.astype(np.float32)], axis=1)


@dataclass(frozen=True, slots=True)
class DenseFeatures:
    """One float32 matrix for linear models and neighbours: scaled numbers, missing indicators, one-hot levels.

    Rare levels of a column share a column, and unknown ones go there too; where no level is rare an unknown one is all
    zeros. The matrix is sparse (CSR) if that is allowed and less than a quarter of it would be other than zero.
    """

    numbers: Numbers
    scaler: Any
    levels: Levels
    sparse: bool

    @classmethod
    def fit(
        cls, rows: Rows, schema: Schema, *, scaler: Scaler = "standard", max_levels: int = 100, sparse: bool = True
    ) -> DenseFeatures:
        """Fit on the training rows of one member.

        The numbers get mean 0 and variance 1, or their ranks are mapped to a normal distribution; the ``max_levels``
        most frequent levels of a column get a column of their own; ``sparse`` allows a sparse matrix.
        """
        table = rows.numeric
        numbers = Numbers.fit(table)
        values = numbers.transform(table)[:, : len(numbers.medians)]
        levels = Levels.fit(rows, schema, min_count=3, max_levels=max_levels)
        filled = len(numbers.medians) + np.isnan(table).sum() / max(1, len(rows)) + len(levels.lookups)
        thin = 4 * filled < numbers.width + sum(_one_hot_widths(levels))
        return cls(numbers, _fitted_scaler(scaler, values), levels, sparse and thin)

    def transform(self, rows: Rows) -> Any:
        """Return a matrix of shape (n_rows, n_features), an ndarray or a scipy CSR matrix."""
        values = self.numbers.transform(rows.numeric)
        n_columns = len(self.numbers.medians)
        if n_columns and len(values):
            scaled = self.scaler.transform(values[:, :n_columns])
            values[:, :n_columns] = np.clip(scaled, -LARGEST_SCALED, LARGEST_SCALED)
        row, column, width = self._ones(rows)
        if self.sparse:
            return _sparse(values, row, column, width)
        matrix = np.zeros((len(rows), values.shape[1] + width), dtype=np.float32)
        matrix[:, : values.shape[1]] = values
        matrix[row, values.shape[1] + column] = 1.0
        return matrix

    def _ones(self, rows: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
        """Return the places of the ones in the one-hot part, by row, and its width."""
        widths = _one_hot_widths(self.levels)
        starts = np.cumsum([0, *widths])
        first = np.array([0 if rare else 1 for rare in self.levels.rare], dtype=np.intp)
        column = starts[:-1] + self.levels.transform(rows.categorical) - first
        row, place = np.nonzero(column >= starts[:-1])
        return row, column[row, place], int(starts[-1])


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numeric columns with medians in place of missing values, and an indicator for each column that missed some."""

    medians: NDArray[np.float64]
    indicated: NDArray[np.intp]

    @classmethod
    def fit(cls, numeric: NDArray[np.float64]) -> Numbers:
        """Fit on training rows of shape (n_rows, n_numeric)."""
        missing = np.isnan(numeric)
        empty = missing.all(axis=0)
        medians = np.zeros(numeric.shape[1])
        if not empty.all():
            medians[~empty] = np.nanmedian(_cut(numeric[:, ~empty]), axis=0)
        return cls(medians, np.flatnonzero(missing.any(axis=0)))

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return len(self.medians) + len(self.indicated)

    def transform(self, numeric: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of shape (n_rows, n_numeric + n_indicated), without missing ones, at most `LARGEST`."""
        missing = np.isnan(numeric)
        filled = np.where(missing, self.medians, _cut(numeric))
        return np.concatenate([filled, missing[:, self.indicated]], axis=1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels that occur often enough in training rows, numbered from 1; 0 is every other level.

    The number of the level with code ``i`` stands at ``i + 1`` of its column's lookup; ``rare`` says whether any
    training rows of a column have number 0; ``sizes`` counts its numbers, 0 included.
    """

    lookups: tuple[NDArray[np.int32], ...]
    rare: tuple[bool, ...]
    sizes: tuple[int, ...]

    @classmethod
    def fit(cls, rows: Rows, schema: Schema, *, min_count: int = 1, max_levels: int | None = None) -> Levels:
        """Fit on training rows: the levels that ``min_count`` rows have, at most the ``max_levels`` most frequent."""
        lookups, rare, sizes = [], [], []
        for codes, column in zip(rows.categorical.T, schema.categorical_columns, strict=True):
            counts = np.bincount(codes + 1, minlength=len(column.levels) + 2)
            by_count = 1 + np.argsort(-counts[1:], kind="stable")
            kept = np.sort([place for place in by_count[:max_levels] if counts[place] >= min_count]).astype(np.intp)
            lookup = np.zeros(len(counts), dtype=np.int32)
            lookup[kept] = np.arange(1, len(kept) + 1)
            lookups.append(lookup)
            rare.append(bool(counts[kept].sum() < len(codes)))
            sizes.append(len(kept) + 1)
        return cls(tuple(lookups), tuple(rare), tuple(sizes))

    def transform(self, categorical: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return numbers of shape (n_rows, n_categorical)."""
        numbers = np.zeros(categorical.shape, dtype=np.int32)
        for column, lookup in enumerate(self.lookups):
            numbers[:, column] = lookup[categorical[:, column] + 1]
        return numbers


@dataclass(frozen=True, slots=True)
class Encoded(Generic[Form_co]):
    """What was fitted on a member's training rows, these rows in its form, and its validation rows with theirs."""

    features: Features[Form_co]
    training: Form_co
    validation: tuple[Rows, Form_co] | None

    def remembering(self) -> Features[Form_co]:
        """Return the features for a model to hold: they know the form of the validation rows already."""
        return self.features if self.validation is None else Remembering(self.features, *self.validation)


@dataclass(frozen=True)
class Remembering(Generic[Form_co]):
    """Features that keep the form of some rows, so that a trial need not encode them again; pickled without it."""

    features: Features[Form_co]
    rows: Rows
    form: Form_co

    def transform(self, rows: Rows) -> Form_co:
        """Return the rows in this form."""
        return self.form if rows is self.rows else self.features.transform(rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (self.features,)


def ordinal(member: Member) -> Encoded[NDArray[np.float32]]:
    """Return a member's rows as `OrdinalFeatures` makes them, fitted once for all trials."""
    return encoded(member, ("ordinal",), lambda: OrdinalFeatures.fit(member.rows, member.problem.schema))


def dense(member: Member, *, scaler: Scaler = "standard", max_levels: int = 100, sparse: bool = True) -> Encoded[Any]:
    """Return a member's rows as `DenseFeatures` makes them, fitted once for all trials with these options."""

    def fit() -> DenseFeatures:
        schema = member.problem.schema
        return DenseFeatures.fit(member.rows, schema, scaler=scaler, max_levels=max_levels, sparse=sparse)

    return encoded(member, ("dense", scaler, max_levels, sparse), fit)


def encoded(member: Member, form: tuple[Any, ...], fit: Callable[[], Features[Form_co]]) -> Encoded[Form_co]:
    """Return a member's rows in a form, fitted on its training rows once for all trials; the cache keeps them."""
    key = (__name__, *form)
    known: Encoded[Form_co] | None = member.cache.get(key)
    if known is None:
        features = fit()
        known = Encoded(features, features.transform(member.rows), None)
    rows = member.validation
    if rows is None:
        known = Encoded(known.features, known.training, None)
    elif known.validation is None or known.validation[0] is not rows:
        known = Encoded(known.features, known.training, (rows, known.features.transform(rows)))
    member.cache[key] = known
    return known


def _cut(numeric: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(numeric, -LARGEST, LARGEST)


def _robust_scale(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return medians and interquartile ranges; half the range where the latter is 0; 1 for a constant column."""
    if not len(values):
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    low, centre, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = high - low
    scale = np.where(scale > 0, scale, np.ptp(values, axis=0) / 2)
    return centre, np.where(scale > 0, scale, 1.0)


def _one_hot_widths(levels: Levels) -> list[int]:
    return [size if rare else size - 1 for size, rare in zip(levels.sizes, levels.rare, strict=True)]


def _fitted_scaler(scaler: Scaler, values: NDArray[np.float64]) -> Any:
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    if not values.shape[1]:
        return None
    if scaler == "standard":
        return StandardScaler().fit(values)
    n_quantiles = min(1000, len(values))
    return QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal", random_state=0).fit(values)


def _sparse(values: NDArray[np.float64], row: NDArray[np.intp], column: NDArray[np.intp], width: int) -> Any:
    from scipy import sparse

    start = np.searchsorted(row, np.arange(len(values) + 1)).astype(np.int32)
    ones = (np.ones(len(row), dtype=np.float32), column.astype(np.int32), start)
    one_hot = sparse.csr_matrix(ones, shape=(len(values), width))
    return sparse.hstack([sparse.csr_matrix(values.astype(np.float32)), one_hot], format="csr")
