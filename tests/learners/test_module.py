from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import cloudpickle
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autotune.data.task import Rows
from autotune.errors import PlugInError, SettingsError
from autotune.learners import training_params
from autotune.learners.module import TRAINER_DEFAULTS, ModuleLearner
from autotune.learners.protocol import Member, Resources
from autotune.metrics import resolve_metric
from autotune.testing import made_members

KINDS = ("binary", "multiclass", "regression")
N_OUTPUTS = {"binary": 2, "multiclass": 3, "regression": 1}
CPU = Resources(device="cpu")
QUICK = {"epochs": 6, "learning_rate": 1e-2, "batch_size": 32}


class Net(nn.Module):
    """Batch normalization, dropout, a buffer of its own: all that has state."""

    def __init__(self, n_features: int, n_outputs: int, width: int = 24, dropout: float = 0.3) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(dropout)
        self.last = nn.Linear(width, n_outputs)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.last(self.drop(torch.relu(self.norm(self.first(x)))))


def linear(n_features: int, n_outputs: int) -> nn.Module:
    return nn.Linear(n_features, n_outputs)


NET = ModuleLearner("net", Net)


def steps_of(
    members: list[Member],
    learner: ModuleLearner = NET,
    seed: int = 0,
    resources: Resources = CPU,
    predict: bool = True,
    **parameters: Any,
) -> tuple[list[np.ndarray], list[Any]]:
    """Return the predictions after the last step, and the models."""
    predictions, models = [], []
    params = learner.Params(**{**QUICK, **parameters})
    for step in learner.train(members, params, seed=seed, resources=resources):
        predictions = list(step.predictions()) if predict else []
        models = list(step.models())
    return predictions, models


def predicted(members: list[Member], learner: ModuleLearner = NET, **options: Any) -> list[np.ndarray]:
    return steps_of(members, learner, **options)[0]


def answers(member: Member) -> tuple[Member, np.ndarray]:
    """Return a member that is validated on a part of its training rows, and their answers."""
    return replace(member, validation=member.rows.take(np.arange(60))), member.y[:60]


def score(kind: str, learner: ModuleLearner = NET, **parameters: Any) -> float:
    member, y = answers(made_members(kind, 1)[0])
    metric = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[kind]
    return resolve_metric(metric, kind).score(y, predicted([member], learner, **{"epochs": 20, **parameters})[0])


# ---- what it learns ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_learns(kind: str) -> None:
    assert score(kind) > 0.7


@pytest.mark.parametrize(
    "change",
    [
        *[{"optimizer": name} for name in get_args(training_params.Optimizer)],
        *[{"schedule": name} for name in get_args(training_params.Schedule)],
        {"warmup": 0.3},
        {"gradient_clip": 1.0},
        {"optimizer": "sgd", "momentum": 0.0, "nesterov": False, "learning_rate": 0.1},
        {"label_smoothing": 0.1},
        {"class_weight": "balanced"},
        {"precision": "bfloat16"},
        {"weight_decay": 0.0},
        {"width": 50},
        {"dropout": 0.0},
    ],
    ids=str,
)
def test_every_choice_of_training_learns(change: dict[str, Any]) -> None:
    assert score("binary", **change) > 0.8


@pytest.mark.parametrize("loss", get_args(training_params.RegressionLoss))
def test_every_loss_of_regression_learns(loss: str) -> None:
    assert score("regression", loss=loss) > 0.6


def test_a_regression_may_leave_out_its_axis() -> None:
    class Flat(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).squeeze()  # of a row alone not even the row is left

    flat = ModuleLearner("flat", Flat)
    members = made_members("regression")
    flattened, models = steps_of(members, flat)
    for values, whole in zip(flattened, predicted(members), strict=True):
        assert np.array_equal(values, whole)
    row = members[0].validation.take(np.array([3]))
    assert models[0].predict(row) == pytest.approx(flattened[0][3:4])


def test_a_squeezed_row_alone_of_classes_is_predicted() -> None:
    class Squeezed(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).squeeze()

    members = made_members("multiclass")
    predictions, models = steps_of(members, ModuleLearner("squeezed", Squeezed))
    one = models[1].predict(members[1].validation.take(np.array([5])))
    assert np.allclose(one, predictions[1][5:6], atol=1e-6)


