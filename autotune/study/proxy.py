"""Studies behind Optuna's gRPC proxy."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from urllib.parse import urlsplit

import optuna
from optuna.storages import GrpcStorageProxy

from autotune.errors import MissingPackageError, SettingsError, StorageError

PORT = 13000
"""Optuna's port, where a URL names none."""

ANSWER_SECONDS = 5.0
"""How long a proxy may take to answer."""


def open_proxy(url: str) -> GrpcStorageProxy:
    """Open what a proxy server serves.

    Parameters
    ----------
    url : str
        ``grpc://host:port``.

    Raises
    ------
    MissingPackageError
        When grpcio is not installed.
    StorageError
        When no proxy answers there.
    """
    if not (find_spec("grpc") and find_spec("google.protobuf")):
        raise MissingPackageError("a gRPC proxy needs grpcio", url, 'pip install "autotune-toolkit[grpc]"')
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or PORT
    except ValueError:
        raise SettingsError(f"storage={url!r} names no host and port", "storage", f"grpc://localhost:{PORT}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = GrpcStorageProxy(host=host, port=port)
    try:
        proxy.wait_server_ready(timeout=ANSWER_SECONDS)
    except ConnectionError:
        proxy.close()
        hint = "start it with optuna.storages.run_grpc_proxy_server"
        raise StorageError(f"no gRPC proxy answers at {host}:{port}", url, hint) from None
    return proxy
