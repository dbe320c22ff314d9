import pytest

from autotune.errors import SpaceError
from autotune.spaces.files import read_space
from autotune.spaces.forbid import Forbid
from autotune.spaces.joining import join
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int
from autotune.spaces.space import Config, Space

MLP = Space(
    {
        "mlp": {
            "optimizer": Choice(["adamw", "sgd", "rmsprop"]),
            "momentum": Float(0, 0.99, when={"optimizer": ["sgd", "rmsprop"]}),
            "nesterov": Choice([True, False], when={"optimizer": "sgd"}),
            "batch_size": Int(16, 512, scale="pow2"),
            "steps": Derived("batch_size * 2"),
        }
    },
    starts=[{"optimizer": "rmsprop", "momentum": 0.5, "batch_size": 64}, {"batch_size": 512}],
    forbid=[{"optimizer": "sgd", "batch_size": {"at_least": 256}}],
    name="mine",
)


def message_of(base, other):
    with pytest.raises(SpaceError) as caught:
        join(base, other)
    return str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"mlp.batch_size": {"int": [16, 64], "scale": "pow2"}},
        {"batch_size": Int(16, 64, scale="pow2")},
        {"mlp": {"batch_size": {"int": [16, 64], "scale": "pow2"}}},
    ],
)
def test_a_parameter_may_be_named_in_many_ways(changes):
    changed = MLP | changes
    assert changed.learners["mlp"]["batch_size"] == Int(16, 64, scale="pow2")
    assert list(changed.learners["mlp"]) == list(MLP.learners["mlp"])
    assert changed.name == "mine"


def test_what_can_no_longer_exist_goes_with_all_that_hangs_on_it():
    changed = MLP | {"optimizer": "adamw"}
    assert changed.learners["mlp"] == {
        "optimizer": Fixed("adamw"),
        "batch_size": Int(16, 512, scale="pow2"),
        "steps": Derived("batch_size * 2"),
    }
    assert changed.forbid == ()


def test_conditions_lose_the_values_that_their_parents_lose():
    changed = MLP | {"optimizer": Choice(["adamw", "sgd"])}
    assert changed.learners["mlp"]["momentum"].when == {"optimizer": ("sgd",)}
    assert (MLP | {"optimizer": Choice(["adamw", "rmsprop"])}).forbid == ()


def test_a_clause_keeps_the_values_that_are_left():
    space = Space({"a": {"x": Choice([1, 2, 3]), "y": Int(1, 9)}}, forbid=[{"x": [2, 3], "y": 1}])
    assert [(space | {"x": Choice([1, 2])}).allows(Config("a", {"x": 2, "y": y})) for y in (1, 2)] == [False, True]
    other = Space({"a": {"x": Choice([1, 2, 3]), "y": Int(1, 9)}}, forbid=[{"x": {"not": [1, 3]}, "y": 1}])
    assert (other | {"x": Choice([1, 2])}).forbid == (Forbid("a", {"x": {"not": [1]}, "y": 1}),)
    assert (other | {"x": Choice([2, 4])}).forbid == (Forbid("a", {"x": [2, 4], "y": 1}),)
    assert (other | {"x": Choice([1, 3])}).forbid == ()


def test_a_fixed_value_exists_when_the_parameter_did():
    assert (MLP | {"momentum": 0.9}).learners["mlp"]["momentum"] == Fixed(0.9, when={"optimizer": ("sgd", "rmsprop")})


def test_starts_keep_what_still_fits_and_exists():
    changed = MLP | {"optimizer": Choice(["adamw", "sgd"])}
    assert changed.starts == (
        Config("mlp", {"optimizer": "adamw", "batch_size": 64, "steps": 128}),  # without its momentum
        Config("mlp", {"optimizer": "adamw", "batch_size": 512, "steps": 1024}),
    )


@pytest.mark.parametrize(
    ("rounds", "rates"),
    [
        (Int(1, 1000, fidelity=True), [0.02, 0.1]),
        (Fixed(250), [0.08, 0.1]),
        (Int(1, 20, fidelity=True), [0.1]),
        (Int(1, 4000, fidelity=True), [0.01, 0.06]),
        (Int(5, 50), [0.1]),
    ],
)
def test_starts_of_boosters_learn_as_much_in_fewer_rounds(rounds, rates):
    parameters = {"learning_rate": Float(5e-3, 0.1, log=True), "max_rounds": Int(1, 2000, fidelity=True)}
    starts = [{"learning_rate": 0.01}, {"learning_rate": 0.06}]
    joined = Space({"lightgbm": parameters}, starts=starts) | {"max_rounds": rounds}
    assert [start.params["learning_rate"] for start in joined.given_starts] == rates
    parameters = {**parameters, "learning_rate": Float(5e-3, 0.1, default=0.01), "num_leaves": Int(2, 99)}
    joined = Space({"lightgbm": parameters}, starts=[{"num_leaves": 7}]) | {"max_rounds": rounds}
    assert (joined.starts[0].params["num_leaves"], joined.starts[0].params["learning_rate"]) == (7, rates[0])
    assert joined.default("lightgbm").params["learning_rate"] == parameters["learning_rate"].default


