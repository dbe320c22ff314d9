import numpy as np
import pandas as pd
import pytest

from autotune.data.tables import read_features, read_table, read_test_table
from autotune.errors import AutotuneError, DataError, UnknownNameError

HOUSES = pd.DataFrame(
    {
        "size": [1.0, 2, 3, 4],
        "zone": ["a", "b", "a", "b"],
        "owner": ["x", "x", "y", "y"],
        "sold": ["2024-01-04", "2024-01-03", "2024-01-02", "2024-01-01"],
        "weight": [1, 1, 2, 0],
        "dear": ["no", "yes", "no", "yes"],
    }
)


def message_of(*args, error=AutotuneError, **options):
    with pytest.raises(error) as caught:
        read_table(*args, **options)
    return str(caught.value)


def test_a_frame_becomes_a_table():
    table = read_table(HOUSES, target="dear", groups="owner", time="sold", sample_weight="weight")
    assert list(table.X) == ["size", "zone", "sold"]
    assert table.y.tolist() == [0, 1, 0, 1]
    assert table.groups.tolist() == [0, 0, 1, 1]
    assert table.groups.dtype == np.int64
    np.testing.assert_array_equal(np.diff(table.time), -86400.0)
    assert table.weight.tolist() == [1.0, 1.0, 2.0, 0.0]
    assert (table.name, table.target, table.kind) == ("table", "dear", "binary")


def test_the_given_frame_is_left_as_it_was():
    before = HOUSES.copy(deep=True)
    read_table(HOUSES, target="dear", groups="owner")
    pd.testing.assert_frame_equal(HOUSES, before)


def test_a_file_gives_its_stem_as_name(tmp_path):
    HOUSES.to_csv(tmp_path / "houses.csv.gz", index=False)
    assert read_table(tmp_path / "houses.csv.gz", target="dear").name == "houses"


def test_arrays_get_column_names_and_take_values_by_position():
    table = read_table(
        np.arange(8).reshape(4, 2), [0, 1, 0, 1], groups=[5, 5, 7, 7], time=[3, 2, 1, 0], sample_weight=np.ones(4)
    )
    assert list(table.X) == ["x0", "x1"]
    assert table.target == "target"
    assert table.groups.tolist() == [0, 0, 1, 1]
    assert table.time.tolist() == [3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("y", [[0, 1, 0, 1], np.array([[0], [1], [0], [1]]), pd.DataFrame({"y": [0, 1, 0, 1]})])
def test_y_may_be_any_column(y):
    assert read_table(HOUSES[["size"]], y).y.tolist() == [0, 1, 0, 1]


def test_y_of_a_series_keeps_its_name_and_ignores_its_index():
    table = read_table(HOUSES[["size"]], HOUSES["dear"].set_axis([9, 8, 7, 6]))
    assert table.target == "dear"
    assert table.y.tolist() == [0, 1, 0, 1]


def test_y_of_polars_is_read():
    polars = pytest.importorskip("polars")
    assert read_table(HOUSES[["size"]], polars.Series("dear", ["a", "b"] * 2)).classes.tolist() == ["a", "b"]


def test_features_that_still_hold_the_target_are_refused():
    assert message_of(HOUSES, HOUSES["dear"]) == (
        "the features still hold the target 'dear'\n"
        "  where: the table\n"
        "  try:   X.drop(columns='dear'), or target='dear' without y"
    )


def test_a_missing_target_lists_the_columns():
    assert message_of(HOUSES, error=DataError) == (
        "the target is not named; the columns are: size, zone, owner, sold, weight, dear\n"
        "  where: the table\n"
        '  try:   target="dear"'
    )


def test_a_wrong_name_gives_the_nearest_column(tmp_path):
    HOUSES.to_csv(tmp_path / "houses.csv", index=False)
    assert message_of(tmp_path / "houses.csv", target="daer", error=UnknownNameError) == (
        "no column named 'daer'\n  where: houses.csv\n  try:   dear"
    )


def test_all_problems_of_a_table_are_shown_together():
    frame = HOUSES.assign(odd=[[1], [2], [3], [4]], dear=["no", None, "no", "yes"], weight=[1, -1, 1, 1])
    message = message_of(frame, target="dear", groups="ownr", sample_weight="weight")
    assert message.startswith("4 problems:\n1. the target is missing in 1 of 4 rows")
    assert "no column named 'ownr'" in message
    assert "1 negative weight" in message
    assert "column 'odd' holds values of type list" in message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.empty((0, 3)), "0 sample(s) (shape=(0, 3)) while a minimum of 1 is required."),
        (np.empty((3, 0)), "0 feature(s) (shape=(3, 0)) while a minimum of 1 is required."),
        ([[1, 2]], "one row is too few (n_samples = 1)"),
        ([[1, 2], [3, 4]], "the table has 2 rows and y has 3"),
    ],
)
def test_shapes_are_refused_in_the_words_of_scikit_learn(data, says):
    assert says in message_of(data, [0, 1, 0], error=DataError)


