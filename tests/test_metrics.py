from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from typing import Any

import cloudpickle
import numpy as np
import pytest
import sklearn.metrics as theirs

from autotune.errors import PlugInError, SettingsError, UnknownNameError
from autotune.metrics import DEFAULT_METRICS, METRICS, OTHER_NAMES, SKLEARN_PROBABILITIES, Metric, resolve_metric

rng = np.random.default_rng(7)
N = 300


def probabilities(n: int, n_classes: int, *, ties: bool) -> np.ndarray:
    raw = rng.dirichlet(np.ones(n_classes), n)
    if not ties:
        return raw
    first = np.round(raw[:, :1], 1)
    return (
        np.hstack([first, 1 - first])
        if n_classes == 2
        else np.round(raw * 4 + 0.2) / np.round(raw * 4 + 0.2).sum(axis=1, keepdims=True)
    )


LABELS = {
    "accuracy": theirs.accuracy_score,
    "balanced_accuracy": theirs.balanced_accuracy_score,
    "f1_macro": lambda y, p, **k: theirs.f1_score(y, p, average="macro", **k),
    "f1_weighted": lambda y, p, **k: theirs.f1_score(y, p, average="weighted", **k),
    "f1_micro": lambda y, p, **k: theirs.f1_score(y, p, average="micro", **k),
    "mcc": theirs.matthews_corrcoef,
    "kappa": theirs.cohen_kappa_score,
    "f1": theirs.f1_score,
    "precision": theirs.precision_score,
    "recall": theirs.recall_score,
}
BINARY = {
    "roc_auc": theirs.roc_auc_score,
    "average_precision": theirs.average_precision_score,
    "log_loss": theirs.log_loss,
    "brier": theirs.brier_score_loss,
}
MULTICLASS = {
    "roc_auc": lambda y, p, **k: theirs.roc_auc_score(y, p, multi_class="ovr", **k),
    "average_precision": theirs.average_precision_score,
    "log_loss": theirs.log_loss,
    "brier": theirs.brier_score_loss,
}
VALUES = {
    "rmse": theirs.root_mean_squared_error,
    "mse": theirs.mean_squared_error,
    "mae": theirs.mean_absolute_error,
    "r2": theirs.r2_score,
    "mape": theirs.mean_absolute_percentage_error,
    "median_absolute_error": theirs.median_absolute_error,
    "rmsle": theirs.root_mean_squared_log_error,
    "quantile_loss": theirs.mean_pinball_loss,
    "quantile_loss:0.9": lambda y, p, **k: theirs.mean_pinball_loss(y, p, alpha=0.9, **k),
}

weights = pytest.mark.parametrize("weight", [None, rng.exponential(size=N)], ids=["plain", "weighted"])
ties = pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])


def arguments(weight: np.ndarray | None) -> dict[str, np.ndarray]:
    return {} if weight is None else {"sample_weight": weight}


@weights
@ties
@pytest.mark.parametrize("name", BINARY)
def test_binary_probabilities_agree_with_scikit_learn(name: str, ties: bool, weight: np.ndarray | None) -> None:
    y = rng.integers(0, 2, N)
    p = probabilities(N, 2, ties=ties)
    expected = BINARY[name](y, p[:, 1], **arguments(weight))
    assert METRICS[name].score(y, p, weight) == pytest.approx(expected, rel=1e-12)


def test_weights_of_any_size_leave_the_area_as_it_is() -> None:
    y, p = rng.integers(0, 2, N), probabilities(N, 2, ties=True)
    light = np.where(y == 1, 1.0, rng.uniform(1, 2, N))
    for heavy in (1e9, 1e16):
        score = METRICS["roc_auc"].score(y, p, np.where(y == 1, heavy, light))
        assert score == pytest.approx(METRICS["roc_auc"].score(y, p, light), rel=1e-9)


@weights
@ties
@pytest.mark.parametrize("name", MULTICLASS)
def test_multiclass_probabilities_agree_with_scikit_learn(name: str, ties: bool, weight: np.ndarray | None) -> None:
    y = rng.integers(0, 4, N)
    p = probabilities(N, 4, ties=ties)
    expected = MULTICLASS[name](y, p, **arguments(weight))
    assert METRICS[name].score(y, p, weight) == pytest.approx(expected, rel=1e-12)