def test_a_rate_that_a_narrower_range_no_longer_has_is_in_it_again_where_fewer_rounds_raise_it():
    parameters = {"learning_rate": Float(5e-3, 0.1, log=True), "max_rounds": Int(1, 2000, fidelity=True)}
    space = Space({"lightgbm": parameters}, starts=[{"learning_rate": 0.01}, {"learning_rate": 0.001}], checked=False)
    joined = space | {"learning_rate": Float(0.05, 0.3, log=True, default=0.1), "max_rounds": 200}
    assert [dict(start.params) for start in joined.given_starts] == [{"learning_rate": 0.1}]


RATE, ROUNDS = Float(5e-3, 0.1, log=True, default=0.05), Int(1, 2000, fidelity=True)


@pytest.mark.parametrize(
    ("parameters", "start", "changes", "left"),
    [
        ({"learning_rate": RATE}, {"n": 150}, {"max_rounds": 1000, "n": Int(2, 31, default=31)}, []),
        ({"learning_rate": RATE}, {"n": 150}, {"max_rounds": 1000, "n": 31}, []),
        ({"learning_rate": RATE}, {}, {"max_rounds": 1000, "learning_rate": Float(0.4, 0.9)}, [{}]),
        ({"learning_rate": RATE}, {}, {"max_rounds": 1000}, [{"learning_rate": 0.1}]),
        (
            {"learning_rate": RATE},
            {"n": 7},
            {"max_rounds": 1000, "learning_rate": Float(0.01, 0.3, default=0.3)},
            [{"n": 7, "learning_rate": 0.1}],
        ),
        (
            {"learning_rate": RATE},
            {"learning_rate": 0.02},
            {"max_rounds": 200, "learning_rate": Float(0.01, 0.15)},
            [{"learning_rate": 0.15}],
        ),
        (
            {"learning_rate": Fixed(0.05)},
            {"n": 7},
            {"max_rounds": 1000, "learning_rate": Float(0.01, 0.3)},
            [{"n": 7, "learning_rate": 0.1}],
        ),
        (
            {"learning_rate": Choice([0.01, 0.05])},
            {"learning_rate": 0.01},
            {"max_rounds": 1000, "learning_rate": Float(0.01, 0.3)},
            [{"learning_rate": 0.02}],
        ),
        (
            {"learning_rate": Float(0.01, 1, step=0.01, default=0.03)},
            {"learning_rate": 0.03, "n": 7},
            {"max_rounds": 1700},
            [{"learning_rate": 0.04, "n": 7}],
        ),
        (
            {"learning_rate": RATE, "max_rounds": Int(1, 2000)},
            {"learning_rate": 0.02},
            {"max_rounds": 200},
            [{"learning_rate": 0.02}],
        ),
    ],
    ids=[
        "nothing of it is left",
        "nothing is left beside a fixed value",
        "the raised rate is below the range",
        "the defaults",
        "the rate is the base's default",
        "up to the new range",
        "a fixed rate",
        "a choice of rates",
        "to the nearest step",
        "rounds that were no horizon",
    ],
)
def test_what_is_left_of_a_booster_s_start_where_rounds_are_fewer(parameters, start, changes, left):
    space = Space({"lightgbm": {"max_rounds": ROUNDS, **parameters, "n": Int(2, 200, default=31)}}, starts=[start])
    joined = space | changes
    assert [dict(each.params) for each in joined.given_starts] == [pytest.approx(each) for each in left]


def test_a_start_whose_raised_rate_would_be_forbidden_keeps_its_own():
    forbid = [{"learning_rate": {"at_least": 0.08}, "n": {"at_least": 100}}]
    space = Space({"lightgbm": {"learning_rate": RATE, "max_rounds": ROUNDS, "n": Int(2, 200, default=31)}},
                  starts=[{"n": 150}, {"n": 120, "learning_rate": 0.06}], forbid=forbid)  # fmt: skip
    left = [dict(start.params) for start in (space | {"max_rounds": 1000}).given_starts]
    assert left == [{"n": 150}, {"n": 120, "learning_rate": 0.06}]


