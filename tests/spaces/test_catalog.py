from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from autotune.errors import SettingsError, SpaceError, UnknownNameError
from autotune.learners import LEARNERS
from autotune.spaces.catalog import find_space
from autotune.spaces.files import built_in_names, built_in_path
from autotune.spaces.params import Float, Int
from autotune.spaces.space import Space

KINDS = ("binary", "multiclass", "regression")
SINGLE = [name for name in built_in_names() if name != "automl"]


def test_there_is_a_space_for_every_learner_and_one_that_joins_them():
    assert built_in_names() == sorted([*LEARNERS, "automl"])
    optional = {"xgboost", "catboost"}  # their packages may be missing
    assert set(find_space("automl").learners) == set(LEARNERS) - {"baseline"} - optional
    assert next(iter(find_space("automl").learners)) == "lightgbm"


@pytest.mark.parametrize("name", built_in_names())
def test_a_space_is_called_after_its_file_and_says_what_it_is(name):
    space = find_space(name)
    assert space.name == name
    assert space.summary.endswith(".")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", built_in_names())
def test_what_is_tried_first_builds_its_learners_parameters(name, kind):
    space = find_space(name).for_task(kind)
    for config in space.first_configurations():
        params = LEARNERS[config.learner].Params(**config.params)
        assert {key: getattr(params, key) for key in config.params} == config.params


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SINGLE)
def test_the_default_configuration_is_the_learners_own_default(name, kind):
    default = find_space(name).for_task(kind).default(name)
    assert LEARNERS[name].Params(**default.params) == LEARNERS[name].Params()


@pytest.mark.parametrize("name", SINGLE)
def test_the_values_at_the_ends_of_every_range_are_taken(name):
    for key, parameter in find_space(name).learners[name].items():
        assert key in {field.name for field in fields(LEARNERS[name].Params)}
        if isinstance(parameter, Float | Int):
            for value in (parameter.low, parameter.high):
                assert getattr(LEARNERS[name].Params(**{key: value}), key) == value


@pytest.mark.parametrize("name", LEARNERS)
def test_every_parameter_has_a_default(name):
    assert [field.name for field in fields(LEARNERS[name].Params) if field.default is MISSING] == []


def test_a_space_may_be_named_in_many_ways():
    lightgbm, knn = find_space("lightgbm"), find_space("knn")
    assert find_space(lightgbm) is lightgbm
    assert find_space(built_in_path("lightgbm")) == find_space(str(built_in_path("lightgbm"))) == lightgbm
    assert find_space("lightgbm, knn,") == find_space(["lightgbm", knn]) == lightgbm | knn
    assert find_space({"knn": {"p": 2.0}}) == Space({"knn": {"p": 2.0}})
    assert find_space(("knn", {"linear": {}})).learners["linear"] == {}


def test_files_may_stand_anywhere_in_a_list_of_names(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("version = 1\n[mine]\nx = 1\n")
    assert list(find_space(f"linear,{path}").learners) == ["linear", "mine"]
    assert list(find_space(f"{path},linear").learners) == ["mine", "linear"]
    comma = path.rename(tmp_path / "a,b.toml")
    assert list(find_space(str(comma)).learners) == ["mine"]


def test_joining_keeps_the_starts_of_all():
    assert len(find_space("lightgbm,mlp").starts) == len(find_space("lightgbm").starts) + len(find_space("mlp").starts)


def test_a_wrong_name_gives_the_nearest_right_one():
    for wrong in ("lightgmb", "linear,lightgmb"):
        with pytest.raises(UnknownNameError) as caught:
            find_space(wrong)
        assert str(caught.value) == "no search space named 'lightgmb'\n  try:   lightgbm"
    with pytest.raises(UnknownNameError, match="one of: automl, baseline, "):
        find_space("zzz")


@pytest.mark.parametrize("wrong", [None, 5, [], ",", 1.5])
def test_what_names_no_space(wrong):
    with pytest.raises(SettingsError, match="is no search space\n  where: space\n  try:   a built-in name"):
        find_space(wrong)


def test_a_file_that_is_not_there():
    with pytest.raises(SpaceError, match="does not exist"):
        find_space(Path("/nowhere/mine.toml"))
