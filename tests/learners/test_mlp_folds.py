"""Folds that train side by side get what each would get alone, from torch's own layers and autograd."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autotune.data.task import Column, Problem, Rows, Schema, TaskKind
from autotune.learners import mlp_params, mlp_training, training_params
from autotune.learners.mlp_dropout import Dropout, DroppedRelu, Strip, random_bits
from autotune.learners.mlp_layers import Activation, Linear, Room, RoundedLinear, multiplies_bfloat16_fast
from autotune.learners.mlp_network import WIDE_ENOUGH_TO_ROUND
from autotune.learners.mlp_params import MLPParams
from autotune.learners.mlp_training import CohortTraining, side_by_side
from autotune.learners.protocol import Member
from autotune.learners.torch_training import Target, row_losses, row_weights, training_tensors, validation_tensors
from autotune.learners.training_params import count_batches, rate_factor

PARAMS = MLPParams(units=9, layers=2, epochs=4, learning_rate=1e-2, dropout=0.0, embedding_size=3, batch_size=16)
LEVELS = ("a", "b", "c", "d", "e", "f")
SEED = 5


def made_folds(kind: TaskKind, n_rows: Sequence[int], *, n_categorical: int = 2, weighted: bool = True) -> list[Member]:
    """Return members whose rows, levels and missing indicators differ."""
    members = []
    n_classes = {"binary": 2, "multiclass": 3, "regression": 0}[kind]
    columns = [Column(f"x{i}", "numeric") for i in range(3)]
    columns += [Column(f"c{i}", "categorical", levels=LEVELS) for i in range(n_categorical)]
    problem = Problem(kind, n_classes, Schema(tuple(columns)), "log" if n_classes else "squared", 0.7)
    for fold, n in enumerate(n_rows):
        rng = np.random.default_rng(fold)
        total = n + 30 + fold
        numeric = rng.normal(size=(total, 3))
        y: Any = numeric.sum(axis=1) + rng.normal(size=total)
        if n_classes:
            y = rng.permutation(np.arange(total) % n_classes)
        numeric[rng.random(total) < 0.2, : fold % 3] = np.nan  # folds have 0, 1 or 2 missing indicators
        codes = rng.integers(1, 4 + fold % 3, size=(total, n_categorical)).astype(np.int32)
        rows = Rows(numeric, codes)
        weight = rng.uniform(0.5, 2.0, n) if weighted else None
        members.append(Member(problem, rows.take(np.arange(n)), y[:n], weight, rows.take(np.arange(n, total))))
    return members


class Alone(nn.Module):
    """One fold's network as anybody would write it."""

    def __init__(self, member: Member, params: MLPParams, draws: torch.Generator) -> None:
        super().__init__()
        self.params, sizes = params, training_tensors(member)[0].cardinalities
        self.starts = torch.tensor([sum(sizes[:column]) for column in range(len(sizes))], dtype=torch.int64)
        self.table = nn.Embedding(sum(sizes), params.embedding_size)
        spread = 1 / math.sqrt(params.embedding_size)
        if sizes:
            self.table.weight.data.normal_(0.0, spread, generator=draws)
            self.table.weight.data[self.starts] = 0.0
        n_numeric = training_tensors(member)[0].n_numeric
        widths = [n_numeric + len(sizes) * params.embedding_size, *[params.units] * params.layers]
        widths.append(member.problem.n_classes or 1)
        gain = 1.0 if params.activation == "selu" else 1 / math.sqrt(3)
        self.linears, self.norms = nn.ModuleList(), nn.ModuleList()
        for place, (n_in, n_out) in enumerate(pairwise(widths)):
            is_last = place == params.layers
            linear = nn.Linear(n_in, n_out, bias=is_last or params.normalization != "batch")
            linear.weight.data.normal_(0.0, gain / math.sqrt(n_in), generator=draws)
            if linear.bias is not None:
                linear.bias.data.uniform_(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in), generator=draws)
            self.linears.append(linear)
            norms = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
            self.norms.append(norms[params.normalization](n_out))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        x = torch.cat([numbers, self.table(codes + self.starts).flatten(1)], dim=1)
        for linear, norm in zip(self.linears[:-1], self.norms, strict=False):
            x = getattr(nn.functional, self.params.activation)(norm(linear(x)))
        return self.linears[-1](x)


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda groups, p: torch.optim.SGD(groups, momentum=p.momentum, nesterov=p.nesterov and p.momentum > 0),
    "adam": lambda groups, p: torch.optim.Adam(groups),
    "adamw": lambda groups, p: torch.optim.AdamW(groups),
    "rmsprop": lambda groups, p: torch.optim.RMSprop(groups, momentum=p.momentum),
    "adagrad": lambda groups, p: torch.optim.Adagrad(groups),
}


