"""What somebody's model answers, brought into the form of predictions, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.errors import PlugInError

if TYPE_CHECKING:
    from autotune.learners.protocol import Predictions

TOLERANCE = 1e-3
"""How far probabilities may be off, as float32 over many classes is."""


def as_values(found: Any, n_rows: int, where: str) -> Predictions:
    """Return values of shape (n_rows,).

    Parameters
    ----------
    found : array-like
        What a regressor answers.
    n_rows : int
        How many rows it was asked about.
    where : str
        Whose answer it is, for errors.

    Raises
    ------
    PlugInError
        When it is something else.
    """
    array = _numbers(found, where, "values")
    if array.shape not in ((n_rows,), (n_rows, 1)):
        raise _wrong_shape(array, where, f"({n_rows},) values")
    return array.reshape(n_rows)


def as_probabilities(found: Any, n_rows: int, n_classes: int, where: str) -> Predictions:
    """Return probabilities of shape (n_rows, n_classes); a single column of two classes is that of the second one.

    Raises
    ------
    PlugInError
        When it is something else.

    Examples
    --------
    >>> as_probabilities([0.25], 1, 2, "model")
    array([[0.75, 0.25]])
    """
    array = _numbers(found, where, "probabilities")
    if n_classes == 2 and array.shape == (n_rows,):
        array = np.column_stack([1.0 - array, array])
    if array.shape != (n_rows, n_classes):
        raise _wrong_shape(array, where, f"({n_rows}, {n_classes}) probabilities")
    off = np.maximum(np.abs(array.sum(axis=1) - 1.0), np.abs(array - 0.5).max(axis=1) - 0.5)
    if (off > TOLERANCE).any():  # what is not finite is refused with the scores
        row = array[np.nanargmax(off)]
        problem = f"predictions are no probabilities: a row is {_shown(row)}, and sums to {row.sum():.4g}"
        raise PlugInError(problem, where, "rows that lie within 0 and 1 and sum to 1")
    return array


def as_one_hot(found: Any, n_rows: int, n_classes: int, where: str) -> Predictions:
    """Return probabilities of 0 and 1 from class codes.

    Raises
    ------
    PlugInError
        When it is something else than codes 0 … n_classes-1.

    Examples
    --------
    >>> as_one_hot([1], 1, 3, "model")
    array([[0., 1., 0.]])
    """
    codes = np.asarray(found)
    if codes.shape not in ((n_rows,), (n_rows, 1)):
        raise _wrong_shape(codes, where, f"({n_rows},) class codes")
    hits = np.asarray(codes.reshape(n_rows, 1) == np.arange(n_classes))
    if not hits.any(axis=1).all():
        stray = codes.reshape(n_rows)[~hits.any(axis=1)].tolist()[0]
        problem = f"a predicted class is {stray!r}, but y holds codes 0 … {n_classes - 1}"
        raise PlugInError(problem, where, "predict what fit was given as y")
    return hits.astype(np.float64)


def _numbers(found: Any, where: str, wanted: str) -> Predictions:
    try:
        return np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlugInError(f"predictions are no numbers: {error}", where, wanted) from None


def _wrong_shape(found: Any, where: str, wanted: str) -> PlugInError:
    return PlugInError(f"predictions have shape {found.shape}", where, wanted)


def _shown(row: Predictions) -> str:
    values = ", ".join(f"{value:.4g}" for value in row[:5])
    return f"({values}, …)" if len(row) > 5 else f"({values})"