@pytest.mark.parametrize("value", ["auto", 0.0, 7.0])
def test_a_special_rate_of_a_start_is_left_as_it_is(value):
    parameters = {"learning_rate": Float(5e-3, 0.1, special=[value]), "max_rounds": Int(1, 2000, fidelity=True)}
    joined = Space({"lightgbm": parameters}, starts=[{"learning_rate": value}]) | {"max_rounds": 300}
    assert joined.starts[0].params["learning_rate"] == value


@pytest.mark.parametrize("rounds", ["[1, 'many']", "['few', 2000]", "[9, 2]"])
def test_wrong_rounds_of_an_included_file_are_an_error_and_no_crash(rounds, tmp_path):
    (tmp_path / "base.toml").write_text(
        "version = 1\n[lightgbm]\nlearning_rate = { float = [0.01, 0.1] }\n"
        f"max_rounds = {{ int = {rounds}, fidelity = true }}\n[[start]]\nlearning_rate = 0.02\n"
    )
    (tmp_path / "own.toml").write_text('version = 1\ninclude = ["base.toml"]\n[lightgbm]\nmax_rounds = 300\n')
    with pytest.raises(SpaceError, match="max_rounds"):
        read_space(tmp_path / "own.toml")


def test_starts_of_networks_keep_their_rates_in_fewer_epochs():
    parameters = {"learning_rate": Float(1e-4, 0.1, log=True), "epochs": Int(1, 60, fidelity=True)}
    joined = Space({"mlp": parameters}, starts=[{"learning_rate": 0.01}]) | {"epochs": Int(1, 6, fidelity=True)}
    assert joined.starts[0].params["learning_rate"] == 0.01


def test_starts_that_become_forbidden_or_empty_go():
    assert (MLP | {"batch_size": Int(256, 512, scale="pow2"), "optimizer": Choice(["adamw", "rmsprop"])}).starts == (
        Config("mlp", {"optimizer": "rmsprop", "batch_size": 256, "momentum": 0.5, "steps": 512}),
        Config("mlp", {"optimizer": "adamw", "batch_size": 512, "steps": 1024}),
    )
    narrow = Space({"a": {"x": Int(1, 9), "y": Int(1, 9)}}, starts=[{"x": 9}], forbid=[{"x": {"at_most": 2}, "y": 2}])
    assert (narrow | {"x": {"int": [1, 3], "default": 3}}).starts == ()
    assert narrow.starts == (Config("a", {"x": 9, "y": 5}),)


def test_a_parameter_that_becomes_the_fidelity_is_no_longer_in_starts():
    space = Space({"a": {"epochs": Int(1, 50), "x": Int(1, 9)}}, starts=[{"epochs": 20, "x": 2}])
    assert (space | {"epochs": Int(1, 50, fidelity=True)}).starts == (Config("a", {"epochs": 50, "x": 2}),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mlp.batch_size": {"int": [64, 16]}},
            "space 'mine' mlp.batch_size.int: batch_size: the lower bound 64 is not below the upper bound 16; "
            "int = [16, 64]",
        ),
        (
            {"batch_size": {"itn": [16, 64]}},
            "space 'mine' mlp.batch_size.itn: no kind of parameter named 'itn'; int",
        ),
        (
            {"optimizer": {"choice": ["adamw"], "default": "sgd"}},
            "space 'mine' mlp.optimizer.default: optimizer: default 'sgd' is none of ['adamw']; leave default out",
        ),
        (5, "space 'mine': a space is joined with a space or a mapping, found 5"),
    ],
)
def test_what_is_wrong_with_a_change(changes, message):
    assert message_of(MLP, changes) == message


def test_a_wrong_change_is_not_blamed_on_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("version = 1\n[knn]\nk = { int = [1, 50] }\np = { choice = [1, 2] }\n", encoding="utf-8")
    assert message_of(read_space(path), {"k": {"int": [9, 1]}}).startswith("space 'mine' knn.k.int: ")
    assert message_of(read_space(path), {"knn.k": Int(9, 1)}).startswith("space 'mine' knn.k.int: ")


def test_a_child_of_a_wrong_parent_is_not_lost_silently():
    message = message_of(MLP, {"optimizer": {"choice": []}})
    assert message == (
        'space \'mine\' mlp.optimizer.choice: optimizer: a choice needs at least one option; choice = ["a", "b"]'
    )
