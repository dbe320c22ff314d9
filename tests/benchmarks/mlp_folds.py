"""The folds of a perceptron as one program, beside one fold after the other: the time of a training step.

python tests/benchmarks/mlp_folds.py [--device cpu|cuda] [--widths 64 256] [--folds 5] [--normalization none batch]

Both train the same networks on the same rows with the same batches: three hidden layers, 20 numbers, two classes, ReLU,
a dropout of .1, AdamW, batches of 256 of 8,000 rows. What is timed is an epoch, after one to warm up; they take turns,
and each counts with its median. On a CPU it is CPU seconds of one thread, elsewhere seconds until the device is done.
An epoch with the predictions of 2,000 validation rows a fold is timed by itself, as the search has it.

Files: mlp_folds.json and mlp_folds.md. Some 4 CPU minutes with all widths; --quick takes the two smallest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import machine
from results import table, write

from autotune.data.task import Column, Problem, Rows, Schema
from autotune.learners.mlp_params import MLPParams
from autotune.learners.mlp_training import CohortTraining
from autotune.learners.protocol import Member
from autotune.learners.torch_training import at_most_threads

WIDTHS = (64, 128, 256, 512, 1024)
N_TRAINING, N_VALIDATION, N_COLUMNS = 8_000, 2_000, 20


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 [default: cpu]")
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--normalization", nargs="+", choices=["none", "batch", "layer"], default=["none", "batch"])
    parser.add_argument("--repeats", type=int, default=3, help="epochs that are timed [default: 3]")
    parser.add_argument("--quick", action="store_true", help="only the two smallest widths")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    arguments = parser.parse_args()
    facts = machine() | {"command": " ".join(["python", *sys.argv]), "device": name_of(arguments.device)}
    rows: list[dict[str, Any]] = []
    members = [made_member(fold) for fold in range(arguments.folds)]
    for width in sorted(arguments.widths)[: 2 if arguments.quick else None]:
        for normalization in arguments.normalization:
            params = MLPParams(layers=3, units=width, normalization=normalization, dropout=0.1)
            with at_most_threads(1):
                rows.append(row_of(members, params, arguments.device, arguments.repeats))
            print(rows[-1], flush=True)
            write(arguments.output, "mlp_folds", facts, rows, lines(rows, facts["device"]))


def name_of(device: str) -> str:
    """Return what a device is called."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def made_member(fold: int) -> Member:
    """Return a fold of rows with two classes."""
    rng = np.random.default_rng(fold)
    numbers = rng.normal(size=(N_TRAINING + N_VALIDATION, N_COLUMNS))
    y = (numbers[:, :3].sum(axis=1) + rng.normal(size=len(numbers)) > 0).astype(np.int64)
    rows = Rows(numbers, np.zeros((len(numbers), 0), dtype=np.int32))
    problem = Problem("binary", 2, Schema(tuple(Column(f"x{place}", "numeric") for place in range(N_COLUMNS))))
    training, validation = np.arange(N_TRAINING), np.arange(N_TRAINING, len(numbers))
    return Member(problem, rows.take(training), y[training], None, rows.take(validation))


def row_of(members: Sequence[Member], params: MLPParams, device: str, repeats: int) -> dict[str, Any]:
    """Time both ways to train the members."""
    together = [CohortTraining(members, params, seed=0, device=device)]
    one_by_one = [CohortTraining([member], params, seed=fold, device=device) for fold, member in enumerate(members)]
    n_steps = len(together[0].groups[0].batches.sizes)
    steps = medians([lambda: epoch(together), lambda: epoch(one_by_one)], device, repeats)
    predictions = medians([lambda: predict(together), lambda: predict(one_by_one)], device, repeats)
    return {
        "width": params.units,
        "normalization": params.normalization,
        "folds": len(members),
        "together_ms_a_step": 1e3 * steps[0] / n_steps,
        "one_by_one_ms_a_step": 1e3 * steps[1] / n_steps,
        "ratio": steps[1] / steps[0],
        "ratio_with_predictions": (steps[1] + predictions[1]) / (steps[0] + predictions[0]),
    }


def epoch(trainings: Sequence[CohortTraining]) -> None:
    """Go once through the rows of all."""
    for training in trainings:
        training.run_epoch()


def predict(trainings: Sequence[CohortTraining]) -> None:
    """Predict the validation rows of all."""
    for training in trainings:
        training.predictions()


def medians(ways: Sequence[Callable[[], None]], device: str, repeats: int) -> list[float]:
    """Return the median seconds of each way; they take turns, after a turn that is not counted."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats + 1):
        for way, seconds in zip(ways, taken, strict=True):
            began = clock(device)
            way()
            seconds.append(clock(device) - began)
    return [statistics.median(seconds[1:]) for seconds in taken]


def clock(device: str) -> float:
    """Return CPU seconds, or seconds once the device is done."""
    if device == "cpu":
        return time.process_time()
    torch.get_device_module(device.partition(":")[0]).synchronize()
    return time.perf_counter()


def lines(rows: Sequence[dict[str, Any]], device: str) -> list[str]:
    """Return the table."""
    head = ["width", "normalization", "folds together, ms a step", "one by one", "ratio", "with predictions"]
    body = [
        [
            str(row["width"]),
            row["normalization"],
            f"{row['together_ms_a_step']:.2f}",
            f"{row['one_by_one_ms_a_step']:.2f}",
            f"×{row['ratio']:.2f}",
            f"×{row['ratio_with_predictions']:.2f}",
        ]
        for row in rows
    ]
    return [f"{rows[0]['folds']} folds on {device}; a step is one batch of each fold.", "", *table(head, body)]


if __name__ == "__main__":
    main()
