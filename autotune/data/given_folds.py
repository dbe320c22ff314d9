"""Folds that a person gives: a splitter of scikit-learn's kind, or the row positions themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autotune.data.wording import counted
from autotune.errors import PlugInError

Index: TypeAlias = NDArray[np.intp]
Pair: TypeAlias = tuple[Index, Index]


def read_folds(cv: Any, y: NDArray[Any], groups: NDArray[np.int64] | None) -> tuple[list[Pair], str]:
    """Take the folds from a splitter, or as they are given, and check them.

    Parameters
    ----------
    cv : splitter or iterable of (train, validation)
        Something with ``split(X, y, groups)``, or pairs of row positions or masks.
    y, groups : ndarray, shape (n_rows,)
        What a splitter may look at; the X that it gets is a column of zeros.

    Returns
    -------
    list of (ndarray of intp, ndarray of intp)
        Training and validation rows of each fold.
    str
        What made them, with digits that say which they are.

    Raises
    ------
    PlugInError
        When it yields rows that do not exist, no rows, or one row on both sides.

    Examples
    --------
    >>> read_folds([([0, 1], [2, 3])], np.zeros(4), None)[1]
    'given folds: 1 fold (f3c471a8)'
    """
    name = type(cv).__name__ if hasattr(cv, "split") else "given folds"
    try:
        given = cv.split(np.zeros((len(y), 1)), y, groups) if hasattr(cv, "split") else cv
        pairs = [(_positions(train), _positions(valid)) for train, valid in given]
    except (ValueError, TypeError) as error:
        hint = "a number of folds, a splitter, or pairs of row positions"
        raise PlugInError(f"cv={cv!r} gives no folds: {error}", "cv", hint) from error
    if not pairs:
        raise PlugInError(f"cv={cv!r} gives no folds", "cv")
    digest = hashlib.blake2b(digest_size=4)
    for number, (train, valid) in enumerate(pairs):
        _check((train, valid), len(y), f"fold {number} of {name}")
        digest.update(train.astype(np.int64).tobytes() + b"|" + valid.astype(np.int64).tobytes())
    return pairs, f"{name}: {counted(len(pairs), 'fold')} ({digest.hexdigest()})"


def _positions(rows: Iterable[Any]) -> Index:
    array = np.asarray(rows)
    if array.dtype == bool:
        return np.flatnonzero(array)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"row positions are whole numbers, not {array.dtype}")
    return array.astype(np.intp)


def _check(pair: Pair, n_rows: int, where: str) -> None:
    for side, rows in zip(("training", "validation"), pair, strict=True):
        if rows.ndim != 1 or not len(rows):
            raise PlugInError(f"no {side} rows", where)
        if rows.min() < 0 or rows.max() >= n_rows:
            raise PlugInError(f"{side} rows {rows.min()} to {rows.max()} where there are 0 to {n_rows - 1}", where)
    both = np.intersect1d(*pair)
    if len(both):
        raise PlugInError(f"{counted(len(both), 'row')} in training and in validation, row {both[0]} first", where)
