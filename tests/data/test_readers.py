import gzip
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from autotune.data.readers import read_source, without_row_numbers
from autotune.errors import DataError, MissingPackageError

FRAME = pd.DataFrame(
    {"size": [1.5, 2.0, None], "zone": ["a,b", None, "c"], "new": [True, False, True], "sold": ["2024-01-01"] * 3}
)
WRITERS = {
    "houses.csv": lambda path: FRAME.to_csv(path, index=False),
    "houses.csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "houses.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "houses.txt": lambda path: FRAME.to_csv(path, index=False, sep="|"),
    "houses.parquet": lambda path: FRAME.to_parquet(path),
    "houses.feather": lambda path: FRAME.to_feather(path),
    "houses.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "houses.ndjson": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "houses.json": lambda path: FRAME.to_json(path, orient="records"),
    "houses.xlsx": lambda path: FRAME.to_excel(path, index=False),
}


def message_of(data):
    with pytest.raises(DataError) as caught:
        read_source(data)
    return str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_frame(tmp_path, name):
    WRITERS[name](tmp_path / name)
    source = read_source(tmp_path / name)
    pd.testing.assert_frame_equal(source.frame, FRAME, check_dtype=False)
    assert (source.name, source.where) == ("houses", name)


def test_json_lines_in_a_json_file(tmp_path):
    FRAME.to_json(tmp_path / "a.json", orient="records", lines=True)
    assert len(read_source(str(tmp_path / "a.json")).frame) == 3


def test_a_semicolon_is_found_and_said(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv", sep=";", index=False)
    source = read_source(tmp_path / "a.csv")
    assert source.frame.shape == (3, 4)
    assert source.notes == ("fields are divided by ';'",)


def test_numbers_survive_a_csv_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=1000)
    pd.DataFrame({"x": values}).to_csv(tmp_path / "a.csv", index=False)
    np.testing.assert_array_equal(read_source(tmp_path / "a.csv").frame["x"], values)


def test_a_saved_row_index_is_left_out_and_said(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv")
    source = without_row_numbers(read_source(tmp_path / "a.csv"))
    assert list(source.frame) == list(FRAME)
    assert source.notes == ("column 'Unnamed: 0' numbers the rows, so it looks like a saved row index; left out",)


def test_an_unnamed_column_that_does_not_number_the_rows_is_kept(tmp_path):
    FRAME.set_axis([7, 9, 8]).to_csv(tmp_path / "a.csv")
    assert "Unnamed: 0" in without_row_numbers(read_source(tmp_path / "a.csv")).frame


def test_row_names_without_a_header_are_left_out_and_said(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\nr1,1,2\nr2,3,4\n")
    source = read_source(tmp_path / "a.csv")
    assert source.frame.to_dict("list") == {"x": [1, 3], "y": [2, 4]}
    assert source.notes == (
        "rows have one field more than there are names: the first was taken as row names and left out",
    )


def test_the_first_sheet_is_read_and_said(tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        FRAME.to_excel(book, sheet_name="one", index=False)
        FRAME.to_excel(book, sheet_name="two", index=False)
    assert read_source(tmp_path / "a.xlsx").notes == ("the first sheet, 'one', was read; the other 1 left out",)


def test_excel_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    FRAME.to_excel(tmp_path / "a.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingPackageError, match=r'pip install "autotune-toolkit\[excel\]"'):
        read_source(tmp_path / "a.xlsx")


def test_duplicate_names_are_found_in_files_and_frames(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,a\n1,2,3\n")
    assert message_of(tmp_path / "a.csv") == (
        "more than one column is named 'a'\n  where: a.csv\n  try:   a name of its own for each column"
    )
    assert "named 'a'" in message_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "churn.csv").write_text("a\n1\n")
    wrong = tmp_path / "chrun.csv"
    assert message_of(wrong) == f"no file {str(wrong)!r}\n  try:   {tmp_path / 'churn.csv'}"


def test_files_that_cannot_be_read_say_where_and_why(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    assert message_of(tmp_path / "empty.csv") == "the file is empty\n  where: empty.csv"
    (tmp_path / "a.foo").write_text("a")
    assert message_of(tmp_path / "a.foo").startswith(
        "a file ending in '.foo' cannot be read\n  where: a.foo\n  try:   one of: .csv, .tsv"
    )
    (tmp_path / "a.parquet").write_text("hello")
    assert message_of(tmp_path / "a.parquet").startswith("the file cannot be read as parquet: ")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-20])
    assert message_of(tmp_path / "a.csv.gz").startswith("the file cannot be read as csv: ")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    assert "Expected 2 fields in line 3, saw 4" in message_of(tmp_path / "a.csv")
    (tmp_path / "latin.csv").write_bytes("a,b\né,1\n".encode("latin1"))
    assert "save it as UTF-8" in message_of(tmp_path / "latin.csv")
    assert message_of(tmp_path).endswith("is a folder\n  try:   one file")


def test_frames_of_polars_and_arrow_are_read():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, None], "b": ["x", None]})
    for given in (frame, frame.lazy(), frame.to_arrow()):
        assert read_source(given).frame.shape == (2, 2)


