from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import SpaceError
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Config, Space, holds

MLP = {
    "nesterov": Choice([True, False], when={"momentum": 0.9}),
    "momentum": Choice([0.9, 0.0], when={"optimizer": ["sgd", "rmsprop"]}),
    "optimizer": Choice(["adamw", "sgd", "rmsprop"]),
    "label_smoothing": Float(0, 0.1, when={"task": "classification"}),
    "loss": Choice(["auto", "huber"], when={"task": "regression"}),
    "delta": Float(0, 1, when={"loss": "huber"}),
}


def message_of(learners, *starts):
    with pytest.raises(SpaceError) as caught:
        Space(learners, starts=starts, name="mine")
    return str(caught.value)


def active(space, learner, **chosen):
    values = {}
    for key, parameter in space.active(learner, values):
        values[key] = chosen.get(key, parameter.default)
    return list(values)


def test_a_plain_value_is_fixed():
    space = Space({"lightgbm": {"num_leaves": 31, "extra_trees": False}})
    assert space.learners["lightgbm"]["num_leaves"] == Fixed(31)
    assert space.default("lightgbm") == Config("lightgbm", {"num_leaves": 31, "extra_trees": False})


def test_conditions_may_be_nested_and_parents_come_first():
    space = Space({"mlp": MLP}).for_task("binary")
    assert active(space, "mlp") == ["optimizer", "label_smoothing"]
    assert active(space, "mlp", optimizer="sgd") == ["optimizer", "label_smoothing", "momentum", "nesterov"]
    assert active(space, "mlp", optimizer="sgd", momentum=0.0) == ["optimizer", "label_smoothing", "momentum"]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_conditions_on_the_task_are_settled_with_all_that_hangs_on_them(kind):
    space = Space({"mlp": MLP}).for_task(kind)
    regression = kind == "regression"
    assert ("loss" in space.learners["mlp"], "delta" in space.learners["mlp"]) == (regression, regression)
    assert ("label_smoothing" in space.learners["mlp"]) == (not regression)
    assert all("task" not in parameter.when for parameter in space.learners["mlp"].values())


def test_one_kind_of_classification_may_be_named():
    learners = {"a": {"x": Int(1, 2, when={"task": "binary"}), "y": Int(1, 2, when={"task": ["binary", "regression"]})}}
    keys = {kind: list(Space(learners).for_task(kind).learners["a"]) for kind in ("binary", "multiclass", "regression")}
    assert keys == {"binary": ["x", "y"], "multiclass": [], "regression": ["y"]}


def test_starts_leave_out_what_the_task_leaves_out():
    space = Space({"mlp": MLP}, starts=[Config("mlp", {"optimizer": "sgd", "loss": "huber", "delta": 0.3})])
    assert space.for_task("regression").starts == (
        Config("mlp", {"optimizer": "sgd", "loss": "huber", "momentum": 0.9, "delta": 0.3, "nesterov": True}),
    )
    assert space.for_task("binary").starts == (
        Config("mlp", {"optimizer": "sgd", "label_smoothing": 0.05, "momentum": 0.9, "nesterov": True}),
    )


def test_holds_asks_all_parents_for_any_of_their_values():
    child = Int(1, 2, when={"a": [1, 2], "b": True})
    assert holds(child, {"a": 2, "b": True})
    assert not holds(child, {"a": 3, "b": True})
    assert not holds(child, {"a": 1, "b": 1})
    assert not holds(child, {"a": 1})


def test_starts_are_completed_with_defaults():
    space = Space({"mlp": MLP}, starts=[Config("mlp", {"optimizer": "sgd"})]).for_task("multiclass")
    assert space.starts == (
        Config("mlp", {"optimizer": "sgd", "label_smoothing": 0.05, "momentum": 0.9, "nesterov": True}),
    )


def test_defaults_of_all_learners_come_before_the_starts():
    starts = [Config("b", {"x": 3}), Config("a", {"x": 1})]
    space = Space({"a": {"x": Int(1, 5)}, "b": {"x": Int(1, 5, default=2)}}, starts=starts)
    assert [start.flat() for start in space.first_configurations()] == [
        {"learner": "a", "x": 3},
        {"learner": "b", "x": 2},
        {"learner": "b", "x": 3},
        {"learner": "a", "x": 1},
    ]


