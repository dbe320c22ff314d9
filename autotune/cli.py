"""The command line: ``tune run``, ``demo``, ``leaderboard``, ``best``, ``predict``, ``spaces``; more in its neighbours.

Results go to stdout, all else to stderr. The exit code is 0 when all is done, 1 when the run failed, 2 when the command
or its input was wrong, 130 when it was interrupted. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autotune import __version__
from autotune.data.writers import find_writer, write_table
from autotune.errors import AutotuneError, NoSuccessfulTrialError, PlugInError, StorageError, StudyError
from autotune.joining_commands import JOINING_COMMANDS
from autotune.settings import DEFAULTS, DOOR_DEFAULTS, Settings, make_settings
from autotune.shell import FAILED, INTERRUPTED, Interrupts, check_folder, stdin_as_file, typed
from autotune.space_commands import space_commands
from autotune.study.passwords import redact
from autotune.study_commands import STUDY_COMMANDS, existing_storage, find_study, plain_trial, study_options

if TYPE_CHECKING:
    import pandas as pd

    from autotune.report import Report
    from autotune.study.records import TrialRecord

C = TypeVar("C", bound=Callable[..., Any])

WRONG = 2
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
        except KeyboardInterrupt:  # first: it may come while what the other clauses need is imported
            click.echo("interrupted", err=True)
            context.exit(INTERRUPTED)
        except AutotuneError as error:
            click.echo(f"error: {error}", err=True)
            failed = isinstance(error, StudyError | PlugInError) and type(error) is not StorageError
            context.exit(FAILED if failed else WRONG)
        except _failures_of_storages() as error:
            from autotune.study.failures import unusable

            click.echo(f"error: {unusable(error)}", err=True)
            context.exit(FAILED)


def _failures_of_storages() -> tuple[type[Exception], ...]:
    """Return the errors by which databases fail, of the packages that are loaded."""
    if "optuna" not in sys.modules:
        return ()
    from autotune.study.failures import kinds_of_failure

    return tuple(kind for kind in kinds_of_failure() if kind is not OSError)


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
    names = [f"--{each}" for each in (setting.metadata["option"], name) if each]
    return click.option(*names, setting.name, type=kind, **words)


@main.command()
@click.argument("data", metavar="DATA")
@click.option("--target", help="column to predict")
@click.option("--save", "saved", metavar="MODEL", help="write report and model to this file, for tune predict")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object on stdout, and nothing else there")
@click.option("--set", "sets", multiple=True, metavar="PATH=ENTRY", help="set a parameter: mlp.units='{int=[8,64]}'")
@click.option("--fix", "fixes", multiple=True, metavar="PATH=VALUE", help="fix a parameter: mlp.optimizer=adamw")
@_setting_options
def run(
    data: str,
    target: str | None,
    saved: str | None,
    as_json: bool,
    sets: tuple[str, ...],
    fixes: tuple[str, ...],
    **given: Any,
) -> None:
    """Find the best model for a table.

    DATA is a CSV, Parquet, Feather, JSON lines or Excel file, or - for a CSV on stdin.

    The study lives in --storage, so the same command again goes on where it stopped, and a larger --n-trials searches
    longer.
    """
    changes = {"set": sets, "fix": fixes}
    report = _tune(data, target, saved, {**given, "space": _changed(given["space"], given["model"], sets, fixes)})
    if as_json:
        click.echo(json.dumps({**report.to_dict(), "model": saved}, default=str, indent=2))
        return
    _show(report)
    _say_next(report, data, {"target": target, **given, **changes, "progress": None}, saved)


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
    command = typed("run", TABLE, **again, random_state=0, save=MODEL)
    click.echo(f"{TABLE}: {SUMMARY}\nthe demo is {command}\n", err=True)
    report = _tune(TABLE, TARGET, MODEL, {**settings, "random_state": 0, "progress": True})
    _show(report)
    _say_next(report, TABLE, again, MODEL)


OPTIMIZING = (
    *("n_trials", "timeout", "sampler", "pruner", "trial_timeout", "memory_limit", "patience", "target_score"),
    *("min_gain", "n_jobs", "deterministic", "storage", "study_name", "from_study", "random_state", "progress"),
)
"""The settings that an objective without a table has, beside its space."""


def _optimizing_options(command: C) -> C:
    for setting in reversed(fields(Settings)):
        if setting.name in OPTIMIZING:
            command = _setting_option(setting)(command)
    return command


@main.command()
@click.argument("objective", metavar="OBJECTIVE")
@click.option("--space", required=True, help="a TOML, YAML or JSON file with one table of parameters")
@click.option("--set", "sets", multiple=True, metavar="PATH=ENTRY", help="set a parameter: x='{float=[0,1]}'")
@click.option("--fix", "fixes", multiple=True, metavar="PATH=VALUE", help="fix a parameter: mode=fast")
@click.option("--direction", type=click.Choice(["minimize", "maximize"]), default="minimize", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object on stdout, and nothing else there")
@_optimizing_options
def optimize(
    objective: str,
    space: str,
    direction: str,
    as_json: bool,
    sets: tuple[str, ...],
    fixes: tuple[str, ...],
    **given: Any,
) -> None:
    """Find the best configuration of a function of yours.

    OBJECTIVE is "my_script.py:function" or "package.module:function". It takes a dict of parameters, and returns a
    score, or yields one after each step.
    """
    started = time.time()
    settings = make_settings("cli", space=_changed(space, None, sets, fixes), **given)
    with redirect_stdout(sys.stderr), Interrupts() as stop:
        from autotune.api import optimize_with

        found = optimize_with(settings, objective, direction=direction, started=started, stop=stop)
    click.echo(json.dumps(found.to_dict(), default=str, indent=2) if as_json else str(found))


@main.command()
@study_options
@click.option("-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, help="how many rows to show")
def leaderboard(storage: str, study_name: str | None, as_json: bool, limit: int) -> None:
    """Show a study's trials, best first; it may still be running."""
    name, records, maximize = _read_study(storage, study_name)
    if as_json:
        trials = [plain_trial(record) for record in records[:limit]]
        click.echo(json.dumps({"study_name": name, "maximize": maximize, "trials": trials}, default=str, indent=2))
        return
    from autotune.console import show_leaderboard

    click.echo(f"{name}: {len(records)} trials, {'larger' if maximize else 'smaller'} is better\n")
    show_leaderboard(records, maximize=maximize, limit=limit)


