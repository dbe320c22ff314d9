import json
from pathlib import Path

import pytest

from autotune.errors import SpaceError
from autotune.spaces.convert import Converted, convert, read_foreign
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Space


def number(name, kind, lower, upper, default, **more):
    words = {"lower": lower, "upper": upper, "default_value": default, "log": False, "meta": None}
    return {"type": kind, "name": name, **words, **more}


def choice(name, choices, weights=None, default=None):
    return {
        "type": "categorical",
        "name": name,
        "choices": choices,
        "weights": weights,
        "default_value": choices[0] if default is None else default,
        "meta": None,
    }


def older(kind, **words):
    return {"name": "x", "type": kind, **words}


def space_of(*hyperparameters, conditions=(), forbiddens=()):
    return {
        "name": None,
        "hyperparameters": list(hyperparameters),
        "conditions": list(conditions),
        "forbiddens": list(forbiddens),
        "python_module_version": "1.2.0",
        "format_version": 0.4,
    }


KERNEL = choice("kernel", ["rbf", "poly", "sigmoid"], default="poly")
LAYERS = number("layers", "uniform_int", 1, 4, 2)
RATE = number("rate", "uniform_float", 1e-4, 0.1, 0.01, log=True)
SIZE = {"type": "ordinal", "name": "size", "sequence": ["s", "m", "l"], "default_value": "m", "meta": None}
CHILD = number("child", "uniform_float", 0.0, 1.0, 0.5)
PARENTS = {
    "kernel": Choice(["rbf", "poly", "sigmoid"], default="poly"),
    "layers": Int(1, 4, default=2),
    "rate": Float(1e-4, 0.1, log=True, default=0.01),
    "size": Choice(["s", "m", "l"], default="m", ordered=True),
}

CARRIED = [
    (number("x", "uniform_float", 0.0, 1.0, 0.25), Float(0, 1, default=0.25)),
    (number("x", "uniform_float", 0.03, 32768.0, 1.0, log=True), Float(0.03, 32768, log=True, default=1)),
    (number("x", "uniform_int", 1, 9, 5), Int(1, 9, default=5)),
    (number("x", "uniform_int", 1, 1024, 32, log=True), Int(1, 1024, log=True, default=32)),
    (choice("x", ["a", "b"], default="b"), Choice(["a", "b"], default="b")),
    (choice("x", [True, False]), Choice([True, False])),
    (choice("x", ["a", "b"], weights=[2, 1]), Choice(["a", "b"], weights=[2, 1])),
    (choice("x", ["a", "b"], weights=[0.5, 0.5]), Choice(["a", "b"])),
    (choice("x", [[1, 2], [3]], default=[3]), Choice([[1, 2], [3]], default=[3])),
    (SIZE | {"name": "x"}, Choice(["s", "m", "l"], default="m", ordered=True)),
    ({"type": "constant", "name": "x", "value": 42, "meta": None}, Fixed(42)),
    # older spellings
    ({"type": "unparametrized", "name": "x", "value": "a"}, Fixed("a")),
    (older("uniform_float", lower=0.0, upper=1.0, log=False, default=0.25), Float(0, 1, default=0.25)),
    (older("uniform_float", lower=0.0, upper=1.0, default=0.25, q=0.25), Float(0, 1, default=0.25, step=0.25)),
    (older("uniform_int", lower=10, upper=50, default=30, q=10), Int(10, 50, default=30, step=10)),
    (
        older("categorical", choices=["a", "b"], default="b", probabilities=[0.75, 0.25]),
        Choice(["a", "b"], default="b", weights=[0.75, 0.25]),
    ),
]