@weights
@pytest.mark.parametrize(
    ("name", "n_classes"),
    [(name, n) for name in LABELS for n in (2, 5) if n == 2 or "multiclass" in METRICS[name].tasks],
)
def test_labels_agree_with_scikit_learn(name: str, n_classes: int, weight: np.ndarray | None) -> None:
    y = rng.integers(0, n_classes, N)
    p = probabilities(N, n_classes, ties=False)
    expected = LABELS[name](y, p.argmax(axis=1), **arguments(weight))
    assert METRICS[name].score(y, p, weight) == pytest.approx(expected, rel=1e-12)


@weights
@pytest.mark.parametrize("name", VALUES)
def test_values_agree_with_scikit_learn(name: str, weight: np.ndarray | None) -> None:
    y = rng.gamma(2.0, size=N)
    values = np.abs(y + rng.normal(size=N))
    expected = VALUES[name](y, values, **arguments(weight))
    assert resolve_metric(name, "regression").score(y, values, weight) == pytest.approx(expected, rel=1e-12)


def test_equal_scores_are_in_no_order() -> None:
    y, draws = np.resize([0, 1, 1], 300), np.random.default_rng(2)
    p, weight = np.full((300, 2), 0.5), draws.uniform(0.1, 3.0, 300)
    shuffled = draws.permutation(300)
    for name, expected in (("roc_auc", 0.5), ("average_precision", np.average(y, weights=weight))):
        assert METRICS[name].score(y, p, weight) == pytest.approx(expected)
        assert METRICS[name].score(y[shuffled], p, weight[shuffled]) == pytest.approx(expected)
    assert METRICS["accuracy"].score(y, p) == pytest.approx(1 / 3)  # of equally likely classes the first is shown


def test_every_metric_of_the_table_is_compared() -> None:
    assert set(METRICS) <= set(BINARY) | set(LABELS) | set(VALUES)


@pytest.mark.parametrize("name", ["log_loss", "brier", "accuracy", "f1_macro", "f1_weighted", "roc_auc"])
def test_classes_missing_among_the_answers(name: str) -> None:
    y = rng.choice([0, 3], N)
    p = probabilities(N, 4, ties=False)
    labels = np.arange(4)
    expected = {
        "log_loss": lambda: theirs.log_loss(y, p, labels=labels),
        "brier": lambda: theirs.brier_score_loss(y, p, labels=labels),
        "accuracy": lambda: theirs.accuracy_score(y, p.argmax(axis=1)),
        "f1_macro": lambda: theirs.f1_score(y, p.argmax(axis=1), average="macro"),
        "f1_weighted": lambda: theirs.f1_score(y, p.argmax(axis=1), average="weighted"),
        "roc_auc": lambda: (theirs.roc_auc_score(y == 0, p[:, 0]) + theirs.roc_auc_score(y == 3, p[:, 3])) / 2,
    }[name]()
    assert METRICS[name].score(y, p) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["roc_auc", "recall", "f1", "mcc", "kappa"])
def test_a_score_that_one_class_leaves_undefined_is_nan(name: str) -> None:
    assert np.isnan(METRICS[name].score(np.zeros(5, dtype=np.int64), probabilities(5, 2, ties=False)))


def test_one_class_of_several_has_no_roc_auc() -> None:
    assert np.isnan(METRICS["roc_auc"].score(np.full(9, 2), probabilities(9, 3, ties=False)))


@pytest.mark.parametrize("name", ["f1", "precision", "recall", "mcc", "kappa"])
def test_predicting_one_class_only_is_bad_and_not_undefined(name: str) -> None:
    assert METRICS[name].score(np.array([0, 1, 1]), np.array([[1.0, 0.0]] * 3)) == 0.0


def test_r2_of_constant_values_and_rmsle_of_minus_two_are_nan() -> None:
    assert np.isnan(METRICS["r2"].score(np.ones(4), np.arange(4.0)))
    assert np.isnan(METRICS["rmsle"].score(np.array([1.0, -2.0]), np.ones(2)))
    assert np.isnan(METRICS["rmsle"].score(np.ones(2), np.array([1.0, -2.0])))


