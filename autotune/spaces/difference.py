"""What differs between two spaces, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
            if left != right:
                yield Difference(f"{learner}.{key}", left, right)
    for name in ("forbid", "start"):
        left, right = before.to_dict().get(name, []), after.to_dict().get(name, [])
        for entry in left:
            if entry not in right:
                yield Difference(name, entry, None)
        for entry in right:
            if entry not in left:
                yield Difference(name, None, entry)


def _summary(space: Space, learner: str) -> list[str] | None:
    return list(space.learners[learner]) if learner in space.learners else None
