"""Studies behind Optuna's gRPC proxy: a real one, in a process of its own in front of a SQLite file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from servers import free_port

import autotune
from autotune.errors import MissingPackageError, SettingsError, StorageError
from autotune.study.storage import open_storage, study_names

needs_grpc = pytest.mark.skipif(
    find_spec("grpc") is None, reason="grpcio is not installed: pip install grpcio protobuf"
)

PROXY = """
import sys, optuna
storage = optuna.storages.get_storage("sqlite:///" + sys.argv[1])
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", PROXY, str(tmp_path / "s.db"), str(port)]) as process:
        yield f"grpc://127.0.0.1:{port}"
        process.kill()


def search(storage: str | None, n_trials: int, **words: Any) -> autotune.Optimization:
    words = {"storage": storage, "study_name": "s", "random_state": 0, **words}
    return autotune.optimize(objective, {"x": autotune.Float(0, 1)}, n_trials=n_trials, **words)


def objective(params: dict[str, Any]) -> Iterator[float]:
    yield params["x"] + 1
    yield params["x"]


@needs_grpc
def test_a_study_behind_a_proxy(proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.study.proxy.ANSWER_SECONDS", 60.0)  # it is just being started
    first = search(proxy, 3)
    second = search(proxy, 6, n_jobs=2)
    assert second.records[:3] == first.records and len(second.records) == 6
    assert study_names(open_storage(tmp_path / "s.db")) == ["s"]
    alone = search(None, 3)
    assert [record.config for record in alone.records] == [record.config for record in first.records]


@needs_grpc
def test_a_proxy_that_goes_away_ends_the_run_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.study.proxy.ANSWER_SECONDS", 60.0)
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", PROXY, str(tmp_path / "s.db"), str(port)]) as process:

        def kills(params: dict[str, Any]) -> float:
            process.kill()
            process.wait()
            return float(params["x"])

        with pytest.raises(StorageError, match="the storage cannot be used any more"):
            autotune.optimize(kills, {"x": autotune.Float(0, 1)}, n_trials=3, storage=f"grpc://127.0.0.1:{port}")


@needs_grpc
def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.study.proxy.ANSWER_SECONDS", 0.5)
    url = f"grpc://127.0.0.1:{free_port()}"
    with pytest.raises(StorageError, match=r"no gRPC proxy answers at 127\.0\.0\.1:") as caught:
        search(url, 1)
    assert caught.value.where == url


@needs_grpc
def test_a_port_that_is_none_is_named() -> None:
    with pytest.raises(SettingsError, match="names no host and port"):
        open_storage("grpc://localhost:many")


def test_without_grpcio_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.study.proxy.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="a gRPC proxy needs grpcio") as caught:
        open_storage("grpc://localhost:13000")
    assert caught.value.hint == 'pip install "autotune-toolkit[grpc]"'
