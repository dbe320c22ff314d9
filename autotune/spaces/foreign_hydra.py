"""Hydra's Optuna sweeper: ``params`` in override grammar, and the older ``search_space`` of tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from autotune.spaces.foreign_hydra_grammar import BeyondSpaceError, GrammarError, Sweep, parse_override
from autotune.spaces.foreign_reading import Carried, KeyPath, Reading, bounded, constant, numbers, only_words, options

_SWEEP = re.compile(r"\s*(?:interval|choice|range|tag|shuffle|sort|int|float|str|bool|glob)\s*\(")
_TYPES = ("float", "int", "categorical")
_INSTEAD = {
    "direction": "metric",
    "sampler": "sampler",
    "n_trials": "n_trials",
    "n_jobs": "n_jobs",
    "storage": "storage",
    "study_name": "study_name",
}
_RUNNING = ("_target_", "max_failure_rate", "custom_search_space")


def fits_hydra(document: Any) -> bool:
    """Return whether a document looks like a configuration with a sweeper, a sweeper, or the parameters of one."""
    if not isinstance(document, Mapping):
        return False
    sweeper, _ = _sweeper(document)
    if sweeper is not None:
        return True
    return any(_is_sweep(value) for value in document.values())


def read_hydra(document: Any, reading: Reading) -> None:
    """Read a sweeper's parameters, as the Optuna sweeper understands them.

    A range includes its stop, unless it is shuffled; ``interval`` is one of floats unless cast with ``int``; only the
    tag ``log`` on an interval means something.
    """
    if not isinstance(document, Mapping):
        reading.wrong(f"a sweeper is a table, found {type(document).__name__}", (), "params: {lr: interval(0, 1)}")
        return
    sweeper, path = _sweeper(document)
    if sweeper is None:
        _read_params(reading, document, ())
        return
    if others := [str(key) for key in document if path and key != path[0]]:
        reading.lose(f"{', '.join(others)}: configuration beside the sweeper; not part of a space")
    reading.lose_keys(sweeper, _INSTEAD, _RUNNING, "how Hydra runs a sweep; not part of a space")
    params, tables = sweeper.get("params"), sweeper.get("search_space")
    if params is not None and tables is not None:
        reading.lose("search_space: Hydra reads params where both are given, and so does this")
        tables = None
    for word, table, read in (("params", params, _read_params), ("search_space", tables, _read_tables)):
        if isinstance(table, Mapping):
            read(reading, table, (*path, word))
        elif table is not None:
            reading.wrong(f"{word} is a table, found {table!r}", (*path, word), f"{word}: {{lr: interval(0, 1)}}")


def _sweeper(document: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, KeyPath]:
    """Return the table that holds ``params`` or ``search_space``, and the way to it."""
    found: Any = document
    path: KeyPath = ()
    for key in ("hydra", "sweeper"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found, path = found[key], (*path, key)
    holds = isinstance(found, Mapping) and (
        isinstance(found.get("params"), Mapping) or isinstance(found.get("search_space"), Mapping)
    )
    return (found, path) if holds else (None, ())


def _is_sweep(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("type") in _TYPES and bool({"low", "high", "choices"} & set(value))
    return isinstance(value, str) and _SWEEP.match(value) is not None


def _read_params(reading: Reading, table: Mapping[str, Any], path: KeyPath) -> None:
    for key, value in table.items():
        name, here = str(key), (*path, str(key))
        if name.startswith("~"):
            reading.lose(f"{name}: deletes a key of the configuration; it is left out")
        elif isinstance(value, Mapping) and "type" in value:
            _read_table(reading, name, value, here)
        else:
            _read_override(reading, name, value, here)


def _read_override(reading: Reading, name: str, value: Any, path: KeyPath) -> None:
    try:
        parsed = parse_override(value) if isinstance(value, str) and value.strip() else value
    except BeyondSpaceError as beyond:
        reading.lose(f"{name}: {beyond} has no counterpart in a space; it is left out")
    except GrammarError as error:
        reading.wrong(f"{name}: {error}", path, error.hint)
    else:
        made = _swept(reading, name, parsed, path) if isinstance(parsed, Sweep) else constant(reading, name, parsed)
        reading.add(name, made, path)


def _swept(reading: Reading, name: str, sweep: Sweep, path: KeyPath) -> Carried | None:
    log = sweep.kind == "interval" and "log" in sweep.tags
    for tag in sorted(sweep.tags - ({"log"} if sweep.kind == "interval" else set())):
        reading.lose(f"{name}: the tag {tag!r} on this {sweep.kind}, which means nothing to the Optuna sweeper")
    if sweep.kind == "choice":
        return options(reading, name, list(sweep.values), path)
    whole = all(isinstance(value, int) for value in sweep.values)
    if sweep.kind == "interval":
        return numbers(reading, name, *sweep.values, whole=whole, log=log)
    start, stop, step = sweep.values
    if sweep.shuffled:
        return options(reading, name, _listed(start, stop, step), path)
    if step < 0:
        reading.wrong(f"{name}: the Optuna sweeper has no range that goes down", path, f"range({stop}, {start})")
        return None
    return numbers(reading, name, start, stop, whole=whole, step=step)


def _listed(start: float, stop: float, step: float) -> list[float]:
    """Return the values of a shuffled range, its stop left out."""
    values: list[float] = []
    while len(values) < 10_000:
        value = start + len(values) * step
        if not (value < stop if step > 0 else value > stop):
            break
        values.append(value if isinstance(value, int) else round(value, 12))
    return values


def _read_tables(reading: Reading, table: Mapping[str, Any], path: KeyPath) -> None:
    for key, entry in table.items():
        if isinstance(entry, Mapping):
            _read_table(reading, str(key), entry, (*path, str(key)))
        else:
            hint = f"{key}: {{type: float, low: 0, high: 1}}"
            reading.wrong(f"{key} is a table, found {entry!r}", (*path, str(key)), hint)


def _read_table(reading: Reading, name: str, entry: Mapping[str, Any], path: KeyPath) -> None:
    kind = entry.get("type")
    if kind not in _TYPES:
        reading.unknown(f"type of {name}", kind, _TYPES, (*path, "type"))
        return
    only_words(reading, name, entry, ("type", "low", "high", "log", "step", "choices"), path)
    if kind == "categorical":
        reading.add(name, options(reading, name, entry.get("choices"), path), path)
        return
    step = entry.get("step")
    words = ("low", "high") if step is None else ("low", "high", "step")
    if not bounded(reading, name, entry, words, path):
        reading.add(name, None, path)
        return
    given = {word: entry[word] for word in words}
    if kind == "int":
        given = {word: int(value) for word, value in given.items()}  # as the sweeper does it
    log = bool(entry.get("log"))
    made = numbers(reading, name, given["low"], given["high"], whole=kind == "int", log=log, step=given.get("step"))
    reading.add(name, made, path)
