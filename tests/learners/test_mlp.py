from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from autotune.data.task import Column, Problem, Rows, Schema, TaskKind
from autotune.errors import SettingsError
from autotune.learners import mlp_params, training_params
from autotune.learners.mlp import MLP, choose_device
from autotune.learners.mlp_params import MLPParams
from autotune.learners.mlp_training import CohortTraining
from autotune.learners.protocol import Member, Resources, Step
from autotune.learners.torch_training import row_losses, row_weights
from autotune.learners.training_params import count_batches, rate_factor
from autotune.metrics import resolve_metric
from autotune.spaces.files import built_in_path, read_space

LEVELS = ("a", "b", "c", "rare")
SMALL = MLPParams(units=32, epochs=12, learning_rate=1e-2)


def made(
    kind: TaskKind = "binary", n: int = 300, n_numeric: int = 4, n_categorical: int = 1, seed: int = 0
) -> tuple[Member, np.ndarray]:
    """Return a member with 100 validation rows, and the answers to these; numbers and levels both say something."""
    rng = np.random.default_rng(seed)
    total = n + 100
    numeric = rng.normal(size=(total, n_numeric))
    categorical = rng.integers(1, 4, size=(total, n_categorical)).astype(np.int32)
    signal = numeric.sum(axis=1) + 2.0 * (categorical == 2).sum(axis=1) + 0.2 * rng.normal(size=total)
    columns = [Column(f"x{i}", "numeric") for i in range(n_numeric)]
    columns += [Column(f"c{i}", "categorical", levels=LEVELS) for i in range(n_categorical)]
    n_classes = {"binary": 2, "multiclass": 3, "regression": 0}[kind]
    y = 1000.0 + 50.0 * signal
    if n_classes:
        y = np.digitize(signal, np.quantile(signal, np.arange(1, n_classes) / n_classes))
    problem = Problem(kind, n_classes, Schema(tuple(columns)), "log" if n_classes else "squared")
    rows = Rows(numeric, categorical)
    train, rest = np.arange(n), np.arange(n, total)
    return Member(problem, rows.take(train), y[train], None, rows.take(rest)), y[rest]


def steps(member: Member, params: MLPParams = SMALL, seed: int = 0) -> Iterator[Step]:
    return MLP().train([member], params, seed=seed, resources=Resources(device="cpu"))


def trained(member: Member, params: MLPParams = SMALL, seed: int = 0) -> np.ndarray:
    """Return the validation predictions after the last epoch."""
    predictions = np.empty(0)
    for step in steps(member, params, seed):
        if step.number == params.epochs:
            predictions = step.predictions()[0]
    return predictions


def score(member: Member, y: np.ndarray, params: MLPParams = SMALL) -> float:
    metric = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[member.problem.kind]
    return resolve_metric(metric, member.problem.kind).score(y, trained(member, params))


# ---- what it learns with every choice ----


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(("n_numeric", "n_categorical"), [(4, 1), (4, 0), (0, 3)])
def test_it_learns_numbers_and_categories(kind: TaskKind, n_numeric: int, n_categorical: int) -> None:
    member, y = made(kind, n_numeric=n_numeric, n_categorical=n_categorical)
    assert score(member, y) > 0.75


@pytest.mark.parametrize(
    "change",
    [
        *[{"optimizer": name} for name in get_args(training_params.Optimizer)],
        *[{"schedule": name} for name in get_args(training_params.Schedule)],
        *[{"activation": name} for name in get_args(mlp_params.Activation)],
        *[{"normalization": name} for name in get_args(mlp_params.Normalization)],
        {"warmup": 0.3},
        {"gradient_clip": 1.0},
        {"layers": 0, "learning_rate": 0.1},
        {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.1},
        {"optimizer": "sgd", "nesterov": False},
        {"label_smoothing": 0.1},
        {"class_weight": "balanced"},
        {"dropout": 0.5},
        {"embedding_size": 1},
        {"batch_size": 10_000},
        {"batch_size": 1, "epochs": 2},
    ],
    ids=lambda change: ",".join(f"{name}={value}" for name, value in change.items()),
)
def test_every_choice_learns(change: dict[str, object]) -> None:
    member, y = made()
    assert score(member, y, replace(SMALL, **change)) > 0.85


