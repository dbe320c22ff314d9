"""The command line: ``tune run``, ``demo``, ``leaderboard``, ``best``, ``predict`` and ``spaces``.

Results go to stdout, all else to stderr. The exit code is 0 when all is done, 1 when the run failed, 2 when the command
or its input was wrong, 130 when it was interrupted. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autotune import __version__
from autotune.data.writers import find_writer, write_table
from autotune.errors import AutotuneError, NoSuccessfulTrialError, PlugInError, SettingsError, StorageError, StudyError
from autotune.settings import DEFAULTS, DOOR_DEFAULTS, Settings, make_settings

if TYPE_CHECKING:
    import pandas as pd

    from autotune.report import Report
    from autotune.study.records import TrialRecord

C = TypeVar("C", bound=Callable[..., Any])

FAILED, WRONG, INTERRUPTED = 1, 2, 130
TOP = 5
"""Rows of the leaderboard below a report."""


class _Tune(click.Group):
    """The group of commands, which turns errors into messages and exit codes."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for; a scheduler's SIGTERM ends it as Ctrl-C does."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(context)
        except AutotuneError as error:
            click.echo(f"error: {error}", err=True)
            wrong_input = isinstance(error, StorageError) or not isinstance(error, StudyError | PlugInError)
            context.exit(WRONG if wrong_input else FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            context.exit(INTERRUPTED)


@click.group(cls=_Tune, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="autotune")
def main() -> None:
    """Find the best model for a table, and say honestly how good it is."""


def _setting_options(command: C) -> C:
    """Give a command one option for each setting that the command line can hold."""
    for setting in reversed(fields(Settings)):
        command = _setting_option(setting)(command)
    return command


def _setting_option(setting: Field[Any]) -> Callable[[C], C]:
    name = setting.name.replace("_", "-")
    default = DOOR_DEFAULTS["cli"].get(setting.name, setting.default)
    said = "" if default is None else f" [default: {default}]"
    words: dict[str, Any] = {"default": None, "help": f"{setting.metadata['help']}{said}"}
    if setting.metadata["flag"] == "bool":
        return click.option(f"--{name}/--no-{name}", setting.name, **words)
    kind = {"text": str, "int": int, "float": float}[setting.metadata["flag"]]
    return click.option(f"--{name}", setting.name, type=kind, **words)


@main.command()
@click.argument("data", metavar="DATA")
@click.option("--target", help="column to predict")
@click.option("--save", "model", metavar="MODEL", help="write report and model to this file, for tune predict")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object on stdout, and nothing else there")
@_setting_options
def run(data: str, target: str | None, model: str | None, as_json: bool, **given: Any) -> None:
    """Find the best model for a table.

    DATA is a CSV, Parquet, Feather, JSON lines or Excel file, or - for a CSV on stdin.

    The study lives in --storage, so the same command again goes on where it stopped, and a larger --n-trials searches
    longer.
    """
    report = _tune(data, target, model, given)
    if as_json:
        click.echo(json.dumps({**report.to_dict(), "model": model}, default=str, indent=2))
        return
    _show(report)
    _say_next(report, data, {"target": target, **given, "progress": None}, model)


@main.command()
@click.option(
    "--n-trials", type=int, default=40, show_default=True, help="finished trials that the study shall hold in all"
)
@click.option("--timeout", default="60s", show_default=True, help="one deadline for everything")
@click.option("--space", default="automl", show_default=True, help="search space")
@click.option("--n-jobs", type=int, default=-1, show_default=True, help="trials at a time; -1 for all cores")
def demo(**given: Any) -> None:
    """Watch a real table being tuned, in about a minute.

    Writes a table, a study and a model into the current folder, all named autotune-demo. A second demo joins the study
    of the first, and only makes up for trials that are missing.
    """
    from autotune.demo import MODEL, STORAGE, SUMMARY, TABLE, TARGET, demo_table

    write_table(demo_table(), Path(TABLE))
    settings = {**given, "storage": STORAGE}
    again = {"target": TARGET, **{name: value for name, value in settings.items() if value != getattr(DEFAULTS, name)}}
    command = _command("run", TABLE, **again, random_state=0, save=MODEL)
    click.echo(f"{TABLE}: {SUMMARY}\nthe demo is {command}\n", err=True)
    report = _tune(TABLE, TARGET, MODEL, {**settings, "random_state": 0, "progress": True})
    _show(report)
    _say_next(report, TABLE, again, MODEL)


def _study_options(command: C) -> C:
    """Give a command the options that name a study."""
    storage = DOOR_DEFAULTS["cli"]["storage"]
    command = click.option("--json", "as_json", is_flag=True, help="print JSON")(command)
    command = click.option("--study-name", help="the study; not needed when the storage holds only one")(command)
    help_text = "SQLite file or database URL"
    return click.option("--storage", default=storage, show_default=True, help=help_text)(command)


@main.command()
@_study_options
@click.option("-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, help="how many rows to show")
def leaderboard(storage: str, study_name: str | None, as_json: bool, limit: int) -> None:
    """Show a study's trials, best first; it may still be running."""
    name, records, maximize = _read_study(storage, study_name)
    if as_json:
        trials = [_trial(record) for record in records[:limit]]
        click.echo(json.dumps({"study_name": name, "maximize": maximize, "trials": trials}, default=str, indent=2))
        return
    from autotune.console import show_leaderboard

    click.echo(f"{name}: {len(records)} trials, {'larger' if maximize else 'smaller'} is better\n")
    show_leaderboard(records, maximize=maximize, limit=limit)


@main.command()
@_study_options
def best(storage: str, study_name: str | None, as_json: bool) -> None:
    """Show the best configuration of a study."""
    name, records, _ = _read_study(storage, study_name)
    if not records or records[0].state != "complete":
        raise NoSuccessfulTrialError(f"none of its {len(records)} trials is complete", f"study {name!r}", "tune run")
    trial = _trial(records[0])
    if as_json:
        click.echo(json.dumps({"study_name": name, **trial}, default=str, indent=2))
        return
    from autotune.console import show_score, show_values

    sd = "" if trial["sd"] is None else f" ± {trial['sd']:.2g}"
    show_values(trial["params"], f"{name}: trial {trial['number']}, {show_score(trial['score'])}{sd}")


@main.command()
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA")
@click.option("-o", "--output", metavar="OUT", help="a .csv, .parquet or .jsonl file [default: CSV on stdout]")
def predict(model: str, data: str, output: str | None) -> None:
    """Predict with a saved model.

    MODEL is a file that tune run --save wrote, DATA a table with the same columns, or - for a CSV on stdin.

    Writes one row for each row of DATA, in the same order: the column prediction, and for classes one column
    probability_<class> each. A model file is a pickle: open only files that you trust.
    """
    if output is not None:
        find_writer(Path(output))
        _check_folder(output, "--output")
    from autotune.report import load

    report = load(model)
    with _stdin_as_file(data) as path:
        predictions = _predictions(report, path)
    if output is None:
        predictions.to_csv(sys.stdout, index=False)
    else:
        write_table(predictions, Path(output))
        click.echo(f"{len(predictions):,} predictions in {output}", err=True)


@main.command()
@click.argument("name", required=False)
def spaces(name: str | None) -> None:
    """List the search spaces, or show one.

    NAME is a built-in space, several joined by commas, or a TOML file.
    """
    from autotune.console import show_space, show_spaces
    from autotune.spaces.catalog import find_space
    from autotune.spaces.files import built_in_names

    if name is None:
        show_spaces({each: find_space(each) for each in built_in_names()})
    else:
        show_space(find_space(name))


def _tune(data: str, target: str | None, model: str | None, given: Mapping[str, Any]) -> Report:
    """Tune, and save the model if asked to; what anything prints meanwhile goes to stderr."""
    started = time.time()
    settings = make_settings("cli", **given)
    if model is not None:
        _check_folder(model, "--save")
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings(), _stdin_as_file(data) as path:
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # third parties' warnings; ours stand in the report
            from autotune.api import tune_with

            report = tune_with(settings, path, target=target, started=started)
    except KeyboardInterrupt:
        click.echo(f"\nthe study in {settings.storage} keeps every finished trial: the same command goes on", err=True)
        raise
    if model is not None:
        report.save(model)
    return report


def _show(report: Report) -> None:
    """Print the report and the first rows of its leaderboard."""
    from autotune.console import show_leaderboard

    click.echo(f"{report}\n")
    show_leaderboard(report.records, maximize=report.maximize, limit=TOP)


def _say_next(report: Report, data: str, again: Mapping[str, Any], model: str | None) -> None:
    """Say on stderr what to type next, as commands that work as they stand."""
    storage = again["storage"] or DOOR_DEFAULTS["cli"]["storage"]
    alone = _study_names(storage) == [report.study_name]
    where = {"storage": again["storage"], "study_name": None if alone else report.study_name}
    more = {**again, "n_trials": 2 * len(report.records), "timeout": None}
    lines = {
        "all trials": _command("leaderboard", **where),
        "the best": _command("best", **where),
        "search on": _command("run", data, **more, save=model),
    }
    if model is None:
        lines["keep a model"] = _command("run", data, **again, save="tuned.model")
    else:
        lines["predict"] = _command("predict", model, data, output="predictions.csv")
    words = ", ".join(f"{name}={value!r}" for name, value in {**again, "storage": storage}.items() if value is not None)
    lines["in Python"] = f"autotune.tune({data!r}, {words})"
    click.echo("\nnext", err=True)
    for what, command in lines.items():
        click.echo(f"  {what:<13} {command}", err=True)


def _command(name: str, *arguments: str, **options: Any) -> str:
    """Return what a person types to run a command; options without a value are left out."""
    words = [*_program(), name, *arguments]
    for option, value in options.items():
        if value is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _program() -> list[str]:
    """Return what reaches this program from the shell: ``tune``, a path to it, or ``python -m autotune``."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "tune":
        return ["tune"] if _found("tune") == script else [_shortest(script)]
    python = Path(sys.executable)
    return ["python" if _found("python") == python else _shortest(python), "-m", "autotune"]


def _found(program: str) -> Path | None:
    """Return the file that the shell runs by this name."""
    found = shutil.which(program)
    return None if found is None else Path(found).absolute()


def _shortest(path: Path) -> str:
    """Return the path as it is typed from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _read_study(storage: str, study_name: str | None) -> tuple[str, list[TrialRecord], bool]:
    """Return a study's name, its trials, best first, and whether larger scores are better."""
    path = Path(storage.removeprefix("sqlite:///"))
    if ("://" not in storage or storage.startswith("sqlite:///")) and not path.is_file():
        raise SettingsError(f"no storage {str(path)!r}", "--storage", "the file that tune run wrote")
    from autotune.study.records import ranked
    from autotune.study.storage import open_storage, redact
    from autotune.study.study import read_records

    if study_name is None:
        names = _study_names(storage)
        if len(names) != 1:
            listed = "".join(f"\n    {name}" for name in names)
            problem = f"the storage holds {len(names) or 'no'} studies{listed and ':'}{listed}"
            raise SettingsError(problem, redact(storage), "--study-name NAME" if names else "tune run")
        study_name = names[0]
    records, _, maximize = read_records(open_storage(storage), study_name)
    return study_name, ranked(records, maximize=maximize), maximize


def _study_names(storage: str) -> list[str]:
    from autotune.study.storage import open_storage, study_names

    return study_names(open_storage(storage))


def _trial(record: TrialRecord) -> dict[str, Any]:
    """Return a trial as plain values."""
    from autotune.study.records import spread

    return {
        "number": record.number,
        "state": record.state,
        "score": record.score,
        "sd": spread(record.fold_scores),
        "fold_scores": list(record.fold_scores),
        "step": record.step,
        "seconds": record.seconds,
        "params": record.config.flat() if record.config else {},
        "reason": record.reason,
    }


def _predictions(report: Report, data: str) -> pd.DataFrame:
    import pandas as pd

    predicted = report.model.raw(data)
    columns = {"prediction": report.model.answers(predicted)}
    for index, name in enumerate(() if report.model.classes is None else report.model.classes):
        columns[f"probability_{name}"] = predicted[:, index]
    return pd.DataFrame(columns)


def _check_folder(path: str, where: str) -> None:
    """Raise a SettingsError before any work when a file could not be written after it."""
    folder = Path(path).absolute().parent
    if Path(path).is_dir():
        raise SettingsError(f"{path!r} is a folder", where, "the name of a file")
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {str(folder)!r}", where, shlex.join(["mkdir", "-p", str(folder)]))
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"the folder {str(folder)!r} cannot be written", where)


@contextmanager
def _stdin_as_file(data: str) -> Iterator[str]:
    """Yield the path of the data; for ``-``, of a file that holds what stdin does."""
    if data != "-":
        yield data
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="autotune-") as folder:
        path = Path(folder) / "stdin.csv"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield str(path)
