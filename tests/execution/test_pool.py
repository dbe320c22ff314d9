"""Trials in worker processes: real processes, really killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mounts import small_file_system
from sklearn.linear_model import Ridge

import autotune
from autotune.data.splits import make_folds
from autotune.data.task import ALL_TASKS, Column, Problem, Rows, Schema, Task
from autotune.errors import SettingsError
from autotune.evaluation import cross_validate
from autotune.execution.events import Completed, Event, Failed, Lost, Reached, Started, Stopped, Ticket
from autotune.execution.pool import Processes
from autotune.execution.processes import CAN_FORK, THREAD_VARIABLES, ForkServer
from autotune.execution.work import OnFolds
from autotune.learners import LEARNERS, find_learner
from autotune.learners.custom import custom_learner
from autotune.learners.protocol import Resources
from autotune.metrics import METRICS, Metric
from autotune.plan import make_plan
from autotune.settings import make_settings
from autotune.spaces.space import Config

LINEAR = Config("linear", {"C": 1.0})
both_ways = pytest.mark.parametrize("forked", [True, False] if CAN_FORK else [False])
FOREVER = float("inf")
PATIENCE = 60.0


def make_task() -> Task:
    draws = np.random.default_rng(0)
    numeric = draws.normal(size=(60, 2))
    problem = Problem("regression", 0, Schema((Column("a", "numeric"), Column("b", "numeric"))), "squared")
    return Task(Rows(numeric, np.empty((60, 0), dtype=np.int32)), numeric[:, 0] + draws.normal(size=60), problem)


FOLDS = make_folds(make_task().y, "regression", cv=3)


def metric_of(function: Any) -> Metric:
    return Metric("own", ALL_TASKS, "values", False, function)


@contextmanager
def pool_of(
    function: Any = None,
    n_workers: int = 1,
    threads: int = 1,
    forked: bool = CAN_FORK,
    memory_limit: int | None = None,
    learners: Sequence[str] = ("linear",),
) -> Iterator[Processes]:
    metric = METRICS["rmse"] if function is None else metric_of(function)
    found = {name: find_learner(name) for name in learners}
    work = OnFolds(make_task(), FOLDS, metric, Resources(threads=threads), found)
    pool = Processes(n_workers, work, threads, memory_limit, ForkServer(threads) if forked else None)
    try:
        yield pool
    finally:
        pool.close()


def next_event(pool: Processes) -> Event:
    """Return what happens next, beside beginnings; what happens at the same time comes after it."""
    waiting: list[Event] = pool.__dict__.setdefault("waiting", [])
    while not waiting:
        said = pool.events(PATIENCE)
        assert said, "nothing happens any more"
        waiting.extend(event for event in said if not isinstance(event, Started))
    return waiting.pop(0)


def run_one(pool: Processes, number: int = 0, config: Config = LINEAR) -> Event:
    pool.submit(Ticket(number, config, 3))
    return finish(pool)


def finish(pool: Processes) -> Event:
    while isinstance(event := next_event(pool), Reached):
        pool.reply(event.number, True)
    return event


def alive(pid: int) -> bool:
    """Return whether a process has not ended: its first thread may be dead a moment before its others."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def children() -> list[int]:
    """Worker processes of this process: fresh interpreters, or what its fork servers have forked."""
    forked = [worker for server in processes_of(os.getpid()) for worker in processes_of(server)]
    return [*processes_of(os.getpid(), "worker"), *forked]