def test_cross_validation_takes_the_tables_of_scikit_learn() -> None:
    """Without the doors: what evaluation does with a learner, on a table with folds."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import KFold

    from autotune.data.task import Column, Problem, Schema

    X, y = load_breast_cancer(return_X_y=True)
    problem = Problem("binary", 2, Schema(tuple(Column(f"x{i}", "numeric") for i in range(X.shape[1]))))
    rows = Rows(X, np.zeros((len(X), 0), dtype=np.int32))
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    members = [Member(problem, rows.take(train), y[train], None, rows.take(rest)) for train, rest in folds]
    predictions = predicted(members, epochs=10)
    scores = [
        resolve_metric("roc_auc", "binary").score(y[rest], p) for (_, rest), p in zip(folds, predictions, strict=True)
    ]
    assert min(scores) > 0.98


# ---- what the module sees ----


class Seen(nn.Module):
    """Its outputs are what it saw."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.n_features, self.last = n_features, nn.Linear(n_features, n_outputs)
        self.rows: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        assert x.ndim == 2
        assert x.shape[1] == self.n_features
        self.rows.append(x)
        return self.last(x)


def test_rows_become_numbers_and_a_column_for_each_level() -> None:
    member = made_members("regression", 1)[0]
    codes = np.array([[-1, 1], [2, 2], [4, 3], [3, 0]], dtype=np.int32)  # -1 and 4, and town 3, are in no training row
    member = replace(member, validation=Rows(member.rows.numeric[:4], codes))
    _, models = steps_of([member], ModuleLearner("seen", Seen), epochs=1)
    network = models[0].network.inner
    network.rows.clear()
    models[0].predict(member.validation)
    (seen,) = network.rows
    n_numbers = 3 + 1  # size, age, new, and whether size is missing
    levels = [np.unique(member.rows.categorical[:, column]) for column in (0, 1)]
    assert seen.shape == (4, n_numbers + len(levels[0]) + len(levels[1]))
    expected = np.concatenate([codes[:, [column]] == levels[column] for column in (0, 1)], axis=1)
    assert np.array_equal(seen[:, n_numbers:].numpy(), expected)
    assert expected.sum(axis=1).tolist() == [1, 2, 0, 2]
    assert not torch.isnan(seen).any()
    assert seen[:, :3].abs().max() < 3


def test_a_table_of_categories_alone_and_one_of_numbers_alone() -> None:
    member = made_members("binary", 1)[0]
    schema = member.problem.schema
    nothing = {"numeric": np.zeros((120, 0)), "categorical": np.zeros((120, 0), dtype=np.int32)}
    for kept, empty in (("categorical", "numeric"), ("numeric", "categorical")):
        columns = tuple(c for c in schema.columns if (c.kind == "categorical") == (kept == "categorical"))
        rows = replace(member.rows, **{empty: nothing[empty]})
        problem = replace(member.problem, schema=replace(schema, columns=columns))
        alone = Member(problem, rows, member.y, None, rows.take(np.arange(9)))
        assert predicted([alone])[0].shape == (9, 2)


def test_folds_may_have_another_number_of_features() -> None:
    first, second = made_members("binary")
    complete = replace(second.rows, numeric=np.nan_to_num(second.rows.numeric))
    predictions = predicted([first, replace(second, rows=complete)])  # the second one needs no indicator
    assert [p.shape for p in predictions] == [(40, 2), (40, 2)]


# ---- seeds and state ----


def test_members_advance_together_as_they_do_alone() -> None:
    first, second = made_members("binary")
    together = predicted([first, second], seed=5)
    assert np.array_equal(together[0], predicted([first], seed=5)[0])
    assert np.array_equal(together[1], predicted([second], seed=6)[0])


