"""Learners whose package need not be there: known by name always, usable once it is installed."""

from __future__ import annotations

from importlib.util import find_spec

from autotune.errors import MissingPackageError

INSTALL_BOOSTERS = 'pip install "autotune-toolkit[boosters]"'


def missing_package(learner_class: object, where: str | None = None) -> MissingPackageError | None:
    """Return the error for a learner whose package is not installed, or None; nothing is imported.

    Parameters
    ----------
    learner_class : type
        A learner. Its attributes ``requires``, the package that it imports, and ``install``, what to type to get it,
        may both be left out.
    where : str, optional
        Where the learner is named.

    Examples
    --------
    >>> from autotune.learners.linear import Linear
    >>> print(missing_package(Linear))
    None
    """
    package = getattr(learner_class, "requires", None)
    if package is None or find_spec(package) is not None:
        return None
    hint = getattr(learner_class, "install", f"pip install {package}")
    return MissingPackageError(f"{package} is not installed", where, hint)


def need_package(learner_class: type) -> None:
    """Raise MissingPackageError if the package of a learner is not installed."""
    if error := missing_package(learner_class, f"learner {getattr(learner_class, 'name', learner_class)!r}"):
        raise error
