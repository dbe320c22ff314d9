"""Every tabular table of the data folder, five trials each: none crashes, each beats the dummy baseline.

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
    """Tune every table and print a line each; exit 1 when one crashed or did not beat its baseline."""
    chosen = sys.argv[1:]
    tables = {
        name: facts for name, facts in manifest().items() if facts["task"] in TABULAR and (not chosen or name in chosen)
    }
    header = (
        f"{'table':<26}{'task':<12}{'metric':<10}{'cv':>10}{'test':>10}{'low':>10}{'high':>10}{'baseline':>10}{'s':>7}"
    )
    print(header, flush=True)
    bad = [name for name, facts in tables.items() if not tune_one(name, facts)]
    print(f"{len(tables) - len(bad)} of {len(tables)} tables beat the baseline" + (f"; not: {bad}" if bad else ""))
    return 1 if bad else 0


def tune_one(name: str, facts: dict[str, str]) -> bool:
    """Tune one table with five trials and print its line."""
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
        return False
    test, baseline = report.test_score, report.baseline_score
    assert test is not None and baseline is not None
    failed = [record.reason for record in report.records if record.state == "failed"]
    print(
        f"{name:<26}{facts['task']:<12}{report.metric:<10}{report.best_score:>10.4g}{test.value:>10.4g}{test.low:>10.4g}"
        f"{test.high:>10.4g}{baseline.value:>10.4g}{time.perf_counter() - started:>7.0f}  "
        f"{report.best_params['learner']} {' '.join(failed)}",
        flush=True,
    )
    sign = 1 if report.maximize else -1
    return not failed and sign * test.value > sign * baseline.value


if __name__ == "__main__":
    sys.exit(main())
