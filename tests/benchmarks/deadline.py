"""How far runs are over their deadline: five tables, one and two jobs, two timeouts; 20 runs.

Prints a Markdown table: seconds over the timeout and their share, what the model is, and what the report warns of.
Exit 1 when a run of 60 s or more is over by more than 5 % and a second.

AUTOTUNE_DATA=folder python tests/benchmarks/deadline.py [--timeouts 10 60] [--jobs 1 2] [--json FILE] [table …]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tables import folder, manifest

import autotune
from autotune.predictor import MeanOfModels

TABLES = ("adult", "california_housing", "nursery", "letter", "coil2000")
"""The most rows; a regression; all categorical; many classes; many columns."""

COLUMNS = ("table", "rows", "timeout", "jobs", "over", "share", "trials", "model", "test", "stages", "warnings")


def main() -> int:
    """Run all and print a line each."""
    words = arguments()
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    runs = [
        run(name, manifest()[name], timeout, n_jobs)
        for timeout in words.timeouts
        for name in words.tables
        for n_jobs in words.jobs
    ]
    if words.json:
        words.json.write_text(json.dumps(runs, indent=1))
    over = [each["over"] for each in runs]
    print(f"\n{len(runs)} runs; over by {max(over):.2f} s at most, {sum(over) / len(over):.2f} s in the mean")
    return int(any(each["over"] > 0.05 * each["timeout"] + 1 for each in runs if each["timeout"] >= 60))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES)
    parser.add_argument("--timeouts", nargs="+", type=float, default=[10.0, 60.0])
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def run(name: str, facts: dict[str, Any], timeout: float, n_jobs: int) -> dict[str, Any]:
    """Tune one table until its deadline, print its line and return what it says."""
    started = time.perf_counter()
    report = autotune.tune(
        folder() / facts["file"],
        target=facts["target"],
        task=facts["task"],
        space="automl",
        timeout=timeout,
        n_jobs=n_jobs,
        random_state=0,
        progress=False,
    )
    over = time.perf_counter() - started - timeout
    found = {
        "table": name,
        "rows": facts["rows"],
        "timeout": timeout,
        "jobs": n_jobs,
        "over": round(over, 2),
        "share": round(over / timeout, 4),
        "trials": dict(Counter(record.state for record in report.records)),
        "model": model_of(report),
        "test": str(report.test_score),
        "stages": {stage: round(seconds, 1) for stage, seconds in report.seconds.items()},
        "warnings": list(report.warnings),
    }
    print("| " + " | ".join(cell(found[column]) for column in COLUMNS) + " |", flush=True)
    return found


def model_of(report: autotune.Report) -> str:
    """Say what the model is."""
    learner = report.best_params["learner"]
    if learner == "baseline":
        return "baseline"
    if len(report.weights) > 1:
        return f"mixture of {len(report.weights)}"
    if isinstance(report.model.model, MeanOfModels):
        return f"fold models, {learner}"
    (number,) = report.weights
    cut = any(record.cut for record in report.records if record.number == number)
    return f"{'cut' if cut else 'best'}, {learner}"


def cell(value: Any) -> str:
    """Write a value as a cell of a Markdown table."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return "; ".join(value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(main())
