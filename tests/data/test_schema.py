import numpy as np
import pandas as pd
import pytest

from autotune.data.schema import decide, encode, fingerprint_table
from autotune.data.tables import read_table
from autotune.errors import DataError

N = 60


def kinds(frame):
    return {column.name: column.kind for column in decide(frame)[0].columns}


def encoded(schema_of, X, **options):
    return encode(decide(pd.DataFrame(schema_of))[0], pd.DataFrame(X), **options)


def refusal(schema_of, X):
    with pytest.raises(DataError) as caught:
        encoded(schema_of, X)
    return str(caught.value)


class TestDecide:
    def test_columns_keep_their_order_and_get_a_kind(self):
        frame = pd.DataFrame(
            {
                "zone": ["a", "b", "a"],
                "size": [1, 2, 3],
                "new": [True, False, None],
                "sold": ["2024-01-01", "2024-02-01", None],
                "grade": pd.Categorical([1, 2, 1]),
            }
        )
        assert kinds(frame) == {
            "zone": "categorical",
            "size": "numeric",
            "new": "boolean",
            "sold": "datetime",
            "grade": "categorical",
        }
        assert decide(frame)[0].columns[4].levels == ("1", "2")

    def test_text_that_holds_numbers_is_read_as_numbers_and_said(self):
        schema, notes = decide(pd.DataFrame({"charges": ["29.85", " ", "108.15"]}))
        assert schema.columns[0].kind == "numeric"
        assert notes == ("column 'charges': text that holds numbers; 1 blank cell read as missing",)

    def test_empty_constant_and_identifying_columns_are_left_out_and_said(self):
        frame = pd.DataFrame(
            {
                "size": range(N),
                "none": [None] * N,
                "nan": [np.nan] * N,
                "one": [1.0] * N,
                "same": ["x"] * N,
                "day": ["2024-01-01"] * N,
                "name": [f"name {i}" for i in range(N)],
            }
        )
        schema, notes = decide(frame)
        assert [column.name for column in schema.columns] == ["size"]
        assert schema.dropped == ("none", "nan", "one", "same", "day", "name")
        assert notes == (
            "empty, left out: 'none', 'nan'",
            "constant, left out: 'one', 'same', 'day'",
            "another text in each row (names or free text), left out: 'name'",
        )

    def test_one_value_beside_gaps_is_no_constant(self):
        assert len(kinds(pd.DataFrame({"a": ["x", None], "b": [1, None], "c": ["2024-01-01", None]}))) == 3

    def test_few_rows_of_distinct_text_are_kept(self):
        assert kinds(pd.DataFrame({"name": list("abcd")})) == {"name": "categorical"}

    def test_many_levels_are_kept_and_said(self):
        values = [f"street {i % 1500}" for i in range(3000)]
        schema, notes = decide(pd.DataFrame({"street": values}))
        assert len(schema.columns[0].levels) == 1500
        assert notes == ("column 'street': 1,500 levels",)

    def test_a_word_among_numbers_is_said(self):
        _, notes = decide(pd.DataFrame({"power": [str(i % 30) for i in range(N)] + ["?"]}))
        assert notes == ("column 'power': read as text, though most of it is numbers, because of '?'",)

    def test_only_the_parts_of_a_date_that_vary_are_kept(self):
        days = pd.date_range("2024-01-01", periods=3)
        schema, notes = decide(pd.DataFrame({"sold": days}))
        assert schema.numeric_names == ("sold.time", "sold.day", "sold.weekday")
        assert notes == ("column 'sold': dates, read as time, day, weekday",)
        years = pd.to_datetime(["2020-01-01 10:30", "2021-06-03 11:45"])
        parts = decide(pd.DataFrame({"sold": years}))[0].columns[0].parts
        assert parts == ("time", "year", "month", "day", "weekday", "hour", "minute")

    def test_levels_are_sorted_but_for_ordered_categories(self):
        sizes = pd.Categorical(["small", "large", "small"], categories=["small", "medium", "large"], ordered=True)
        schema, _ = decide(pd.DataFrame({"size": sizes, "zone": ["b", "a", "b"]}))
        assert [column.levels for column in schema.columns] == [("small", "large"), ("a", "b")]

    def test_no_column_left_is_an_error(self):
        with pytest.raises(DataError) as caught:
            decide(pd.DataFrame({"a": [1, 1], "b": [None, None]}))
        assert str(caught.value) == "no column is left to learn from: empty, left out: 'b'; constant, left out: 'a'"


