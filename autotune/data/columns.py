"""One column at a time: what its cells hold, whatever type they came in.

A CSV, a Parquet file and a frame spell the same column in many types. `read_cells` brings each of them to one of four
forms, so that everything after it (decisions, codes, fingerprints) sees equal values as equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autotune.data.wording import counted
from autotune.errors import DataError

Form: TypeAlias = Literal["number", "boolean", "date", "text"]
Floats: TypeAlias = NDArray[np.float64]

ISO_DATE = re.compile(
    r"\d{4}-\d{2}"  # a month
    r"(-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s?(Z|[+-]\d{2}(:?\d{2})?)?)?)?"  # a day, and a time of day
    r"|\d{4}/\d{2}/\d{2}"
)
_BOOLEANS = {"true": 1.0, "false": 0.0}
_NO_NUMBERS: Floats = np.empty(0)
_NO_CODES: NDArray[np.intp] = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a column in one of four forms.

    Attributes
    ----------
    form : {"number", "boolean", "date", "text"}
        Which of the other attributes holds the cells.
    numbers : ndarray of float64, shape (n_rows,)
        Numbers, or booleans as 0 and 1; NaN where missing. Infinities are still there.
    dates : DatetimeIndex, shape (n_rows,)
        Dates in UTC without a zone; NaT where missing.
    codes, levels : ndarray of intp, shape (n_rows,), and ndarray of str
        Text: ``levels[codes[i]]`` is the text of row i; -1 where missing.
    declared : bool
        The column came as pandas' category type: its text is levels and is never read as numbers.
    ordered : bool
        The order of `levels` was given by the person who made the categories.
    remarks : tuple of str
        What was changed on the way, a phrase each.
    """

    form: Form
    numbers: Floats = field(default_factory=lambda: _NO_NUMBERS)
    dates: pd.DatetimeIndex = field(default_factory=lambda: pd.DatetimeIndex([]))
    codes: NDArray[np.intp] = field(default_factory=lambda: _NO_CODES)
    levels: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, dtype=object))
    declared: bool = False
    ordered: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows hold nothing; an infinity counts as nothing. Shape (n_rows,)."""
        match self.form:
            case "date":
                return np.asarray(self.dates.isna())
            case "text":
                return self.codes < 0
            case _:
                return ~np.isfinite(self.numbers)


def read_cells(series: pd.Series[Any]) -> Cells:
    """Read the cells of a column, whatever type they came in.

    Parameters
    ----------
    series : Series, shape (n_rows,)
        A column as it came.

    Returns
    -------
    Cells
        Text is still text here; `settle` reads the numbers, dates and booleans that text may hold.

    Raises
    ------
    DataError
        When the cells are lists, bytes, complex numbers or other things that no model reads.

    Examples
    --------
    >>> read_cells(pd.Series([1, None, 3])).numbers
    array([ 1., nan,  3.])
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_category(series)
    if isinstance(dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series))
    if isinstance(dtype, pd.PeriodDtype):
        return Cells("date", dates=_plain_dates(series.dt.to_timestamp()))
    if pd.api.types.is_bool_dtype(series):
        return Cells("boolean", numbers=_floats(series))
    if pd.api.types.is_complex_dtype(series):
        raise DataError("Complex data not supported", f"column {series.name!r}", "one column each for both parts")
    if pd.api.types.is_numeric_dtype(series):
        return Cells("number", numbers=_floats(series))
    if pd.api.types.is_datetime64_any_dtype(series):
        return Cells("date", dates=_plain_dates(series))
    if pd.api.types.is_timedelta64_dtype(series):
        return _from_durations(series)
    return _from_objects(series)


def settle(cells: Cells) -> Cells:
    """Read text as booleans, numbers or dates where every cell of it is one; leave it as text otherwise.

    Examples
    --------
    >>> settle(read_cells(pd.Series(["1", " ", "2.5"]))).numbers
    array([1. , nan, 2.5])
    """
    if cells.form != "text" or not len(cells.levels):
        return cells
    booleans, unread = as_booleans(cells)
    if not len(unread) and not _are_numbers(cells.levels):
        return Cells("boolean", numbers=booleans, remarks=cells.remarks)
    if cells.declared:
        return cells
    numbers, unread = as_numbers(cells)
    if not len(unread):
        return Cells("number", numbers=numbers, remarks=("text that holds numbers", *cells.remarks))
    dates, unread = as_dates(cells)
    if not len(unread):
        return Cells("date", dates=dates, remarks=cells.remarks)
    return cells


