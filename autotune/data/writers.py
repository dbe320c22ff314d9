"""From a pandas frame to a file, by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pandas as pd


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table; an existing file is replaced only when the new one is complete.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, n_columns)
        The table; its index is not written.
    path : Path
        The file: CSV, gzipped CSV, Parquet or JSON lines by its suffix.

    Raises
    ------
    SettingsError
        When the suffix is not known.
    DataError
        When the file cannot be written.
    """
    write = find_writer(path)
    _write_whole(path, lambda unfinished: write(frame, unfinished))


def write_text(text: str, path: Path) -> None:
    """Write a text; an existing file is replaced only when the new one is complete.

    Raises
    ------
    DataError
        When the file cannot be written.
    """
    _write_whole(path, lambda unfinished: unfinished.write_text(text, "utf-8"))


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    unfinished = path.with_name(f"unfinished.{path.name}")  # in front: pandas compresses by the suffix
    try:
        write(unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise DataError(f"the file cannot be written: {error.strerror or error}", str(path)) from None
    finally:
        unfinished.unlink(missing_ok=True)


Writer = Callable[["pd.DataFrame", Path], object]


def find_writer(path: Path) -> Writer:
    """Return what writes files of this suffix.

    Raises
    ------
    SettingsError
        When nothing does.

    Examples
    --------
    >>> find_writer(Path("predictions.CSV")) is find_writer(Path("a.b.csv.gz"))
    True
    """
    for suffix, writer in _FORMATS.items():
        if path.name.lower().endswith(suffix):
            return writer
    known = ", ".join(_FORMATS)
    raise SettingsError(f"a file ending in {path.suffix!r} cannot be written", str(path), f"one of: {known}")


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False)


def _write_json_lines(frame: pd.DataFrame, path: Path) -> None:
    frame.to_json(path, orient="records", lines=True, double_precision=15, date_format="iso")


_FORMATS: Mapping[str, Writer] = {
    ".csv": _write_csv,
    ".csv.gz": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_json_lines,
    ".json": _write_json_lines,
}
