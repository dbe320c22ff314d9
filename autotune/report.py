"""Report: what happened, and the model that came of it."""

from __future__ import annotations

import math
import pickle
import re
import struct
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.errors import DataError, StudyError
from autotune.predictor import Predictor
from autotune.study.records import TrialRecord, leaderboard
from autotune.verdict import Score

if TYPE_CHECKING:
    import numpy as np
    import optuna
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Report:
    """What a run found out.

    Attributes
    ----------
    best_params : dict
        The learner and parameters of the best configuration.
    best_score : float
        Its cross-validation score. Optimistic: the configuration and its step were chosen on these folds; `test_score`
        is the honest one.
    best_sd : float
        Standard deviation of that score over the folds.
    weights : mapping of int to float
        The trials whose models, retrained, make up the model, by number, and how much each counts.
    ensemble_score : float or None
        Cross-validation score of that mixture, each fold with weights that the others chose; None where the model is
        the best trial's alone.
    test_score : Score or None
        Score of the retrained model on the test rows, with its 95 % bootstrap interval; None without test rows.
    baseline_score, default_score, best_alone_score : Score or None
        Scores on the same rows of the dummy baseline, of the untuned default, and of the best trial alone where the
        model is a mixture.
    gains : mapping of str to Score
        How much better the model is than ``"baseline"``, ``"default"`` and ``"best"``, paired on the same resamples;
        positive is better.
    model : Predictor
        The retrained model.
    records : tuple of TrialRecord
        Every trial of the study.
    metric, maximize : str, bool
        What counted, and whether larger is better.
    data : mapping of str to value
        Name of the table, target, kind of task, numbers of rows and columns, and how the folds were drawn.
    study_name, seed, look : str, int, int
        The study, its seed, and how often its test rows have been looked at.
    seconds : mapping of str to float
        How long each stage took.
    versions : mapping of str to str
        Versions of the packages.
    notes, warnings : tuple of str
        What was inferred, dropped or changed; and what the reader should worry about.

    Examples
    --------
    >>> import autotune
    >>> from sklearn.datasets import load_wine
    >>> wine = load_wine(as_frame=True).frame
    >>> report = autotune.tune(wine, target="target", space="linear", n_trials=2, random_state=0)
    >>> report.test_score.low <= report.test_score.value <= report.test_score.high
    True
    >>> report.leaderboard()["rank"].tolist()[0]
    1
    """

    best_params: Mapping[str, Any]
    best_score: float
    best_sd: float
    weights: Mapping[int, float]
    ensemble_score: float | None
    test_score: Score | None
    best_alone_score: Score | None
    baseline_score: Score | None
    default_score: Score | None
    gains: Mapping[str, Score]
    model: Predictor
    records: tuple[TrialRecord, ...]
    metric: str
    maximize: bool
    data: Mapping[str, Any]
    study_name: str
    seed: int
    look: int
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    connection: Any = field(default=None, repr=False, compare=False)

    @property
    def study(self) -> optuna.Study:
        """The optuna Study.

        Raises
        ------
        StudyError
            For a report that was loaded from a file: it carries records, no connection.
        """
        if self.connection is None:
            raise StudyError(
                "a loaded report has no connection to its study",
                self.study_name,
                "report.records, or optuna.load_study",
            )
        study: optuna.Study = self.connection
        return study

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with the model; see `Predictor.predict`."""
        return self.model.predict(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict probabilities with the model; see `Predictor.predict_proba`."""
        return self.model.predict_proba(X)

    def leaderboard(self) -> pd.DataFrame:
        """Return the trials as a table, best first; see `autotune.study.records.leaderboard`."""
        return leaderboard(self.records, maximize=self.maximize)

    def save(self, path: str | Path) -> None:
        """Write report and model to a file, for `autotune.load`.

        Parameters
        ----------
        path : str or Path
            The file; an existing one is replaced only when the new one is complete.
        """
        import joblib

        path = Path(path)
        unfinished = path.with_name(path.name + ".unfinished")
        try:
            joblib.dump(replace(self, connection=None), unfinished, compress=3)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise DataError(f"the model cannot be written: {error.strerror}", str(path)) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, as ``tune run --json`` prints them."""
        return {
            "best_params": dict(self.best_params),
            "best_score": self.best_score,
            "best_sd": _finite(self.best_sd),
            "metric": self.metric,
            "maximize": self.maximize,
            "weights": {str(number): weight for number, weight in self.weights.items()},
            "ensemble_score": self.ensemble_score,
            "test_score": _score(self.test_score),
            "best_alone_score": _score(self.best_alone_score),
            "baseline_score": _score(self.baseline_score),
            "default_score": _score(self.default_score),
            "gains": {name: _score(gain) for name, gain in self.gains.items()},
            "trials": dict(Counter(record.state for record in self.records)),
            "study_name": self.study_name,
            "random_state": self.seed,
            "look": self.look,
            "data": dict(self.data),
            "seconds": dict(self.seconds),
            "versions": dict(self.versions),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        blocks = (self._head(), self._scores(), self._best(), self._trials(), self._notes(), self._foot())
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _head(self) -> list[str]:
        data = self.data
        rows = f"{data['search_rows']:,} search rows, {data['test_rows']:,} test rows"
        return [
            f"{data['name']}: {data['kind']} on {data['target']!r}, {self.metric} "
            f"({'larger' if self.maximize else 'smaller'} is better)",
            f"{rows}, {data['columns']} columns, {data['folds']}",
            *(f"! {warning}" for warning in self.warnings),
        ]

    def _scores(self) -> list[str]:
        sd = "" if math.isnan(self.best_sd) else f" ± {self.best_sd:.2g}"
        lines = [f"cross-validation  {self.best_score:.5g}{sd}   (optimistic: the winner was chosen on these folds)"]
        if self.ensemble_score is not None:
            what = f"{len(self.weights)} trials mixed; each fold with weights that the others chose"
            lines.append(f"ensemble          {self.ensemble_score:.5g}   ({what})")
        if self.test_score is None:
            why = "no time was left" if self.data["test_rows"] else "no rows were set aside"
            return [*lines, f"test              none: {why}"]
        again = f", look {self.look} at these rows" if self.look > 1 else ""
        lines.append(f"test              {_interval(self.test_score)}   (95 % interval{again})")
        for name, score, text in (
            ("best", self.best_alone_score, "best trial alone  "),
            ("default", self.default_score, "untuned default   "),
            ("baseline", self.baseline_score, "dummy baseline    "),
        ):
            if score is not None:
                lines.append(f"{text}{_interval(score)}{self._gain(name)}")
        return lines

    def _gain(self, name: str) -> str:
        gain = self.gains.get(name)
        if gain is None:
            return ""
        if gain.value == gain.low == gain.high == 0:
            return "   the best configuration is this one"
        if math.isnan(gain.value):
            return ""
        return f"   tuned is {'worse' if gain.value < 0 else 'better'} by {_interval(gain.magnitude())}"

    def _best(self) -> list[str]:
        width = max(len(key) for key in self.best_params)
        lines = ["best configuration", *(f"  {key:<{width}}  {_plain(v)}" for key, v in self.best_params.items())]
        return lines if len(self.weights) == 1 else [*lines, "", "the model is a mixture", *self._mixture()]

    def _mixture(self) -> list[str]:
        records = {record.number: record for record in self.records}
        configs = ((weight, number, records[number].config) for number, weight in self.weights.items())
        return [f"  {weight:.0%} trial {number}, {config.learner}" for weight, number, config in configs if config]

    def _trials(self) -> list[str]:
        counts = Counter(record.state for record in self.records)
        said = ", ".join(f"{count} {'unfinished' if state == 'running' else state}" for state, count in counts.items())
        lines = [f"trials: {said}, in {self.study_name!r}"]
        reasons = Counter(record.reason for record in self.records if record.state == "failed")
        lines.extend(f"  failed ×{count}: {reason}" for reason, count in reasons.most_common(5))
        return lines

    def _notes(self) -> list[str]:
        return [f"- {note}" for note in self.notes]

    def _foot(self) -> list[str]:
        stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        versions = ", ".join(f"{package} {number}" for package, number in self.versions.items())
        return [f"time: {stages}", f"random_state {self.seed}; {versions}"]


def load(path: str | Path) -> Report:
    """Load a report with its model.

    A saved report is a pickle, and opening one runs what it holds: load only files that you trust.

    Parameters
    ----------
    path : str or Path
        A file that `Report.save` wrote.

    Returns
    -------
    Report
        With everything but the connection to its study.

    Raises
    ------
    DataError
        When the file cannot be read or holds no report, or a model whose module is not here.

    Examples
    --------
    >>> load("nothing.model")
    Traceback (most recent call last):
        ...
    autotune.errors.DataError: there is no such file
      where: nothing.model
      try:   the path given to report.save or --save
    """
    import joblib

    try:
        report = joblib.load(path)
    except FileNotFoundError:
        raise DataError("there is no such file", str(path), "the path given to report.save or --save") from None
    except _UNREADABLE as error:
        if missing := _missing(error):
            hint = "run where it is, or train with model='my_model.py:Mine' (--model), which travels with the report"
            raise DataError(f"the model needs {missing}", str(path), hint) from error
        raise DataError("the file holds no report", str(path), "a file that report.save or --save wrote") from error
    if not isinstance(report, Report):
        raise DataError(f"the file holds a {type(report).__name__}, no report", str(path))
    return report


_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, ImportError),
    *(pickle.UnpicklingError, zlib.error, struct.error),
)
"""What a file that is no pickle, or a broken one, makes joblib raise."""


def _missing(error: BaseException) -> str | None:
    """Return what of somebody's code a report needs that is not here; None where the file itself is broken."""
    if isinstance(error, ImportError) and error.name and all(map(str.isidentifier, error.name.split("."))):
        return f"module {error.name!r}, which cannot be imported here"
    found = re.match(r"Can't get attribute '(.+)' on <module '([\w.]+)'", str(error))
    return f"{found[1]!r} of module {found[2]!r}, which is not there" if found else None


def _interval(score: Score) -> str:
    digits = 5 if abs(score.value) < 1e5 else 7
    return f"{score.value:.{digits}g} [{score.low:.{digits}g}, {score.high:.{digits}g}]"


def _plain(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _score(score: Score | None) -> dict[str, float | None] | None:
    if score is None:
        return None
    return {"value": _finite(score.value), "low": _finite(score.low), "high": _finite(score.high)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
