"""How long a round of LightGBM takes by how its threads wait, on an idle machine and beside others.

python tests/benchmarks/threads.py [--threads 2] [--rounds 30] [--repeats 3] [--output benchmark-results]

Each cell has a process of its own, since OpenMP reads its environment once. The others are processes that do nothing
but use a core each. Files: threads.json and threads.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measuring import machine
from results import write

from autotune import SPINS

WAYS = {
    "one thread": {},
    "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
    "asleep at once": {"GOMP_SPINCOUNT": "0"},
    "as autotune": SPINS,
}
LOADS = (0, 1, 2)


def main() -> None:
    """Print milliseconds a round, medians over repeats; each repeat goes through all ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    arguments = parser.parse_args()
    rows = [{"way": way} for way in WAYS]
    for load in LOADS:
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(load)]
        try:
            for row in rows:
                row[f"beside {load}"] = []
            for _ in range(arguments.repeats):
                for row in rows:
                    threads = 1 if row["way"] == "one thread" else arguments.threads
                    row[f"beside {load}"].append(milliseconds(row["way"], threads, arguments.rounds))
        finally:
            for other in others:
                other.kill()
    lines = [
        "| threads | " + " | ".join(f"beside {load} others, ms a round" for load in LOADS) + " |",
        "|---|--:|--:|--:|",
    ]
    for row in rows:
        cells = [f"{statistics.median(row[f'beside {load}']):.1f}" for load in LOADS]
        lines.append(f"| {row['way']} | {' | '.join(cells)} |")
    facts = machine() | {"command": " ".join(["python", *sys.argv]), "threads": arguments.threads}
    write(arguments.output, "threads", facts, rows, lines)
    print("\n".join(lines))


def milliseconds(way: str, threads: int, rounds: int) -> float:
    """Train in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if "OMP" not in name} | WAYS[way]
    job = [sys.executable, __file__, "--in-process", str(threads), str(rounds)]
    return float(json.loads(subprocess.run(job, env=environment, stdout=subprocess.PIPE, check=True).stdout))


def train(threads: int, rounds: int) -> None:
    """Print the milliseconds of a round on 80,000 rows of 24 columns, after a first one."""
    import lightgbm as lgb
    import numpy as np

    X = np.random.default_rng(0).normal(size=(80_000, 24))
    data = lgb.Dataset(X, (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(float), params={"verbosity": -1})
    words = {"objective": "binary", "num_leaves": 63, "num_threads": threads, "verbosity": -1, "force_row_wise": True}
    booster = lgb.Booster(words, data)
    booster.update()
    began = time.perf_counter()
    for _ in range(rounds):
        booster.update()
    print((time.perf_counter() - began) / rounds * 1000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-process"]:
        train(*map(int, sys.argv[2:]))
    else:
        main()
