"""From whatever a person has to a pandas frame: files by their suffix, frames, arrays."""

from __future__ import annotations

import lzma
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from autotune.errors import DataError, MissingPackageError
from autotune.registry import nearest

_EXACT_BY_ITSELF = tuple(map(int, pd.__version__.split(".")[:2])) >= (
    3,
    1,
)  # the options for text and dates are deprecated there
_EXACT_TEXT: dict[str, Any] = {} if _EXACT_BY_ITSELF else {"float_precision": "round_trip"}
_EXACT_JSON: dict[str, Any] = {"precise_float": True} | ({} if _EXACT_BY_ITSELF else {"convert_dates": False})
_BROKEN = (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, BadZipFile, KeyError)
LONGEST_PATH = 1000
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")


@dataclass(frozen=True, slots=True)
class Source:
    """A table as it was read, with text column names and a plain index.

    Attributes
    ----------
    frame : DataFrame, shape (n_rows, n_columns)
        All columns, the target's among them if the source has it.
    name : str
        Stem of the file's name, or ``"table"``.
    where : str
        What messages call it: the file's name, or ``"the table"``.
    notes : tuple of str
        What was left out while reading.
    named : bool
        False for arrays, whose columns got their names ``x0``, ``x1``, … here.
    path : str or None
        The whole path of the file that it was read from.
    """

    frame: pd.DataFrame
    name: str = "table"
    where: str = "the table"
    notes: tuple[str, ...] = ()
    named: bool = True
    path: str | None = None


def read_source(data: Any) -> Source:
    """Read a file, a frame or an array.

    Parameters
    ----------
    data : path, DataFrame or array-like of shape (n_rows, n_columns)
        CSV, TSV, Parquet, Feather, JSON lines or Excel by the file's suffix (the texts may be compressed); a pandas or
        polars frame or an Arrow table; a mapping of columns; an array or a list of rows.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        When there is no such file, it cannot be read, two columns have one name, or an array is not two-dimensional.
    MissingPackageError
        When an Excel file is given and openpyxl is not installed.

    Examples
    --------
    >>> read_source([[1, 2], [3, 4]]).frame.columns.tolist()
    ['x0', 'x1']
    """
    if isinstance(data, str | Path):
        return _read_file(Path(data).expanduser())
    if isinstance(data, pd.DataFrame):
        return _from_frame(data)
    if hasattr(data, "collect") and hasattr(data, "lazy"):  # a lazy frame of polars
        data = data.collect()
    if hasattr(data, "to_pandas") and hasattr(data, "columns"):
        return _from_frame(_to_pandas(data))
    if isinstance(data, Mapping):
        return _from_frame(_built(pd.DataFrame, data))
    return _from_array(data)


def _to_pandas(data: Any) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = data.to_pandas()
    except ImportError as error:
        raise MissingPackageError(f"this frame cannot be read: {error}", hint="pip install pyarrow") from error
    return frame


def _from_frame(frame: pd.DataFrame, name: str = "table", where: str = "the table") -> Source:
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError("the columns have names of several levels", where, "one name a column: frame.columns = [...]")
    names = [str(column) for column in frame.columns]
    refuse_duplicates(names, where)
    notes = _index_notes(frame.index)
    plain = frame.set_axis(names, axis="columns").reset_index(drop=True)
    return Source(plain, name, where, notes)


