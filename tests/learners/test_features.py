from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autotune.data.task import Column, Problem, Rows, Schema
from autotune.errors import SettingsError
from autotune.learners import features
from autotune.learners.checks import check_parameters
from autotune.learners.encoded import EncodedModel
from autotune.learners.features import DenseFeatures, NetworkFeatures, Numbers, OrdinalFeatures
from autotune.learners.linear import LinearParams
from autotune.learners.protocol import Member

NAN = np.nan


def made(numeric: Any, codes: Any) -> Rows:
    return Rows(np.array(numeric, dtype=np.float64), np.array(codes, dtype=np.int32))


def schema(n_numeric: int, *n_levels: int) -> Schema:
    numbers = [Column(f"x{i}", "numeric") for i in range(n_numeric)]
    levels = [Column(f"c{i}", "categorical", tuple(map(str, range(n)))) for i, n in enumerate(n_levels)]
    return Schema((*numbers, *levels))


def member(rows: Rows, of: Schema, validation: Rows | None = None) -> Member:
    return Member(Problem("regression", 0, of), rows, np.zeros(len(rows)), None, validation)


def test_statistics_come_from_training_rows_only() -> None:
    training = made([[1.0], [2.0], [3.0], [NAN]], [[1], [1], [2], [0]])
    own = schema(1, 5)
    for fit in (NetworkFeatures.fit, OrdinalFeatures.fit, DenseFeatures.fit):
        fitted: Any = fit(training, own)
        assert fitted.numbers.medians.tolist() == [2.0]
    alone = features.dense(member(training, own, made([[5.0]], [[1]])))
    beside = features.dense(member(training, own, made([[900.0], [5.0]], [[4], [1]])))
    np.testing.assert_array_equal(alone.validation[1][0], beside.validation[1][1])  # type: ignore[index]
    assert alone.training[:, 0].mean() == pytest.approx(0.0, abs=1e-6)


def test_missing_numbers_become_the_median_with_an_indicator_only_where_training_missed_some() -> None:
    numbers = Numbers.fit(np.array([[1.0, 5.0], [NAN, 6.0], [3.0, 7.0]]))
    assert numbers.transform(np.array([[NAN, NAN]])).tolist() == [[2.0, 6.0, 1.0]]


def test_a_network_is_told_of_a_gap_in_a_low_voice() -> None:
    rows = made([[1.0], [2.0], [NAN], [3.0]], np.empty((4, 0)))
    numbers, _ = NetworkFeatures.fit(rows, schema(1)).transform(rows)
    assert numbers[:, 1].tolist() == pytest.approx([0.0, 0.0, 0.3, 0.0])
    assert numbers[2, 0] == 0.0


def test_a_column_that_is_empty_in_the_fold_is_zero() -> None:
    numbers = Numbers.fit(np.array([[NAN], [NAN]]))
    assert numbers.transform(np.array([[NAN], [4.0]])).tolist() == [[0.0, 1.0], [4.0, 0.0]]


def test_ordinal_keeps_the_order_of_levels_and_gives_unknown_a_value_of_its_own() -> None:
    fitted = OrdinalFeatures.fit(made(np.empty((4, 0)), [[0], [2], [4], [4]]), schema(0, 5))
    seen_and_unseen = made(np.empty((6, 0)), [[0], [2], [4], [-1], [1], [3]])
    assert fitted.transform(seen_and_unseen).ravel().tolist() == [1, 2, 3, 0, 0, 0]


def test_rare_levels_share_a_column_and_unknown_ones_join_them() -> None:
    codes = [[1]] * 5 + [[2]] * 4 + [[3]] + [[0]] * 3
    fitted = DenseFeatures.fit(made(np.empty((13, 0)), codes), schema(0, 4))
    one_hot = fitted.transform(made(np.empty((6, 0)), [[1], [2], [3], [0], [4], [-1]]))
    assert one_hot.sum(axis=1).tolist() == [1.0] * 6
    assert one_hot.shape == (6, 4)
    assert one_hot[[2, 4, 5], 0].tolist() == [1.0, 1.0, 1.0]
    assert one_hot[[0, 1, 3]][:, 0].tolist() == [0.0, 0.0, 0.0]


def test_unknown_levels_are_all_zeros_where_none_is_rare() -> None:
    fitted = DenseFeatures.fit(made(np.empty((6, 0)), [[1]] * 3 + [[2]] * 3), schema(0, 3))
    assert fitted.transform(made(np.empty((2, 0)), [[-1], [3]])).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_only_the_most_frequent_levels_get_columns() -> None:
    codes = np.repeat(np.arange(1, 31), np.arange(3, 33))[:, None]
    fitted = DenseFeatures.fit(made(np.empty((len(codes), 0)), codes), schema(0, 30), max_levels=10, sparse=False)
    one_hot = fitted.transform(made(np.empty((30, 0)), np.arange(1, 31)[:, None]))
    assert one_hot.shape[1] == 11
    assert one_hot[:20, 0].all() and not one_hot[20:, 0].any()


def test_sparse_and_dense_hold_the_same_numbers() -> None:
    draws = np.random.default_rng(0)
    rows = made(draws.normal(size=(400, 2)), draws.integers(0, 40, size=(400, 2)))
    thin, full = (DenseFeatures.fit(rows, schema(2, 40, 40), sparse=sparse) for sparse in (True, False))
    other = made(draws.normal(size=(50, 2)), draws.integers(-1, 41, size=(50, 2)))
    assert type(thin.transform(rows)).__name__ == "csr_matrix"
    np.testing.assert_array_equal(thin.transform(other).toarray(), full.transform(other))


