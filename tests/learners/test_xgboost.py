from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autotune.data.task import Problem, Rows, Schema, TaskKind
from autotune.errors import SettingsError
from autotune.learners.protocol import Member, Model, Resources, Step
from autotune.learners.xgboost import XGBoost, XGBoostParams
from autotune.testing import check_learner, made_members

xgb = pytest.importorskip("xgboost", reason="xgboost is not installed")

KINDS: list[TaskKind] = ["binary", "multiclass", "regression"]
SAMPLING = {"subsample": 0.7, "colsample_bylevel": 0.7, "colsample_bynode": 0.8}


def steps(members: list[Member], *, seed: int = 3, threads: int = 1, device: str | None = None, **params: Any) -> Any:
    return XGBoost().train(members, XGBoostParams(**params), seed=seed, resources=Resources(threads, device))


def after(n_steps: int, members: list[Member], **params: Any) -> Step:
    return next(islice(steps(members, **params), n_steps - 1, None))


def model(member: Member, n_steps: int = 30, **params: Any) -> Model:
    return after(n_steps, [replace(member, cache={})], **params).models()[0]


def with_loss(members: list[Member], loss: Any, quantile: float = 0.5) -> list[Member]:
    return [replace(m, problem=replace(m.problem, loss=loss, quantile=quantile), cache={}) for m in members]


def test_it_keeps_the_contract() -> None:
    check_learner(XGBoost, max_rounds=20, grow_policy="lossguide", max_leaves=8, **SAMPLING)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind: TaskKind) -> None:
    member = made_members(kind, 1)[0]
    predictions = model(member, 100).predict(member.rows)
    if kind == "regression":
        assert (member.y - predictions).std() < 0.5 * member.y.std()
    else:
        assert (predictions.argmax(axis=1) == member.y).mean() > 0.85


