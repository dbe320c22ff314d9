"""Every tabular table of the data folder, five trials each: none crashes, and how each stands to the dummy baseline.

"beats" is a better score on the test rows, "level" one that is not better while the interval of the difference holds 0:
these rows cannot tell. Exit 1 when a table crashed or its whole interval is worse.

AUTOTUNE_DATA=folder python tests/benchmarks/sweep.py [table …]
"""

from __future__ import annotations

import sys
import time
import traceback

from tables import folder, manifest

import autotune

TABULAR = ("binary", "multiclass", "regression")


def main() -> int:
    """Tune every table and print a line each, and the counts."""
    chosen = sys.argv[1:]
    tables = {
        name: facts for name, facts in manifest().items() if facts["task"] in TABULAR and (not chosen or name in chosen)
    }
    columns = ("cv", "test", "low", "high", "baseline", "gain", "low", "high")
    print(
        f"{'table':<26}{'task':<12}{'metric':<10}" + "".join(f"{name:>10}" for name in columns) + f"{'s':>7}",
        flush=True,
    )
    verdicts = {name: tune_one(name, facts) for name, facts in tables.items()}
    for verdict in ("beats", "level", "worse", "crashed"):
        names = [name for name, each in verdicts.items() if each == verdict]
        print(f"{len(names)} of {len(tables)} {verdict}" + (f": {names}" if names and verdict != "beats" else ""))
    return 1 if {"worse", "crashed"} & set(verdicts.values()) else 0


def tune_one(name: str, facts: dict[str, str]) -> str:
    """Tune one table with five trials, print its line and return its verdict."""
    started = time.perf_counter()
    try:
        report = autotune.tune(
            folder() / facts["file"],
            target=facts["target"],
            task=facts["task"],
            groups=facts["group"],
            time=facts["time"].split(",")[0] if facts["time"] else None,
            positive=facts["positive"],
            n_trials=5,
            n_jobs=2,
            random_state=0,
            progress=False,
        )
    except Exception:
        traceback.print_exc()
        print(f"{name:<26}CRASHED", flush=True)
        return "crashed"
    test, baseline, gain = report.test_score, report.baseline_score, report.gains["baseline"]
    assert test is not None and baseline is not None
    verdict = "beats" if gain.value > 0 else "level" if gain.high > 0 else "worse"
    failed = [record.reason for record in report.records if record.state == "failed"]
    numbers = (report.best_score, test.value, test.low, test.high, baseline.value, gain.value, gain.low, gain.high)
    print(
        f"{name:<26}{facts['task']:<12}{report.metric:<10}"
        + "".join(f"{number:>10.4g}" for number in numbers)
        + f"{time.perf_counter() - started:>7.0f}  {verdict} {report.best_params['learner']} {' '.join(failed)}",
        flush=True,
    )
    return "crashed" if failed else verdict


if __name__ == "__main__":
    sys.exit(main())
