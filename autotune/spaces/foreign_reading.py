"""What the readers of other tools' documents share: ranges, options and constants made ours, and the list of losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeAlias

from autotune.errors import AutotuneError, SpaceError
from autotune.registry import nearest
from autotune.spaces.params import UNSET, Choice, Fixed, Float, Int
from autotune.spaces.ranges import LARGEST, frozen_value, is_number, is_plain, same_value

KeyPath: TypeAlias = tuple[str, ...]

Carried: TypeAlias = Float | Int | Choice | Fixed
"""What other tools' parameters become."""


@dataclass(slots=True)
class Reading:
    """What has been read of a document so far; readers fill it in.

    Attributes
    ----------
    title : str
        What the document is called in errors.
    places : mapping of key path to str
        Where its keys stand, when it comes from a file.
    parameters : dict of str to parameter
        By the names that the document uses.
    paths : dict of str to key path
        Where in the document each parameter stands.
    forbid : list of dict
        Clauses by the document's names, all in the words of ours.
    lost : list of str
        A sentence for everything that could not be carried over.
    problems : list of AutotuneError
        Everything wrong with the document.
    summary : str
        What the document says about itself.
    """

    title: str
    places: Mapping[KeyPath, str] = field(default_factory=dict)
    parameters: dict[str, Carried] = field(default_factory=dict)
    paths: dict[str, KeyPath] = field(default_factory=dict)
    forbid: list[dict[str, Any]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    problems: list[AutotuneError] = field(default_factory=list)
    summary: str = ""

    def add(self, name: str, parameter: Carried | None, path: KeyPath) -> None:
        """Take a parameter in, and what is wrong with it; None is one that was lost or could not be read."""
        if name in self.paths:
            self.wrong(f"{name} stands there twice", path)
        self.paths[name] = path
        if parameter is not None:
            self.parameters[name] = parameter
            for problem in parameter.problems():
                self.wrong(f"{name}: {problem.what}", path)

    def lose(self, sentence: str) -> None:
        """Note what could not be carried over, and what was done instead."""
        self.lost.append(sentence)

    def lose_keys(self, document: Mapping[str, Any], instead: Mapping[str, str], rest: Iterable[str], why: str) -> None:
        """Note keys beside the parameters: each with its setting of ours, and the rest in one sentence.

        Parameters
        ----------
        document : mapping
            What holds the keys.
        instead : mapping of str to str
            Keys that have a counterpart, and how that is called.
        rest : iterable of str
            Keys without one.
        why : str
            What the rest is about.
        """
        for key, setting in instead.items():
            if document.get(key) is not None:
                self.lose(f"{key}: not part of a space; give {setting} where you tune")
        if others := [key for key in rest if key in document]:
            self.lose(f"{', '.join(others)}: {why}")

    def wrong(self, what: str, path: KeyPath, hint: str | None = None) -> None:
        """Note what is wrong with the document."""
        self.problems.append(SpaceError(what, self.place(path), hint))

    def unknown(self, noun: str, name: Any, known: Iterable[str], path: KeyPath) -> None:
        """Note a word that the tool does not have, with the nearest right one."""
        words = sorted(known)
        self.wrong(f"no {noun} named {str(name)!r}", path, nearest(str(name), words) or f"one of: {', '.join(words)}")

    def place(self, path: KeyPath) -> str:
        """Return where something stands: line and column when they are known, and the path."""
        return f"{self.position(path)} {'.'.join(path)}".strip()

    def position(self, path: KeyPath) -> str:
        """Return the line and column of the nearest key that has one, or what the document is called."""
        known = (self.places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.places)
        return next(known, self.title)


def numbers(
    reading: Reading,
    name: str,
    low: Any,
    high: Any,
    *,
    whole: bool = False,
    log: bool = False,
    step: Any = None,
    default: Any = UNSET,
) -> Carried:
    """Make a range ours; what is wrong with it is found when it is added.

    Parameters
    ----------
    reading : Reading
        Takes what is lost.
    name : str
        The parameter's name in the document.
    low, high : number
        The bounds, both included; equal ones make a constant.
    whole : bool
        Whether only whole numbers are meant; ``4.0`` is one.
    log : bool
        Whether the logarithm is searched.
    step : number, optional
        Distance of the values; the upper bound is lowered to the last of them.
    default
        Tried first, when it is in the range.

    Examples
    --------
    >>> numbers(Reading("mine"), "units", 8, 100, whole=True, step=16).high
    88
    """
    if whole:
        low, high, step = (int(each) if is_number(each) and each == int(each) else each for each in (low, high, step))
    if all(map(is_number, (low, high, step))) and step > 0 and not (high - low) / step < LARGEST:
        reading.lose(f"{name}: steps of {step}, too small to count; every value between the bounds can be drawn")
        step = None
    if log and step is not None and not (whole and step == 1):
        reading.lose(f"{name}: steps of {step} beside a logarithm; every value between the bounds can be drawn")
        step = None
    if all(map(is_number, (low, high, step))) and step > 0 and low < high:
        high = _last_step(low, high, step)
    if is_number(low) and is_number(high) and low == high:
        return _with_default(reading, name, Fixed(low if whole else float(low)), default)
    parameter: Carried
    parameter = Int(low, high, log=log, step=1 if step is None else step) if whole else Float(low, high, log, step=step)
    return _with_default(reading, name, parameter, default)


def options(
    reading: Reading,
    name: str,
    values: Any,
    path: KeyPath,
    *,
    weights: Any = None,
    default: Any = UNSET,
    ordered: bool = False,
) -> Carried | None:
    """Make a list of options ours, or say why it is none; a single option makes a constant.

    An option that stands there twice gets the weight of both. Options that a space cannot hold, such as dictionaries,
    and those that are never drawn are left out.

    Examples
    --------
    >>> options(Reading("mine"), "depth", [2, 3, 3], ("depth",)).weights
    (1.0, 2.0)
    """
    if not isinstance(values, (list, tuple)) or not values:
        reading.wrong(f"{name}: options are a list of at least one value, found {values!r}", path)
        return None
    if weights is not None and not _are_weights(weights, len(values)):
        reading.wrong(f"{name}: weights are {len(values)} numbers of at least 0, found {weights!r}", path)
        return None
    kept = _kept_options(reading, name, values, weights)
    if not kept:
        reading.lose(f"{name}: none of its options can be carried over; it is left out")
        return None
    left, shares = [value for value, _ in kept], [share for _, share in kept]
    if len(left) == 1:
        return _with_default(reading, name, Fixed(left[0]), default)
    drawn = tuple(shares) if any(share != shares[0] for share in shares) else None
    return _with_default(reading, name, Choice(tuple(left), ordered=ordered, weights=drawn), default)


def constant(reading: Reading, name: str, value: Any) -> Carried | None:
    """Make a value that does not vary ours, or note that a space cannot hold it."""
    if is_plain(frozen_value(value)):
        return Fixed(value)
    reading.lose(f"{name}: a space cannot hold the value {_shown(value)}; it is left out")
    return None


def bounded(reading: Reading, name: str, entry: Mapping[str, Any], words: Sequence[str], path: KeyPath) -> bool:
    """Return whether an entry has the numbers that its kind needs; what is missing is noted."""
    sound = True
    for word in words:
        if word not in entry:
            reading.wrong(f"{name}: {word} is missing", path, f"{word}: 1")
            sound = False
        elif not is_number(entry[word]):
            hint = "without quotes" if isinstance(entry[word], str) else None
            reading.wrong(f"{name}: {word} is a number, found {entry[word]!r}", (*path, word), hint)
            sound = False
    return sound


def only_words(reading: Reading, name: str, entry: Mapping[str, Any], known: Iterable[str], path: KeyPath) -> None:
    """Note every word of an entry that its kind does not have."""
    for word in entry:
        if word not in known:
            reading.unknown(f"word of {name}", word, known, (*path, str(word)))


def is_whole_number(value: Any) -> bool:
    """Return whether a document writes a whole number: 4 is one, 4.0 and true are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def short(value: float) -> str:
    """Return a number as sentences show it.

    Examples
    --------
    >>> short(0.30000000000000004), short(2.0)
    ('0.3', '2')
    """
    return f"{value:.6g}"


def _last_step(low: float, high: float, step: float) -> Any:
    steps = (high - low) / step
    if math.isclose(steps, round(steps), rel_tol=1e-9):
        return high
    last = Decimal(str(low)) + math.floor(steps) * Decimal(str(step))
    return int(last) if all(map(is_whole_number, (low, high, step))) else float(last)


def _are_weights(weights: Any, count: int) -> bool:
    sound = isinstance(weights, (list, tuple)) and len(weights) == count
    return sound and all(is_number(weight) and weight >= 0 for weight in weights) and sum(weights) > 0


def _kept_options(
    reading: Reading, name: str, values: Sequence[Any], weights: Sequence[float] | None
) -> list[tuple[Any, float]]:
    kept: list[tuple[Any, float]] = []
    for index, value in enumerate(map(frozen_value, values)):
        share = 1.0 if weights is None else float(weights[index])
        equal = next((at for at, (other, _) in enumerate(kept) if other == value), None)
        if not is_plain(value):
            reading.lose(f"{name}: a space cannot hold the option {_shown(value)}; it is left out")
        elif share == 0:
            reading.lose(f"{name}: the option {value!r} has weight 0 and is never drawn; it is left out")
        elif equal is None:
            kept.append((value, share))
        elif same_value(kept[equal][0], value):
            kept[equal] = (kept[equal][0], kept[equal][1] + share)
        else:
            reading.lose(f"{name}: the option {value!r} equals {kept[equal][0]!r} in Python; it is left out")
    return kept


def _with_default(reading: Reading, name: str, parameter: Carried, default: Any) -> Carried:
    default = frozen_value(default)
    if default is UNSET or any(parameter.problems()):
        return parameter
    if not parameter.admits(default):
        first = getattr(parameter, "default", None)
        reading.lose(f"{name}: the default {default!r} is none of its values; {first!r} is tried first")
        return parameter
    return replace(parameter, default=default) if isinstance(parameter, (Float, Int, Choice)) else parameter


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
