"""People's own models: which learner they become, under which name, and what tells them apart."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from autotune.errors import SettingsError, SpaceError
from autotune.learners.baseline import Baseline
from autotune.learners.custom import custom_learner, describe_model, find_learners, find_models, model_name
from autotune.learners.loading import load_model
from autotune.learners.sklearn_learner import SklearnLearner
from autotune.spaces.params import Float, Int
from autotune.spaces.space import Space


def no_problems(space: Space, learners: Any) -> list[Any]:
    return []


def found(space: Any, model: Any = None) -> tuple[Space, dict[str, Any]]:
    return find_models(space, model, "automl", no_problems)


def net(n_features: int, n_outputs: int, width: int = 8) -> Any:
    return None


class Wide:
    def __init__(self, width: int) -> None:
        self.width = width

    def fit(self, X: Any, y: Any) -> Wide:
        return self


@pytest.mark.parametrize("model", [SVC(), SVC, "sklearn.svm:SVC", make_pipeline(SVC())])
def test_what_has_fit_is_an_estimator(model: Any) -> None:
    learner: Any = custom_learner("svc", model)
    assert isinstance(learner, SklearnLearner) and learner.name == "svc"


def test_a_learner_is_what_it_is() -> None:
    assert isinstance(custom_learner("baseline", Baseline), Baseline)
    learner: Any = Baseline()
    assert custom_learner("baseline", learner) is learner


def test_any_other_callable_builds_a_module() -> None:
    learner: Any = custom_learner("net", net)
    assert type(learner).__name__ == "ModuleLearner" and "width" in learner.parameter_names


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (3, "model is 3, which has no fit and cannot be called"),
        (Wide, "Wide cannot be made without arguments"),
        (StandardScaler(), "model StandardScaler has no predict"),
    ],
)
def test_what_is_no_model_is_refused(model: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        custom_learner("mine", model)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SVC(), "svc"),
        (RandomForestClassifier, "random_forest_classifier"),
        (make_pipeline(StandardScaler(), SGDClassifier()), "sgd_classifier"),
        (net, "net"),
        (partial(net, width=3), "net"),
        (lambda a, b: None, "model"),
        (type("Linear", (), {}), "linear_model"),
    ],
)
def test_names(model: Any, name: str) -> None:
    assert model_name(model) == name


def test_a_flat_space_is_the_model_s() -> None:
    space, models = found({"svc__C": Float(0.1, 1.0), "svc__degree": {"int": [1, 3]}, "svc__gamma": "scale"}, PIPELINE)
    assert space.name == "svc" and list(space.learners["svc"]) == ["svc__C", "svc__degree", "svc__gamma"]
    assert isinstance(space.learners["svc"]["svc__degree"], Int)
    assert models == {"svc": PIPELINE}


PIPELINE = make_pipeline(StandardScaler(), SVC())


def test_a_space_has_one_learner_that_can_be_the_model() -> None:
    for space in ({"mine": {"C": Float(0.1, 1.0)}}, Space({"linear": {}, "mine": {"C": Float(0.1, 1.0)}})):
        joined, models = found(space, SVC)
        assert models == {"mine": SVC}
        assert set(find_learners(joined, models)) == {"baseline", *joined.learners}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("linear", "none of linear is"),
        ({"one": {}, "two": {}}, "one, two could all be"),
    ],
)
def test_it_is_said_when_it_is_not_clear_which_learner_is_the_model(space: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        found(space, SVC())
    assert "[svc]" in (caught.value.hint or "")


def test_without_a_space_a_model_has_no_parameters() -> None:
    space, models = found("automl", SVC())
    assert space.first_configurations()[0].flat() == {"learner": "svc"} and list(models) == ["svc"]


def test_a_file_names_its_models(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(
        'version = 1\n[svc]\nmodel = "sklearn.svm:SVC"\nC = { float = [0.1, 1.0] }\n'
        '[tree]\nmodel = "sklearn.tree:DecisionTreeClassifier"\n'
    )
    space, models = found(str(tmp_path / "two.toml"))
    assert models["svc"] is SVC and set(find_learners(space, models)) == {"baseline", "svc", "tree"}
    (tmp_path / "one.toml").write_text('version = 1\n[svc]\nmodel = "sklearn.svm:SVCC"\n')
    with pytest.raises(SettingsError) as caught:
        found(str(tmp_path / "one.toml"))
    assert (caught.value.where or "").startswith("one.toml:3:1") and caught.value.hint == "sklearn.svm:SVC"


def test_what_the_space_and_its_learners_know_comes_together() -> None:
    def problems(space: Space, learners: Any) -> list[Any]:
        assert set(learners) == {"baseline", "svc"}
        return [SpaceError("something else")]

    with pytest.raises(SpaceError, match="2 problems") as caught:
        find_models({"C": Float(1.0, 0.1)}, SVC(), "automl", problems)
    assert "something else" in str(caught.value)


# ---- what tells models apart ----


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
        "from autotune.learners.custom import describe_model\n"
        "print(describe_model(Own()))\n"
    )

    def described(number: int, seed: str) -> str:
        path = tmp_path / f"script_{number}_{seed}.py"
        path.write_text("\n" * number + script.replace("NUMBER", str(number)))
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, env=environment)
        return done.stdout

    assert described(1, "1") == described(1, "2") != described(2, "1")


def test_a_regressor_is_no_classifier() -> None:
    assert custom_learner("linear", LinearRegression()).tasks == {"regression"}


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
