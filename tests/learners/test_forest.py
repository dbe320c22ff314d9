from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autotune.errors import SettingsError
from autotune.learners.forest import ExtraTrees, ExtraTreesParams, RandomForest, RandomForestParams
from autotune.learners.protocol import Member, Resources
from autotune.testing import made_members

BOTH = pytest.mark.parametrize("learner", [RandomForest, ExtraTrees])


def model(learner: Any, member: Member, **params: Any) -> Any:
    (step,) = learner().train([member], learner.Params(**params), seed=3, resources=Resources())
    return step.models()[0]


@BOTH
def test_it_learns(learner: Any) -> None:
    member = made_members("regression", 1)[0]
    errors = member.y - model(learner, member).predict(member.rows)
    assert errors.std() < 0.5 * member.y.std()


@BOTH
def test_a_class_that_training_rows_lack_keeps_its_column(learner: Any) -> None:
    member = made_members("multiclass", 1)[0]
    without = replace(member, y=np.where(member.y == 1, 2, member.y))
    probabilities = model(learner, without, n_estimators=5).predict(member.rows)
    assert probabilities.shape == (120, 3) and probabilities[:, 1].max() == 0.0


@BOTH
def test_the_kept_model_has_more_trees(learner: Any) -> None:
    member = made_members("binary", 1)[0]
    n_trees = [
        len(model(learner, one, n_estimators=4, n_estimators_at_refit=9).estimator.estimators_)
        for one in (member, replace(member, validation=None))
    ]
    assert n_trees == [4, 9]


@BOTH
def test_weights_act_and_their_unit_does_not(learner: Any) -> None:
    member = made_members("binary", 1)[0]
    ones = np.where(member.y == 1, 20.0, 1.0)
    plain, heavy, unit = (
        model(learner, replace(member, weight=weight), min_samples_leaf=20).predict(member.rows)[:, 1].mean()
        for weight in (None, ones, ones * 1000)
    )
    assert heavy > plain + 0.2 and unit == pytest.approx(heavy)


@BOTH
def test_impurity_means_the_same_for_any_scale_of_the_target(learner: Any) -> None:
    member = made_members("regression", 1)[0]
    small, large = (
        model(learner, replace(member, y=member.y * unit), min_impurity_decrease=0.05).predict(member.rows)
        for unit in (1.0, 1e6)
    )
    assert len(np.unique(small)) > 1
    np.testing.assert_allclose(small * 1e6, large, rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"max_features": "log2"}, "max_features='log2' is not one of sqrt"),
        ({"max_features": 1.5}, "max_features=1.5 is not a number from 1e-06 to 1"),
        ({"min_samples_split": 1}, "min_samples_split=1 is not a whole number of at least 2"),
        ({"n_estimators": 10.0}, "n_estimators=10.0 is not a whole number"),
        ({"min_impurity_decrease": -1.0}, "min_impurity_decrease=-1.0"),
    ],
)
@pytest.mark.parametrize("params_class", [RandomForestParams, ExtraTreesParams])
def test_wrong_values_are_refused(params_class: Any, params: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        params_class(**params)
    assert says in str(caught.value)


def test_max_samples_is_checked() -> None:
    with pytest.raises(SettingsError, match="max_samples=0"):
        RandomForestParams(max_samples=0)