def frame(member: Member, rows: Rows) -> pd.DataFrame:
    """Return rows as a user of the library would write them: categories are the training rows' levels."""
    columns = {f"n{index}": values for index, values in enumerate(rows.numeric.T)}
    for index, codes in enumerate(rows.categorical.T):
        known = [f"level {code}" for code in np.setdiff1d(member.rows.categorical[:, index], [0])]
        texts = [text if (text := f"level {code}") in known else None for code in codes]
        columns[f"c{index}"] = pd.Categorical(texts, categories=known)
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("kind", "loss", "words"),
    [
        ("binary", "log", {"objective": "binary:logistic"}),
        ("multiclass", "log", {"objective": "multi:softprob", "num_class": 3}),
        ("regression", "squared", {"objective": "reg:squarederror"}),
        ("regression", "absolute", {"objective": "reg:absoluteerror"}),
        ("regression", "quantile", {"objective": "reg:quantileerror", "quantile_alpha": 0.9}),
    ],
)
def test_a_fold_in_lockstep_is_xgboost_itself(kind: TaskKind, loss: str, words: dict[str, Any]) -> None:
    members = with_loss(made_members(kind), loss, 0.9)
    found = after(25, members, **SAMPLING).predictions()
    for index, member in enumerate(members):
        centre = member.y.mean() if kind == "regression" else 0.0
        table = xgb.DMatrix(frame(member, member.rows), member.y - centre, enable_categorical=True)
        params = {
            "learning_rate": 0.05,
            "seed": 3 + index,
            "seed_per_iteration": True,
            "nthread": 1,
            "max_leaves": 1024,
        }
        booster = xgb.train(words | params | SAMPLING, table, num_boost_round=25)
        assert member.validation is not None
        expected = booster.predict(xgb.DMatrix(frame(member, member.validation), enable_categorical=True))
        shown = found[index][:, 1] if kind == "binary" else found[index]
        np.testing.assert_allclose(shown, expected + centre, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_kept_up_are_those_of_the_whole_model(kind: TaskKind) -> None:
    members = made_members(kind)
    for step in islice(steps(members, **SAMPLING), 30):
        if step.number in (1, 2, 3, 7, 8, 30):  # others are not asked for: their trees are caught up with
            whole = [m.predict(one.validation) for m, one in zip(step.models(), members, strict=True) if one.validation]
            np.testing.assert_allclose(step.predictions(), whole, rtol=1e-6)


def test_the_number_of_folds_changes_no_fold() -> None:
    members = made_members("binary", 3)
    together, alone = (
        after(10, members, **SAMPLING).predictions()[0],
        after(10, members[:1], **SAMPLING).predictions()[0],
    )
    np.testing.assert_array_equal(together, alone)


def test_a_refit_to_a_step_is_the_model_of_that_step() -> None:
    member = made_members("regression", 1)[0]
    kept = after(12, [member], max_rounds=50, **SAMPLING).models()[0]
    refit = after(12, [replace(member, validation=None, cache={})], max_rounds=50, **SAMPLING).models()[0]
    np.testing.assert_array_equal(kept.predict(member.rows), refit.predict(member.rows))


def test_it_ends_at_its_horizon() -> None:
    assert [step.number for step in steps(made_members("binary"), max_rounds=4)] == [1, 2, 3, 4]


def test_a_level_that_the_fold_lacks_is_missing() -> None:
    member = made_members("regression", 1)[0]
    fewer = member.rows.categorical.copy()
    fewer[fewer[:, 0] == 2, 0] = 3  # the schema has level 2, the fold does not
    grown = model(replace(member, rows=replace(member.rows, categorical=fewer)), max_cat_to_onehot=1)
    answers = []
    for level in (-1, 0, 2, 4_000):
        codes = member.rows.categorical.copy()
        codes[:, 0] = level
        answers.append(grown.predict(replace(member.rows, categorical=codes)))
    known = grown.predict(replace(member.rows, categorical=np.full_like(fewer, 1)))
    assert np.ptp(answers, axis=0).max() == 0.0 and not np.array_equal(known, answers[0])


def test_a_level_is_a_category_and_no_number() -> None:
    draws = np.random.default_rng(0)
    codes = draws.integers(1, 301, size=(6_000, 1)).astype(np.int32)
    worth = draws.normal(size=301)
    rows = Rows(np.zeros((6_000, 1)), codes)
    member = Member(Problem("regression", 0, Schema(()), "squared"), rows, worth[codes[:, 0]])
    stump = model(member, 1, learning_rate=1.0, max_depth=1, max_cat_threshold=1_000, reg_lambda=0.0)
    assert (
        stump.predict(rows) > 0
    ).mean() > 0.3  # one split parts the high levels from the low ones, wherever they are
    assert np.corrcoef(stump.predict(rows), member.y)[0, 1] > 0.7


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
    predictions = model(replace(member, rows=rows, y=y), 60).predict(rows)
    assert np.abs(predictions - y).max() < 0.2


def test_a_target_far_from_zero_is_learned_as_well() -> None:
    member = made_members("regression", 1)[0]
    near, far = (model(replace(member, y=member.y + at)).predict(member.rows) - at for at in (0.0, 1e9))
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_weights_act_and_their_unit_does_not() -> None:
    member = made_members("binary", 1)[0]
    ones = np.where(member.y == 1, 20.0, 1.0)
    plain, heavy, unit = (
        model(replace(member, weight=weight), min_child_weight=2.0).predict(member.rows)[:, 1].mean()
        for weight in (None, ones, ones * 1000)
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


def test_a_class_that_training_rows_lack_keeps_its_column() -> None:
    member = made_members("multiclass", 1)[0]
    probabilities = model(replace(member, y=np.where(member.y == 1, 2, member.y))).predict(member.rows)
    assert probabilities.shape == (120, 3) and probabilities[:, 1].max() < 0.2


def test_binned_rows_are_kept_until_other_bins_are_asked_for() -> None:
    member = made_members("binary", 1)[0]
    after(1, [member])
    first, tables = dict(member.cache), dict(member.cache["xgboost", "binned"])
    after(1, [member], learning_rate=0.1, max_depth=4)
    assert first.keys() == member.cache.keys() and all(member.cache[key] is value for key, value in first.items())
    assert member.cache["xgboost", "binned"][256] is tables[256]
    after(1, [member], max_bin=16)
    assert first.keys() == member.cache.keys() and list(member.cache["xgboost", "binned"]) == [256, 16]


def test_a_device_that_it_cannot_use() -> None:
    members = made_members("binary", 1)
    np.testing.assert_array_equal(
        after(2, members, device="mps").predictions(), after(2, members, device="cpu").predictions()
    )
    if xgb.build_info().get("USE_CUDA"):
        pytest.skip("this XGBoost was built with CUDA")
    with pytest.raises(SettingsError, match="built without CUDA"):
        after(1, members, device="cuda:1")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"grow_policy": "leafwise"}, "grow_policy='leafwise' is not one of depthwise, lossguide"),
        ({"subsample": 1.5}, "subsample=1.5 is not a number from 1e-06 to 1"),
        ({"max_depth": 6.0}, "max_depth=6.0 is not a whole number"),
        ({"max_rounds": 0}, "max_rounds=0 is not a whole number of at least 1"),
        ({"reg_alpha": -1.0}, "reg_alpha=-1.0"),
    ],
)
def test_wrong_values_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        XGBoostParams(**params)
    assert says in str(caught.value)
