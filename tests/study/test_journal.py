"""Journal files: torn ends are mended, dead owners' locks are taken away, and Optuna reads what is written."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner
from mounts import read_only, small_file_system

import autotune
from autotune.cli import main
from autotune.errors import StorageError
from autotune.study.journal import JournalStudies
from autotune.study.ledger import PlainLedger, Proposal
from autotune.study.owner import this_owner
from autotune.study.storage import open_storage, study_names

GARBAGE = {
    "a line that stops": b'{"op_code":4,"worker_id":"a-1","study_',
    "a line without its end": b'{"op_code":2,"worker_id":"a-1","study_id":0,"user_attr":{"a":1}}',
    "zeros": b"\0" * 3000,
    "zeros and a line break": b"\0" * 3000 + b"\n",
    "a line of another file": b"total 48\n",
    "a long torn line": b'{"op_code":' + b"8" * 200_000,
}


def search(path: Path, n_trials: int) -> autotune.Optimization:
    words: dict[str, Any] = {"storage": path, "study_name": "s", "random_state": 0, "sampler": "random"}
    return autotune.optimize(lambda params: params["x"], {"x": autotune.Float(0, 1)}, n_trials=n_trials, **words)


def test_a_path_and_a_url_name_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.journal"
    monkeypatch.chdir(tmp_path)
    optuna.create_study(storage=open_storage(path), study_name="here")
    for storage in (str(path), f"journal://{path}", "study.journal", "journal://study.journal"):
        opened = open_storage(storage)
        assert isinstance(opened, JournalStudies) and study_names(opened) == ["here"]


def test_optuna_reads_and_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    search(path, 3)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.load_study(storage=optuna.storages.JournalStorage(backend), study_name="s")
    assert [(row.number, row.state.name) for row in study.trials] == [(n, "COMPLETE") for n in range(3)]
    study.set_user_attr("by", "another program")
    assert len(search(path, 4).records) == 4
    reread = optuna.load_study(storage=open_storage(path), study_name="s")
    assert reread.user_attrs["by"] == "another program"


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_torn_end_is_cut_off_and_kept(garbage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    before = search(path, 3)
    with path.open("ab") as file:
        file.write(garbage)
    assert study_names(open_storage(path)) == ["s"], "who only reads leaves it there"
    storage, lines = open_storage(path), []
    assert isinstance(storage, JournalStudies)
    storage.file.say = lines.append
    optuna.load_study(storage=storage, study_name="s").set_user_attr("a", 1)
    assert (tmp_path / "study.journal.torn-1").read_bytes() == garbage
    assert lines == ["study.journal ended in a torn line, which was cut off and is kept in study.journal.torn-1"]
    after = search(path, 5)
    assert after.records[:3] == before.records and len(after.records) == 5
    assert {each.name for each in tmp_path.iterdir()} == {"study.journal", "study.journal.torn-1"}


def test_a_journal_of_nothing_but_a_torn_line_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    path.write_bytes(b'{"op_code":0,"worker')
    assert len(search(path, 2).records) == 2


WRITER = """
import sys
from autotune.study.storage import open_storage
storage = open_storage(sys.argv[1])
for number in range(int(sys.argv[3])):
    storage.set_study_user_attr(0, f"{sys.argv[2]}-{number}", number)
"""


def test_torn_lines_are_mended_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    open_storage(path).create_new_study([optuna.study.StudyDirection.MINIMIZE], "s")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, "60"]) for name in "abc"]
    lock, n_torn = tmp_path / "study.journal.lock", 0
    while any(writer.poll() is None for writer in writers):
        time.sleep(0.05)
        try:  # a writer that is killed in the middle of a line: it holds the lock, and never gives it back
            lock.touch(exist_ok=False)
        except FileExistsError:
            continue
        n_torn += 1
        with path.open("ab") as file:
            file.write(b'{"op_code":2,"worker_id":"x","stu')
        lock.write_text(dead_owner())
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    attrs = open_storage(path).get_study_user_attrs(0)
    assert attrs == {f"{name}-{number}": number for name in "abc" for number in range(60)}
    assert 1 <= len(list(tmp_path.glob("*.torn-*"))) <= n_torn


def dead_owner() -> str:
    return this_owner().rpartition("/")[0] + "/1.0"  # this process, started at another time


def test_a_lock_is_waited_for_as_long_as_its_owner_lives(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    storage = open_storage(path)
    assert isinstance(storage, JournalStudies)
    with storage.alone():
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "a", "1"])
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "s")
        time.sleep(1.5)
        assert writer.poll() is None and not storage.get_study_user_attrs(0)
    assert writer.wait(120) == 0
    assert storage.get_study_user_attrs(0) == {"a-0": 0}


HOLDER = """
import sys, time
from autotune.study.storage import open_storage
storage = open_storage(sys.argv[1])
with storage.alone():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / "study.journal.lock").exists()
    started = time.monotonic()
    assert len(search(path, 2).records) == 2
    assert time.monotonic() - started < 20, "its owner is known to be dead: no grace"


