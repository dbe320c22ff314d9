"""How cost grows: with rows, columns, trials, workers and folds; time and peak memory, and the exponent of each curve.

python tests/benchmarks/scaling.py [--axes rows columns trials workers folds million] [--quick]

rows     1,000 to 1,000,000 of 30 columns, for LightGBM (20 rounds), linear models and networks (2 epochs); 2 trials.
columns  10 to 2,000 of 2,000 rows, for the same.
trials   10 to 5,000 that do nothing, drawn at random, with the study in memory and in a SQLite file.
workers  1 to 8 on a table of 200 MB, LightGBM: time, and the memory that each further worker adds.
folds    3 to 10, LightGBM on 20,000 rows.
million  A million rows of 30 columns in a Parquet file: three trials of LightGBM, one and two workers, within 8 GB.

Each point is a process of its own. Seconds count from after its imports until its report is there, CPU seconds with
those of all children. Memory is the largest proportional set size of the process with its children, imports included;
its exponent is of what comes on top of the imports. An exponent is the slope of log cost over log size by least squares
over the upper half of a curve; up to 1.15 is what linear × log looks like there. A worker has one thread.

Files: scaling.json and scaling.md, after each curve. Some 40 CPU minutes, most of them for rows; --quick takes 3.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring import PeakMemory, machine
from results import table, write
from tables import generated

LEARNERS = {
    "lightgbm": {"max_rounds": {"int": [1, 20], "fidelity": True}},
    "linear": {"C": {"float": [0.1, 10.0], "log": True, "default": 1.0}},
    "mlp": {"epochs": {"int": [1, 2], "fidelity": True}, "units": 64},
}
VARIED = {
    "lightgbm": {"num_leaves": {"int": [16, 31], "default": 31}},
    "linear": {},
    "mlp": {"learning_rate": {"float": [1e-3, 1e-2], "log": True, "default": 2e-3}},
}
ROWS = (1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
COLUMNS = (10, 50, 200, 500, 1_000, 2_000)
TRIALS = (10, 100, 500, 1_000, 2_000, 5_000)
WORKERS = (1, 2, 4, 8)
FOLDS = (3, 5, 7, 10)
QUICK = {"rows": 100_000, "columns": 500, "trials": 1_000, "workers": 2, "folds": 5}
LIMIT_GB = 8.0


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--quick", action="store_true", help="only the smaller sizes")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    arguments = parser.parse_args()
    facts = machine() | {"command": " ".join(["python", *sys.argv])}
    curves: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="autotune-scaling-") as folder:
        for axis in arguments.axes:
            largest = QUICK.get(axis, 0) if arguments.quick else math.inf
            for curve in AXES[axis](Path(folder), largest):
                curves.append(curve)
                print("\n".join(shown(curve)), flush=True)
                write(arguments.output, "scaling", facts, curves, [line for each in curves for line in shown(each)])


# ---- the axes ----


def rows(folder: Path, largest: float) -> Iterator[dict[str, Any]]:
    """Measure 1,000 to 1,000,000 rows."""
    sizes = [size for size in ROWS if size <= largest]
    paths = {size: on_disk(folder, size, 24, 6) for size in sizes}
    for learner in LEARNERS:
        yield curve("rows", learner, {size: tuning(paths[size], learner) for size in sizes})


def columns(folder: Path, largest: float) -> Iterator[dict[str, Any]]:
    """Measure 10 to 2,000 columns, a tenth of them categories."""
    sizes = [size for size in COLUMNS if size <= largest]
    paths = {size: on_disk(folder, 2_000, size - size // 10, size // 10) for size in sizes}
    for learner in LEARNERS:
        yield curve("columns", learner, {size: tuning(paths[size], learner) for size in sizes})


def trials(folder: Path, largest: float) -> Iterator[dict[str, Any]]:
    """Measure 10 to 5,000 trials that do nothing."""
    sizes = [size for size in TRIALS if size <= largest]
    for place in ("memory", "sqlite"):
        jobs = {}
        for size in sizes:
            storage = str(folder / f"trials-{size}.db") if place == "sqlite" else None
            jobs[size] = {"what": "nothing", "n_trials": size, "storage": storage}
        yield curve("trials", place, jobs)


def workers(folder: Path, largest: float) -> Iterator[dict[str, Any]]:
    """Measure 1 to 8 workers on 200 MB: each has a trial to run and one to spare."""
    path = on_disk(folder, 200_000, 125, 0)
    sizes = [size for size in WORKERS if size <= largest]
    yield curve("workers", "lightgbm", {n: tuning(path, "lightgbm", n_jobs=n, n_trials=2 * max(sizes)) for n in sizes})


def folds(folder: Path, largest: float) -> Iterator[dict[str, Any]]:
    """Measure 3 to 10 folds."""
    path = on_disk(folder, 20_000, 24, 6)
    sizes = [size for size in FOLDS if size <= largest]
    yield curve("folds", "lightgbm", {n: tuning(path, "lightgbm", cv=n, n_trials=4) for n in sizes})


def million(folder: Path, largest: float) -> Iterator[dict[str, Any]]:
    """Tune a million rows of 30 columns; the size is the number of workers."""
    if not largest:
        return
    path = on_disk(folder, 1_000_000, 24, 6)
    yield curve("million", "lightgbm", {n: tuning(path, "lightgbm", cv=5, n_jobs=n, n_trials=3) for n in (1, 2)})


AXES = {"rows": rows, "columns": columns, "trials": trials, "workers": workers, "folds": folds, "million": million}


def tuning(path: str, learner: str, **words: Any) -> dict[str, Any]:
    """Return the job of tuning a file."""
    space = {learner: LEARNERS[learner] | VARIED[learner]}
    return {"what": "tune", "data": path, "space": space, "n_trials": 2, "cv": 3, "n_jobs": 1} | words


def on_disk(folder: Path, n_rows: int, n_numeric: int, n_categorical: int) -> str:
    """Write a generated table, unless it is there."""
    path = folder / f"{n_rows}-{n_numeric}-{n_categorical}.parquet"
    if not path.exists():
        generated(n_rows, n_numeric, n_categorical, kind="binary").to_parquet(path)
    return str(path)


# ---- what is measured ----


def curve(axis: str, name: str, jobs: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Run a job for each size."""
    points = [{"size": size, **measured(job)} for size, job in jobs.items()]
    sizes = [point["size"] for point in points]
    costs = {
        "cpu": [point["cpu"] for point in points],
        "wall": [point["wall"] for point in points],
        "memory": [point["peak_gb"] - point["imports_gb"] for point in points],
    }
    stages = {stage for point in points for stage in point.get("stages", {})}
    costs |= {stage: [point["stages"].get(stage, 0.0) for point in points] for stage in sorted(stages)}
    return {
        "axis": axis,
        "name": name,
        "points": points,
        "exponents": {cost: exponent(sizes, values) for cost, values in costs.items()},
    }


