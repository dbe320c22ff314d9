"""What tells one model from another, in this process and in the next."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from autotune.learners.loading import load_model
from autotune.learners.makings import describe_model

PIPELINE = make_pipeline(StandardScaler(), SVC())


def net(n_features: int, n_outputs: int, width: int = 8) -> Any:
    return None


def made(factor: float) -> Any:
    return lambda n_features, n_outputs: factor


def test_equal_models_are_described_alike_and_others_not() -> None:
    alike = [(SVC(), SVC()), (made(1.0), made(1.0)), (PIPELINE, make_pipeline(StandardScaler(), SVC())), (SVC, SVC)]
    for one, other in alike:
        assert describe_model(one) == describe_model(other)
    others = [(SVC(), SVC(C=2)), (made(1.0), made(2.0)), (PIPELINE, make_pipeline(SVC())), (net, partial(net, width=3))]
    for one, other in others:
        assert describe_model(one) != describe_model(other)
    arrays = [SGDClassifier(class_weight={0: value}) for value in (np.zeros(2000), np.ones(2000))]
    assert describe_model(arrays[0]) != describe_model(arrays[1])


def test_a_class_of_a_script_is_told_apart_by_what_it_does_in_another_process_too(tmp_path: Path) -> None:
    script = (
        "from sklearn.base import BaseEstimator\n"
        "class Own(BaseEstimator):\n"
        "    def __init__(self, words=('a', 'b')): self.words = words\n"
        "    def fit(self, X, y):\n"
        "        self.known = [x in {'p', 'q', 'r'} for x in self.words] or (lambda: NUMBER)\n"
        "        return self\n"
        "from autotune.learners.makings import describe_model\n"
        "print(describe_model(Own()))\n"
    )

    def described(number: int, seed: str) -> str:
        path = tmp_path / f"script_{number}_{seed}.py"
        path.write_text("\n" * number + script.replace("NUMBER", str(number)))
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, env=environment)
        return done.stdout

    assert described(1, "1") == described(1, "2") != described(2, "1")


NET = """
from torch import nn
import autotune

WIDTH = 8

def layer(n_inputs, n_outputs):
    return nn.Linear(n_inputs, n_outputs)

