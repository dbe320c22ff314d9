"""Database servers of one's own, on a free port of this machine, for tests and benchmarks that need real ones."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

DRIVERS = ("psycopg2", "psycopg")


def why_no_postgres() -> str | None:
    """Return why no PostgreSQL can be started here; None where one can."""
    if _binaries() is None:
        return "PostgreSQL's initdb and pg_ctl are not on this machine"
    if _driver() is None:
        return "neither psycopg2 nor psycopg is installed: pip install psycopg2-binary"
    return None


class PostgresServer:
    """A PostgreSQL in a temporary folder, for a with statement."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autotune-postgres-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"postgresql+{_driver()}://tester:not-shown@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> PostgresServer:
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, "nobody")
        self._control("initdb", "-A", "trust", "-U", "tester", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("pg_ctl", "-w", "-o", options, "-l", str(self._folder / "server.log"), "start")

    def stop(self) -> None:
        """Stop it at once, if it runs: whatever is connected loses its connection."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._control("pg_ctl", "-w", "-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        binaries = _binaries()
        assert binaries is not None, why_no_postgres()
        root = os.geteuid() == 0
        as_user: dict[str, Any] = {"user": "nobody", "env": {**os.environ, "HOME": str(self._folder)}} if root else {}
        subprocess.run(
            [str(binaries / arguments[0]), "-D", str(self._folder / "data"), *arguments[1:]],
            **as_user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )


def _binaries() -> Path | None:
    command = shutil.which("pg_config")
    if command is None:
        return None
    found = subprocess.run([command, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
    return Path(found) if found and (Path(found) / "initdb").exists() else None


def _driver() -> str | None:
    return next((driver for driver in DRIVERS if importlib.util.find_spec(driver)), None)
