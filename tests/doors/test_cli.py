from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from servers import PostgresServer, why_no_postgres
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

import autotune
from autotune import cli
from autotune import demo as demo_table
from autotune.cli import main
from autotune.report import Report
from autotune.settings import DOOR_DEFAULTS, Settings
from autotune.shell import typed as typed_line

ROOT = Path(autotune.__file__).parents[1]
COMMANDS = ("run", "demo", "leaderboard", "best", "predict", "spaces")


def tune(*arguments: str, standard_input: str | None = None) -> Result:
    result = CliRunner().invoke(main, list(arguments), prog_name="tune", input=standard_input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(*arguments: str, cwd: Path, **words: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **words},
    )


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cancer")
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.iloc[:200, :5].assign(diagnosis=bunch.target_names[bunch.target[:200]])
    frame.to_csv(folder / "cancer.csv", index=False)
    return folder / "cancer.csv"


@pytest.fixture(scope="module")
def tuned(cancer: Path) -> dict[str, Any]:
    """A finished run: its folder holds autotune.db and cancer.model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cancer.parent)
        result = tune(
            *("run", "cancer.csv", "--target", "diagnosis", "--space", "linear", "--n-trials", "3"),
            *("--random-state", "0", "--save", "cancer.model"),
        )
    return {"result": result, "folder": cancer.parent, "table": pd.read_csv(cancer)}


@pytest.fixture
def folder(tuned: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the finished run, as the current one."""
    monkeypatch.chdir(tuned["folder"])
    path: Path = tuned["folder"]
    return path


def test_help_starts_without_anything_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from autotune.cli import main; main(['--help'], standalone_mode=False);"
        "heavy = {'numpy', 'pandas', 'rich', 'optuna', 'sklearn', 'torch'} & set(sys.modules);"
        "print(heavy, file=sys.stderr)"
    )
    out, err = start("-c", code, cwd=tmp_path).communicate()
    assert "leaderboard" in out
    assert err == "set()\n"


LEAVING = """
import atexit, sys, threading, time
from autotune.shell import leave

class Torn:
    def __del__(self):
        print("torn down")

atexit.register(print, "registered")
torn = Torn()
{body}
print("said", end="")
leave(SystemExit(3))
"""


@pytest.mark.parametrize(
    ("body", "out", "at_once"),
    [
        ("import sklearn", "saidregistered\n", True),
        ("", "saidregistered\n", False),
        (
            "import sklearn; threading.Thread(target=lambda: (time.sleep(1), print('late'))).start()",
            "saidlate\nregistered\n",
            False,
        ),
    ],
)
def test_the_program_ends_with_its_code_after_all_that_is_registered(
    body: str, out: str, at_once: bool, tmp_path: Path
) -> None:
    process = start("-c", LEAVING.format(body=body), cwd=tmp_path)
    said, err = process.communicate()
    assert (said.removesuffix("torn down\n"), err, process.returncode) == (out, "", 3)
    assert not (at_once and said.endswith("torn down\n"))


def test_what_people_s_own_code_has_not_closed_is_written_before_the_end(tmp_path: Path) -> None:
    body = "import ctypes, sklearn; file = open('left.txt', 'w'); file.write('kept'); "
    body += "ctypes.CDLL(None).printf(b'of C ')"
    out, _ = start("-c", LEAVING.format(body=body), cwd=tmp_path).communicate()
    assert (tmp_path / "left.txt").read_text() == "kept"
    assert "of C " in out and "torn down" not in out