class TestEncode:
    def test_codes_are_levels_missing_and_unknown(self):
        rows, notes = encoded({"zone": ["a", "b", "c"]}, {"zone": ["b", None, "z", "c"]})
        assert rows.categorical[:, 0].tolist() == [2, 0, -1, 3]
        assert rows.categorical.dtype == np.int32
        assert notes == ()

    def test_order_and_extra_columns_do_not_matter(self):
        rows, _ = encoded({"a": [1, 2], "b": [3, 5]}, {"extra": [[]], "b": [7], "a": [8]})
        assert rows.numeric.tolist() == [[8.0, 7.0]]

    def test_numbers_booleans_and_dates_become_floats(self):
        X = {"new": [True, None], "day": ["2024-01-31", None], "size": [1, 2]}
        known = {"new": [True, False], "day": ["2024-01-01", "2024-01-02"], "size": [1, 2]}
        rows, _ = encoded(known, X)
        stamp = pd.Timestamp("2024-01-31").timestamp()
        np.testing.assert_array_equal(rows.numeric, [[1, stamp, 31, 2, 1], [np.nan] * 4 + [2]])

    def test_infinities_are_missing_and_said(self):
        rows, notes = encoded({"size": [1.0, 2.0]}, {"size": [np.inf, -np.inf, 3.0]})
        np.testing.assert_array_equal(rows.numeric[:, 0], [np.nan, np.nan, 3.0])
        assert notes == ("column 'size': 2 infinite cells read as missing",)

    def test_missing_columns_are_all_named_with_the_nearest(self):
        assert refusal({"size": [1, 2], "zone": ["a", "b"]}, {"Size": [1], "x": [1]}) == (
            "2 columns 'size', 'zone' are missing\n  where: the table\n  try:   rename 'Size' to 'size'"
        )

    @pytest.mark.parametrize(
        ("known", "given", "was", "now"),
        [
            ([1, 2], ["big", "2"], "numbers", "'big'"),
            ([1, 2], pd.to_datetime(["2024-01-01"]), "numbers", "'2024-01-01 00:00:00'"),
            ([True, False], [7], "true and false", "'7'"),
            ([True, False], ["maybe"], "true and false", "'maybe'"),
            (["2024-01-01", "2024-01-02"], ["soon"], "dates", "'soon'"),
            (["2024-01-01", "2024-01-02"], [20240101], "dates", "'20240101'"),
            (["a", "b"], [3, 4], "text", "'3', '4'"),
        ],
    )
    def test_a_column_of_another_type_is_refused(self, known, given, was, now):
        assert refusal({"col": known}, {"col": given}) == (
            f"column 'col' held {was} when the model was made, and now holds {now}\n"
            "  try:   give it the type that it had, or leave these cells empty"
        )

    def test_all_problems_are_shown_together(self):
        message = refusal({"a": [1, 2], "b": [3, 4]}, {"a": ["x"], "b": ["y"]})
        assert message.startswith("2 problems:\n1. column 'a' held numbers")

    def test_our_own_rows_lose_such_cells_and_say_so(self):
        rows, notes = encoded({"size": [1, 2]}, {"size": ["big", "2"]}, strict=False)
        np.testing.assert_array_equal(rows.numeric[:, 0], [np.nan, 2.0])
        assert notes == ("column 'size': read as missing, since it is numeric: 'big'",)

    def test_numbers_match_the_text_of_levels(self):
        known = {"zip": pd.Categorical(["1", "2", "1"])}
        assert encoded(known, {"zip": [2.0, 1.0, np.nan, 7.0]})[0].categorical[:, 0].tolist() == [2, 1, 0, -1]
        assert encoded(known, {"zip": [9]})[0].categorical[:, 0].tolist() == [-1]

    def test_booleans_come_as_text_and_numbers_too(self):
        rows, _ = encoded({"new": [True, False]}, {"new": ["TRUE", "0", "false"]})
        assert rows.numeric[:, 0].tolist() == [1.0, 0.0, 0.0]

    @pytest.mark.parametrize("known", [[1, 2], [True, False], ["2024-01-01", "2024-02-01"], ["a", "b"]])
    @pytest.mark.parametrize("dtype", [float, object, "datetime64[s]", "category"])
    def test_a_column_without_any_value_fits_every_kind(self, known, dtype):
        rows, _ = encoded({"col": known}, {"col": pd.Series([None, None], dtype=dtype)})
        assert np.isnan(rows.numeric).all()
        assert not rows.categorical.any()

    def test_no_rows_give_no_rows(self):
        assert len(encoded({"a": [1, 2], "b": ["x", "y"]}, {"a": [], "b": []})[0]) == 0

    def test_deciding_and_encoding_agree_on_every_form(self):
        frame = pd.DataFrame(
            {
                "text": ["1", " ", "3"],
                "flag": pd.Categorical([True, False, None]),
                "day": pd.to_datetime(["2024-01-01", None, "2024-03-01"]).tz_localize("UTC"),
                "mixed": [1, "b", None],
                "length": pd.to_timedelta(["1h", "2h", None]),
            }
        )
        _, notes = encode(decide(frame)[0], frame)
        assert notes == ()


