"""The wheel holds everything, and works from another folder without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPACES = sorted(path.stem for path in (ROOT / "search_spaces").glob("*.toml"))


def run(*words, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build from a copy, so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("autotune", "search_spaces"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    words = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--target", str(folder))
    run("-m", "pip", "install", "--quiet", *words, str(wheel), cwd=folder)
    return folder


def test_the_wheel_holds_every_file_of_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "autotune").rglob("*.py")}
    spaces = {f"autotune/search_spaces/{name}.toml" for name in SPACES}
    assert SPACES
    assert {*modules, *spaces, "autotune/py.typed"} - names == set()


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert [top for top in tops if top != "autotune" and not top.endswith(".dist-info")] == []


def test_the_installed_package_finds_its_spaces(installed, tmp_path):
    script = (
        "import json, autotune, autotune.search_spaces\n"
        "from importlib.resources import files\n"
        "from autotune.spaces.catalog import find_space\n"
        "from autotune.spaces.files import built_in_names, built_in_path\n"
        "print(json.dumps({'at': autotune.__file__, 'file': str(built_in_path('lightgbm')),\n"
        "    'names': built_in_names(), 'learners': list(find_space('lightgbm').learners),\n"
        "    'typed': (files('autotune') / 'py.typed').is_file()}))"
    )
    found = json.loads(run("-c", script, cwd=tmp_path, PYTHONPATH=str(installed)))
    assert Path(found["at"]) == installed / "autotune" / "__init__.py"
    assert Path(found["file"]) == installed / "autotune" / "search_spaces" / "lightgbm.toml"
    assert found["names"] == SPACES
    assert found["learners"] == ["lightgbm"]
    assert found["typed"]


def test_the_installed_command_starts(installed, tmp_path):
    said = run("-m", "autotune", "--help", cwd=tmp_path, PYTHONPATH=str(installed))
    assert said.startswith("Usage:")
    assert (installed / "bin" / "tune").is_file()
