"""The tables that benchmarks run on: a folder named by AUTOTUNE_DATA, with a manifest.json."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def folder() -> Path:
    """Return the data folder, or end with a clear line when AUTOTUNE_DATA does not name one."""
    path = Path(os.environ.get("AUTOTUNE_DATA", ""))
    if not os.environ.get("AUTOTUNE_DATA") or not (path / "manifest.json").exists():
        print("skipped: AUTOTUNE_DATA names no folder with a manifest.json")
        sys.exit(0)
    return path


def manifest() -> dict[str, dict[str, Any]]:
    """Return the tables of the folder by name: file, target, task, groups, time."""
    return json.loads((folder() / "manifest.json").read_text())