def test_joining_takes_learners_of_both_and_the_right_one_of_equals():
    left = Space({"a": {"x": Int(1, 5)}, "b": {"x": Int(1, 5)}}, starts=[Config("a", {"x": 5}), Config("b", {"x": 5})])
    right = Space({"b": {"y": Int(1, 9)}}, starts=[Config("b", {"y": 7})], name="right")
    joined = left | right
    assert {learner: list(parameters) for learner, parameters in joined.learners.items()} == {"a": ["x"], "b": ["y"]}
    assert joined.starts == (Config("a", {"x": 5}), Config("b", {"y": 7}))
    assert joined.name == "space+right"
    assert list(left.learners["b"]) == ["x"]


def test_joined_starts_take_turns():
    left = Space({"a": {"x": Int(1, 5)}}, starts=[Config("a", {"x": n}) for n in (1, 2, 4)])
    right = Space({"b": {"x": Int(1, 5)}}, starts=[Config("b", {"x": 1})])
    assert [(start.learner, start.params["x"]) for start in (left | right).starts] == [
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("a", 4),
    ]


def test_equal_spaces_are_equal_whatever_they_are_called():
    one = Space({"a": {"x": Float(0, 1), "y": 1}, "b": {}}, name="one", summary="first")
    two = Space({"b": {}, "a": {"y": Fixed(1), "x": Float(0.0, 1.0)}}, name="two")
    assert one == two
    assert hash(one) == hash(two)
    assert one.to_dict() == two.to_dict()
    assert one.to_dict() == {
        "version": 1,
        "a": {"x": {"float": [0.0, 1.0], "default": 0.5}, "y": {"fixed": 1}},
        "b": {},
        "start": [],
    }


@pytest.mark.parametrize(
    "other",
    [
        Space({"a": {"x": Float(0, 2)}}),
        Space({"a": {"x": Float(0, 1, default=0.4)}}),
        Space({"a": {"x": Float(0, 1)}}, starts=[Config("a", {"x": 0.1})]),
        Space({"a": {"x": Float(0, 1)}, "b": {}}),
        "a",
    ],
)
def test_other_spaces_are_other(other):
    assert Space({"a": {"x": Float(0, 1)}}) != other


def test_a_space_shows_its_learners():
    assert repr(Space({"mlp": MLP, "knn": {}}, name="mine")) == "Space 'mine': mlp (6), knn (0)"


