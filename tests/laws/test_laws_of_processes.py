"""The laws that are about processes: scripts without a main guard, and a study whose process is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

import autotune
from autotune.study.storage import open_storage

SCRIPT = textwrap.dedent(
    """
    import numpy as np
    import pandas as pd
    import autotune

    SHARE = 1.0

    class Own:
        pass

    def own_metric(y_true, y_pred):
        assert Own.__module__ == "__main__"
        return SHARE * float((y_true == y_pred).mean())

    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draws.normal(size=80), "b": draws.choice(["x", "y"], 80)})
    frame["sold"] = np.where(frame["a"] > 0, "yes", "no")
    report = autotune.tune(
        frame, target="sold", space="linear", pruner="none", metric=own_metric, n_trials=3, n_jobs=2, random_state=0
    )
    assert [record.state for record in report.records] == ["complete"] * 3, report
    print("DONE", report.metric, round(report.best_score, 2))
    """
)


def run_python(*arguments: str, text: str | None = None, cwd: Path) -> str:
    words = [sys.executable, *arguments]
    done = subprocess.run(words, input=text, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    assert run_python("script.py", cwd=tmp_path).splitlines() == ["DONE own_metric 0.97"]


def test_a_script_without_a_main_guard_works_as_a_command(tmp_path: Path) -> None:
    assert run_python("-c", SCRIPT, cwd=tmp_path).splitlines() == ["DONE own_metric 0.97"]


def test_a_script_without_a_main_guard_works_on_standard_input(tmp_path: Path) -> None:
    assert run_python("-", text=SCRIPT, cwd=tmp_path).splitlines() == ["DONE own_metric 0.97"]


def test_a_script_without_a_main_guard_works_in_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SCRIPT)])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (cell,) = notebook.cells
    shown = "".join(output.text for output in cell.outputs if output.name == "stdout")
    assert shown.splitlines() == ["DONE own_metric 0.97"]


def test_a_metric_of_a_module_beside_the_script_works(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def own_metric(y_true, y_pred):\n    return (y_true == y_pred).mean()\n")
    start = SCRIPT.index("class Own")
    end = SCRIPT.index("draws =")
    (tmp_path / "script.py").write_text(SCRIPT[:start] + "from beside import own_metric\n" + SCRIPT[end:])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run_python("../script.py", cwd=elsewhere).splitlines() == ["DONE own_metric 0.97"]


# ---- Nothing is lost ----

SLOW_STUDY = textwrap.dedent(
    """
    import os
    import time
    import autotune

    os.environ["SECONDS_A_SCORE"] = "0.1"

    def own_metric(y_true, y_pred):
        time.sleep(float(os.environ.get("SECONDS_A_SCORE", "0")))
        return float((y_true == y_pred).mean())

    autotune.tune("table.csv", target="sold", metric=own_metric, space="linear", n_trials=10, storage="study.db",
                  study_name="cut", random_state=0, n_jobs={n_jobs})
    """
)


def own_metric(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """The script's metric, word for word, so that both ask the same question."""
    time.sleep(float(os.environ.get("SECONDS_A_SCORE", "0")))
    return float((y_true == y_pred).mean())


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_nothing_is_lost(n_jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draws.normal(size=80), "b": draws.choice(["x", "y"], 80)})
    frame["sold"] = np.where(frame["a"] + draws.normal(size=80) > 0, "yes", "no")
    frame.to_csv("table.csv", index=False)
    killed = subprocess.Popen([sys.executable, "-c", SLOW_STUDY.format(n_jobs=n_jobs)], cwd=tmp_path)
    try:
        wait_for_trials(tmp_path / "study.db", n_finished=3)
        os.kill(killed.pid, signal.SIGKILL)
    finally:
        killed.kill()
        killed.wait()
    before = optuna.load_study(storage=open_storage(tmp_path / "study.db"), study_name="cut").trials
    finished = [trial for trial in before if trial.state.is_finished()]
    running = [trial for trial in before if not trial.state.is_finished()]
    assert len(finished) >= 3 and 1 <= len(running) <= n_jobs

    report = autotune.tune(
        "table.csv",
        target="sold",
        metric=own_metric,
        space="linear",
        n_trials=10,
        storage="study.db",
        study_name="cut",
        random_state=0,
        n_jobs=n_jobs,
    )
    after = report.study.trials
    assert [trial.number for trial in after] == list(range(10))
    assert all(trial.state.is_finished() for trial in after)
    for trial in finished:
        assert after[trial.number] == trial
    for trial in running:
        # what was drawn stays; a process that dies between two draws leaves the rest to be drawn
        assert trial.params.items() <= after[trial.number].params.items()
        assert after[trial.number].datetime_start == trial.datetime_start