def trained_alone(member: Member, params: MLPParams, seed: int, dtype: torch.dtype) -> np.ndarray:
    """Return the validation predictions of one fold, trained a step at a time by autograd."""
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        network = Alone(member, params, draws).to(dtype)
    matrices = [linear.weight for linear in network.linears]
    others = [each for each in network.parameters() if all(each is not matrix for matrix in matrices)]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": matrices, "weight_decay": params.weight_decay}]
    optimizer = OPTIMIZERS[params.optimizer](groups, params)
    features, numbers, codes = training_tensors(member)
    target = Target.fit(member)
    answers, weights = target.encode(member.y), row_weights(member, params).to(dtype)
    answers = answers if target.n_classes else answers.to(dtype)
    n_batches = count_batches(len(numbers), params.batch_size)
    network.train(len(numbers) > 1)
    for epoch in range(params.epochs):
        order = torch.randperm(len(numbers), generator=draws)
        for number, rows in enumerate(order.tensor_split(n_batches)):
            progress = (epoch + (number + 0.5) / n_batches) / params.epochs
            for group in optimizer.param_groups:
                group["lr"] = params.learning_rate * rate_factor(params, progress)
            optimizer.zero_grad()
            losses = row_losses(member.problem, params)(network(numbers[rows].to(dtype), codes[rows]), answers[rows])
            (losses * weights[rows]).mean().backward()
            if params.gradient_clip > 0:
                nn.utils.clip_grad_norm_(network.parameters(), params.gradient_clip)
            optimizer.step()
    numbers, codes = validation_tensors(member, features)
    with torch.no_grad():
        return target.decode(network.eval()(numbers.to(dtype), codes))


def trained_together(members: Sequence[Member], params: MLPParams, dtype: torch.dtype) -> list[np.ndarray]:
    training = CohortTraining(members, params, seed=SEED, device="cpu", dtype=dtype)
    for _ in range(params.epochs):
        training.run_epoch()
    return training.predictions()


def largest_difference(members: Sequence[Member], params: MLPParams, dtype: torch.dtype = torch.float64) -> float:
    """Return how far predictions of folds side by side are from those of each fold alone."""
    together = trained_together(members, params, dtype)
    alone = [trained_alone(member, params, SEED + place, dtype) for place, member in enumerate(members)]
    return max(float(np.abs(one - other).max()) for one, other in zip(together, alone, strict=True))


CHOICES: list[dict[str, Any]] = [
    *[
        {"activation": activation, "normalization": normalization}
        for activation in get_args(mlp_params.Activation)
        for normalization in get_args(mlp_params.Normalization)
    ],
    *[{"optimizer": name, "weight_decay": 0.1} for name in get_args(training_params.Optimizer)],
    *[{"schedule": name, "warmup": 0.2} for name in get_args(training_params.Schedule)],
    {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "sgd", "nesterov": False},
    {"gradient_clip": 0.1},
    {"layers": 0},
    {"layers": 4, "units": 5},
    {"batch_size": 1000},
]


def named(change: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in change.items())


@pytest.mark.parametrize("change", CHOICES, ids=named)
def test_folds_side_by_side_get_what_each_gets_alone(change: dict[str, Any]) -> None:
    members = made_folds("binary", [130, 131, 129, 130])
    assert len(side_by_side([130, 131, 129, 130], PARAMS.batch_size)) == 1
    assert largest_difference(members, replace(PARAMS, **change)) < 1e-8


@pytest.mark.parametrize("change", [{"label_smoothing": 0.1}, {"class_weight": "balanced"}], ids=named)
def test_so_they_do_with_three_classes(change: dict[str, Any]) -> None:
    assert largest_difference(made_folds("multiclass", [129, 130]), replace(PARAMS, **change)) < 1e-8


@pytest.mark.parametrize("loss", [*get_args(training_params.RegressionLoss), "quantile"])
@pytest.mark.parametrize("n_categorical", [0, 1])
def test_so_they_do_with_values(loss: Any, n_categorical: int) -> None:
    members = made_folds("regression", [129, 130], n_categorical=n_categorical, weighted=False)
    params = PARAMS if loss == "quantile" else replace(PARAMS, loss=loss)
    if loss == "quantile":
        members = [replace(member, problem=replace(member.problem, loss="quantile")) for member in members]
    assert largest_difference(members, params) < 1e-8


@pytest.mark.parametrize("normalization", get_args(mlp_params.Normalization))
@pytest.mark.parametrize("n_rows", [[60, 300, 61, 130], [2, 3, 4], [49, 50, 53], [40, 40]], ids=str)
def test_so_they_do_whatever_their_sizes(n_rows: list[int], normalization: Any) -> None:
    assert largest_difference(made_folds("binary", n_rows), replace(PARAMS, normalization=normalization)) < 1e-8