def measured(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job in a fresh process; return its seconds and its peak memory."""
    program = Path(__file__).with_name("scaling_point.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": str(job.get("n_jobs", 1))}
    words: dict[str, Any] = {"env": environment, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, program, json.dumps(job)], **words)
    peak = PeakMemory(process.pid, every=0.1)
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the job ended with {process.returncode}: {job}")
    return json.loads(output.splitlines()[-1]) | {"peak_gb": peak.gigabytes}


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float | None:
    """Return the slope of log cost over log size over the upper half of a curve; None where costs are near zero.

    Examples
    --------
    >>> round(exponent([1, 10, 100, 1000], [5.0, 6.0, 20.0, 200.0]), 3)
    1.0
    """
    kept = [(math.log(size), math.log(cost)) for size, cost in zip(sizes, costs, strict=True) if cost > 1e-3]
    kept = kept[-max(2, (len(sizes) + 1) // 2) :]
    if len(kept) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(kept) for values in zip(*kept, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in kept)
    return sum((x - mean_x) * (y - mean_y) for x, y in kept) / spread


# ---- how it is shown ----


def shown(found: dict[str, Any]) -> list[str]:
    """Return a curve as a table with its exponents, and what it says beside them."""
    stages = list(dict.fromkeys(stage for point in found["points"] for stage in point.get("stages", {})))
    head = [found["axis"], "CPU s", "wall s", "peak GB", "on top of imports", *stages]
    body = [
        [
            f"{point['size']:,}", f"{point['cpu']:.2f}", f"{point['wall']:.2f}", f"{point['peak_gb']:.2f}",
            f"{point['peak_gb'] - point['imports_gb']:.2f}",
            *(f"{point['stages'].get(stage, 0.0):.2f}" for stage in stages),
        ]
        for point in found["points"]
    ]  # fmt: skip
    exponents = found["exponents"]
    named = [exponents["cpu"], exponents["wall"], None, exponents["memory"], *(exponents[stage] for stage in stages)]
    body.append(["exponent", *("" if value is None else f"{value:.2f}" for value in named)])
    return [f"## {found['axis']}: {found['name']}", "", *table(head, body), "", *remarks(found), ""]


def remarks(found: dict[str, Any]) -> list[str]:
    """Return what a curve says beside its exponents."""
    points = found["points"]
    if len(points) < 2:
        return []
    first, last = points[-2], points[-1]
    further = last["size"] - first["size"]
    match found["axis"]:
        case "trials":
            early = 1000 * (points[1]["cpu"] - points[0]["cpu"]) / (points[1]["size"] - points[0]["size"])
            late = 1000 * (last["cpu"] - first["cpu"]) / further
            of_size = f"between {points[0]['size']:,} and {points[1]['size']:,}"
            return [f"A trial costs {early:.1f} ms of CPU {of_size}, {late:.1f} ms up to {last['size']:,}."]
        case "workers":
            several = [point for point in points if point["size"] > 1]
            added = [
                (after["peak_gb"] - before["peak_gb"]) / (after["size"] - before["size"])
                for before, after in pairwise(several)
            ]
            return ["Each further worker adds " + ", ".join(f"{1000 * each:.0f}" for each in added) + " MB."]
        case "million":
            most = max(point["peak_gb"] for point in points)
            return [f"{most:.2f} GB at most: {'within' if most <= LIMIT_GB else 'MORE THAN'} {LIMIT_GB:.0f} GB."]
    return []


if __name__ == "__main__":
    main()
