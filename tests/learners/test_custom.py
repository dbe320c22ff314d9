"""People's own models: which learner they become, under which name, and what tells them apart."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from autotune.errors import SettingsError, SpaceError
from autotune.learners.baseline import Baseline
from autotune.learners.custom import custom_learner, find_learners, find_models, model_name
from autotune.learners.sklearn_learner import SklearnLearner
from autotune.spaces.catalog import find_space
from autotune.spaces.params import Choice, Float, Int
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
        (lambda fold, params: None, "it is no learner\n  where: model\n  try:   @autotune.learner above it"),
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
    assert "one.toml:3:1" in (caught.value.where or "") and caught.value.hint == "sklearn.svm:SVC"


def test_what_the_space_and_its_learners_know_comes_together() -> None:
    def problems(space: Space, learners: Any) -> list[Any]:
        assert set(learners) == {"baseline", "svc"}
        return [SpaceError("something else")]

    with pytest.raises(SpaceError, match="2 problems") as caught:
        find_models({"C": Float(1.0, 0.1)}, SVC(), "automl", problems)
    assert "something else" in str(caught.value)


def test_a_regressor_is_no_classifier() -> None:
    assert custom_learner("linear", LinearRegression()).tasks == {"regression"}


def test_a_flat_space_that_names_a_model_says_how() -> None:
    with pytest.raises(SettingsError, match="outside of a learner's table") as caught:
        found({"model": "sklearn.svm:SVC", "C": Float(0.1, 1.0)})
    assert "model='sklearn.svm:SVC' beside the space" in (caught.value.hint or "")


# ---- the untuned default is the model as it was given ----


def wide(n_features: int, n_outputs: int, width: int = 24) -> Any:
    return None


@pytest.mark.parametrize(
    ("model", "parameter", "first"),
    [
        (SVC(C=0.002), Float(1e-3, 1e3, log=True), 0.002),
        (SVC(C=0.002), Float(1e-3, 1e3, log=True, default=5.0), 5.0),
        (SVC(C=7e3), Float(1e-3, 1e3, log=True), 1.0),  # outside
        (SVC(C=0.3), Choice([0.1, 0.3]), 0.3),
        (SVC(C=0.3), 2.0, 2.0),
    ],
)
def test_a_parameter_begins_at_the_model_s_own_value(model: Any, parameter: Any, first: Any) -> None:
    for space in ({"C": parameter}, {"svc": {"C": parameter}}):
        (start,) = found(space, model)[0].first_configurations()
        assert start.params["C"] == pytest.approx(first)


def test_so_it_does_for_a_function_s_defaults_and_models_that_files_name(tmp_path: Path) -> None:
    (start,) = found({"width": Int(8, 128), "epochs": Int(1, 9, fidelity=True)}, wide)[0].first_configurations()
    assert start.params == {"width": 24, "epochs": 9}
    (tmp_path / "svc.toml").write_text(
        'version = 1\n[svc]\nmodel = "sklearn.svm:SVC"\nkernel = { choice = ["linear", "rbf"] }\n'
    )
    (start,) = found(str(tmp_path / "svc.toml"))[0].first_configurations()
    assert start.params == {"kernel": "rbf"}


def test_a_model_s_own_values_that_are_forbidden_leave_the_space_as_it_is() -> None:
    parameters = {"kernel": Choice(["linear", "rbf"]), "C": Float(0.1, 10.0)}
    forbid = [{"kernel": "rbf", "C": {"at_most": 5.0}}]
    (start,) = found(Space({"svc": parameters}, forbid=forbid), SVC())[0].first_configurations()
    assert start.params["kernel"] == "linear"


def test_built_in_learners_keep_the_defaults_of_their_spaces() -> None:
    before = find_space("linear").first_configurations()
    assert found("linear")[0].first_configurations() == before


def test_a_model_beside_a_space_that_names_its_own_is_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('version = 1\n[svm]\nmodel = "sklearn.svm:SVC"\nC = { float = [0.1, 10.0] }\n')
    with pytest.raises(SettingsError, match=r"names its models itself, in \[svm\]\n.*\n  try:   leave the model out"):
        find_models(str(path), SVC(), "automl", no_problems)
