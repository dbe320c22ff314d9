"""A person's own model from the shell, from a script and from ``python -c``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

import autotune

ROOT = Path(autotune.__file__).parents[1]

MODEL = """
from near_by import Nearest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

model = make_pipeline(StandardScaler(), Nearest())
"""

NEAR_BY = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Nearest(ClassifierMixin, BaseEstimator):
    def __init__(self, power=2.0):
        self.power = power

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.centres_ = np.stack([X[y == each].mean(axis=0) for each in self.classes_])
        return self

    def decision_function(self, X):
        return -(np.abs(X[:, None] - self.centres_) ** self.power).sum(axis=2)

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]
"""


def run(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "own.py").write_text(MODEL)
    (tmp_path / "models" / "near_by.py").write_text(NEAR_BY)
    (tmp_path / "svc.toml").write_text("version = 1\n[svc]\nC = { float = [0.01, 100], log = true }\n")
    (tmp_path / "own.toml").write_text("version = 1\n[own]\nnearest__power = { float = [0.5, 4] }\n")
    iris = load_iris(as_frame=True)
    iris.data.assign(species=iris.target_names[iris.target]).to_csv(tmp_path / "iris.csv", index=False)
    return tmp_path


def tune(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    words = ("run", "iris.csv", "--target", "species", "--random-state", "0", "--n-trials", "3", "--json", *arguments)
    return run("-m", "autotune", *words, cwd=folder, code=code)


def test_any_importable_estimator_is_tuned_from_the_shell(folder: Path) -> None:
    found = json.loads(tune(folder, "--model", "sklearn.svm:SVC", "--space", "svc.toml").stdout)
    assert found["best_params"]["learner"] == "svc" and sum(found["trials"].values()) == 3
    assert any("svc is given a matrix" in note for note in found["notes"])


@pytest.mark.slow
def test_a_model_of_a_file_is_tuned_in_workers_and_predicts_without_its_file(folder: Path) -> None:
    words = ("--model", "models/own.py:model", "--space", "own.toml", "--n-jobs", "2", "--save", "own.model")
    assert json.loads(tune(folder, *words).stdout)["best_params"]["learner"] == "own"
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("own.model", "iris.csv"):
        (folder / name).rename(elsewhere / name)
    for path in (folder / "models").iterdir():
        if path.suffix == ".py":
            path.unlink()
    run("-m", "autotune", "predict", "own.model", "iris.csv", "-o", "out.csv", cwd=elsewhere)
    predicted, truth = pd.read_csv(elsewhere / "out.csv"), pd.read_csv(elsewhere / "iris.csv")
    assert (predicted["prediction"] == truth["species"]).mean() > 0.8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "sklearn.svm:SVCC", "--space", "svc.toml"), "there is no 'SVCC' in sklearn.svm"),
        (("--model", "sklearn.svm:SVC", "--space", "own.toml"), "own.toml:3:1 own.nearest__power: no parameter"),
        (("--space", "svc.toml"), "svc.toml:2:1 svc: no learner named 'svc'"),
    ],
)
def test_what_is_wrong_is_said_with_exit_code_2(folder: Path, words: tuple[str, ...], said: str) -> None:
    assert said in tune(folder, *words, code=2).stderr


SCRIPT = """
import autotune
import numpy as np
from autotune import Float, Int
from sklearn.datasets import load_breast_cancer
from sklearn.svm import SVC

class Own(SVC):
    pass

def build(n_features, n_outputs, width=8):
    from torch import nn
    return nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_outputs))

X, y = load_breast_cancer(return_X_y=True)
for name, model, space in (
    ("own", Own(), {"C": Float(0.1, 10.0, log=True)}),
    ("net", build, {"width": Int(4, 16), "epochs": 3}),
):
    report = autotune.tune(X, y, model=model, space=space, n_trials=3, n_jobs=2, random_state=0)
    print({record.state for record in report.records} - {"complete", "pruned"})
    report.save(f"{name}.model")
    np.save(f"{name}.npy", report.predict_proba(X))
"""


@pytest.mark.slow
def test_classes_and_functions_of_a_script_reach_the_workers_and_load_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    assert run("script.py", cwd=tmp_path).stdout == "set()\nset()\n"
    (tmp_path / "script.py").unlink()
    X, _ = load_breast_cancer(return_X_y=True)
    for name in ("own", "net"):
        predictions = autotune.load(tmp_path / f"{name}.model").predict_proba(X)
        np.testing.assert_allclose(predictions, np.load(tmp_path / f"{name}.npy"), rtol=1e-6)