LOST = [
    (
        number("x", "normal_float", -2.0, 2.0, 0.0, mu=0.0, sigma=1.0),
        Float(-2, 2, default=0),
        "x: the shape of the normal distribution; [-2, 2] is searched evenly",
    ),
    (
        number("x", "beta_int", 1, 100, 10, alpha=2.0, beta=3.0, log=True),
        Int(1, 100, log=True, default=10),
        "x: the shape of the beta distribution; [1, 100] is searched evenly on the logarithm",
    ),
    (
        {"type": "normal_int", "name": "x", "mu": 10, "sigma": 1.5, "log": False, "default": 10},
        Int(6, 14, default=10),
        "x: the shape of the normal distribution; [6, 14] is searched evenly",
    ),
    (
        {"type": "uniform_float", "name": "x", "lower": 0.1, "upper": 1.0, "default": 0.5, "q": 0.1, "log": True},
        Float(0.1, 1, log=True, default=0.5),
        "x: steps of 0.1 beside a logarithm; every value between the bounds can be drawn",
    ),
    (
        {"type": "uniform_int", "name": "x", "lower": 0, "upper": 9, "default": 5, "q": 3},
        Int(0, 9, step=3),
        "x: the default 5 is none of its values; 6 is tried first",
    ),
    (
        choice("x", ["a", "b", "c"], weights=[1, 1, 0], default="c"),
        Choice(["a", "b"]),
        "x: the option 'c' has weight 0 and is never drawn; it is left out",
    ),
    (
        number("x", "uniform_float", 0.0, 1.0, 0.5, meta={"unit": "s"}),
        Float(0, 1),
        "x: its meta data, for which a space has no place",
    ),
]


@pytest.mark.parametrize(("entry", "parameter"), CARRIED)
def test_what_is_carried_over(entry, parameter):
    assert convert(space_of(entry)) == Converted(Space({"model": {"x": parameter}}), (), "configspace")


@pytest.mark.parametrize(("entry", "parameter", "sentence"), LOST)
def test_what_is_lost(entry, parameter, sentence):
    converted = convert(space_of(entry))
    assert converted.space == Space({"model": {"x": parameter}})
    assert converted.lost[0] == sentence


def simple(kind, parent, value):
    return {"type": kind, "child": "child", "parent": parent, "values" if kind == "IN" else "value": value}


def joined(kind, *conditions):
    return {"type": kind, "child": "child", "conditions": list(conditions)}


POLY = simple("EQ", "kernel", "poly")

CONDITIONS = [
    ([POLY], {"kernel": "poly"}),
    ([simple("IN", "kernel", ["rbf", "poly"])], {"kernel": ["rbf", "poly"]}),
    ([simple("NEQ", "kernel", "poly")], {"kernel": ["rbf", "sigmoid"]}),
    ([simple("LT", "layers", 3)], {"layers": [1, 2]}),
    ([simple("GT", "layers", 3)], {"layers": 4}),
    ([simple("NEQ", "layers", 2)], {"layers": [1, 3, 4]}),
    ([simple("LT", "size", "l")], {"size": ["s", "m"]}),
    ([simple("GT", "size", "s")], {"size": ["m", "l"]}),
    ([simple("EQ", "rate", 0.01)], {"rate": 0.01}),
    ([joined("AND", POLY, simple("GT", "layers", 2))], {"kernel": "poly", "layers": [3, 4]}),
    ([POLY, simple("GT", "layers", 2)], {"kernel": "poly", "layers": [3, 4]}),
    ([joined("AND", simple("NEQ", "kernel", "rbf"), simple("NEQ", "kernel", "poly"))], {"kernel": "sigmoid"}),
    ([joined("OR", POLY, simple("EQ", "kernel", "rbf"))], {"kernel": ["poly", "rbf"]}),
    (
        [joined("OR", joined("AND", POLY, simple("EQ", "size", "s")), joined("AND", POLY, simple("EQ", "size", "m")))],
        {"kernel": "poly", "size": ["s", "m"]},
    ),
]

LOST_CONDITIONS = [
    (
        [simple("GT", "rate", 0.01)],
        {},
        "child exists when rate > 0.01: rate has too many values to list; this condition is left out",
    ),
    (
        [joined("OR", POLY, simple("EQ", "size", "s"))],
        {},
        "child exists when kernel = 'poly' or size = 's': alternatives on several parents have no counterpart;"
        " this condition is left out",
    ),
    (
        [joined("AND", POLY, simple("LT", "rate", 0.01))],
        {"kernel": "poly"},
        "child exists when rate < 0.01: rate has too many values to list; this condition is left out",
    ),
]


@pytest.mark.parametrize(("conditions", "when"), CONDITIONS)
def test_conditions_become_when(conditions, when):
    converted = convert(space_of(KERNEL, LAYERS, RATE, SIZE, CHILD, conditions=conditions))
    space = Space({"model": {**PARENTS, "child": Float(0, 1, when=when)}})
    assert converted == Converted(space, (), "configspace")


@pytest.mark.parametrize(("conditions", "when", "sentence"), LOST_CONDITIONS)
def test_conditions_that_cannot_be_said_are_lost(conditions, when, sentence):
    converted = convert(space_of(KERNEL, LAYERS, RATE, SIZE, CHILD, conditions=conditions))
    space = Space({"model": {**PARENTS, "child": Float(0, 1, when=when)}})
    assert converted == Converted(space, (sentence,), "configspace")