def as_numbers(cells: Cells) -> tuple[Floats, NDArray[np.object_]]:
    """Return the cells as numbers, shape (n_rows,), and the texts that are none."""
    match cells.form:
        case "number" | "boolean":
            return cells.numbers, cells.levels
        case "date":
            return np.full(len(cells.dates), np.nan), _shown(cells.dates)
        case _:
            values = np.asarray(pd.to_numeric(pd.Series(cells.levels, dtype=object), errors="coerce"), dtype=np.float64)
            return _spread(values, cells.codes), cells.levels[np.isnan(values)]


def as_booleans(cells: Cells) -> tuple[Floats, NDArray[np.object_]]:
    """Return the cells as 0, 1 and NaN, shape (n_rows,), and the texts that are no booleans."""
    match cells.form:
        case "number" | "boolean":
            wrong = ~np.isin(cells.numbers, (0.0, 1.0)) & ~np.isnan(cells.numbers)
            return np.where(wrong, np.nan, cells.numbers), text_of(np.unique(cells.numbers[wrong]))
        case "date":
            return np.full(len(cells.dates), np.nan), _shown(cells.dates)
        case _:
            known = {**_BOOLEANS, "1": 1.0, "0": 0.0}
            values = np.array([known.get(level.lower(), np.nan) for level in cells.levels], dtype=np.float64)
            return _spread(values, cells.codes), cells.levels[np.isnan(values)]


def as_dates(cells: Cells) -> tuple[pd.DatetimeIndex, NDArray[np.object_]]:
    """Return the cells as dates in UTC, shape (n_rows,), and the texts that are none, such as "31.1.2024"."""
    match cells.form:
        case "date":
            return cells.dates, cells.levels
        case "number" | "boolean":
            found = np.unique(cells.numbers[~np.isnan(cells.numbers)])
            return pd.DatetimeIndex(np.full(len(cells.numbers), "NaT", "datetime64[us]")), text_of(found)
        case _:
            dates = _parse_dates(cells.levels)
            ended = np.append(np.asarray(dates), np.datetime64("NaT"))  # the code -1 takes the end
            return pd.DatetimeIndex(ended[cells.codes]), cells.levels[np.asarray(dates.isna())]


