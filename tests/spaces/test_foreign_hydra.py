import pytest

from autotune.errors import SpaceError
from autotune.spaces.convert import Converted, convert
from autotune.spaces.foreign_hydra_grammar import BeyondSpaceError, GrammarError, Sweep, parse_override
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Space

CARRIED = [
    ("interval(1e-5, 1e-1)", Float(1e-5, 0.1)),
    ("interval(1, 10)", Float(1, 10)),
    ("interval(start=0, end=1)", Float(0, 1)),
    ("tag(log, interval(1e-5, 1e-1))", Float(1e-5, 0.1, log=True)),
    ("tag(log, sweep=interval(1, 2))", Float(1, 2, log=True)),
    ("int(interval(1, 10))", Int(1, 10)),
    ("int(interval(0.5, 10.9))", Int(0, 10)),
    ("tag(log, int(interval(1, 512)))", Int(1, 512, log=True)),
    ("int(tag(log, interval(1, 512)))", Int(1, 512, log=True)),
    ("choice(a, b)", Choice(["a", "b"])),
    ("choice(2, 2.5, true, 'x, y', [1, 2])", Choice([2, 2.5, True, "x, y", [1, 2]])),
    ("choice(32)", Fixed(32)),
    ("adam, sgd", Choice(["adam", "sgd"])),
    ("1,2,3", Choice([1, 2, 3])),
    ("range(1, 10)", Int(1, 10)),
    ("range(4)", Int(0, 4)),
    ("range(1, 10, step=4)", Int(1, 9, step=4)),
    ("range(-5.5, 5.5, step=0.5)", Float(-5.5, 5.5, step=0.5)),
    ("float(range(1, 3))", Float(1, 3, step=1)),
    ("shuffle(range(1, 4))", Choice([1, 2, 3])),
    ("shuffle(range(0, 0.3, 0.1))", Choice([0.0, 0.1, 0.2])),
    ("shuffle(a, b, c)", Choice(["a", "b", "c"])),
    ("sort(3, 1, 2)", Choice([1, 2, 3])),
    ("sort(choice(1, 3, 2), reverse=true)", Choice([3, 2, 1])),
    ("sort(range(9, 1, -1))", Int(2, 10)),
    ("str(choice(1, true))", Choice(["1", "true"])),
    ("int(choice(1.7, 2))", Choice([1, 2])),
    ("bool(choice(0, true))", Choice([False, True])),
    ("null", Fixed(None)),
    ("TRUE", Fixed(True)),
    ("0.1", Fixed(0.1)),
    ("some text", Fixed("some text")),
    ("[1, 2]", Fixed([1, 2])),
    (0.1, Fixed(0.1)),
    ([1, 2], Fixed([1, 2])),
    (None, Fixed(None)),
    ("", Fixed("")),
    ({"type": "float", "low": -5.5, "high": 5.5, "step": 0.5}, Float(-5.5, 5.5, step=0.5)),
    ({"type": "float", "low": 1e-5, "high": 1, "log": True}, Float(1e-5, 1, log=True)),
    ({"type": "int", "low": 1, "high": 64, "log": True}, Int(1, 64, log=True)),
    ({"type": "int", "low": 1, "high": 9, "step": 2}, Int(1, 9, step=2)),
    ({"type": "categorical", "choices": [-5, 0, 5]}, Choice([-5, 0, 5])),
]

BEYOND = [
    ("{a: 1}", "x: a dictionary has no counterpart in a space; it is left out"),
    ("glob(*)", "x: glob(...) has no counterpart in a space; it is left out"),
    ("${other}", "x: an interpolation has no counterpart in a space; it is left out"),
    ({"a": 1}, "x: a space cannot hold the value {'a': 1}; it is left out"),
]

WRONG = [
    ("interval(0, 1", "x: ')' is missing in 'interval(0, 1'"),
    ("interval(0", "x: ')' is missing in 'interval(0'"),
    ("interval(", "x: 'interval(' ends too early"),
    ("interval(0, 1))", "x: ')' is not expected in 'interval(0, 1))'"),
    ("intervall(0, 1)", "x: no function named 'intervall' in 'intervall(0, 1)'; interval"),
    ("interval(a, 1)", "x: interval takes numbers, found 'a'"),
    ("interval(1, 0)", "x: the lower bound 1.0 is not below the upper bound 0.0"),
    ("tag(log, interval(0, 1))", "x: log needs a lower bound above 0, found 0.0"),
    ("range(10, 1, -1)", "x: the Optuna sweeper has no range that goes down; range(1, 10)"),
    ("range(1, 5, 0)", "x: a range has a step other than 0"),
    ("choice()", "x: a choice is over values: choice(a, b)"),
    ("choice(range(1, 2), 3)", "x: a choice is over values: choice(a, b)"),
    ("tag(log, 3)", "x: tag takes texts and, last, a sweep"),
    ("shuffle(interval(0, 1))", "x: an interval cannot be shuffled"),
    ("sort(choice(1, a))", "x: sort: '<' not supported"),
    ("int(choice(a, b))", "x: int: invalid literal for int()"),
    ("bool(choice(a, b))", "x: 'a' is neither true nor false"),
    ("bool(interval(0, 1))", "x: only options become texts or booleans, not intervals"),
    ("choice(a, b, shuffled=true)", "x: choice: "),
    ("'open", 'x: "\'open" is not expected'),
    ({"type": "flaot", "low": 0, "high": 1}, "no type of x named 'flaot'; float"),
    ({"type": "float", "low": 0}, "x: high is missing"),
    ({"type": "float", "low": 0, "high": 1, "stepp": 1}, "no word of x named 'stepp'; step"),
    ({"type": "categorical"}, "x: options are a list of at least one value, found None"),
]


