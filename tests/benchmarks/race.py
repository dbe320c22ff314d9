"""The race: autotune beside what people write, on the same space, folds and seeds: CPU seconds, held-out losses.

python tests/benchmarks/race.py [--cases mlp-64 lightgbm-569] [--discipline work result] [--cores 1 2] [--seeds 5]

Opponents: Optuna's TPE around `cross_val_score`, or around a DataLoader loop a fold for networks; OptunaSearchCV;
HalvingRandomSearchCV. Each run has a fresh process of its own; who goes first alternates. CPU seconds are those of the
process and all its children, from after the imports of the contender's own process until its winner is trained on all
search rows; imports stand beside them in the JSON, and what worker processes import counts. OMP_NUM_THREADS is 1.

work    The same configurations on the same folds by both, nothing pruned and nothing ended early. Mean CV scores of
        configurations that both trained to the same length agree within the case's tolerance, or the row says so and
        the exit code is 1.
result  autotune as it is by default (one learner: no ensemble), beside the script with TPE. At checkpoints of CPU time,
        each a tenth after the one before, the trial that leads by its CV score is looked at: is its model, trained on
        all search rows, within .5 % of the held-out loss of the opponent's final winner? What is compared is the first
        checkpoint where it is; a run of autotune that never gets there counts as ×0. autotune begins with the space's
        default and starts, as it does by itself; the opponent has the same ranges, and draws rounds or epochs too.

Cases that need a table of a folder are left out where AUTOTUNE_DATA names none. Files: race.json and race.md, after
each case. The default race takes some two CPU hours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import machine
from race_cases import CASES, TARGET, Case, ranges_of, space_of
from race_tables import lines
from results import write

SEEDS = {"work": 5, "result": 10}
QUICK = ("mlp-64", "lightgbm-569")


def main() -> int:
    """Run what was asked for; return 1 where scores differ that should not."""
    arguments = parse()
    rows: list[dict[str, Any]] = []
    facts = machine() | {"command": " ".join(["python", *sys.argv])}
    for discipline in arguments.discipline:
        for name in chosen(arguments, discipline):
            for opponent in CASES[name].opponents:
                for cores in arguments.cores:
                    rows.append(row_of(name, discipline, opponent, cores, arguments))
                    write(arguments.output, "race", facts, rows, lines(rows))
    return int(any(row.get("differ") for row in rows))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--discipline", nargs="+", choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--cores", nargs="+", type=int, default=[1])
    parser.add_argument("--seeds", type=int, help="how many [default: 5 for work, 10 for result]")
    parser.add_argument("--quick", action="store_true", help="two small cases, two seeds")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"))
    return parser.parse_args()


def chosen(arguments: argparse.Namespace, discipline: str) -> list[str]:
    """Return the cases that run in a discipline."""
    named = arguments.cases or (QUICK if arguments.quick else CASES)
    lengths = {name: CASES[name].lengths[discipline] for name in named if discipline in CASES[name].lengths}
    return [name for name in lengths if (arguments.cases or lengths[name].by_default) and has_table(name)]


def has_table(name: str) -> bool:
    """Return whether a case's table is there; say so where it is not."""
    is_there = not CASES[name].needs_folder or bool(os.environ.get("AUTOTUNE_DATA"))
    if not is_there:
        print(f"{name} is left out: AUTOTUNE_DATA names no folder with a manifest.json")
    return is_there


def row_of(name: str, discipline: str, opponent: str, cores: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all pairs of a row of the table."""
    from race_statistics import as_good_after, summary

    n_seeds = arguments.seeds or (2 if arguments.quick else SEEDS[discipline])
    pairs = []
    for seed in range(n_seeds):
        pair = run_pair(name, discipline, opponent, cores, seed)
        pairs.append(pair)
        ours, theirs = pair["autotune"], pair[opponent]
        print(
            f"{name} {discipline} {opponent} {cores} core{'s' * (cores > 1)} seed {seed}: "
            f"CPU {ours['cpu']:.2f} against {theirs['cpu']:.2f} s, cv {ours['cv']:.5f} against {theirs['cv']:.5f}, "
            f"held out {ours['held_out']:.5f} against {theirs['held_out']:.5f}"
            + (as_good_after(ours, theirs) if discipline == "result" else ""),
            flush=True,
        )
    facts = {"case": name, "discipline": discipline, "opponent": opponent, "cores": cores, "pairs": pairs}
    row = facts | summary(CASES[name], discipline, opponent, pairs)
    print("   ", row["line"], flush=True)
    return row


def run_pair(name: str, discipline: str, opponent: str, cores: int, seed: int) -> dict[str, Any]:
    """Run both on the table that a seed cuts; who is first alternates with the seed."""
    case = CASES[name]
    space = space_of(case, discipline, seed)
    order = ("autotune", opponent) if seed % 2 == 0 else (opponent, "autotune")
    length = case.lengths[discipline]
    with tempfile.TemporaryDirectory(prefix="autotune-race-") as folder:
        job = {
            "case": name,
            "discipline": discipline,
            "learner": case.learner,
            "kind": case.kind,
            "metric": "rmse" if case.kind == "regression" else "log_loss",
            "n_trials": length.n_trials,
            "horizon": length.horizon,
            "ranges": ranges_of(case, space, discipline),
            "configurations": [dict(each.params) for each in space.first_configurations()] * (discipline == "work"),
            "cores": cores,
            "seed": seed,
            **cut(case, seed, Path(folder)),
        }
        return {"seed": seed} | {contender: run(job | {"contender": contender}, folder) for contender in order}


def cut(case: Case, seed: int, folder: Path) -> dict[str, str]:
    """Write the search rows and the held-out rows of a seed; return their paths."""
    from sklearn.model_selection import train_test_split

    frame = case.table()
    by = None if case.kind == "regression" else frame[TARGET]
    search, held_out = train_test_split(frame, train_size=case.n_search, random_state=seed, stratify=by)
    paths = {"search": str(folder / "search.parquet"), "held_out": str(folder / "held-out.parquet")}
    search.reset_index(drop=True).to_parquet(paths["search"])
    held_out.reset_index(drop=True).to_parquet(paths["held_out"])
    return paths


def run(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """Run one contender in a fresh process."""
    path = Path(folder) / "job.json"
    path.write_text(json.dumps(job))
    program = Path(__file__).with_name("race_contenders.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": str(job["cores"])}
    done = subprocess.run(
        [sys.executable, program, path], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
