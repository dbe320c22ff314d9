from __future__ import annotations

import io
import re
import sys
import time

import pytest
from sklearn.datasets import load_diabetes

from autotune.api import tune
from autotune.console import Console, show_leaderboard
from autotune.countdown import Countdown
from autotune.data.tables import read_table
from autotune.plan import Plan, make_plan
from autotune.settings import make_settings
from autotune.space_tables import show_space
from autotune.spaces.params import Fixed, Float, Int
from autotune.spaces.space import Config, Space
from autotune.study.records import TrialRecord
from autotune.tuning import opening_of

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 100 columns, whatever the tests run on."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


@pytest.fixture(scope="module")
def plan() -> Plan:
    table = read_table(load_diabetes(as_frame=True).frame.head(60), target="target")
    return make_plan(make_settings("call", space="linear", n_trials=4), table, started=time.time())


def trial(number: int, score: float | None = 50.0, state: str = "complete", **params: object) -> TrialRecord:
    config = Config("linear", {"C": 0.5, "penalty": "l2"} | params)
    return TrialRecord(number, state, config, score, seconds=1.25)  # type: ignore[arg-type]  # a state by its text


def watch(console: Console, plan: Plan) -> None:
    """Tell a console of a run with a best trial, a worse one, a pruned one and a failed one."""
    console.planned(opening_of(plan))
    console.stage("search")
    console.joined(())
    best = trial(0, 52.5)
    console.told(best, best)
    console.told(trial(1, 60.0), best)
    console.told(trial(2, 70.0, "pruned"), best)
    console.told(trial(3, None, "failed"), best)
    console.stage("refit")
    console.over()


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_plain_lines_hold_one_trial_each_and_no_control_characters(plan: Plan) -> None:
    out = io.StringIO()
    watch(Console(out), plan)
    lines = out.getvalue().splitlines()
    assert all(character.isprintable() for line in lines for character in line)
    assert lines[0] == "table: regression on 'target', rmse (smaller is better)"
    assert [f"- {note}" for note in plan.notes] == lines[2 : 2 + len(plan.notes)]
    assert lines[-6:] == [
        "1/4: trial 0 complete 52.500 in 1.2 s, the best so far: linear C=0.5 penalty=l2",
        "2/4: trial 1 complete 60.000 in 1.2 s",
        "3/4: trial 2 pruned 70.000 in 1.2 s",
        "4/4: trial 3 failed in 1.2 s",
        "4 trials in 0:00: 2 complete, 1 pruned, 1 failed",
        "training the best configuration on all search rows",
    ]


def test_only_a_new_best_leaves_a_line_on_a_terminal(terminal: Terminal, plan: Plan) -> None:
    watch(Console(terminal), plan)
    shown = bare(terminal.getvalue())
    assert re.findall(r"best +([0-9.]+) +trial (\d)", shown) == [("52.500", "0")]
    assert "trial 1" not in shown


def test_the_live_line_counts_trials_and_says_the_best(terminal: Terminal, plan: Plan) -> None:
    console = Console(terminal)
    console.planned(opening_of(plan))
    console.stage("search")
    console.joined((trial(0, 52.5),))
    console._live.refresh()  # type: ignore[union-attr]  # a stage has begun
    assert "1/4 trials  best 52.500" in bare(terminal.getvalue())
    console.told(trial(1, 55.0), trial(0, 52.5))
    console._live.refresh()  # type: ignore[union-attr]
    console.over()
    assert "2/4 trials  best 52.500  last 55.000" in bare(terminal.getvalue())


def test_the_terminal_is_given_back_even_when_over_comes_twice_or_at_once(terminal: Terminal, plan: Plan) -> None:
    before = sys.stdout, sys.stderr
    console = Console(terminal)
    console.over()
    console.planned(opening_of(plan))
    console.stage("search")
    console.over()
    console.over()
    assert terminal.getvalue().count(HIDE_CURSOR) == terminal.getvalue().count(SHOW_CURSOR) == 1
    assert (sys.stdout, sys.stderr) == before


def test_a_run_that_fails_gives_the_terminal_back(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("autotune.execution.coordinator.Search._submit", broken)
    with pytest.raises(KeyboardInterrupt):
        tune(load_diabetes(as_frame=True).frame, target="target", space="linear", n_trials=1)
    assert terminal.getvalue().rindex(SHOW_CURSOR) > terminal.getvalue().rindex(HIDE_CURSOR)


def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    watch(Console(terminal), plan)
    assert "1/4: trial 0 complete" in terminal.getvalue()
    assert HIDE_CURSOR not in terminal.getvalue()


def test_a_leaderboard_of_one_learner_has_a_column_for_each_parameter_that_varies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    records = [trial(0, C=0.1), trial(1, 49.0, C=0.2), trial(2, 55.0, "pruned", C=0.3)]
    show_leaderboard(records, maximize=False, limit=20)
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["rank", "trial", "state", "score", "sd", "step", "seconds", "learner", "C"]
    assert [row.split()[:2] for row in rows] == [["1", "1"], ["2", "0"], ["2", "pruned"]]
    assert rows[0].split()[-1] == "0.2"


def test_a_leaderboard_of_several_learners_has_one_column_of_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    other = TrialRecord(1, "complete", Config("knn", {"neighbors": 5}), 51.0)
    show_leaderboard([trial(0), other, trial(2, 60.0)], maximize=False, limit=2)
    out = capsys.readouterr().out
    assert "parameters" in out.splitlines()[0]
    assert "… and 1 more" in out


def test_a_leaderboard_fits_the_terminal_and_is_whole_when_piped(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many = {f"parameter_{i}": i for i in range(30)}
    records = [trial(i, 50.0 + i, **{name: i + value for name, value in many.items()}) for i in range(3)]
    show_leaderboard(records, maximize=False, limit=20)
    assert "parameter_29" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdout", terminal)
    show_leaderboard(records, maximize=False, limit=20)
    lines = bare(terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) == 5
    assert lines[0].split()[0] == "rank"
    assert lines[2].startswith("   1       0   complete   50.000")
    assert lines[2].rstrip().endswith("…")


def test_an_empty_study_has_an_empty_leaderboard(capsys: pytest.CaptureFixture[str]) -> None:
    show_leaderboard([], maximize=True, limit=20)
    assert capsys.readouterr().out.startswith("rank")


def test_a_space_shows_ranges_steps_and_fixed_values(capsys: pytest.CaptureFixture[str]) -> None:
    space = Space({"own": {"a": Int(2, 10, step=4), "b": Fixed(None), "c": Float(0.1, 1.0, when={"a": (2, 6)})}})
    show_space(space)
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert rows[-3:] == ["a int 2 … 10, every 4 6", "b fixed none", "c float 0.1 … 1 0.55 a = 2 or 6"]


def test_the_pace_foresees_the_end_by_trials_and_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("autotune.countdown.time.time", lambda: now)
    by_trials, by_clock, endless = Countdown(10, float("inf")), Countdown(None, 1100.0), Countdown(4, float("inf"))
    for pace in (by_trials, by_clock):
        pace.begin([trial(0)])
        pace.count(trial(1))
    endless.begin([])
    now = 1020.0
    assert (by_trials.counted(), by_trials.share(), by_trials.time_left()) == ("2/10", 0.2, "2:40 left")
    assert (by_clock.counted(), by_clock.share(), by_clock.time_left()) == ("2", 0.2, "1:20 left")
    assert (endless.share(), endless.time_left()) == (0.0, "0:20 so far")
