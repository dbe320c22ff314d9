"""What learners' threads are told before their libraries are loaded, and how many there may be."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from autotune.learners.protocol import Resources
from autotune.plan import resources_of, threads_of_each
from autotune.settings import make_settings


@pytest.mark.skipif(sys.platform != "linux", reason="OpenMP is GNU's on Linux")
@pytest.mark.parametrize(
    ("own", "spins"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
    ids=["nothing said", "spins said", "policy said"],
)
@pytest.mark.parametrize(
    "code",
    [
        "from autotune.learners import find_learner; find_learner('lightgbm')",
        "from autotune import AutoTuneClassifier",
        "import autotune, sklearn.neighbors",
    ],
    ids=["a learner", "an estimator", "a library that is imported later"],
)
def test_threads_of_openmp_spin_for_a_moment_unless_something_else_was_said(
    own: dict[str, str], spins: str, code: str
) -> None:
    said = {name: os.environ[name] for name in os.environ if "OMP" not in name} | own
    environment = {**said, "OMP_DISPLAY_ENV": "verbose"}
    loading = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", loading.stderr)) == {spins}


@pytest.mark.parametrize(
    ("own", "block_time"), [({}, "1"), ({"KMP_BLOCKTIME": "200"}, "200"), ({"OMP_WAIT_POLICY": "active"}, "None")]
)
def test_what_other_openmp_libraries_read_is_said_too_but_not_over_people_s_own_words(
    own: dict[str, str], block_time: str
) -> None:
    said = {name: os.environ[name] for name in os.environ if "MP_" not in name} | own
    code = "import autotune, os; print(os.environ.get('KMP_BLOCKTIME'))"
    assert subprocess.check_output([sys.executable, "-c", code], env=said, text=True) == f"{block_time}\n"


@pytest.mark.parametrize(
    ("said", "n_jobs", "threads"),
    [
        ("", 1, 8),
        ("", 3, 2),
        ("", 9, 1),
        ("3", 1, 3),
        ("3", 4, 2),
        (" 4 , 2", 1, 4),
        ("0", 1, 8),
        ("many", 1, 8),
        pytest.param("9" * 5000, 1, 8, id="large"),
        ("1e3", 1, 8),
    ],
)
def test_threads_are_a_share_of_the_cores_and_no_more_than_openmp_may_have(
    monkeypatch: pytest.MonkeyPatch, said: str, n_jobs: int, threads: int
) -> None:
    monkeypatch.setattr("autotune.plan.available_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads_of_each(n_jobs) == threads
    if n_jobs <= 8:
        settings = make_settings("call", n_jobs=n_jobs)
        assert resources_of(settings) == (n_jobs, Resources(threads=threads))
