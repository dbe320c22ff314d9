import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import SpaceError
from autotune.spaces.document import parameter_document, read_parameter
from autotune.spaces.params import Bool, Choice, Derived, Fixed, Float, Int
from autotune.spaces.ranges import same_value


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
        (Float(0.1, 1, special=[0.0, None, "auto"]), [0.0, 0, None, "auto", 0.5], [0.05, False, "none"]),
        (Float(0, 0.3, step=0.1), [0, 0.1, 0.2, 0.3, 0.1 + 2 * 0.1], [0.15, 0.4, -0.1]),
        (Int(1, 64, scale="pow2"), [1, 2, 64], [0, 3, 128, 2.0, True]),
        (Choice([[64, 64], [128]]), [(64, 64), [128]], [64, (64,)]),
        (Bool(), [True, False], [0, 1, None]),
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
        (Float(0, 3, default=0), 0.0),
        (Int(0, 4), 2),
        (Int(16, 512, log=True), 91),
        (Int(0, 100, step=25), 50),
        (Choice(["b", "a"]), "b"),
        (Choice([None, "a"]), None),
        (Choice(["b", "a"], default="a"), "a"),
        (Choice([True, False], default=False), False),
        (Fixed("x"), "x"),
        (Float(0, 1, special=[None], default=None), None),
        (Float(0, 1, step=0.25), 0.5),
        (Int(16, 512, scale="pow2"), 64),
        (Int(1, 100, fidelity=True), 100),
        (Bool(default=True), True),
    ],
)
def test_defaults(parameter, default):
    assert parameter.default == (pytest.approx(default, rel=1e-12) if isinstance(default, float) else default)
    assert type(parameter.default) is type(default)
    assert parameter.admits(parameter.default)
    assert list(parameter.problems()) == []


@pytest.mark.parametrize(
    ("parameter", "at", "what", "hint"),
    [
        (Float(2, 1), "float", "the lower bound 2 is not below the upper bound 1", "float = [1, 2]"),
        (Float(1, 1), "float", "both bounds are 1", "fixed = 1"),
        (
            Float(0, 1, log=True),
            "log",
            "log needs a lower bound above 0, found 0",
            "a bound above 0, and or = [0] for 0 itself",
        ),
        (Float("a", 1), "float", "bounds are two finite numbers, found ['a', 1]", "float = [1, 10]"),
        (Float("a", 1, default=0.5), "float", "bounds are two finite numbers, found ['a', 1]", "float = [1, 10]"),
        (Float(0, math.inf), "float", "bounds are two finite numbers, found [0, inf]", "float = [1, 10]"),
        (Float(False, 1), "float", "bounds are two finite numbers, found [False, 1]", "float = [1, 10]"),
        (Float(0, 1, default=2), "default", "default 2 is no value of [0.0, 1.0]", "default = 1.0"),
        (Float(0, 1, default="0.5"), "default", "default '0.5' is no value of [0.0, 1.0]", "default = 0.5"),
        (Float(0, 1, default=None), "default", "default none is no value of [0.0, 1.0]", "leave default out"),
        (Float(0, 1, step=0.3), "step", "step 0.3 does not divide 1 - 0", "float = [0, 0.9]"),
        (Float(0, 1, step=3), "step", "step 3 does not divide 1 - 0", "a step of at most 1"),
        (Int(1.5, 3), "int", "bounds of an int are whole numbers, found [1.5, 3]", "float = [1.5, 3]"),
        (Int(1, 4, step=2), "step", "step 2 does not divide 4 - 1", "int = [1, 3]"),
        (Int(1, 4, step=0), "step", "step 0 is no whole number of at least 1", "leave step out"),
        (Int(1, 5, step=2, log=True), "step", "log and step exclude each other", "leave one of them out"),
        (Int(1, 5, default=9), "default", "default 9 is no value of [1, 5]", "default = 5"),
        (Int(1, 5, default=2.0), "default", "default 2.0 is no value of [1, 5]", "default = 2"),
        (
            Int(16, 64, scale="pow2", default=100),
            "default",
            "default 100 is no value of [16, 64], powers of two",
            "default = 64",
        ),
        (Choice([]), "choice", "a choice needs at least one option", 'choice = ["a", "b"]'),
        (
            Choice(["a", "a"]),
            "choice",
            "option 'a' stands there twice (1, 1.0 and true are equal)",
            "leave one out",
        ),
        (
            Choice([{1: 2}, "a"]),
            "choice",
            "option {1: 2} is neither text, finite number, true, false nor none",
            "leave it out",
        ),
        (Choice(["a", "b"], default="c"), "default", "default 'c' is none of ['a', 'b']", "leave default out"),
        (Choice(["relu", "elu"], default="rleu"), "default", "default 'rleu' is none of ['relu', 'elu']", None),
        (
            Choice(["a", "b"], weights=[1]),
            "weights",
            "weights are 2 numbers, one an option, found [1]",
            "weights = [1, 1]",
        ),
        (
            Fixed(math.nan),
            "fixed",
            "the value nan is neither text, finite number, true, false nor none",
            "a finite number",
        ),
        (Derived("a.b"), "derived", "'a.b' is no arithmetic", None),
    ],
)
def test_what_is_wrong_with_a_parameter(parameter, at, what, hint):
    (problem,) = parameter.problems()
    assert (problem.at, problem.what) == (at, what)
    assert problem.hint == (hint or problem.hint)
    assert problem.hint


