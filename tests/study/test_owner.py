"""Who runs a trial, and whether they are gone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from autotune.study.owner import is_dead, this_owner

HOST = socket.gethostname()


def test_this_process_lives_and_one_that_ended_is_dead() -> None:
    assert not is_dead(this_owner())
    command = [sys.executable, "-c", "from autotune.study.owner import this_owner; print(this_owner()); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        owner = process.stdout.readline().strip()
        assert not is_dead(owner)
        process.communicate("")
    assert is_dead(owner)


def test_a_process_that_took_over_the_number_of_a_dead_one_is_somebody_else() -> None:
    host, pid, started = this_owner().rsplit("/", 2)
    assert is_dead(f"{host}/{pid}/{int(started.partition('.')[0]) + 1}")


def test_nobody_knows_of_another_host() -> None:
    assert not is_dead(f"not-{HOST}/1/0")


def test_a_host_name_may_hold_slashes() -> None:
    assert not is_dead("a/b/c/99999999/0")


def test_no_owner_is_a_trial_given_back() -> None:
    assert is_dead("")


def test_the_first_process_of_the_machine_lives_whoever_owns_it() -> None:
    started = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    assert not is_dead(f"{HOST}/1/{started}")


def test_a_process_that_ended_is_dead_though_its_parent_has_not_looked_yet() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
        owner = f"{HOST}/{child.pid}/{started}"
        assert not is_dead(owner)
        child.kill()
        deadline = time.monotonic() + 60
        while not is_dead(owner):
            assert time.monotonic() < deadline
        assert Path(f"/proc/{child.pid}").exists(), "a zombie, until it is waited for"
