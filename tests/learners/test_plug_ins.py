"""Learners of installed packages: a distribution is a folder with metadata on the import path."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from autotune.errors import PlugInError, UnknownNameError
from autotune.learners import LEARNERS, find_learner

CODE = """
from autotune.data.task import ALL_TASKS
from autotune.learners.baseline import Baseline, BaselineParams

class Neighbourly(Baseline):
    name = "neighbourly"

something_else = 3
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of three entry points: a learner, something else, and one that hides behind a built-in name."""
    (tmp_path / "neighbourly_plug_in.py").write_text(CODE)
    (tmp_path / "broken_plug_in.py").write_text("raise RuntimeError('half installed')\n")
    metadata = tmp_path / "neighbourly-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: neighbourly\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(
        "[autotune.learners]\n"
        "neighbourly = neighbourly_plug_in:Neighbourly\n"
        "linear = neighbourly_plug_in:Neighbourly\n"
        "broken = broken_plug_in:Learner\n"
        "absent = neighbourly_plug_in:Absent\n"
        "number = neighbourly_plug_in:something_else\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "neighbourly_plug_in", raising=False)
    return tmp_path


def test_a_plug_in_is_found_by_name_and_loaded_on_use_only(installed: Path) -> None:
    assert {"neighbourly", "broken", "linear"} <= set(LEARNERS)
    assert "neighbourly" in LEARNERS and len(LEARNERS) == len(list(LEARNERS))
    assert "neighbourly_plug_in" not in sys.modules
    assert find_learner("neighbourly").name == "neighbourly"


def test_a_built_in_name_wins(installed: Path) -> None:
    assert find_learner("linear").name == "linear"
    assert list(LEARNERS).count("linear") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "the plug-in of learner 'broken' cannot be loaded: RuntimeError: half installed"),
        ("absent", "the plug-in of learner 'absent' cannot be loaded: AttributeError"),
        ("number", "the plug-in of learner 'number' is no learner: it has no name, tasks, Params, train, pace"),
    ],
)
def test_a_broken_plug_in_says_whose_it_is_when_it_is_used(installed: Path, name: str, said: str) -> None:
    with pytest.raises(PlugInError, match=re.escape(said)) as caught:
        find_learner(name)
    assert caught.value.where is not None and caught.value.where.startswith("neighbourly 1.2, entry point")


def test_a_wrong_name_is_told_the_nearest_of_all(installed: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_learner("neigbourly")
    assert caught.value.hint == "neighbourly"