def test_the_same_seed_gives_the_same_and_another_one_does_not() -> None:
    members = made_members("regression")
    first, again, other = (predicted(made_members("regression"), seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    unseen = steps_of(members, seed=3, predict=False)[1]  # predicting draws nothing
    assert np.array_equal(unseen[0].predict(members[0].validation), first[0])


def test_what_draws_at_predict_changes_nothing_and_predicts_the_same() -> None:
    class Noisy(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 0.1 * torch.rand(len(x), 1)

    members = made_members("regression")
    noisy = ModuleLearner("noisy", Noisy)
    predictions, models = steps_of(members, noisy)
    before = torch.get_rng_state()
    assert np.array_equal(models[0].predict(members[0].validation), predictions[0])
    assert np.array_equal(models[0].predict(members[0].validation), predictions[0])
    assert torch.equal(before, torch.get_rng_state())
    unseen = steps_of(members, noisy, predict=False)[1]
    assert np.array_equal(unseen[0].predict(members[0].validation), predictions[0])


def test_no_global_state_is_touched() -> None:
    torch_state, numpy_state, threads = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    predicted(made_members("binary"))
    NET.check(made_members("binary")[0].problem)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])
    assert torch.get_num_threads() == threads


def test_an_error_puts_the_state_back() -> None:
    before = torch.get_rng_state()
    with pytest.raises(FloatingPointError):
        predicted(made_members("regression"), optimizer="sgd", learning_rate=100.0, momentum=0.99, epochs=40)
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_is_drawn_anew_in_each_epoch() -> None:
    drawn: list[Tensor] = []

    class Drawing(Net):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                drawn.append(torch.rand(3))
            return super().forward(x)

    predicted(made_members("binary"), ModuleLearner("drawing", Drawing), batch_size=1000, epochs=3)
    assert len({tuple(values.tolist()) for values in drawn}) == len(drawn) > 3


# ---- models ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_predicts_what_its_step_predicted(kind: str) -> None:
    members = made_members(kind)
    for step in NET.train(members, NET.Params(**QUICK), seed=0, resources=CPU):
        for member, model, expected in zip(members, step.models(), step.predictions(), strict=True):
            assert expected.dtype == np.float64
            again = pickle.loads(pickle.dumps(model))
            assert type(again.network.inner) is Net
            assert np.array_equal(again.predict(member.validation), expected)
            if kind != "regression":
                assert np.allclose(expected.sum(axis=1), 1.0)


def test_a_model_is_a_copy_of_its_step() -> None:
    members = made_members("binary")
    running = NET.train(members, NET.Params(**QUICK), seed=0, resources=CPU)
    model = next(running).models()[0]
    calls = int(model.network.inner.calls)
    before = model.predict(members[0].validation)
    list(running)
    assert np.array_equal(model.predict(members[0].validation), before)
    assert int(model.network.inner.calls) == calls > 0
    assert not model.network.inner.training


def test_no_rows_give_no_predictions() -> None:
    for kind, shape in (("binary", (0, 2)), ("regression", (0,))):
        member = made_members(kind)[0]
        assert steps_of([member])[1][0].predict(member.rows.take(np.arange(0))).shape == shape


def test_the_refit_needs_no_validation_rows() -> None:
    member = made_members("binary")[0]
    _, models = steps_of([replace(member, validation=None)], predict=False)
    assert np.array_equal(models[0].predict(member.validation), predicted([member])[0])


def test_a_script_without_a_module_of_its_own_travels(tmp_path: Path) -> None:
    """The class lives in __main__ of one process, and is used in another that never saw it."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import pickle, sys
        import cloudpickle
        from torch import nn
        from autotune.learners.module import ModuleLearner
        from autotune.learners.protocol import Resources
        from autotune.testing import made_members

        SCALE = 2.0

        class Mine(nn.Module):
            def __init__(self, n_features, n_outputs, width=8):
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_outputs))

            def forward(self, x):
                return SCALE * self.layers(x)

        learner = ModuleLearner("mine", lambda n_features, n_outputs, **rest: Mine(n_features, n_outputs, **rest))
        members = made_members("binary")
        params = learner.Params(width=4, epochs=2)
        for step in learner.train(members, params, seed=1, resources=Resources(device="cpu")):
            model, values = step.models()[0], step.predictions()[0]
        with open(sys.argv[1], "wb") as file:
            kept = cloudpickle.dumps(learner), cloudpickle.dumps(model), pickle.dumps(model), values
            file.write(pickle.dumps(kept))
        """)
    )
    kept = tmp_path / "kept.pickle"
    subprocess.run([sys.executable, script, kept], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    learner, model, plain, values = pickle.loads(kept.read_bytes())
    members = made_members("binary")
    assert np.array_equal(cloudpickle.loads(model).predict(members[0].validation), values)
    assert np.array_equal(pickle.loads(plain).predict(members[0].validation), values)
    again = cloudpickle.loads(learner)
    assert np.array_equal(
        predicted(members, again, seed=1, width=4, epochs=2, batch_size=256, learning_rate=2e-3)[0], values
    )


def test_a_learner_of_an_importable_class_is_pickled_by_pickle() -> None:
    again = pickle.loads(pickle.dumps(NET))
    assert again == NET
    assert again.parameter_names == NET.parameter_names
    assert again.Params(width=3) == NET.Params(width=3)


# ---- modules of all sorts ----


def trained_network(build: Callable[..., Any], kind: str = "binary", **parameters: Any) -> nn.Module:
    return steps_of(made_members(kind, 1), ModuleLearner("some", build), **parameters)[1][0].network.inner


def test_frozen_parameters_are_left_alone() -> None:
    def build(n_features: int, n_outputs: int) -> nn.Module:
        net = Net(n_features, n_outputs)
        net.first.requires_grad_(False)
        nn.init.constant_(net.first.weight, 0.5)
        return net

    network = trained_network(build, weight_decay=1.0)
    assert torch.equal(network.first.weight, torch.full_like(network.first.weight, 0.5))
    assert not network.first.weight.requires_grad
    assert network.last.weight.requires_grad


class Decaying(nn.Module):
    """Parameters of all sorts that no loss moves: only decay can."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(n_features, n_outputs)
        self.hidden = nn.Linear(3, 3)
        self.convolution = nn.Conv1d(2, 2, 3)
        self.embedding = nn.Embedding(4, 3)
        self.layer_norm = nn.LayerNorm((2, 3))
        self.batch_norm = nn.BatchNorm1d(3)
        self.own = nn.Parameter(torch.ones(2, 2))
        self.scale = nn.Parameter(torch.ones(2))
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        unused = [parameter.sum() for name, parameter in self.named_parameters() if not name.startswith("last")]
        return self.last(x) + 0.0 * torch.stack(unused).sum()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_only_weights_decay(optimizer: str) -> None:
    network = trained_network(Decaying, optimizer=optimizer, weight_decay=0.1, momentum=0.0)
    moved = {
        n for n, p in network.named_parameters() if not n.startswith("last") and not torch.equal(p, torch.ones_like(p))
    }
    assert moved == {"hidden.weight", "convolution.weight", "own"}
    assert float(network.own.detach().max()) < 1.0


def test_lazy_layers_know_their_width_in_time() -> None:
    network = trained_network(
        lambda n_features, n_outputs: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(n_outputs))
    )
    assert network[0].in_features > 3


def test_a_network_that_a_person_keeps_in_double_precision_inside() -> None:
    class Double(nn.Module):
        def __init__(self, n_features: int, n_outputs: int) -> None:
            super().__init__()
            self.inner = nn.Linear(n_features, n_outputs).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.double())

    assert trained_network(Double).inner.weight.dtype == torch.float64


def test_attention_over_columns_learns() -> None:
    """Twenty lines of somebody's own."""

    class Tokens(nn.Module):
        def __init__(self, n_features: int, n_outputs: int, width: int = 8, heads: int = 2) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.randn(n_features, width))
            self.shift = nn.Parameter(torch.randn(n_features, width))
            self.mix = nn.TransformerEncoderLayer(width, heads, 2 * width, batch_first=True)
            self.last = nn.Linear(width, n_outputs)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.mix(x[:, :, None] * self.scale + self.shift).mean(dim=1))

    assert score("binary", ModuleLearner("tokens", Tokens), heads=4) > 0.75


