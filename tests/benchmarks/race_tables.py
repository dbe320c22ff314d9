"""The race's tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from race_statistics import show
from results import table

HEADS = {
    "work": ("case", "cores", "seeds", "CPU s", "opponent's", "speed-up", "wall", "CV loss beside it"),
    "result": (
        "case", "against", "cores", "seeds", "CPU s", "opponent's", "same result after", "beside its whole CPU",
        "whole CPU", "CV loss", "held-out loss", "worse by at most",
    ),
}  # fmt: skip


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table for each discipline, and notes."""
    found: list[str] = []
    for discipline, title in {"work": "Same work", "result": "Same result"}.items():
        chosen = [row for row in rows if row["discipline"] == discipline]
        if chosen:
            found += [f"## {title}", "", *table(HEADS[discipline], [cells(row) for row in chosen]), ""]
    found += [f"- {row['case']}, {row['opponent']}: {row['note']}" for row in rows if row["note"]]
    return [*found, "", "×2 (≥ 1.8): the median of paired ratios, and the lower 95 % bound of their geometric mean."]


def cells(row: dict[str, Any]) -> list[str]:
    """Return one row of a table."""
    cpu = [f"{row['autotune_cpu']:.2f}", f"{row['opponent_cpu']:.2f}"]
    if row["discipline"] == "work":
        apart = row["apart"]
        scores = f"{'DIFFER: ' if row['differ'] else ''}{apart['mean']:+.1e} ({apart['compared']} of {apart['of']})"
        return [row["case"], str(row["cores"]), str(row["seeds"]), *cpu, show(row["total"]), show(row["wall"]), scores]
    censored = f", {row['censored']} never" if row["censored"] else ""
    return [
        row["case"], row["opponent"], str(row["cores"]), str(row["seeds"]), *cpu, show(row["speed_up"]) + censored,
        show(row["of_total"]), show(row["total"]), " / ".join(f"{loss:.4f}" for loss in row["cv"]),
        " / ".join(f"{loss:.4f}" for loss in row["held_out"]), f"{row['held_out_worse']['at_most']:+.2%}",
    ]  # fmt: skip
