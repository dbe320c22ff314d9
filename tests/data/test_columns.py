import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow
import pytest

from autotune.data.columns import as_levels, read_cells, seconds, settle, text_of
from autotune.errors import DataError


def form_of(values, **options):
    return settle(read_cells(pd.Series(values, **options))).form


@pytest.mark.parametrize(
    ("values", "dtype", "form"),
    [
        ([1, 2], None, "number"),
        ([1, None], "Int64", "number"),
        ([1, None], "int64[pyarrow]", "number"),
        ([decimal.Decimal("1.5"), None], None, "number"),
        ([None, None], object, "number"),
        (["1", " ", "2e3"], None, "number"),
        ([True, False], None, "boolean"),
        ([True, None, False], object, "boolean"),
        ([True, None], "boolean", "boolean"),
        (["true", "False", None], None, "boolean"),
        ([True, False], "category", "boolean"),
        (["0", "1"], None, "number"),
        (["2024-01-31", None], None, "date"),
        (["2024-01"], None, "date"),
        (["2024/01/31"], None, "date"),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00:00.5+01:00"], None, "date"),
        (["2024-01-31", "soon"], None, "text"),
        (["2024-13-31"], None, "text"),
        (["31.01.2024"], None, "text"),
        (["2024"], None, "number"),
        ([dt.date(2024, 1, 31), None], None, "date"),
        ([dt.datetime(2024, 1, 31), None], object, "date"),
        (pd.period_range("2024-01", periods=2, freq="M"), None, "date"),
        (["a", "b"], None, "text"),
        ([1, "b"], None, "text"),
        ([1, 2], "category", "text"),
        (["1", "2"], "category", "text"),
        ([dt.time(10), dt.time(11)], None, "text"),
        ([dt.timedelta(hours=1), None], object, "number"),
        (["a", None], "string[pyarrow]", "text"),
        (["a", None], pd.ArrowDtype(pyarrow.string()), "text"),
        ([dt.date(2024, 1, 31), None], pd.ArrowDtype(pyarrow.date32()), "date"),
        (pd.arrays.SparseArray([0, 1]), None, "number"),
    ],
)
def test_a_column_is_read_for_what_its_cells_hold(values, dtype, form):
    assert form_of(values, dtype=dtype) == form


def test_dates_are_read_in_utc():
    aware = pd.Series(pd.to_datetime(["2024-01-31 01:00"]).tz_localize("Europe/Berlin"))
    assert read_cells(aware).dates[0] == pd.Timestamp("2024-01-31 00:00")
    assert settle(read_cells(pd.Series(["2024-01-31 01:00+01:00"]))).dates[0] == pd.Timestamp("2024-01-31 00:00")


def test_seconds_count_from_1970_and_keep_gaps():
    dates = read_cells(pd.Series(pd.to_datetime(["1970-01-02", None]))).dates
    np.testing.assert_array_equal(seconds(dates), [86400.0, np.nan])


def test_lengths_of_time_become_seconds_and_say_so():
    cells = read_cells(pd.Series(pd.to_timedelta(["1h", None])))
    np.testing.assert_array_equal(cells.numbers, [3600, np.nan])
    assert cells.remarks == ("lengths of time, read as seconds",)


def test_blank_text_is_missing_and_counted():
    cells = read_cells(pd.Series(["a", "", " ", None]))
    assert cells.codes.tolist() == [0, -1, -1, -1]
    assert cells.remarks == ("2 blank cells read as missing",)


def test_equal_texts_are_one_level_whatever_their_type():
    codes, levels = as_levels(read_cells(pd.Series([1, "1", 1.0, "b"], dtype=object)))
    assert levels[codes].tolist() == ["1", "1", "1", "b"]


def test_unused_categories_are_no_levels():
    column = pd.Series(pd.Categorical(["a", "b", None], categories=["c", "b", "a"], ordered=True))
    cells = read_cells(column)
    assert cells.levels.tolist() == ["b", "a"]
    assert cells.ordered


@pytest.mark.parametrize(
    ("values", "kind"), [([[1], [2]], "list"), ([{"a": 1}], "dict"), ([b"a"], "bytes"), ([(1, 2)], "tuple")]
)
def test_containers_are_refused_by_column_and_type(values, kind):
    with pytest.raises(DataError) as caught:
        read_cells(pd.Series(values, name="odd"))
    assert str(caught.value) == (
        f"column 'odd' holds values of type {kind}, which no model reads\n"
        "  try:   turn it into numbers or text, or drop the column"
    )


def test_an_array_of_bytes_is_refused_too():
    with pytest.raises(DataError, match="values of type bytes"):
        read_cells(pd.Series(np.array([b"a", b"b"])))


@pytest.mark.parametrize("dtype", [None, object])
def test_complex_numbers_are_refused(dtype):
    with pytest.raises(DataError, match="Complex data not supported"):
        read_cells(pd.Series([1 + 2j], dtype=dtype))


def test_text_of_whole_numbers_has_no_fraction():
    assert text_of([1, 2.0, 2.5, True, "x"]).tolist() == ["1", "2", "2.5", "True", "x"]
