from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from autotune.data.task import TaskKind
from autotune.learners.binning import MOST_KEPT
from autotune.learners.lightgbm import LightGBM, LightGBMParams
from autotune.learners.protocol import Member, Resources
from autotune.testing import made_members


def predictions(members: list[Member], n_steps: int = 10, **params: Any) -> Any:
    steps = LightGBM().train(members, LightGBMParams(**params), seed=3, resources=Resources())
    return next(islice(steps, n_steps - 1, None)).predictions()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_trials_that_share_binned_rows_are_as_if_alone(kind: TaskKind) -> None:
    members = made_members(kind)
    trials: list[dict[str, Any]] = [
        {},
        {"max_bin": 16, "min_data_in_leaf": 2},
        {"min_data_in_leaf": 2, "cat_smooth": 1.0},
        {"max_bin": 16, "num_leaves": 4, "extra_trees": True, "bagging_fraction": 0.7},
    ]
    for params in trials:
        alone = predictions([replace(member, cache={}) for member in members], **params)
        np.testing.assert_array_equal(predictions(members, **params), alone)


def test_binned_rows_are_kept_for_the_numbers_of_bins_that_were_asked_for_last() -> None:
    (member,) = made_members("binary", 1)
    predictions([member], 1)
    kept = member.cache["lightgbm", "binned"]
    first = kept[255]
    predictions([member], 1, num_leaves=4)
    assert kept[255] is first and list(kept) == [255]
    for max_bin in range(10, 20):
        predictions([member], 1, max_bin=max_bin)
    assert list(kept) == list(range(20 - MOST_KEPT, 20))