@pytest.mark.parametrize("n", [1, 2, 3, 10, 33])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_tiny_tables(n: int, batch_size: int) -> None:
    member = made_members("regression", 1)[0]
    few = replace(member, rows=member.rows.take(np.arange(n)), y=member.y[:n])
    assert np.isfinite(predicted([few], epochs=2, batch_size=batch_size)[0]).all()


def test_rows_without_weight_teach_nothing() -> None:
    member, y = answers(made_members("binary", 1)[0])
    wrong = member.y.copy()
    wrong[60:] = 1 - wrong[60:]
    weight = np.repeat([1.0, 0.0], 60)
    metric = resolve_metric("roc_auc", "binary")
    taught = replace(member, y=wrong, weight=weight)
    assert metric.score(y, predicted([taught], epochs=20)[0]) > 0.8
    assert metric.score(y, predicted([replace(taught, weight=1 - weight)], epochs=20)[0]) < 0.3


def test_a_class_that_the_fold_lacks_keeps_its_column() -> None:
    member = made_members("multiclass", 1)[0]
    assert predicted([replace(member, y=np.minimum(member.y, 1))])[0].shape == (40, 3)


def test_a_loss_that_is_not_finite_fails_the_trial() -> None:
    with pytest.raises(FloatingPointError, match=r"loss is not finite at epoch \d+"):
        predicted(made_members("regression"), optimizer="sgd", learning_rate=100.0, momentum=0.99, epochs=40)


