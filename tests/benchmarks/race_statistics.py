"""What pairs of runs say: ratios of CPU seconds and differences of losses, with one-sided 95 % bounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from race_cases import Case

WITHIN = 0.005
"""How much worse than the opponent's final winner counts as the same result."""

CHECKPOINTS = [0.01 * 1.1**number for number in range(160)]
"""CPU seconds at which the leading trial is looked at."""


def summary(case: Case, discipline: str, opponent: str, pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what stands in a row of the table, and a line that says it."""
    both = [(pair["autotune"], pair[opponent]) for pair in pairs]
    found: dict[str, Any] = {
        "seeds": len(pairs),
        "autotune_cpu": statistics.median(ours["cpu"] for ours, _ in both),
        "opponent_cpu": statistics.median(theirs["cpu"] for _, theirs in both),
        "total": speed_up([theirs["cpu"] / ours["cpu"] for ours, theirs in both]),
        "wall": speed_up([theirs["wall"] / ours["wall"] for ours, theirs in both]),
        "cv": [statistics.mean(each["cv"] for each in side) for side in zip(*both, strict=True)],
        "held_out": [statistics.mean(each["held_out"] for each in side) for side in zip(*both, strict=True)],
        "held_out_worse": bounded([ours["held_out"] / theirs["held_out"] - 1 for ours, theirs in both]),
    }
    found |= same_work(case, both) if discipline == "work" else same_result(both)
    return found


def same_work(case: Case, both: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Compare the scores of the configurations that both trained to the same length."""
    pairs = [
        (a, b)
        for ours, theirs in both
        for a, b, same in zip(ours["scores"], theirs["scores"], ours["at_horizon"], strict=True)
        if same
    ]
    apart = [abs(a / b - 1) for a, b in pairs]
    n_all = sum(len(ours["scores"]) for ours, _ in both)
    whole = all(ours["whole"] for ours, _ in both)
    larger = statistics.mean(a for a, _ in pairs) / statistics.mean(b for _, b in pairs) - 1 if pairs else 0.0
    differ = not pairs or abs(larger) > case.tolerance or not whole
    text = f"autotune's mean CV loss of {len(pairs)} of {n_all} trials is {larger:+.1e} beside the script's "
    text += f"(within {case.tolerance:.0e})"
    text += "" if whole else "; autotune may have ended trials early"
    return {
        "apart": {"mean": larger, "largest": max(apart, default=0.0), "compared": len(pairs), "of": n_all},
        "differ": differ,
        "speed_up": speed_up([theirs["cpu"] / ours["cpu"] for ours, theirs in both]),
        "note": text,
        "line": f"{'SCORES DIFFER: ' if differ else ''}{text}",
    }


def same_result(both: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Compare the CPU at which each is first as good as the opponent's final winner; never is a ratio of 0."""
    reached, ratios, of_total = [], [], []
    for ours, theirs in both:
        enough = theirs["held_out"] * (1 + WITHIN)
        own, other = first_within(ours, enough), first_within(theirs, enough)
        reached.append(own is not None)
        ratios.append((other or theirs["cpu"]) / own if own else 0.0)
        of_total.append(theirs["cpu"] / own if own else 0.0)
    n_censored = reached.count(False)
    text = f"{n_censored} of {len(both)} runs of autotune never got there and count as ×0"
    return {
        "censored": n_censored,
        "speed_up": speed_up(ratios),
        "of_total": speed_up(of_total),
        "checkpoints": at_checkpoints(both),
        "note": text if n_censored else "",
        "line": f"{show(speed_up(ratios))}; {text}",
    }


def as_good_after(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Say after how many CPU seconds each of a pair was as good as the opponent's final winner."""
    enough = theirs["held_out"] * (1 + WITHIN)
    own, other = (first_within(run, enough) for run in (ours, theirs))
    return f", as good after {'never' if own is None else f'{own:.2f}'} against {other or theirs['cpu']:.2f} s"


def first_within(run: dict[str, Any], enough: float) -> float | None:
    """Return the first checkpoint at which the leader's held-out loss is small enough."""
    for checkpoint in CHECKPOINTS:
        leader = leader_at(run, checkpoint)
        if leader is not None and leader["held_out"] <= enough:
            return checkpoint
        if checkpoint > run["cpu"]:
            return None
    return None


def leader_at(run: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Return the trial that led after so many CPU seconds."""
    return next((leader for leader in reversed(run["leaders"]) if leader["cpu"] <= seconds), None)


def at_checkpoints(both: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return, at shares of the opponent's whole CPU, how much worse autotune's leader is than its final winner."""
    found = []
    for parts in (64, 48, 32, 24, 16, 12, 8, 6, 5, 4, 3, 2, 1):
        leaders = [(leader_at(ours, theirs["cpu"] / parts), theirs) for ours, theirs in both]
        worse = [leader["held_out"] / theirs["held_out"] - 1 for leader, theirs in leaders if leader is not None]
        if len(worse) == len(both):
            found.append({"share": f"1/{parts}", "worse": bounded(worse)})
    return found


def speed_up(ratios: Sequence[float]) -> dict[str, Any]:
    """Return the median ratio, and what it is at least: the lower 95 % bound of the mean of its logarithm."""
    median = statistics.median(ratios)
    if not all(ratios):
        return {"median": median, "at_least": 0.0, "all": list(ratios)}
    logs = bounded([-math.log(ratio) for ratio in ratios])
    return {"median": median, "at_least": math.exp(-logs["at_most"]), "all": list(ratios)}


def bounded(values: Sequence[float]) -> dict[str, float]:
    """Return the mean with its upper 95 % bound by Student's t."""
    from scipy import stats

    mean = statistics.mean(values)
    if len(values) < 2:
        return {"mean": mean, "at_most": math.inf}
    error = statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "at_most": mean + float(stats.t.ppf(0.95, len(values) - 1)) * error}


def show(found: dict[str, Any]) -> str:
    """Return a ratio as people read it."""
    return f"×{found['median']:.2f} (≥ {found['at_least']:.2f})"
