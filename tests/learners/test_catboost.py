from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autotune.data.task import Rows, TaskKind
from autotune.errors import SettingsError
from autotune.learners import catboost as learner_file
from autotune.learners.catboost import CatBoost, CatBoostParams
from autotune.learners.protocol import Member, Model, Resources, Step
from autotune.testing import check_learner, made_members

catboost = pytest.importorskip("catboost", reason="catboost is not installed")

KINDS: list[TaskKind] = ["binary", "multiclass", "regression"]
SILENT = {"logging_level": "Silent", "allow_writing_files": False, "thread_count": 1}
PLAIN = SILENT | {  # CatBoost's defaults, but for those that it chooses by the number of rounds
    "iterations": 120,
    "learning_rate": 0.05,
    "bootstrap_type": "Bernoulli",
    "max_ctr_complexity": 4,
    "leaf_estimation_iterations": 1,
}


def steps(members: list[Member], *, seed: int = 3, threads: int = 1, **params: Any) -> Any:
    return CatBoost().train(members, CatBoostParams(**params), seed=seed, resources=Resources(threads))


def after(n_steps: int, members: list[Member], **params: Any) -> Step:
    return next(islice(steps(members, **params), n_steps - 1, None))


def model(member: Member, n_steps: int = 30, **params: Any) -> Model:
    return after(n_steps, [replace(member, cache={})], **params).models()[0]


def with_loss(members: list[Member], loss: Any, quantile: float = 0.5) -> list[Member]:
    return [replace(m, problem=replace(m.problem, loss=loss, quantile=quantile), cache={}) for m in members]


def test_it_keeps_the_contract() -> None:
    check_learner(CatBoost, max_rounds=20, grow_policy="Depthwise", leaf_estimation_iterations=3)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind: TaskKind) -> None:
    member = made_members(kind, 1)[0]
    predictions = model(member, 100).predict(member.rows)
    if kind == "regression":
        assert (member.y - predictions).std() < 0.5 * member.y.std()
    else:
        assert (predictions.argmax(axis=1) == member.y).mean() > 0.75


def frame(rows: Rows) -> pd.DataFrame:
    """Return rows as a user of the library would write them: numbers, and levels as text."""
    columns = {f"n{index}": values for index, values in enumerate(rows.numeric.T)}
    levels = {f"c{index}": [f"level {code}" for code in codes] for index, codes in enumerate(rows.categorical.T)}
    return pd.DataFrame(columns | levels)


@pytest.mark.parametrize(
    ("kind", "loss", "words"),
    [
        ("binary", "Logloss", {}),
        ("multiclass", "MultiClass", {"leaf_estimation_iterations": 3}),
        ("regression", "RMSE", {}),
        ("regression", "MAE", {}),
        ("regression", "Quantile:alpha=0.9", {}),
        ("regression", "RMSE", {"grow_policy": "Depthwise"}),
        ("binary", "Logloss", {"boosting_type": "Ordered", "bootstrap_type": "MVS"}),
    ],
)
def test_rounds_a_few_at_a_time_are_the_first_of_one_training(kind: TaskKind, loss: str, words: dict[str, Any]) -> None:
    names = {"MAE": "absolute", "Quantile:alpha=0.9": "quantile", "RMSE": "squared"}
    members = with_loss(made_members(kind), names.get(loss, "log"), 0.9)
    found = after(45, members, **words).predictions()
    for index, member in enumerate(members):
        centre = member.y.mean() if kind == "regression" else 0.0
        booster = catboost.CatBoost(PLAIN | {"random_seed": 3 + index, "subsample": 0.8, "loss_function": loss} | words)
        booster.fit(frame(member.rows), member.y - centre, cat_features=["c0", "c1"])
        assert member.validation is not None
        answer = "RawFormulaVal" if kind == "regression" else "Probability"
        expected = booster.predict(frame(member.validation), answer, ntree_end=45) + centre
        np.testing.assert_allclose(found[index], expected, rtol=1e-6, atol=1e-6)


