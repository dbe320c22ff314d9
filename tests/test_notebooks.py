from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")  # of the notebook machinery, not of ours: cells run in a process of their own
def test_a_notebook_runs_to_its_assertions(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert "assert" in notebook.cells[-1].source
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
