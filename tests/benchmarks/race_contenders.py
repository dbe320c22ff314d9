"""The contenders of the race, each in a process of its own: python race_contenders.py JOB, a file that `race` writes.

All import what they need before the clock starts, read the table, search, and train the winner on all search rows;
then the clock stops. What the winner and the trials that led before it are worth on held-out rows is found afterwards.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import tree_cpu_seconds

TARGET = "target"


def main() -> None:
    """Run the contender that a job names; print what came of it as JSON."""
    job = json.loads(Path(sys.argv[1]).read_text())
    contender = {
        "autotune": autotune,
        "script": torch_script if job["learner"] == "mlp" else script,
        "optuna-search-cv": optuna_search_cv,
        "halving-random-search-cv": halving_random_search_cv,
    }[job["contender"]]
    warnings.simplefilter("ignore")
    print(json.dumps(contender(job)))


class Clock:
    """CPU seconds of this process and its children, and seconds, from now on."""

    def __init__(self) -> None:
        self.imports = tree_cpu_seconds()
        self._started = time.perf_counter()
        self._leaders: list[tuple[float, float, Any]] = []
        self.scores: dict[int, float | None] = {}

    def cpu(self) -> float:
        """Return the CPU seconds so far."""
        return tree_cpu_seconds() - self.imports

    def told(self, number: int, score: float | None, leader: float, what: Any) -> None:
        """Note a finished trial by its number, its loss, and which one leads now."""
        self.scores[number] = score
        if not self._leaders or self._leaders[-1][2] != what:
            self._leaders.append((self.cpu(), leader, what))

    def over(self) -> dict[str, Any]:
        """Stop, and return what was measured."""
        return {"cpu": self.cpu(), "wall": time.perf_counter() - self._started, "imports": self.imports}

    def result(self, measured: dict[str, Any], held_out: Callable[[Any], float]) -> dict[str, Any]:
        """Return what was measured, with the held-out loss of each leader."""
        leaders = [{"cpu": cpu, "cv": cv, "held_out": held_out(what)} for cpu, cv, what in self._leaders]
        last = leaders[-1]
        scores = [score for _, score in sorted(self.scores.items())]
        return measured | {"cv": last["cv"], "held_out": last["held_out"], "leaders": leaders, "scores": scores}


# ---- autotune ----


def autotune(job: dict[str, Any]) -> dict[str, Any]:
    """Tune through the plan and the story that every door leads to, with a watcher that reads the clock."""
    import numpy as np
    import optuna  # noqa: F401  imports are no part of what is compared
    import pandas as pd
    from race_cases import CASES, space_of
    from sklearn.model_selection import KFold, StratifiedKFold

    from autotune.data.schema import encode
    from autotune.data.tables import read_table
    from autotune.evaluation import fit, make_member
    from autotune.learners import find_learner
    from autotune.plan import make_plan
    from autotune.settings import make_settings
    from autotune.study.strategies import trial_seed
    from autotune.tuning import run
    from autotune.watcher import Silent

    learner = find_learner(job["learner"])
    if job["learner"] == "mlp":
        import autotune.learners.mlp_training  # noqa: F401
    discipline, seed = job["discipline"], job["seed"]
    space = space_of(CASES[job["case"]], discipline, seed)
    kind = KFold if job["kind"] == "regression" else StratifiedKFold
    words = {"pruner": "none"} if discipline == "work" else {}

    class Watch(Silent):
        def told(self, record: Any, best: Any) -> None:
            loss = record.score if record.state == "complete" else None
            clock.told(record.number, loss, best.score, (best.number, best.step, best.config))
            steps[record.number] = record.step

    steps: dict[int, int | None] = {}
    clock = Clock()
    settings = make_settings(
        "call", space=space, n_trials=job["n_trials"], cv=kind(5, shuffle=True, random_state=seed), test_size=0,
        metric=job["metric"], n_jobs=job["cores"], random_state=seed, ensemble=1, **words,
    )  # fmt: skip
    plan = make_plan(settings, read_table(job["search"], target=TARGET), started=time.time())
    run(plan, watch=Watch())
    measured = clock.over()

    frame = pd.read_parquet(job["held_out"])
    rows, _ = encode(plan.schema, frame.drop(columns=TARGET), strict=False)
    y = frame[TARGET].to_numpy()
    if plan.table.classes is not None:
        y = np.searchsorted(plan.table.classes, y)

    def held_out(leader: Any) -> float:
        number, step, config = leader
        member = make_member(plan.search, np.arange(len(plan.search)), None)
        model = fit(config, member, step, seed=trial_seed(seed, number, "model"), resources=plan.resources).model
        return loss_of(y, model.predict(rows))

    def trained_to_the_end(step: int | None, number: int) -> bool:
        config = space.first_configurations()[number]
        pace = learner.pace(learner.Params(**config.arguments))
        return pace is None or (step or 0) > (pace.last or job["horizon"]) - pace.patience

    result = clock.result(measured, held_out)
    if discipline == "work":
        result["whole"] = all(trained_to_the_end(step, number) for number, step in steps.items())
        result["at_horizon"] = [job["horizon"] in (None, step) for _, step in sorted(steps.items())]
    return result


# ---- what people write ----


def script(job: dict[str, Any]) -> dict[str, Any]:
    """Run Optuna's TPE around `cross_val_score`."""
    import optuna
    from sklearn.model_selection import cross_val_score

    import_estimators(job)
    clock = Clock()
    X, y = read(job["search"])
    study = study_of(job)

    def objective(trial: optuna.Trial) -> float:
        model = estimator(job["learner"], job["kind"], suggest(trial, job["ranges"]), X, job["seed"])
        scores = cross_val_score(model, X, y, cv=folds_of(job), scoring=scoring_of(job), n_jobs=job["cores"])
        return -float(scores.mean())

    study.optimize(objective, n_trials=job["n_trials"], callbacks=[telling(clock)])
    return shipped(job, clock, study.best_params, X, y)


