import pickle

import pytest

from autotune import errors
from autotune.errors import (
    AutotuneError,
    DataError,
    SettingsError,
    StorageError,
    StudyError,
    UnknownNameError,
    raise_all,
)

TREE = {
    "SpaceError": ValueError,
    "DataError": ValueError,
    "SettingsError": ValueError,
    "UnknownNameError": LookupError,
    "MissingPackageError": ImportError,
    "PlugInError": TypeError,
    "StudyError": RuntimeError,
    "StudyMismatchError": StudyError,
    "SeedMismatchError": errors.StudyMismatchError,
    "StorageError": StudyError,
    "StorageLostError": StorageError,
    "NoSuccessfulTrialError": StudyError,
    "RefitError": StudyError,
}
ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, AutotuneError)]


def test_the_tree_is_the_one_drawn_at_the_top_of_its_file():
    assert {error.__name__ for error in ALL} == {*TREE, "AutotuneError"}
    assert [name for name in TREE if f"── {name}" not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize(("name", "builtin"), TREE.items())
def test_errors_are_also_the_builtin_that_callers_expect(name, builtin):
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DataError("no rows"), "no rows"),
        (DataError("no rows", "a.csv"), "no rows\n  where: a.csv"),
        (DataError("no rows", hint="b.csv"), "no rows\n  try:   b.csv"),
        (DataError("no rows", "a.csv", "b.csv"), "no rows\n  where: a.csv\n  try:   b.csv"),
        (UnknownNameError("no metric named 'x'"), "no metric named 'x'"),
    ],
)
def test_the_text_of_an_error(error, text):
    assert str(error) == text


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ALL)
def test_errors_survive_pickling(kind, protocol):
    for error in (kind("what", "where", "hint"), kind("what", hint="hint"), kind("what")):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is kind
        assert (again.problem, again.where, again.hint) == (error.problem, error.where, error.hint)
        assert str(again) == str(error)


def test_nothing_wrong_raises_nothing():
    raise_all([])


def test_one_problem_is_raised_as_it_is():
    problem = SettingsError("no folds", "cv", "5")
    with pytest.raises(SettingsError) as caught:
        raise_all([problem])
    assert caught.value is problem


def test_several_problems_are_raised_as_one_of_the_first_ones_type():
    with pytest.raises(UnknownNameError) as caught:
        raise_all(
            [UnknownNameError("no column named 'x'", "a.csv", "y"), DataError("no rows", "a.csv"), DataError("c")]
        )
    assert str(caught.value) == (
        "3 problems:\n1. no column named 'x'\n  where: a.csv\n  try:   y\n2. no rows\n  where: a.csv\n3. c"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
