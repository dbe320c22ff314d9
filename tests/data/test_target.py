import numpy as np
import pandas as pd
import pytest

from autotune.data.target import read_target
from autotune.errors import DataError, SettingsError, UnknownNameError


def read(values, dtype=None, **options):
    return read_target(pd.Series(values, name="y", dtype=dtype), **options)


def message_of(values, dtype=None, error=DataError, **options):
    with pytest.raises(error) as caught:
        read(values, dtype, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        (["b", "a"] * 3, "binary", "the target holds text with 2 distinct values"),
        (["a", "b", "c"] * 3, "multiclass", "the target holds text with 3 distinct values"),
        ([True, False] * 3, "binary", "the target holds true and false with 2 distinct values"),
        ([0, 1] * 3, "binary", "the target holds numbers with 2 distinct values"),
        ([0.5, 1.5, 2.5] * 3, "regression", "the target holds numbers with fractions"),
        (
            [0, 1, 2] * 4,
            "multiclass",
            "the target holds whole numbers with 3 distinct values, the rarest in 4 rows",
        ),
        (
            [0.0, 1.0, 2.0] * 4,
            "multiclass",
            "the target holds whole numbers with 3 distinct values, the rarest in 4 rows",
        ),
        (list(range(1000)), "regression", "the target holds whole numbers with 1,000 distinct values"),
        (
            [0, 1, 2] * 50 + [9],
            "regression",
            "the target holds whole numbers with 4 distinct values, the rarest in 1 row",
        ),
    ],
)
def test_the_kind_is_inferred_with_a_reason(values, kind, reason):
    target = read(values)
    assert (target.kind, target.reason) == (kind, reason)


def test_a_guess_says_how_to_override_it():
    assert read([0, 1, 2] * 4).notes == (
        "target 'y': 3 whole numbers are taken as classes; for numbers write task=\"regression\"",
    )
    assert read([0, 1, 2] * 50 + [9]).notes == (
        "target 'y': whole numbers are taken as numbers; for classes write task=\"classification\"",
    )
    assert read(["1", "2"] * 4).notes == (
        "target 'y': text that holds numbers is taken as classes; for numbers write task=\"regression\"",
    )


@pytest.mark.parametrize(
    ("values", "dtype", "classes"),
    [
        ([True, False] * 2, None, [False, True]),
        ([3, 1] * 2, None, [1, 3]),
        ([3, 1] * 2, "Int64", [1, 3]),
        ([2.0, 1.0] * 2, None, [1.0, 2.0]),
        (["b", "a"] * 2, None, ["a", "b"]),
        (["b", "a"] * 2, "category", ["a", "b"]),
        ([3, 1] * 2, "category", [1, 3]),
        ([True, False] * 2, object, [False, True]),
        ([1, "a"] * 2, object, [1, "a"]),
        (["b", "a"] * 2, pd.CategoricalDtype(["c", "b", "a"], ordered=True), ["b", "a"]),
    ],
)
def test_classes_come_back_as_they_came(values, dtype, classes):
    target = read(values, dtype)
    found = target.classes.tolist()
    assert found == classes
    assert [type(value) for value in found] == [type(value) for value in classes]
    assert target.classes[target.y].tolist() == values
    assert target.y.dtype == np.int64


def test_classes_of_numbers_keep_their_type():
    assert read([3, 1] * 2).classes.dtype == np.int64
    assert read([True, False] * 2).classes.dtype == bool


@pytest.mark.parametrize("positive", [0, "0"])
def test_the_positive_class_is_moved_last(positive):
    target = read([0, 1, 1, 0], positive=positive)
    assert target.classes.tolist() == [1, 0]
    assert target.y.tolist() == [1, 0, 0, 1]


def test_a_positive_class_may_be_given_as_text():
    assert read([True, False] * 2, positive="false").classes.tolist() == [True, False]
    assert read([1.0, 2.0] * 2, positive="1").classes.tolist() == [2.0, 1.0]


def test_a_positive_class_that_does_not_exist_lists_the_classes():
    assert message_of(["no", "yes"] * 2, positive="maybe", error=UnknownNameError) == (
        "no class named 'maybe'\n  where: positive\n  try:   one of: no, yes"
    )
    assert "holds 3 classes" in message_of(["a", "b", "c"] * 2, positive="a", error=SettingsError)
    assert "regression has none" in message_of([0.5, 1.5, 2.5], positive=1, error=SettingsError)


def test_missing_targets_are_counted_and_shown():
    assert message_of(["a", None, "b", None]) == (
        "the target is missing in 2 of 4 rows (rows 1, 3; the first row is 0)\n"
        "  where: target 'y'\n"
        "  try:   remove these rows, or fill them in"
    )
    assert message_of([None, None]) == "all 2 cells of the target are missing\n  where: target 'y'"


def test_one_class_only_is_refused():
    assert message_of(["a"] * 3) == "the target holds only one class, 'a'\n  where: target 'y'"
    assert "only one class" in message_of([1.0] * 3, task="classification")


def test_a_class_with_a_single_row_is_refused():
    assert message_of(["a", "a", "b", "b", "c"]) == (
        "a class with a single row: 'c'\n  where: target 'y'\n  try:   remove the row, or join it to another class"
    )
    assert "2 classes with a single row: 'c', 'd'" in message_of(["a", "a", "c", "d"])


def test_an_infinite_target_is_refused():
    assert message_of([0.5, np.inf, 1.5, 2.0]) == (
        "the target holds infinity (rows 1; the first row is 0)\n  where: target 'y'\n  try:   remove these rows"
    )
    assert "infinity" in message_of([0.0, np.inf] * 2)


def test_regression_takes_numbers_and_text_that_holds_numbers():
    target = read(["1", "2.5", "3"], task="regression")
    assert target.y.tolist() == [1.0, 2.5, 3.0]
    assert target.notes == ("target 'y': text that holds numbers, read as numbers",)
    assert read([True, False], task="regression").y.tolist() == [1.0, 0.0]
    assert message_of(["cheap", "2"], task="regression") == (
        "regression needs numbers, and the target holds 'cheap'\n  where: target 'y'\n  try:   task=\"classification\""
    )
    assert "1 blank cell in the target" in message_of(["1", " ", "3"], task="regression")


def test_a_constant_regression_target_is_said():
    assert read([3, 3, 3], task="regression").notes == ("target 'y': every value is 3; there is nothing to learn",)


def test_an_explicit_task_must_fit():
    assert message_of(["a", "b", "c"] * 2, task="binary") == (
        "a binary task has 2 classes; the target holds 3: 'a', 'b', 'c'\n"
        "  where: target 'y'\n"
        '  try:   task="multiclass"'
    )
    assert 'try:   task="binary"' in message_of(["a", "b"] * 2, task="multiclass")
    assert message_of([1, 2], task="regresion", error=UnknownNameError) == (
        "no task named 'regresion'\n  where: task\n  try:   regression"
    )
    assert "Unknown label type: continuous" in message_of(np.linspace(0, 1, 50), task="classification")
    assert read([0, 1, 2] * 3, task="classification").kind == "multiclass"
    assert read([0, 1] * 3, task="classification").kind == "binary"


def test_dates_are_no_target():
    assert "the target holds dates" in message_of(["2024-01-01", "2024-01-02", "2024-01-03"])
