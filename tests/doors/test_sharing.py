"""Studies that are shared: joined by URL and name, replayed, retried, moved to another storage, watched."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from optuna.trial import TrialState
from sklearn.datasets import load_breast_cancer
from sqlalchemy import text

import autotune
from autotune.cli import main
from autotune.errors import DataError, SettingsError, StorageError, StorageLostError, StudyError, StudyMismatchError
from autotune.joining import find_study
from autotune.study.identity import Goal, read_goal, read_setup, set_goal
from autotune.study.moving import from_document, to_document
from autotune.study.owner import this_owner
from autotune.study.retrying import retry
from autotune.study.rows import CONFIG, OWNER, records_of
from autotune.study.storage import open_storage

ROOT = Path(autotune.__file__).parents[1]
OBJECTIVE = """
import os, time

def objective(params):
    time.sleep(0.05)
    if params["x"] > 5 and os.path.exists("broken"):
        raise RuntimeError("out of order")
    return (params["x"] - 2) ** 2

def curve(params):
    for step in range(1, 40):
        yield params["x"] + 1 / step
"""
SPACE = "version = 1\n[work]\nx = {float = [0, 10]}\n"


def tune(*arguments: str, standard_input: str | None = None) -> Result:
    result = CliRunner().invoke(main, list(arguments), prog_name="tune", input=standard_input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return start_python("-m", "autotune", *arguments, cwd=cwd)


def start_python(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an objective and its space, as the current one."""
    (tmp_path / "work.py").write_text(OBJECTIVE)
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(folder: Path) -> Path:
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.iloc[:150, :4].assign(diagnosis=bunch.target_names[bunch.target[:150]])
    frame.to_csv(folder / "cancer.csv", index=False)
    return folder / "cancer.csv"


def optimized(n_trials: int, objective: str = "objective", *more: str) -> Result:
    words = ("--space", "space.toml", "--study-name", "s", "--n-trials", str(n_trials), "--random-state", "1")
    return tune("optimize", f"work.py:{objective}", *words, *more)


def study(storage: Any = "autotune.db") -> optuna.Study:
    return find_study(storage)


def test_a_second_process_joins_by_name_and_the_budget_is_exact(folder: Path) -> None:
    words = ("--space", "space.toml", "--study-name", "s", "--n-trials", "400")
    first = start("optimize", "work.py:objective", *words, cwd=folder)
    while "autotune:goal" not in (study().user_attrs if (folder / "autotune.db").exists() else {}):
        time.sleep(0.2)
        assert first.poll() is None
    second = start("work", "--json", cwd=folder)
    said, wrong = second.communicate(timeout=120)
    assert second.returncode == 0, wrong
    first.communicate(timeout=120)
    assert first.returncode == 0
    found = json.loads(said)
    assert 0 < found["here"]["complete"] < 400
    states = [record.state for record in records_of(study())]
    assert states == ["complete"] * 400


def test_work_needs_no_more_than_the_study_and_the_same_table(table: Path, tmp_path: Path) -> None:
    words = ("--target", "diagnosis", "--cv", "3", "--metric", "log_loss", "--n-trials", "2", "--random-state", "3")
    assert tune("run", "cancer.csv", "--space", "linear,knn", *words).exit_code == 0
    setup = read_setup(study())
    assert setup["settings"] == {"cv": "3", "metric": "log_loss", "sampler": "tpe"} and setup["data"] == str(table)
    assert tune("work").output.splitlines()[-1] == "- it holds all 2 trials that it shall hold"

    set_goal(study(), Goal(5, None))
    assert sum(autotune.work("autotune.db").here.values()) == 3
    at_once = autotune.tune(
        table, target="diagnosis", space="linear,knn", cv="3", metric="log_loss", n_trials=5, random_state=3
    )
    configs = [record.config for record in records_of(study())]
    assert configs == [record.config for record in at_once.records]

    set_goal(study(), Goal(6, None))
    table.rename(tmp_path / "moved.csv")
    with pytest.raises(DataError, match=r"is not here: .*cancer\.csv"):
        autotune.work("autotune.db")
    frame = pd.read_csv("moved.csv")
    with pytest.raises(StudyMismatchError, match="another table"):
        autotune.work("autotune.db", data=frame.iloc[1:])
    frame.to_parquet("same.parquet")
    assert tune("work", "same.parquet").exit_code == 0
    assert [record.number for record in records_of(study())] == list(range(6))