def test_a_parameter_that_never_exists_is_left_out_with_those_below_it():
    document = space_of(
        choice("kernel", ["rbf", "poly"], weights=[1, 0]),
        choice("child", ["x", "y"]),
        number("grandchild", "uniform_float", 0.0, 1.0, 0.5),
        RATE,
        conditions=[
            {"type": "EQ", "child": "grandchild", "parent": "child", "value": "x"},
            {"type": "EQ", "child": "child", "parent": "kernel", "value": "poly"},
        ],
    )
    converted = convert(document)
    assert converted.space == Space({"model": {"kernel": Fixed("rbf"), "rate": PARENTS["rate"]}})
    assert sorted(converted.lost[1:]) == [
        "child: never exists under its condition; it is left out",
        "grandchild: never exists under its condition; it is left out",
    ]


def equals(name, value):
    return {"type": "EQUALS", "name": name, "value": value}


def clause(kind, name, value):
    return {"type": f"CLAUSE_{kind}", "name": name, "value": value}


def together(kind, *clauses):
    return {"type": kind, "clauses": list(clauses)}


FORBIDDENS = [
    (equals("kernel", "rbf"), [{"kernel": "rbf"}]),
    (equals("layers", 3), [{"layers": 3}]),
    ({"type": "IN", "name": "layers", "values": [3, 4]}, [{"layers": [3, 4]}]),
    (clause("LT", "rate", 0.001), [{"rate": {"below": 0.001}}]),
    (clause("LE", "rate", 0.001), [{"rate": {"at_most": 0.001}}]),
    (clause("GT", "rate", 0.05), [{"rate": {"above": 0.05}}]),
    (clause("GE", "layers", 3), [{"layers": {"at_least": 3}}]),
    (clause("GE", "size", "l"), [{"size": "l"}]),
    (clause("LT", "size", "m"), [{"size": "s"}]),
    (
        together("AND", equals("kernel", "rbf"), clause("GE", "layers", 3)),
        [{"kernel": "rbf", "layers": {"at_least": 3}}],
    ),
    (
        together("AND", clause("GE", "rate", 0.02), clause("LT", "rate", 0.03)),
        [{"rate": {"at_least": 0.02, "below": 0.03}}],
    ),
    (together("OR", equals("kernel", "rbf"), equals("size", "l")), [{"kernel": "rbf"}, {"size": "l"}]),
    (
        together("AND", equals("kernel", "rbf"), together("OR", equals("size", "l"), equals("layers", 4))),
        [{"kernel": "rbf", "size": "l"}, {"kernel": "rbf", "layers": 4}],
    ),
    (together("AND", equals("kernel", "rbf"), equals("kernel", "poly")), []),
]

LOST_FORBIDDENS = [
    (
        {"type": "RELATION_LT", "left": "layers", "right": "rate"},
        "forbidden layers < rate: a comparison of two parameters has no counterpart; it is allowed",
    ),
    (
        {"type": "RELATION", "left": "layers", "right": "rate", "lambda": "GREATER"},
        "forbidden layers > rate: a comparison of two parameters has no counterpart; it is allowed",
    ),
    (
        together("AND", equals("kernel", "rbf"), {"type": "RELATION_EQ", "left": "layers", "right": "rate"}),
        "forbidden kernel = 'rbf' and layers = rate: a comparison of two parameters has no counterpart; it is allowed",
    ),
    (
        together("AND", clause("GE", "rate", 0.02), clause("GE", "rate", 0.03)),
        "forbidden rate >= 0.02 and rate >= 0.03: rate is bounded twice on one side; it is allowed",
    ),
    (clause("GT", "rate", 0.1), "forbidden rate > 0.1: rate is never above 0.1; it forbids nothing"),
]


@pytest.mark.parametrize(("forbidden", "forbid"), FORBIDDENS)
def test_forbidden_clauses_become_forbid(forbidden, forbid):
    converted = convert(space_of(KERNEL, LAYERS, RATE, SIZE, forbiddens=[forbidden]))
    assert converted == Converted(Space({"model": PARENTS}, forbid=forbid), (), "configspace")