@main.command()
@study_options
def best(storage: str, study_name: str | None, as_json: bool) -> None:
    """Show the best configuration of a study."""
    name, records, _ = _read_study(storage, study_name)
    if not records or records[0].state != "complete":
        raise NoSuccessfulTrialError(f"none of its {len(records)} trials is complete", f"study {name!r}", "tune run")
    trial = plain_trial(records[0])
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
        check_folder(output, "--output")
    from autotune.report import load

    report = load(model)
    with stdin_as_file(data) as path:
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

    NAME is a built-in space, several joined by commas, or a TOML, YAML or JSON file.
    """
    from autotune.space_tables import show_space, show_spaces
    from autotune.spaces.catalog import find_space
    from autotune.spaces.files import built_in_names

    if name is None:
        show_spaces({each: find_space(each) for each in built_in_names()})
    else:
        show_space(find_space(name))


main.add_command(space_commands)
for each in (*STUDY_COMMANDS, *JOINING_COMMANDS):
    main.add_command(each)


def _changed(space: str | None, model: str | None, sets: tuple[str, ...], fixes: tuple[str, ...]) -> Any:
    """Return the space, or that of somebody's own model, with what ``--set`` and ``--fix`` change."""
    if not (sets or fixes):
        return space
    from autotune.learners.custom import own_space
    from autotune.spaces.catalog import find_space
    from autotune.spaces.changes import changed

    start = own_space(model) if model and space is None else find_space(space or DEFAULTS.space)
    return changed(start, sets, fixes)


def _tune(data: str, target: str | None, saved: str | None, given: Mapping[str, Any]) -> Report:
    """Tune, and save the model if asked to; what anything prints meanwhile goes to stderr."""
    started = time.time()
    settings = make_settings("cli", **given)
    if saved is not None:
        check_folder(saved, "--save")
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings(), stdin_as_file(data) as path, Interrupts() as stop:
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # third parties' warnings; ours stand in the report
            from autotune.api import tune_with

            words: dict[str, Any] = {"target": target, "is_passing": data == "-"}
            report = tune_with(settings, path, **words, started=started, stop=stop)
    except KeyboardInterrupt:
        shown = redact(settings.storage)
        click.echo(f"\nthe study in {shown} keeps every finished trial: the same command goes on", err=True)
        raise
    if saved is not None:
        report.save(saved)
    return report


def _show(report: Report) -> None:
    """Print the report and the first rows of its leaderboard."""
    from autotune.console import show_leaderboard

    click.echo(f"{report}\n")
    show_leaderboard(report.records, maximize=report.maximize, limit=TOP)


def _say_next(report: Report, data: str, again: Mapping[str, Any], saved: str | None) -> None:
    """Say on stderr what to type next, as commands that work as they stand."""
    storage = again["storage"] or DOOR_DEFAULTS["cli"]["storage"]
    alone = _is_alone(report.study_name, storage)
    storage, again = redact(storage), {**again, "storage": again["storage"] and redact(again["storage"])}
    where = {"storage": again["storage"], "study_name": None if alone else report.study_name}
    more = {**again, "n_trials": 2 * len(report.records), "timeout": None}
    lines = {
        "all trials": typed("leaderboard", **where),
        "the best": typed("best", **where),
        "search on": typed("run", data, **more, save=saved),
    }
    if saved is None:
        lines["keep a model"] = typed("run", data, **again, save="tuned.model")
    else:
        lines["predict"] = typed("predict", saved, data, output="predictions.csv")
    settings = {name: value for name, value in {**again, "storage": storage}.items() if value not in (None, ())}
    if "set" not in settings and "fix" not in settings:
        words = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        lines["in Python"] = f"autotune.tune({data!r}, {words})"
    click.echo("\nnext", err=True)
    for what, command in lines.items():
        click.echo(f"  {what:<13} {command}", err=True)


def _read_study(storage: str, study_name: str | None) -> tuple[str, list[TrialRecord], bool]:
    """Return a study's name, its trials, best first, and whether larger scores are better."""
    study = find_study(storage, study_name)
    from autotune.study.opening import summary
    from autotune.study.records import ranked
    from autotune.study.rows import records_of

    maximize = summary(study)["maximize"]
    return study.study_name, ranked(records_of(study), maximize=maximize), maximize


def _is_alone(study_name: str, storage: str) -> bool:
    """Return whether a storage holds that study alone; one that does not answer any more may hold others."""
    from autotune.study.failures import telling_failures
    from autotune.study.storage import study_names

    try:
        with telling_failures():
            return study_names(existing_storage(storage)) == [study_name]
    except AutotuneError:
        return False


def _predictions(report: Report, data: str) -> pd.DataFrame:
    import pandas as pd

    predicted = report.model.raw(data)
    columns = {"prediction": report.model.answers(predicted)}
    for index, name in enumerate(() if report.model.classes is None else report.model.classes):
        columns[f"probability_{name}"] = predicted[:, index]
    return pd.DataFrame(columns)
