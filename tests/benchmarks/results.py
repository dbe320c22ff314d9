"""Results as files: JSON with all that was measured, and tables in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write(folder: Path, stem: str, facts: dict[str, Any], rows: Sequence[dict[str, Any]], lines: Sequence[str]) -> None:
    """Write a JSON file and a Markdown file.

    Parameters
    ----------
    folder : Path
        Where; it is made.
    stem : str
        What both are called.
    facts : dict
        The machine and the command.
    rows : sequence of dict
        What was measured.
    lines : sequence of str
        Tables and notes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.json").write_text(json.dumps({"machine": facts, "rows": rows}, indent=1))
    (folder / f"{stem}.md").write_text("\n".join([f"`{facts['command']}`", "", described(facts), "", *lines]) + "\n")


def described(facts: dict[str, Any]) -> str:
    """Return the machine in a sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    size = f"{facts['cores']} cores, {facts['memory_gb']} GB, load {facts['load_before']} before"
    return f"{facts['processor']}, {size}, {facts['system']}, Python {facts['python']}; {versions}."


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]
