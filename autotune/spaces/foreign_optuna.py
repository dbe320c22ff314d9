"""Optuna's ``{name: distribution}``: distribution objects, read by what they are called and hold, or their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autotune.spaces.foreign_reading import Carried, KeyPath, Reading, bounded, numbers, options

_FLOATS = ("FloatDistribution", "UniformDistribution", "LogUniformDistribution", "DiscreteUniformDistribution")
_INTS = ("IntDistribution", "IntUniformDistribution", "IntLogUniformDistribution")
_KNOWN = ("CategoricalDistribution", *_FLOATS, *_INTS)
_ATTRIBUTES = ("choices", "low", "high", "log", "step", "q")


def fits_optuna(document: Any) -> bool:
    """Return whether a document looks like names with distributions, as objects or as their JSON."""
    return isinstance(document, Mapping) and any(_described(value) is not None for value in document.values())


def read_optuna(document: Any, reading: Reading) -> None:
    """Read distributions; those of Optuna before version 3 too."""
    if not isinstance(document, Mapping):
        reading.wrong(f"distributions stand in a table by name, found {type(document).__name__}", ())
        return
    for name, value in document.items():
        path, described = (str(name),), _described(value)
        if described is None:
            reading.wrong(f"{name} is no distribution of Optuna, found {value!r}", path, "FloatDistribution(0.0, 1.0)")
            continue
        kind, attributes = described
        if kind not in _KNOWN:
            reading.unknown("distribution", kind, _KNOWN, path)
            continue
        reading.add(str(name), _parameter(reading, str(name), kind, attributes, path), path)


def _described(value: Any) -> tuple[str, Mapping[str, Any]] | None:
    """Return what a distribution is called and what it holds, or None."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, Mapping):
        named = isinstance(value.get("name"), str) and isinstance(value.get("attributes"), Mapping)
        return (value["name"], value["attributes"]) if named else None
    kind = type(value).__name__
    if not kind.endswith("Distribution"):
        return None
    return kind, {word: getattr(value, word) for word in _ATTRIBUTES if hasattr(value, word)}


def _parameter(reading: Reading, name: str, kind: str, attributes: Mapping[str, Any], path: KeyPath) -> Carried | None:
    if kind == "CategoricalDistribution":
        return options(reading, name, attributes.get("choices"), path)
    if not bounded(reading, name, attributes, ("low", "high"), path):
        return None
    log = bool(attributes.get("log")) or "Log" in kind
    step = attributes.get("q", attributes.get("step"))
    if kind in _INTS:
        step = None if log else step  # Optuna's own logarithmic whole numbers have no step but 1
    return numbers(reading, name, attributes["low"], attributes["high"], whole=kind in _INTS, log=log, step=step)
