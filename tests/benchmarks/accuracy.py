"""Test scores on adult and california_housing against LightGBM's own defaults on the same rows, means over seeds.

AUTOTUNE_DATA=folder python tests/benchmarks/accuracy.py [--automl] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from tables import folder, manifest

import autotune
from autotune.data.tables import read_table
from autotune.plan import make_plan
from autotune.settings import make_settings
from autotune.verdict import Score, judge_on_test_rows

TABLES = ("adult", "california_housing")


def main() -> None:
    """Print a line a table and seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--automl", action="store_true", help="compare space automl with lightgbm at 50 trials")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tables", nargs="*", default=TABLES)
    arguments = parser.parse_args()
    for name in arguments.tables:
        rows = [one_seed(name, seed, automl=arguments.automl) for seed in arguments.seeds]
        means = pd.DataFrame(rows).mean(numeric_only=True)
        print(f"{name} mean of {len(rows)} seeds: {means.to_dict()}", flush=True)


def one_seed(name: str, seed: int, *, automl: bool) -> dict[str, float]:
    """Tune one table with one seed, beside the defaults of the library on the same rows."""
    facts = manifest()[name]
    path, target = folder() / facts["file"], facts["target"]
    words: dict[str, Any] = {"target": target, "random_state": seed, "n_jobs": 2, "progress": False}
    row: dict[str, float] = {"library default": library_default(path, target, seed)}
    n_trials, reports = 50 if automl else 30, {}
    for space in ("lightgbm", "automl") if automl else ("lightgbm",):
        started = time.perf_counter()
        report = autotune.tune(path, space=space, n_trials=n_trials, **words)
        assert report.test_score is not None
        row[space], row[f"{space} seconds"] = report.test_score.value, time.perf_counter() - started
        row[f"{space} cv"] = report.best_score
        reports[space] = report
        print(name, seed, space, report.best_params, flush=True)
    if automl:
        print(name, seed, "automl is better than lightgbm by", paired_gain(path, target, seed, reports), flush=True)
    print(name, seed, row, flush=True)
    return row


def paired_gain(path: Any, target: str, seed: int, reports: dict[str, autotune.Report]) -> Score:
    """Return how much better automl's model is on the test rows, with its paired interval."""
    table = read_table(path, target=target)
    plan = make_plan(make_settings("call", space="lightgbm", random_state=seed), table, started=time.time())
    predictions = {space: reports[space].model.model.predict(plan.test.rows) for space in ("automl", "lightgbm")}
    return judge_on_test_rows(plan.metric, plan.test, predictions, seed=seed).gains["lightgbm"]


def library_default(path: Any, target: str, seed: int) -> float:
    """Fit LGBMClassifier() or LGBMRegressor() on the search rows, with pandas categories, and score the test rows."""
    table = read_table(path, target=target)
    plan = make_plan(make_settings("call", space="lightgbm", random_state=seed), table, started=time.time())
    search, test = as_frame(plan.search.rows), as_frame(plan.test.rows)
    if table.kind == "regression":
        predictions = lightgbm.LGBMRegressor(verbose=-1, n_jobs=1).fit(search, plan.search.y).predict(test)
    else:
        model = lightgbm.LGBMClassifier(verbose=-1, n_jobs=1).fit(search, plan.search.y)
        predictions = np.asarray(model.predict_proba(test))
    return plan.metric.score(plan.test.y, predictions)


def as_frame(rows: Any) -> pd.DataFrame:
    """Return rows as a frame with one dtype of codes for both sides."""
    frame = pd.DataFrame(rows.numeric).add_prefix("n")
    for index, codes in enumerate(rows.categorical.T):
        frame[f"c{index}"] = pd.Categorical.from_codes(codes, categories=range(100_000))
    return frame


if __name__ == "__main__":
    main()
