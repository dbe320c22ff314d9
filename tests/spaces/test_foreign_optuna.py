import json

import optuna.distributions as distributions
import pytest

from autotune.errors import SpaceError
from autotune.spaces.convert import Converted, convert
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Space


def message_of(document):
    with pytest.raises(SpaceError) as caught:
        convert(document)
    return str(caught.value)


@pytest.mark.parametrize(
    ("distribution", "parameter"),
    [
        (distributions.FloatDistribution(1e-5, 0.1, log=True), Float(1e-5, 0.1, log=True)),
        (distributions.FloatDistribution(0, 1, step=0.25), Float(0, 1, step=0.25)),
        (distributions.FloatDistribution(0.5, 0.5), Fixed(0.5)),
        (distributions.IntDistribution(1, 10, step=3), Int(1, 10, step=3)),
        (distributions.IntDistribution(1, 1024, log=True), Int(1, 1024, log=True)),
        (distributions.IntDistribution(4, 4), Fixed(4)),
        (distributions.CategoricalDistribution(["adam", None, True, 2.5]), Choice(["adam", None, True, 2.5])),
    ],
)
def test_optunas_distributions_as_objects_and_as_json(distribution, parameter):
    text = distributions.distribution_to_json(distribution)
    for form in (distribution, text, json.loads(text)):
        assert convert({"x": form}) == Converted(Space({"model": {"x": parameter}}), (), "optuna")


@pytest.mark.parametrize(
    ("name", "attributes", "parameter"),
    [
        ("UniformDistribution", {"low": 0.0, "high": 1.0}, Float(0.0, 1.0)),
        ("LogUniformDistribution", {"low": 0.1, "high": 1.0}, Float(0.1, 1.0, log=True)),
        ("DiscreteUniformDistribution", {"low": 0.0, "high": 1.0, "q": 0.3}, Float(0.0, 0.9, step=0.3)),
        ("IntUniformDistribution", {"low": 1, "high": 9, "step": 2}, Int(1, 9, step=2)),
        ("IntLogUniformDistribution", {"low": 1, "high": 9, "step": 1}, Int(1, 9, log=True)),
    ],
)
def test_optunas_older_distributions(name, attributes, parameter):
    converted = convert({"x": {"name": name, "attributes": attributes}})
    assert converted == Converted(Space({"model": {"x": parameter}}), (), "optuna")


def test_options_that_python_takes_for_one_are_lost():
    converted = convert({"x": distributions.CategoricalDistribution([1, True, 0])})
    assert converted.space == Space({"model": {"x": Choice([1, 0])}})
    assert converted.lost == ("x: the option True equals 1 in Python; it is left out",)


def test_optunas_mistakes_come_together():
    document = {
        "a": distributions.FloatDistribution(0, 1),
        "b": {"name": "FlotDistribution", "attributes": {}},
        "c": 3,
        "d": {"name": "IntDistribution", "attributes": {"low": 1}},
        "e": "{not json",
    }
    assert message_of(document).splitlines() == [
        "4 problems:",
        "Optuna distributions b: no distribution named 'FlotDistribution'; FloatDistribution",
        "Optuna distributions c: c is no distribution of Optuna, found 3; FloatDistribution(0.0, 1.0)",
        "Optuna distributions d: d: high is missing; high: 1",
        "Optuna distributions e: e is no distribution of Optuna, found '{not json'; FloatDistribution(0.0, 1.0)",
    ]
