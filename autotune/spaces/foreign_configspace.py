"""ConfigSpace's JSON, formats 0.4 to 1.2: hyperparameters here, conditions and forbidden clauses beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autotune.spaces.foreign_configspace_clauses import read_conditions, read_forbiddens
from autotune.spaces.foreign_reading import Carried, KeyPath, Reading, bounded, constant, numbers, options, short
from autotune.spaces.params import UNSET

_TYPES = (
    *("uniform_float", "uniform_int", "normal_float", "normal_int", "beta_float", "beta_int"),
    *("categorical", "ordinal", "constant", "unparametrized"),
)


def fits_configspace(document: Any) -> bool:
    """Return whether a document looks like a ConfigurationSpace."""
    return isinstance(document, Mapping) and isinstance(document.get("hyperparameters"), list)


def read_configspace(document: Any, reading: Reading) -> None:
    """Read a configuration space.

    Normal and beta distributions become even ones over the same range; a normal one without bounds, as old formats
    have it, over three standard deviations either way. Ordinals are ordered choices.
    """
    if not fits_configspace(document):
        reading.wrong("a configuration space has a list of hyperparameters", (), '"hyperparameters": [...]')
        return
    for index, entry in enumerate(document["hyperparameters"]):
        _read_entry(reading, entry, ("hyperparameters", str(index)))
    if reading.problems:
        return
    for word, read in (("conditions", read_conditions), ("forbiddens", read_forbiddens)):
        items = document.get(word) or []
        if isinstance(items, list) and all(isinstance(item, Mapping) for item in items):
            read(reading, items)
        else:
            reading.wrong(f"{word} are a list of tables, found {items!r}", (word,))


def _read_entry(reading: Reading, entry: Any, path: KeyPath) -> None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        reading.wrong(f"a hyperparameter is a table with a name, found {entry!r}", path, '"name": "C"')
        return
    name, kind = entry["name"], entry.get("type")
    if kind not in _TYPES:
        reading.unknown(f"type of {name}", kind, _TYPES, (*path, "type"))
        return
    if entry.get("meta"):
        reading.lose(f"{name}: its meta data, for which a space has no place")
    reading.add(name, _parameter(reading, name, kind, entry, path), path)


def _parameter(reading: Reading, name: str, kind: str, entry: Mapping[str, Any], path: KeyPath) -> Carried | None:
    default = next((entry[word] for word in ("default_value", "default") if word in entry), UNSET)
    if kind in ("constant", "unparametrized"):
        if "value" not in entry:
            reading.wrong(f"{name}: value is missing", path, '"value": 1')
            return None
        return constant(reading, name, entry["value"])
    if kind == "categorical":
        weights = next((entry[word] for word in ("weights", "probabilities") if entry.get(word) is not None), None)
        return options(reading, name, entry.get("choices"), path, weights=weights, default=default)
    if kind == "ordinal":
        return options(reading, name, entry.get("sequence"), path, default=default, ordered=True)
    whole, log = kind.endswith("_int"), bool(entry.get("log"))
    bounds = _bounds(reading, name, kind, entry, path)
    if bounds is None:
        return None
    default = UNSET if default is None else default
    return numbers(reading, name, *bounds, whole=whole, log=log, step=entry.get("q"), default=default)


def _bounds(
    reading: Reading, name: str, kind: str, entry: Mapping[str, Any], path: KeyPath
) -> tuple[float, float] | None:
    family = kind.partition("_")[0]
    open_ended = family == "normal" and entry.get("lower") is None
    words = ("mu", "sigma") if open_ended else ("lower", "upper")
    if not bounded(reading, name, entry, words, path):
        return None
    if open_ended:
        low, high = (round(entry["mu"] + side * entry["sigma"], 12) for side in (-3, 3))
        if kind == "normal_int":
            low, high = math.ceil(low), math.floor(high)
    else:
        low, high = entry["lower"], entry["upper"]
    if family != "uniform":
        how = " on the logarithm" if entry.get("log") else ""
        reading.lose(
            f"{name}: the shape of the {family} distribution; [{short(low)}, {short(high)}] is searched evenly{how}"
        )
    return low, high
