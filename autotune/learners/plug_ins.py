"""Learners of installed packages: entry points of the group ``autotune.learners``, loaded only when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotune.errors import PlugInError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "autotune.learners"
NEEDED = ("name", "tasks", "Params", "train", "pace")
"""What makes something a learner; see `autotune.learners.protocol.Learner`."""

BROKEN_CODE = (
    *(ImportError, AttributeError, SyntaxError, NameError, TypeError, ValueError, LookupError),
    *(ArithmeticError, RuntimeError, OSError, AssertionError),
)
"""What somebody's module raises while it is imported."""


def find_plug_ins() -> dict[str, EntryPoint]:
    """Return the entry points by name, the first of equal names; nothing is imported."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


def load_plug_in(entry: EntryPoint) -> Any:
    """Import a plug-in.

    Parameters
    ----------
    entry : EntryPoint
        Of the group ``autotune.learners``.

    Returns
    -------
    type or Learner
        A class of learners, or a learner.

    Raises
    ------
    PlugInError
        When it cannot be imported or is no learner; names the distribution.
    """
    package = entry.dist
    whose = f"{package.name} {package.version}" if package else "an unknown distribution"
    where = f"{whose}, entry point {entry.name!r} = {entry.value!r}"
    try:
        learner = entry.load()
    except BROKEN_CODE as error:
        said = f"{type(error).__name__}: {error}"
        hint = f"repair or uninstall {package.name}" if package else None
        raise PlugInError(f"the plug-in of learner {entry.name!r} cannot be loaded: {said}", where, hint) from error
    missing = [attribute for attribute in NEEDED if not hasattr(learner, attribute)]
    if missing:
        problem = f"the plug-in of learner {entry.name!r} is no learner: it has no {', '.join(missing)}"
        raise PlugInError(problem, where, "autotune.testing.check_learner says what a learner is")
    return learner