def test_how_far_it_trains_ahead_changes_no_round(monkeypatch: pytest.MonkeyPatch) -> None:
    member = made_members("multiclass", 1)[0]
    ahead = after(45, [member]).predictions()
    monkeypatch.setattr(learner_file, "SECONDS_AHEAD", 0.0)
    np.testing.assert_array_equal(ahead, after(45, [member]).predictions())


@pytest.mark.parametrize(
    ("kind", "grow_policy"),
    [
        ("binary", "SymmetricTree"),
        ("multiclass", "SymmetricTree"),
        ("regression", "SymmetricTree"),
        ("binary", "Depthwise"),
    ],
)
def test_a_step_shows_its_rounds_and_none_ahead(kind: TaskKind, grow_policy: str) -> None:
    members = made_members(kind)
    alone = made_members(kind)
    for step in islice(steps(members, grow_policy=grow_policy), 37):
        if step.number in (1, 2, 3, 7, 25, 36):  # others are not asked for: their trees are caught up with
            whole = [m.predict(one.validation) for m, one in zip(step.models(), members, strict=True) if one.validation]
            np.testing.assert_allclose(step.predictions(), whole, rtol=1e-6)
            ended = list(steps(alone, grow_policy=grow_policy, max_rounds=step.number))[-1]
            np.testing.assert_allclose(step.predictions(), ended.predictions(), rtol=1e-6)


def test_a_model_holds_no_training_data() -> None:
    member = made_members("binary", 1)[0]
    many = replace(member, rows=member.rows.take(np.arange(12_000) % 120), y=np.tile(member.y, 100), validation=None)
    sizes = [len(pickle.dumps(model(one, 10, one_hot_max_size=10))) for one in (member, many)]
    assert sizes[1] < 1.5 * sizes[0]


def test_the_number_of_folds_changes_no_fold() -> None:
    members = made_members("binary", 3)
    together, alone = after(10, members).predictions()[0], after(10, members[:1]).predictions()[0]
    np.testing.assert_array_equal(together, alone)


def test_a_refit_to_a_step_is_the_model_of_that_step() -> None:
    member = made_members("regression", 1)[0]
    kept = after(25, [member], max_rounds=50).models()[0]
    refit = after(25, [replace(member, validation=None, cache={})], max_rounds=50).models()[0]
    np.testing.assert_array_equal(kept.predict(member.rows), refit.predict(member.rows))


def test_it_ends_at_its_horizon() -> None:
    assert [step.number for step in steps(made_members("binary"), max_rounds=23)] == list(range(1, 24))


def test_a_level_that_the_fold_lacks_is_one_that_nobody_knows() -> None:
    member = made_members("regression", 1)[0]
    fewer = member.rows.categorical.copy()
    fewer[fewer[:, 0] == 2, 0] = 3  # the schema has level 2, the fold does not
    grown = model(replace(member, rows=replace(member.rows, categorical=fewer)))
    answers = {}
    for level in (-1, 1, 2, 4_000):
        codes = member.rows.categorical.copy()
        codes[:, 0] = level
        answers[level] = grown.predict(replace(member.rows, categorical=codes))
    np.testing.assert_array_equal(answers[-1], answers[2])
    np.testing.assert_array_equal(answers[-1], answers[4_000])
    assert not np.array_equal(answers[-1], answers[1])


def test_rows_without_numbers_or_without_categories() -> None:
    member = made_members("binary", 1)[0]
    nothing = np.empty((120, 0))
    for rows in (Rows(member.rows.numeric, nothing.astype(np.int32)), Rows(nothing, member.rows.categorical)):
        assert model(replace(member, rows=rows, validation=None)).predict(rows).shape == (120, 2)


