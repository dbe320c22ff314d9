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
        plain = _plain(str(Path(value).absolute()) if _is_file(name, value) else value)
        if plain is None:
            by_hand.append(name)
        else:
            words[name] = plain
    document = space.to_dict()
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
    missing = [name for name in setup["by_hand"] if name not in given]
    if missing:
        listed = ", ".join(missing)
        raise StudyError(
            f"the study was made with a Python object as its {listed}, which it cannot carry",
            where,
            f"autotune.work(storage, study_name, data, {', '.join(f'{name}=...' for name in missing)}) from Python",
        )
    words = {**setup["settings"], **given}
    if "space" not in words:
        words["space"] = space_of(setup)
    return make_settings("call", **words)


def space_of(setup: Mapping[str, Any]) -> Space:
    """Return the space that a study was made with."""
    return read_document(setup["space"]["document"], setup["space"]["name"]).replaced(name=setup["space"]["name"])


def _is_file(name: str, value: Any) -> bool:
    """Return whether a setting is the path of a file, which others look for from another folder."""
    return name == "test_size" and isinstance(value, str | Path) and Path(value).is_file()


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; None where JSON cannot."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    try:
        read = json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return None
    return value if read == value else None
