from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from autotune.data.task import Column, Problem, Rows, Schema
from autotune.errors import SettingsError
from autotune.learners.features import dense
from autotune.learners.linear import Compressed, Linear, LinearParams
from autotune.learners.logistic import Start
from autotune.learners.protocol import Member, Resources

NAMES = Schema(tuple(Column(f"x{i}", "numeric") for i in range(6)))


def made(n_rows: int = 600) -> Rows:
    numeric = np.random.default_rng(0).normal(size=(n_rows, 6))
    return Rows(numeric, np.zeros((n_rows, 0), dtype=np.int32))


def fitted(kind: Any, y: Any, rows: Rows, weight: Any = None, n_classes: int = 0, **params: Any) -> Any:
    member = Member(Problem(kind, n_classes, NAMES), rows, y, weight, rows)
    (step,) = Linear().train([member], LinearParams(**params), seed=0, resources=Resources())
    return step.models()[0]


def slopes(model: Any, rows: Rows) -> Any:
    return model.estimator.coef_.ravel() * model.scale / rows.numeric.std(axis=0)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_regression_recovers_a_known_signal(penalty: str) -> None:
    rows = made()
    truth = np.array([3.0, -2.0, 0.0, 0.0, 0.0, 1.0])
    model = fitted("regression", rows.numeric @ truth + 50.0, rows, penalty=penalty, C=1000.0)
    np.testing.assert_allclose(slopes(model, rows), truth, atol=0.01)
    np.testing.assert_allclose(model.predict(rows), rows.numeric @ truth + 50.0, atol=0.05)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_logistic_recovers_a_known_signal(penalty: str) -> None:
    rows = made(8000)
    truth = np.array([1.5, -1.0, 0.0, 0.0, 0.0, 0.5])
    share = 1 / (1 + np.exp(-rows.numeric @ truth))
    y = (np.random.default_rng(1).random(8000) < share).astype(np.int64)
    model = fitted("binary", y, rows, n_classes=2, penalty=penalty, C=100.0)
    np.testing.assert_allclose(slopes(model, rows), truth, atol=0.12)
    np.testing.assert_allclose(model.predict(rows)[:, 1], share, atol=0.08)


@pytest.mark.parametrize(("kind", "n_classes"), [("binary", 2), ("multiclass", 3), ("regression", 0)])
def test_l1_is_sparse_where_l2_is_not(kind: str, n_classes: int) -> None:
    rows = made()
    signal = rows.numeric[:, 0] + 0.1 * np.random.default_rng(2).normal(size=600)
    y = np.digitize(signal, np.linspace(-0.5, 0.5, n_classes - 1)) if n_classes else signal
    l1, l2 = (fitted(kind, y, rows, n_classes=n_classes, penalty=p, C=0.05).estimator.coef_ for p in ("l1", "l2"))
    assert (np.abs(l1) < 1e-9).any() and (np.abs(l2) > 1e-9).all()


def test_C_means_the_same_for_any_scale_of_the_target() -> None:
    rows = made(60)
    y = rows.numeric[:, 0] + np.random.default_rng(3).normal(size=60)
    for penalty in ("l1", "l2"):
        small, large = (fitted("regression", y * unit, rows, penalty=penalty, C=0.1).predict(rows) for unit in (1, 1e6))
        np.testing.assert_allclose(small * 1e6, large, rtol=1e-3, atol=1e3)


@pytest.mark.parametrize(("kind", "n_classes"), [("binary", 2), ("regression", 0)])
def test_weights_act_and_their_unit_does_not(kind: str, n_classes: int) -> None:
    rows = made(200)
    half = np.arange(200) < 100
    signal = np.where(half, rows.numeric[:, 0], -rows.numeric[:, 0])
    y = (signal > 0).astype(np.int64) if n_classes else signal
    weight = np.where(half, 1.0, 1e-6)
    model, unit = (fitted(kind, y, rows, weight * factor, n_classes) for factor in (1.0, 50.0))
    assert model.estimator.coef_.ravel()[0] > 0.5
    np.testing.assert_allclose(model.predict(rows), unit.predict(rows), atol=1e-4)


def test_balanced_classes_raise_the_rare_one() -> None:
    rows = made()
    y = (rows.numeric[:, 0] + np.random.default_rng(4).normal(size=600) > 2.0).astype(np.int64)
    plain, balanced = (
        fitted("binary", y, rows, n_classes=2, class_weight=word).predict(rows)[:, 1].mean()
        for word in ("none", "balanced")
    )
    assert balanced > 2 * plain