def test_what_a_study_cannot_carry_is_given_by_hand(table: Path) -> None:
    def own_loss(y_true: Any, y_pred: Any) -> float:
        return float((y_true != y_pred).mean())

    words: dict[str, Any] = {"target": "diagnosis", "space": "linear", "storage": "autotune.db"}
    report = autotune.tune(table, **words, metric=own_loss, n_trials=1)
    set_goal(report.study, Goal(2, None))
    wrong = tune("work")
    assert wrong.exit_code == 1 and "with a Python object as its metric" in wrong.output
    with pytest.raises(StudyMismatchError, match="another metric"):
        autotune.work("autotune.db", metric="accuracy")
    assert sum(autotune.work("autotune.db", metric=own_loss).here.values()) == 1


def test_a_study_is_joined_and_replayed_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimized(2)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    set_goal(study("../autotune.db"), Goal(3, None))
    assert autotune.work("../autotune.db", n_jobs=1).here == {"complete": 1}
    assert tune("replay", "0", "--storage", "../autotune.db").exit_code == 0
    (folder / "work.py").rename("work.py")
    set_goal(study("../autotune.db"), Goal(4, None))
    assert tune("work", "--storage", "../autotune.db").exit_code == 2
    named = ("--objective", "work.py:objective", "--storage", "../autotune.db")
    assert tune("work", "--n-jobs", "1", *named).exit_code == 0
    assert tune("replay", "3", *named).exit_code == 0


def test_a_model_file_is_found_from_another_folder_and_test_rows_are_not_needed(
    table: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine.py").write_text(
        "from sklearn.tree import DecisionTreeClassifier\n\nclass Mine(DecisionTreeClassifier):\n    pass\n"
    )
    (folder / "mine.toml").write_text('version = 1\n[Mine]\nmodel = "mine.py:Mine"\nmax_depth = {int = [1, 9]}\n')
    frame = pd.read_csv(table)
    frame.iloc[:30].to_csv("test.csv", index=False)
    words: dict[str, Any] = {"target": "diagnosis", "n_trials": 1, "random_state": 0, "cv": 2}
    autotune.tune(table, **words, model="mine.py:Mine", test_size="test.csv", storage="a.db")
    autotune.tune(table, **words, space="mine.toml", test_size=frame.iloc[:30], storage="b.db")
    Path("test.csv").unlink()
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert autotune.replay("../a.db", None, 0).agrees and autotune.replay("../b.db", None, 0).agrees
    set_goal(study("../b.db"), Goal(2, None))
    assert autotune.work("../b.db", n_jobs=1).here == {"complete": 1}


RACER = """
import os, sys, time, autotune, autotune.plan
from autotune import Float

stored_seed = autotune.plan.stored_seed

def slowly(storage, name):
    seed = stored_seed(storage, name)
    open(sys.argv[2], "w").close()
    while seed is None and not (os.path.exists("a") and os.path.exists("b")):
        time.sleep(0.01)
    return seed

autotune.plan.stored_seed = slowly
if sys.argv[1] == "tune":
    found = autotune.tune("cancer.csv", target="diagnosis", space="linear", storage="r.journal", n_trials=2, cv=2)
else:
    found = autotune.optimize(lambda params: params["x"], {"x": Float(0, 1)}, storage="r.journal", n_trials=2)
print(found.seed)
"""


@pytest.mark.parametrize("door", ["tune", "optimize"])
def test_two_who_draw_a_seed_at_once_make_one_study(table: Path, folder: Path, door: str) -> None:
    (folder / "racer.py").write_text(RACER)
    both = [start_python("racer.py", door, name, cwd=folder) for name in "ab"]
    said = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert said[0][0] == said[1][0]


