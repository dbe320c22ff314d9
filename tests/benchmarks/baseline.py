"""CPU seconds and memory beside the script that people write, and the cost of starting up, in one run.

AUTOTUNE_DATA=folder python tests/benchmarks/baseline.py [--trials 20] [--seeds 0 1 2]

The script is Optuna's TPE around `cross_val_score` of LGBMClassifier, over the same ranges, with n_estimators drawn
from 50 to 1000; one thread a model. Each side runs in a process of its own, imports, refit and test included; the two
take turns, seed by seed, and the ratio is the median over seeds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

from measuring import PeakMemory
from tables import folder

SCRIPT = """
import sys
import lightgbm, optuna, pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.metrics import roc_auc_score
optuna.logging.set_verbosity(optuna.logging.WARNING)
seed = int(sys.argv[3])
frame = pd.read_parquet(sys.argv[1])
y = (frame.pop("income").astype(str) == ">50K").astype(int)
for name in frame.select_dtypes(exclude="number"):
    frame[name] = frame[name].astype("category")
X, X_test, y, y_test = train_test_split(frame, y, test_size=0.2, stratify=y, random_state=seed)
folds = StratifiedKFold(5, shuffle=True, random_state=seed)
def model(trial):
    return lightgbm.LGBMClassifier(
        n_estimators=trial.suggest_int("n_estimators", 50, 1000),
        learning_rate=trial.suggest_float("learning_rate", 5e-3, 0.1, log=True),
        num_leaves=trial.suggest_int("num_leaves", 2, 200, log=True),
        min_child_samples=trial.suggest_int("min_child_samples", 1, 64, log=True),
        colsample_bytree=trial.suggest_float("colsample_bytree", 0.4, 1.0),
        subsample=trial.suggest_float("subsample", 0.7, 1.0), subsample_freq=1,
        extra_trees=trial.suggest_categorical("extra_trees", [False, True]),
        reg_alpha=trial.suggest_float("reg_alpha", 0.0, 1.0), reg_lambda=trial.suggest_float("reg_lambda", 0.0, 2.0),
        cat_smooth=trial.suggest_float("cat_smooth", 1e-3, 100.0, log=True),
        cat_l2=trial.suggest_float("cat_l2", 5e-3, 2.0, log=True), n_jobs=1, verbose=-1, random_state=seed)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
study.optimize(lambda t: cross_val_score(model(t), X, y, cv=folds, scoring="roc_auc").mean(), n_trials=int(sys.argv[2]))
best = model(optuna.trial.FixedTrial(study.best_params)).fit(X, y)
print(f"cv {study.best_value:.5f} test {roc_auc_score(y_test, best.predict_proba(X_test)[:, 1]):.5f}")
"""

OURS = """
import sys, autotune
report = autotune.tune(sys.argv[1], target="income", space="lightgbm", n_trials=int(sys.argv[2]), n_jobs=2, cv=5,
                       random_state=int(sys.argv[3]), progress=False)
print(f"cv {report.best_score:.5f} test {report.test_score.value:.5f}")
"""


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    start_up()
    adult, trials = str(folder() / "adult.parquet"), str(arguments.trials)
    ratios = []
    for seed in map(str, arguments.seeds):
        ours = measured(f"autotune, 2 jobs, seed {seed}", OURS, adult, trials, seed)
        script = measured(f"Optuna script, seed {seed}", SCRIPT, adult, trials, seed)
        ratios.append(ours / script)
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"CPU of autotune / CPU of the script: {statistics.median(ratios):.2f}, the median of {listed}")


def measured(name: str, code: str, *arguments: str) -> float:
    """Run code in a process of its own; print and return its CPU seconds, with the peak memory of its process tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    peak = PeakMemory(process.pid)
    output, _ = process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    wall = time.perf_counter() - started
    print(f"{name:<26}{cpu:>8.0f} CPU s{wall:>8.0f} s{peak.gigabytes:>8.2f} GB PSS   {output.strip()}", flush=True)
    return cpu


def start_up() -> None:
    """Print CPU seconds of `tune --help` and of `import autotune` beyond bare python: medians of 11 runs."""
    bare = median_cpu("-c", "pass")
    print(f"python                    {bare:.3f} CPU s")
    print(f"tune --help               {median_cpu('-m', 'autotune', '--help'):.3f} CPU s")
    print(f"import autotune           {median_cpu('-c', 'import autotune') - bare:.3f} CPU s beyond python", flush=True)


def median_cpu(*arguments: str) -> float:
    """Return the median CPU seconds of eleven runs of python with these arguments."""
    seconds = []
    for _ in range(11):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, cwd=os.sep)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
