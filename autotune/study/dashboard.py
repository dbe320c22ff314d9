"""optuna-dashboard on a storage, where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from autotune.errors import MissingPackageError, SettingsError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


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

    try:
        optuna_dashboard.run_server(storage, host=host, port=port)
    except OSError as error:
        hint = "another --port" if error.errno != -2 else "another --host"
        raise SettingsError(f"{host}:{port} cannot be listened at: {error.strerror}", "--host, --port", hint) from None
