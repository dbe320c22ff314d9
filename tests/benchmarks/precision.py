"""What rounded products cost a network, and what they save: the same configurations by each precision and by a seed.

AUTOTUNE_DATA=folder python tests/benchmarks/precision.py [--tables abalone …] [--configurations 6] [--epochs 25]

Each configuration of the space of networks (the default, and random ones, of 128 units and more) is cross-validated
with precision "float32", with "float32" and another seed, and with "bfloat16". A row has, of each table,
how far the scores are from the first ones, relative to these: the largest difference, and the median with its sign;
and CPU seconds of the first beside those of the third.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import machine
from results import table, write
from tables import folder, manifest

from autotune.data.tables import read_table
from autotune.evaluation import cross_validate
from autotune.learners.mlp_network import WIDE_ENOUGH_TO_ROUND
from autotune.plan import make_plan
from autotune.settings import make_settings
from autotune.spaces.catalog import find_space
from autotune.spaces.draws import draw
from autotune.spaces.params import Int
from autotune.study.strategies import trial_seed

TABLES = ("abalone", "california_housing", "concrete", "letter", "power_plant", "segment", "spambase", "telco_churn")
CONTENDERS = {"float32": ("float32", 0), "seed": ("float32", 1), "bfloat16": ("bfloat16", 0)}


def main() -> None:
    """Measure each table, and write what was found after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--configurations", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    arguments = parser.parse_args()
    facts, rows = machine() | {"command": " ".join(["python", *sys.argv])}, []
    for name in arguments.tables:
        rows.append(measured(name, arguments.configurations, arguments.epochs))
        head = ("table", "bfloat16: largest difference", "median", "seed: largest difference", "CPU")
        body = [
            (
                row["table"],
                f"{row['bfloat16']:.3%}",
                f"{row['signed']:+.3%}",
                f"{row['seed']:.3%}",
                f"×{row['cpu']:.2f}",
            )
            for row in rows
        ]
        lines = table(head, body)
        write(arguments.output, "precision", facts, rows, lines)
    print("\n".join(lines))


def measured(name: str, n_configurations: int, epochs: int) -> dict[str, Any]:
    """Return the row of a table."""
    facts, draws = manifest()[name], random.Random(0)
    space = find_space("mlp") | {
        "mlp.epochs": Int(1, epochs, fidelity=True),
        "mlp.units": Int(WIDE_ENOUGH_TO_ROUND, 512, log=True, default=WIDE_ENOUGH_TO_ROUND),
    }
    settings = make_settings("call", space=space, test_size=0, n_jobs=1, random_state=0, cv=3)
    plan = make_plan(settings, read_table(folder() / facts["file"], target=facts["target"]), started=time.time())
    search = (plan.search, plan.folds, plan.metric)
    configs = [space.first_configurations()[0], *(draw(space, draws) for _ in range(n_configurations - 1))]
    found: dict[str, list[float]] = {key: [] for key in ("signed", *CONTENDERS)}
    seconds = dict.fromkeys(CONTENDERS, 0.0)
    for number, config in enumerate(configs):
        scores = {}
        for contender, (precision, seed) in CONTENDERS.items():
            changed = replace(config, params={**config.params, "precision": precision})
            began = time.process_time()
            of_trial = trial_seed(seed, number, "model")
            scores[contender] = cross_validate(changed, *search, seed=of_trial, resources=plan.resources).score
            seconds[contender] += time.process_time() - began
        for contender in CONTENDERS:
            found[contender].append(abs(scores[contender] / scores["float32"] - 1))
        found["signed"].append(scores["bfloat16"] / scores["float32"] - 1)
        print(f"{name} {number}: {scores}", flush=True)
    return {
        "table": name,
        "n": len(configs),
        "cpu": seconds["float32"] / seconds["bfloat16"],
        "signed": statistics.median(found.pop("signed")),
        **{key: max(values) for key, values in found.items()},
    }


if __name__ == "__main__":
    main()
