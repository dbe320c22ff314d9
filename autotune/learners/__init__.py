"""The learners by name. To add one: its file, a line here, a space in ``search_spaces``.

Installed packages add theirs by entry points of the group ``autotune.learners``; people bring theirs as ``model=``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autotune.learners.plug_ins import find_plug_ins, load_plug_in
from autotune.learners.protocol import Learner
from autotune.registry import Registry, unknown_name


class Learners(Registry[type[Learner[Any]]]):
    """The built-in learners and, behind them, those of installed packages; a built-in name wins.

    Packages are looked for only when a name is not built in, and loaded only when it is used.

    Examples
    --------
    >>> LEARNERS["knn"].name
    'knn'
    """

    def __getitem__(self, name: str) -> type[Learner[Any]]:
        if name in self._entries:
            return super().__getitem__(name)
        plug_ins = find_plug_ins()
        if name not in plug_ins:
            raise unknown_name(self.noun, name, self)
        learner: type[Learner[Any]] = load_plug_in(plug_ins[name])
        return learner

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in find_plug_ins()

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from (name for name in find_plug_ins() if name not in self._entries)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def module_of(self, name: str) -> str | None:
        """Return the module of a built-in learner, which is not imported; None for any other."""
        entry = self._entries.get(name)
        return entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", None)


LEARNERS = Learners(
    "learner",
    {
        "baseline": "autotune.learners.baseline:Baseline",
        "linear": "autotune.learners.linear:Linear",
        "random_forest": "autotune.learners.forest:RandomForest",
        "extra_trees": "autotune.learners.forest:ExtraTrees",
        "knn": "autotune.learners.knn:KNearestNeighbors",
        "lightgbm": "autotune.learners.lightgbm:LightGBM",
        "mlp": "autotune.learners.mlp:MLP",
        "xgboost": "autotune.learners.xgboost:XGBoost",
        "catboost": "autotune.learners.catboost:CatBoost",
    },
)


def find_learner(name: str) -> Learner[Any]:
    """Return an installed learner, ready to train.

    Raises
    ------
    UnknownNameError
        When no learner has that name.
    PlugInError
        When it is a plug-in that cannot be loaded.

    Examples
    --------
    >>> find_learner("linear").name
    'linear'
    """
    learner = LEARNERS[name]
    return learner() if isinstance(learner, type) else learner