class Net(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(layer(n_inputs, WIDTH), nn.ReLU(), layer(WIDTH, n_outputs))

    def forward(self, x):
        return self.layers(x)

def build(n_features, n_outputs):
    return Net(n_features, n_outputs)

@autotune.learner
def mine(fold, params):
    return lambda X: X.to_numpy()[:, 0]
"""


@pytest.mark.parametrize(
    ("attribute", "before", "after", "another"),
    [
        ("build", "", "", False),
        ("build", "nn.ReLU()", "nn.Tanh()", True),  # of a class that it uses
        ("build", "nn.Linear(n_inputs, n_outputs)", "nn.Linear(n_inputs, n_outputs, bias=False)", True),
        ("build", "WIDTH = 8", "WIDTH = 9", True),
        ("build", "[:, 0]", "[:, 1]", False),  # of a function that it does not use
        ("mine", "[:, 0]", "[:, 1]", True),
        ("mine", "WIDTH = 8", "WIDTH = 9", False),
    ],
)
def test_an_edited_model_is_another_one(tmp_path: Path, attribute: str, before: str, after: str, another: bool) -> None:
    described = []
    for text in (NET, NET.replace(before, after) if before else NET):
        path = tmp_path / "nets.py"
        path.write_text(text)
        described.append(describe_model(load_model(f"{path}:{attribute}", "model")))
    assert (described[0] != described[1]) == another


@pytest.mark.parametrize(
    ("before", "after", "another"), [("WIDTH = 8", "WIDTH = 9", True), ("[:, 0]", "[:, 1]", False)]
)
def test_so_is_an_edited_model_of_a_module_beside_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, another: bool
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    described = []
    for text in (NET, NET.replace(before, after)):
        (tmp_path / "nets_of_mine.py").write_text(text)
        importlib.invalidate_caches()
        described.append(describe_model(load_model("nets_of_mine:build", "model")))
        del sys.modules["nets_of_mine"]
    assert (described[0] != described[1]) == another


OWN = """
import functools
import numpy as np

TABLE = {"a": 10}
VALUES = np.arange(11)

class Base:
    STEP = 12
    def learn(self, X): return 13

class Own(Base):
    kinds = ["14"]
    def __init__(self, depth=15): self.depth = depth
    def fit(self, X, y): return self
    def predict(self, X): return VALUES
    def score(self, params): return TABLE["a"] + cached(1)
    @property
    def first(self): return 16
    @staticmethod
    def second(): return 17
    @classmethod
    def third(cls): return 18
    def __call__(self, params): return self.score(params)

@functools.lru_cache
def cached(x): return 19

def unused(x): return 20

own = Own(21)
call = Own(21)
score = Own(21).score
generator = lambda params, draws=np.random.default_rng(22): draws
"""


@pytest.mark.parametrize(
    ("attribute", "seen"),
    [
        ("own", "10 11 12 13 14 15 16 17 18 19 21"),
        ("score", "10 11 12 13 14 15 16 17 18 19 21"),
        ("Own", "10 11 12 13 14 15 16 17 18 19"),
        ("cached", "19"),
        ("generator", "22"),
    ],
)
def test_an_edit_is_seen_where_it_is_used_and_nowhere_else(tmp_path: Path, attribute: str, seen: str) -> None:
    def described(text: str) -> str:
        (tmp_path / "own.py").write_text(text)
        return describe_model(load_model(f"{tmp_path / 'own.py'}:{attribute}", "model"))

    before = described(OWN)
    assert before == described(OWN)
    edits = {str(number): described(OWN.replace(str(number), str(number + 30))) for number in range(10, 23)}
    assert [number for number, after in edits.items() if after != before] == seen.split()


def holding(thing: Any) -> Any:
    return lambda params: thing


def test_what_a_function_holds_counts_by_its_values() -> None:
    frame = pd.DataFrame({"a": range(5000), "b": ["x", "y"] * 2500})
    other = frame.assign(a=frame["a"].where(frame["a"] != 2500, -1))
    for one, same, another in (
        (frame, frame.copy(), other),
        (frame["b"], frame["b"].copy(), frame["b"][::-1]),
        (np.random.default_rng(0), np.random.default_rng(0), np.random.default_rng(1)),
        (np.random.RandomState(0), np.random.RandomState(0), np.random.RandomState(1)),
        (np.array(["a", None]), np.array(["a", None]), np.array(["a", "b"], dtype=object)),
        ({"a": {1, 2}}, {"a": {2, 1}}, {"a": {1, 3}}),
    ):
        assert describe_model(holding(one)) == describe_model(holding(same)) != describe_model(holding(another))


def test_what_pickle_refuses_holds_itself_or_is_not_there_yet_is_described_all_the_same() -> None:
    def later(params: Any) -> Any:
        return unbound(params)

    endless: list[Any] = [1]
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    described = {describe_model(model) for model in (later, holding(endless), holding(sys.stdout), holding(deep))}
    assert len(described) == 4

    def unbound(params: Any) -> int:
        return 1


def test_what_an_installed_package_defines_counts_by_its_name_and_what_it_holds() -> None:
    assert describe_model(functools.wraps(net)(partial(net, width=2))) != describe_model(partial(net, width=3))
    assert describe_model(np.vectorize(made(1.0))) != describe_model(np.vectorize(made(2.0)))


CALLS: list[float] = []
SEEN: dict[str, float] = {}
OPTIONS = {"power": 2}


def noting(params: dict[str, Any]) -> float:
    CALLS.append(params["x"])
    SEEN["last"] = params["x"]
    return float(params["x"] ** OPTIONS["power"])


def test_what_a_function_notes_in_a_global_is_no_part_of_it_but_what_it_reads_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = describe_model(noting)
    noting({"x": 1.0})
    assert CALLS and SEEN and describe_model(noting) == before
    monkeypatch.setitem(OPTIONS, "power", 3)
    assert describe_model(noting) != before


def test_nor_is_what_it_notes_in_a_variable_around_it() -> None:
    def noted(factor: float) -> Any:
        calls: list[float] = []

        def objective(params: dict[str, Any]) -> float:
            calls.append(params["x"])
            return factor * float(params["x"])

        return objective

    objective = noted(2.0)
    before = describe_model(objective)
    objective({"x": 1.0})
    assert describe_model(objective) == before != describe_model(noted(3.0))
