"""What a declared space costs the sampler: regret on the LCBench surrogate, beside plain Optuna on the flat space.

AUTOTUNE_DATA=folder python tests/benchmarks/lcbench.py [--seeds 20] [--trials 50] [--score NAME] [--all] [--gp]
    [--only WORD] [--per-task]

The folder's lcbench/model.onnx (YAHPO Gym's surrogate of LCBench) predicts what an MLP reaches on an OpenML task: no
training, so that thousands of studies take minutes. The score is the validation cross-entropy after 52 epochs, or the
balanced accuracy, on the development tasks. Regret is (best of 50,000 random - best found) / (best of 50,000 random -
median of random), the same random configurations of the flat space for all; it is negative beyond the best of them.

Three spaces lead to the surrogate's seven inputs:

- *flat*: the seven, as the surrogate's authors declared them.
- *declared*: batch_size is a power of two (those between are not reached); max_dropout exists only where use_dropout is
  true, and is 0, the bound of its range, elsewhere; weight_decay has the special value 0 beside its range, which stands
  for 1e-5, the bound of its range. This draws from another prior: half of the random configurations have no dropout,
  and half have no weight decay. Where that suits the tasks, the regret says so, and not how conditions are handled.
- *split*: batch_size as above; max_units comes from max_units (256 to 1024) or narrow_units (64 to 255), as width
  says; max_dropout comes from max_dropout (.5 to 1) or light_dropout (0 to .5), as dropout says. Its prior is that of
  the flat space, so that a difference is what conditions and powers of two cost.

autotune tries the default configuration (the middle of each range, batch_size 64) before its sampler is asked; so do
the plain contenders that say "default first". The others begin with Optuna's own ten random trials. One contender tries
starts after the default, as autotune's own spaces have them: configurations that complement each other on the other
tasks, see `starts_for`; nothing of the task itself is in them. Some 15 minutes of CPU time as it is, twice that with
--all. Needs onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from autotune.curve import Evaluation
from autotune.spaces.params import Bool, Choice, Float, Int, Parameter
from autotune.spaces.space import Config, Space
from autotune.study.opening import open_study
from autotune.study.storage import open_storage
from autotune.study.strategies import PRUNERS, find_sampler

TASKS = (
    *("3945", "34539", "126026", "146212", "167149", "167161", "167181", "167185", "167200"),
    *("168329", "168331", "168868", "168910", "189862", "189866", "189905", "189908"),
)
"""The development tasks; the others stay unseen."""

INPUTS = ("epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
SCORES = {"val_cross_entropy": (2, -1.0), "val_balanced_accuracy": (3, 1.0)}
"""The place of each score among the surrogate's answers, and its sign: larger is better from there on."""

EPOCHS = 52
LEAST_WEIGHT_DECAY = 1e-5

TOLERANCE = 0.01
"""How much larger the mean regret may be than plain Optuna's."""

REPORTED = (25, 50)
"""Trials after which the regret is shown, beside the last."""

N_STARTS = 8
N_CANDIDATES = 2_000
"""Starts, learned on the other tasks, and random configurations that they are chosen from."""

Values = Mapping[str, Any]
Objective = Callable[[Values], float]

FLAT: dict[str, Parameter] = {
    "batch_size": Int(16, 512, log=True, default=64),  # the default that a power of two can have
    "learning_rate": Float(1e-4, 0.1, log=True),
    "momentum": Float(0.1, 0.99),
    "weight_decay": Float(LEAST_WEIGHT_DECAY, 0.1),
    "num_layers": Int(1, 5),
    "max_units": Int(64, 1024, log=True),
    "max_dropout": Float(0.0, 1.0),
}
DEFAULT = {name: parameter.default for name, parameter in FLAT.items()}
DECLARED_DEFAULT = {**DEFAULT, "batch_size_exponent": 6, "use_weight_decay": True, "use_dropout": True}
POW2: dict[str, Parameter] = {"batch_size": Int(16, 512, scale="pow2")}
CONDITIONS: dict[str, Parameter] = {
    "use_dropout": Bool(default=True),
    "max_dropout": Float(0.0, 1.0, when={"use_dropout": True}),
    "weight_decay": Float(LEAST_WEIGHT_DECAY, 0.1, special=[0.0]),
}
SPLITS: dict[str, Parameter] = {
    "width": Choice(["narrow", "wide"], default="wide"),
    "max_units": Int(256, 1024, log=True, default=256, when={"width": "wide"}),
    "narrow_units": Int(64, 255, log=True, when={"width": "narrow"}),
    "dropout": Choice(["light", "heavy"], default="heavy"),
    "max_dropout": Float(0.5, 1.0, default=0.5, when={"dropout": "heavy"}),
    "light_dropout": Float(0.0, 0.5, when={"dropout": "light"}),
}