@pytest.mark.parametrize("normalization", get_args(mlp_params.Normalization))
def test_so_they_do_in_single_precision(normalization: Any) -> None:
    params = replace(PARAMS, normalization=normalization, optimizer="sgd")
    assert largest_difference(made_folds("binary", [130, 131, 129]), params, torch.float32) < 1e-5


@pytest.mark.parametrize("by_row", [False, True])
def test_room_has_no_gaps_whatever_was_in_it_before(by_row: bool) -> None:
    room, places = Room(by_row), []
    for n in (7, 5, 6, 7):
        values = room.like(torch.zeros(3, n, 2), 4)
        assert values.shape == (3, n, 4)
        assert (values.transpose(0, 1) if by_row else values).is_contiguous()
        places.append(values.data_ptr())
    assert len(set(places)) == 1 and room.like(torch.zeros(3, 8, 2), 4).shape == (3, 8, 4)


WIDE = replace(PARAMS, units=WIDE_ENOUGH_TO_ROUND, optimizer="sgd", precision="bfloat16")


@pytest.mark.parametrize("normalization", get_args(mlp_params.Normalization))
def test_so_they_do_in_wide_networks(normalization: Any) -> None:
    params = replace(WIDE, normalization=normalization, precision="float32")
    assert largest_difference(made_folds("binary", [130, 131, 129]), params, torch.float32) < 1e-5


@pytest.mark.parametrize("normalization", get_args(mlp_params.Normalization))
@pytest.mark.parametrize("n_rows", [[130, 131, 129], [60, 300, 61]], ids=str)
def test_wide_networks_that_round_end_near_those_that_do_not(n_rows: list[int], normalization: Any) -> None:
    members, params = made_folds("binary", n_rows), replace(WIDE, normalization=normalization, activation="gelu")
    exact, rounded = (
        np.concatenate(trained_together(members, replace(params, precision=precision), torch.float32))
        for precision in get_args(mlp_params.Precision)[1:]
    )
    assert 1e-6 < np.abs(exact - rounded).max() < 0.02


def test_only_products_between_wide_layers_are_rounded() -> None:
    def rounding(**change: Any) -> list[bool]:
        training = CohortTraining(made_folds("binary", [130, 131]), replace(WIDE, **change), seed=SEED, device="cpu")
        layers = training.groups[0].networks.layers
        return [isinstance(layer, RoundedLinear) for layer in layers if isinstance(layer, Linear)]

    assert rounding(layers=3) == [False, True, True, False] and rounding(layers=1) == [False, False]
    assert rounding(units=WIDE.units - 1) == rounding(precision="float32") == [False, False, False]
    fast = multiplies_bfloat16_fast(torch.device("cpu"))
    assert rounding(precision="auto") == [False, fast, False]


def test_a_rounded_layer_goes_back_as_autograd_does() -> None:
    draws = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(2, 50, 128, generator=draws) for _ in range(2))
    weight, bias = torch.randn(2, 128, 128, generator=draws) / 11, torch.randn(2, 128, generator=draws)
    layer = RoundedLinear(
        weight, torch.empty_like(weight), bias, torch.empty_like(bias), Room(True), Room(True), back_scale=1.5
    )
    leaves = [each.clone().requires_grad_() for each in (x, weight, bias)]
    wanted = torch.baddbmm(leaves[2].unsqueeze(1), leaves[0], leaves[1].mT)
    wanted.backward(gradient)
    for found, exact in (
        (layer.forward(x, [50, 50]), wanted.detach()),
        (layer.backward(gradient), 1.5 * leaves[0].grad),
        (layer.weight_gradient, leaves[1].grad),
        (layer.bias_gradient, leaves[2].grad),
    ):
        assert found.dtype == torch.float32 and float((found - exact).norm() / exact.norm()) < 5e-3


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.3, 0.95])
def test_dropout_drops_its_share_at_each_step(share: float, by_row: bool) -> None:
    x = torch.ones(2, 500, 64)
    dropout = Dropout(Strip(share, random_bits(0, torch.device("cpu"))), Room(by_row))
    steps = [dropout.forward(x, [500, 500]).clone() for _ in range(64)]
    for each in steps:
        assert float(each.mean()) == pytest.approx(1.0, abs=0.02 / (1 - share))
    assert torch.equal(dropout.backward(torch.ones_like(x)), steps[-1])
    assert float(torch.stack(steps).eq(0).double().mean()) == pytest.approx(share, rel=0.02, abs=2e-4)