@pytest.mark.parametrize(
    ("parameter", "document"),
    [
        (Float(0, 1), {"float": [0.0, 1.0], "default": 0.5}),
        (Float(1, 4, log=True, default=3), {"float": [1.0, 4.0], "log": True, "default": 3.0}),
        (Int(1, 9, step=4), {"int": [1, 9], "step": 4, "default": 5}),
        (Int(1, 9, when={"a": "x"}), {"int": [1, 9], "default": 5, "when": {"a": "x"}}),
        (Choice(["a"], when={"b": [1, 2]}), {"choice": ["a"], "default": "a", "when": {"b": [1, 2]}}),
        (Choice([(1, 2)], when={"b": [(1, 2)]}), {"choice": [[1, 2]], "default": [1, 2], "when": {"b": [[1, 2]]}}),
        (Choice(["a"], ordered=True, weights=[2]), {"choice": ["a"], "ordered": True, "weights": [2], "default": "a"}),
        (Float(1, 4, step=0.5, special=[0.0]), {"float": [1.0, 4.0], "step": 0.5, "or": [0.0], "default": 2.5}),
        (Int(1, 8, scale="pow2", special=[None]), {"int": [1, 8], "scale": "pow2", "or": [None], "default": 2}),
        (Int(1, 100, fidelity=True), {"int": [1, 100], "fidelity": True}),
        (Derived("2 * a", when={"b": 1}), {"derived": "2 * a", "when": {"b": 1}}),
        (Fixed(3), {"fixed": 3}),
        (Fixed(3, when={"a": True}), {"fixed": 3, "when": {"a": True}}),
    ],
)
def test_a_parameter_as_a_space_file_writes_it(parameter, document):
    assert parameter_document(parameter) == document
    assert read_parameter("any", document, lambda *words: "here", []) == parameter


def test_bounds_written_as_whole_numbers_make_the_same_parameter():
    assert Float(0, 1) == Float(0.0, 1.0)
    assert repr(parameter_document(Float(0, 1, default=1))) == repr(parameter_document(Float(0.0, 1.0, default=1.0)))


def test_options_may_come_in_any_iterable():
    assert Choice(range(3)).options == (0, 1, 2)
    assert Choice(option for option in "ab").options == ("a", "b")


def test_a_condition_holds_tuples_of_values():
    assert Float(0, 1, when={"a": "x", "b": ["y", "z"]}).when == {"a": ("x",), "b": ("y", "z")}


def test_a_condition_that_is_no_table_is_refused():
    with pytest.raises(SpaceError) as caught:
        Float(0, 1, when="optimizer")
    assert str(caught.value) == 'when is a table, found \'optimizer\'; when={"optimizer": "sgd"}'


def test_values_of_conditions_are_compared_as_options_are():
    assert Float(0, 1, when={"sizes": [[64, 64]]}).when == {"sizes": ((64, 64),)}


def test_true_is_not_one():
    assert same_value(1, 1.0)
    assert not same_value(1, True)
    assert not same_value(0.0, False)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, database=None)
@given(st.tuples(numbers, numbers).map(sorted).filter(lambda pair: 0 < pair[1] - pair[0] < math.inf), st.booleans())
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


def test_a_range_too_wide_to_be_measured_is_refused():
    (problem,) = Float(-1e308, 1e308).problems()
    assert "too wide" in problem.what


def test_numpy_numbers_are_numbers():
    assert Int(np.int64(1), np.int64(5)) == Int(1, 5)
    assert Choice(np.array([1, 2, 3])) == Choice([1, 2, 3])
    assert Float(np.float32(0.5), 1.0, default=np.float64(0.75)) == Float(0.5, 1.0, default=0.75)
    assert type(Int(np.int64(1), np.int64(5)).low) is int


def test_a_step_has_the_value_that_a_person_writes():
    parameter = Float(0, 1, step=0.1, default=0.1 + 0.2)
    assert [parameter.at_step(index) for index in range(11)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert parameter.default == 0.3
    assert Float(0, 10, step=1 / 3).at_step(15) == 5.0
    assert parameter.canonical(0.35) == 0.35, "what is no value stays as it is"


def test_a_default_is_said_as_the_parameter_says_it():
    assert repr(Int(1, 3, special=[0.0], default=0).default) == "0.0"
    assert repr(Choice([1.0, 2.0], default=2).default) == "2.0"
    assert repr(Float(0, 2, default=1).default) == "1.0"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(0, 1, special=0), "special is a list of values, found 0; special=[0]"),
        (lambda: Int(1, 5, special="auto"), "special is a list of values, found 'auto'; special=['auto']"),
        (lambda: Choice("sgd"), "options is a list of values, found 'sgd'; options=['sgd']"),
        (lambda: Float(0, 1, when={1: 2}), 'when is a table, found {1: 2}; when={"optimizer": "sgd"}'),
    ],
)
def test_arguments_of_another_shape_are_refused(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message