def test_arrays_without_y_say_that_y_is_required():
    assert "requires y to be passed, but the target y is None" in message_of([[1], [2]])


def test_y_of_two_columns_is_refused():
    assert "y should be a 1d array" in message_of([[1], [2]], [[1, 2], [3, 4]])
    assert "Complex data not supported" in message_of([[1], [2]], np.array([1j, 2j]))


def test_a_table_of_the_target_alone_is_refused():
    assert "no column is left to learn from: 0 feature(s)" in message_of(HOUSES[["dear"]], target="dear")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"groups": ["x", None, "y", "y"]}, "1 row without a group (rows 1; the first row is 0)"),
        ({"time": "zone"}, "no dates or numbers: 'a', 'b'"),
        ({"time": [1, np.nan, 2, 3]}, "1 row without a time"),
        ({"sample_weight": [0, 0, 0, 0]}, "all weights are 0"),
        ({"sample_weight": [1, np.inf, 1, 1]}, "1 row without a weight"),
        ({"sample_weight": "zone"}, "weights are numbers, and 'a' is none"),
        ({"groups": [1, 2]}, "the table has 4 rows and groups has 2"),
        ({"groups": 5}, "groups=5 is no column"),
        ({"groups": "dear"}, "'dear' is the target"),
    ],
)
def test_groups_time_and_weights_must_be_whole(options, says):
    assert says in message_of(HOUSES, target="dear", **options)


def test_group_codes_do_not_depend_on_the_order_of_rows():
    backwards = HOUSES.iloc[::-1]
    codes = read_table(backwards, target="dear", groups="owner").groups
    assert codes[::-1].tolist() == read_table(HOUSES, target="dear", groups="owner").groups.tolist()


def test_a_test_table_is_read_like_the_training_table():
    table = read_table(HOUSES.drop(columns=["owner", "sold"]), target="dear", positive="no", sample_weight="weight")
    given = HOUSES.iloc[[1, 0], ::-1].assign(extra=1)
    test = read_test_table(given, table, sample_weight="weight")
    assert list(test.X) == ["size", "zone"]
    assert test.classes.tolist() == ["yes", "no"]
    assert test.y.tolist() == [0, 1]
    assert test.weight.tolist() == [1.0, 1.0]


def test_a_test_table_may_have_one_row_and_hold_numbers_as_text():
    table = read_table([[1], [2], [3]], [0.5, 1.5, 2.5])
    assert read_test_table([[1]], table, ["7.5"]).y.tolist() == [7.5]


def test_a_test_table_with_other_columns_or_classes_is_refused():
    table = read_table(HOUSES, target="dear")
    with pytest.raises(DataError) as caught:
        read_test_table(HOUSES.rename(columns={"size": "sizes"}).assign(dear="perhaps"), table)
    assert str(caught.value) == (
        "2 problems:\n"
        "1. 1 class that the training table does not have: 'perhaps'\n"
        "  where: target 'dear'\n"
        "  try:   one of: 'no', 'yes'\n"
        "2. the column 'size' is missing\n"
        "  where: the table\n"
        "  try:   rename 'sizes' to 'size'"
    )


def test_features_to_predict_are_read_from_anything(tmp_path):
    HOUSES.to_parquet(tmp_path / "a.parquet")
    assert list(read_features(tmp_path / "a.parquet")) == list(HOUSES)
    assert list(read_features(np.zeros((1, 2)))) == ["x0", "x1"]
    assert len(read_features(HOUSES.iloc[:0])) == 0