@pytest.mark.parametrize("loss", get_args(training_params.RegressionLoss))
def test_every_loss_of_regression_learns(loss: training_params.RegressionLoss) -> None:
    member, y = made("regression")
    assert score(member, y, replace(SMALL, loss=loss)) > 0.8


# ---- seeds and state ----


def test_the_same_seed_gives_the_same_steps() -> None:
    member, _ = made()
    params = replace(SMALL, dropout=0.3)
    assert np.array_equal(trained(member, params, seed=3), trained(replace(member, cache={}), params, seed=3))
    assert not np.array_equal(trained(member, params, seed=3), trained(member, params, seed=4))


def test_no_global_state_is_touched() -> None:
    member, _ = made()
    torch_state, numpy_state, threads = torch.random.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    trained(member, replace(SMALL, dropout=0.3))
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])
    assert torch.get_num_threads() == threads


def test_members_advance_together_as_they_do_alone() -> None:
    params = replace(SMALL, dropout=0.0)
    first, _ = made(seed=1)
    second, _ = made(seed=2)
    running = MLP().train([first, second], params, seed=5, resources=Resources(device="cpu"))
    cohort = [step.predictions() for step in running]
    assert len(cohort) == params.epochs
    assert cohort[-1][0] == pytest.approx(trained(first, params, seed=5), abs=1e-4)
    assert cohort[-1][1] == pytest.approx(trained(second, params, seed=6), abs=1e-4)


def test_features_are_fitted_once_for_all_trials() -> None:
    member, _ = made()
    trained(member)
    kept = dict(member.cache)
    trained(member, replace(SMALL, units=16))
    assert all(key[0] == "autotune.learners.torch_training" for key in kept)
    assert all(member.cache[key] is value for key, value in kept.items())


def test_other_validation_rows_are_not_taken_for_the_cached_ones() -> None:
    member, _ = made()
    trained(member)
    other = replace(member, validation=member.validation.take(np.arange(7)))
    assert np.allclose(trained(other), trained(replace(member, cache={}))[:7], atol=1e-6)


# ---- models ----


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_model_predicts_what_its_step_predicted(kind: TaskKind) -> None:
    member, _ = made(kind)
    for step in steps(member, replace(SMALL, dropout=0.5)):
        expected = step.predictions()[0]
        model = pickle.loads(pickle.dumps(step.models()[0]))
        assert expected.dtype == np.float64
        assert np.array_equal(model.predict(member.validation), expected)  # and so nothing is dropped at predict
        if kind != "regression":
            assert np.allclose(expected.sum(axis=1), 1.0)


def test_a_model_is_a_copy_of_its_step() -> None:
    member, _ = made()
    running = steps(member)
    first = next(running)
    model = first.models()[0]
    before = model.predict(member.validation)
    assert len(list(running)) == SMALL.epochs - 1
    assert np.array_equal(model.predict(member.validation), before)


def test_levels_never_seen_are_predicted() -> None:
    member, _ = made()
    model = next(steps(member)).models()[0]
    rows = Rows(np.full((3, 4), np.nan), np.array([[-1], [0], [4]], dtype=np.int32))
    predictions = model.predict(rows)
    assert predictions.shape == (3, 2)
    assert np.isfinite(predictions).all()
    assert np.array_equal(predictions[0], predictions[2])  # unknown to the schema, unknown to the training rows


def test_no_rows_give_no_predictions() -> None:
    member, _ = made()
    model = next(steps(member)).models()[0]
    assert model.predict(member.rows.take(np.arange(0))).shape == (0, 2)


def test_the_refit_needs_no_validation_rows() -> None:
    member, _ = made()
    alone = replace(member, validation=None)
    models = [step.models()[0] for step in steps(alone)]
    assert np.array_equal(models[-1].predict(member.validation), trained(member))


