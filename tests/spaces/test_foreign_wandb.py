import math

import pytest

from autotune.errors import SpaceError
from autotune.spaces.convert import Converted, convert
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Space


def converted(entry):
    return convert({"parameters": {"x": entry}})


def of(distribution, **words):
    return {"distribution": distribution, **words}


CARRIED = [
    ({"value": 3}, Fixed(3)),
    ({"value": None}, Fixed(None)),
    ({"value": [64, 32]}, Fixed([64, 32])),
    (of("constant", value="adam"), Fixed("adam")),
    ({"values": ["adam", "sgd", None, True]}, Choice(["adam", "sgd", None, True])),
    ({"values": [[64], [64, 32]]}, Choice([[64], [64, 32]])),
    ({"values": [0.2]}, Fixed(0.2)),
    (of("categorical", values=[1, 2]), Choice([1, 2])),
    ({"values": ["a", "b"], "probabilities": [0.75, 0.25]}, Choice(["a", "b"], weights=[0.75, 0.25])),
    ({"values": ["a", "b"], "probabilities": [0.5, 0.5]}, Choice(["a", "b"])),
    (of("categorical_w_probabilities", values=[1, 2], probabilities=[3, 1]), Choice([1, 2], weights=[3, 1])),
    ({"values": ["sqrt", "sqrt", "log2"]}, Choice(["sqrt", "log2"], weights=[2, 1])),
    ({"min": 1, "max": 8}, Int(1, 8)),
    ({"min": 1, "max": 8.0}, Float(1, 8)),
    ({"min": 0.0, "max": 0.3}, Float(0, 0.3)),
    (of("uniform", min=1, max=8), Float(1, 8)),
    (of("int_uniform", min=4.0, max=10.0), Int(4, 10)),
    (of("int_uniform", min=4, max=4), Fixed(4)),
    (of("q_uniform", min=0, max=100, q=10), Int(0, 100, step=10)),
    (of("q_uniform", min=3, max=11, q=4), Int(4, 12, step=4)),
    (of("q_uniform", min=1, max=8), Int(1, 8)),
    (of("q_uniform", min=0, max=1, q=0.1), Float(0, 1, step=0.1)),
    (of("q_uniform", min=0.05, max=0.31, q=0.1), Float(0, 0.3, step=0.1)),
    (of("log_uniform", min=-2, max=1), Float(math.exp(-2), math.exp(1), log=True)),
    (of("log_uniform_values", min=1e-5, max=0.1), Float(1e-5, 0.1, log=True)),
    (of("log_uniform_values", min=1, max=10), Float(1, 10, log=True)),
    (of("inv_log_uniform", min=0, max=1), Float(math.exp(-1), 1, log=True)),
    (of("inv_log_uniform_values", min=0.1, max=1), Float(0.1, 1, log=True)),
    (of("q_log_uniform_values", min=9.6, max=300.4, q=1), Int(10, 300, log=True)),
    (of("q_log_uniform", min=math.log(32), max=math.log(256), q=1), Int(32, 256, log=True)),
    (of("beta"), Float(0, 1)),
]

LOST = [
    (
        of("q_log_uniform_values", min=32, max=256, q=8),
        Int(32, 256, log=True),
        "x: steps of 8 beside a logarithm; every value between the bounds can be drawn",
    ),
    (
        of("q_log_uniform_values", min=0.3, max=50, q=1),
        Int(1, 50, log=True),
        "x: the value 0, which a logarithmic range cannot hold; it begins at 1",
    ),
    (
        of("normal"),
        Float(-3, 3),
        "x: the shape of the normal distribution with mu = 0 and sigma = 1; [-3, 3], 3 sigma around mu,"
        " is searched evenly",
    ),
    (
        of("q_normal", mu=10, sigma=2, q=1),
        Int(4, 16),
        "x: the shape of the normal distribution with mu = 10 and sigma = 2; [4, 16], 3 sigma around mu,"
        " is searched evenly",
    ),
    (
        of("log_normal", mu=0, sigma=1 / 3),
        Float(math.exp(-1), math.exp(1), log=True),
        "x: the shape of the log-normal distribution with mu = 0 and sigma = 0.333333; [0.367879, 2.71828],"
        " 3 sigma around mu, is searched evenly on the logarithm",
    ),
    (
        of("beta", a=2, b=5),
        Float(0, 1),
        "x: the shape of the beta distribution with a = 2 and b = 5; [0, 1] is searched evenly",
    ),
    (
        {"values": ["a", "b", "c"], "probabilities": [0.5, 0.5, 0]},
        Choice(["a", "b"]),
        "x: the option 'c' has weight 0 and is never drawn; it is left out",
    ),
    (
        {"values": [{"name": "adam"}, "sgd", "none"]},
        Choice(["sgd", "none"]),
        "x: a space cannot hold the option {'name': 'adam'}; it is left out",
    ),
]

