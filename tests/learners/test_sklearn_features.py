"""What an estimator is given."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from autotune.data.task import Column, Problem, Rows, Schema
from autotune.learners.protocol import Member
from autotune.learners.sklearn_features import Form, form_of, prepared, takes_missing

SCHEMA = Schema(
    (
        Column("size", "numeric"),
        Column("zone", "categorical", levels=("n", "s", "w")),
        Column("new", "boolean"),
        Column("day", "datetime", parts=("month", "hour")),
    )
)
TABLE, MATRIX, IMPUTED = Form("table"), Form("matrix", max_levels=100), Form("matrix", impute=True, max_levels=100)


@pytest.mark.parametrize(
    ("estimator", "form"),
    [
        (SVC(), IMPUTED),
        (RandomForestClassifier(), MATRIX),
        (make_pipeline(StandardScaler(), SVC()), IMPUTED),
        (make_pipeline(SimpleImputer(), SVC()), MATRIX),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), MATRIX),
        (make_pipeline("passthrough", OneHotEncoder(), SVC()), TABLE),
        (make_pipeline(OrdinalEncoder(), SVC()), TABLE),
        (make_pipeline(StandardScaler(), OneHotEncoder()), MATRIX),
        (BaggingClassifier(make_pipeline(make_column_transformer((OneHotEncoder(), ["zone"])), SVC())), TABLE),
        (HistGradientBoostingClassifier(), Form("table", max_levels=254)),
        (HistGradientBoostingClassifier(categorical_features=None), MATRIX),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier()), MATRIX),
        (lightgbm.LGBMClassifier(), TABLE),
    ],
)
def test_forms(estimator: Any, form: Form) -> None:
    assert form_of(estimator) == form


def test_what_says_nothing_of_missing_values_is_given_none() -> None:
    class Silent:
        def fit(self, X: Any, y: Any) -> Silent:
            return self

    assert not takes_missing(Silent())
    assert not takes_missing(LinearRegression())


def member(**words: Any) -> Member:
    numeric = np.array([[1.0, 1.0, 2.0, 5.0], [np.nan, 0.0, 3.0, 6.0], [4.0, np.nan, 4.0, 7.0]])
    rows = Rows(numeric, np.array([[1], [3], [0]], dtype=np.int32))
    later = Rows(numeric[:2], np.array([[2], [-1]], dtype=np.int32))
    return Member(Problem("binary", 2, SCHEMA), rows, np.array([0, 1, 0]), None, later, **words)


def test_a_matrix_leaves_numbers_as_they_are() -> None:
    encoded = prepared(member(), MATRIX)
    np.testing.assert_array_equal(encoded.training[:, :4], member().rows.numeric)
    np.testing.assert_array_equal(encoded.training[:, 4:], [[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # missing, n, w
    assert encoded.validation is not None
    np.testing.assert_array_equal(encoded.validation[1][:, 4:], np.zeros((2, 3)))
    assert encoded.training.dtype == np.float64


def test_medians_are_those_of_the_training_rows() -> None:
    assert prepared(member(), IMPUTED).training[1].tolist()[:4] == [2.5, 0.0, 3.0, 6.0]


def test_a_table_has_the_columns_in_their_order() -> None:
    encoded = prepared(member(), TABLE)
    frame = encoded.training
    assert frame.columns.tolist() == ["size", "zone", "new", "day.month", "day.hour"]
    assert frame["zone"].tolist()[:2] == ["n", "w"] and frame["zone"].isna().tolist() == [False, False, True]
    assert frame["zone"].cat.categories.tolist() == ["n", "w"]
    assert frame["new"].isna().tolist() == [False, False, True]
    assert encoded.validation is not None and encoded.validation[1]["zone"].isna().all()


def test_a_table_keeps_the_most_frequent_levels() -> None:
    codes = np.array([[1], [2], [2], [3], [3]], dtype=np.int32)
    schema = Schema((Column("zone", "categorical", levels=("n", "s", "w")),))
    rows = Rows(np.empty((5, 0)), codes)
    frame = prepared(
        Member(Problem("binary", 2, schema), rows, np.zeros(5, dtype=np.int64)), Form("table", max_levels=2)
    ).training
    assert frame["zone"].cat.categories.tolist() == ["s", "w"] and bool(frame["zone"].isna()[0])


def test_a_form_is_made_once_a_member() -> None:
    one = member()
    assert prepared(one, TABLE).training is prepared(one, TABLE).training
    assert prepared(one, TABLE).training is not prepared(member(), TABLE).training
