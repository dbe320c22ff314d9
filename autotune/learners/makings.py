"""What tells one model from another: its source, its settings and all that they use, the same in every process."""

from __future__ import annotations

import hashlib
import pickle
import site
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from dis import get_instructions
from functools import cache
from pathlib import Path
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, NamedTuple

from autotune.learners.loading import made
from autotune.learners.plug_ins import BROKEN_CODE, NEEDED

PLAIN = (type(None), bool, int, float, complex, str, bytes)
"""What its own text tells apart."""

DEEPEST = 100
"""Below this many things within each other, only their classes count."""


def describe_model(model: Any) -> str:
    """Return what tells a model from another one: equal for the same source and settings in another process.

    A class or function that people edit counts by its source and all that it uses; one of an installed package by its
    name. Any other object counts by what pickle would write of it.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> describe_model(SVC) == describe_model(SVC()) != describe_model(SVC(C=2))
    True
    """
    if isinstance(model, type) and hasattr(model, "get_params"):
        model = made(model, "model")
    return f"{_path(model if hasattr(model, '__qualname__') else type(model))} {_Makings().digest(model)}"


class _Parts(NamedTuple):
    """What something is made of: a text, and other things."""

    text: str
    things: Iterable[Any] = ()
    ordered: bool = True


@dataclass(slots=True)
class _Makings:
    """Digests of things by their parts; each thing is looked at once, and one within itself is but a mark."""

    known: dict[int, tuple[Any, str]] = field(default_factory=dict)  # holds the things, so that no id comes twice
    depth: int = 0

    def digest(self, thing: Any) -> str:
        """Return sixteen hex digits."""
        if type(thing) in PLAIN:
            return _hashed([type(thing).__name__, repr(thing)])
        if id(thing) not in self.known:
            self.known[id(thing)] = thing, "within itself"
            self.depth += 1
            parts = _Parts(_path(type(thing))) if self.depth > DEEPEST else _parts(thing)
            inner = [self.digest(each) for each in parts.things]
            self.depth -= 1
            self.known[id(thing)] = thing, _hashed([parts.text, *(inner if parts.ordered else sorted(inner))])
        return self.known[id(thing)][1]


