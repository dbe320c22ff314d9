"""What gradient boosters share: how they go along their curves, and how many threads are worth it."""

from __future__ import annotations

from autotune.learners.protocol import Pace, Resources

CELLS_A_THREAD = 250_000
"""Below this many cells of the table a second thread costs more than it brings."""

FIRST_RUNG = 50 * 0.05
"""The earliest comparison before any trial has finished: round 50 at the default learning rate."""

PATIENCE = 50
"""Rounds without a better mean score after which a curve ends."""

LEAST_WORTH = 5.0
"""Rounds × learning rate with less of which hardly any booster is at its best: the eight best of 30 configurations on
each of seven tables were at their best at 4 to 141, 15 in the middle, three of these 56 before 5."""


def pace_of_booster(learning_rate: float, max_rounds: int) -> Pace:
    """Count rounds × learning rate, so that a low rate is compared after as much learning as a high one.

    Where all the rounds there may be are too few for that, it is rounds that count: a rate too low to get anywhere by
    the last one is no better for its good progress a unit of learning, and a high one has its best still before it.

    Examples
    --------
    >>> pace_of_booster(0.05, 2000).worth, pace_of_booster(0.05, 50).worth, pace_of_booster(0.2, 50).worth
    (0.05, 0.1, 0.2)
    """
    return Pace(max(learning_rate, LEAST_WORTH / max_rounds), FIRST_RUNG, PATIENCE)


def threads_for(n_cells: float, resources: Resources) -> int:
    """Return how many of the threads there are a table of so many cells is worth.

    Examples
    --------
    >>> threads_for(100_000, Resources(threads=8)), threads_for(600_000, Resources(threads=8))
    (1, 3)
    """
    return min(resources.threads, 1 + int(n_cells // CELLS_A_THREAD))