@pytest.fixture(scope="module")
def model_of_wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wine")
    frame = load_wine(as_frame=True).frame
    frame.to_csv(folder / "wine.csv", index=False)
    report = autotune.tune(frame, target="target", space="linear", n_trials=1, random_state=0, n_jobs=1)
    report.save(str(folder / "wine.model"))
    return folder


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["spaces", "--help", "--version", "run --help", "predict wine.model wine.csv"])
def test_a_full_disk_under_stdout_is_said_in_a_line(words: str, model_of_wine: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("-m", "autotune", *words.split(), cwd=model_of_wine, stdout=full)
        _, err = process.communicate()
    said = "error: No space left on device: stdout, or the folder of temporary files, which TMPDIR names\n"
    assert (err, process.returncode) == (said, 1)


def test_a_reader_who_has_left_is_no_traceback(model_of_wine: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start("-m", "autotune", "predict", "wine.model", "wine.csv", cwd=model_of_wine, stdout=writing)
    os.close(writing)
    assert (process.communicate()[1], process.returncode) == ("", 1)


def test_a_study_in_memory_imports_no_database(tmp_path: Path) -> None:
    code = (
        "import sys, autotune; from sklearn.datasets import load_wine; frame = load_wine(as_frame=True).frame;"
        "autotune.tune(frame, target='target', space='linear', n_trials=2, random_state=0, n_jobs=1);"
        "print('sqlalchemy' in sys.modules, file=sys.stderr)"
    )
    _, err = start("-c", code, cwd=tmp_path).communicate()
    assert err.splitlines()[-1] == "False"


def test_every_setting_is_an_option_with_its_help_and_default() -> None:
    text = " ".join(tune("run", "--help").stdout.split())
    options = {option for parameter in main.commands["run"].params for option in parameter.opts}
    for setting in fields(Settings):
        assert f"--{setting.name.replace('_', '-')}" in options
        assert setting.metadata["help"].split()[0] in text
    assert f"[default: {DOOR_DEFAULTS['cli']['storage']}]" in text
    assert "[default: halving]" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = tune(command, "-h")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: tune {command}")


def test_run_shows_the_report_the_top_rows_and_what_to_type_next(tuned: dict[str, Any]) -> None:
    result = tuned["result"]
    assert result.exit_code == 0
    assert "95 % interval" in result.stdout
    assert "untuned default" in result.stdout
    assert "dummy baseline" in result.stdout
    assert "parameters" in result.stdout or "penalty" in result.stdout
    assert "leaderboard" not in result.stdout
    assert "predict cancer.model cancer.csv --output predictions.csv" in result.stderr
    assert "run cancer.csv --target diagnosis --space linear --n-trials 6" in result.stderr


@pytest.mark.skipif(why_no_postgres() is not None, reason=str(why_no_postgres()))
def test_a_run_that_is_over_says_what_to_type_next_without_its_storage(
    cancer: Path, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Report.save
    with PostgresServer() as server:
        monkeypatch.setattr(Report, "save", lambda report, path: (save(report, path), server.stop()))
        words = ("--target", "diagnosis", "--space", "linear", "--n-trials", "1", "--study-name", "c")
        result = tune("run", str(cancer), *words, "--storage", server.url, "--save", "a.model")
    assert result.exit_code == 0, result.stderr
    assert "95 % interval" in result.stdout and Path("a.model").exists()
    following = result.stderr.partition("\nnext\n")[2].splitlines()
    assert len(following) == 5 and "--study-name c" in following[0]
    assert "error" not in result.stderr


def test_the_same_command_again_only_reports_and_json_stands_alone_on_stdout(folder: Path) -> None:
    result = tune("run", "cancer.csv", "--target", "diagnosis", "--space", "linear", "--n-trials", "3", "--json")
    found = json.loads(result.stdout)
    assert found["trials"] and sum(found["trials"].values()) == 3
    assert found["look"] == 2
    assert found["random_state"] == 0
    assert found["test_score"]["low"] <= found["test_score"]["value"] <= found["test_score"]["high"]
    assert found["model"] is None


def test_progress_is_plain_lines_on_stderr_where_there_is_no_terminal(cancer: Path, tmp_path: Path) -> None:
    storage = str(tmp_path / "study.db")
    words = ("--space", "linear", "--n-trials", "2", "--json", "--progress", "--storage", storage)
    result = tune("run", "-", "--target", "diagnosis", *words, standard_input=cancer.read_text())
    assert json.loads(result.stdout)["data"]["name"] == "stdin"
    assert "1/2: trial 0 complete" in result.stderr
    assert "\x1b" not in result.stderr and "\r" not in result.stderr


def test_leaderboard_and_best_find_the_only_study(folder: Path) -> None:
    lines = tune("leaderboard").stdout.splitlines()
    assert lines[0].startswith("cancer-diagnosis-linear-")
    assert lines[2].split()[:8] == ["rank", "trial", "state", "score", "sd", "step", "seconds", "learner"]
    assert len(lines) == 7
    best = tune("best").stdout
    assert "learner" in best and "linear" in best


def test_leaderboard_and_best_as_json(folder: Path) -> None:
    board = json.loads(tune("leaderboard", "--json", "-n", "2").stdout)
    best = json.loads(tune("best", "--json").stdout)
    assert len(board["trials"]) == 2
    assert board["trials"][0]["params"] == best["params"]
    assert best["params"]["learner"] == "linear"
    assert len(best["fold_scores"]) == 5


def test_several_studies_are_listed_and_one_can_be_chosen(cancer: Path, tmp_path: Path) -> None:
    storage = str(tmp_path / "both.db")
    for name in ("first", "second"):
        words = ("--storage", storage, "--study-name", name, "--space", "linear", "--n-trials", "1")
        assert tune("run", str(cancer), "--target", "diagnosis", *words).exit_code == 0
    result = tune("leaderboard", "--storage", storage)
    assert result.exit_code == 2
    assert "the storage holds 2 studies:\n    first\n    second" in result.stderr
    assert tune("best", "--storage", storage, "--study-name", "second").stdout.startswith("second: trial 0")
    wrong = tune("best", "--storage", storage, "--study-name", "secnd")
    assert wrong.exit_code == 2
    assert "second" in wrong.stderr


@pytest.mark.parametrize("command", ["leaderboard", "best"])
@pytest.mark.parametrize("storage", ["nothing.db", "sqlite:///nothing.db"])
def test_a_missing_storage_is_an_error_and_is_not_made(
    command: str, storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tune(command, "--storage", storage)
    assert result.exit_code == 2
    assert "no storage 'nothing.db'" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("suffix", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_predict_keeps_rows_and_their_order(folder: Path, tuned: dict[str, Any], suffix: str, read: Any) -> None:
    tuned["table"].iloc[::-1].head(50).drop(columns="diagnosis").to_csv("new.csv", index=False)
    Path(f"out.{suffix}").write_text("old")
    result = tune("predict", "cancer.model", "new.csv", "-o", f"out.{suffix}")
    assert (result.exit_code, result.stdout) == (0, "")
    found = read(f"out.{suffix}")
    assert list(found.columns) == ["prediction", "probability_benign", "probability_malignant"]
    expected = autotune.load("cancer.model").predict(tuned["table"].iloc[::-1].head(50))
    assert found["prediction"].tolist() == expected.tolist()
    assert found.filter(like="probability").sum(axis=1).tolist() == pytest.approx([1.0] * 50)


def test_predict_reads_stdin_and_writes_stdout(folder: Path, cancer: Path) -> None:
    result = tune("predict", "cancer.model", "-", standard_input=cancer.read_text())
    lines = result.stdout.splitlines()
    assert lines[0] == "prediction,probability_benign,probability_malignant"
    assert len(lines) == 201


def test_predict_of_a_regression_has_one_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    load_diabetes(as_frame=True).frame.to_csv("diabetes.csv", index=False)
    words = ("--target", "target", "--space", "linear", "--n-trials", "1", "--save", "m", "--test-size", "0")
    assert tune("run", "diabetes.csv", *words).exit_code == 0
    assert tune("predict", "m", "diabetes.csv", "-o", "out.jsonl").exit_code == 0
    found = pd.read_json("out.jsonl", lines=True)
    assert list(found.columns) == ["prediction"]
    assert len(found) == 442


def test_predict_says_what_is_missing(folder: Path, tuned: dict[str, Any]) -> None:
    tuned["table"].drop(columns="mean area").to_csv("less.csv", index=False)
    result = tune("predict", "cancer.model", "less.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "mean area" in result.stderr


def test_spaces_are_listed_and_shown() -> None:
    listed = tune("spaces").stdout
    assert "automl" in listed and "lightgbm" in listed
    shown = tune("spaces", "lightgbm").stdout
    row = next(line for line in shown.splitlines() if line.startswith("learning_rate"))
    assert row.split() == ["learning_rate", "float", "0.005", "…", "0.1", "log", "0.05"]


def test_a_space_of_ones_own_is_shown_with_its_conditions(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'version = 1\nsummary = "Own."\n[linear]\npenalty = { choice = ["l1", "l2"] }\n'
        'C = { float = [0.1, 1.0], when = { penalty = "l2" } }\n'
    )
    assert "penalty = l2" in tune("spaces", str(path)).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "No such command"),
        (("leaderbord",), "leaderboard"),
        (("run", "cancer.csv", "--tagret", "x"), "--target"),
        (("run", "cancer.csv"), "diagnosis"),
        (("run", "cancer.csv", "--target", "diagnosi"), "diagnosis"),
        (("run", "nothing.csv", "--target", "x"), "nothing.csv"),
        (("run", "cancer.csv", "--target", "diagnosis", "--space", "lightgmb"), "lightgbm"),
        (("run", "cancer.csv", "--target", "diagnosis", "--timeout", "soon"), "timeout='soon'"),
        (("run", "cancer.csv", "--target", "diagnosis", "--metric", "rmse"), "rmse"),
        (("run", "cancer.csv", "--target", "diagnosis", "--n-jobs", "0"), "n_jobs=0"),
        (("run", "cancer.csv", "--target", "diagnosis", "--cv", "1"), "cv="),
        (("run", "cancer.csv", "--target", "diagnosis", "--save", "no/where/m"), "mkdir -p"),
        (("run", "cancer.csv", "--target", "diagnosis", "--save", "."), "is a folder"),
        (("predict", "nothing.model", "cancer.csv"), "nothing.model"),
        (("predict", "cancer.model", "cancer.csv", "-o", "out.png"), "'.png'"),
        (("predict", "cancer.csv", "cancer.csv"), "cancer.csv"),
        (("spaces", "lightgmb"), "lightgbm"),
    ],
)
def test_a_wrong_command_or_input_ends_with_2_and_a_message(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = tune(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_run_without_a_successful_trial_ends_with_1(folder: Path) -> None:
    result = tune("run", "cancer.csv", "--target", "diagnosis", "--n-trials", "0", "--study-name", "empty", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    result = tune("best", "--study-name", "empty")
    assert result.exit_code == 1
    assert "none of its 0 trials is complete" in result.stderr


def test_studies_status_and_trials_say_how_things_stand(cancer: Path, elsewhere: None) -> None:
    tune(
        "run",
        str(cancer),
        "--target",
        "diagnosis",
        "--space",
        "linear",
        "--n-trials",
        "3",
        "--study-name",
        "a",
        "--pruner",
        "none",
    )
    assert tune("studies").stdout.startswith("a  3 complete  best roc_auc 0.9")
    assert json.loads(tune("studies", "--json").stdout)[0]["trials"] == {"complete": 3}
    status = tune("status").stdout
    assert status.startswith("a: roc_auc (larger is better)\ntrials: 3 complete\nfinished: 3 of 3\nbest: trial ")
    assert json.loads(tune("status", "--json").stdout)["running"] == []
    lines = tune("trials").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["0", "complete"], ["1", "complete"], ["2", "complete"]]
    assert "learner=linear C=1.0 penalty=l2" in lines[0]
    assert tune("trials", "--state", "failed").stdout == ""
    assert len(json.loads(tune("trials", "--json").stdout)["trials"]) == 3


def test_all_that_is_known_of_one_trial_is_shown(elsewhere: None) -> None:
    def objective(params: dict[str, Any]) -> Any:
        print("the words of a trial")
        for step in range(1, 5):
            yield params["x"] + 1 / step

    words: dict[str, Any] = {"n_trials": 2, "n_jobs": 2, "pruner": "none", "random_state": 0, "progress": False}
    autotune.optimize(objective, {"x": autotune.Float(0, 1)}, storage="autotune.db", **words)
    lines = tune("trials", "0").stdout.splitlines()
    assert lines[:3] == ["number       0", "state        complete", "score        0.75"]
    assert any(line.startswith("owner ") and f"process {os.getpid()}" in line for line in lines)
    at = [lines.index(name) for name in ("params", "rungs", "log")]
    assert lines[at[0] + 1 : at[1]] == ["  learner  objective", "  x        0.5"]
    assert lines[at[1] + 1] == "  0  1.5" and lines[at[2] + 1 :] == ["the words of a trial"]
    found = json.loads(tune("trials", "0", "--json").stdout)
    assert (found["log"], found["rungs"]["0"], found["state"]) == ("the words of a trial", 1.5, "complete")
    assert [each["log"] for each in json.loads(tune("trials", "--json").stdout)["trials"]] == [found["log"]] * 2
    wrong = tune("trials", "2")
    assert wrong.exit_code == 2 and wrong.stderr.startswith("error: no trial 2\n")


def test_a_study_is_deleted_when_that_is_confirmed(cancer: Path, elsewhere: None) -> None:
    tune("run", str(cancer), "--target", "diagnosis", "--space", "linear", "--n-trials", "1", "--study-name", "a")
    assert tune("delete", "b", "--yes").exit_code == 2
    assert tune("delete", "a", standard_input="n\n").exit_code == 1
    assert "a" in tune("studies").stdout
    assert "a: deleted, with 1 complete" in tune("delete", "a", standard_input="y\n").stderr
    assert tune("studies").stdout == ""


def test_a_study_with_several_objectives_is_refused(elsewhere: None) -> None:
    optuna.create_study(study_name="two", storage="sqlite:///autotune.db", directions=["minimize", "maximize"])
    for command in ("status", "trials", "leaderboard", "best"):
        result = tune(command)
        assert result.exit_code == 1 and "error: the study has several objectives" in result.stderr, command


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_stop_from_elsewhere_ends_a_run_which_then_reports(cancer: Path, tmp_path: Path) -> None:
    words = ("--space", "linear", "--n-trials", "100000", "--progress", "--json")
    process = start("-m", "autotune", "run", str(cancer), "--target", "diagnosis", *words, cwd=tmp_path)
    assert process.stderr is not None
    while "/100000: trial 1 " not in process.stderr.readline():
        assert process.poll() is None
    storage = ("--storage", str(tmp_path / "autotune.db"))
    running = json.loads(tune("status", *storage, "--json").stdout)["running"]
    assert [f"/{process.pid}/" in each["owner"] for each in running] in ([], [True])
    assert "asked to stop" in tune("stop", *storage).stdout
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and json.loads(out)["test_score"]["value"] > 0.9
    again = start("-m", "autotune", "run", str(cancer), "--target", "diagnosis", *words, cwd=tmp_path)
    assert again.stderr is not None
    line = ""
    while "/100000: trial " not in line:
        line = again.stderr.readline()
        assert again.poll() is None, "a stop is for those who work then, not for those who come later"
    again.kill()
    again.communicate()


def test_an_error_of_ours_keeps_its_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("our bug")

    monkeypatch.setattr("autotune.api.tune_with", broken)
    with pytest.raises(RuntimeError, match="our bug"):
        tune("run", "cancer.csv", "--target", "diagnosis")


def test_python_m_autotune_is_tune_with_its_exit_codes(tmp_path: Path) -> None:
    process = start("-m", "autotune", "best", cwd=tmp_path)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: no storage 'autotune.db'\n")
    process = start("-m", "autotune", "--version", cwd=tmp_path)
    assert process.communicate()[0] == f"autotune, version {autotune.__version__}\n"


@pytest.mark.parametrize("blows", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)], ids=["Ctrl-C twice", "TERM"])
def test_an_interrupted_run_keeps_its_trials_and_ends_with_130(
    blows: tuple[int, ...], cancer: Path, tmp_path: Path
) -> None:
    words = ("--space", "linear", "--n-trials", "100000", "--progress")
    process = start("-m", "autotune", "run", str(cancer), "--target", "diagnosis", *words, cwd=tmp_path)
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    while "/100000: trial 1 " not in process.stderr.readline():
        assert time.monotonic() < deadline
    process.send_signal(blows[0])
    for blow in blows[1:]:
        while "Ctrl-C again to stop now" not in process.stderr.readline():
            assert time.monotonic() < deadline
        process.send_signal(blow)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "the study in autotune.db keeps every finished trial" in err
    assert err.endswith("interrupted\n")
    board = json.loads(tune("leaderboard", "--storage", str(tmp_path / "autotune.db"), "--json").stdout)
    assert len(board["trials"]) >= 2


def test_one_interrupt_ends_the_search_and_the_report_follows(cancer: Path, tmp_path: Path) -> None:
    words = ("--space", "linear", "--n-trials", "100000", "--progress", "--json", "--save", "a.model")
    process = start("-m", "autotune", "run", str(cancer), "--target", "diagnosis", *words, cwd=tmp_path)
    assert process.stderr is not None
    while "/100000: trial 1 " not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0
    assert "ending: what runs is finished, and the report follows; Ctrl-C again to stop now" in err
    found = json.loads(out)
    assert found["test_score"]["value"] > 0.9 and (tmp_path / "a.model").exists()
    assert 2 <= sum(found["trials"].values()) < 1000 and "running" not in found["trials"]


def test_the_demo_runs_and_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("demo", "--space", "linear", "--n-trials", "3", "--n-jobs", "1")
    first, second = tune(*words), tune(*words)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert {path.name for path in tmp_path.iterdir()} >= {demo_table.TABLE, demo_table.STORAGE, demo_table.MODEL}
    for part in ("cross-validation", "95 % interval", "untuned default", "dummy baseline", "best configuration"):
        assert part in first.stdout
    assert "look 2" in second.stdout
    assert "the study holds 3 finished trials already" in second.stderr
    following = second.stderr.partition("\nnext\n")[2].splitlines()
    commands = [line.split(" -m autotune ")[1].split() for line in following if " -m autotune " in line]
    assert [command[0] for command in commands] == ["leaderboard", "best", "run", "predict"]
    assert [tune(*command).exit_code for command in commands] == [0, 0, 0, 0]
    assert len(pd.read_csv("predictions.csv")) == 442


def test_a_command_to_be_pasted_says_yes_and_no_as_options_do() -> None:
    words = typed_line("run", "t.csv", n_jobs=2, deterministic=True, progress=False, storage=None).split()
    assert words[-5:] == ["t.csv", "--n-jobs", "2", "--deterministic", "--no-progress"]


def test_a_password_in_the_url_of_the_storage_is_never_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://ann:hush@db/tuning"
    report = SimpleNamespace(study_name="s", records=())
    monkeypatch.setattr("autotune.cli._is_alone", lambda name, storage: storage == url)
    cli._say_next(report, "a.csv", {"storage": url}, None)
    printed = capsys.readouterr().err
    assert "hush" not in printed and printed.count("ann:***@db") == 5

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("autotune.api.tune_with", interrupted)
    result = tune("run", "cancer.csv", "--target", "diagnosis", "--storage", url)
    assert result.exit_code == 130 and "hush" not in result.output and "ann:***@db" in result.output


def test_a_database_that_is_damaged_is_no_traceback(cancer: Path, elsewhere: None) -> None:
    tune("run", str(cancer), "--target", "diagnosis", "--space", "linear", "--n-trials", "1")
    with closing(sqlite3.connect("autotune.db")) as connection:
        connection.execute("DROP TABLE trial_user_attributes")
        connection.commit()
    result = tune("status")
    assert result.exit_code == 1 and "error: the storage cannot be used any more: no such table" in result.stderr