def torch_script(job: dict[str, Any]) -> dict[str, Any]:
    """Run Optuna's TPE around a DataLoader loop a fold."""
    import numpy as np
    from sklearn.preprocessing import LabelEncoder

    import_estimators(job)
    from race_torch import predict, train

    clock = Clock()
    frame, labels = read(job["search"])
    X, y = frame.to_numpy(np.float32), LabelEncoder().fit_transform(labels)
    study, folds = study_of(job), list(folds_of(job).split(X, y))

    def objective(trial: Any) -> float:
        params = suggest(trial, job["ranges"])
        losses = []
        for number, (training, validation) in enumerate(folds):
            model = train(params, X[training], y[training], seed=job["seed"] + number)
            losses.append(loss_of(y[validation], predict(model, X[validation])))
        return float(np.mean(losses))

    study.optimize(objective, n_trials=job["n_trials"], n_jobs=job["cores"], callbacks=[telling(clock)])
    train(suggest(fixed(study.best_params), job["ranges"]), X, y, seed=job["seed"])
    measured = clock.over()
    held_out, answers = read(job["held_out"])
    codes = np.searchsorted(np.unique(labels), answers)

    def loss(params: dict[str, Any]) -> float:
        model = train(suggest(fixed(params), job["ranges"]), X, y, seed=job["seed"])
        return loss_of(codes, predict(model, held_out.to_numpy(np.float32)))

    return clock.result(measured, loss)


