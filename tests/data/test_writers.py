from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autotune.data.readers import read_source
from autotune.data.writers import find_writer, write_table
from autotune.errors import DataError, SettingsError

FRAME = pd.DataFrame({"prediction": ["no", "yes"], "probability_yes": [0.1, 1 / 3]})


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "jsonl", "json"])
def test_what_is_written_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    path.write_text("old")
    write_table(FRAME, path)
    pd.testing.assert_frame_equal(read_source(path).frame, FRAME, check_dtype=False)
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_is_an_error_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'\.png' cannot be written") as caught:
        find_writer(Path("out.png"))
    assert caught.value.hint == "one of: .csv, .csv.gz, .parquet, .jsonl, .json"


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "old.csv"
    path.write_text("old")
    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_table(FRAME, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
