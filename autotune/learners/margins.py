"""What boosters that read float32 and answer with margins share: a target and weights they take well, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.task import Problem
from autotune.learners.protocol import Member

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions

LARGEST = float(np.finfo(np.float32).max)


def to_float32(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return numbers as float32; those beyond its range become its largest, not infinite."""
    return np.clip(numbers, -LARGEST, LARGEST).astype(np.float32)


def centre_of(member: Member) -> float:
    """Return the mean of a regression target: without it, a target far from zero loses its digits in float32."""
    return 0.0 if member.problem.is_classification else float(member.y.mean())


def even_weight(member: Member) -> NDArray[np.float64] | None:
    """Return the weights with a mean of 1: penalties and least weights of leaves then mean the same for any unit."""
    return None if member.weight is None else member.weight / member.weight.mean()


def from_margins(margins: NDArray[Any], problem: Problem, centre: float) -> Predictions:
    """Return probabilities (n_rows, n_classes) or values (n_rows,) for the sums over the trees.

    Parameters
    ----------
    margins : ndarray, shape (n_rows,) or (n_rows, n_classes)
        Log-odds of the second class, logits of each class, or distances from the centre.
    problem : Problem
        What they answer.
    centre : float
        What was taken off the target.

    Examples
    --------
    >>> from autotune.data.task import Schema
    >>> from_margins(np.zeros(1), Problem("binary", 2, Schema(())), 0.0)
    array([[0.5, 0.5]])
    """
    from scipy.special import expit, softmax

    margins = margins.astype(np.float64)
    match problem.kind:
        case "binary":
            return np.column_stack([expit(-margins), expit(margins)])
        case "multiclass":
            return np.asarray(softmax(margins, axis=1))
    return margins + centre