# ---- what is wrong is said ----


def constant(value: Any) -> Callable[..., Any]:
    class Constant(nn.Module):
        def __init__(self, n_features: int, n_outputs: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Any:
            return value(self.weight, len(x))

    return Constant


WRONG_OUTPUTS: Mapping[str, tuple[str, Callable[[Tensor, int], Any], str]] = {
    "one logit": ("binary", lambda w, n: w.expand(n, 1), r"shape \(2, 1\) and type float32 .*shape \(2, 2\)"),
    "too many": (
        "regression",
        lambda w, n: w.expand(n, 3),
        r"shape \(2, 3\) .*expected shape \(2, 1\): one value a row",
    ),
    "no axis": ("multiclass", lambda w, n: w.expand(n), r"shape \(2,\) .*a logit for each of 3 classes"),
    "a tuple": ("binary", lambda w, n: (w.expand(n, 2), w), r"an object of type tuple .*expected shape \(2, 2\)"),
    "nothing": ("binary", lambda w, n: None, r"returned None for 2 rows"),
    "integers": ("binary", lambda w, n: torch.zeros(n, 2, dtype=torch.int64), r"type int64"),
}


@pytest.mark.parametrize("case", WRONG_OUTPUTS)
def test_a_wrong_output_is_named(case: str) -> None:
    kind, value, message = WRONG_OUTPUTS[case]
    learner = ModuleLearner("wrong", constant(value))
    member = made_members(kind)[0]
    for fails in (lambda: learner.check(member.problem), lambda: predicted([member], learner)):
        with pytest.raises(PlugInError, match=message) as raised:
            fails()
        assert raised.value.where == "learner 'wrong', constant.<locals>.Constant"
        assert raised.value.hint


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n_features, n_outputs: None, "build returned None, expected an nn.Module"),
        (lambda n_features, n_outputs: Net, "build returned an object of type type, expected an nn.Module"),
        (lambda n_features, n_outputs: nn.Linear(3, 2).requires_grad_(False), "no parameter of the network"),
        (lambda n_features, n_outputs: nn.Flatten(), "no parameter of the network"),
    ],
)
def test_what_is_no_network_is_named(build: Callable[..., Any], message: str) -> None:
    learner, member = ModuleLearner("wrong", build), made_members("binary")[0]
    for fails in (lambda: learner.check(member.problem), lambda: predicted([member], learner)):
        with pytest.raises(PlugInError, match=message):
            fails()


def test_the_check_says_what_the_network_raised() -> None:
    problem = made_members("binary")[0].problem
    with pytest.raises(PlugInError, match=r"10 features .* RuntimeError: mat1 and mat2 shapes cannot be multiplied"):
        ModuleLearner("wrong", lambda n_features, n_outputs: nn.Linear(77, n_outputs)).check(problem)
    with pytest.raises(PlugInError, match=r"AttributeError: .*no attribute 'Liner'") as raised:
        ModuleLearner("wrong", lambda n_features, n_outputs: nn.Liner(1, 2)).check(problem)
    assert isinstance(raised.value.__cause__, AttributeError)


def test_a_network_made_once_for_all_is_refused() -> None:
    def once() -> ModuleLearner:
        network = nn.LazyLinear(2)
        return ModuleLearner("once", lambda n_features, n_outputs: network)

    members = made_members("binary")
    for fails in (lambda: once().check(members[0].problem), lambda: predicted(members, once())):
        with pytest.raises(PlugInError, match="folds would learn from each other"):
            fails()