@pytest.mark.parametrize("owner", ["", f"not-{socket.gethostname()}/1/1.0"], ids=["nobody known", "another host"])
def test_a_lock_that_stays_as_it_is_is_taken_away_after_a_while(
    owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.journal"
    search(path, 1)
    (tmp_path / "study.journal.lock").write_text(owner)
    (tmp_path / "study.journal.lock.breaking").touch()  # and one that was to take it away died, too
    monkeypatch.setattr("autotune.study.journal.GRACE_SECONDS", 0.5)
    started = time.monotonic()
    assert len(search(path, 2).records) == 2
    assert time.monotonic() - started > 0.5


def test_optunas_own_locks_are_respected(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    open_storage(path).create_new_study([optuna.study.StudyDirection.MINIMIZE], "s")
    for lock in (
        optuna.storages.journal.JournalFileSymlinkLock(str(path)),
        optuna.storages.journal.JournalFileOpenLock(str(path)),
    ):
        lock.acquire()
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), type(lock).__name__, "1"])
        time.sleep(1.5)
        assert writer.poll() is None
        lock.release()
        assert writer.wait(120) == 0
    assert len(open_storage(path).get_study_user_attrs(0)) == 2


def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.journal"
    path.write_text("Monday\nit rained\n")
    with pytest.raises(StorageError, match="the file is no journal of studies"):
        open_storage(path)
    assert path.read_text() == "Monday\nit rained\n"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no/s.journal", "the folder of the journal file does not exist"),
        ("folder.journal", "the path of the journal file is a folder"),
        ("file/s.journal", "the folder of the journal file is a file"),
    ],
)
def test_what_is_no_place_for_a_journal_is_named(name: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "folder.journal").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=problem):
        open_storage(tmp_path / name)


def test_a_line_that_is_damaged_in_the_middle_is_named_with_what_brings_back_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    search(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:8], b'{"op_code":4,"wor{"op_code":1}\n', *lines[8:]]))
    with pytest.raises(StorageError, match="a line of the journal is damaged") as caught:
        search(path, 4)
    assert caught.value.where == f"{path}:9"
    assert str(caught.value.hint).startswith(f"head -n 8 {path} > mended.journal")
    said = CliRunner().invoke(main, ["status", "--storage", str(path)])
    assert isinstance(said.exception, SystemExit) and "study.journal:9" in said.stderr


def test_a_journal_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "study.journal"
    path.parent.mkdir()
    search(path, 3)
    with read_only(path.parent):
        for command in ("status", "trials", "leaderboard", "studies"):
            said = CliRunner().invoke(main, [command, "--storage", str(path)])
            assert said.exit_code == 0 and said.stdout, said.stderr
        with pytest.raises(StorageError, match=r"the storage cannot be used any more: .*study.journal"):
            search(path, 4)
        said = CliRunner().invoke(main, ["stop", "--storage", str(path)])
        assert isinstance(said.exception, SystemExit) and "the storage cannot be used any more" in said.stderr
        with pytest.raises(StorageError, match=r"new.journal"):
            open_storage(path.parent / "new.journal")
    assert len(search(path, 4).records) == 4


def test_the_commands_work_on_a_journal(tmp_path: Path) -> None:
    path = str(tmp_path / "study.journal")
    search(Path(path), 3)
    for command in (["studies"], ["status"], ["trials"], ["leaderboard"], ["stop"]):
        said = CliRunner().invoke(main, [*command, "--storage", path])
        assert said.exit_code == 0 and "s" in said.stdout, said.stderr
    assert CliRunner().invoke(main, ["delete", "s", "--yes", "--storage", path]).exit_code == 0
    assert study_names(open_storage(path)) == []
    said = CliRunner().invoke(main, ["status", "--storage", str(tmp_path / "none.journal")])
    assert said.exit_code == 2 and not (tmp_path / "none.journal").exists()


def test_a_full_disk_leaves_whole_lines_and_the_study_goes_on_once_there_is_space(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small", "256k") as folder:
        path = folder / "study.journal"
        search(path, 3)
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"\0" * 512)
        with pytest.raises(StorageError, match="the storage cannot be used any more: No space left on device"):
            search(path, 60)
        assert path.read_bytes().endswith(b"\n")
        assert CliRunner().invoke(main, ["status", "--storage", str(path)]).exit_code == 0
        n_kept = len(optuna.load_study(storage=open_storage(path), study_name="s").trials)
        assert 3 <= n_kept < 60
        filler.unlink()
        records = search(path, 60).records
        assert [record.number for record in records] == list(range(60))
        assert {record.state for record in records} == {"complete"}
        assert [each.name for each in folder.iterdir()] == ["study.journal"]


def test_a_trial_of_another_host_is_taken_over_when_that_is_not_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autotune.study.ledger.BEAT_SECONDS", 0.1)
    monkeypatch.setattr("autotune.study.ledger.LEASE_SECONDS", 5.0)
    study, lines = optuna.create_study(storage=open_storage(tmp_path / "s.journal")), []
    far = PlainLedger(open_storage(tmp_path / "s.journal"), study._study_id)
    far._me = f"not-{socket.gethostname()}/1/1.0"
    assert far.claim(lambda number: Proposal({}, {}), None) == 0
    here = PlainLedger(study._storage, study._study_id, lines.append)
    until = time.monotonic() + 7
    while time.monotonic() < until:
        assert not here.adopt(0), "it beats"
        time.sleep(0.1)
    far._held.clear()  # as if it were gone
    while not here.adopt(0):
        assert time.monotonic() < until + 60
        time.sleep(0.1)
    assert f"not-{socket.gethostname()} has not been heard of" in lines[-1]