def test_numbers_beyond_its_range_are_its_largest() -> None:
    member = made_members("regression", 1)[0]
    numeric = member.rows.numeric.copy()
    numeric[::2, 1], numeric[1::2, 1] = 1e300, -1e300
    y = np.where(np.arange(120) % 2, -1.0, 1.0)
    rows = replace(member.rows, numeric=numeric)
    predictions = model(replace(member, rows=rows, y=y), 150).predict(rows)
    assert np.abs(predictions - y).max() < 0.2


def test_a_target_far_from_zero_is_learned_as_well() -> None:
    member = made_members("regression", 1)[0]
    near, far = (model(replace(member, y=member.y + at)).predict(member.rows) - at for at in (0.0, 1e9))
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_weights_act_and_their_unit_does_not() -> None:
    member = made_members("binary", 1)[0]
    ones = np.where(member.y == 1, 20.0, 1.0)
    plain, heavy, unit = (
        model(replace(member, weight=weight)).predict(member.rows)[:, 1].mean() for weight in (None, ones, ones * 1000)
    )
    assert heavy > plain + 0.05 and unit == pytest.approx(heavy, rel=1e-4)


def test_the_loss_is_the_metrics() -> None:
    member = made_members("regression", 1)[0]
    member.y[:12] += 1_000.0
    values = {
        (loss, quantile): np.median(model(with_loss([member], loss, quantile)[0], 3).predict(member.rows))
        for loss, quantile in (("squared", 0.5), ("absolute", 0.5), ("quantile", 0.5), ("quantile", 0.9))
    }
    assert values["squared", 0.5] > values["absolute", 0.5] + 20
    assert values["quantile", 0.9] > values["quantile", 0.5] + 2
    assert values["quantile", 0.5] == pytest.approx(values["absolute", 0.5], abs=3)


def test_a_class_that_training_rows_lack_has_probability_0(capfd: pytest.CaptureFixture[str]) -> None:
    member = made_members("multiclass", 1)[0]
    probabilities = model(replace(member, y=np.where(member.y == 1, 2, member.y))).predict(member.rows)
    assert probabilities.shape == (120, 3) and not probabilities[:, 1].any() and probabilities[:, 2].max() > 0.5
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("kind", "code"), [("binary", 0), ("binary", 1), ("multiclass", 1)])
def test_a_fold_of_one_class_is_told_that_class(kind: TaskKind, code: int) -> None:
    member = made_members(kind, 1)[0]
    probabilities = model(replace(member, y=np.full(120, code))).predict(member.rows)
    assert (probabilities.argmax(axis=1) == code).all()


def test_a_target_of_one_value_is_predicted() -> None:
    member = made_members("regression", 1)[0]
    np.testing.assert_allclose(model(replace(member, y=np.full(120, 7.5))).predict(member.rows), 7.5)


def test_binned_rows_are_kept_until_other_bins_are_asked_for() -> None:
    member = made_members("binary", 1)[0]
    after(1, [member])
    first, tables = dict(member.cache), dict(member.cache["catboost", "binned"])
    after(1, [member], learning_rate=0.1, depth=4)
    assert first.keys() == member.cache.keys() and all(member.cache[key] is value for key, value in first.items())
    assert member.cache["catboost", "binned"][254] is tables[254]
    after(1, [member], border_count=16)
    assert first.keys() == member.cache.keys() and list(member.cache["catboost", "binned"]) == [254, 16]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"grow_policy": "Lossguide"}, "grow_policy='Lossguide' is not one of SymmetricTree, Depthwise"),
        ({"subsample": 0.0}, "subsample=0.0 is not a number from 1e-06 to 1"),
        ({"depth": 17}, "depth=17 is not a whole number"),
        ({"l2_leaf_reg": -1.0}, "l2_leaf_reg=-1.0"),
        ({"boosting_type": "Ordered", "grow_policy": "Depthwise"}, "exclude each other"),
    ],
)
def test_wrong_values_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CatBoostParams(**params)
    assert says in str(caught.value)
