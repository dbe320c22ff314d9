"""Every learner keeps every promise of the protocol, and check_learner notices the broken ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from autotune.data.task import ALL_TASKS, Rows
from autotune.errors import PlugInError
from autotune.learners import LEARNERS
from autotune.learners.custom import custom_learner
from autotune.learners.optional import missing_package
from autotune.learners.protocol import Member, Resources, Step, one_shot
from autotune.testing import check_learner

FEW_TREES = {"n_estimators": 5, "n_estimators_at_refit": 5}
QUICK: dict[str, dict[str, Any]] = {"random_forest": FEW_TREES, "extra_trees": FEW_TREES}


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_keeps_the_contract(name: str) -> None:
    if error := missing_package(LEARNERS[name]):
        pytest.skip(error.problem)
    check_learner(LEARNERS[name], **QUICK.get(name, {}))


def build_net(n_features: int, n_outputs: int, width: int = 4) -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_outputs))


OWN = {
    "in one go": SVC(),
    "a pipeline": make_pipeline(StandardScaler(), Ridge()),
    "by epochs": make_pipeline(StandardScaler(), SGDClassifier(max_iter=4)),
    "growing": GradientBoostingClassifier(n_estimators=5, subsample=0.5),
    "binned, with categories": HistGradientBoostingRegressor(max_iter=5),
    "by column": make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["town", "colour"]), ("passthrough", ["new"])),
        LogisticRegression(),
    ),
    "a torch module": build_net,
}


@pytest.mark.parametrize("model", OWN.values(), ids=OWN)
def test_people_s_own_models_keep_the_contract(model: Any) -> None:
    check_learner(custom_learner("own", model), **({"epochs": 3} if model is build_net else {}))


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_is_listed_under_its_own_name(name: str) -> None:
    assert LEARNERS[name].name == name


@dataclass(frozen=True)
class ShareModel:
    shares: Any
    noise: float = 0.0

    def predict(self, rows: Rows) -> Any:
        return np.tile(self.shares + self.noise, (len(rows), 1))


@dataclass(frozen=True)
class NoParams:
    pass


class Shares:
    """A right learner; each subclass breaks one promise."""

    name = "shares"
    tasks = frozenset({"binary"})
    Params: type[Any] = NoParams

    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        return ShareModel(np.bincount(member.y, minlength=2) / len(member.y))

    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Iterator[Step]:
        return one_shot(self.fit, members, params, seed, resources)

    def pace(self, params: Any) -> None:
        return None


def test_a_right_learner_passes() -> None:
    check_learner(Shares)


class WithoutPace(SimpleNamespace):
    name, tasks, Params = "without_pace", ALL_TASKS, NoParams

    def train(self) -> None: ...


class UnknownTask(Shares):
    tasks = frozenset({"ranking"})


class TakesAnyName(Shares):
    parameter_names = ("width",)

    def __init__(self) -> None:
        self.Params = lambda **values: NoParams()


class ThawedParams(Shares):
    @dataclass
    class Params:
        rate: float = 0.1


class ParamsWithoutDefault(Shares):
    @dataclass(frozen=True)
    class Params:
        rate: float


@dataclass(frozen=True)
class AnyRate:
    rate: float = 0.1


class TakesNonsense(Shares):
    Params = AnyRate


class OneColumn(Shares):
    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        return ShareModel(np.ones(1))


class NoProbabilities(Shares):
    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        return ShareModel(np.array([0.5, 0.6]))


class NotFinite(Shares):
    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        return ShareModel(np.array([0.5, np.nan]))


class Unseeded(Shares):
    draws = itertools.count(1)

    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        share = 1 / (2 + next(self.draws))
        return ShareModel(np.array([share, 1 - share]))


class SharedAcrossFolds(Shares):
    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Iterator[Step]:
        share = float(np.mean([np.nanmean(member.rows.numeric[:, 0]) for member in members])) % 1.0
        model = ShareModel(np.array([share, 1 - share]))
        return one_shot(lambda *_: model, members, params, seed, resources)


class LearnsFromValidation(Shares):
    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        rows = member.validation if member.validation is not None else member.rows
        share = float(np.nanmean(rows.numeric[:, 1])) % 1.0
        return ShareModel(np.array([share, 1 - share]))


class StaleCache(Shares):
    """Keeps predictions of validation rows without asking whose they are."""

    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        return member.cache.setdefault(("stale",), FixedLength(len(member.validation or member.rows)))


@dataclass(frozen=True)
class FixedLength:
    n_rows: int

    def predict(self, rows: Rows) -> Any:
        return np.full((min(len(rows), self.n_rows) if len(rows) == 1 else self.n_rows, 2), 0.5)


class NeedsValidation(Shares):
    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Iterator[Step]:
        if members[0].validation is not None:
            yield from super().train(members, params, seed=seed, resources=resources)
        else:
            yield Step(2, (0,), list, lambda: [ShareModel(np.array([0.5, 0.5]))])


class CountsFromZero(Shares):
    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Iterator[Step]:
        for step in super().train(members, params, seed=seed, resources=resources):
            yield Step(0, step.advanced, step.predictions, step.models)


class ChangesItsRows(Shares):
    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        model = super().fit(member, params, seed, resources)
        member.y[:] = 0
        return model


class TrainsNothing(Shares):
    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Any:
        return None


class YieldsScores(Shares):
    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Iterator[Any]:
        yield 0.5


class TooFewModels(Shares):
    def train(self, members: Sequence[Member], params: Any, *, seed: int, resources: Resources) -> Iterator[Step]:
        yield Step(1, (0, 1), lambda: [np.full((40, 2), 0.5)] * 2, lambda: [ShareModel(np.full(2, 0.5))])


class HoldsItsCode(Shares):
    def fit(self, member: Member, params: Any, seed: int, resources: Resources) -> Any:
        return SimpleNamespace(predict=lambda rows: np.full((len(rows), 2), 0.5))


class PaceWithoutParams(Shares):
    def pace(self) -> None:  # type: ignore[override]
        return None


class TrainWithoutSeed(Shares):
    def train(self, members: Sequence[Member], params: Any) -> Any:  # type: ignore[override]
        return None


class PaceInWords(Shares):
    def pace(self, params: Any) -> Any:
        return "fast"


def test_a_parameter_that_it_does_not_take_is_named() -> None:
    with pytest.raises(PlugInError, match=r"Params does not take \{'widht': 3\}"):
        check_learner(Shares, widht=3)


@pytest.mark.parametrize(
    ("learner_class", "broken"),
    [
        (ChangesItsRows, "training changes the rows"),
        (TrainsNothing, "train gives None, no iterator"),
        (YieldsScores, "train yields 0.5, no Step"),
        (TooFewModels, "1 models come for 2 members"),
        (HoldsItsCode, "a model cannot be pickled"),
        (PaceWithoutParams, "pace cannot be called"),
        (TrainWithoutSeed, "train cannot be called"),
        (PaceInWords, "pace gives 'fast'"),
        (WithoutPace, "no attribute 'pace'"),
        (UnknownTask, "its tasks are frozenset"),
        (ThawedParams, "no frozen dataclass"),
        (ParamsWithoutDefault, "'rate' has no default"),
        (TakesNonsense, "rate=nan is taken"),
        (OneColumn, "predictions are ((40, 1), 'float64')"),
        (NoProbabilities, "do not sum to 1"),
        (NotFinite, "not finite"),
        (Unseeded, "same seed"),
        (SharedAcrossFolds, "another fold's rows"),
        (LearnsFromValidation, "validation rows"),
        (StaleCache, "mixes up validation rows"),
        (NeedsValidation, "a refit to step 1"),
        (TakesAnyName(), "takes a name that parameter_names does not hold"),
        (CountsFromZero, "(step, members) are [(0, (0,)), (0, (1,))]"),
    ],
)
def test_a_broken_promise_is_named(learner_class: type[Any], broken: str) -> None:
    with pytest.raises(PlugInError) as caught:
        check_learner(learner_class)
    assert broken in str(caught.value)
