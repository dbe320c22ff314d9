import math

import pytest

from autotune.errors import UnknownNameError
from autotune.registry import Registry, nearest, unknown_name

LEARNERS = ("baseline", "lightgbm", "linear", "mlp")


def test_entries_are_imported_when_first_asked_for():
    registry = Registry("function", {"sqrt": "math:sqrt", "broken": "autotune.nowhere:thing", "own": len})
    assert list(registry) == ["sqrt", "broken", "own"]
    assert len(registry) == 3
    assert "broken" in registry
    assert registry["sqrt"] is math.sqrt
    assert registry["sqrt"] is math.sqrt
    assert registry["own"] is len
    with pytest.raises(ModuleNotFoundError):
        registry["broken"]


def test_a_registry_keeps_a_table_of_its_own():
    entries = {"a": 1}
    registry = Registry("letter", entries)
    entries["b"] = 2
    assert "b" not in registry


def test_a_wrong_name_gives_the_nearest_right_one():
    registry = Registry("learner", dict.fromkeys(LEARNERS, 1))
    with pytest.raises(UnknownNameError) as caught:
        registry["lightgmb"]
    assert str(caught.value) == "no learner named 'lightgmb'\n  try:   lightgbm"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("LightGBM", LEARNERS, "lightgbm"),
        ("liner", LEARNERS, "linear"),
        ("xyz", LEARNERS, "one of: baseline, lightgbm, linear, mlp"),
        ("xyz", [], None),
        (7, ["8", "9"], "one of: 8, 9"),
        (
            "xyz",
            [f"c{number:02}" for number in range(25)],
            "one of: c00, c01, c02, c03, c04, c05, c06, c07, c08, "
            "c09, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, … (25 in all)",
        ),
    ],
)
def test_what_an_unknown_name_suggests(name, known, hint):
    error = unknown_name("learner", name, known, "here")
    assert error.problem == f"no learner named '{name}'"
    assert error.where == "here"
    assert error.hint == hint


def test_the_nearest_name_keeps_its_own_spelling():
    assert nearest("price", ["Price", "size"]) == "Price"
    assert nearest("PRICE", ["price per m²", "prize"]) == "prize"
    assert nearest("", ["a"]) is None
