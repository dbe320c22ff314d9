"""From a text to somebody's own code: ``package.module:attribute`` or ``path/to/file.py:attribute``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from autotune.errors import SettingsError
from autotune.learners.plug_ins import BROKEN_CODE
from autotune.registry import nearest

EXAMPLES = {
    "model": '"sklearn.svm:SVC", or "my_model.py:build" for a file',
    "objective": '"my_package.work:objective", or "my_work.py:objective" for a file',
}
"""What a text may name, with a right one."""


def load_model(text: str, where: str, noun: str = "model") -> Any:
    """Import what a text names.

    Parameters
    ----------
    text : str
        ``"sklearn.svm:SVC"``, or ``"models/nets.py:build"`` with a path from the current folder.
    where : str
        Where the text stands, for errors.
    noun : {"model", "objective"}
        What is asked for.

    Returns
    -------
    object
        A model of a file travels by value: neither a worker nor who loads the report needs the file.

    Raises
    ------
    SettingsError
        When there is no such module, file or attribute, or importing it fails.

    Examples
    --------
    >>> load_model("sklearn.svm:SVC", "model")
    <class 'sklearn.svm._classes.SVC'>
    """
    source, colon, attribute = text.rpartition(":")
    if not colon or not source or not attribute:
        raise SettingsError(f"{noun} {text!r} names no attribute of a module", where, EXAMPLES[noun])
    try:
        module = _load_file(source, where) if source.endswith(".py") else importlib.import_module(source)
    except BROKEN_CODE as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{noun} {text!r} cannot be imported: {_said(error)}", where, _hint(source)) from error
    found: Any = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = [each for each in dir(found) if not each.startswith("_")]
            close = nearest(name, public)
            raise SettingsError(
                f"{noun} {text!r}: there is no {name!r} in {source}", where, f"{source}:{close}" if close else None
            )
        found = getattr(found, name)
    return found


def made(model: type[Any], where: str) -> Any:
    """Make an instance of somebody's class.

    Raises
    ------
    SettingsError
        When it needs arguments.
    """
    try:
        return model()
    except TypeError as error:
        raise SettingsError(
            f"{model.__qualname__} cannot be made without arguments: {error}", where, "an instance of it"
        ) from None


class _Fresh(importlib.machinery.SourceFileLoader):
    """Runs a file as it is now: kept bytecode may be that of an edit before, in the same second and as long."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _load_file(source: str, where: str) -> ModuleType:
    """Run a file as a module of a name of its own, which pickles by value."""
    path = Path(source).expanduser().resolve()
    if not path.is_file():
        raise SettingsError(f"there is no file {source!r}", where)
    name = f"{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    loader = _Fresh(name, str(path))
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module  # as dataclasses and pickle want it
    try:
        with _importing_from(path.parent):
            loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _carry(module)
    return module


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours, as it could when it was run; these travel by value too."""
    entry, before = str(folder), set(sys.modules)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        file = getattr(module, "__file__", None)
        if file and Path(file).parent == folder and name not in sys.stdlib_module_names:
            _carry(module)


def _carry(module: ModuleType) -> None:
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def _hint(source: str) -> str | None:
    file = Path(source.replace(".", "/") + ".py")
    return f"{file}:… names a file in the current folder" if file.is_file() else None


def _said(error: BaseException) -> str:
    """Return an error in one line, with the place in the file that was imported."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    place = ""
    if traceback is not None and "importlib" not in traceback.tb_frame.f_code.co_filename:
        place = f" ({Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno})"
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