@pytest.mark.parametrize(("value", "parameter"), CARRIED)
def test_what_is_carried_over(value, parameter):
    assert convert({"params": {"x": value}}) == Converted(Space({"model": {"x": parameter}}), (), "hydra")


@pytest.mark.parametrize(("value", "sentence"), BEYOND)
def test_what_a_space_has_no_word_for_is_left_out(value, sentence):
    result = convert({"params": {"x": value, "y": "1, 2"}})
    assert result == Converted(Space({"model": {"y": Choice([1, 2])}}), (sentence,), "hydra")


@pytest.mark.parametrize(("value", "problem"), WRONG)
def test_what_is_wrong(value, problem):
    with pytest.raises(SpaceError) as caught:
        convert({"params": {"x": value}})
    assert str(caught.value).startswith("Hydra sweeper params.x")
    assert f": {problem}" in str(caught.value)


def test_everything_wrong_comes_together():
    with pytest.raises(SpaceError, match=r"2 problems:\nHydra sweeper params\.x: .*\nHydra sweeper params\.y: "):
        convert({"params": {"x": "interval(0", "y": "range(a, b)"}})


def test_tags_that_the_sweeper_does_not_read_are_lost():
    result = convert({"params": {"x": "tag(log, fine, interval(1, 2))", "y": "tag(log, choice(1, 2))"}})
    assert result.space == Space({"model": {"x": Float(1, 2, log=True), "y": Choice([1, 2])}})
    assert result.lost == (
        "x: the tag 'fine' on this interval, which means nothing to the Optuna sweeper",
        "y: the tag 'log' on this choice, which means nothing to the Optuna sweeper",
    )


def test_steps_beside_a_logarithm_are_lost():
    result = convert({"search_space": {"x": {"type": "float", "low": 1, "high": 9, "log": True, "step": 2}}})
    assert result.space == Space({"model": {"x": Float(1, 9, log=True)}})
    assert result.lost == ("x: steps of 2 beside a logarithm; every value between the bounds can be drawn",)


def test_a_whole_configuration_lists_what_is_no_space():
    configuration = {
        "defaults": ["_self_", {"override hydra/sweeper": "optuna"}],
        "hydra": {
            "sweeper": {
                "_target_": "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper",
                "sampler": {"_target_": "optuna.samplers.TPESampler", "seed": 123},
                "direction": "minimize",
                "study_name": "sphere",
                "storage": None,
                "n_trials": 20,
                "n_jobs": 1,
                "custom_search_space": "package.run.configure",
                "params": {"model.lr": "tag(log, interval(1e-4, 1))", "+extra": "choice(a, b)", "~gone": None},
                "search_space": {"ignored": {"type": "int", "low": 1, "high": 2}},
            }
        },
        "x": 1,
    }
    result = convert(configuration)
    assert result.space == Space({"model": {"model__lr": Float(1e-4, 1, log=True), "extra": Choice(["a", "b"])}})
    assert result.lost == (
        "defaults, x: configuration beside the sweeper; not part of a space",
        "direction: not part of a space; give metric where you tune",
        "sampler: not part of a space; give sampler where you tune",
        "n_trials: not part of a space; give n_trials where you tune",
        "n_jobs: not part of a space; give n_jobs where you tune",
        "study_name: not part of a space; give study_name where you tune",
        "_target_, custom_search_space: how Hydra runs a sweep; not part of a space",
        "search_space: Hydra reads params where both are given, and so does this",
        "~gone: deletes a key of the configuration; it is left out",
        "names: model.lr is model__lr, +extra is extra here",
    )


@pytest.mark.parametrize("table", ["params", "search_space"])
def test_a_sweeper_whose_parameters_are_no_table_is_an_error(table):
    other = {"params": "search_space", "search_space": "params"}[table]
    with pytest.raises(SpaceError):
        convert({"hydra": {"sweeper": {table: ["x"], other: {}}}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1", -1),
        ("1_000", 1000),
        ("01", "01"),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1E-3", -0.001),
        ("- 1", "- 1"),
        ("a\\, b", "a, b"),
        ("C:\\x", "C:\\x"),
        ("'it\\'s'", "it's"),
        ("a:b/c@d", "a:b/c@d"),
        ("choice (a, b)", Sweep("choice", ("a", "b"))),
        ("tag(a, b, range(3))", Sweep("range", (0, 3, 1), frozenset({"a", "b"}))),
        ("shuffle(1, 2)", Sweep("choice", (1, 2), shuffled=True)),
        ("sort(list=[2, 1])", [1, 2]),
    ],
)
def test_the_grammar(text, value):
    assert parse_override(text) == value
    assert type(parse_override(text)) is type(value)


def test_the_grammar_says_what_it_cannot_read():
    with pytest.raises(GrammarError):
        parse_override("")
    with pytest.raises(GrammarError, match="speed is no word of a function on sweeps"):
        parse_override("shuffle(a, speed=3)")
    with pytest.raises(BeyondSpaceError, match="an interpolation"):
        parse_override("choice(${a}, b)")
