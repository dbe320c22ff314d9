from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from autotune.errors import MissingPackageError
from autotune.learners import LEARNERS
from autotune.learners.optional import missing_package
from autotune.learners.protocol import Resources
from autotune.testing import made_members

OPTIONAL = ("xgboost", "catboost")


@pytest.fixture(params=OPTIONAL)
def absent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a learner, and of its package, which cannot be imported."""
    monkeypatch.setitem(sys.modules, request.param, None)
    return str(request.param)


def test_a_learner_whose_package_is_absent_says_what_to_type(absent: str) -> None:
    learner: Any = LEARNERS[absent]
    with pytest.raises(MissingPackageError) as caught:
        next(learner().train(made_members("binary"), learner.Params(), seed=0, resources=Resources()))
    assert str(caught.value) == (
        f"{absent} is not installed\n  where: learner '{absent}'\n  try:   pip install \"autotune-toolkit[boosters]\""
    )


def test_it_is_found_out_before_training(absent: str) -> None:
    error = missing_package(LEARNERS[absent], "my.toml:3")
    assert error is not None and error.where == "my.toml:3"
    assert missing_package(LEARNERS["linear"]) is None


def test_any_learner_can_name_its_package() -> None:
    class Learner:
        requires = "no_such_package"

    error = missing_package(Learner)
    assert error is not None and error.hint == "pip install no_such_package"


@pytest.mark.parametrize("name", OPTIONAL)
def test_parameters_and_the_package_check_import_nothing(name: str) -> None:
    script = (
        f"import sys, autotune.learners.{name}\n"
        "from autotune.learners import LEARNERS\n"
        "from autotune.learners.optional import missing_package\n"
        f"LEARNERS[{name!r}].Params(); missing_package(LEARNERS[{name!r}])\n"
        f"print({name!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
