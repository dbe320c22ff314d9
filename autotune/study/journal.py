"""Studies in a journal file, for file systems where SQLite cannot lock: a line is added for whatever happens.

The format is Optuna's, and so is the place of the lock. What a process that was killed, or a disk that was full, left
of a line at the end is cut off before the next line is added.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from autotune.errors import StorageError
from autotune.study.failures import telling_failures
from autotune.study.owner import is_dead, is_of_this_host, this_owner
from autotune.study.sqlite_file import check_place

SCHEME = "journal://"
SUFFIX = ".journal"

GRACE_SECONDS = 30.0
"""How long a lock may stay as it is before an owner of whom nothing is known, on another host perhaps, is taken to be
gone; it is held for milliseconds."""


def journal_path(storage: str) -> Path | None:
    """Return the file of a journal's URL or path; None for what is no journal.

    Examples
    --------
    >>> journal_path("journal:///shared/study.journal") == journal_path("/shared/study.journal")
    True
    >>> journal_path("study.db")
    """
    if storage.startswith(SCHEME):
        return Path(storage.removeprefix(SCHEME))
    return Path(storage) if storage.endswith(SUFFIX) and "://" not in storage else None


@telling_failures()
def open_journal(path: Path) -> JournalStudies:
    """Open a journal file, which is made where there is none.

    Raises
    ------
    StorageError
        When the path is no place for one, or the file is something else.
    """
    check_place(path, "journal file")
    with suppress(FileNotFoundError), path.open("rb") as file:
        first = file.readline()
        is_torn = first.startswith(b'{"op_code"') and not first.endswith(b"\n")
        if first and not is_torn and not _entry(first):
            raise StorageError("the file is no journal of studies", str(path), f"another name that ends with {SUFFIX}")
    return JournalStudies(path)


class JournalStudies(JournalStorage):
    """Studies in a journal file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.file = JournalFile(path)
        super().__init__(self.file)
        self._thread_lock: Any = threading.RLock()  # so that what is done alone may be several steps

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other thread or process write, for a with statement."""
        with self._thread_lock, self.file.held():
            yield


class JournalFile(JournalFileBackend):
    """The file, and who writes to it.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.say: Callable[[str], Any] = lambda line: None
        self._path = path
        self._alone = _Lock(path.with_name(path.name + ".lock"))
        self._opened: int | None = None
        self._sound = 0
        self._ends = [0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; what was written stands on the disk when it is released."""
        if self._opened is not None:
            yield
            return
        with self._alone:
            self._mend()
            self._opened = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            try:
                yield
            finally:
                opened, self._opened = self._opened, None
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines: all of them, or none."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self.held():
            assert self._opened is not None
            size = os.fstat(self._opened).st_size
            try:
                while text:
                    text = text[os.write(self._opened, text) :]
            except OSError as error:
                os.ftruncate(self._opened, size)
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            self._sound = os.fstat(self._opened).st_size

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield what was added after so many lines."""
        number = log_number_from
        with self._path.open("rb") as file:
            lines = _lines(file, self._ends[number], os.fstat(file.fileno()).st_size)
            for line in lines:
                entry = _entry(line)
                if entry is None and any(_entry(each) for each in lines):
                    hint = f"head -n {number} {self._path} > mended{SUFFIX}, which holds what came before it"
                    raise StorageError("a line of the journal is damaged", f"{self._path}:{number + 1}", hint)
                if entry is None:  # a torn line at the end, or one that is just being written
                    return
                number += 1
                if number == len(self._ends):
                    self._ends.append(self._ends[-1] + len(line))
                yield entry

    def _mend(self) -> None:
        """Cut off what is no whole line at the end, and keep it beside the file."""
        if self._path.stat().st_size == self._sound:
            return
        with self._path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            self._sound = _sound_size(file, size)
            if self._sound == size:
                return
            file.seek(self._sound)
            beside = _unused(self._path)
            beside.write_bytes(file.read())
            file.truncate(self._sound)
        self.say(f"{self._path.name} ended in a torn line, which was cut off and is kept in {beside.name}")


class _Lock:
    """A lock file that says who holds it, for a with statement: one whose owner is dead is taken away.

    Parameters
    ----------
    path : Path
        The lock file; Optuna's own locks of the journal respect it, and it respects them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._right = path.with_name(path.name + ".breaking")
        self._me = ""

    def __enter__(self) -> None:
        seen, since, pause = None, time.monotonic(), 0.001
        if self._path.is_dir():
            raise StorageError("a folder is in the place of the journal's lock", str(self._path), "move it away")
        while not self._take():
            state = self._look()
            if state != seen:
                seen, since = state, time.monotonic()
            elif state is not None and _is_gone(state[0], time.monotonic() - since):
                if time.monotonic() - since > 2 * GRACE_SECONDS:  # whoever was to take it away is dead too
                    self._right.unlink(missing_ok=True)
                self._break(state)
                continue
            time.sleep(pause)
            pause = min(0.05, 2 * pause)

    def __exit__(self, *_: object) -> None:
        state = self._look()
        if state is not None and state[0] == self._me:
            self._path.unlink()

    def _take(self) -> bool:
        try:
            file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        self._me = this_owner()
        try:
            os.write(file, self._me.encode())
        except OSError:
            self._path.unlink()
            raise
        finally:
            os.close(file)
        return True

    def _look(self) -> tuple[str, int, int] | None:
        """Return whose lock it is, and what tells it from another one; None where it is free."""
        try:
            status = self._path.lstat()
            owner = self._path.read_text() if stat.S_ISREG(status.st_mode) else ""  # Optuna's are links, or empty
        except OSError:
            return None
        return owner, status.st_ino, status.st_mtime_ns

    def _break(self, state: tuple[str, int, int]) -> None:
        """Take a dead owner's lock away; one process has the right to, and looks again once it has it."""
        try:
            os.close(os.open(self._right, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            time.sleep(0.01)
            return
        try:
            if self._look() == state:
                self._path.unlink()
        finally:
            self._right.unlink(missing_ok=True)


def _is_gone(owner: str, seconds: float) -> bool:
    """Return whether the owner of a lock that has stayed as it is for so long is gone."""
    known = bool(owner) and is_of_this_host(owner)
    return is_dead(owner) if known else seconds > GRACE_SECONDS


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return what a line says; None where it is no whole line of a journal."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if line.endswith(b"\n") and isinstance(entry, dict) and "op_code" in entry else None


def _lines(file: Any, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines between two positions."""
    file.seek(start)
    for line in file:
        start += len(line)
        if start > end:
            return
        yield line


def _sound_size(file: Any, size: int) -> int:
    """Return the size up to the last whole line."""
    while size:
        start = _start_of_line(file, size)
        file.seek(start)
        if _entry(file.read(size - start)):
            return size
        size = start
    return 0


def _start_of_line(file: Any, end: int, chunk: int = 1 << 16) -> int:
    """Return where the line begins that ends at a position, with or without a line break."""
    at = end - 1
    while at > 0:
        begin = max(0, at - chunk)
        file.seek(begin)
        found: int = file.read(at - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0


def _unused(path: Path) -> Path:
    """Return a name beside the file for what was cut off."""
    number = 1
    while (beside := path.with_name(f"{path.name}.torn-{number}")).exists():
        number += 1
    return beside
