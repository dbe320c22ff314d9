"""What differs between two spaces, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from autotune.spaces.document import parameter_document
from autotune.spaces.space import Space


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two spaces do not share.

    Attributes
    ----------
    path : str
        ``learner``, ``learner.parameter``, ``forbid`` or ``start``.
    before, after : dict, list or None
        What each of the spaces has there, as a file writes it; None for nothing.
    """

    path: str
    before: Any
    after: Any


def differences(before: Space, after: Space) -> Iterator[Difference]:
    """Yield what differs between two spaces, in the order of the first one.

    Examples
    --------
    >>> one, other = Space({"knn": {"k": {"int": [1, 50]}}}), Space({"knn": {"k": {"int": [1, 9]}}})
    >>> [each.path for each in differences(one, other)]
    ['knn.k']
    """
    for learner in dict.fromkeys((*before.learners, *after.learners)):
        if (learner in before.learners) != (learner in after.learners):
            yield Difference(learner, _summary(before, learner), _summary(after, learner))
            continue
        if before.models.get(learner) != after.models.get(learner):
            yield Difference(f"{learner}.model", before.models.get(learner), after.models.get(learner))
        one, other = before.learners[learner], after.learners[learner]
        for key in dict.fromkeys((*one, *other)):
            left = parameter_document(one[key]) if key in one else None
            right = parameter_document(other[key]) if key in other else None
            if _text(left) != _text(right):
                yield Difference(f"{learner}.{key}", left, right)
    for name in ("forbid", "start"):
        lists = [space.to_dict().get(name, []) for space in (before, after)]
        if name == "forbid":  # clauses stand in no order
            lists = [sorted(entries, key=_text) for entries in lists]
        yield from _list_differences(name, *lists)


def _list_differences(name: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    matcher = SequenceMatcher(None, [*map(_text, before)], [*map(_text, after)], autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            yield from (Difference(name, entry, None) for entry in before[start:end])
            yield from (Difference(name, None, entry) for entry in after[other_start:other_end])


def _text(value: Any) -> str:
    """Return a text that is equal for equal values: 1 is neither 1.0 nor true."""
    return json.dumps(value, sort_keys=True)


def _summary(space: Space, learner: str) -> list[str] | None:
    return list(space.learners[learner]) if learner in space.learners else None
