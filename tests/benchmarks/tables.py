"""The tables that benchmarks run on: generated ones, and a folder named by AUTOTUNE_DATA, with a manifest.json."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def folder() -> Path:
    """Return the data folder, or end with a clear line when AUTOTUNE_DATA does not name one."""
    path = Path(os.environ.get("AUTOTUNE_DATA", ""))
    if not os.environ.get("AUTOTUNE_DATA") or not (path / "manifest.json").exists():
        print("skipped: AUTOTUNE_DATA names no folder with a manifest.json")
        sys.exit(0)
    return path


def manifest() -> dict[str, dict[str, Any]]:
    """Return the tables of the folder by name: file, target, task, groups, time."""
    return json.loads((folder() / "manifest.json").read_text())


def generated(n_rows: int, n_numeric: int, n_categorical: int, *, kind: str, seed: int = 0) -> pd.DataFrame:
    """Make a table of numbers and categories with a column ``target`` that interactions and levels decide, with noise.

    Parameters
    ----------
    n_rows, n_numeric, n_categorical : int
        Its size. Two of a hundred numbers are missing; the categories have 3 to 50 levels.
    kind : {"binary", "regression"}
        The kind of task.
    seed : int
        Seed of all draws.
    """
    import numpy as np
    import pandas as pd

    draws = np.random.default_rng(seed)
    numbers = draws.standard_normal((n_rows, n_numeric))
    signal = np.sin(2 * numbers[:, 0]) + numbers[:, 1 % n_numeric] * numbers[:, 2 % n_numeric]
    signal += numbers[:, : n_numeric // 2] @ draws.normal(0, 1 / np.sqrt(max(1, n_numeric // 2)), n_numeric // 2)
    columns: dict[str, Any] = {f"x{index}": column for index, column in enumerate(numbers.T)}
    for index in range(n_categorical):
        levels = np.array([f"level {level}" for level in range(int(draws.integers(3, 51)))])
        codes = draws.integers(0, len(levels), n_rows)
        signal += draws.normal(0, 0.5, len(levels))[codes]
        columns[f"c{index}"] = pd.Categorical.from_codes(codes, levels)
    for index in range(n_numeric):
        columns[f"x{index}"][draws.random(n_rows) < 0.02] = np.nan
    noisy = signal + draws.logistic(0, 0.5, n_rows)
    return pd.DataFrame(columns | {"target": noisy if kind == "regression" else (noisy > 0).astype(int)})