def test_a_frozen_part_may_be_shared() -> None:
    backbone = nn.Linear(11, 5).requires_grad_(False)
    members = made_members("binary")
    build = lambda n_features, n_outputs: nn.Sequential(backbone, nn.Linear(5, n_outputs))  # noqa: E731
    assert len(predicted(members, ModuleLearner("shared", build))) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_check_is_quiet_where_all_is_right(kind: str) -> None:
    problem = made_members(kind)[0].problem
    NET.check(problem)
    NET.check(problem, {"width": 3, "epochs": 5})
    with pytest.raises(SettingsError, match="widht"):
        NET.check(problem, {"widht": 3})


# ---- parameters ----


def test_what_a_configuration_may_name() -> None:
    assert NET.parameter_names == {*TRAINER_DEFAULTS, "width", "dropout"}
    assert NET.defaults == {**TRAINER_DEFAULTS, "width": 24, "dropout": 0.3}
    assert (NET.required, NET.fidelity) == (frozenset(), "epochs")
    assert NET.Params().training == training_params.TrainingParams()
    params = NET.Params(width=3, learning_rate=0.5, precision="float32")
    assert (params.network, params.training.learning_rate, params.precision) == ({"width": 3}, 0.5, "float32")


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("widht", 3, "no parameter of learner 'net' named 'widht'", "width"),
        ("learing_rate", 0.1, "no parameter of learner 'net' named 'learing_rate'", "learning_rate"),
        ("learning_rate", 0.0, "learning_rate=0.0 is not a number", None),
        ("batch_size", 2.5, "batch_size=2.5 is not a whole number", None),
        ("optimizer", "adamm", "optimizer='adamm' is not one of", None),
        ("precision", "float16", "precision='float16' is not one of auto, float32, bfloat16", None),
        ("n_features", 3, "n_features comes from the table", "leave n_features out"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: Any, message: str, hint: str | None) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        NET.Params(**{name: value})
    assert raised.value.hint == hint
    assert raised.value.where == f"learner 'net', {name}"


def test_any_keyword_goes_to_a_build_that_takes_any() -> None:
    given: list[Any] = []

    def build(n_features: int, n_outputs: int, **rest: Any) -> nn.Module:
        given.append(rest)
        return nn.Linear(n_features, n_outputs)

    learner = ModuleLearner("any", build)
    assert learner.parameter_names is None
    assert learner.defaults == TRAINER_DEFAULTS
    predicted(made_members("binary", 1), learner, anything=3, epochs=1)
    assert given == [{"anything": 3}]


def test_a_required_parameter_is_asked_for_before_training() -> None:
    def build(n_features: int, n_outputs: int, width: int, depth: int) -> nn.Module:
        return Net(n_features, n_outputs, width)

    learner, members = ModuleLearner("net", build), made_members("binary")
    assert learner.required == {"width", "depth"}
    assert "width" not in learner.defaults
    learner.Params(width=3)  # a value can be checked alone
    learner.check(members[0].problem)
    message = r"<locals>.build needs depth, which the configuration leaves out"
    for fails in (
        lambda: predicted(members, learner, width=3),
        lambda: learner.check(members[0].problem, {"width": 3}),
    ):
        with pytest.raises(SettingsError, match=message):
            fails()
    assert len(predicted(members, learner, width=3, depth=2)) == 2


def test_what_the_trainer_takes_stays_with_it() -> None:
    sizes: list[int] = []

    def build(n_features: int, n_outputs: int, batch_size: int = 7) -> nn.Module:
        sizes.append(batch_size)
        return nn.Linear(n_features, n_outputs)

    learner = ModuleLearner("net", build)
    assert learner.defaults["batch_size"] == TRAINER_DEFAULTS["batch_size"]
    predicted(made_members("binary", 1), learner, batch_size=64)
    assert sizes == [7]
    with pytest.raises(PlugInError, match="build needs 'epochs', which stays with the trainer"):
        ModuleLearner("net", lambda n_features, n_outputs, epochs: None)


def by_other_names(p: int, k: int, width: int = 4) -> nn.Module:
    return Net(p, k, width)


def sizes_last(width: int, *, n_outputs: int, n_features: int) -> nn.Module:
    return Net(n_features, n_outputs, width)