# ---- what rows count ----


def test_rows_without_weight_teach_nothing() -> None:
    member, y = made(n_categorical=0)
    wrong = member.y.copy()
    wrong[:150] = 1 - wrong[:150]
    weight = np.repeat([0.0, 1.0], 150)
    taught = replace(member, y=wrong, weight=weight)
    assert score(taught, y) > 0.9
    assert score(replace(taught, weight=1 - weight, cache={}), y) < 0.1


def test_balanced_classes_count_the_same() -> None:
    member, _ = made()
    y = np.repeat([0, 1], [270, 30])
    weights = row_weights(replace(member, y=y), MLPParams(class_weight="balanced")).numpy()
    assert weights.mean() == pytest.approx(1.0)
    assert weights[y == 0].sum() == pytest.approx(weights[y == 1].sum(), rel=1e-5)
    assert np.array_equal(row_weights(replace(member, y=y), MLPParams()).numpy(), np.ones(300))


def test_class_weights_raise_the_rare_class() -> None:
    member, _ = made(n_categorical=0)
    y = (member.rows.numeric.sum(axis=1) + np.random.default_rng(0).normal(size=300) > 3.0).astype(np.int64)
    rare = replace(member, y=y)
    assert trained(rare, replace(SMALL, class_weight="balanced"))[:, 1].mean() > 1.5 * trained(rare)[:, 1].mean()


@pytest.mark.parametrize(("loss", "quantile"), [("quantile", 0.9), ("quantile", 0.1), ("absolute", 0.5)])
def test_regression_seeks_what_the_metric_asks(loss: str, quantile: float) -> None:
    rng = np.random.default_rng(0)
    member, _ = made("regression", n=2000, n_numeric=1, n_categorical=0)
    asked = replace(
        member, y=rng.exponential(size=2000) * 1e4, problem=replace(member.problem, loss=loss, quantile=quantile)
    )
    expected = -np.log(1 - quantile) * 1e4
    assert np.median(trained(asked, replace(SMALL, dropout=0.0))) == pytest.approx(expected, rel=0.25)


def test_pinball_loss_weighs_errors_by_side() -> None:
    problem = replace(made("regression")[0].problem, loss="quantile", quantile=0.9)
    losses = row_losses(problem, MLPParams())(torch.zeros(2, 1), torch.tensor([1.0, -1.0]))
    assert losses.tolist() == pytest.approx([0.9, 0.1])


# ---- edges ----


@pytest.mark.parametrize("n", [1, 2, 3, 10, 33])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_tiny_tables(n: int, batch_size: int) -> None:
    member, _ = made("regression", n=n)
    assert np.isfinite(trained(member, replace(SMALL, epochs=3, batch_size=batch_size))).all()


def test_no_batch_is_a_single_row_of_many() -> None:
    for n in range(2, 200):
        for batch_size in (1, 2, 3, 32, 1000):
            assert n // count_batches(n, batch_size) >= 2, (n, batch_size)


def test_a_table_without_columns_learns_the_mean() -> None:
    member, _ = made("regression", n_numeric=0, n_categorical=0)
    assert trained(member) == pytest.approx(np.full(100, member.y.mean()), abs=member.y.std() / 2)


def test_a_constant_target() -> None:
    member, _ = made("regression")
    assert trained(replace(member, y=np.full(300, 7.0))) == pytest.approx(np.full(100, 7.0), abs=0.5)


def test_a_class_that_the_fold_lacks_keeps_its_column() -> None:
    member, _ = made("multiclass")
    predictions = trained(replace(member, y=np.minimum(member.y, 1)))
    assert predictions.shape == (100, 3)
    assert predictions[:, 2].mean() < 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 100.0, "optimizer": "sgd", "momentum": 0.99},
        {"learning_rate": 0.3, "optimizer": "rmsprop", "layers": 6, "units": 128, "epochs": 40},  # it stands still then
    ],
)
def test_a_network_that_overflows_fails_the_trial(change: dict[str, Any]) -> None:
    member, _ = made("regression")
    with pytest.raises(FloatingPointError, match=r"outputs are not finite at epoch \d+"):
        trained(member, replace(SMALL, normalization="none", dropout=0.0, **change))