WRONG = [
    ({}, "x has neither value, values nor min and max"),
    (0.1, "x is a table, found 0.1; x: {value: 0.1}"),
    ({"min": 0.0}, "x: max is missing; max: 1"),
    ({"min": 0.0, "max": "0.1"}, "x: max is a number, found '0.1'; without quotes"),
    ({"min": 0.0, "max": math.inf}, "x: max is a number, found inf"),
    ({"min": 1, "max": 0}, "x: the lower bound 1 is not below the upper bound 0"),
    ({"min": 0.0, "max": 1.0, "q": 0.1}, "no word of x named 'q'; one of: distribution, max, min"),
    ({"min": 0.0, "max": 1.0, "maxx": 2}, "no word of x named 'maxx'; max"),
    ({"values": []}, "x: options are a list of at least one value, found []"),
    ({"values": "a"}, "x: options are a list of at least one value, found 'a'"),
    ({"values": [1, 2], "probabilities": [1]}, "x: weights are 2 numbers of at least 0, found [1]"),
    ({"values": [1, 2], "probabilities": [0, 0]}, "x: weights are 2 numbers of at least 0, found [0, 0]"),
    (of("log_uniform_value", min=0.1, max=1), "no distribution named 'log_uniform_value'; log_uniform_values"),
    (of("log_uniform_values", min=0, max=1), "x: log needs a lower bound above 0, found 0"),
    (of("log_uniform", min=0, max=1e4), "x: e to the power of its bounds is no finite number; log_uniform_values"),
    (of("int_uniform", min=0.5, max=2), "x: bounds of an int are whole numbers, found [0.5, 2]"),
    (of("q_uniform", min=0, max=1, q=0), "x: q is above 0, found 0"),
    (of("q_uniform", min=0, max=1e300, q=1e-300), "x: q = 1e-300 is too small for these bounds"),
    (of(["uniform"], min=0, max=1), "no distribution named \"['uniform']\""),
    (of("normal", mu=0, sigma=-1), "x: sigma is above 0, found -1"),
    (of("constant"), "x: value is missing"),
]


@pytest.mark.parametrize(("entry", "parameter"), CARRIED)
def test_what_is_carried_over(entry, parameter):
    assert converted(entry) == Converted(Space({"model": {"x": parameter}}), (), "wandb")


@pytest.mark.parametrize(("entry", "parameter", "sentence"), LOST)
def test_what_is_lost(entry, parameter, sentence):
    assert converted(entry) == Converted(Space({"model": {"x": parameter}}), (sentence,), "wandb")


@pytest.mark.parametrize(("entry", "problem"), WRONG)
def test_what_is_wrong(entry, problem):
    with pytest.raises(SpaceError) as caught:
        convert({"parameters": {"x": entry}}, source="wandb")
    assert str(caught.value).startswith("W&B sweep parameters.x")
    assert f": {problem}" in str(caught.value)


def test_an_option_that_does_not_fit_leaves_the_others_and_a_value_is_left_out():
    document = {"parameters": {"x": {"value": {"deep": 1}}, "y": {"values": [{}, 1]}, "z": {"min": 0, "max": 1}}}
    result = convert(document)
    assert result.space == Space({"model": {"y": Fixed(1), "z": Int(0, 1)}})
    assert result.lost == (
        "x: a space cannot hold the value {'deep': 1}; it is left out",
        "y: a space cannot hold the option {}; it is left out",
    )


def test_a_whole_sweep_lists_what_is_no_space():
    sweep = {
        "program": "train.py",
        "project": "mnist",
        "name": "first",
        "description": "A first look.",
        "method": "bayes",
        "metric": {"name": "val_loss", "goal": "minimize"},
        "early_terminate": {"type": "hyperband", "min_iter": 3},
        "run_cap": 50,
        "command": ["${env}", "python", "${program}"],
        "parameters": {
            "epochs": {"value": 20},
            "optimizer": {"parameters": {"name": {"values": ["adam", "sgd"]}, "lr": {"min": 0.0, "max": 0.1}}},
        },
    }
    result = convert(sweep)
    parameters = {"epochs": Fixed(20), "optimizer__name": Choice(["adam", "sgd"]), "optimizer__lr": Float(0, 0.1)}
    assert result.space == Space({"model": parameters})
    assert result.space.summary == "A first look."
    assert result.lost == (
        "method: not part of a space; give sampler where you tune",
        "metric: not part of a space; give metric where you tune",
        "early_terminate: not part of a space; give pruner where you tune",
        "run_cap: not part of a space; give n_trials where you tune",
        "program, command, project, name: how W&B runs and files a sweep; not part of a space",
        "names: optimizer.name is optimizer__name, optimizer.lr is optimizer__lr here",
    )


def test_bounds_that_are_exponents_are_near_the_values_meant():
    entry = of("log_uniform", min=-11.512925, max=-2.302585)
    parameter = converted(entry).space.learners["model"]["x"]
    assert (parameter.low, parameter.high) == pytest.approx((1e-5, 0.1), rel=1e-6)