@pytest.mark.parametrize("by_row", [False, True])
def test_what_is_dropped_in_one_step_says_nothing_of_another_row_fold_or_step(by_row: bool) -> None:
    share, dropout = 0.3, Dropout(Strip(0.3, random_bits(0, torch.device("cpu"))), Room(by_row))
    x = torch.ones(2, 250, 64)
    dropped = torch.stack([dropout.forward(x, [250, 250]).eq(0).double() for _ in range(100)])  # steps, F, n, d
    one_share = pytest.approx(share**2, abs=0.02)
    for a, b in ((0, 1), (3, 17), (31, 32), (40, 63)):
        assert float((dropped[a] * dropped[b]).mean()) == one_share
    assert float((dropped[:, 0] * dropped[:, 1]).mean()) == one_share
    assert float((dropped[:, :, :-1] * dropped[:, :, 1:]).mean()) == one_share
    assert float((dropped[..., :-1] * dropped[..., 1:]).mean()) == one_share
    often = dropped.sum(dim=0)  # as often as if each step were drawn by itself
    assert float(often.var()) == pytest.approx(100 * share * (1 - share), rel=0.1)


def test_layers_with_one_strip_go_back_as_they_came() -> None:
    x, strip = torch.ones(2, 50, 8), Strip(0.3, random_bits(0, torch.device("cpu")))
    layers = [Dropout(strip, Room(by_row=False)) for _ in range(3)]
    for _ in range(64):
        forth = [layer.forward(x, [50, 50]).clone() for layer in layers]
        assert not torch.equal(forth[0], forth[1])
        for layer, dropped in zip(layers, forth, strict=True):
            assert torch.equal(layer.backward(torch.ones_like(x)), dropped)


@pytest.mark.parametrize("by_row", [False, True])
def test_a_relu_and_dropout_in_one_are_both_one_after_the_other(by_row: bool) -> None:
    apart, together = [Strip(0.3, random_bits(7, torch.device("cpu"))) for _ in range(2)]
    draws = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(2, 50, 8, generator=draws) for _ in range(2))
    weight = torch.randn(2, 4, 8, generator=draws)
    relu, dropout = Activation("relu", Room(by_row)), Dropout(apart, Room(by_row))
    both = DroppedRelu(together, Room(by_row))
    for _ in range(40):
        expected = dropout.forward(relu.forward(x.clone(), [50, 50]), [50, 50])
        assert torch.equal(both.forward(x.clone(), [50, 50]), expected)
        back = relu.backward(dropout.backward(gradient.clone()))
        after = linear_after(weight, both.strip.factor)
        after.forward(expected, [50, 50])
        into = torch.randn(2, 50, 4, generator=draws)
        torch.testing.assert_close(both.backward(gradient.clone()) * both.strip.factor, back)
        torch.testing.assert_close(after.backward(into), torch.bmm(into, weight) * both.strip.factor)


def linear_after(weight: torch.Tensor, scale: float) -> Linear:
    room = [Room(by_row=False) for _ in range(2)]
    return Linear(weight, torch.zeros_like(weight), None, None, *room, back_scale=scale)


def with_dropout(training: CohortTraining, n_epochs: int) -> list[np.ndarray]:
    for _ in range(n_epochs):
        training.run_epoch()
    return training.predictions()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_how_many_rows_are_brought_together_changes_nothing(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    members = made_folds(kind, [130, 131, 129], n_categorical=1)
    params = replace(PARAMS, dropout=0.3)
    found = []
    for cells in (1, 1500, 2**22):
        monkeypatch.setattr(mlp_training, "CELLS_TOGETHER", cells)
        training = CohortTraining(members, params, seed=SEED, device="cpu", dtype=torch.float64)
        found.append((training.groups[0].together, with_dropout(training, 2)))
    assert len({together for together, _ in found}) == 3
    for _, predictions in found[1:]:
        for one, other in zip(predictions, found[0][1], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


# ---- models ----


@pytest.mark.parametrize("normalization", get_args(mlp_params.Normalization))
def test_a_model_is_small_and_predicts_as_its_fold_does(normalization: Any) -> None:
    members = made_folds("multiclass", [130, 131, 129])
    training = CohortTraining(members, replace(PARAMS, normalization=normalization), seed=SEED, device="cpu")
    training.run_epoch()
    for member, model, predictions in zip(members, training.models(), training.predictions(), strict=True):
        assert member.validation is not None
        packed = pickle.dumps(model)
        assert len(packed) < 20_000
        assert np.abs(pickle.loads(packed).predict(member.validation) - predictions).max() < 1e-6
        assert model.network.linears[0][0].shape[2] == model.features.n_numeric + 2 * PARAMS.embedding_size
