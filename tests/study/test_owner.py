"""Who runs a trial, and whether they are gone."""

from __future__ import annotations

import socket
import subprocess
import sys

from autotune.study.owner import is_dead, this_owner

HOST = socket.gethostname()


def owner_of(pid: int) -> str:
    command = [sys.executable, "-c", "from autotune.study.owner import this_owner; print(this_owner()); input()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    owner = process.stdout.readline().strip()
    assert not is_dead(owner)
    process.communicate("")
    assert pid == 0
    return owner


def test_this_process_lives_and_one_that_ended_is_dead() -> None:
    assert not is_dead(this_owner())
    assert is_dead(owner_of(0))


def test_a_process_that_took_over_the_number_of_a_dead_one_is_somebody_else() -> None:
    host, pid, started = this_owner().rsplit("/", 2)
    assert is_dead(f"{host}/{pid}/{int(started) + 1}")


def test_nobody_knows_of_another_host() -> None:
    assert not is_dead(f"not-{HOST}/1/0")


def test_a_host_name_may_hold_slashes() -> None:
    assert not is_dead("a/b/c/99999999/0")


def test_no_owner_is_a_trial_given_back() -> None:
    assert is_dead("")


def test_a_process_of_another_user_lives() -> None:
    _, _, started = this_owner().rsplit("/", 2)
    assert started.isdigit()
    init_started = open("/proc/1/stat").read().rpartition(")")[2].split()[19]  # noqa: SIM115, PTH123
    assert not is_dead(f"{HOST}/1/{init_started}")