def test_what_a_joiner_cannot_give_is_refused(folder: Path) -> None:
    optimized(2)
    set_goal(study(), Goal(3, None))
    with pytest.raises(SettingsError, match="cannot set its n_trials and random_state"):
        autotune.work("autotune.db", "s", timeout=3, n_trials=5, random_state=1)
    with pytest.raises(SettingsError, match="cannot set its n_jobs"):
        autotune.replay("autotune.db", "s", 0, n_jobs=2)
    for number in ("1", 1.0, True, None):
        with pytest.raises(SettingsError, match="is no number of a trial"):
            autotune.replay("autotune.db", "s", number)  # type: ignore[arg-type]
    replayed = autotune.replay("autotune.db", "s", np.int64(1))  # type: ignore[arg-type]
    assert type(replayed.number) is int
    for name in ("nothere.db", Path("nothere.journal")):
        with pytest.raises(SettingsError, match="no storage 'nothere"):
            autotune.work(name)
        assert not Path(name).exists()


def test_who_joins_is_told_why_a_search_ended_or_failed(folder: Path) -> None:
    optimized(2, "objective", "--patience", "2")
    set_goal(study(), Goal(400, None))
    assert "were no better" in " ".join(autotune.work("autotune.db", n_jobs=1).notes)
    (folder / "bad.py").write_text("def f(params):\n    raise RuntimeError('out of order')\n")
    made = ("--space", "space.toml", "--n-trials", "1", "--storage", "bad.db")
    assert tune("optimize", "bad.py:f", *made).exit_code == 1
    set_goal(study("bad.db"), Goal(3, None))
    notes = autotune.work("bad.db", n_jobs=1).notes
    assert "all 3 finished trials failed" in notes[-1] and "out of order" in notes[-1]


def test_what_was_taken_over_is_noted_without_a_terminal(table: Path) -> None:
    words: dict[str, Any] = {"target": "diagnosis", "storage": "autotune.db", "cv": 2, "progress": False}
    autotune.tune(table, **words, space="linear", study_name="old", n_trials=1)
    report = autotune.tune(table, **words, space="linear,knn", study_name="new", from_study="old", n_trials=1)
    assert any("begins with 1 of the 1 finished trials of 'old'" in note for note in report.notes)
    optimized(1, "objective", "--storage", "o.db")
    found = optimized(2, "objective", "--storage", "o.db", "--study-name", "new", "--from", "s")
    assert "begins with 1 of the 1 finished trials of 's'" in found.stdout


def test_a_table_from_stdin_leaves_no_path(table: Path) -> None:
    words = ("--target", "diagnosis", "--space", "linear", "--n-trials", "1")
    assert tune("run", "-", *words, standard_input=table.read_text()).exit_code == 0
    assert read_setup(study())["data"] is None
    set_goal(study(), Goal(2, None))
    with pytest.raises(DataError, match="a table that was no file"):
        autotune.work("autotune.db")


def test_the_deadline_of_a_study_is_that_of_those_who_join_it(folder: Path) -> None:
    optimized(2)
    found = study()
    found.set_user_attr("autotune:goal", [None, time.time() - 1])
    assert autotune.work("autotune.db").notes == ("its deadline has passed: a timeout sets another one",)
    joined = autotune.work("autotune.db", timeout=1, n_jobs=1)
    assert sum(joined.here.values()) > 3 and joined.seconds < 30
    found.set_user_attr("autotune:goal", [None, None])
    with pytest.raises(StudyError, match="does not say when its search ends"):
        autotune.work("autotune.db")


def test_a_goal_grows_and_never_shrinks(folder: Path) -> None:
    optimized(3)
    assert read_goal(study()) == Goal(3, None)
    optimized(2)
    assert read_goal(study()) == Goal(3, None)
    optimized(4)
    assert read_goal(study()) == Goal(4, None)


def test_a_deadline_that_has_passed_is_renewed() -> None:
    made, now = optuna.create_study(), time.time()
    for goal, wanted in (
        (Goal(400, now - 9), Goal(400, now - 9)),
        (Goal(400, now + 60), Goal(400, now + 60)),
        (Goal(400, now + 30), Goal(400, now + 60)),
        (Goal(100, now + 90), Goal(400, now + 60)),
        (Goal(400, None), Goal(400, None)),
        (Goal(500, now - 9), Goal(500, now - 9)),
        (Goal(100, now + 90), Goal(500, now + 90)),
    ):
        set_goal(made, goal)
        assert read_goal(made) == wanted


