"""Katib experiments: the ``parameters`` of an Experiment, or a list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotune.spaces.foreign_reading import Carried, KeyPath, Reading, bounded, numbers, only_words, options, short
from autotune.spaces.ranges import is_number

_KINDS = ("double", "int", "discrete", "categorical")
_SHAPES = {"normal": "normal", "logNormal": "log-normal"}
_DISTRIBUTIONS = ("uniform", "logUniform", *_SHAPES)
_INSTEAD = {
    "objective": "metric",
    "algorithm": "sampler",
    "earlyStopping": "pruner",
    "maxTrialCount": "n_trials",
    "parallelTrialCount": "n_jobs",
}
_RUNNING = ("trialTemplate", "metricsCollectorSpec", "maxFailedTrialCount", "resumePolicy", "nasConfig")


def fits_katib(document: Any) -> bool:
    """Return whether a document looks like an Experiment, its spec, or its list of parameters."""
    entries = _entries(document)
    return any(isinstance(each, Mapping) and "parameterType" in each for each in entries or ())


def read_katib(document: Any, reading: Reading) -> None:
    """Read an experiment.

    Katib writes numbers as texts. Options of a ``categorical`` parameter stay the texts that they are; those of a
    ``discrete`` one are numbers, in order where they stand in order.
    """
    entries = _entries(document)
    if entries is None:
        reading.wrong("an experiment has a list of parameters", (), "spec: {parameters: [...]}")
        return
    path: KeyPath = ()
    if isinstance(document, Mapping):
        spec, path = (document["spec"], ("spec",)) if "spec" in document else (document, ())
        path = (*path, "parameters")
        reading.lose_keys(spec, _INSTEAD, _RUNNING, "how Katib runs an experiment; not part of a space")
    for index, entry in enumerate(entries):
        _read_entry(reading, entry, (*path, str(index)))


def _entries(document: Any) -> list[Any] | None:
    if isinstance(document, Mapping):
        spec = document.get("spec", document)
        document = spec.get("parameters") if isinstance(spec, Mapping) else None
    return document if isinstance(document, list) else None


def _read_entry(reading: Reading, entry: Any, path: KeyPath) -> None:
    if not isinstance(entry, Mapping) or not entry.get("name"):
        reading.wrong(f"a parameter is a table with a name, found {entry!r}", path, "name: lr")
        return
    name, kind, space = str(entry["name"]), entry.get("parameterType"), entry.get("feasibleSpace")
    only_words(reading, name, entry, ("name", "parameterType", "feasibleSpace"), path)
    if kind not in _KINDS:
        reading.unknown(f"parameterType of {name}", kind, _KINDS, (*path, "parameterType"))
    elif not isinstance(space, Mapping):
        reading.wrong(f"{name}: feasibleSpace is a table, found {space!r}", path, 'feasibleSpace: {min: "0", max: "1"}')
    else:
        inside = (*path, "feasibleSpace")
        only_words(reading, name, space, ("min", "max", "step", "list", "distribution"), inside)
        reading.add(name, _parameter(reading, name, kind, space, inside), path)


def _parameter(reading: Reading, name: str, kind: str, space: Mapping[str, Any], path: KeyPath) -> Carried | None:
    if kind == "categorical":
        return options(reading, name, space.get("list"), path)
    if kind == "discrete":
        return _discrete(reading, name, space.get("list"), path)
    distribution = space.get("distribution") or "uniform"
    if distribution not in _DISTRIBUTIONS:
        reading.unknown(f"distribution of {name}", distribution, _DISTRIBUTIONS, (*path, "distribution"))
        return None
    given = {word: _number(space[word]) for word in ("min", "max", "step") if space.get(word) not in (None, "")}
    if not bounded(reading, name, given, tuple(dict.fromkeys(("min", "max", *given))), path):
        return None
    log = distribution in ("logUniform", "logNormal")
    if distribution in _SHAPES:
        shown = f"[{short(given['min'])}, {short(given['max'])}] is searched evenly{' on the logarithm' * log}"
        reading.lose(f"{name}: the shape of the {_SHAPES[distribution]} distribution; {shown}")
    step = given.get("step")
    return numbers(reading, name, given["min"], given["max"], whole=kind == "int", log=log, step=step)


def _discrete(reading: Reading, name: str, given: Any, path: KeyPath) -> Carried | None:
    values = [_number(value) for value in given] if isinstance(given, list) else given
    if isinstance(values, list):
        wrong = [value for value in values if not is_number(value)]
        if wrong:
            reading.wrong(f"{name}: values of a discrete parameter are numbers, found {wrong!r}", (*path, "list"))
            return None
        return options(reading, name, values, path, ordered=values in (sorted(values), sorted(values, reverse=True)))
    return options(reading, name, values, path)


def _number(value: Any) -> Any:
    """Return the number that a text spells, or what was given."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
