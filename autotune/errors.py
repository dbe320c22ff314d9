"""One tree of errors: what is wrong, where it stands, what to try.

AutotuneError
├── SpaceError(ValueError)              a search space cannot be used
├── DataError(ValueError)               a table cannot be used
├── SettingsError(ValueError)           a setting has a value that it cannot have
├── UnknownNameError(LookupError)       a name that nothing carries
├── MissingPackageError(ImportError)    an optional package is not installed
├── PlugInError(TypeError)              somebody's learner breaks the contract
└── StudyError(RuntimeError)
    ├── StudyMismatchError              a study of that name was made for something else
    │   └── SeedMismatchError           it was made for the same, with another seed
    ├── StorageError                    the storage cannot be opened, read or written
    │   └── StorageLostError            it could, and no longer can
    ├── NoSuccessfulTrialError          no trial ended with a score
    └── RefitError                      the winner could be cross-validated, but not trained on all rows
"""

from __future__ import annotations

import re
from collections.abc import Sequence


class AutotuneError(Exception):
    """An error that a person can act on.

    Parameters
    ----------
    problem : str
        What is wrong, with the value that was found.
    where : str, optional
        The file and line, column, setting or study that it was found in.
    hint : str, optional
        What to type or do instead.

    Examples
    --------
    >>> print(DataError("no column 'pric'", where="houses.csv", hint="target='price'"))
    no column 'pric'
      where: houses.csv
      try:   target='price'
    """

    def __init__(self, problem: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(problem, where, hint)
        self.problem = problem
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.problem]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  try:   {self.hint}")
        return "\n".join(lines)


class SpaceError(AutotuneError, ValueError):
    """A search space cannot be used as it is written: one line, as compilers write them, that editors can follow.

    Examples
    --------
    >>> print(SpaceError("no parameter named 'learing_rate'", "my.toml:7:1 mlp.learing_rate", "learning_rate"))
    my.toml:7:1 mlp.learing_rate: no parameter named 'learing_rate'; learning_rate
    """

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.problem}" + (f"; {self.hint}" if self.hint else "")


class DataError(AutotuneError, ValueError):
    """A table cannot be used as it is."""


class SettingsError(AutotuneError, ValueError):
    """A setting has a value that it cannot have."""


class UnknownNameError(AutotuneError, LookupError):
    """A name that nothing carries."""


class MissingPackageError(AutotuneError, ImportError):
    """An optional package is not installed."""


class PlugInError(AutotuneError, TypeError):
    """A learner, metric or splitter from outside breaks its contract."""


class StudyError(AutotuneError, RuntimeError):
    """Something is wrong with a study."""


class StudyMismatchError(StudyError):
    """A study of that name was made for another space, table, metric or folds."""


class SeedMismatchError(StudyMismatchError):
    """A study of that name was made for the same question, with another seed."""


class StorageError(StudyError):
    """A storage cannot be opened, read or written."""


class StorageLostError(StorageError):
    """A storage fails while it is worked at: its disk is full, its server away for good."""


class NoSuccessfulTrialError(StudyError):
    """The study holds no trial that ended with a score."""


class RefitError(StudyError):
    """The best configuration was cross-validated, but could not be trained on all rows."""


def raise_all(problems: Sequence[AutotuneError]) -> None:
    """Raise what was collected: one problem as it is, several as one error of the first one's type.

    Parameters
    ----------
    problems : sequence of AutotuneError
        Everything found wrong with one file or table; nothing is raised when it is empty. Problems of a space come
        in the order of the file's lines, each once.
    """
    if not problems:
        return
    if all(isinstance(problem, SpaceError) for problem in problems):
        problems = _in_file_order(problems)
    if len(problems) == 1:
        raise problems[0]
    if all(isinstance(problem, SpaceError) for problem in problems):
        listed = "\n".join(map(str, problems))  # each line begins with its file and line
    else:
        listed = "\n".join(f"{number}. {problem}" for number, problem in enumerate(problems, start=1))
    raise type(problems[0])(f"{len(problems)} problems:\n{listed}")


_POSITION = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+)(?: |$)")


def _in_file_order(problems: Sequence[AutotuneError]) -> list[AutotuneError]:
    """Sort by file, in the order of their first problems, then by line and column; what has no line keeps its turn."""
    files: dict[str, int] = {}

    def key(problem: AutotuneError) -> tuple[int, int, int]:
        match = _POSITION.match(problem.where or "")
        file = files.setdefault(match["file"] if match else "", len(files))
        return (file, int(match["line"]), int(match["column"])) if match else (file, 0, 0)

    return sorted({str(problem): problem for problem in problems}.values(), key=key)
