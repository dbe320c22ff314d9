"""optuna-dashboard on a storage, where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIServer

from autotune.errors import MissingPackageError, SettingsError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread: the main thread is free for Ctrl-C, which an answer would swallow."""

    daemon_threads = True


def serve_dashboard(storage: BaseStorage, host: str, port: int) -> None:
    """Serve optuna-dashboard until it is interrupted.

    Raises
    ------
    MissingPackageError
        When it is not installed.
    SettingsError
        When the address cannot be listened at.
    """
    if find_spec("optuna_dashboard") is None:
        raise MissingPackageError("optuna-dashboard is not installed", hint='pip install "autotune-toolkit[dashboard]"')
    import optuna_dashboard

    application: Any = optuna_dashboard.wsgi(storage)  # of Bottle, which has servers of its own
    try:
        application.run(host=host, port=port, server_class=_ThreadingServer)
    except OSError as error:
        hint = "another --port" if error.errno != -2 else "another --host"
        raise SettingsError(f"{host}:{port} cannot be listened at: {error.strerror}", "--host, --port", hint) from None
