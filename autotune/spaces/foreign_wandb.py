"""W&B sweeps: the ``parameters`` of a sweep's configuration, alone or in the whole document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from autotune.spaces.foreign_reading import (
    Carried,
    KeyPath,
    Reading,
    bounded,
    constant,
    is_whole_number,
    numbers,
    only_words,
    options,
    short,
)

WORDS: Mapping[str, tuple[str, ...]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "categorical_w_probabilities": ("values", "probabilities"),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max", "q"),
    "log_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform": ("min", "max", "q"),
    "q_log_uniform_values": ("min", "max", "q"),
    "inv_log_uniform": ("min", "max"),
    "inv_log_uniform_values": ("min", "max"),
    "normal": ("mu", "sigma"),
    "q_normal": ("mu", "sigma", "q"),
    "log_normal": ("mu", "sigma"),
    "q_log_normal": ("mu", "sigma", "q"),
    "beta": ("a", "b"),
    "q_beta": ("a", "b", "q"),
}
"""The distributions, and the words that each takes."""

_INSTEAD = {"method": "sampler", "metric": "metric", "early_terminate": "pruner", "run_cap": "n_trials"}
_RUNNING = (
    *("program", "command", "project", "entity", "name", "controller", "scheduler", "metrics", "job", "image_uri"),
    *("launch", "imports", "settings"),
)


def fits_wandb(document: Any) -> bool:
    """Return whether a document looks like a sweep, or the parameters of one."""
    if not isinstance(document, Mapping):
        return False
    if isinstance(document.get("parameters"), Mapping) and not ({"spec", "hydra"} & set(document)):
        return True
    words = {"value", "values", "min", "max", "distribution", "parameters"}
    entries = list(document.values())
    return bool(entries) and all(isinstance(each, Mapping) for each in entries) and any(words & set(e) for e in entries)


def read_wandb(document: Any, reading: Reading) -> None:
    """Read a sweep.

    Nested parameters get names with dots, as W&B has them. A range of two whole numbers without a distribution is one
    of whole numbers. The bounds of ``log_uniform`` are exponents of e; ``inv_log_uniform`` draws from the same range,
    just as evenly on the logarithm. Quantized values are the multiples of ``q`` that the bounds round to.
    """
    if not isinstance(document, Mapping):
        reading.wrong(f"a sweep is a table, found {type(document).__name__}", (), "parameters: {lr: {min: 0, max: 1}}")
        return
    if not isinstance(document.get("parameters"), Mapping):
        _read_table(reading, document, "", ())
        return
    reading.lose_keys(document, _INSTEAD, _RUNNING, "how W&B runs and files a sweep; not part of a space")
    reading.summary = str(document.get("description") or "")
    _read_table(reading, document["parameters"], "", ("parameters",))


def _read_table(reading: Reading, table: Mapping[str, Any], prefix: str, path: KeyPath) -> None:
    for key, entry in table.items():
        name, here = f"{prefix}{key}", (*path, str(key))
        if not isinstance(entry, Mapping):
            reading.wrong(f"{name} is a table, found {entry!r}", here, f"{key}: {{value: {entry}}}")
        elif isinstance(entry.get("parameters"), Mapping):
            only_words(reading, name, entry, ("parameters",), here)
            _read_table(reading, entry["parameters"], f"{name}.", (*here, "parameters"))
        else:
            _read_entry(reading, name, entry, here)


def _read_entry(reading: Reading, name: str, entry: Mapping[str, Any], path: KeyPath) -> None:
    distribution = entry.get("distribution") or _implied(entry)
    if distribution is None:
        reading.wrong(f"{name} has neither value, values nor min and max", path, f"{name}: {{min: 0.0, max: 1.0}}")
        return
    if not isinstance(distribution, str) or distribution not in WORDS:
        reading.unknown("distribution", distribution, WORDS, (*path, "distribution"))
        return
    only_words(reading, name, entry, ("distribution", *WORDS[distribution]), path)
    reading.add(name, _parameter(reading, name, distribution, entry, path), path)


def _implied(entry: Mapping[str, Any]) -> str | None:
    if "value" in entry:
        return "constant"
    if "values" in entry:
        return "categorical_w_probabilities" if "probabilities" in entry else "categorical"
    if "min" not in entry and "max" not in entry:
        return None
    whole = all(is_whole_number(entry.get(word, 0)) for word in ("min", "max"))
    return "int_uniform" if whole else "uniform"


def _parameter(
    reading: Reading, name: str, distribution: str, entry: Mapping[str, Any], path: KeyPath
) -> Carried | None:
    words = WORDS[distribution]
    if distribution == "constant":
        if "value" not in entry:
            reading.wrong(f"{name}: value is missing", path, "value: 1")
            return None
        return constant(reading, name, entry["value"])
    if "values" in words:
        return options(reading, name, entry.get("values"), path, weights=entry.get("probabilities"))
    given = {"mu": 0.0, "sigma": 1.0, "a": 1.0, "b": 1.0, "q": 1, **entry}
    if not bounded(reading, name, given, words, path):
        return None
    if not_positive := [word for word in words if word in ("q", "sigma", "a", "b") and given[word] <= 0]:
        reading.wrong(f"{name}: {not_positive[0]} is above 0, found {given[not_positive[0]]!r}", path)
        return None
    if distribution == "int_uniform":
        return numbers(reading, name, given["min"], given["max"], whole=True)
    try:
        low, high, log = _range(reading, name, distribution.removeprefix("q_"), given)
    except OverflowError:
        reading.wrong(f"{name}: e to the power of its bounds is no finite number", path, "log_uniform_values")
        return None
    if not distribution.startswith("q_"):
        return numbers(reading, name, low, high, log=log)
    if not math.isfinite(low / given["q"]) or not math.isfinite(high / given["q"]):
        reading.wrong(f"{name}: q = {given['q']!r} is too small for these bounds", path)
        return None
    return _quantized(reading, name, low, high, log, given["q"])


def _range(reading: Reading, name: str, distribution: str, given: Mapping[str, Any]) -> tuple[float, float, bool]:
    """Return bounds, and whether the logarithm is searched."""
    match distribution:
        case "uniform":
            return given["min"], given["max"], False
        case "log_uniform_values" | "inv_log_uniform_values":
            return given["min"], given["max"], True
        case "log_uniform":
            return math.exp(given["min"]), math.exp(given["max"]), True
        case "inv_log_uniform":
            return math.exp(-given["max"]), math.exp(-given["min"]), True
        case "beta":
            if (given["a"], given["b"]) != (1, 1):
                shape = f"beta distribution with a = {short(given['a'])} and b = {short(given['b'])}"
                reading.lose(f"{name}: the shape of the {shape}; [0, 1] is searched evenly")
            return 0.0, 1.0, False
    low, high = (round(given["mu"] + side * given["sigma"], 12) for side in (-3, 3))
    log = distribution == "log_normal"
    if log:
        low, high = math.exp(low), math.exp(high)
    shape = f"{'log-' * log}normal distribution with mu = {short(given['mu'])} and sigma = {short(given['sigma'])}"
    shown = f"[{short(low)}, {short(high)}], 3 sigma around mu, is searched evenly{' on the logarithm' * log}"
    reading.lose(f"{name}: the shape of the {shape}; {shown}")
    return low, high, log


def _quantized(reading: Reading, name: str, low: float, high: float, log: bool, q: float) -> Carried:
    """Return the multiples of q that the bounds round to; whole ones where W&B gives whole ones."""
    whole = is_whole_number(q)
    low, high = (_multiple(round(bound / q), q) for bound in (low, high))
    if log and low <= 0 < high:
        reading.lose(f"{name}: the value 0, which a logarithmic range cannot hold; it begins at {q}")
        low = q
    return numbers(reading, name, low, high, whole=whole, log=log, step=q)


def _multiple(times: int, q: float) -> float:
    """Return a multiple as it is written: three times 0.1 is 0.3."""
    return times * q if is_whole_number(q) else float(times * Decimal(str(q)))
