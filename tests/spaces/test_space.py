import pytest

from autotune.errors import SpaceError
from autotune.spaces.difference import differences
from autotune.spaces.draws import enumerate_space
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int
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


def test_joining_takes_parameters_of_both_and_the_right_one_of_equals():
    left = Space(
        {"a": {"x": Int(1, 5)}, "b": {"x": Int(1, 5), "z": 1}},
        starts=[Config("a", {"x": 5}), Config("b", {"x": 5}), Config("b", {"x": 1})],
    )
    right = Space({"b": {"x": Int(1, 3), "y": Int(1, 9)}}, starts=[Config("b", {"y": 7})], name="right")
    joined = left | right
    assert joined.learners == {"a": {"x": Int(1, 5)}, "b": {"x": Int(1, 3), "z": Fixed(1), "y": Int(1, 9)}}
    assert [(start.learner, start.params.get("x")) for start in joined.starts] == [("a", 5), ("b", 2), ("b", 1)]
    assert joined.name == "space+right"
    assert list(left.learners["b"]) == ["x", "z"]


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
        ({}, "space 'mine': a space needs at least one learner; [lightgbm]"),
        ({"x": 5}, "space 'mine' x: 'x' is a learner's table of parameters, found 5; {\"lightgbm\": {\"x\": ...}}"),
        (
            {"x": Float(0, 1)},
            "space 'mine' x: the parameter 'x' stands outside of a learner's table; {\"lightgbm\": {\"x\": ...}}",
        ),
        (
            {"x": {"float": [0, 1]}},
            "space 'mine' x: the parameter 'x' stands outside of a learner's table; "
            "put it below [lightgbm], or another learner's name",
        ),
        (
            {"a": {"x": Int(1, 2, when={"modee": 1}), "mode": Int(1, 2)}},
            "space 'mine' a.x.when.modee: no parameter to depend on named 'modee'; mode",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": 3}), "mode": Int(1, 2)}},
            "space 'mine' a.x.when.mode: x exists when mode = 3, which mode never is; a value of [1, 2]",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": [1, True]}), "mode": Int(1, 2)}},
            "space 'mine' a.x.when.mode: x exists when mode = true, which mode never is; a value of [1, 2]",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": []}), "mode": Int(1, 2)}},
            "space 'mine' a.x.when.mode: x exists for no value of mode; leave when or x out",
        ),
        (
            {"a": {"x": Int(1, 2, when={"task": "regresion"})}},
            "space 'mine' a.x.when.task: no kind of task named 'regresion'; regression",
        ),
        (
            {"a": {"x": Int(1, 2, when={"x": 1})}},
            "space 'mine' a.x: x depends on itself; take one of the conditions or formulas out",
        ),
        (
            {"a": {"x": Int(1, 2, when={"y": 1}), "y": Derived("x + 1")}},
            "2 problems:\n"
            "space 'mine' a.x: x depends on itself, by way of y; take one of the conditions or formulas out\n"
            "space 'mine' a.y: y depends on itself, by way of x; take one of the conditions or formulas out",
        ),
        (
            {"a": {"x": Int(1, 2, when={"mode": 1}), "mode": Int(1, 9, step=0)}},
            "space 'mine' a.mode.step: mode: step 0 is no whole number of at least 1; leave step out",
        ),
    ],
)
def test_what_is_wrong_with_a_space(learners, message):
    assert message_of(learners) == message


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (Config("b", {}), "space 'mine' start.0: no learner of this space named 'b'; one of: a"),
        (Config("", {}), "space 'mine' start.0: a start names no learner; learner = one of: a"),
        (Config("a", {"mod": "on"}), "space 'mine' start.0.mod: no parameter of 'a' named 'mod'; mode"),
        (Config("a", {"mode": "up"}), "space 'mine' start.0.mode: mode is never 'up'; one of: 'on', 'off'"),
        (
            Config("a", {"mode": "off", "depth": 1}),
            "space 'mine' start.0.depth: depth does not exist in this start; "
            "leave depth out; it exists when mode = 'on'",
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
    lines = message.split("\n")
    assert lines[:2] == [
        "3 problems:",
        "space 'mine' a.x.float: x: the lower bound 1 is not below the upper bound 0; float = [0, 1]",
    ]
    assert "no parameter to depend on named 'z'" in lines[2]
    assert "no parameter of 'a' named 'w'" in lines[3]


def test_a_classification_may_be_narrowed_to_one_of_its_kinds():
    parameters = {"x": Choice([1, 2], when={"task": "classification"}), "y": Int(1, 2, when={"x": 1, "task": "binary"})}
    keys = {kind: list(Space({"a": parameters}).for_task(kind).learners["a"]) for kind in ("binary", "multiclass")}
    assert keys == {"binary": ["x", "y"], "multiclass": ["x"]}


def test_lists_are_values_of_options_and_conditions_and_starts():
    parameters = {"sizes": Choice([[64], [64, 32]]), "drop": Float(0, 1, when={"sizes": [[64, 32]]})}
    space = Space({"a": parameters}, starts=[{"sizes": [64, 32], "drop": 0.1}])
    assert space.starts == (Config("a", {"sizes": (64, 32), "drop": 0.1}),)
    assert space.admits(space.starts[0])
    assert not space.admits(Config("a", {"sizes": (64,), "drop": 0.1}))


def test_derived_values_are_computed_and_admitted_only_as_computed():
    space = Space(
        {"a": {"rate": Derived("_base * size / 256"), "_base": Float(0, 1, default=0.5), "size": Int(1, 512)}}
    )
    config = space.completed("a", {"size": 128})
    assert config.params == {"_base": 0.5, "size": 128, "rate": 0.25}
    assert config.arguments == {"size": 128, "rate": 0.25}
    assert space.admits(config)
    assert not space.admits(Config("a", {**config.params, "rate": 0.3}))


def test_a_derived_value_exists_when_all_that_it_is_computed_from_does():
    space = Space(
        {"a": {"mode": Choice(["on", "off"]), "x": Int(1, 3, when={"mode": "on"}), "twice": Derived("2 * x")}}
    )
    assert space.completed("a", {}).params == {"mode": "on", "x": 2, "twice": 4}
    assert space.completed("a", {"mode": "off"}).params == {"mode": "off"}


def test_a_fidelity_is_its_upper_bound_and_nothing_else():
    space = Space({"a": {"epochs": Int(1, 50, fidelity=True)}})
    assert space.default("a").params == {"epochs": 50}
    assert space.admits(Config("a", {"epochs": 50}))
    assert not space.admits(Config("a", {"epochs": 49}))


def test_what_is_forbidden_is_not_admitted():
    space = Space(
        {"a": {"mode": Choice(["on", "off"]), "x": Int(1, 5, when={"mode": "on"})}},
        forbid=[{"mode": "on", "x": {"at_least": 3, "not": 4}}, {"learner": "a", "x": [1, 2]}],
        starts=[{"mode": "off"}],
        checked=False,
    )
    admitted = [x for x in range(1, 6) if space.admits(Config("a", {"mode": "on", "x": x}))]
    assert admitted == [4]
    assert space.admits(Config("a", {"mode": "off"}))


def test_a_value_is_one_however_it_is_written():
    table = {"rate": Float(0, 1, step=0.1), "child": Float(0, 1, when={"rate": [0.1 + 0.2]}), "C": Float(0.5, 2)}
    starts = [{"C": 1}, {"C": 1.0}, {"rate": 0.1 + 0.2}]
    space = Space({"m": table}, starts=starts, forbid=[{"rate": 0.1 + 0.6}])
    assert space.learners["m"]["child"].when == {"rate": (0.3,)}
    assert [start.params for start in space.starts] == [
        {"rate": 0.5, "C": 1.0},
        {"rate": 0.3, "C": 1.25, "child": 0.5},
    ]
    assert space.admits(Config("m", {"rate": 0.1 + 0.2, "child": 0.5, "C": 1}))
    assert not space.allows(Config("m", {"rate": 0.7, "C": 1.0}))


def test_a_space_is_written_with_the_starts_that_were_given():
    space = Space({"m": {"a": Int(1, 9), "b": Int(1, 9)}}, starts=[{"a": 2}])
    assert space.to_dict()["start"] == [{"a": 2}]
    assert (space | {"b": Int(5, 9)}).starts[0].params == {"a": 2, "b": 7}


@pytest.mark.parametrize(
    "other",
    [
        Space({"m": {"flag": Choice([False, True])}}, starts=[{"flag": False}, {"flag": True}]),
        Space({"m": {"flag": Choice([0, 1])}}, starts=[{"flag": 1}, {"flag": 0}]),
    ],
)
def test_other_kinds_of_values_and_other_orders_of_starts_make_another_space(other):
    space = Space({"m": {"flag": Choice([0, 1])}}, starts=[{"flag": 0}, {"flag": 1}])
    assert space != other
    assert list(differences(space, other))
    assert list(differences(space, space)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learners": ["mlp"]}, "a space is a table of learners, found ['mlp']; Space({"),
        ({"learners": None}, "a space is a table of learners, found None; Space({"),
        ({"starts": {"a": 3}}, "starts is a list of tables with values by name, found {'a': 3}; starts=[{"),
        ({"starts": None}, "starts is a list of tables with values by name, found None; starts=[{"),
        ({"starts": [3]}, "starts is a list of tables with values by name, found [3]; starts=[{"),
        ({"starts": [{1: 3}]}, "starts is a list of tables with values by name, found [{1: 3}]; starts=[{"),
        ({"forbid": {"a": 3}}, "forbid is a list of tables with values by name, found {'a': 3}; forbid=[{"),
        ({"models": "svc"}, "models is a table by learner, found 'svc'; models={"),
        ({"learners": {"start": {}}}, "space 'space': no learner can be called 'start': it means something else"),
        ({"learners": {"": {}}}, "space 'space': no learner can be called '': a name is a text"),
        ({"learners": {5: {}}}, "space 'space': no learner can be called 5: a name is a text"),
        ({"learners": {"m": {"a": {"int": [1, 9], "when": {1: 2}}}}}, "space 'space' m.a.when: a: when is a table"),
        ({"learners": {"m": {"a": Fixed("\ud800")}}}, "space 'space' m.a.fixed: a: the value '\\ud800' is neither"),
    ],
)
def test_arguments_of_another_shape_are_refused(arguments, message):
    with pytest.raises(SpaceError) as caught:
        Space(**{"learners": {"m": {"a": Int(1, 9)}}} | arguments)
    assert str(caught.value).startswith(message)


def test_what_has_too_many_values_is_not_listed():
    assert enumerate_space(Space({"m": {"a": Float(0, 1, step=1e-8)}}), 10) is None
    assert enumerate_space(Space({"m": {"a": Int(0, 10**8)}}), 10) is None
    (one, *_, last) = enumerate_space(Space({"m": {"a": Float(0.1, 0.5, step=0.1)}}), 10)
    assert (one.params, last.params) == ({"a": 0.1}, {"a": 0.5})