def test_those_who_join_have_the_settings_of_the_last_search(table: Path) -> None:
    words: dict[str, Any] = {"space": "linear", "storage": "autotune.db", "random_state": 0}
    autotune.tune(table, target="diagnosis", **words, n_trials=1, trial_timeout=100, patience=3)
    assert read_setup(study())["settings"] == {"trial_timeout": 100.0, "patience": 3, "sampler": "tpe"}
    frame = pd.read_csv(table)
    autotune.tune(frame, target="diagnosis", **words, n_trials=2, trial_timeout=200, study_name=study().study_name)
    assert read_setup(study())["settings"] == {"trial_timeout": 200.0, "sampler": "tpe"}
    assert read_setup(study())["data"] == str(table), "the frame has no path"
    optimized(1, "objective", "--storage", "o.db", "--trial-timeout", "100")
    optimized(2, "objective", "--storage", "o.db")
    assert read_setup(study("o.db"))["settings"] == {}


def test_a_study_of_another_program_cannot_be_joined(folder: Path) -> None:
    optuna.create_study(storage=open_storage("autotune.db"), study_name="s")
    with pytest.raises(StudyError, match="does not say"):
        autotune.work("autotune.db", timeout=5)


def test_trials_are_replayed_exactly(table: Path) -> None:
    tune("run", "cancer.csv", "--target", "diagnosis", "--space", "lightgbm", "--n-trials", "12", "--study-name", "s")
    records = records_of(study())
    for state in ("complete", "pruned"):
        number = next(record.number for record in records if record.state == state)
        found = autotune.replay("autotune.db", "s", number)
        assert found.agrees and found.then == found.now and found.then and found.tolerance == 0
    assert tune("replay", "0").exit_code == 0

    backend = study()._storage._backend  # type: ignore[attr-defined]
    with backend.engine.begin() as connection:
        row = "trial_id = 1 AND key = 'autotune:outcome'"
        outcome = json.loads(
            connection.execute(text(f"SELECT value_json FROM trial_user_attributes WHERE {row}")).scalar_one()
        )
        outcome["fold_scores"][0] += 1e-6
        change = text(f"UPDATE trial_user_attributes SET value_json = :json WHERE {row}")
        connection.execute(change, {"json": json.dumps(outcome)})
    result = tune("replay", "0", "--json")
    assert result.exit_code == 1 and json.loads(result.output)["agrees"] is False
    assert tune("replay", "0", "--tolerance", "1e-3").exit_code == 0


def test_a_replay_of_a_failure_fails_again_or_says_that_it_does_not(folder: Path) -> None:
    Path("broken").touch()
    optimized(6)
    failed = next(record.number for record in records_of(study()) if record.state == "failed")
    again = autotune.replay("autotune.db", "s", failed)
    assert again.agrees and "out of order" in again.reason
    Path("broken").unlink()
    assert not autotune.replay("autotune.db", "s", failed).agrees
    for wrong, said in ((99, "no trial 99"), (-1, "no trial -1")):
        with pytest.raises(SettingsError, match=said):
            autotune.replay("autotune.db", "s", wrong)


def test_a_pruned_curve_is_replayed_as_far_as_it_went(folder: Path) -> None:
    optimized(20, "curve")
    record = next(record for record in records_of(study()) if record.state == "pruned")
    found = autotune.replay("autotune.db", "s", record.number)
    assert found.agrees and len(found.now) == len(record.rungs or ())


def test_failed_trials_are_tried_again_under_their_numbers(folder: Path) -> None:
    Path("broken").touch()
    optimized(8)
    before = records_of(study())
    failed = [record.number for record in before if record.state == "failed"]
    assert 1 < len(failed) < 8
    complete = next(record.number for record in before if record.state == "complete")
    with pytest.raises(SettingsError, match=f"trial {complete} is complete, trial 9 is not there"):
        retry(study(), [complete, 9])

    Path("broken").unlink()
    assert f"trials {failed[0]} will run again" in tune("retry", str(failed[0])).output
    assert tune("retry", "--json").output and [r.state for r in records_of(study())].count("running") == len(failed)
    assert autotune.work("autotune.db").here == {"complete": len(failed)}
    after = records_of(study())
    assert [record.config for record in after] == [record.config for record in before]
    assert {record.state for record in after} == {"complete"}
    assert [after[i].score for i in range(8) if i not in failed] == [
        before[i].score for i in range(8) if i not in failed
    ]
    assert "no trial has failed" in tune("retry").output
    with pytest.raises(StorageError, match="cannot be opened again"):
        retry(optuna.create_study())


