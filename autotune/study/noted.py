"""What the attributes of a study itself hold beside what it was made for: the baseline, and looks at test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

BASELINE = "autotune:baseline"
LOOKS = "autotune:looks"


def count_look(study: optuna.Study, test_name: str) -> int:
    """Count one more look at the test rows of this name and return how many there have been."""
    looks = dict(study.user_attrs.get(LOOKS, {}))
    looks[test_name] = looks.get(test_name, 0) + 1
    study.set_user_attr(LOOKS, looks)
    return int(looks[test_name])


def set_baseline(study: optuna.Study, score: float) -> None:
    """Store the score that failed trials are told with, unless one is."""
    if BASELINE not in study.user_attrs:
        study.set_user_attr(BASELINE, score)


def baseline_of(study: optuna.Study, otherwise: float) -> float:
    """Return the score that failed trials are told with."""
    return float(study.user_attrs.get(BASELINE, otherwise))