def wait_for_trials(path: Path, n_finished: int) -> None:
    """Wait until so many trials are over and another one runs; reading a log-ahead SQLite file disturbs nobody."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.02)
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                states = [state for (state,) in connection.execute("SELECT state FROM trials")]
                n_params = connection.execute("SELECT COUNT(DISTINCT trial_id) FROM trial_params").fetchone()[0]
        except sqlite3.OperationalError:
            continue
        if "RUNNING" in states and n_params == len(states) and len(states) - states.count("RUNNING") >= n_finished:
            return
    raise AssertionError("the study did not get so far in a minute")


# ---- Deterministic: one history for a number of jobs ----

UNEVEN_STUDY = textwrap.dedent(
    """
    import json
    import os
    import sys
    import time
    import autotune
    from autotune import Choice, Float

    def objective(params):
        if params["x"] > 4.5:
            raise ValueError("too far")
        for step in range(1, 9):
            time.sleep(os.urandom(1)[0] / 255 * 0.05)
            yield (params["x"] - 2) ** 2 + (0.1 if params["kind"] == "a" else params["y"]) + 3 / step

    space = {"x": Float(0, 5), "kind": Choice(["a", "b"]), "y": Float(0, 1, when={"kind": "b"})}
    found = autotune.optimize(objective, space, n_trials=21, n_jobs=2, deterministic=True, random_state=0,
                              storage=sys.argv[1], study_name="uneven")
    print(json.dumps([[record.state, record.score, record.config.params] for record in found.records]))
    """
)


def test_deterministic_has_one_history_also_when_its_process_is_killed(tmp_path: Path) -> None:
    (tmp_path / "uneven.py").write_text(UNEVEN_STUDY)
    once, twice = (json.loads(run_python("uneven.py", f"{name}.db", cwd=tmp_path)) for name in ("once", "twice"))
    assert once == twice
    assert {"complete", "pruned", "failed"} == {state for state, _, _ in once}
    for n_finished in (7, 14):
        killed = subprocess.Popen([sys.executable, "uneven.py", "cut.db"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        try:
            wait_for_trials(tmp_path / "cut.db", n_finished)
            os.kill(killed.pid, signal.SIGKILL)
        finally:
            killed.kill()
            killed.wait()
    assert json.loads(run_python("uneven.py", "cut.db", cwd=tmp_path)) == once


def test_processes_that_share_a_deterministic_study_have_the_same_history(tmp_path: Path) -> None:
    (tmp_path / "uneven.py").write_text(UNEVEN_STUDY)
    alone = json.loads(run_python("uneven.py", "alone.db", cwd=tmp_path))
    words = [sys.executable, "uneven.py", "shared.db"]
    both = [subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shared = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert shared == [alone, alone]


@pytest.mark.parametrize("slow", ["fit", "predict", "step", "refit"])
def test_a_deadline_is_one_deadline(slow: str) -> None:
    """Whatever takes minutes, the run is over long before, and a model comes out with a word on what was left out."""

    def train(fold: Any, params: dict[str, Any]) -> Any:
        if slow == "fit" or (slow == "refit" and fold.X_validation is None):
            time.sleep(600)
        return Sleeper()

    def grow(fold: Any, params: dict[str, Any]) -> Iterator[Any]:
        yield Sleeper()
        time.sleep(600)
        yield Sleeper()

    class Sleeper:
        def predict(self, X: Any) -> Any:
            time.sleep(600 if slow == "predict" else 0)
            return np.zeros(len(X))

    started = time.monotonic()
    model = autotune.learner(tasks=["regression"])(grow if slow == "step" else train)
    table = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0)})
    report = autotune.tune(table, target="y", model=model, cv=3, n_trials=1, timeout=6, progress=False)
    assert time.monotonic() - started < 120
    assert len(report.predict(table)) == 60 and report.warnings