def _hashed(texts: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _parts(thing: Any) -> _Parts:
    """Return what something is made of, without addresses and line numbers."""
    kind = type(thing)
    if kind in (list, tuple):
        return _Parts(kind.__name__, thing)
    if kind in (set, frozenset):
        return _Parts(kind.__name__, thing, ordered=False)
    match thing:
        case dict() | MappingProxyType() if kind in (dict, MappingProxyType):
            return _Parts(kind.__name__, thing.items(), ordered=False)
        case type():
            return _Parts(_path(thing), _of_class(thing) if _is_own(thing) else ())
        case FunctionType():
            return _Parts(_path(thing), _of_function(thing))
        case MethodType():
            return _Parts("method", (thing.__self__, thing.__func__))
        case CodeType():
            return _Parts(f"{thing.co_code.hex()} {thing.co_names}", thing.co_consts)
        case CellType():
            return _Parts("cell", _contents(thing))
        case ModuleType():
            return _Parts(f"module {thing.__name__}")
        case property():
            return _Parts("property", (thing.fget, thing.fset, thing.fdel))
    return _of_object(thing)


def _contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # its variable has no value yet
        return ()


def _of_class(thing: type[Any]) -> Iterator[Any]:
    """Yield the attributes of a class and of those it inherits from, as far as people edit them."""
    for each in thing.__mro__:
        if not _is_own(each):
            yield each
            continue
        yield each.__qualname__
        for name, value in sorted(vars(each).items()):
            if name == "space" and _is_learner(thing):  # it is asked for apart
                continue
            if isinstance(value, (FunctionType, classmethod, staticmethod)) or not name.startswith("__"):
                yield name, value


def _of_function(thing: FunctionType) -> Iterator[Any]:
    """Yield the source of a function and all that it uses; of an installed one what it closes over."""
    filled = {name for code in _codes(thing) for name in _filled_by(code)}
    for name, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
        yield tuple(map(type, _contents(cell))) if name in filled else cell
    if _is_edited(thing.__globals__.get("__name__", "")):
        yield from (thing.__code__, thing.__defaults__, thing.__kwdefaults__)
        yield from _globals_of(thing, _codes(thing), filled)


def _codes(function: FunctionType) -> list[CodeType]:
    """Return the code of a function and of those that are defined in it."""
    codes = [function.__code__]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    return codes


def _globals_of(
    function: FunctionType, codes: Sequence[CodeType], filled: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yield what a function uses of its module, and of the modules in there that people edit."""
    attributes = sorted({name for code in codes for name in code.co_names})
    loaded = {each.argval for code in codes for each in get_instructions(code) if each.opname == "LOAD_GLOBAL"}
    for name in sorted(loaded & set(function.__globals__)):
        used = function.__globals__[name]
        yield name, type(used) if name in filled else used
        if isinstance(used, ModuleType) and _is_edited(used.__name__):
            yield from ((f"{name}.{each}", vars(used)[each]) for each in attributes if each in vars(used))


MUTATORS = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "remove", "discard"}


def _filled_by(code: CodeType) -> Iterator[str]:
    """Yield the names of what a function fills itself, such as a list of its calls: what it holds is no part of it."""
    steps = list(get_instructions(code))
    for index, step in enumerate(steps):
        if step.opname in ("LOAD_METHOD", "LOAD_ATTR") and step.argval in MUTATORS:
            before = steps[max(0, index - 1) : index]
        elif step.opname == "STORE_SUBSCR":
            before = steps[max(0, index - 3) : index]
        else:
            continue
        yield from (each.argval for each in before if each.opname in ("LOAD_GLOBAL", "LOAD_DEREF"))


def _of_object(thing: Any) -> _Parts:
    """Return the class and the state of an object: its settings, its values, or what pickle would write."""
    kind = type(thing)
    package = kind.__module__.partition(".")[0]
    if package == "numpy" and hasattr(thing, "tobytes"):
        return _Parts(f"{thing.dtype} {thing.shape}", (thing.tolist() if thing.dtype.hasobject else thing.tobytes(),))
    try:
        if package == "pandas" and (frame := _of_frame(thing)):
            return frame
        if _is_learner(thing):
            return _Parts("learner", (kind, _without_space(thing)))
        if hasattr(thing, "get_params"):
            return _Parts("estimator", (kind, thing.get_params(deep=False)))
        written = thing.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    except (*BROKEN_CODE, pickle.PickleError):  # static methods, locks, connections
        written = ""
    if isinstance(written, str):  # the name that it goes by, as a function that caches does
        return _Parts(written, (kind, getattr(thing, "__wrapped__", None)))
    return _Parts("object", (kind, *written[:3], *(list(items) for items in written[3:5] if items is not None)))


def _of_frame(thing: Any) -> _Parts | None:
    """Return the values of a frame, a series or an index, however they lie in memory."""
    import pandas as pd

    if not isinstance(thing, (pd.DataFrame, pd.Series, pd.Index)):
        return None
    columns = [*thing.columns, *map(str, thing.dtypes)] if isinstance(thing, pd.DataFrame) else [str(thing.dtype)]
    return _Parts(type(thing).__name__, (columns, pd.util.hash_pandas_object(thing).to_numpy()))


def _without_space(learner: Any) -> dict[str, Any]:
    names = [each.name for each in fields(learner)] if is_dataclass(learner) else vars(learner)
    return {name: getattr(learner, name) for name in names if name != "space"}


def _is_learner(thing: Any) -> bool:
    return all(hasattr(thing, attribute) for attribute in NEEDED)


def _path(thing: Any) -> str:
    return str(thing.__qualname__) if _is_own(thing) else f"{thing.__module__}.{thing.__qualname__}"


def _is_own(thing: Any) -> bool:
    """Return whether a class or function comes from a script, a notebook or a file, where people edit."""
    return _is_edited(thing.__module__ or "")


def _is_edited(module: str) -> bool:
    import cloudpickle

    if module == "__main__" or module in cloudpickle.list_registry_pickle_by_value():
        return True
    if module.partition(".")[0] == "autotune":
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not any(Path(file).is_relative_to(folder) for folder in _installed())


@cache
def _installed() -> frozenset[Path]:
    """Return the folders that packages are installed to, which nobody edits."""
    paths = sysconfig.get_paths()
    of_python = (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return frozenset(Path(folder) for folder in (*of_python, *site.getsitepackages(), site.getusersitepackages()))
