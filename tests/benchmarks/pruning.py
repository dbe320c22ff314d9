"""What a pruner saves and what it costs: recorded learning curves, replayed through the rungs of a study.

AUTOTUNE_DATA=folder python tests/benchmarks/pruning.py [--learner lightgbm] [--tables wine_quality …] [--trials 20]

First each table's configurations (the default, the space's starts, and random ones) are trained to the end, one by one,
and their scores at all rungs are written to the folder of --output; curves that are there already are used again. Then
studies of that many trials are replayed: default and starts first, and then the random ones in an order of each replay.
Shares are of what the same trials cost unpruned; regret is how much worse the best score is than the best of all that
were in the replay; reached says in which part of the replays that is within .5 %. With --costs the replays go on until
they have cost as much as that many average configurations, the default first and all others in any order, and regret is
beside the best of all. Some 25 CPU minutes, most for curves.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import machine
from results import table, write
from tables import folder, manifest

from autotune.curve import Progress
from autotune.data.tables import read_table
from autotune.evaluation import judge, make_cohort
from autotune.plan import make_plan
from autotune.settings import make_settings
from autotune.spaces.catalog import find_space
from autotune.spaces.draws import draw
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord
from autotune.study.rungs import Rungs
from autotune.study.strategies import PRUNERS, Pruner, find_pruner, halving, trial_seed

TABLES = ("abalone", "concrete", "credit_g", "segment", "spambase", "telco_churn", "wine_quality")
WITHIN = 0.005
RULES: dict[str, Pruner] = {
    **{name: PRUNERS[name] for name in ("none", "halving", "median")},
    **{
        f"best 1 in {factor} of {peers} and more": halving(factor, peers)
        for factor in (2, 3, 4)
        for peers in (2, 4, 6, 8)
    },
}


def main() -> None:
    """Record what is missing, replay all rules, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learner", default="lightgbm", help="a learner with a learning curve")
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--configurations", type=int, default=30, help="how many are recorded a table")
    parser.add_argument("--trials", type=int, nargs="+", default=[12, 20, 30], help="of a replayed study")
    parser.add_argument("--costs", type=float, nargs="*", default=[], help="compare at equal cost instead")
    parser.add_argument("--replays", type=int, default=20, help="of each study")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    arguments = parser.parse_args()
    facts = machine() | {"command": " ".join(["python", *sys.argv])}
    curves = {name: recorded(name, arguments) for name in arguments.tables}
    found = at_equal_cost(curves, arguments) if arguments.costs else at_equal_trials(curves, arguments)
    head = (found[0]["of"], "rule", "share of the cost", "regret", "reached")
    body = [
        (f"{row['size']:g}", row["rule"], f"{row['cost']:.2f}", f"{row['regret']:.2%}", f"{row['reached']:.0%}")
        for row in found
    ]
    lines = table(head, body)
    print("\n".join(lines))
    write(arguments.output, f"pruning-{arguments.learner}", facts, found, lines)


@dataclass(frozen=True)
class Curve:
    """A configuration trained to the end; scores are losses, or negative scores."""

    first: bool
    score: float
    worth: float
    cost: float
    rungs: list[tuple[int, float, float, float]]
    first_rung: float


def recorded(name: str, arguments: argparse.Namespace) -> list[Curve]:
    """Return the curves of a table, from their file where there is one."""
    path = arguments.output / f"curves-{arguments.learner}-{name}-{arguments.configurations}.json"
    if not path.exists():
        curves = [vars(curve) for curve in record(name, arguments.learner, arguments.configurations)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(curves))
    return [Curve(**curve) for curve in json.loads(path.read_text())]