def refuse_duplicates(names: Sequence[str], where: str) -> None:
    """Raise a DataError that names every column name found twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        listed = ", ".join(map(repr, twice))
        raise DataError(f"more than one column is named {listed}", where, "a name of its own for each column")


def _index_notes(index: pd.Index[Any]) -> tuple[str, ...]:
    """Say that an index with a name, or of dates, is no feature."""
    names = [str(name) for name in index.names if name is not None]
    if names:
        return (f"the index {', '.join(map(repr, names))} is no feature; frame.reset_index() makes it one",)
    if isinstance(index, pd.DatetimeIndex):
        return ("the index of dates is no feature; frame.reset_index() makes it one",)
    return ()


def without_row_numbers(source: Source) -> Source:
    """Leave out the column that a saved row index becomes."""
    for name in ("Unnamed: 0", ""):
        if name not in source.frame:
            continue
        column, n_rows = source.frame[name], len(source.frame)
        counted = pd.api.types.is_integer_dtype(column) and n_rows > 0 and int(column.iloc[0]) in (0, 1)
        if counted and np.array_equal(column, np.arange(n_rows) + int(column.iloc[0])):
            note = f"column {name!r} numbers the rows, so it looks like a saved row index; left out"
            return replace(source, frame=source.frame.drop(columns=name), notes=(*source.notes, note))
    return source


def _from_array(data: Any) -> Source:
    if type(data).__module__.startswith("scipy.sparse"):
        raise DataError("sparse matrices are not supported; a dense array is needed", hint="X.toarray()")
    if isinstance(data, Sequence) and data and isinstance(data[0], Mapping):
        return _from_frame(_built(pd.DataFrame, data))
    if isinstance(data, list | tuple):
        _refuse_ragged(data)
        frame = _built(pd.DataFrame, list(data)) if np.ndim(_built(np.asarray, data)) == 2 else None
    else:
        frame = None
    array = _built(np.asarray, data) if frame is None else np.empty(frame.shape, dtype=bool)
    _check_array(array, data)
    frame = pd.DataFrame(array) if frame is None else frame
    return Source(frame.set_axis([f"x{i}" for i in range(frame.shape[1])], axis="columns"), named=False)


def _built(make: Callable[[Any], Any], data: Any) -> Any:
    try:
        return make(data)
    except (ValueError, TypeError) as error:
        raise DataError(f"{type(data).__name__} is no table: {error}", hint="a file, a frame or an array") from error


def _refuse_ragged(rows: Sequence[Any]) -> None:
    lengths = {len(row) for row in rows if hasattr(row, "__len__") and not isinstance(row, str)}
    if len(lengths) > 1:
        raise DataError(f"rows of {min(lengths)} to {max(lengths)} values make no table", hint="rows of one length")


def _check_array(array: np.ndarray[Any, Any], data: Any) -> None:
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported", hint="one column each for the real and the imaginary part")
    if array.ndim == 0:
        raise DataError(f"{type(data).__name__} is no table", hint="a file, a frame or an array with y")
    if array.ndim == 1:
        raise DataError(
            f"Expected a table with rows and columns, got a 1D array of length {len(array)}. Reshape your data",
            hint="X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row",
        )
    if array.ndim > 2:
        raise DataError(f"an array of {array.ndim} dimensions is no table", hint="X.reshape(len(X), -1)")


def _read_file(path: Path) -> Source:
    if len(str(path)) > LONGEST_PATH:
        raise DataError("the text is too long for a path", hint="a path, or pd.read_csv(io.StringIO(text))")
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder", hint="one file")
    if not path.exists():
        raise DataError(f"no file {str(path)!r}", hint=_nearest_file(path))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix not in _COMPRESSED), "")
    if kind not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise DataError(f"a file ending in {path.suffix!r} cannot be read", path.name, f"one of: {known}")
    if path.stat().st_size == 0:
        raise DataError("the file is empty", path.name)
    try:
        frame, notes = _FORMATS[kind](path)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"the text is not UTF-8: {error}", path.name, "save it as UTF-8") from error
    except ImportError as error:
        hint = 'pip install "autotune-toolkit[excel]"' if kind in _EXCEL else None
        raise MissingPackageError(f"a package is missing to read {kind} files: {error}", path.name, hint) from error
    except _BROKEN as error:
        message = (str(error).strip() or repr(error)).splitlines()[0]
        raise DataError(f"the file cannot be read as {kind[1:]}: {message}", path.name) from error
    source = _from_frame(frame, path.name.partition(".")[0], path.name)
    return replace(source, notes=(*notes, *source.notes), path=str(path.absolute()))


def _nearest_file(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r} either"
    close = nearest(path.name, [other.name for other in path.parent.iterdir()])
    return str(path.parent / close) if close else None


_Read = tuple[pd.DataFrame, tuple[str, ...]]


def _read_text(path: Path) -> _Read:
    """Read a CSV; the delimiter is read off the first line when that holds no comma."""
    delimiter = "\t" if ".tsv" in path.suffixes else _find_delimiter(path)
    header = pd.read_csv(path, sep=delimiter, header=None, nrows=1, dtype=str, keep_default_na=False)
    refuse_duplicates([name for name in header.iloc[0] if name], path.name)
    frame = pd.read_csv(path, sep=delimiter, low_memory=False, **_EXACT_TEXT)
    notes = [] if delimiter in ",\t" else [f"fields are divided by {delimiter!r}"]
    if not isinstance(frame.index, pd.RangeIndex):
        notes.append("rows have one field more than there are names: the first was taken as row names and left out")
    return frame, tuple(notes)


def _find_delimiter(path: Path) -> str:
    names = pd.read_csv(path, nrows=0).columns
    if len(names) > 1:
        return ","
    return next((mark for mark in (";", "\t", "|") if mark in names[0]), ",")


def _read_parquet(path: Path) -> _Read:
    return _by_arrow(pd.read_parquet, path), ()


def _read_feather(path: Path) -> _Read:
    return _by_arrow(pd.read_feather, path), ()


def _by_arrow(read: Callable[[Path], pd.DataFrame], path: Path) -> pd.DataFrame:
    """Read a file, and give back what arrow keeps aside of the memory that this took: more than the table itself."""
    frame = read(path)
    import pyarrow

    pyarrow.default_memory_pool().release_unused()
    return frame


def _read_json_lines(path: Path) -> _Read:
    return pd.read_json(path, lines=True, dtype=False, **_EXACT_JSON), ()


def _read_json(path: Path) -> _Read:
    """Read a list of records, or else JSON lines."""
    try:
        return pd.read_json(path, orient="records", dtype=False, **_EXACT_JSON), ()
    except ValueError:
        return _read_json_lines(path)


def _read_excel(path: Path) -> _Read:
    with pd.ExcelFile(path) as book:
        first, *others = map(str, book.sheet_names)
        header = pd.read_excel(book, sheet_name=first, header=None, nrows=1, dtype=str)
        if len(header):
            refuse_duplicates([name for name in header.iloc[0] if isinstance(name, str)], path.name)
        frame = pd.read_excel(book, sheet_name=first)
    notes = (f"the first sheet, {first!r}, was read; the other {len(others)} left out",) if others else ()
    return frame, notes


_EXCEL = (".xlsx", ".xlsm")
_FORMATS: Mapping[str, Callable[[Path], _Read]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    **dict.fromkeys(_EXCEL, _read_excel),
}