def test_thousands_of_levels_stay_cheap() -> None:
    draws = np.random.default_rng(0)
    rows = made(np.empty((20_000, 0)), draws.integers(1, 9_000, size=(20_000, 1)))
    matrix = features.dense(member(rows, schema(0, 9_000))).training
    assert matrix.shape[1] <= 101


@pytest.mark.parametrize("scaler", ["standard", "quantile"])
def test_huge_numbers_and_constants_stay_finite(scaler: Any) -> None:
    training = made([[1e300, 7.0], [-1e300, 7.0], [0.0, 7.0]], np.empty((3, 0)))
    matrix = DenseFeatures.fit(training, schema(2), scaler=scaler).transform(made([[1e308, 8.0]], np.empty((1, 0))))
    assert np.isfinite(matrix).all()
    assert np.isfinite(OrdinalFeatures.fit(training, schema(2)).transform(training)).all()


def test_quantile_scaling_ignores_the_size_of_outliers() -> None:
    training = np.linspace(0, 1, 101)[:, None]
    outlier = training.copy()
    outlier[-1] = 1e6
    plain, pulled = (
        DenseFeatures.fit(Rows(x, np.empty((101, 0), np.int32)), schema(1), scaler="quantile").transform(
            Rows(training, np.empty((101, 0), np.int32))
        )
        for x in (training, outlier)
    )
    np.testing.assert_allclose(plain[:-2], pulled[:-2], atol=1e-5)


def test_network_clips_smoothly_and_codes_rare_levels_as_zero() -> None:
    training = made([[0.0], [1.0], [2.0], [3.0], [4.0]], [[1], [1], [2], [0], [0]])
    fitted = NetworkFeatures.fit(training, schema(1, 3))
    numbers, codes = fitted.transform(made([[2.0], [4.0], [1e12], [NAN]], [[1], [2], [0], [-1]]))
    assert numbers.dtype == np.float32 and codes.dtype == np.int64
    assert numbers[0, 0] == 0.0 and numbers[1, 0] == pytest.approx(1 / np.sqrt(1 + 1 / 9))
    assert numbers[2, 0] == pytest.approx(3.0) and numbers[3, 0] == 0.0
    assert codes.ravel().tolist() == [2, 0, 1, 0]
    assert fitted.cardinalities == (3,) and fitted.n_numeric == 1


def test_network_scales_columns_without_spread_in_the_middle() -> None:
    training = made([[0.0, 5.0], [0.0, 5.0], [0.0, 5.0], [0.0, 5.0], [8.0, 5.0]], np.empty((5, 0)))
    numbers, _ = NetworkFeatures.fit(training, schema(2)).transform(made([[4.0, 6.0]], np.empty((1, 0))))
    np.testing.assert_allclose(numbers, [[1 / np.sqrt(1 + 1 / 9), 1 / np.sqrt(1 + 1 / 9)]], rtol=1e-6)


def test_encoders_are_fitted_once_and_validation_is_known_by_its_rows() -> None:
    rows, first, second = made([[1.0], [2.0]], [[1], [1]]), made([[3.0]], [[1]]), made([[4.0]], [[1]])
    own = member(rows, schema(1, 1), first)
    encoded = features.ordinal(own)
    again = features.ordinal(own)
    assert again.training is encoded.training and again.validation is encoded.validation
    other = features.ordinal(replace(own, validation=second))
    assert other.training is encoded.training
    assert other.validation is not None and other.validation[1][0, 0] == 4.0
    assert features.ordinal(replace(own, validation=None)).validation is None
    assert all(key[0] == "autotune.learners.features" for key in own.cache)


def test_a_model_remembers_validation_rows_but_is_pickled_without_them() -> None:
    rows = made(np.ones((3, 1)), np.empty((3, 0)))
    validation = made(np.random.default_rng(0).normal(size=(5_000, 1)), np.empty((5_000, 0)))
    encoded = features.ordinal(member(rows, schema(1), validation))
    remembering = encoded.remembering()
    assert encoded.validation is not None
    assert remembering.transform(validation) is encoded.validation[1]
    text = pickle.dumps(EncodedModel(remembering, None, 0))
    assert len(text) < 2_000
    np.testing.assert_array_equal(pickle.loads(text).features.transform(validation), encoded.validation[1])


@pytest.mark.parametrize("fit", [NetworkFeatures.fit, OrdinalFeatures.fit, DenseFeatures.fit])
@pytest.mark.parametrize("n_levels", [(), (3,)])
@pytest.mark.parametrize("n_numeric", [0, 2])
def test_tables_of_one_kind_of_column_only(fit: Any, n_levels: tuple[int, ...], n_numeric: int) -> None:
    rows = made(np.ones((6, n_numeric)), np.ones((6, len(n_levels))))
    form = fit(rows, schema(n_numeric, *n_levels)).transform(rows)
    widths = [part.shape[1] for part in form] if isinstance(form, tuple) else [form.shape[1]]
    assert sum(widths) == n_numeric + len(n_levels)


@pytest.mark.parametrize(
    ("value", "says"),
    [(0, "C=0 is not a number from 1e-10"), (NAN, "C=nan"), ("1", "C='1'"), (True, "C=True"), (None, "C=None")],
)
def test_a_wrong_parameter_is_named(value: Any, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        LinearParams(C=value)
    assert says in str(caught.value) and "learner 'linear', C" in str(caught.value)


def test_a_float_is_no_whole_number_and_says_so_at_once() -> None:
    with pytest.raises(SettingsError, match=r"k=5\.0 is not a whole number of at least 1"):
        check_parameters("any", type("Params", (), {"k": 5.0})(), {"k": range(1, 10**12)})


def test_importing_features_loads_no_heavy_package() -> None:
    program = (
        "import sys, autotune.learners.features; print({'sklearn', 'scipy', 'pandas', 'torch'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"
