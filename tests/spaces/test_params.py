import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import SpaceError
from autotune.spaces.params import Choice, Fixed, Float, Int, same_value


@pytest.mark.parametrize(
    ("parameter", "admitted", "refused"),
    [
        (Float(0.5, 2), [0.5, 1, 2.0], [0.49, 2.01, math.nan, math.inf, True, "1", None]),
        (Int(1, 9, step=4), [1, 5, 9], [2, 13, -3, 5.0, True, "5", None]),
        (Int(1, 100, log=True), [1, 50, 100], [0, 101]),
        (Choice(["a", 1, None]), ["a", 1, 1.0, None], ["b", True, 2, ""]),
        (Choice([True, False]), [True, False], [1, 0, "true"]),
        (Fixed(3), [3, 3.0], [4, None, "3"]),
        (Fixed(True), [True], [1]),
    ],
)
def test_what_a_parameter_admits(parameter, admitted, refused):
    assert [value for value in admitted if not parameter.admits(value)] == []
    assert [value for value in refused if parameter.admits(value)] == []


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        (Float(0, 3), 1.5),
        (Float(1e-4, 1e-2, log=True), 1e-3),
        (Float(1e-300, 1e-200, log=True), 1e-250),
        (Float(-1.7e308, 1.7e308), 0.0),
        (Float(0, 3, default=0), 0.0),
        (Int(0, 4), 2),
        (Int(16, 512, log=True), 91),
        (Int(0, 100, step=25), 50),
        (Choice(["b", "a"]), "b"),
        (Choice([None, "a"]), None),
        (Choice(["b", "a"], default="a"), "a"),
        (Choice([True, False], default=False), False),
        (Fixed("x"), "x"),
    ],
)
def test_defaults(parameter, default):
    assert parameter.default == (pytest.approx(default, rel=1e-12) if isinstance(default, float) else default)
    assert type(parameter.default) is type(default)
    assert parameter.admits(parameter.default)
    assert list(parameter.problems()) == []


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        (Float(2, 1), "the lower bound 2 is not below the upper bound 1"),
        (Float(1, 1), "the lower bound 1 is not below the upper bound 1"),
        (Float(0, 1, log=True), "log needs a lower bound above 0, found 0"),
        (Float("a", 1), "bounds are two finite numbers, found ['a', 1]"),
        (Float("a", 1, default=0.5), "bounds are two finite numbers, found ['a', 1]"),
        (Float(0, math.inf), "bounds are two finite numbers, found [0, inf]"),
        (Float(False, 1), "bounds are two finite numbers, found [False, 1]"),
        (Float(0, 1, default=2), "default 2.0 is not in [0.0, 1.0]"),
        (Float(0, 1, default="0.5"), "default '0.5' is not in [0.0, 1.0]"),
        (Int(1.5, 3), "bounds of an int are whole numbers, found [1.5, 3]"),
        (Int(1, 4, step=2), "step 2 does not divide 4 - 1"),
        (Int(1, 4, step=0), "step 0 is no whole number of at least 1"),
        (Int(1, 5, step=2, log=True), "log and step exclude each other"),
        (Int(1, 5, default=9), "default 9 is not a value of [1, 5]"),
        (Int(1, 5, default=2.0), "default 2.0 is not a value of [1, 5]"),
        (Choice([]), "a choice needs at least one option"),
        (Choice("sgd"), "options are a list, found 'sgd'"),
        (Choice(5), "options are a list, found 5"),
        (Choice(["a", "a"]), "option 'a' stands there twice"),
        (Choice([[1], "a"]), "option [1] is neither text, number, true nor false"),
        (Choice(["a", "b"], default="c"), "default 'c' is none of ['a', 'b']"),
    ],
)
def test_what_is_wrong_with_a_parameter(parameter, problem):
    assert list(parameter.problems()) == [problem]


@pytest.mark.parametrize(
    ("parameter", "document"),
    [
        (Float(0, 1), {"float": [0.0, 1.0], "default": 0.5}),
        (Float(1, 4, log=True, default=3), {"float": [1.0, 4.0], "log": True, "default": 3.0}),
        (Int(1, 9, step=4), {"int": [1, 9], "step": 4, "default": 5}),
        (Int(1, 9, when={"a": "x"}), {"int": [1, 9], "default": 5, "when": {"a": "x"}}),
        (Choice(["a"], when={"b": [1, 2]}), {"choice": ["a"], "default": "a", "when": {"b": [1, 2]}}),
        (Fixed(3), {"fixed": 3}),
        (Fixed(3, when={"a": True}), {"fixed": 3, "when": {"a": True}}),
    ],
)
def test_a_parameter_as_a_space_file_writes_it(parameter, document):
    assert parameter.to_dict() == document


def test_bounds_written_as_whole_numbers_make_the_same_parameter():
    assert Float(0, 1) == Float(0.0, 1.0)
    assert repr(Float(0, 1, default=1).to_dict()) == repr(Float(0.0, 1.0, default=1.0).to_dict())


def test_options_may_come_in_any_iterable():
    assert Choice(range(3)).options == (0, 1, 2)
    assert Choice(option for option in "ab").options == ("a", "b")


def test_a_condition_holds_tuples_of_values():
    assert Float(0, 1, when={"a": "x", "b": ["y", "z"]}).when == {"a": ("x",), "b": ("y", "z")}


def test_a_condition_that_is_no_table_is_refused():
    with pytest.raises(SpaceError) as caught:
        Float(0, 1, when="optimizer")
    assert str(caught.value) == 'when is a table, found \'optimizer\'\n  try:   when={"optimizer": "sgd"}'


def test_true_is_not_one():
    assert same_value(1, 1.0)
    assert not same_value(1, True)
    assert not same_value(0.0, False)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, database=None)
@given(st.tuples(numbers, numbers).map(sorted).filter(lambda pair: pair[0] < pair[1]), st.booleans())
def test_the_middle_of_any_range_is_in_it(bounds, log):
    parameter = Float(*bounds, log=log and bounds[0] > 0)
    assert list(parameter.problems()) == []
    assert parameter.admits(parameter.default)


@settings(deadline=None, database=None)
@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6), st.integers(1, 50), st.booleans())
def test_the_middle_of_any_whole_range_is_in_it(low, n_steps, step, log):
    log = log and low > 0
    parameter = Int(low, low + n_steps * step, step=1 if log else step, log=log)
    assert list(parameter.problems()) == []
    assert parameter.admits(parameter.default)