class TestFingerprint:
    @pytest.fixture
    def frame(self):
        rng = np.random.default_rng(0)
        return pd.DataFrame(
            {
                "size": rng.normal(size=40),
                "rooms": rng.integers(1, 9, 40),
                "zone": rng.choice(["a", "b", None], 40),
                "new": rng.choice([True, False], 40),
                "sold": pd.date_range("2024-01-01", periods=40, freq="h"),
                "owner": [f"o{i // 4}" for i in range(40)],
                "price": rng.normal(size=40),
            }
        )

    def digest(self, data, **options):
        return fingerprint_table(read_table(data, target="price", groups="owner", time="sold", **options))

    def test_it_has_sixteen_digits(self, frame):
        assert len(self.digest(frame)) == 16

    def test_csv_parquet_and_slice_are_equal(self, frame, tmp_path):
        frame.to_csv(tmp_path / "a.csv", index=False)
        frame.to_parquet(tmp_path / "a.parquet")
        longer = pd.concat([frame.iloc[:5], frame])
        expected = self.digest(frame)
        assert self.digest(tmp_path / "a.csv") == expected
        assert self.digest(tmp_path / "a.parquet") == expected
        assert self.digest(longer.iloc[5:]) == expected

    def test_types_do_not_matter(self, frame):
        other = frame.assign(
            rooms=frame["rooms"].astype(float),
            zone=frame["zone"].astype("category"),
            new=frame["new"].astype("boolean"),
            sold=frame["sold"].dt.strftime("%Y-%m-%d %H:%M:%S"),
            owner=frame["owner"].astype("category"),
        )
        assert self.digest(other) == self.digest(frame)

    @pytest.mark.parametrize("column", ["size", "rooms", "zone", "new", "sold", "owner", "price"])
    def test_one_other_value_matters(self, frame, column):
        changed = frame.copy()
        rows = [3, 8] if frame[column].iloc[3] != frame[column].iloc[8] else [3, 9]
        changed.loc[rows, column] = frame.loc[rows[::-1], column].to_numpy()
        if changed[column].equals(frame[column]):
            changed.loc[3, column] = not changed.loc[3, column] if column == "new" else None
        assert self.digest(changed) != self.digest(frame)

    def test_a_name_the_weights_and_the_positive_class_matter(self, frame):
        assert self.digest(frame.rename(columns={"size": "sizes"})) != self.digest(frame)
        assert self.digest(frame, sample_weight=np.ones(40)) != self.digest(frame)
        options = {"target": "new"}
        first = fingerprint_table(read_table(frame, positive=True, **options))
        assert first != fingerprint_table(read_table(frame, positive=False, **options))