def processes_of(parent: int, module: str = "fork_server") -> list[int]:
    """Return the processes that a process has started, and that run a module."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if f"autotune.execution.{module}" in line]


@both_ways
def test_a_worker_gives_the_evaluation_that_this_process_gives(forked: bool) -> None:
    with pool_of(forked=forked) as pool:
        assert pool.capacity() == 1
        event = run_one(pool, 4)
        assert isinstance(event, Completed) and event.number == 4
        assert pool.capacity() == 1
    here = cross_validate(LINEAR, make_task(), FOLDS, METRICS["rmse"], seed=3, resources=Resources())
    assert (event.evaluation.score, event.evaluation.fold_scores) == (here.score, here.fold_scores)


def test_people_s_own_models_travel_to_the_workers() -> None:
    class Half(Ridge):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:
            return super().predict(X) / 2

    config = Config("half", {"alpha": 2.0})
    learners: Any = {"half": custom_learner("half", Half())}
    pool = Processes(1, OnFolds(make_task(), FOLDS, METRICS["rmse"], Resources(), learners), 1)
    try:
        event = run_one(pool, 0, config)
        assert isinstance(run_one(pool, 1), Failed)  # nothing is there beside what was sent
    finally:
        pool.close()
    assert isinstance(event, Completed), event
    here = cross_validate(config, make_task(), FOLDS, METRICS["rmse"], seed=3, resources=Resources(), learners=learners)
    assert event.evaluation.fold_scores == here.fold_scores


def test_what_cannot_travel_is_said_before_any_process_starts() -> None:
    class Locked(Ridge):  # type: ignore[misc]
        def __init__(self, lock: Any = None) -> None:
            super().__init__()
            self.lock = lock

    learners: Any = {"locked": custom_learner("locked", Locked(threading.Lock()))}
    with pytest.raises(SettingsError, match="the model cannot be sent to worker processes") as caught:
        Processes(1, OnFolds(make_task(), FOLDS, METRICS["rmse"], Resources(), learners), 1)
    assert caught.value.hint == "n_jobs=1, which needs none"


def test_one_worker_serves_trial_after_trial_and_stops_pruned_ones() -> None:
    with pool_of() as pool:
        pool.submit(Ticket(0, LINEAR, 3))
        assert pool.capacity() == 0
        assert isinstance(next_event(pool), Reached)
        pool.reply(0, False)
        assert isinstance(next_event(pool), Stopped)
        assert isinstance(run_one(pool, 1, Config("linear", {"C": -1.0})), Failed)
        assert isinstance(run_one(pool, 2), Completed)
        assert len(children()) == 1


def test_a_killed_worker_is_lost_alone_and_another_takes_its_place() -> None:
    def slow(y: Any, predictions: Any, weight: Any) -> float:
        time.sleep(0.3)
        return 1.0

    with pool_of(slow, n_workers=2) as pool:
        pool.submit(Ticket(0, LINEAR, 0))
        pool.submit(Ticket(1, LINEAR, 0))
        assert pool.capacity() == 0
        pool.kill(0)
        events = {}
        while len(events) < 2:
            event = next_event(pool)
            if isinstance(event, Reached):
                pool.reply(event.number, True)
            else:
                events[event.number] = event
        assert isinstance(events[0], Lost) and "exit code -9" in events[0].reason
        assert isinstance(events[1], Completed)
        assert isinstance(run_one(pool, 2), Completed)


@both_ways
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_worker_that_dies_idle_costs_no_attempt_and_no_hang(is_seen: bool, forked: bool) -> None:
    with pool_of(forked=forked) as pool:
        assert isinstance(run_one(pool, 0), Completed)
        (pid,) = children()
        os.kill(pid, signal.SIGKILL if is_seen else signal.SIGSTOP)
        if is_seen:
            wait_for_the_end_of([pid])
        pool.submit(Ticket(1, LINEAR, 3))
        if not is_seen:
            os.kill(pid, signal.SIGKILL)
        assert isinstance(finish(pool), Completed)


@both_ways
def test_the_last_words_of_a_worker_are_in_the_reason(forked: bool) -> None:
    def exits(y: Any, predictions: Any, weight: Any) -> float:
        print("my last words", flush=True)
        os._exit(3)

    with pool_of(exits, forked=forked) as pool:
        event = run_one(pool)
    assert isinstance(event, Lost)
    assert event.reason == "its worker process ended with exit code 3: my last words"


@both_ways
def test_printing_in_a_trial_breaks_no_message(forked: bool) -> None:
    def talkative(y: Any, predictions: Any, weight: Any) -> float:
        print("to stdout " * 1000, flush=True)
        os.write(1, b"to file descriptor 1\n" * 1000)
        subprocess.run(["echo", "from a child"], check=True)
        sys.stderr.write("to stderr\n")
        assert sys.stdin is None or sys.stdin.read() == ""
        return 1.0

    with pool_of(talkative, forked=forked) as pool:
        for number in range(3):
            event = run_one(pool, number)
            assert isinstance(event, Completed), event


def test_what_a_trial_prints_comes_with_its_end_and_with_no_other_s() -> None:
    def talkative(y: Any, predictions: Any, weight: Any) -> float:
        import ctypes

        os.write(1, b"to file descriptor 1\n")
        ctypes.CDLL(None).puts(b"from a native library")
        subprocess.run(["echo", "from a child"], check=True)
        sys.stdout.write(f"to stdout {os.environ.setdefault('TRIAL', '')}\n")
        os.environ["TRIAL"] += "I"
        return 1.0

    said = {"to file descriptor 1", "from a native library", "from a child"}
    with pool_of(talkative) as pool:
        first, second = run_one(pool, 0), run_one(pool, 1)
        failed = run_one(pool, 2, Config("linear", {"C": -1.0}))
        pool.submit(Ticket(3, LINEAR, 3))
        assert isinstance(next_event(pool), Reached)
        pool.reply(3, False)
        stopped = next_event(pool)
    assert isinstance(first, Completed) and isinstance(second, Completed)
    assert said < set(first.log.replace("to stdout", "\n").splitlines()), first.log
    assert "IIII" not in first.log and "to stdout III" in second.log and "to stdout \n" not in second.log
    assert isinstance(failed, Failed) and failed.log == ""
    assert isinstance(stopped, Stopped) and said <= set(stopped.log.splitlines())


def test_the_log_of_a_trial_that_never_stops_printing_is_short_and_takes_no_disk() -> None:
    def endless(y: Any, predictions: Any, weight: Any) -> float:
        for _ in range(1000):
            os.write(2, b"words " * 10_000)
        os.write(2, "the end é".encode())
        return 1.0

    with pool_of(endless) as pool:
        event = run_one(pool)
        files = [each for each in Path(pool._folder.name).rglob("*") if each.is_file()]
    assert isinstance(event, Completed)
    assert len(event.log) == 2000 and event.log.endswith("the end é")
    assert {each.name for each in files} == {"owner", "task.joblib"}


def test_a_trial_that_closes_its_output_is_waited_for_quietly() -> None:
    def closes(y: Any, predictions: Any, weight: Any) -> float:
        with suppress(OSError):
            os.closerange(1, 3)
        time.sleep(0.5)
        return 1.0

    with pool_of(closes) as pool:
        before = time.process_time()
        assert isinstance(run_one(pool), Completed)
        assert time.process_time() - before < 0.7  # of 1.5 seconds


def helper_of(file: str, ends: str) -> Any:
    """Return a metric that starts a helper in two ways, and then ends as it is told."""

    def starts_helpers(y: Any, predictions: Any, weight: Any) -> float:
        spawned = subprocess.Popen(["sleep", "600"])
        forked = os.fork()
        if forked == 0:
            time.sleep(600)
            os._exit(0)
        Path(file).write_text(f"{spawned.pid} {forked}")
        if ends == "hangs":
            time.sleep(600)
        if ends == "exits":
            os._exit(3)
        return 1.0

    return starts_helpers


def wait_for_the_end_of(pids: list[int]) -> None:
    until = time.monotonic() + 60
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def pids_in(file: Path) -> list[int]:
    until = time.monotonic() + 60
    while not (file.exists() and len(file.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.05)
    return [int(word) for word in file.read_text().split()]


@both_ways
@pytest.mark.parametrize("ends", ["hangs", "exits"])
def test_what_a_lost_trial_has_started_ends_with_it(ends: str, forked: bool, tmp_path: Path) -> None:
    with pool_of(helper_of(str(tmp_path / "pids"), ends), forked=forked) as pool:
        pool.submit(Ticket(0, LINEAR, 3))
        helpers = pids_in(tmp_path / "pids")
        if ends == "hangs":
            assert all(map(alive, helpers))
            pool.kill(0)
        assert isinstance(next_event(pool), Lost)
        wait_for_the_end_of(helpers)


def test_what_a_complete_trial_has_started_lives_as_long_as_its_worker(tmp_path: Path) -> None:
    with pool_of(helper_of(str(tmp_path / "pids"), "goes on")) as pool:
        assert isinstance(run_one(pool), Completed)
        helpers = pids_in(tmp_path / "pids")
        assert all(map(alive, helpers))
        assert isinstance(run_one(pool, 1), Completed)
    wait_for_the_end_of(helpers)


def test_workers_have_no_more_threads_than_they_were_given() -> None:
    names = (*THREAD_VARIABLES, "AUTOTUNE_TEST")

    def threads(y: Any, predictions: Any, weight: Any) -> float:
        import threadpoolctl

        assert all(os.environ[name] == "3" for name in names[:-1]), dict(os.environ)
        pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
        assert max(pools, default=1) <= 3, pools
        return 1.0

    with pool_of(threads, threads=3) as pool:
        event = run_one(pool)
    assert isinstance(event, Completed), event
    assert not set(THREAD_VARIABLES) & {name for name in os.environ if os.environ[name] == "3"}


@pytest.mark.parametrize("cores", [1, 2, 3, 8])
@pytest.mark.parametrize("n_jobs", [1, 2, 5, -1])
def test_workers_times_threads_stay_within_the_cores(cores: int, n_jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.plan.available_cores", lambda: cores)
    table = autotune.data.tables.read_table([[i] for i in range(20)], [0, 1] * 10)  # type: ignore[attr-defined]
    plan = make_plan(make_settings("call", n_jobs=n_jobs, space="linear", n_trials=1), table, started=0.0)
    assert plan.n_jobs * plan.resources.threads <= cores
    assert plan.n_jobs == (cores if n_jobs == -1 else min(n_jobs, cores))


@both_ways
def test_the_table_reaches_workers_by_memory_map(forked: bool) -> None:
    with pool_of(forked=forked) as pool:
        assert isinstance(run_one(pool), Completed)
        (pid,) = children()
        mapped = [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "task.joblib" in line]
        assert mapped and all(" r--" in line for line in mapped)


@both_ways
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_a_trial_may_take_comes_on_top_of_what_its_worker_has_imported(forked: bool) -> None:
    def takes(y: Any, predictions: Any, weight: Any) -> float:
        status = Path("/proc/self/status").read_text()
        print(next(line for line in status.splitlines() if line.startswith("VmData:")))
        return float(len(bytearray(100 << 20)))

    def hoards(y: Any, predictions: Any, weight: Any) -> float:
        return float(len(bytearray(400 << 20)))

    with pool_of(takes, forked=forked, memory_limit=300 << 20, learners=list(LEARNERS)) as pool:
        event = run_one(pool)
    assert isinstance(event, Completed), event
    assert int(event.log.split()[1]) > 300 << 10, event.log
    with pool_of(hoards, forked=forked, memory_limit=300 << 20, learners=list(LEARNERS)) as pool:
        failed = run_one(pool)
    assert isinstance(failed, Failed) and failed.reason.startswith("MemoryError"), failed


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_a_trial_has_freed_is_the_system_s_again() -> None:
    def scatters(y: Any, predictions: Any, weight: Any) -> float:
        blocks = [bytearray(50_000) for _ in range(4000)]
        scatters.last = blocks[-1]  # type: ignore[attr-defined]  # what is above the rest of the heap keeps it there
        return 1.0

    with pool_of(scatters) as pool:
        assert isinstance(run_one(pool), Completed)
        (pid,) = children()
        time.sleep(0.5)
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))
    assert kilobytes < 200_000  # 300_000 where it is kept


def test_close_leaves_no_process_and_no_copy_of_the_table() -> None:
    with pool_of(n_workers=2) as pool:
        pool.submit(Ticket(0, LINEAR, 0))
        pool.submit(Ticket(1, LINEAR, 0))
        folder = Path(pool._folder.name)
        n_started = 0
        while n_started < 2:
            n_started += sum(isinstance(event, Started) for event in pool.events(PATIENCE))
        workers = children()
        assert len(workers) == 2 and folder.exists()
    assert not any(map(alive, workers))
    assert not folder.exists()


# ---- whole runs ----


def table() -> dict[str, Any]:
    draws = np.random.default_rng(0)
    a = draws.normal(size=80)
    return {"a": a, "y": a + draws.normal(size=80)}


def test_a_metric_that_kills_its_process_twice_is_a_failed_trial() -> None:
    def deadly_rmse_error(y_true: Any, y_pred: Any) -> float:
        if os.environ.get("OMP_NUM_THREADS") == "1" and "autotune.execution" in " ".join(sys.orig_argv):
            os._exit(9)
        return float(np.abs(y_true - y_pred).mean())

    with pytest.raises(autotune.AutotuneError, match=r"all 2 finished trials failed.*exit code 9"):
        autotune.tune(
            table(), target="y", space="linear", n_trials=2, n_jobs=2, metric=deadly_rmse_error, random_state=0
        )


def test_an_exception_in_the_coordinator_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenError(RuntimeError):
        pass

    seen: list[int] = []

    def complete(*_: Any) -> None:
        seen.extend(children())
        raise BrokenError

    monkeypatch.setattr("autotune.study.study.TuningStudy.complete", complete)
    with pytest.raises(BrokenError):
        autotune.tune(table(), target="y", space="linear", n_trials=5, n_jobs=2, random_state=0)
    assert seen and not any(map(alive, seen)) and not children()


SEARCH = textwrap.dedent(
    """
    import os, signal, sys, time
    import numpy as np
    import autotune

    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it

    def slow_error(y_true, y_pred):
        time.sleep(0.2)
        if "-m" in sys.orig_argv:  # the coordinator scores too, and was started by -c
            print(f"worker {os.getpid()}", file=open("workers.txt", "a"))
        return float(np.abs(y_true - y_pred).mean())

    draws = np.random.default_rng(0)
    X = draws.normal(size=(80, 2))
    try:
        autotune.tune(X, X[:, 0], space="linear", metric=slow_error, n_trials=500, n_jobs=2, random_state=0)
    except KeyboardInterrupt:
        print("INTERRUPTED", flush=True)
    """
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_workers_end_with_their_coordinator(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SEARCH], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        workers = wait_for_workers(tmp_path / "workers.txt")
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert ("INTERRUPTED" in output) == (number == signal.SIGINT)
    until = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def test_a_full_folder_for_temporary_files_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_file_system(tmp_path / "small", "64k") as small:
        monkeypatch.setattr("tempfile.tempdir", str(small))
        task = make_task()
        large = replace(task, rows=replace(task.rows, numeric=np.zeros((60, 1000))))
        with pytest.raises(SettingsError) as caught:
            Processes(2, OnFolds(large, FOLDS, METRICS["rmse"], Resources()), 1)
        assert list(small.iterdir()) == []
    error = caught.value
    assert error.where == str(small) and error.hint is not None and error.hint.startswith("TMPDIR=")
    found = re.search(r"No space left on device, and it takes (48\d),\d{3} bytes", error.problem)
    assert found is not None, error.problem


HELPED = textwrap.dedent(
    """
    import os, subprocess, sys, time
    import autotune

    def objective(params):
        helper = subprocess.Popen(["sleep", "600"])
        open("pids", "w").write(f"{os.getpid()} {helper.pid}")
        time.sleep(600)

    autotune.optimize(objective, {"x": autotune.Float(0, 1)}, n_trials=2, trial_timeout=600)
    """
)


def test_a_killed_coordinator_leaves_no_helper_and_its_folder_goes_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", HELPED], cwd=tmp_path, env=environment)
    try:
        pids = pids_in(tmp_path / "pids")
        (folder,) = tmp_path.glob("autotune-*")
        with pool_of() as pool:
            assert folder.exists()  # its owner lives
            mine = Path(pool._folder.name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for_the_end_of(pids)
    finally:
        process.kill()
    assert folder.exists() and not mine.exists()
    with pool_of():
        assert not folder.exists()


DEAF = textwrap.dedent(
    """
    import os, re, subprocess
    import autotune

    def objective(params):
        helper = subprocess.Popen(["sleep", "600"])
        open("pids", "w").write(f"{os.getpid()} {helper.pid}")
        re.match("(a+)+$", "a" * 100 + "b")  # for years, and no other thread of this process runs meanwhile

    autotune.optimize(objective, {"x": autotune.Float(0, 1)}, n_trials=2, trial_timeout=600)
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread of the worker looks for its coordinator")
def test_a_killed_coordinator_leaves_no_worker_where_none_of_its_threads_can_run(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", DEAF], cwd=tmp_path)
    try:
        pids = pids_in(tmp_path / "pids")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for_the_end_of(pids)
    finally:
        process.kill()


def wait_for_workers(log: Path) -> set[int]:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        time.sleep(0.1)
        pids = {int(line.split()[1]) for line in log.read_text().splitlines()} if log.exists() else set()
        if len(pids) == 2:
            return pids
    raise AssertionError("no two workers in three minutes")
