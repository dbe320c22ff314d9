"""Database servers of one's own, on a free port of this machine, for tests and benchmarks that need real ones."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

DRIVERS = ("psycopg2", "psycopg")


class Server(Protocol):
    """A database server, for a with statement."""

    url: str

    def __enter__(self) -> Server: ...

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None:
        """Start it, and wait until it answers."""

    def stop(self) -> None:
        """Stop it at once, if it runs: whatever is connected loses its connection."""


def why_no_postgres() -> str | None:
    """Return why no PostgreSQL can be started here; None where one can."""
    if _binaries() is None:
        return "PostgreSQL's initdb and pg_ctl are not on this machine"
    if _driver() is None:
        return "neither psycopg2 nor psycopg is installed: pip install psycopg2-binary"
    return None


def why_no_mariadb() -> str | None:
    """Return why no MariaDB can be started here; None where one can."""
    if _mariadbd() is None or shutil.which("mariadb-install-db") is None:
        return "MariaDB's mariadbd and mariadb-install-db are not on this machine"
    return None if importlib.util.find_spec("pymysql") else "pymysql is not installed: pip install pymysql"


class PostgresServer:
    """A PostgreSQL in a temporary folder, for a with statement."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autotune-postgres-"))
        self._port = free_port()
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


class MariaDBServer:
    """A MariaDB in a temporary folder, for a with statement."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autotune-mariadb-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.url = f"mysql+pymysql://tester:not-shown@127.0.0.1:{self._port}/tuning"

    def __enter__(self) -> MariaDBServer:
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, "nobody")
        install = [shutil.which("mariadb-install-db"), *self._common(), "--auth-root-authentication-method=normal"]
        subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=120)
        (self._folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS tuning;\n"
            "CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'not-shown';\n"
            "GRANT ALL ON `tuning%`.* TO tester@'127.0.0.1';\n"
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [
            *("--bind-address=127.0.0.1", f"--port={self._port}", f"--socket={self._folder}/s", "--skip-name-resolve"),
            *(f"--init-file={self._folder}/init.sql", "--innodb-flush-log-at-trx-commit=2", "--sql-mode="),
            *("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=16M", f"--pid-file={self._folder}/pid"),
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([str(_mariadbd()), *self._common(), *options], stdout=log, stderr=log)
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Stop it at once, if it runs: whatever is connected loses its connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _common(self) -> list[str]:
        user = ["--user=nobody"] if os.geteuid() == 0 else []
        return ["--no-defaults", f"--datadir={self._folder}/data", *user]

    def _wait_until_it_answers(self) -> None:
        import pymysql

        deadline = time.monotonic() + 60
        while True:
            try:
                pymysql.connect(host="127.0.0.1", port=self._port, user="tester", password="not-shown").close()
                return
            except pymysql.Error:
                assert self._process is not None and self._process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)


def free_port() -> int:
    """Return a port of this machine that nobody listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _mariadbd() -> str | None:
    return shutil.which("mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin")


def _binaries() -> Path | None:
    command = shutil.which("pg_config")
    if command is None:
        return None
    found = subprocess.run([command, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
    return Path(found) if found and (Path(found) / "initdb").exists() else None


def _driver() -> str | None:
    return next((driver for driver in DRIVERS if importlib.util.find_spec(driver)), None)