def test_trials_that_were_told_fail_are_tried_again_too(folder: Path) -> None:
    optimized(3)
    held = study()
    trial = held.ask()
    for key, value in ((CONFIG, {"learner": "work", "x": 1.5}), (OWNER, "")):
        held._storage.set_trial_user_attr(trial._trial_id, key, value)
    held.tell(trial, state=TrialState.FAIL)
    assert retry(held, [3, 3]) == [3]
    assert study().trials[3].state == TrialState.RUNNING
    assert retry(study()) == []


def test_a_retry_says_when_a_search_that_runs_will_not_take_it_up(folder: Path) -> None:
    Path("broken").touch()
    optimized(8)
    held = study()
    trial = held.ask()
    held._storage.set_trial_user_attr(trial._trial_id, OWNER, this_owner())
    failed = next(record.number for record in records_of(held) if record.state == "failed")
    assert "a search that runs now will not take them up" in tune("retry", str(failed)).output
    said = json.loads(tune("retry", "--json").output)
    assert said["retried"] and said["is_searched"]


def test_a_study_moves_to_another_storage_and_goes_on_there(folder: Path) -> None:
    optimized(6)
    held = study()
    trial = held.ask()
    held._storage.set_trial_user_attr(trial._trial_id, OWNER, "elsewhere/1/1.a")
    assert tune("export", "-o", "s.json").exit_code == 0
    exported = tune("export").stdout
    assert json.loads(exported) == json.loads(Path("s.json").read_text())
    assert tune("import", "s.json").exit_code == 2, "there is a study of that name"
    assert tune("import", "-", "--storage", "b.db", "--study-name", "t", standard_input=exported).exit_code == 0
    moved = study("b.db")
    assert records_of(moved)[:6] == records_of(held)[:6]
    again = to_document(moved)
    assert again["trials"][:6] == to_document(held)["trials"][:6]
    assert moved.trials[6].user_attrs[OWNER] == "", "whoever comes next may take it"
    set_goal(moved, Goal(8, None))
    assert autotune.work("b.db").here == {"complete": 2}
    assert tune("export", "-o", "s.csv").exit_code == 0 and len(pd.read_csv("s.csv")) == 7
    assert tune("export", "-o", "s.xyz").exit_code == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "x"}, "no exported study"),
        ({"version": 9}, "another version: 9"),
        ({"trials": [{}]}, "damaged: KeyError"),
        ({"direction": "up"}, "damaged"),
        ({"trials": None}, "damaged"),
    ],
)
def test_a_damaged_export_is_refused_and_nothing_is_made(change: dict[str, Any], said: str) -> None:
    document = to_document(optuna.create_study(study_name="s")) | change
    storage = open_storage(None)
    with pytest.raises(DataError, match=said):
        from_document(document, storage)
    assert optuna.study.get_all_study_names(storage) == []


def test_what_is_no_text_is_no_export_and_no_tolerance_is_negative(folder: Path) -> None:
    Path("s.json").write_bytes(b"\xff\xfe\x00\x81")
    assert "this is no exported study" in tune("import", "s.json").output
    assert "--tolerance" in tune("replay", "0", "--tolerance", "-1").output