@pytest.mark.parametrize(
    ("learners", "message"),
    [
        ({}, "a space needs at least one learner\n  where: space 'mine'"),
        (
            {"x": Float(0, 1)},
            "learner 'x' holds Float(low=0.0, high=1.0, log=False, default=0.5, when={}), no parameters\n"
            "  where: space 'mine', [x]\n"
            '  try:   {"lightgbm": {"x": ...}}',
        ),
        (
            {"a": {"x": Int(1, 2, when={"modee": 1}), "mode": Int(1, 2)}},
            "no parameter to depend on named 'modee'\n  where: space 'mine', [a.x]\n  try:   mode",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": 3}), "mode": Int(1, 2)}},
            "x exists when mode = 3, which mode never is\n  where: space 'mine', [a.x]",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": [1, True]}), "mode": Int(1, 2)}},
            "x exists when mode = True, which mode never is\n  where: space 'mine', [a.x]",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": []}), "mode": Int(1, 2)}},
            "x exists for no value of mode\n  where: space 'mine', [a.x]\n  try:   leave when or x out",
        ),
        (
            {"a": {"x": Int(1, 2, when={"task": "regresion"})}},
            "no kind of task named 'regresion'\n  where: space 'mine', [a.x]\n  try:   regression",
        ),
        (
            {"a": {"x": Int(1, 2, when={"x": 1})}},
            "x depends on x, which depends on itself\n  where: space 'mine', [a.x]",
        ),
        (
            {"a": {"x": Int(1, 2, when={"y": 1}), "y": Int(1, 2, when={"x": 1})}},
            "2 problems:\n"
            "1. x depends on y, which depends on itself\n  where: space 'mine', [a.x]\n"
            "2. y depends on x, which depends on itself\n  where: space 'mine', [a.y]",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": 1}), "mode": Int(1, 9, step=0)}},
            "mode: step 0 is no whole number of at least 1\n  where: space 'mine', [a.mode]",
        ),
    ],
)
def test_what_is_wrong_with_a_space(learners, message):
    assert message_of(learners) == message


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            Config("b", {}),
            "no learner of this space named 'b'\n  where: space 'mine', [start.0]\n  try:   one of: a",
        ),
        (Config("", {}), "a start names no learner\n  where: space 'mine', [start.0]\n  try:   learner = one of: a"),
        (
            Config("a", {"mod": "on"}),
            "no parameter of 'a' named 'mod'\n  where: space 'mine', [start.0.mod]\n  try:   mode",
        ),
        (Config("a", {"mode": "up"}), "start: mode = 'up' is outside its range\n  where: space 'mine', [start.0.mode]"),
        (
            Config("a", {"mode": "off", "depth": 1}),
            "start: depth does not exist under its condition\n  where: space 'mine', [start.0.depth]\n"
            "  try:   leave depth out",
        ),
    ],
)
def test_what_is_wrong_with_a_start(start, message):
    learners = {"a": {"mode": Choice(["on", "off"]), "depth": Int(1, 5, when={"mode": "on"})}}
    assert message_of(learners, start) == message


def test_wrong_parameters_conditions_and_starts_are_shown_together():
    message = message_of(
        {"a": {"x": Float(1, 0), "y": Int(1, 2, when={"z": 1})}}, Config("a", {"x": 3}), Config("a", {"w": 1})
    )
    assert message.startswith("3 problems:\n1. x: the lower bound 1 is not below the upper bound 0\n")
    assert "2. no parameter to depend on named 'z'" in message
    assert "3. no parameter of 'a' named 'w'" in message


# ---- any valid space ----

CHOICES = [0, 1, 2]


@st.composite
def spaces(draw):
    """A learner whose parameters hang on earlier ones in any way, written in any order."""
    keys = [f"p{number}" for number in range(draw(st.integers(1, 8)))]
    parameters: dict[str, object] = {}
    for index, key in enumerate(keys):
        parents = draw(st.lists(st.sampled_from(keys[:index]), unique=True, max_size=2)) if index else []
        when: Mapping[str, object] = {
            parent: draw(st.lists(st.sampled_from(CHOICES), unique=True, min_size=1)) for parent in parents
        }
        default = draw(st.sampled_from(CHOICES))
        kind = draw(st.sampled_from([Choice, Int]))
        bounds = (CHOICES,) if kind is Choice else (CHOICES[0], CHOICES[-1])
        parameters[key] = kind(*bounds, default=default, when=when)
    shuffled = draw(st.permutations(keys))
    return Space({"any": {key: parameters[key] for key in shuffled}})


@settings(deadline=None, database=None)
@given(spaces())
def test_the_default_is_admitted(space):
    default = space.default("any").params
    parameters = space.learners["any"]
    assert {key for key in parameters if holds(parameters[key], default)} == set(default)
    assert all(parameters[key].admits(value) for key, value in default.items())
    assert Space(space.learners, starts=[space.default("any")]).starts == (space.default("any"),)


@settings(deadline=None, database=None)
@given(spaces(), st.data())
def test_parents_come_first_and_exactly_the_right_ones_exist(space, data):
    parameters, values = space.learners["any"], {}
    for key, parameter in space.active("any", values):
        assert set(parameter.when) <= set(values)
        values[key] = data.draw(st.sampled_from(CHOICES))
    assert {key for key in parameters if holds(parameters[key], values)} == set(values)


@settings(deadline=None, database=None)
@given(spaces())
def test_a_space_written_twice_is_one_space(space):
    again = Space(dict(reversed(space.learners.items())), name="again")
    assert again == space
    assert hash(again) == hash(space)