@pytest.mark.parametrize("name", METRICS)
def test_nothing_to_score_is_nan(name: str) -> None:
    metric = METRICS[name]
    p = np.ones(3) if metric.needs == "values" else np.full((3, 2), 0.5)
    y = np.array([0, 1, 1]) if metric.needs != "values" else np.arange(3.0)
    assert np.isnan(metric.score(y[:0], p[:0]))
    assert np.isnan(metric.score(y, p, np.zeros(3)))
    assert np.isnan(metric.score(y, p * np.nan))


@pytest.mark.parametrize("name", METRICS)
def test_a_row_without_weight_is_not_there(name: str) -> None:
    metric = METRICS[name]
    p = rng.random(40) if metric.needs == "values" else probabilities(40, 2, ties=False)
    y = rng.random(40) if metric.needs == "values" else rng.integers(0, 2, 40)
    weight = (np.arange(40) >= 10).astype(float)
    assert metric.score(y, p, weight) == pytest.approx(metric.score(y[10:], p[10:]))


def test_a_sure_mistake_has_a_finite_log_loss() -> None:
    assert METRICS["log_loss"].score(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(36.04, abs=0.01)


def test_scores_lie_in_their_bounds() -> None:
    for metric in METRICS.values():
        p = rng.random(N) if metric.needs == "values" else probabilities(N, 2, ties=False)
        y = rng.random(N) if metric.needs == "values" else rng.integers(0, 2, N)
        assert metric.bounds[0] <= metric.score(y, p) <= metric.bounds[1], metric.name


def test_defaults_of_the_tasks() -> None:
    assert {kind: resolve_metric(None, kind).name for kind in DEFAULT_METRICS} == {
        "binary": "roc_auc",
        "multiclass": "log_loss",
        "regression": "rmse",
    }


def test_a_metric_prints_what_it_is() -> None:
    assert str(METRICS["roc_auc"]) == "roc_auc [0, 1] (maximize)"
    assert str(METRICS["r2"]) == "r2 [-inf, 1] (maximize)"


def test_losses_fit_their_metrics() -> None:
    assert METRICS["mae"].loss == "absolute"
    ninety = resolve_metric("quantile_loss:0.9", "regression")
    assert (ninety.name, ninety.loss, ninety.quantile) == ("quantile_loss:0.9", "quantile", 0.9)


@pytest.mark.parametrize("text", ["2", "0", "high", "-0.1", "nan"])
def test_a_quantile_outside_0_to_1_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError, match="is not between 0 and 1"):
        resolve_metric(f"quantile_loss:{text}", "regression")


def test_a_metric_that_does_not_fit_names_those_that_do() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve_metric("f1", "multiclass")
    assert str(caught.value) == (
        "metric 'f1' does not fit a multiclass task\n  where: metric\n"
        "  try:   one of: f1_macro, f1_micro, f1_weighted, accuracy, average_precision, balanced_accuracy, brier, "
        "kappa, log_loss, mcc, roc_auc"
    )
    with pytest.raises(SettingsError, match="one of: mae"):
        resolve_metric(METRICS["roc_auc"], "regression")


@pytest.mark.parametrize(("typed", "meant"), [("auc", "roc_auc"), ("neg_log_loss", "log_loss"), ("rmsee", "rmse")])
def test_an_unknown_name_gets_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        resolve_metric(typed, "binary")
    assert str(caught.value) == f"no metric named {typed!r}\n  try:   {meant}"


def test_other_names_point_to_metrics_and_hide_none() -> None:
    assert set(OTHER_NAMES.values()) | set(SKLEARN_PROBABILITIES.values()) <= set(METRICS)
    assert not set(OTHER_NAMES) & set(METRICS)


def test_what_is_no_metric() -> None:
    with pytest.raises(SettingsError, match="metric is 3"):
        resolve_metric(3, "binary")


# ---- functions from outside ----

CLASSES = np.array(["no", "yes"])


