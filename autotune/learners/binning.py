"""Tables in bins, which boosters make once a fold and use in every trial that asks for as many bins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from autotune.learners.protocol import Member

T = TypeVar("T")

MOST_KEPT = 4
"""Numbers of bins whose tables a member keeps, those that were asked for last: a cell takes a byte or two in each."""


def binned(member: Member, owner: str, n_bins: int, make: Callable[[], T]) -> T:
    """Return what ``make`` makes of a member's rows in so many bins, made anew where it is not kept.

    Parameters
    ----------
    member : Member
        Whose cache keeps it.
    owner : str
        The learner that it is for.
    n_bins : int
        What it is kept under.
    make : callable
        Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from autotune.data.task import Problem, Rows, Schema
    >>> rows = Rows(np.zeros((2, 1)), np.zeros((2, 0), dtype=np.int32))
    >>> member = Member(Problem("regression", 0, Schema(())), rows, np.zeros(2))
    >>> [binned(member, "mine", n_bins, lambda: f"{n_bins} bins") for n_bins in (63, 127, 255, 63, 511, 1023)][-1]
    '1023 bins'
    >>> list(member.cache["mine", "binned"])
    [255, 63, 511, 1023]
    """
    kept: dict[int, T] = member.cache.setdefault((owner, "binned"), {})
    table = kept.pop(n_bins) if n_bins in kept else make()
    kept[n_bins] = table
    for oldest in list(kept)[:-MOST_KEPT]:
        del kept[oldest]
    return table