@pytest.mark.parametrize(
    "build", [by_other_names, sizes_last, partial(Net, dropout=0.0), lambda *sizes, width=4: Net(*sizes, width)]
)
def test_sizes_are_given_by_name_or_by_place(build: Callable[..., Any]) -> None:
    learner = ModuleLearner("net", build)
    assert learner.parameter_names - TRAINER_DEFAULTS.keys() - {"dropout"} == {"width"}
    assert trained_network(build, width=5).first.out_features == 5
    learner.check(made_members("binary")[0].problem, {"width": 5})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n_features: None, r"build takes \(n_features\), expected two sizes at least"),
        (nn.Linear(3, 2), "build is a network, but every fold needs a new one"),
        ("net.py", "build is 'net.py', expected a function"),
    ],
)
def test_a_build_that_cannot_be_called_is_refused(build: Any, message: str) -> None:
    with pytest.raises(PlugInError, match=message) as raised:
        ModuleLearner("net", build)
    assert raised.value.hint == "build(n_features, n_outputs, **parameters) returns a new nn.Module"


def test_a_name_must_do_in_a_space() -> None:
    with pytest.raises(SettingsError, match="a learner cannot be called 'my net'"):
        ModuleLearner("my net", linear)


def test_the_pace_counts_epochs() -> None:
    pace = NET.pace(NET.Params())
    assert (pace.worth, pace.first_rung) == (1.0, 3.0)


def test_parameters_can_be_checked_without_torch() -> None:
    code = """
import sys
from autotune.learners.module import ModuleLearner
ModuleLearner("net", lambda n_features, n_outputs, width=3: None).Params(width=5)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---- CUDA ----

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Typed(Net):
    """Notes the type of the numbers that its layers make."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = str(self.first(x).dtype)
        return super().forward(x)


@pytest.mark.parametrize(("precision", "seen"), [("auto", "torch.float32"), ("bfloat16", "torch.bfloat16")])
def test_precision_on_the_cpu(precision: str, seen: str) -> None:
    typed = ModuleLearner("typed", Typed)
    params = typed.Params(**QUICK, precision=precision)
    step = next(typed.train(made_members("binary"), params, seed=0, resources=CPU))
    model = step.models()[0]
    assert model.network.inner.seen == seen
    assert model.network.inner.first.weight.dtype == torch.float32
    assert np.array_equal(model.predict(made_members("binary")[0].validation), step.predictions()[0])


@cuda
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_a_model_trained_on_cuda_predicts_on_the_cpu(precision: str) -> None:
    members = made_members("binary")
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    resources = Resources(device="cuda")
    predictions, models = steps_of(members, precision=precision, resources=resources)
    assert torch.equal(states[0], torch.get_rng_state())
    assert torch.equal(states[1], torch.cuda.get_rng_state())
    for member, model, expected in zip(members, models, predictions, strict=True):
        model = pickle.loads(pickle.dumps(model))
        assert next(model.network.parameters()).device.type == "cpu"
        assert np.allclose(model.predict(member.validation), expected, atol=1e-4)


@cuda
def test_members_on_cuda_advance_together_as_they_do_alone() -> None:
    first, second = made_members("binary")
    resources = Resources(device="cuda")
    together = predicted([first, second], seed=5, resources=resources)
    assert np.allclose(together[0], predicted([first], seed=5, resources=resources)[0], atol=1e-6)
    assert np.allclose(together[1], predicted([second], seed=6, resources=resources)[0], atol=1e-6)


@cuda
@pytest.mark.parametrize(("precision", "bfloat16"), [("auto", True), ("float32", False), ("bfloat16", True)])
def test_precision_on_cuda(precision: str, bfloat16: bool) -> None:
    if precision == "auto" and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("needs a device made for bfloat16")
    typed = ModuleLearner("typed", Typed)
    params = typed.Params(**QUICK, precision=precision)
    step = next(typed.train(made_members("binary"), params, seed=0, resources=Resources(device="cuda")))
    assert (step.models()[0].network.inner.seen == "torch.bfloat16") is bfloat16
    assert np.isfinite(step.predictions()[0]).all()


def test_the_least_numbers_are_zeros_only_while_a_network_trains() -> None:
    halves: dict[bool, set[float]] = {True: set(), False: set()}

    class Looking(Net):
        def forward(self, x: Tensor) -> Tensor:
            halves[self.training].add(float(torch.tensor(1e-310, dtype=torch.float64) * 0.5))
            return super().forward(x)

    steps_of(made_members("binary"), ModuleLearner("looking", Looking), epochs=2)
    assert halves == {True: {0.0}, False: {1e-310 * 0.5}}