def test_the_loss_falls() -> None:
    member, _ = made()
    training = CohortTraining([member], SMALL, seed=0, device="cpu")
    before = -np.log(training.predictions()[0]).mean()
    for _ in range(3):
        training.run_epoch()
    assert before > 0.6
    assert np.min(training.predictions()[0], axis=1).mean() < 0.3  # it has become sure


@pytest.mark.parametrize("schedule", get_args(training_params.Schedule))
def test_schedules_stay_between_0_and_their_peak(schedule: training_params.Schedule) -> None:
    for warmup in (0.0, 0.5):
        factors = [rate_factor(MLPParams(schedule=schedule, warmup=warmup), p) for p in np.linspace(0, 1, 101)]
        assert min(factors) >= 0
        assert max(factors) == pytest.approx(1.0)


# ---- parameters and devices ----


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("learning_rate", 0.0),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("dropout", 1.0),
        ("units", True),
        ("optimizer", "adamm"),
        ("activation", "tanh"),
        ("epochs", float("nan")),
    ],
)
def test_a_wrong_parameter_is_named(parameter: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{parameter}={value!r}"):
        MLPParams(**{parameter: value})


def test_parameters_show_themselves_in_the_order_of_the_space() -> None:
    text = repr(MLPParams(units=3, loss="huber"))
    assert text.startswith("MLPParams(learning_rate=0.002, batch_size=256, epochs=60, optimizer='adamw', momentum=0.9,")
    assert text.endswith(
        "warmup=0.0, layers=2, units=3, activation='relu', normalization='batch', dropout=0.2, embedding_size=8, "
        "precision='auto', label_smoothing=0.0, class_weight='none', loss='huber')"
    )


def test_the_pace_counts_epochs() -> None:
    pace = MLP().pace(MLPParams())
    assert (pace.worth, pace.first_rung) == (1.0, 3.0)
    assert 0 < pace.patience < MLPParams().epochs


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device(None) == choose_device("auto")
    with pytest.raises(SettingsError, match="no device 'cuda:99' here"):
        choose_device("cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_model_trained_on_cuda_predicts_on_the_cpu() -> None:
    member, _ = made()
    step = next(MLP().train([member], SMALL, seed=0, resources=Resources(device="cuda")))
    model = pickle.loads(pickle.dumps(step.models()[0]))
    assert next(model.network.parameters()).device.type == "cpu"
    assert np.allclose(model.predict(member.validation), step.predictions()[0], atol=1e-4)


def test_its_parameters_can_be_checked_without_torch() -> None:
    code = "import sys; from autotune.learners.mlp import MLP; MLP.Params(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_its_space_has_its_defaults_and_only_its_parameters() -> None:
    space = read_space(built_in_path("mlp"))
    for name, value in space.default("mlp").arguments.items():
        assert value == getattr(MLPParams(), name), name
    for start in space.starts:
        MLPParams(**start.arguments)


def has_denormals() -> bool:
    return bool(torch.tensor(1e-310, dtype=torch.float64) * 0.5 != 0)


@pytest.mark.parametrize("flushes", [False, True])
def test_only_while_a_network_trains_are_the_least_numbers_zeros(
    flushes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = []
    run_epoch = CohortTraining.run_epoch

    def noting(self: CohortTraining) -> None:
        run_epoch(self)
        inside.append(has_denormals())

    monkeypatch.setattr(CohortTraining, "run_epoch", noting)
    torch.set_flush_denormal(flushes)
    try:
        outside = [has_denormals() for _ in steps(made()[0], replace(SMALL, epochs=2))]
    finally:
        torch.set_flush_denormal(False)
    assert inside == [False, False] and outside == [not flushes] * 2
