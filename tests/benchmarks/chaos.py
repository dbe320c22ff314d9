"""Two coordinators with two workers each share a study while a process is killed about every second.

A random worker or coordinator gets a kill -9 (coordinators are started again); a server is restarted twice.
In the end there must be exactly as many finished trials as asked for, numbered from 0, none RUNNING, none changed after
it was told, and no process left over.

python tests/benchmarks/chaos.py [sqlite] [journal] [postgres] [mariadb] [--trials 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import optuna
from servers import MariaDBServer, PostgresServer, Server, why_no_mariadb, why_no_postgres

from autotune.study.databases import database_of
from autotune.study.storage import open_storage

COORDINATOR = """
import random, sys, time
import autotune
def objective(params, seed):
    pause = random.Random(seed)
    for step in range(1, 6):
        time.sleep(pause.uniform(0, .2))
        yield (params["x"] - 1) ** 2 + params["y"] + 1 / step
space = {"x": autotune.Float(-5, 5), "y": autotune.Float(1e-3, 1, log=True)}
where = {"storage": sys.argv[1], "study_name": "chaos"}
autotune.optimize(objective, space, n_trials=int(sys.argv[2]), random_state=0, n_jobs=2, sampler="random", **where)
"""


SERVERS: dict[str, tuple[Callable[[], str | None], Callable[[], Server]]] = {
    "postgres": (why_no_postgres, PostgresServer),
    "mariadb": (why_no_mariadb, MariaDBServer),
}
"""Why one cannot be started here, and what starts it."""


def main() -> int:
    """Run on each storage and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("storages", nargs="*", default=["sqlite", "journal", "postgres", "mariadb"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    bad = 0
    for name in arguments.storages:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autotune-chaos-")))
            server = None
            if name in SERVERS:
                why_not, start = SERVERS[name]
                if reason := why_not():
                    print(f"{name}: skipped, {reason}")
                    continue
                server = stack.enter_context(start())
            url = server.url if server else f"{folder}/chaos.{ {'sqlite': 'db'}.get(name, name) }"
            problems = Chaos(url, folder, arguments.trials, arguments.seed, server).run()
            print(f"{name}: " + ("as it should be" if not problems else "; ".join(problems)), flush=True)
            bad += bool(problems)
    return 1 if bad else 0


class Chaos:
    """One run."""

    def __init__(self, url: str, folder: Path, n_trials: int, seed: int, server: Server | None = None) -> None:
        self._url, self._n_trials, self._server = url, n_trials, server
        self._script = folder / "coordinator.py"
        self._script.write_text(COORDINATOR)
        self._log = folder / "log"
        self._random = random.Random(seed)
        self._deeds: Counter[str] = Counter()
        self._workers: set[int] = set()
        self._told: dict[int, Any] = {}

    def run(self) -> list[str]:
        """Make trouble until all is done; return what is wrong."""
        coordinators = [self._start(), self._start()]
        started = time.monotonic()
        restarts = [self._n_trials // 3, 2 * self._n_trials // 3] if self._server else []
        problems: list[str] = []
        while any(each.poll() is None for each in coordinators):
            if time.monotonic() - started > 1200:
                problems.append("not done after 20 minutes")
                break
            time.sleep(self._random.uniform(0.5, 1.5))
            problems += self._look()
            if restarts and len(self._told) >= restarts[0]:
                restarts.pop(0)
                self._restart()
            else:
                self._kill(coordinators)
            for index, each in enumerate(coordinators):
                if each.poll() not in (None, 0):
                    coordinators[index] = self._start()
        print(f"  {time.monotonic() - started:.0f} s; {dict(self._deeds)}", flush=True)
        return problems + self._look() + self._verdict()

    def _start(self) -> subprocess.Popen[bytes]:
        self._deeds["started"] += 1
        with self._log.open("ab") as log:
            command = [sys.executable, str(self._script), self._url, str(self._n_trials)]
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _kill(self, coordinators: list[subprocess.Popen[bytes]]) -> None:
        alive = [each.pid for each in coordinators if each.poll() is None]
        workers = [pid for parent in alive for server in children(parent) for pid in (server, *children(server))]
        self._workers.update(workers)
        kind = "coordinator" if self._random.random() < 0.3 else "worker"
        victims = alive if kind == "coordinator" else workers
        if victims:
            with suppress(ProcessLookupError):
                os.kill(self._random.choice(victims), signal.SIGKILL)
            self._deeds[f"{kind} killed"] += 1

    def _restart(self) -> None:
        assert self._server is not None
        self._server.stop()
        time.sleep(2.0)
        self._server.start()
        self._deeds["server restarted"] += 1

    def _rows(self) -> list[Any]:
        storage = open_storage(self._url)
        try:
            if "chaos" not in optuna.study.get_all_study_names(storage):
                return []
            return optuna.load_study(storage=storage, study_name="chaos").trials
        finally:
            if (database := database_of(storage)) is not None:
                database.engine.dispose()

    def _look(self) -> list[str]:
        """Compare finished trials with what they were when they were told."""
        changed = []
        for row in self._rows():
            if row.state.is_finished():
                now = (row.state, row.values, row.params, row.user_attrs)
                if self._told.setdefault(row.number, now) != now:
                    changed.append(f"trial {row.number} has changed after it was told")
        return changed

    def _verdict(self) -> list[str]:
        time.sleep(5.0)
        rows, problems = self._rows(), []
        if sorted(row.number for row in rows) != list(range(self._n_trials)):
            problems.append(f"{len(rows)} rows, numbers {sorted(row.number for row in rows)}")
        states = Counter(row.state.name for row in rows)
        if set(states) - {"COMPLETE", "PRUNED"}:
            problems.append(f"states {dict(states)}")
        if left := [pid for pid in self._workers if is_worker(pid)]:
            problems.append(f"{len(left)} workers left over: {left}")
        failed = [row.user_attrs["autotune:outcome"]["reason"] for row in rows if row.constraints.get("failed")]
        print(f"  {dict(states)}; {len(failed)} told as failed {failed[:1]}")
        if problems:
            print(self._log.read_text()[-3000:])
        return problems


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    with suppress(OSError):
        tasks = Path(f"/proc/{parent}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return []


def is_worker(pid: int) -> bool:
    """Return whether a process still runs and is a worker of ours, or what these are forked from."""
    with suppress(OSError):
        return b"autotune.execution." in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


if __name__ == "__main__":
    sys.exit(main())