def test_an_import_that_breaks_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = optuna.create_study(study_name="s")
    made.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage = open_storage(None)

    def full(*_: Any, **__: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(storage, "create_new_trial", full)
    with pytest.raises(StorageLostError, match="no space"):
        from_document(to_document(made), storage)
    assert optuna.study.get_all_study_names(storage) == []


def test_watch_follows_a_search_to_its_end(folder: Path) -> None:
    optimized(2)
    set_goal(study(), Goal(60, None))
    watching = start("watch", "--every", "0.2", cwd=folder)
    assert watching.stdout is not None and watching.stdout.readline()
    assert sum(autotune.work("autotune.db", n_jobs=1).here.values()) == 58
    said, wrong = watching.communicate(timeout=120)
    assert watching.returncode == 0, wrong
    lines = said.splitlines()
    assert "finished: 60 of 60" in lines
    assert any(line.startswith("finished: ") and "of 60" in line and "left" in line for line in lines)
    found = json.loads(tune("watch", "--json").output)
    assert found["is_over"] and found["n_finished"] == 60 and found["finished_by"] == {socket.gethostname(): 60}
    assert "finished: 60 of 60" in tune("status").output


def test_watch_ends_with_a_search_that_ends_early(folder: Path) -> None:
    optimized(200, "objective", "--patience", "3")
    found = json.loads(tune("watch", "--json").output)
    assert found["is_over"] and found["n_finished"] < 200
    assert "3 trials after trial" in found["ended"] and found["ended"] in tune("status").output
    assert autotune.work("autotune.db", stop=lambda: True).here == {}
    assert "the search was stopped by hand" in tune("status").output
    assert autotune.work("autotune.db", patience=500, timeout=3).here
    assert "by hand" not in tune("status").output


def test_the_dashboard_serves_the_studies_of_a_storage(folder: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    optimized(2)
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        port = taken.getsockname()[1]
        taken.listen()
        assert "cannot be listened at" in tune("dashboard", "--port", str(port)).output
    server = start("dashboard", "--port", str(port), cwd=folder)
    try:
        for _ in range(100):
            time.sleep(0.2)
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/api/studies") as answer:
                    names = [each["study_name"] for each in json.load(answer)["study_summaries"]]
                break
            except OSError:
                assert server.poll() is None, server.communicate()
        assert names == ["s"]
        with socket.create_connection(("localhost", port)) as half:
            half.sendall(b"GET /api/studies HTTP/1.1\r\n")  # as a browser that has not decided yet
            with urllib.request.urlopen(f"http://localhost:{port}/api/studies", timeout=60) as answer:
                assert json.load(answer)["study_summaries"]
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=120)
    finally:
        server.kill()
        server.communicate()


def test_several_studies_ask_for_a_name(folder: Path) -> None:
    storage = open_storage("autotune.db")
    with pytest.raises(StudyError, match="holds no studies"):
        find_study(storage)
    for name in "ab":
        optuna.create_study(storage=storage, study_name=name)
    with pytest.raises(StudyError, match="holds 2 studies"):
        find_study(storage)


IMPORTING = """
import json, sys, time
from optuna.storages import RDBStorage
from autotune.study.moving import from_document
from autotune.study.storage import open_storage

create = RDBStorage._create_new_trial
def slowly(*words, **more):
    print("one more", flush=True)
    time.sleep(0.3)
    return create(*words, **more)

RDBStorage._create_new_trial = slowly
from_document(json.load(open("s.json")), open_storage("b.db"))
"""


def test_an_import_that_was_killed_is_told_and_made_again(folder: Path) -> None:
    optimized(6)
    tune("export", "-o", "s.json")
    Path("importing.py").write_text(IMPORTING)
    words: dict[str, Any] = {"text": True, "stdout": subprocess.PIPE, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    with subprocess.Popen([sys.executable, "importing.py"], **words) as killed:
        assert killed.stdout is not None
        lines = [killed.stdout.readline() for _ in range(3)]
        assert tune("import", "s.json", "--storage", "b.db").exit_code == 2, "whoever imports it still lives"
        killed.kill()
    assert lines == ["one more\n"] * 3
    for command in ("status", "studies"):
        assert "imported by half: tune import again" in tune(command, "--storage", "b.db").output
    with pytest.raises(StudyMismatchError, match="imported by half"):
        autotune.optimize("work.py:objective", "space.toml", storage="b.db", study_name="s", n_trials=6)
    assert tune("import", "s.json", "--storage", "b.db").exit_code == 0
    assert records_of(study("b.db")) == records_of(study())
    assert "half" not in tune("status", "--storage", "b.db").output


def test_numbers_that_are_not_finite_move_too(folder: Path) -> None:
    made = optuna.create_study(storage=open_storage("autotune.db"), study_name="s")
    trial = made.ask()
    trial.report(float("nan"), 0)
    trial.report(float("-inf"), 1)
    made.tell(trial, float("inf"))
    text = tune("export").stdout
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    row = from_document(json.loads(text), open_storage(None)).trials[0]
    assert row.value == float("inf") and str(row.intermediate_values) == "{0: nan, 1: -inf}"
