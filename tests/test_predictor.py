"""A fitted model for tables as people have them."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import autotune
from autotune.data.task import Rows
from autotune.errors import DataError, SettingsError
from autotune.learners.baseline import ConstantModel
from autotune.predictor import MeanOfModels
from autotune.report import Report


def make_frame(n_rows: int = 90) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"size": draws.normal(size=n_rows), "zone": draws.choice(["n", "s", "w"], n_rows)})
    return frame.assign(sold=np.where(frame["size"] + 0.1 * draws.normal(size=n_rows) > 0, "yes", "no"))


def tuned(frame: Any, y: Any = None, **words: Any) -> Report:
    return autotune.tune(frame, y, **{"space": "linear", "n_trials": 1, "random_state": 0, "cv": 3, **words})


FRAME = make_frame()
X = FRAME.drop(columns="sold")


@pytest.fixture(scope="module")
def report() -> Report:
    return tuned(FRAME, target="sold")


def test_frames_files_and_other_orders_give_the_same(report: Report, tmp_path: Path) -> None:
    expected = report.predict(X)
    assert expected.shape == (90,) and set(expected) == {"yes", "no"}
    assert (expected == FRAME["sold"]).mean() > 0.9
    for name in ("rows.csv", "rows.parquet"):
        FRAME.to_csv(tmp_path / name, index=False) if name.endswith("csv") else FRAME.to_parquet(tmp_path / name)
        np.testing.assert_array_equal(report.predict(tmp_path / name), expected)
        np.testing.assert_array_equal(report.predict(str(tmp_path / name)), expected)
    np.testing.assert_array_equal(report.predict(X[["zone", "size"]].assign(more=1)), expected)
    np.testing.assert_array_equal(report.predict(X.iloc[::-1]), expected[::-1])
    np.testing.assert_array_equal(report.predict(X.iloc[:1]), expected[:1])
    np.testing.assert_array_equal(report.predict({"size": X["size"].tolist(), "zone": X["zone"].tolist()}), expected)


def test_probabilities_stand_in_the_order_of_the_classes(report: Report) -> None:
    probabilities = report.predict_proba(X)
    assert probabilities.shape == (90, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert report.model.classes is not None
    np.testing.assert_array_equal(report.model.classes[probabilities.argmax(axis=1)], report.predict(X))
    assert list(report.model.classes) == ["no", "yes"]
    assert tuple(report.model.feature_names) == ("size", "zone")


def test_missing_cells_and_unheard_of_levels_are_predicted(report: Report) -> None:
    odd = pd.DataFrame({"size": [np.nan, np.inf, 1.0], "zone": ["n", None, "nowhere"]})
    assert np.isfinite(report.predict_proba(odd)).all()


def test_a_missing_column_is_named(report: Report) -> None:
    with pytest.raises(DataError, match="column 'zone' is missing"):
        report.predict(X[["size"]])


def test_a_retyped_column_is_named(report: Report) -> None:
    with pytest.raises(DataError, match="column 'size' held numbers when the model was made, and now holds 'big'"):
        report.predict(X.assign(size="big"))


@pytest.mark.parametrize(
    "classes",
    [
        np.array([False, True]),
        np.array([3, 7]),
        np.array([-1.0, 1.0]),
        np.array(["no", "yes"], dtype=object),
        np.array(["a", "b"]),
        pd.Categorical(["low", "high"], categories=["low", "high"], ordered=True),
    ],
    ids=lambda classes: str(classes.dtype),
)
def test_classes_come_back_as_they_came(classes: Any) -> None:
    codes = (FRAME["sold"] == "yes").astype(int).to_numpy()
    y = classes[codes]
    predicted = tuned(X, y).predict(X)
    assert (predicted == np.asarray(y)).mean() > 0.9
    assert type(predicted.tolist()[0]) is type(np.asarray(y).tolist()[0])


def test_arrays_without_names_are_predicted_by_position() -> None:
    values = np.random.default_rng(0).normal(size=(60, 3))
    report = tuned(values, values[:, 1])
    np.testing.assert_allclose(report.predict(values), values[:, 1], atol=0.2)
    np.testing.assert_array_equal(report.predict(values.tolist()), report.predict(values))
    with pytest.raises(DataError):
        report.predict(values[:, :2])
    with pytest.raises(SettingsError, match="a regression has no probabilities"):
        report.predict_proba(values)


def test_a_model_can_be_pickled(report: Report) -> None:
    again = pickle.load(io.BytesIO(pickle.dumps(report.model)))
    np.testing.assert_array_equal(again.predict(X), report.predict(X))


def test_several_models_predict_their_weighted_mean() -> None:
    rows = Rows(np.zeros((2, 1)), np.zeros((2, 0), dtype=np.int32))
    both = MeanOfModels((ConstantModel(np.array([0.2, 0.8])), ConstantModel(np.array([0.6, 0.4]))), (0.75, 0.25))
    np.testing.assert_allclose(both.predict(rows), [[0.3, 0.7]] * 2)


def test_no_rows_give_no_predictions(report: Report) -> None:
    assert len(report.predict(X.iloc[:0])) == 0
    assert report.predict_proba(X.iloc[:0]).shape == (0, 2)


def test_a_feature_that_happens_to_number_the_rows_at_predict_is_a_feature() -> None:
    shuffled = np.random.default_rng(1).permutation(len(FRAME))
    report = tuned(FRAME.assign(**{"Unnamed: 0": shuffled}), target="sold")
    assert len(report.predict(X.iloc[:3].assign(**{"Unnamed: 0": [0, 1, 2]}))) == 3
