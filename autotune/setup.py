"""What a study carries so that others can join it: its settings in plain values, and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.errors import StudyError
from autotune.settings import DEFAULTS, NAMES, Settings, make_settings
from autotune.spaces.files import read_document
from autotune.spaces.space import Space

OF_A_CALL = frozenset({"space", "n_trials", "timeout", "n_jobs", "storage", "study_name", "from_study", "random_state"})
"""Settings that every call has of its own, or that a study keeps elsewhere."""

OF_A_DOOR = frozenset({"device", "progress"})
"""Settings of a machine and its terminal."""


TEST_TABLE = "a table of its own"
"""What stands for ``test_size`` where it is a table that a study cannot carry."""


def setup_of(settings: Settings, space: Space, **more: Any) -> dict[str, Any]:
    """Return what others need to join a study, as plain values.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    space : Space
        As it is for the task at hand.
    **more
        What else there is to know: the target, where the table was read from, the objective.

    Returns
    -------
    dict
        ``settings`` by name, without those at their defaults; ``space`` with its name and document; ``by_hand``, the
        settings that are no plain values and have to be given again; and `more`.

    Examples
    --------
    >>> setup = setup_of(make_settings("call", cv=3, metric=max), Space({"knn": {}}), target="price")
    >>> setup["settings"], setup["by_hand"], setup["target"]
    ({'cv': 3}, ['metric'], 'price')
    """
    words: dict[str, Any] = {}
    by_hand = []
    for name in NAMES:
        value = getattr(settings, name)
        if name in OF_A_CALL | OF_A_DOOR or value is getattr(DEFAULTS, name):
            continue
        plain = _plain(_from_anywhere(name, value))
        if plain is None:
            by_hand.append(name)
        else:
            words[name] = plain
    models = {name: code_from_anywhere(model) for name, model in space.models.items()}
    document = space.replaced(models=models, checked=False).to_dict()
    if _plain(document) is None:  # a model that is an object stands in it
        by_hand.append("space")
        document = {}
    return {"settings": words, "space": {"name": space.name, "document": document}, "by_hand": by_hand, **more}


def settings_of(setup: Mapping[str, Any], where: str, **given: Any) -> Settings:
    """Return the settings of a study, with those of this call.

    Parameters
    ----------
    setup : mapping
        What `setup_of` returned when the study was made.
    where : str
        The study, for errors.
    **given
        Settings of this call, those that a study cannot carry among them; None stands for what the study says.

    Raises
    ------
    StudyError
        When something that the study cannot carry is missing.
    """
    given = {name: value for name, value in given.items() if value is not None}
    words = {**setup["settings"], **given}
    missing = [name for name in setup["by_hand"] if name not in given and name != "test_size"]
    if missing:
        listed = ", ".join(missing)
        raise StudyError(
            f"the study was made with a Python object as its {listed}, which it cannot carry",
            where,
            f"autotune.work(storage, study_name, data, {', '.join(f'{name}=...' for name in missing)}) from Python",
        )
    if "test_size" in setup["by_hand"]:  # who joins never looks at test rows
        words.setdefault("test_size", TEST_TABLE)
    if "space" not in words:
        words["space"] = space_of(setup)
    return make_settings("call", **words)


def space_of(setup: Mapping[str, Any]) -> Space:
    """Return the space that a study was made with."""
    return read_document(setup["space"]["document"], setup["space"]["name"]).replaced(name=setup["space"]["name"])


def code_from_anywhere(named: Any) -> Any:
    """Return what names code of a Python file, so that it does from another folder; anything else as it is.

    Examples
    --------
    >>> code_from_anywhere("sklearn.svm:SVC")
    'sklearn.svm:SVC'
    """
    source, _, attribute = named.rpartition(":") if isinstance(named, str) else ("", "", "")
    return f"{Path(source).expanduser().absolute()}:{attribute}" if source.endswith(".py") else named


def _from_anywhere(name: str, value: Any) -> Any:
    """Return a setting as others need it, who look for its file from another folder."""
    if name == "test_size" and isinstance(value, str | Path) and Path(value).is_file():
        return str(Path(value).absolute())
    return code_from_anywhere(value) if name == "model" else value


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; None where JSON cannot."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    try:
        read = json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return None
    return value if read == value else None
