"""Ctrl-C and SIGTERM while a trial runs in the process of the command itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import autotune

ROOT = Path(autotune.__file__).parents[1]
OBJECTIVES = """
import hashlib, os, time
from pathlib import Path

def long(params):
    Path("begun").touch()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # one call, of which Python hears nothing before its end

def forking(params):
    child = os.fork()
    if child == 0:
        time.sleep(1.0)
        os._exit(0)
    Path("begun").touch()
    until = time.time() + 2.0
    while time.time() < until:
        time.sleep(0.1)
    return params["x"]
"""

IMPORTING = """
import os, signal, sys

class Blow:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Blow())
from autotune.cli import main
main(sys.argv[2:])
"""


@pytest.fixture
def begun(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A search in this process, in the midst of its first trial."""
    (tmp_path / "own.py").write_text(OBJECTIVES)
    (tmp_path / "space.toml").write_text("version = 1\n[objective]\nx = {float = [0, 1]}\n")
    words = ("--space", "space.toml", "--n-trials", "1000", "--n-jobs", "1", "--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "autotune", "optimize", f"own.py:{request.param}", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while not (tmp_path / "begun").exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("begun", ["long"], indirect=True)
@pytest.mark.parametrize("blows", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)], ids=["Ctrl-C twice", "TERM"])
def test_a_fit_that_hears_nothing_is_ended_too(begun: subprocess.Popen[str], blows: tuple[int, ...]) -> None:
    for blow in blows:
        begun.send_signal(blow)
        time.sleep(0.2)
    _, err = begun.communicate(timeout=120)
    assert begun.returncode == 130
    assert err.endswith("interrupted\n")


@pytest.mark.parametrize("begun", ["forking"], indirect=True)
def test_one_interrupt_is_one_where_trials_fork(begun: subprocess.Popen[str]) -> None:
    os.killpg(begun.pid, signal.SIGINT)
    out, err = begun.communicate(timeout=120)
    assert begun.returncode == 0, err
    assert 0 <= json.loads(out)["best_params"]["x"] <= 1


@pytest.mark.parametrize("module", ["sqlalchemy.engine", "optuna.storages"])
@pytest.mark.parametrize("command", ["run a.csv --target b", "studies"])
def test_an_interrupt_while_modules_are_imported_is_no_traceback(module: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + 20 * "1,x\n2,y\n")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, module, *command.split(), "--storage", "postgresql://ann:hush@127.0.0.1:1/t"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith("interrupted\n") and "Traceback" not in done.stderr
    assert "hush" not in done.stderr
