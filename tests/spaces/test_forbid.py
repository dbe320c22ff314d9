import pytest

from autotune.spaces.forbid import Forbid
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int

PARAMETERS = {
    "optimizer": Choice(["adamw", "sgd"]),
    "batch_size": Int(16, 512, scale="pow2"),
    "layers": Int(1, 9, step=4),
    "dropout": Float(0, 0.5),
    "decay": Float(1e-6, 1e-2, log=True, special=[0.0, None]),
    "share": Float(0, 1, step=0.25),
    "sizes": Choice([(64,), (64, 32)]),
    "depth": Fixed(3),
    "twice": Derived("2 * depth"),
}


def problems(**conditions):
    return [problem.what for _, problem in Forbid("", conditions).problems(PARAMETERS)]


@pytest.mark.parametrize(
    ("condition", "forbidden", "allowed"),
    [
        (3, [3, 3.0], [4, True, None]),
        ([1, None], [1, None], [2, "None"]),
        ({"at_least": 2, "below": 4}, [2, 3.9], [1, 4, "3", None, True]),
        ({"above": 2}, [3], [2]),
        ({"at_most": 2}, [2], [3]),
        ({"not": [1, None]}, [2, "a", True], [1, None]),
        ({"not": 1, "at_least": 0}, [0, 2], [1, -1, "a"]),
        ([[64, 32]], [(64, 32), [64, 32]], [64, (64,)]),
    ],
)
def test_what_a_condition_holds_for(condition, forbidden, allowed):
    clause = Forbid("a", {"x": condition})
    assert [value for value in forbidden if not clause.matches({"x": value})] == []
    assert [value for value in allowed if clause.matches({"x": value})] == []


def test_all_conditions_hold_and_what_does_not_exist_is_not_forbidden():
    clause = Forbid("a", {"x": 1, "y": {"not": 2}})
    assert clause.matches({"x": 1, "y": 3, "z": 0})
    assert not clause.matches({"x": 1, "y": 2})
    assert not clause.matches({"x": 1})


@pytest.mark.parametrize(
    "conditions",
    [
        {"optimizer": "sgd"},
        {"optimizer": ["adamw", "sgd"]},
        {"optimizer": {"not": "sgd"}},
        {"optimizer": "sgd", "dropout": {"not": 0.1}},
        {"batch_size": {"above": 100, "below": 129}},
        {"batch_size": {"not": [16, 512]}},
        {"layers": {"above": 1, "below": 9}},
        {"layers": {"at_least": 6, "at_most": 9.5}},
        {"dropout": {"above": 0.1, "below": 0.10001}},
        {"dropout": {"above": 0.49, "not": 0.5}},
        {"dropout": 0.3},
        {"decay": {"below": 1e-6}},
        {"decay": [0.0, None]},
        {"decay": {"not": [0.0, None]}},
        {"share": {"above": 0.25, "below": 0.75}},
        {"sizes": [[64, 32]]},
        {"depth": {"at_least": 3}},
        {"twice": {"at_least": 1e9}},
    ],
)
def test_conditions_that_may_hold_are_right(conditions):
    assert problems(**conditions) == []


@pytest.mark.parametrize(
    ("conditions", "problem"),
    [
        ({"optimizer": []}, "the condition on optimizer is empty"),
        ({"optimizer": {}}, "the condition on optimizer is empty"),
        ({"optimizer": {"not": ["adamw", "sgd"]}}, "optimizer is never not ['adamw', 'sgd']"),
        ({"optimizer": {"not": "sdg"}}, "optimizer is never 'sdg'"),
        ({"batch_size": {"above": 100, "below": 128}}, "batch_size is never above 100 and below 128"),
        ({"batch_size": 100}, "batch_size is never 100"),
        ({"layers": {"above": 5, "below": 9}}, "layers is never above 5 and below 9"),
        ({"layers": 2}, "layers is never 2"),
        ({"dropout": {"above": 0.5}}, "dropout is never above 0.5"),
        ({"dropout": None}, "dropout is never none"),
        ({"decay": {"below": 1e-6, "not": 0.0}}, "decay is never below 1e-06 and not 0.0"),
        ({"share": {"above": 0.25, "below": 0.5}}, "share is never above 0.25 and below 0.5"),
        ({"depth": {"below": 3}}, "depth is never below 3"),
        ({"twice": {"at_least": "a"}}, "at_least needs a number, found 'a'"),
        ({"dropout": {"atleast": 1}}, "no word of a condition named 'atleast'"),
    ],
)
def test_conditions_that_never_hold_are_named(conditions, problem):
    assert problems(**conditions) == [problem]