def test_mappings_records_and_lists_of_rows_are_read():
    assert read_source({"a": [1, 2]}).frame["a"].tolist() == [1, 2]
    assert read_source([{"a": 1}, {"a": 2}]).frame["a"].tolist() == [1, 2]
    source = read_source([[1, "x"], [2, "y"]])
    assert list(source.frame) == ["x0", "x1"]
    assert source.frame["x0"].dtype == np.int64


def test_an_index_with_a_name_is_said_to_be_no_feature():
    source = read_source(FRAME.set_index("sold"))
    assert source.notes == ("the index 'sold' is no feature; frame.reset_index() makes it one",)
    by_date = FRAME.set_axis(pd.date_range("2024-01-01", periods=3))
    assert read_source(by_date).notes == ("the index of dates is no feature; frame.reset_index() makes it one",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([1, 2, 3], "Reshape your data"),
        (pd.Series([1, 2]), "Reshape your data"),
        (np.zeros((2, 2, 2)), "an array of 3 dimensions is no table"),
        (np.array([[1j]]), "Complex data not supported"),
        ([[1, 2], [3]], "rows of 1 to 2 values make no table"),
        (5, "int is no table"),
        (None, "NoneType is no table"),
        ({"a": [1], "b": [1, 2]}, "dict is no table"),
    ],
)
def test_what_is_no_table_is_refused(data, says):
    assert says in message_of(data)


def test_columns_of_several_levels_are_refused():
    frame = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")]))
    assert "the columns have names of several levels" in message_of(frame)


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    assert "sparse" in message_of(sparse.csr_matrix([[1]]))


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_json_gives_each_number_back_to_its_last_digit(tmp_path, suffix):
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=200) * 1e-7, "b": range(200)})
    records = frame.to_dict("records")
    text = json.dumps(records) if suffix == ".json" else "\n".join(map(json.dumps, records))
    (tmp_path / f"t{suffix}").write_text(text)
    pd.testing.assert_frame_equal(read_source(tmp_path / f"t{suffix}").frame, frame, check_exact=True)


KEPT = """
import sys
import pandas, pyarrow
from autotune.data.readers import read_source

def megabytes():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024

before = megabytes()
source = read_source(sys.argv[1])
print((megabytes() - before) / (source.frame.memory_usage().sum() / 2**20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_of_a_large_file_no_second_copy_stays_in_memory(tmp_path):
    path = tmp_path / "large.parquet"
    draws = np.random.default_rng(0).normal(size=(200_000, 25)).round(3)
    pd.DataFrame(draws, columns=[f"c{i}" for i in range(25)]).to_parquet(path)
    done = subprocess.run([sys.executable, "-c", KEPT, str(path)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.4, "tables in memory"
