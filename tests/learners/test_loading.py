"""From a text to a model, and models of files in other processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
from sklearn.svm import SVC

from autotune.errors import SettingsError
from autotune.learners.loading import load_model

FILE = """
from dataclasses import dataclass
import near_by

@dataclass
class Scale:
    factor: float = 2.0
    def __call__(self, value):
        return near_by.times(value, self.factor)

class Inner:
    deep = Scale(5.0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_model.py").write_text(FILE)
    (tmp_path / "near_by.py").write_text("def times(value, factor):\n    return value * factor\n")
    (tmp_path / "wrong.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_module_and_its_attribute() -> None:
    assert load_model("sklearn.svm:SVC", "model") is SVC


def test_a_file_may_import_its_neighbours_and_leaves_the_import_path_as_it_was(folder: Path) -> None:
    before = list(sys.path)
    assert load_model("own_model.py:Scale", "model")()(4) == 8
    assert load_model(f"{folder}/own_model.py:Inner.deep", "model")(4) == 20
    assert sys.path == before


def test_a_file_that_changed_is_read_again(folder: Path) -> None:
    load_model("own_model.py:Scale", "model")
    (folder / "own_model.py").write_text("Scale = 'another'\n")
    assert load_model("own_model.py:Scale", "model") == "another"


def test_what_comes_from_a_file_needs_no_file_elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "scale.pickle").write_bytes(cloudpickle.dumps(load_model("own_model.py:Scale", "model")(3.0)))
    code = "import pickle; print(pickle.load(open('scale.pickle', 'rb'))(4))"
    done = subprocess.run([sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True)
    assert done.stdout == "12.0\n"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("sklearn.svm", "model 'sklearn.svm' names no attribute of a module", "my_model.py:build"),
        ("sklearn.svm:SVCC", "model 'sklearn.svm:SVCC': there is no 'SVCC' in sklearn.svm", "sklearn.svm:SVC"),
        ("sklearn.svn:SVC", "cannot be imported: ModuleNotFoundError: No module named 'sklearn.svn'", None),
        ("own_model:Scale", "cannot be imported: ModuleNotFoundError", "own_model.py:… names a file"),
        ("absent.py:Scale", "there is no file 'absent.py'", None),
        ("own_model.py:Scael", "there is no 'Scael' in own_model.py", "own_model.py:Scale"),
        ("wrong.py:Scale", "No module named 'nothing_of_that_name' (wrong.py:1)", None),
    ],
)
def test_what_cannot_be_loaded_is_said(folder: Path, text: str, problem: str, hint: str | None) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)) as caught:
        load_model(text, "my.toml:3:1 svc.model")
    assert caught.value.where == "my.toml:3:1 svc.model"
    assert (hint or "") in (caught.value.hint or "")


def test_an_objective_is_called_one() -> None:
    with pytest.raises(SettingsError, match="objective 'work' names no attribute of a module") as caught:
        load_model("work", "OBJECTIVE", "objective")
    assert "my_work.py:objective" in (caught.value.hint or "")