@pytest.mark.parametrize(("forbidden", "sentence"), LOST_FORBIDDENS)
def test_forbidden_clauses_that_cannot_be_said_are_lost(forbidden, sentence):
    converted = convert(space_of(KERNEL, LAYERS, RATE, SIZE, forbiddens=[forbidden]))
    assert converted == Converted(Space({"model": PARENTS}), (sentence,), "configspace")


def test_an_alternative_that_cannot_be_said_leaves_the_others():
    relation = {"type": "RELATION_GE", "left": "layers", "right": "rate"}
    converted = convert(
        space_of(KERNEL, LAYERS, RATE, SIZE, forbiddens=[together("OR", relation, equals("size", "l"))])
    )
    assert converted.space == Space({"model": PARENTS}, forbid=[{"size": "l"}])
    assert len(converted.lost) == 1


def test_names_change_in_conditions_and_clauses_too():
    document = space_of(
        KERNEL | {"name": "svm:kernel"},
        CHILD | {"name": "svm:degree"},
        conditions=[{"type": "EQ", "child": "svm:degree", "parent": "svm:kernel", "value": "poly"}],
        forbiddens=[equals("svm:kernel", "rbf")],
    )
    parameters = {"svm__kernel": PARENTS["kernel"], "svm__degree": Float(0, 1, when={"svm__kernel": "poly"})}
    assert convert(document).space == Space({"model": parameters}, forbid=[{"svm__kernel": "rbf"}])


WRONG = [
    (space_of({"type": "uniform_float", "name": "x", "lower": 0.0}), "x: upper is missing"),
    (space_of(number("x", "uniform_flaot", 0, 1, 0)), "no type of x named 'uniform_flaot'; uniform_float"),
    (space_of(number("x", "uniform_float", 0.0, 1.0, 0.5, log=True)), "x: log needs a lower bound above 0"),
    (space_of(number("x", "uniform_int", 0.5, 1.0, 1)), "x: bounds of an int are whole numbers"),
    (space_of(choice("x", ["a", "b"], weights=[1])), "x: weights are 2 numbers of at least 0, found [1]"),
    (space_of({"type": "constant", "name": "x"}), "x: value is missing"),
    (space_of({"type": "constant"}), "a hyperparameter is a table with a name"),
    (space_of(KERNEL, KERNEL), "kernel stands there twice"),
    (space_of(KERNEL, conditions=[POLY]), "no child of a condition named 'child'"),
    (
        space_of(KERNEL, CHILD, conditions=[simple("EQ", "kernle", 1)]),
        "no parent of a condition named 'kernle'; kernel",
    ),
    (space_of(KERNEL, CHILD, conditions=[simple("EQUAL", "kernel", 1)]), "no type of condition named 'EQUAL'"),
    (space_of(KERNEL, conditions=["x"]), "conditions are a list of tables"),
    (space_of(KERNEL, forbiddens=[equals("kernle", 1)]), "no parameter to forbid named 'kernle'; kernel"),
    (space_of(KERNEL, CHILD, conditions=[simple("IN", "kernel", "rbf")]), "IN needs a list of values"),
    (space_of(KERNEL, forbiddens=[{"type": "EQUALS", "name": "kernel"}]), "EQUALS needs a value"),
    (space_of(RATE, forbiddens=[clause("GT", "rate", "x")]), "rate is compared with a number, found 'x'"),
    (
        space_of(KERNEL, CHILD, conditions=[simple("EQ", ["kernel"], 1)]),
        "no parent of a condition named \"['kernel']\"",
    ),
    (space_of(KERNEL, forbiddens=[{"type": "CLAUSE"}]), "no type of forbidden clause named 'CLAUSE'"),
]


@pytest.mark.parametrize(("document", "problem"), WRONG)
def test_what_is_wrong(document, problem):
    with pytest.raises(SpaceError) as caught:
        convert(document)
    assert str(caught.value).startswith("ConfigSpace JSON ")
    assert f": {problem}" in str(caught.value)


def test_everything_wrong_with_a_file_comes_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    broken = space_of(number("x", "uniform_float", 2.0, 1.0, 0.5), {"type": "constant", "name": "y"})
    path = Path("broken.json")
    path.write_text(json.dumps(broken, indent=2), encoding="utf-8")
    with pytest.raises(SpaceError) as caught:
        read_foreign(path)
    assert str(caught.value).splitlines() == [
        "2 problems:",
        "broken.json:4:5 hyperparameters.0: x: the lower bound 2.0 is not below the upper bound 1.0",
        'broken.json:13:5 hyperparameters.1: y: value is missing; "value": 1',
    ]
