from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from autotune.errors import SettingsError
from autotune.learners import features
from autotune.learners.knn import MAX_LEVELS, KNearestNeighbors, KNNParams
from autotune.learners.protocol import Member, Resources
from autotune.testing import made_members


def predict(member: Member, **params: Any) -> Any:
    (step,) = KNearestNeighbors().train([member], KNNParams(**params), seed=0, resources=Resources())
    return step.predictions()[0]


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_it_votes_as_scikit_learn_does(kind: Any, p: float, weights: str) -> None:
    member = made_members(kind, 1)[0]
    encoded = features.dense(member, max_levels=MAX_LEVELS, sparse=False)
    estimator_class = KNeighborsRegressor if kind == "regression" else KNeighborsClassifier
    theirs = estimator_class(7, weights=weights, p=p).fit(encoded.training, member.y)
    expected = getattr(theirs, "predict" if kind == "regression" else "predict_proba")(encoded.validation[1])
    np.testing.assert_allclose(predict(member, n_neighbors=7, p=p, weights=weights), expected, rtol=1e-6, atol=1e-9)


def test_rows_equal_to_training_rows_get_their_answers() -> None:
    member = made_members("regression", 1)[0]
    np.testing.assert_allclose(predict(replace(member, validation=member.rows)), member.y)


def test_more_neighbours_than_rows_are_all_rows() -> None:
    member = made_members("regression", 1)[0]
    np.testing.assert_allclose(predict(member, n_neighbors=500, weights="uniform"), member.y.mean())


def test_sample_weights_count_and_rows_of_no_weight_do_not_vote() -> None:
    member = made_members("binary", 1)[0]
    weight = np.where(member.y == 1, 3.0, 1.0)
    share = np.average(member.y, weights=weight)
    heavy = predict(replace(member, weight=weight), n_neighbors=500, weights="uniform")
    np.testing.assert_allclose(heavy[:, 1], share)
    only_ones = predict(replace(member, weight=np.where(member.y == 1, 1.0, 0.0)), n_neighbors=3)
    np.testing.assert_allclose(only_ones[:, 1], 1.0)


def test_the_scaler_matters() -> None:
    member = made_members("regression", 1)[0]
    assert not np.allclose(predict(member, scaler="standard"), predict(member, scaler="quantile"))


def test_many_rows_are_predicted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    member = made_members("multiclass", 1)[0]
    whole = predict(member)
    monkeypatch.setattr("autotune.learners.knn.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(predict(member), whole)


@pytest.mark.parametrize("params", [{"n_neighbors": 0}, {"p": 0.5}, {"scaler": "none"}, {"weights": "squared"}])
def test_wrong_values_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(params))):
        KNNParams(**params)