@pytest.mark.parametrize("present", [[0, 2], [1]])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_classes_that_training_rows_lack_keep_their_column(present: list[int], penalty: str) -> None:
    rows = made(60)
    probabilities = fitted("multiclass", np.resize(present, 60), rows, n_classes=3, penalty=penalty).predict(rows)
    assert probabilities.shape == (60, 3)
    assert probabilities[:, sorted({0, 1, 2} - set(present))].max() == 0.0


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize(("kind", "n_classes"), [("binary", 2), ("multiclass", 3), ("regression", 0)])
def test_no_warning_leaks_from_twin_columns_and_weak_penalties(kind: str, n_classes: int, penalty: str) -> None:
    rows = made(40)
    twins = Rows(np.repeat(rows.numeric[:, :3], 2, axis=1), rows.categorical)
    y = np.arange(40) % n_classes if n_classes else rows.numeric[:, 0]
    fitted(kind, y, twins, n_classes=n_classes, penalty=penalty, C=1e9)


def test_wrong_words_are_refused() -> None:
    with pytest.raises(SettingsError, match="penalty='elastic' is not one of l2, l1"):
        LinearParams(penalty="elastic")  # type: ignore[arg-type]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", [np.asarray, csr_matrix])
@pytest.mark.parametrize("C", [1e-3, 0.1, 1.0])
def test_compressing_the_rows_changes_no_coefficient(layout: Any, weighted: bool, C: float) -> None:
    draws = np.random.default_rng(5)
    matrix = np.hstack([draws.normal(size=(300, 3)), np.eye(5)[draws.integers(0, 5, 300)]])
    target = matrix @ draws.normal(size=8) + draws.normal(size=300)
    weight = draws.uniform(0.5, 1.5, 300) if weighted else np.ones(300)
    weight, target = weight / weight.mean(), target - np.average(target, weights=weight)
    compressed = Compressed.of(layout(matrix), target, weight if weighted else None)
    for whole, penalty, atol in (
        (Ridge(1 / C), "l2", 1e-9),
        (Lasso(1 / C / 300, tol=1e-6, max_iter=10**5), "l1", 0.02),
    ):
        whole.fit(matrix, target, sample_weight=weight)
        found = compressed.fitted(LinearParams(C=C, penalty=penalty))  # type: ignore[arg-type]
        np.testing.assert_allclose(found.predict(matrix), whole.predict(matrix), atol=atol)


def test_trials_of_a_fold_share_its_compressed_rows_and_no_result() -> None:
    rows = made(100)
    y = rows.numeric @ np.arange(6.0)
    alone = fitted("regression", y, rows, C=0.01).predict(rows)
    member = Member(Problem("regression", 0, NAMES), rows, y, None, rows)
    for C in (10.0, 0.01):
        (step,) = Linear().train([member], LinearParams(C=C), seed=0, resources=Resources())
    assert np.array_equal(step.predictions()[0], alone)
    assert sum(isinstance(kept, Compressed) for kept in member.cache.values()) == 1


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", [np.asarray, csr_matrix])
@pytest.mark.parametrize("C", [1e-4, 0.1, 1e3])
def test_two_classes_get_the_coefficients_that_scikit_learn_finds(
    layout: Any, C: float, weighted: bool, class_weight: str
) -> None:
    draws = np.random.default_rng(7)
    rows = Rows(draws.normal(size=(300, 6)) * 10.0 ** np.arange(6), np.zeros((300, 0), dtype=np.int32))
    y = (rows.numeric[:, 0] + draws.normal(size=300) > 1.0).astype(np.int64)
    weight = draws.uniform(0.5, 1.5, 300) if weighted else np.ones(300)
    member = Member(Problem("binary", 2, NAMES), rows, y, weight, rows)
    matrix = layout(dense(member).training.astype(np.float64))
    kept = member.cache[("autotune.learners.features", "dense", "standard", 100, True)]
    member.cache[("autotune.learners.features", "dense", "standard", 100, True)] = replace(kept, training=matrix)
    params = LinearParams(C=C, class_weight=class_weight)  # type: ignore[arg-type]
    (step,) = Linear().train([member], params, seed=0, resources=Resources())
    exact = LogisticRegression(
        C=C, solver="newton-cholesky", tol=1e-10, class_weight=None if class_weight == "none" else class_weight
    ).fit(matrix, y, sample_weight=weight / weight.mean())
    found = step.models()[0].estimator  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.predict_proba(matrix), exact.predict_proba(matrix), atol=1e-3)
    np.testing.assert_allclose(step.predictions()[0], found.predict_proba(matrix))


def test_fits_of_a_fold_share_where_they_begin_and_no_result() -> None:
    rows = made(200)
    y = (rows.numeric[:, 0] > 0).astype(np.int64)
    alone = fitted("binary", y, rows, n_classes=2, C=0.01).predict(rows)
    member = Member(Problem("binary", 2, NAMES), rows, y, None, rows)
    for C in (1e3, 0.01):
        (step,) = Linear().train([member], LinearParams(C=C), seed=0, resources=Resources())
    assert np.array_equal(step.predictions()[0], alone)
    assert sum(isinstance(kept, Start) for kept in member.cache.values()) == 1
