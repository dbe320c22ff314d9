"""SQLite files that are not right, or not ours: refused with what to do, through every door, and left as they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pandas as pd
import pytest
from click.testing import CliRunner
from mounts import read_only

import autotune
from autotune.cli import main
from autotune.errors import StorageError
from autotune.study.storage import open_storage, study_names

TABLE = pd.DataFrame({"x": range(40), "y": ["a", "b"] * 20})

OF_VERSION = """
import os, sys, sqlite3, optuna
from alembic import command, config
folder = os.path.dirname(optuna.storages._rdb.__file__)
words = config.Config(os.path.join(folder, "alembic.ini"))
words.set_main_option("script_location", os.path.join(folder, "alembic"))
words.set_main_option("sqlalchemy.url", "sqlite:///" + sys.argv[1])
command.upgrade(words, "v3.0.0.d")
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("INSERT INTO version_info VALUES (1, 12, '3.0.0')")
    connection.execute("INSERT INTO studies VALUES (1, 'old')")
"""


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def of_another_program(path: Path) -> None:
    execute(path, "CREATE TABLE orders (id)", "CREATE TABLE studies (id, title)", "INSERT INTO orders VALUES (3)")


def of_an_older_optuna(path: Path) -> None:
    subprocess.run([sys.executable, "-c", OF_VERSION, str(path)], check=True, capture_output=True)


def of_a_newer_optuna(path: Path) -> None:
    open_storage(path)
    execute(path, "UPDATE alembic_version SET version_num = 'v9.0.0.a'", "PRAGMA wal_checkpoint(TRUNCATE)")


def no_database(path: Path) -> None:
    path.write_text("this is no database at all\n" * 100)


def damaged(path: Path) -> None:
    open_storage(path)
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 20_000)


WRONG: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "another program's": (
        of_another_program,
        "the SQLite file belongs to another program: it holds the tables 'orders', 'studies'",
        "a file of its own: {folder}/autotune.db",
    ),
    "an older Optuna's": (
        of_an_older_optuna,
        "the database was made by an older Optuna, and is to be upgraded first",
        "optuna storage upgrade --storage sqlite:///{path}",
    ),
    "a newer Optuna's": (of_a_newer_optuna, "the database was made by a newer Optuna", "pip install -U optuna"),
    "no database": (no_database, "the storage cannot be opened: file is not a database", "name another file"),
    "damaged": (damaged, "the storage cannot be opened: ", "check that"),
    "a folder": (Path.mkdir, "the path of the SQLite file is a folder", "a file in it: {path}/study.db"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_study_file_is_refused_by_every_door_and_left_as_it_is(kind: str, tmp_path: Path) -> None:
    make, problem, hint = WRONG[kind]
    path = tmp_path / "study.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    hint = hint.format(path=path, folder=tmp_path)
    with pytest.raises(StorageError) as caught:
        autotune.tune(TABLE, target="y", storage=path)
    assert caught.value.problem.startswith(problem) and hint in str(caught.value.hint)
    with pytest.raises(StorageError):
        autotune.AutoTuneClassifier(storage=str(path)).fit(TABLE[["x"]], TABLE["y"])
    said = CliRunner().invoke(main, ["run", str(tmp_path / "table.csv"), "--target", "y", "--storage", str(path)])
    assert isinstance(said.exception, SystemExit) and said.exit_code in (1, 2)
    assert problem in said.stderr and hint in said.stderr
    if path.is_file():
        said = CliRunner().invoke(main, ["status", "--storage", str(path)])
        assert isinstance(said.exception, SystemExit) and problem in said.stderr
        assert path.read_bytes() == before


def test_the_command_that_is_named_upgrades(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    of_an_older_optuna(path)
    with pytest.raises(StorageError) as caught:
        open_storage(path)
    program, *arguments = str(caught.value.hint).split()
    assert program == "optuna"
    script = "import sys; from optuna.cli import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True)
    assert study_names(open_storage(path)) == ["old"]


def test_an_empty_file_becomes_a_study_file(tmp_path: Path) -> None:
    (tmp_path / "study.db").touch()
    optuna.create_study(storage=open_storage(tmp_path / "study.db"), study_name="here")
    assert study_names(open_storage(tmp_path / "study.db")) == ["here"]


def test_tables_that_were_left_half_made_are_completed(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    execute(path, "CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512) NOT NULL)")
    optuna.create_study(storage=open_storage(path), study_name="here")
    assert study_names(open_storage(path)) == ["here"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="the folder of the SQLite file is a file"):
        open_storage(tmp_path / "file" / "study.db")


@pytest.mark.parametrize("name", ["a study {1}.db", "100%.db"])
def test_names_of_files_may_hold_what_urls_do_not(name: str, tmp_path: Path) -> None:
    optuna.create_study(storage=open_storage(tmp_path / name), study_name="here")
    assert study_names(open_storage(tmp_path / name)) == ["here"]
    assert (tmp_path / name).exists()


def test_a_file_that_cannot_be_written_is_refused_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "a study.db"
    path.parent.mkdir()
    where = {"storage": path, "study_name": "s", "random_state": 0}
    autotune.optimize(lambda params: params["x"], {"x": autotune.Float(0, 1)}, n_trials=3, **where)
    with read_only(path.parent):
        with pytest.raises(StorageError, match="the SQLite file cannot be written") as caught:
            autotune.optimize(lambda params: params["x"], {"x": autotune.Float(0, 1)}, n_trials=4, **where)
        assert caught.value.hint == f"chmod u+w {path.parent}, or another file"
        for command in ("status", "trials", "leaderboard", "studies"):
            said = CliRunner().invoke(main, [command, "--storage", str(path)])
            assert said.exit_code == 0 and said.stdout, said.stderr
        for command in (["stop"], ["delete", "s", "--yes"]):
            said = CliRunner().invoke(main, [*command, "--storage", str(path)])
            assert isinstance(said.exception, SystemExit) and "the SQLite file cannot be written" in said.stderr
        with pytest.raises(StorageError, match="the SQLite file cannot be written"):
            open_storage(path.parent / "new.db")
    assert (
        len(autotune.optimize(lambda params: params["x"], {"x": autotune.Float(0, 1)}, n_trials=4, **where).records)
        == 4
    )


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_refused_with_the_reason(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:9 / {tmp_path}/far rw - {kind} box:/far rw\n")
    monkeypatch.setattr("autotune.study.file_systems.MOUNTS", mounts)
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    with pytest.raises(StorageError) as caught:
        open_storage(tmp_path / "near" / "study.db")
    assert str(caught.value) == (
        f"the SQLite file would be on a network file system ({kind}), where its locks do not hold\n"
        f"  where: {tmp_path}/near/study.db\n"
        f"  try:   storage='{tmp_path}/near/study.journal', a journal file, or a database server's URL"
    )
    assert not any((tmp_path / "far").iterdir())
    open_storage(tmp_path / "study.db")
    open_storage(tmp_path / "near" / "study.journal")


@pytest.mark.parametrize("name", ["what?.db", "100%41.db", "a?b=c&d.db", "{x}%.db"])
def test_a_path_means_the_file_of_that_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.create_study(storage=open_storage(name), study_name="here")
    assert (tmp_path / name).is_file()
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {name}
    assert study_names(open_storage(tmp_path / name, reading=True)) == ["here"]
