"""A disk that is full while a study is written: a clear error, what was told can be read, and it goes on later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from mounts import small_file_system
from optuna.trial import TrialState
from sqlalchemy import Engine, event

import autotune
from autotune.errors import StorageError
from autotune.study.storage import open_storage

OVER = {TrialState.COMPLETE, TrialState.PRUNED}


def rows(storage: Path) -> dict[int, Any]:
    (name,) = optuna.get_all_study_names(open_storage(storage))
    trials = optuna.load_study(study_name=name, storage=open_storage(storage)).trials
    return {row.number: (row.state, row.values, row.params) for row in trials}


def finished(storage: Path) -> dict[int, Any]:
    return {number: row for number, row in rows(storage).items() if row[0] in OVER}


def fill(file: Path, spared: int) -> None:
    """Take the space of a file system but for so many bytes."""
    with file.open("wb", buffering=0) as opened, pytest.raises(OSError, match="No space"):
        while True:
            opened.write(b"\0" * 4096)
    with file.open("rb+") as opened:
        opened.truncate(file.stat().st_size - spared)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_on_a_full_disk_ends_with_an_error_and_goes_on_when_there_is_space(
    n_jobs: int, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": X[:, 0] > 0}).to_csv(tmp_path / "table.csv", index=False)

    def tune(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autotune", *arguments, "--storage", str(storage)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def search(n_trials: int) -> subprocess.CompletedProcess[str]:
        words = ("--space", "linear", "--sampler", "random", "--random-state", "0", "--n-jobs", str(n_jobs))
        return tune("run", str(tmp_path / "table.csv"), "--target", "y", *words, "--n-trials", str(n_trials))

    with small_file_system(tmp_path / "small", "16m") as folder:
        storage = folder / "study.db"
        assert search(3).returncode == 0
        fill(folder / "filler", spared=80_000)
        full = search(60)
        assert full.returncode == 1 and "Traceback" not in full.stderr
        assert "the storage cannot be used any more: database or disk is full" in full.stderr
        assert "run the same command again when this is mended" in full.stderr
        for command in ("status", "trials", "leaderboard"):
            read = tune(command)
            assert read.returncode == 0, read.stderr
        told = finished(storage)
        assert 3 <= len(told) < 60
        (folder / "filler").unlink()
        assert search(60).returncode == 0
        after = rows(storage)
        assert sorted(after) == list(range(60))
        assert {state for state, *_ in after.values()} <= OVER
        assert {number: after[number] for number in told} == told


def test_a_file_that_may_not_grow_is_as_a_full_disk(tmp_path: Path) -> None:
    storage = tmp_path / "study.db"

    def search(n_trials: int) -> autotune.Optimization:
        words: dict[str, Any] = {"storage": storage, "study_name": "s", "random_state": 0, "sampler": "random"}
        return autotune.optimize(lambda params: params["x"], {"x": autotune.Float(0, 1)}, n_trials=n_trials, **words)

    def stays_small(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {storage.stat().st_size // 4096 + 12}")

    search(3)
    event.listen(Engine, "connect", stays_small)
    try:
        with pytest.raises(StorageError, match="the storage cannot be used any more: database or disk is full"):
            search(200)
    finally:
        event.remove(Engine, "connect", stays_small)
    told = finished(storage)
    assert 3 <= len(told) < 200
    assert [record.number for record in search(200).records] == list(range(200))
    assert {number: row for number, row in rows(storage).items() if number in told} == told