def test_a_function_gets_classes_as_they_came() -> None:
    seen = {}

    def share_right_score(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        seen.update(y_true=y_true, y_pred=y_pred)
        return np.mean(y_true == y_pred)

    metric = resolve_metric(share_right_score, "binary", CLASSES)
    assert metric.score(np.array([0, 1]), np.array([[0.2, 0.8], [0.1, 0.9]]), np.ones(2)) == 0.5
    assert seen["y_true"].tolist() == ["no", "yes"]
    assert seen["y_pred"].tolist() == ["yes", "yes"]
    assert (metric.name, metric.maximize, metric.needs) == ("share_right_score", True, "labels")


@pytest.mark.parametrize(
    ("name", "larger"),
    [("my_score", True), ("my_error", False), ("my_loss", False), ("my_deviance", False), ("f", True)],
)
def test_the_name_of_a_function_says_which_way_is_better(name: str, larger: bool) -> None:
    def function(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        return 1.0

    function.__name__ = name
    assert resolve_metric(function, "regression").maximize is larger
    function.greater_is_better = not larger
    assert resolve_metric(function, "regression").maximize is not larger


def test_a_function_may_ask_for_probabilities() -> None:
    def first(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        assert np.isin(y_true, CLASSES).all()
        return y_pred.shape[1] if y_pred.ndim == 2 else y_pred[0]

    first.needs_proba = True
    assert resolve_metric(first, "binary", CLASSES).score(np.array([1]), np.array([[0.3, 0.7]])) == 0.7
    three = np.append(CLASSES, "yes and no")
    first_of_three = resolve_metric(lambda y, p: float(p.shape[1]), "multiclass", three)
    assert first_of_three.name == "custom"
    with pytest.raises(IndexError):  # labels: no second axis
        first_of_three.score(np.array([1]), np.array([[0.3, 0.7, 0.0]]))


def test_scikit_learn_functions_with_weights() -> None:
    metric = resolve_metric(theirs.mean_poisson_deviance, "regression")
    y, values, weight = rng.random(9) + 1, rng.random(9) + 1, rng.random(9)
    assert not metric.maximize
    assert metric.score(y, values, weight) == theirs.mean_poisson_deviance(y, values, sample_weight=weight)


def test_scikit_learn_functions_of_probabilities_become_ours() -> None:
    assert resolve_metric(theirs.roc_auc_score, "multiclass") is METRICS["roc_auc"]


def test_scorers() -> None:
    y, p = np.array([0, 1, 1]), np.array([[0.2, 0.8], [0.1, 0.9], [0.7, 0.3]])
    beta = resolve_metric(theirs.make_scorer(theirs.fbeta_score, beta=2, pos_label="yes"), "binary", CLASSES)
    assert (beta.name, beta.maximize) == ("fbeta_score", True)
    assert beta.score(y, p) == theirs.fbeta_score(CLASSES[y], CLASSES[p.argmax(axis=1)], beta=2, pos_label="yes")
    loss = resolve_metric(theirs.get_scorer("neg_mean_absolute_error"), "regression")
    assert (loss.name, loss.maximize, loss.score(y * 1.0, y + 1.0)) == ("mean_absolute_error", False, 1.0)
    auc = resolve_metric(theirs.get_scorer("roc_auc"), "binary", CLASSES)
    assert (auc.needs, auc.score(y, p)) == ("probabilities", 0.5)


def test_a_function_that_returns_no_number() -> None:
    metric = resolve_metric(lambda y, p: "good", "regression")
    with pytest.raises(PlugInError, match="metric 'custom' returned str, not a number"):
        metric.score(np.ones(2), np.ones(2))


def test_metrics_travel() -> None:
    for metric in [*METRICS.values(), resolve_metric("quantile_loss:0.2", "regression")]:
        assert isinstance(pickle.loads(pickle.dumps(metric)), Metric)
    offset = 2.0
    local = resolve_metric(lambda y, p: float(np.mean(y == p)) + offset, "binary", CLASSES)
    assert cloudpickle.loads(cloudpickle.dumps(local)).score(np.array([1]), np.array([[0.0, 1.0]])) == 3.0


def test_importing_metrics_loads_no_scikit_learn() -> None:
    code = "import sys, autotune.metrics; print(*{'sklearn', 'scipy', 'pandas', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_scoring_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in METRICS.values():
            if metric.needs == "values":
                metric.score(np.zeros(1), np.array([1e300]))
            else:
                metric.score(np.zeros(1, dtype=np.int64), np.array([[0.5, 0.5]]))


@pytest.mark.parametrize("name", ["rmse", "mae", "rmsle"])
def test_a_function_called_like_a_metric_of_ours_has_its_direction(name: str) -> None:
    def own(y_true: Any, y_pred: Any) -> float:
        return 0.0

    own.__name__ = name
    assert not resolve_metric(own, "regression").maximize
