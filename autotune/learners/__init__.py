"""The learners by name. To add one: its file, a line here, a space in ``search_spaces``."""

from __future__ import annotations

from typing import Any

from autotune.learners.protocol import Learner
from autotune.registry import Registry

LEARNERS: Registry[type[Learner[Any]]] = Registry(
    "learner",
    {
        "baseline": "autotune.learners.baseline:Baseline",
        "linear": "autotune.learners.linear:Linear",
        "random_forest": "autotune.learners.forest:RandomForest",
        "extra_trees": "autotune.learners.forest:ExtraTrees",
        "knn": "autotune.learners.knn:KNearestNeighbors",
        "lightgbm": "autotune.learners.lightgbm:LightGBM",
        "mlp": "autotune.learners.mlp:MLP",
    },
)