class Surrogate:
    """The network that predicts what an MLP reaches."""

    def __init__(self, folder: Path, score: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._model = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        self._column, self._sign = SCORES[score]
        self._places = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]

    def scores(self, task: str, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the scores of configurations, n × 8 in the order of `INPUTS`; larger is better."""
        places = np.full((len(rows), 1), self._places[task], dtype=np.int32)
        (answers,) = self._model.run(None, {"x_cat": places, "x_cont": rows.astype(np.float32)})
        return self._sign * answers[:, self._column]

    def judge(self, task: str, values: Values) -> float:
        """Return the score of one configuration of any of the spaces."""
        inputs = {"epoch": EPOCHS, **values}
        inputs["weight_decay"] = max(LEAST_WEIGHT_DECAY, inputs["weight_decay"])
        inputs.setdefault("max_units", inputs.get("narrow_units"))
        inputs.setdefault("max_dropout", inputs.get("light_dropout", 0.0))
        return float(self.scores(task, np.array([[inputs[name] for name in INPUTS]]))[0])


def random_rows(n: int, seed: int) -> NDArray[Any]:
    """Return random configurations of the flat space, n × 8, drawn by `numpy` alone."""
    random = np.random.default_rng(seed)

    def column(name: str) -> NDArray[Any]:
        parameter = FLAT[name]
        assert isinstance(parameter, (Float, Int))
        beyond = 0.5 if isinstance(parameter, Int) else 0.0  # so that the bounds are drawn as often as the others
        low, high = parameter.low - beyond, parameter.high + beyond
        drawn = np.exp(random.uniform(np.log(low), np.log(high), n)) if parameter.log else random.uniform(low, high, n)
        return np.clip(np.rint(drawn), parameter.low, parameter.high) if beyond else drawn

    return np.column_stack([np.full(n, EPOCHS), *(column(name) for name in INPUTS[1:])])


def flat(trial: optuna.Trial) -> Values:
    """Suggest a configuration of the flat space, as people write it for Optuna."""
    return {
        "batch_size": trial.suggest_int("batch_size", 16, 512, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 0.1, log=True),
        "momentum": trial.suggest_float("momentum", 0.1, 0.99),
        "weight_decay": trial.suggest_float("weight_decay", LEAST_WEIGHT_DECAY, 0.1),
        "num_layers": trial.suggest_int("num_layers", 1, 5),
        "max_units": trial.suggest_int("max_units", 64, 1024, log=True),
        "max_dropout": trial.suggest_float("max_dropout", 0.0, 1.0),
    }


def declared(trial: optuna.Trial) -> Values:
    """Suggest a configuration of the declared space, as people write it for Optuna."""
    values = {
        "batch_size": 2 ** trial.suggest_int("batch_size_exponent", 4, 9),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 0.1, log=True),
        "momentum": trial.suggest_float("momentum", 0.1, 0.99),
        "num_layers": trial.suggest_int("num_layers", 1, 5),
        "max_units": trial.suggest_int("max_units", 64, 1024, log=True),
        "weight_decay": 0.0,
    }
    if trial.suggest_categorical("use_weight_decay", [True, False]):
        values["weight_decay"] = trial.suggest_float("weight_decay", LEAST_WEIGHT_DECAY, 0.1)
    if trial.suggest_categorical("use_dropout", [True, False]):
        values["max_dropout"] = trial.suggest_float("max_dropout", 0.0, 1.0)
    return values


@dataclass(frozen=True, slots=True)
class Plain:
    """A contender: Optuna by itself, with no pruner, since nothing is reported."""

    name: str
    suggest: Callable[[optuna.Trial], Values] = flat
    group: bool = False
    first: Values | None = None
    n_starts: int = 0  # it takes none

    def search(self, objective: Objective, trials: int, seed: int, starts: Sequence[Values] = ()) -> None:
        """Run one study."""
        study = optuna.create_study(sampler=self._sampler(seed), direction="maximize")
        if self.first:
            study.enqueue_trial(dict(self.first))
        study.optimize(lambda trial: objective(self.suggest(trial)), n_trials=trials)

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self.group:
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
        return optuna.samplers.TPESampler(seed=seed)


@dataclass(frozen=True, slots=True)
class Ours:
    """A contender: autotune's own study, no pruner."""

    name: str
    changes: Mapping[str, Parameter]
    sampler: str = "tpe"
    n_starts: int = 0

    def search(self, objective: Objective, trials: int, seed: int, starts: Sequence[Values] = ()) -> None:
        """Run one study, which begins with the default and as many of the starts as the contender takes."""
        study = open_study(
            open_storage(None),
            "lcbench",
            space=Space({"mlp": {**FLAT, **self.changes}}, starts=[Config("mlp", each) for each in starts]),
            sampler=find_sampler(self.sampler),
            pruner=PRUNERS["none"],
            maximize=True,
            identity={},
            seed=seed,
            versions={},
        )
        for _ in range(trials):
            claim = study.claim()
            assert claim is not None
            score = objective(claim.config.arguments)
            study.complete(claim.number, Evaluation(score, (score,), EPOCHS, 1.0, ((EPOCHS, score),), 0.0))


Contender = Plain | Ours

PLAIN = Plain("Optuna, flat")
DECLARED = Ours("autotune, declared", {**POW2, **CONDITIONS})
SPLIT = Ours("autotune, split", {**POW2, **SPLITS})
MAIN: tuple[Contender, ...] = (
    PLAIN,
    replace(PLAIN, name="Optuna, flat, default first", first=DEFAULT),
    DECLARED,
    SPLIT,
    Ours("autotune, flat", {}),
    Plain("Optuna, flat, group", group=True),
)
FURTHER: tuple[Contender, ...] = (
    Plain("Optuna, declared, default first", declared, first=DECLARED_DEFAULT),
    Plain("Optuna, declared, group, default first", declared, group=True, first=DECLARED_DEFAULT),
    Ours("autotune, pow2 alone", POW2),
    Ours("autotune, conditions alone", CONDITIONS),
    Ours("autotune, splits alone", SPLITS),
)

LEARNED = Ours("autotune, flat, learned starts", {}, n_starts=N_STARTS)
DEAR: tuple[Contender, ...] = (Ours("autotune, flat, GP", {}, "gp"),)


@dataclass(frozen=True, slots=True)
class Scale:
    """What regret is counted in."""

    best: float
    median: float

    def regret(self, found: float) -> float:
        """Return 0 for the best of the random ones, 1 for their median."""
        return (self.best - found) / (self.best - self.median)


def main() -> int:
    """Print the table; exit 1 when the declared or the split space is more than the tolerance behind plain Optuna."""
    arguments = parsed()
    surrogate = Surrogate(folder(), arguments.score)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the argument `group`
    scales = {task: scale_of(surrogate, task) for task in arguments.tasks}
    steps = sorted({step for step in REPORTED if step < arguments.trials} | {arguments.trials})
    print_header(len(scales), arguments.seeds, steps)
    found: dict[str, NDArray[Any]] = {}
    contenders = (*MAIN, LEARNED, *(FURTHER if arguments.all else ()), *(DEAR if arguments.gp else ()))
    for contender in contenders:
        if contender is not PLAIN and arguments.only not in contender.name:
            continue
        started = time.process_time()
        found[contender.name] = regrets(contender, surrogate, scales, arguments.seeds, steps)
        print_line(contender.name, found, time.process_time() - started)
    if arguments.per_task:
        print_tasks(found, tuple(scales))
    behind = [each.name for each in (DECLARED, SPLIT) if each.name in found and is_behind(found, each)]
    return 1 if behind else 0


def scale_of(surrogate: Surrogate, task: str) -> Scale:
    """Judge 50,000 random configurations of the flat space, the same for every task."""
    scores = surrogate.scores(task, random_rows(50_000, seed=0))
    return Scale(float(scores.max()), float(np.median(scores)))


def regrets(
    contender: Contender,
    surrogate: Surrogate,
    scales: Mapping[str, Scale],
    seeds: int,
    steps: Sequence[int],
) -> NDArray[Any]:
    """Return the regret after each of the steps: tasks × seeds × steps."""
    found = np.empty((len(scales), seeds, len(steps)))
    for row, (task, scale) in enumerate(scales.items()):
        starts = starts_for(task, surrogate, scales)[: contender.n_starts]
        for seed in range(seeds):
            trace: list[float] = []

            def objective(values: Values, task: str = task, trace: list[float] = trace) -> float:
                trace.append(surrogate.judge(task, values))
                return trace[-1]

            contender.search(
                objective, steps[-1], 1000 * seed + TASKS.index(task), starts
            )  # no two studies draw the same
            found[row, seed] = [scale.regret(max(trace[:step])) for step in steps]
    return found


def starts_for(task: str, surrogate: Surrogate, scales: Mapping[str, Scale]) -> list[Values]:
    """Return configurations that complement each other on all tasks but this one, the most useful first.

    Greedily, as the portfolio of Auto-sklearn 2 (Feurer and others, JMLR 2022): each next one lowers the mean over the
    other tasks of the best regret so far by most. The default is tried before them.
    """
    rows = np.concatenate([[[EPOCHS, *DEFAULT.values()]], random_rows(N_CANDIDATES, seed=1)])
    others = [(each, scale) for each, scale in scales.items() if each != task]
    regrets = np.array([scale.regret(surrogate.scores(each, rows)) for each, scale in others])
    chosen, best = [], regrets[:, 0]
    for _ in range(N_STARTS if others else 0):
        chosen.append(int(np.minimum(regrets, best[:, None]).mean(axis=0).argmin()))
        best = np.minimum(best, regrets[:, chosen[-1]])
    whole = [isinstance(parameter, Int) for parameter in FLAT.values()]
    return [
        {name: int(value) if is_int else value for name, is_int, value in zip(FLAT, whole, row.tolist(), strict=True)}
        for row in rows[chosen, 1:]
    ]


def print_header(tasks: int, seeds: int, steps: Sequence[int]) -> None:
    """Print what the columns of the table are."""
    print(f"Mean regret over {tasks} tasks × {seeds} seeds after {', '.join(map(str, steps))} trials; at the last, the")
    print("difference to the two plain contenders, ± its standard error over pairs of task and seed; CPU seconds.")
    columns = "".join(f"{step:>9}" for step in steps)
    print(f"{'contender':<40}{columns}{'to plain':>18}{'to default first':>18}{'s':>7}", flush=True)


def print_line(name: str, found: Mapping[str, NDArray[Any]], seconds: float) -> None:
    """Print a contender's means and how it differs from the plain ones that there are."""
    means = "".join(f"{mean:>9.4f}" for mean in found[name].mean(axis=(0, 1)))
    differences = ""
    for plain in (each.name for each in MAIN[:2]):
        difference = (found[name] - found[plain])[..., -1].ravel() if plain in found and plain != name else None
        if difference is None or len(difference) < 2:
            differences += f"{'':>18}"
        else:
            error = difference.std(ddof=1) / len(difference) ** 0.5
            differences += f"{f'{difference.mean():+.4f} ± {error:.4f}':>18}"
    print(f"{name:<40}{means}{differences}{seconds:>7.0f}", flush=True)


def is_behind(found: Mapping[str, NDArray[Any]], contender: Contender) -> bool:
    """Print how far a contender is behind plain Optuna, and return whether that is more than the tolerance."""
    behind = float((found[contender.name] - found[PLAIN.name])[..., -1].mean())
    print(f"{contender.name} less {PLAIN.name}: {behind:+.4f}; allowed: {TOLERANCE:+.4f}")
    return behind > TOLERANCE


def print_tasks(found: Mapping[str, NDArray[Any]], tasks: Sequence[str]) -> None:
    """Print the mean regret of each contender on each task at the last step."""
    print("\nmean regret by task")
    print(f"{'':<40}{''.join(f'{task:>8}' for task in tasks)}")
    for name, values in found.items():
        print(f"{name:<40}{''.join(f'{mean:>8.3f}' for mean in values[..., -1].mean(axis=1))}")


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--score", choices=SCORES, default="val_cross_entropy")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--all", action="store_true", help="also the contenders that say where a difference comes from")
    parser.add_argument("--gp", action="store_true", help="also a Gaussian process, half a second of CPU a trial")
    parser.add_argument("--only", default="", metavar="WORD", help="plain Optuna, and whose names contain this")
    parser.add_argument("--per-task", action="store_true", help="also a table by task")
    return parser.parse_args()


def folder() -> Path:
    """Return the surrogate's folder, or end with a clear line when it or onnxruntime is not there."""
    path = Path(os.environ.get("AUTOTUNE_DATA", "")) / "lcbench"
    if not os.environ.get("AUTOTUNE_DATA") or not (path / "model.onnx").exists():
        print("skipped: AUTOTUNE_DATA names no folder with lcbench/model.onnx")
        sys.exit(0)
    try:
        import onnxruntime  # noqa: F401  whether it is there
    except ImportError:
        print("skipped: the surrogate needs onnxruntime (pip install onnxruntime)")
        sys.exit(0)
    return path


if __name__ == "__main__":
    sys.exit(main())