def record(name: str, learner: str, n_configurations: int) -> Iterator[Curve]:
    """Train configurations of a table to the end."""
    facts, space, draws = manifest()[name], find_space(learner), random.Random(0)
    settings = make_settings("call", space=space, test_size=0, n_jobs=1, random_state=0, cv=5)
    plan = make_plan(settings, read_table(folder() / facts["file"], target=facts["target"]), started=time.time())
    cohort, sign = make_cohort(plan.search, plan.folds, plan.metric), -1.0 if plan.metric.maximize else 1.0
    first = space.first_configurations()
    configs = [*first, *(draw(space, draws) for _ in range(n_configurations - len(first)))]
    for number, config in enumerate(configs):
        began, rungs, first_rung = time.process_time(), [], 0.0
        judging = judge(config, cohort, seed=trial_seed(0, number, "model"), resources=plan.resources)
        try:
            progress = next(judging)
            while True:
                first_rung = progress.first_rung
                rungs.append((progress.rung, progress.worth, sign * progress.score, time.process_time() - began))
                progress = judging.send(True)
        except StopIteration as finished:
            evaluation = finished.value
        cost = time.process_time() - began
        yield Curve(number < len(first), sign * evaluation.score, evaluation.worth, cost, rungs, first_rung)
        print(f"{name} {number}: {evaluation.score:.5g} after {cost:.1f} s", flush=True)


def at_equal_trials(curves: dict[str, list[Curve]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each number of trials and each rule: default and starts first, then the random ones."""
    return [
        {"of": "trials", "size": size, "rule": rule}
        | measured(curves, arguments.replays, lambda trials, rule=rule, size=size: outcome(trials[:size], rule))
        for size in arguments.trials
        for rule in RULES
    ]


def at_equal_cost(curves: dict[str, list[Curve]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each cost and each rule; a replay that runs out of configurations has cost less."""
    return [
        {"of": "cost", "size": size, "rule": rule}
        | measured(
            curves,
            arguments.replays,
            lambda trials, rule=rule, size=size: outcome(trials, rule, size),
            in_any_order=True,
        )
        for size in arguments.costs
        for rule in RULES
    ]


def outcome(trials: Sequence[Curve], rule: str, most: float = math.inf) -> tuple[float, float]:
    """Return the share of the whole cost, and how much worse the best is than the best of all."""
    average = statistics.mean(curve.cost for curve in trials)
    cost, best = replayed(trials, find_pruner(RULES[rule]), most * average)
    least = min(curve.score for curve in trials)
    return cost / (average * len(trials)), (best - least) / abs(least)


def measured(
    curves: dict[str, list[Curve]],
    n_replays: int,
    replay: Callable[[Sequence[Curve]], tuple[float, float]],
    *,
    in_any_order: bool = False,
) -> dict[str, Any]:
    """Return the means over tables and replays."""
    found = []
    for of_table in curves.values():
        for number in range(n_replays):
            n_first = 1 if in_any_order else sum(curve.first for curve in of_table)
            rest = of_table[n_first:]
            random.Random(number).shuffle(rest)
            cost, regret = replay([*of_table[:n_first], *rest])
            found.append((cost, min(regret, 1.0), regret <= WITHIN))
    cost, regret, reached = (statistics.mean(values) for values in zip(*found, strict=True))
    return {"cost": cost, "regret": regret, "reached": reached}


def replayed(trials: Sequence[Curve], pruner: Pruner, most: float) -> tuple[float, float]:
    """Return the seconds of a study, which are no more than some, and its best loss."""
    rungs, cost, best = Rungs(pruner, maximize=False), 0.0, math.inf
    for number, curve in enumerate(trials):
        seen: dict[int, float] = {}
        for rung, worth, score, seconds in curve.rungs:
            seen[rung] = score
            go_on = rungs.may_go_on("learner", number, Progress(rung, worth, score), curve.first_rung)
            rungs.reached("learner", number, rung, score)
            if not go_on:
                cost += seconds
                rungs.finished(TrialRecord(number, "pruned", Config("learner", {}), score, rungs=seen))
                break
        else:
            if cost + curve.cost > most:
                return most, best
            cost, best = cost + curve.cost, min(best, curve.score)
            whole = TrialRecord(number, "complete", Config("learner", {}), curve.score, worth=curve.worth, rungs=seen)
            rungs.finished(whole)
    return cost, best


if __name__ == "__main__":
    main()
