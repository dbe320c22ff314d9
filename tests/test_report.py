"""What a run leaves: a text, plain values, a file."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest

import autotune
from autotune.data.task import Column, Schema
from autotune.errors import DataError, StudyError
from autotune.learners.baseline import ConstantModel
from autotune.predictor import Predictor
from autotune.report import Report, load
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord
from autotune.verdict import Score


def made_report(**changes: Any) -> Report:
    config = Config("linear", {"C": 0.123456789, "penalty": "l2"})
    words: dict[str, Any] = {
        "best_params": config.flat(),
        "best_score": 0.91234567,
        "best_sd": 0.0123,
        "weights": {0: 1.0},
        "ensemble_score": None,
        "test_score": Score(0.9, 0.85, 0.95),
        "best_alone_score": None,
        "baseline_score": Score(0.5, 0.5, 0.5),
        "default_score": Score(0.89, 0.84, 0.94),
        "gains": {"default": Score(0.01, -0.005, 0.02), "baseline": Score(0.4, 0.35, 0.45)},
        "model": Predictor(ConstantModel(np.array(1.0)), Schema((Column("a", "numeric"),)), "regression", None, "y"),
        "records": (
            TrialRecord(0, "complete", config, 0.9, (0.9, 0.9), 1, 1.0),
            TrialRecord(1, "pruned", config, 0.8, reason="pruned at rung 1"),
            TrialRecord(2, "failed", config, None, reason="ValueError: no"),
            TrialRecord(3, "failed", config, None, reason="ValueError: no"),
        ),
        "metric": "roc_auc",
        "maximize": True,
        "data": {
            "name": "churn",
            "target": "churned",
            "kind": "binary",
            "search_rows": 8000,
            "test_rows": 2000,
            "columns": 12,
            "folds": "5-fold stratified, shuffled",
        },
        "study_name": "churn-churned-linear-0123abcd",
        "seed": 7,
        "look": 1,
        "seconds": {"search": 12.34, "refit": 0.5},
        "versions": {"optuna": "5.0.0"},
        "notes": ("text with two classes: binary", "constant, left out: 'id'"),
    }
    return Report(**{**words, **changes})


def test_the_text_reads_well() -> None:
    assert str(made_report(warnings=("mind the gap",))) == (
        "churn: binary on 'churned', roc_auc (larger is better)\n"
        "8,000 search rows, 2,000 test rows, 12 columns, 5-fold stratified, shuffled\n"
        "! mind the gap\n"
        "\n"
        "cross-validation  0.91235 ± 0.012   (optimistic: the winner was chosen on these folds)\n"
        "test              0.9 [0.85, 0.95]   (95 % interval)\n"
        "untuned default   0.89 [0.84, 0.94]   tuned is better by 0.01 [-0.005, 0.02]\n"
        "dummy baseline    0.5 [0.5, 0.5]   tuned is better by 0.4 [0.35, 0.45]\n"
        "\n"
        "best configuration\n"
        "  learner  linear\n"
        "  C        0.12346\n"
        "  penalty  l2\n"
        "\n"
        "trials: 1 complete, 1 pruned, 2 failed, in 'churn-churned-linear-0123abcd'\n"
        "  failed ×2: ValueError: no\n"
        "\n"
        "- text with two classes: binary\n"
        "- constant, left out: 'id'\n"
        "\n"
        "time: search 12.3 s, refit 0.5 s\n"
        "random_state 7; optuna 5.0.0"
    )


def test_the_text_of_an_ensemble_says_what_is_mixed_and_what_it_gained() -> None:
    gains = {"best": Score(0.02, 0.01, 0.03)}
    alone = Score(0.88, 0.83, 0.93)
    text = str(made_report(weights={0: 0.75, 1: 0.25}, ensemble_score=0.93, best_alone_score=alone, gains=gains))
    assert "ensemble          0.93   (2 trials mixed; each fold with weights that the others chose)\n" in text
    assert "best trial alone  0.88 [0.83, 0.93]   tuned is better by 0.02 [0.01, 0.03]\n" in text
    assert "the model is a mixture\n  75% trial 0, linear\n  25% trial 1, linear\n" in text


def test_the_text_says_when_there_was_no_test_and_how_often_one_looked() -> None:
    report = made_report(test_score=None)
    assert "test              none: no time was left" in str(report)
    none = replace(report, data={**report.data, "test_rows": 0})
    assert "test              none: no rows were set aside" in str(none)
    assert "(95 % interval, look 3 at these rows)" in str(made_report(look=3))
    assert "± " not in str(made_report(best_sd=math.nan))


def test_plain_values_are_json() -> None:
    undefined = Score(0.9, math.nan, math.nan)
    values = json.loads(json.dumps(made_report(test_score=undefined, best_sd=math.nan).to_dict(), allow_nan=False))
    assert values["test_score"] == {"value": 0.9, "low": None, "high": None}
    assert values["best_sd"] is None
    assert values["gains"]["baseline"] == {"value": 0.4, "low": 0.35, "high": 0.45}
    assert values["trials"] == {"complete": 1, "pruned": 1, "failed": 2}
    assert values["best_params"] == {"learner": "linear", "C": 0.123456789, "penalty": "l2"}
    assert values["random_state"] == 7
    assert made_report(test_score=None).to_dict()["test_score"] is None


def test_the_leaderboard_is_that_of_the_records() -> None:
    assert made_report().leaderboard()["number"].tolist() == [0, 1, 2, 3]


def test_a_real_report_is_saved_and_loaded_without_its_connection(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(80, 2))
    report = autotune.tune(X, X[:, 0], space="linear", n_trials=2, random_state=0, storage=tmp_path / "study.db")
    assert len(report.study.trials) == 2
    json.dumps(report.to_dict(), allow_nan=False)
    path = tmp_path / "model.autotune"
    path.write_text("an older file")
    report.save(path)
    assert {each.name for each in tmp_path.iterdir() if "unfinished" in each.name} == set()
    again = autotune.load(path)
    assert again.records == report.records
    assert str(again) == str(report)
    assert again.to_dict() == report.to_dict()
    np.testing.assert_array_equal(again.predict(X), report.predict(X))
    with pytest.raises(StudyError, match="a loaded report has no connection to its study"):
        _ = again.study
    assert b"study.db" not in path.read_bytes()


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the model cannot be written: No such file or directory\n  where: .*no/model"):
        made_report().save(tmp_path / "no" / "model")
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match="the model cannot be written: Is a directory"):
        made_report().save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x80\x04broken", b"PK\x03\x04", b"\x1f\x8b broken"])
def test_a_file_that_is_no_report_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(DataError, match="the file holds no report"):
        load(tmp_path / "model")


def test_a_truncated_report_is_refused(tmp_path: Path) -> None:
    made_report().save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    for share in (0.1, 0.5, 0.95):
        (tmp_path / "model").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="the file holds no report"):
            load(tmp_path / "model")


def test_another_pickle_and_a_missing_file_are_named(tmp_path: Path) -> None:
    joblib.dump({"a": 1}, tmp_path / "other")
    with pytest.raises(DataError, match="the file holds a dict, no report"):
        load(tmp_path / "other")
    with pytest.raises(DataError, match=r"there is no such file\n  where: .*gone\n  try:   the path given"):
        load(tmp_path / "gone")


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("", "the model needs 'Mine' of module 'mine_for_a_report', which is not there"),
        (None, "the model needs module 'mine_for_a_report', which cannot be imported here"),
    ],
)
def test_a_report_whose_model_s_module_is_not_here_says_so(
    left: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("mine_for_a_report")
    exec("class Mine: pass", vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made_report(notes=(module.Mine(),)).save(tmp_path / "model")
    if left is None:
        monkeypatch.delitem(sys.modules, module.__name__)
    else:
        monkeypatch.setitem(sys.modules, module.__name__, ModuleType("mine_for_a_report"))
    with pytest.raises(DataError, match=said) as caught:
        load(tmp_path / "model")
    assert "--model" in (caught.value.hint or "")