def as_levels(cells: Cells) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Return the cells as codes, shape (n_rows,), and the texts that they stand for; -1 is missing."""
    match cells.form:
        case "text":
            return cells.codes, cells.levels
        case "date":
            codes, found = pd.factorize(cells.dates)
            return codes, np.asarray([stamp.isoformat() for stamp in found], dtype=object)
        case "boolean":
            codes, values = pd.factorize(cells.numbers)
            return codes, text_of(values.astype(bool))
        case _:
            codes, values = pd.factorize(cells.numbers)
            return codes, text_of(values)


def text_of(values: Any) -> NDArray[np.object_]:
    """Return the text of each value, so that 1, 1.0 and "1" read alike.

    Examples
    --------
    >>> text_of(np.array([1.0, 2.5])).tolist()
    ['1', '2.5']
    """
    listed = values.tolist() if hasattr(values, "tolist") else values
    return np.array([_text(value) for value in listed], dtype=object)


def seconds(dates: pd.DatetimeIndex) -> Floats:
    """Return seconds since 1970, shape (n_rows,); NaN where there is no date."""
    ticks = np.asarray(dates).astype("datetime64[us]").astype(np.int64)
    return np.where(dates.isna(), np.nan, ticks / 1e6)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _are_numbers(levels: NDArray[np.object_]) -> bool:
    return set(levels) <= {"0", "1"}


def _spread(values: Floats, codes: NDArray[np.intp]) -> Floats:
    """Give each row the value of its level; the code -1 takes the NaN at the end."""
    return np.append(values, np.nan)[codes]


def _floats(series: pd.Series[Any]) -> Floats:
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _plain_dates(series: pd.Series[Any]) -> pd.DatetimeIndex:
    dates = pd.DatetimeIndex(series.astype(object) if isinstance(series.dtype, pd.ArrowDtype) else series)
    return (dates if dates.tz is None else dates.tz_convert("UTC").tz_localize(None)).rename(None)


def _parse_dates(levels: NDArray[np.object_]) -> pd.DatetimeIndex:
    """Parse ISO dates; the first text that looks like none ends the attempt."""
    looks = np.array([ISO_DATE.fullmatch(level) is not None for level in levels[:20]], dtype=bool)
    if not looks.any():
        return pd.DatetimeIndex(np.full(len(levels), "NaT", "datetime64[us]"))
    iso = np.array([level if ISO_DATE.fullmatch(level) else None for level in levels], dtype=object)
    parsed = pd.to_datetime(pd.Series(iso, dtype=object), format="ISO8601", errors="coerce", utc=True)
    return pd.DatetimeIndex(parsed).tz_localize(None)


def _shown(dates: pd.DatetimeIndex) -> NDArray[np.object_]:
    return np.array([stamp.isoformat(sep=" ") for stamp in dates.dropna().unique()[:5]], dtype=object)


def _from_category(series: pd.Series[Any]) -> Cells:
    used = series.cat.remove_unused_categories()
    return _from_levels(
        np.asarray(used.cat.codes, dtype=np.intp), used.cat.categories, declared=True, ordered=bool(used.cat.ordered)
    )


def _from_durations(series: pd.Series[Any]) -> Cells:
    lengths = pd.to_timedelta(series).dt.total_seconds()
    return Cells("number", numbers=_floats(lengths), remarks=("lengths of time, read as seconds",))


def _from_objects(series: pd.Series[Any]) -> Cells:
    """Read a column of Python objects, or of pandas' text types."""
    if isinstance(series.dtype, pd.StringDtype | pd.ArrowDtype) and pd.api.types.is_string_dtype(series.dtype):
        return _from_levels(*pd.factorize(series))
    series = series.astype(object)
    match pd.api.types.infer_dtype(series, skipna=True):
        case "empty":
            return Cells("number", numbers=np.full(len(series), np.nan))
        case "boolean":
            return Cells("boolean", numbers=_object_floats(series))
        case "integer" | "floating" | "mixed-integer-float" | "decimal":
            return Cells("number", numbers=_object_floats(series))
        case "datetime" | "datetime64" | "date":
            return Cells("date", dates=_plain_dates(pd.to_datetime(series, utc=True)))
        case "timedelta" | "timedelta64":
            return _from_durations(series)
        case "string":
            return _from_levels(*pd.factorize(series))
    _refuse_unreadable(series)
    return _from_levels(*pd.factorize(series))


def _object_floats(series: pd.Series[Any]) -> Floats:
    return np.asarray(series.where(series.notna(), np.nan).astype(np.float64))


def _refuse_unreadable(series: pd.Series[Any]) -> None:
    present = series[series.notna()]
    if present.map(lambda value: isinstance(value, complex | np.complexfloating)).any():
        raise DataError("Complex data not supported", f"column {series.name!r}", "one column each for both parts")
    readable = present.map(_says_all)
    if not readable.all():
        kind = type(present[~readable.astype(bool)].iloc[0]).__name__
        raise DataError(
            f"column {series.name!r} holds values of type {kind}, which no model reads",
            hint="turn it into numbers or text, or drop the column",
        )


def _says_all(value: object) -> bool:
    """Return True for a value whose text says all of it: texts, numbers, dates, intervals, but no containers."""
    if isinstance(value, bytes):
        return False
    return bool(pd.api.types.is_scalar(value)) or type(value).__module__ in ("datetime", "uuid")


def _from_levels(codes: Any, values: Any, *, declared: bool = False, ordered: bool = False) -> Cells:
    """Make text cells from codes and what they stand for; blank text is missing, equal texts are one level."""
    texts = text_of(values)
    blank = np.array([not text.strip() for text in texts], dtype=bool)
    texts[blank] = None
    renumbered, levels = pd.factorize(texts)
    spread = np.append(renumbered, -1)[np.asarray(codes, dtype=np.intp)].astype(np.intp)
    n_blank = int(np.append(blank, False)[codes].sum())
    remarks = (f"{counted(n_blank, 'blank cell')} read as missing",) if n_blank else ()
    return Cells("text", codes=spread, levels=levels, declared=declared, ordered=ordered, remarks=remarks)