def optuna_search_cv(job: dict[str, Any]) -> dict[str, Any]:
    """Run OptunaSearchCV of optuna-integration."""
    import optuna
    from optuna_integration import OptunaSearchCV

    import_estimators(job)
    clock = Clock()
    X, y = read(job["search"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = OptunaSearchCV(
        estimator(job["learner"], job["kind"], {}, X, job["seed"]),
        distributions(job, of="optuna"),
        cv=folds_of(job), scoring=scoring_of(job), n_trials=job["n_trials"], n_jobs=job["cores"],
        random_state=job["seed"], study=optuna.create_study(direction="maximize", sampler=tpe(job)),
        callbacks=[telling(clock, sign=-1.0)],
    )  # fmt: skip
    search.fit(X, y)
    return of_search(job, clock, X, y)


def halving_random_search_cv(job: dict[str, Any]) -> dict[str, Any]:
    """Run scikit-learn's HalvingRandomSearchCV from as many candidates."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    import_estimators(job)
    clock = Clock()
    X, y = read(job["search"])
    search = HalvingRandomSearchCV(
        estimator(job["learner"], job["kind"], {}, X, job["seed"]),
        distributions(job, of="scipy"),
        n_candidates=job["n_trials"], cv=folds_of(job), scoring=scoring_of(job), n_jobs=job["cores"],
        random_state=job["seed"],
    )  # fmt: skip
    search.fit(X, y)
    clock.told(0, -search.best_score_, -search.best_score_, search.best_params_)
    return of_search(job, clock, X, y)


def of_search(job: dict[str, Any], clock: Clock, X: Any, y: Any) -> dict[str, Any]:
    """Stop the clock of a search that has trained its winner, and find what its leaders are worth."""
    measured = clock.over()
    held_out, answers = read(job["held_out"])

    def loss(params: dict[str, Any]) -> float:
        model = estimator(job["learner"], job["kind"], {}, X, job["seed"]).set_params(**params).fit(X, y)
        return loss_of(answers, predicted(model, held_out))

    return clock.result(measured, loss)


def shipped(job: dict[str, Any], clock: Clock, best: dict[str, Any], X: Any, y: Any) -> dict[str, Any]:
    """Train the winner, stop the clock, and find what the leaders are worth."""

    def train(params: dict[str, Any]) -> Any:
        return estimator(job["learner"], job["kind"], suggest(fixed(params), job["ranges"]), X, job["seed"]).fit(X, y)

    train(best)
    measured = clock.over()
    held_out, answers = read(job["held_out"])
    return clock.result(measured, lambda params: loss_of(answers, predicted(train(params), held_out)))


# ---- their parts ----


def import_estimators(job: dict[str, Any]) -> None:
    """Import what is used, and its parts that come at first use, so that no contender pays for imports."""
    import sklearn.compose
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.pipeline  # noqa: F401

    if job["learner"] == "mlp":
        import race_torch  # noqa: F401
        import torch._dynamo  # noqa: F401  the first optimizer imports it


def read(path: str) -> tuple[Any, Any]:
    """Return features and target of a Parquet file."""
    import pandas as pd

    frame = pd.read_parquet(path)
    return frame.drop(columns=TARGET), frame[TARGET].to_numpy()


def folds_of(job: dict[str, Any]) -> Any:
    """Return the splitter that all contenders use."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if job["kind"] == "regression" else StratifiedKFold
    return kind(5, shuffle=True, random_state=job["seed"])


def scoring_of(job: dict[str, Any]) -> str:
    """Return scikit-learn's name for the negative loss."""
    return {"log_loss": "neg_log_loss", "rmse": "neg_root_mean_squared_error"}[job["metric"]]


def loss_of(y: Any, predictions: Any) -> float:
    """Return log loss or root mean squared error, as scikit-learn has them."""
    import numpy as np
    from sklearn.metrics import log_loss, root_mean_squared_error

    if predictions.ndim == 1:
        return float(root_mean_squared_error(y, predictions))
    return float(log_loss(y, predictions, labels=np.unique(y)))


def predicted(model: Any, rows: Any) -> Any:
    """Return probabilities where the model has them, else values."""
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


def tpe(job: dict[str, Any]) -> Any:
    """Return Optuna's TPE with a seed."""
    import optuna

    return optuna.samplers.TPESampler(seed=job["seed"])


def study_of(job: dict[str, Any]) -> Any:
    """Return a study with TPE, in whose queue the configurations of the same work stand."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=tpe(job))
    for config in job["configurations"]:
        study.enqueue_trial({name: config[name] for name, entry in job["ranges"].items() if "fixed" not in entry})
    return study


def telling(clock: Clock, sign: float = 1.0) -> Callable[[Any, Any], None]:
    """Return a callback of a study that tells the clock."""
    return lambda study, trial: clock.told(trial.number, sign * trial.value, sign * study.best_value, study.best_params)


def fixed(params: dict[str, Any]) -> Any:
    """Return a trial that answers with these parameters."""
    import optuna

    return optuna.trial.FixedTrial(params)


def suggest(trial: Any, ranges: dict[str, Any]) -> dict[str, Any]:
    """Suggest each parameter from its range."""
    params = {}
    for name, entry in ranges.items():
        match entry:
            case {"fixed": value}:
                params[name] = value
            case {"float": [low, high]}:
                params[name] = trial.suggest_float(name, low, high, log=entry.get("log", False))
            case {"int": [low, high]}:
                params[name] = trial.suggest_int(name, low, high, log=entry.get("log", False))
            case {"choice": options}:
                params[name] = trial.suggest_categorical(name, options)
    return params


def distributions(job: dict[str, Any], *, of: str) -> dict[str, Any]:
    """Return the ranges as distributions of Optuna or SciPy, by scikit-learn's names."""
    varied = {name: entry for name, entry in job["ranges"].items() if "fixed" not in entry}
    return {NATIVE.get(name, name): distribution(entry, of) for name, entry in varied.items()}


def distribution(entry: dict[str, Any], of: str) -> Any:
    """Return a range as a distribution of Optuna or SciPy."""
    import optuna
    from scipy import stats

    log = entry.get("log", False)
    match entry, of:
        case {"float": [low, high]}, "optuna":
            return optuna.distributions.FloatDistribution(low, high, log=log)
        case {"int": [low, high]}, "optuna":
            return optuna.distributions.IntDistribution(low, high, log=log)
        case {"choice": options}, "optuna":
            return optuna.distributions.CategoricalDistribution(options)
        case {"float": [low, high]}, _:
            return stats.loguniform(low, high) if log else stats.uniform(low, high - low)
        case {"int": [low, high]}, _:
            return LogIntegers(low, high) if log else stats.randint(low, high + 1)
    return entry["choice"]


class LogIntegers:
    """Whole numbers whose logarithm is uniform, for SciPy's kind of search."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def rvs(self, size: Any = None, random_state: Any = None) -> int:
        """Draw one."""
        from scipy import stats

        return int(stats.loguniform(self.low, self.high + 1).rvs(random_state=random_state))


NATIVE = {
    "max_rounds": "n_estimators",
    "min_data_in_leaf": "min_child_samples",
    "feature_fraction": "colsample_bytree",
    "bagging_fraction": "subsample",
    "lambda_l1": "reg_alpha",
    "lambda_l2": "reg_lambda",
}


def estimator(learner: str, kind: str, params: dict[str, Any], X: Any, seed: int) -> Any:
    """Make what people give to `cross_val_score`."""
    import lightgbm
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    regression = kind == "regression"
    match learner:
        case "lightgbm":
            words = {NATIVE.get(name, name): value for name, value in params.items()} | {"subsample_freq": 1}
            model = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
            return model(**words, n_jobs=1, verbose=-1, random_state=seed)
        case "linear":
            C = params["C"]
            linear = Ridge(alpha=1 / C) if regression else LogisticRegression(C=C, max_iter=500)
            return make_pipeline(columns(X, OneHotEncoder(handle_unknown="ignore"), StandardScaler()), linear)
        case "random_forest":
            del params["n_estimators_at_refit"]
            forest = RandomForestRegressor if regression else RandomForestClassifier
            codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
            return make_pipeline(columns(X, codes), forest(**params, n_jobs=1, random_state=seed))
    raise ValueError(learner)


def columns(X: Any, of_categories: Any, of_numbers: Any = None) -> Any:
    """Return the usual ColumnTransformer."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    numbers = SimpleImputer(strategy="median", add_indicator=True)
    categories = list(X.select_dtypes(exclude="number"))
    return ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(numbers, of_numbers) if of_numbers else numbers,
                list(X.columns.drop(categories)),
            ),
            ("categories", of_categories, categories),
        ]
    )


if __name__ == "__main__":
    main()
