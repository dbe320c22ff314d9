from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from autotune.errors import SettingsError
from autotune.learners import forest
from autotune.learners.encoded import standardized
from autotune.learners.features import ordinal
from autotune.learners.forest import ExtraTrees, ExtraTreesParams, RandomForest, RandomForestParams
from autotune.learners.protocol import Member, Resources
from autotune.testing import made_members

BOTH = pytest.mark.parametrize("learner", [RandomForest, ExtraTrees])


def model(learner: Any, member: Member, **params: Any) -> Any:
    *_, step = learner().train([member], learner.Params(**params), seed=3, resources=Resources())
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
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_growing_tree_by_tree_changes_no_digit(learner: Any, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    members = made_members(kind)
    params = learner.Params(n_estimators=23, max_features=0.5)
    steps = list(take(learner, members, params))
    assert [number for number, _, _ in steps] == list(range(1, 24))
    for _, predictions, models in steps:  # the votes that are kept up are what the forest of so many trees says
        for member, one, model_ in zip(members, predictions, models, strict=True):
            assert np.array_equal(one, model_.predict(member.validation))
    for seed, (member, grown) in enumerate(zip(members, steps[-1][2], strict=True), start=3):
        at_once = clone(grown.estimator).set_params(random_state=seed)
        at_once.fit(ordinal(member).training, member.y if kind != "regression" else standardized(member.y, None)[0])
        whole = replace(grown, estimator=at_once)
        assert np.array_equal(whole.predict(member.validation), grown.predict(member.validation))
    monkeypatch.setattr(forest, "SECONDS_AHEAD", 1e-9)  # one by one
    for (_, left, _), (_, right, _) in zip(steps, take(learner, members, params), strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(left, right, strict=True))


def take(learner: Any, members: Any, params: Any) -> Any:
    for step in learner().train(members, params, seed=3, resources=Resources()):
        yield step.number, step.predictions(), step.models()


@BOTH
def test_a_refit_has_the_share_of_its_trees_that_the_curve_reached(learner: Any) -> None:
    member = replace(made_members("binary", 1)[0], validation=None)
    params = learner.Params(n_estimators=4, n_estimators_at_refit=9)
    steps = learner().train([member], params, seed=3, resources=Resources())
    reached = [(step.number, len(step.models()[0].estimator.estimators_)) for step in steps]
    assert reached == [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6), (3, 7), (3, 8), (4, 9)]  # a tree at a time
    assert learner().pace(params).last == 4


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
