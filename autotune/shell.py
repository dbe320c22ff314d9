"""Where the program meets the shell: lines that work when they are pasted, files to be written, stdin."""

from __future__ import annotations

import atexit
import errno
import io
import os
import shlex
import shutil
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from autotune.errors import SettingsError

P = TypeVar("P", str, str | None)

FAILED, INTERRUPTED = 1, 130
"""The exit codes of what could not be done, and of what Ctrl-C or SIGTERM has ended."""

SECONDS_TO_END = 1.5
"""How long that may take, before the process is ended whatever it does."""


def typed(name: str, *arguments: str, **options: Any) -> str:
    """Return what a person types to run a command; options without a value are left out."""
    words = [*program(), name, *arguments]
    for option, value in options.items():
        flag = option.replace("_", "-")
        for each in value if isinstance(value, tuple) else () if value is None else (value,):
            words += [f"--{'' if each else 'no-'}{flag}"] if isinstance(each, bool) else [f"--{flag}", str(each)]
    return shlex.join(words)


def program() -> list[str]:
    """Return what reaches this program from the shell: ``tune``, a path to it, or ``python -m autotune``."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "tune":
        return ["tune"] if _found("tune") == script else [_shortest(script)]
    python = Path(sys.executable)
    return ["python" if _found("python") == python else _shortest(python), "-m", "autotune"]


def _found(program: str) -> Path | None:
    """Return the file that the shell runs by this name."""
    found = shutil.which(program)
    return None if found is None else Path(found).absolute()


def _shortest(path: Path) -> str:
    """Return the path as it is typed from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def check_folder(path: str, where: str) -> None:
    """Raise a SettingsError before any work when a file could not be written after it."""
    folder = Path(path).absolute().parent
    if Path(path).is_dir():
        raise SettingsError(f"{path!r} is a folder", where, "the name of a file")
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {str(folder)!r}", where, shlex.join(["mkdir", "-p", str(folder)]))
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"the folder {str(folder)!r} cannot be written", where)


@contextmanager
def stdin_as_file(data: P) -> Iterator[P]:
    """Yield the path of the data; for ``-``, of a file that holds what stdin does."""
    if data != "-":
        yield data
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="autotune-") as folder:
        path = Path(folder) / "stdin.csv"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield str(path)


class Interrupts:
    """Ctrl-C while a search runs, for a with statement: the first one asks it to end, the second one ends it at once.

    It can be called to ask whether an end is wanted. Until it is first called, Ctrl-C does what it always does.

    Python hears of a signal between two of its own instructions, and a fit may be one of them: a process that is still
    here a while after the second Ctrl-C, or after a SIGTERM, ends without being asked.
    """

    def __init__(self) -> None:
        self._listening = self._heard = False
        self._over = threading.Event()

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._hear)
            self._signals, written = socket.socketpair()
            written.setblocking(False)
            self._written, self._written_before = written, signal.set_wakeup_fd(written.fileno())
            if hasattr(os, "register_at_fork"):  # what a trial forks hears of the same Ctrl-C
                os.register_at_fork(after_in_child=self._leave_in_child)
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self._over.set()
            signal.set_wakeup_fd(self._written_before)
            self._written.close()
            signal.signal(signal.SIGINT, self._before)

    def __call__(self) -> bool:
        """Return whether an end is wanted."""
        self._listening = True
        return self._heard

    def _hear(self, *_: object) -> None:
        if self._heard or not self._listening:
            raise KeyboardInterrupt
        self._heard = True
        with suppress(OSError):  # to the descriptor: sys.stderr may be in the middle of a line, and is not reentrant
            os.write(2, b"\nending: what runs is finished, and the report follows; Ctrl-C again to stop now\n")

    def _leave_in_child(self) -> None:
        if not self._over.is_set():
            signal.set_wakeup_fd(-1)

    def _watch(self) -> None:
        """Count the signals as they come, each a byte, and end the process where they are not followed."""
        counts: Counter[int] = Counter()
        with self._signals as signals:
            while heard := signals.recv(64):
                counts.update(heard)
                at_once = counts[signal.SIGTERM] or counts[signal.SIGINT] > 1
                if at_once and not self._over.wait(SECONDS_TO_END):
                    _end_now()


@contextmanager
def printed_whole() -> Iterator[None]:
    """Write all that a command has printed before it ends; a full disk is a line, a reader who has left is none."""
    try:
        try:
            yield
        except SystemExit:
            if sys.stdout:
                sys.stdout.flush()
            raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            place = error.filename or "stdout, or the folder of temporary files, which TMPDIR names"
            if sys.stderr:  # None where the shell has closed it
                sys.stderr.write(f"error: {error.strerror}: {place}\n")
        elif error.errno != errno.EPIPE:
            raise
        raise SystemExit(FAILED) from None


def leave(end: SystemExit) -> None:
    """End this process after what is registered for its end, but without taking apart all that was imported.

    That takes the libraries of a search half a second and more, which would come after its deadline.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if "sklearn" in sys.modules and all(thread.daemon for thread in others) and isinstance(end.code, int):
        atexit._run_exitfuncs()
        _write_what_is_open()
        with suppress(OSError, ValueError):  # closed, or full: Python itself says so, as it would have
            for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the shell has closed it
                stream.flush()
            os._exit(end.code)
    if end.code and sys.stdout:
        try:
            sys.stdout.flush()
        except OSError:  # the command has ended for that, and has said so
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise end


def _write_what_is_open() -> None:
    """Write what people's own code has left in files that it has not closed, those of C among them."""
    import ctypes  # not for each `tune --help`
    import gc

    for each in gc.get_objects():
        if issubclass(type(each), io.IOBase):
            with suppress(OSError, ValueError):  # full, or closed
                each.flush()
    with suppress(OSError, AttributeError, TypeError):  # there is no such C library
        ctypes.CDLL(None).fflush(None)


def _end_now() -> None:
    """End this process, whatever its main thread does; finished trials are in the storage, and workers end with it."""
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""
    with suppress(OSError):
        os.write(2, f"{show_cursor}\ninterrupted\n".encode())
    os._exit(INTERRUPTED)
