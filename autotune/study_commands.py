"""The commands that look at studies and at those who work at them: ``tune studies``, ``status``, ``trials``, ``stop``.

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autotune.errors import SettingsError
from autotune.settings import DOOR_DEFAULTS
from autotune.study.passwords import redact

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from autotune.study.records import TrialRecord

HALF = "imported by half: tune import again"

C = TypeVar("C", bound=Callable[..., Any])


def study_options(command: C) -> C:
    """Give a command the options that name a study."""
    command = click.option("--json", "as_json", is_flag=True, help="print JSON")(command)
    command = click.option("--study-name", help="the study; not needed when the storage holds only one")(command)
    return storage_option(command)


def storage_option(command: C) -> C:
    """Give a command the option that names a storage."""
    default = DOOR_DEFAULTS["cli"]["storage"]
    return click.option("--storage", default=default, show_default=True, help="SQLite or .journal file, or URL")(
        command
    )


def find_study(storage: str, study_name: str | None, *, reading: bool = True) -> optuna.Study:
    """Return the study of that name, or the only one of a storage; to be changed, unless it is only read.

    Raises
    ------
    SettingsError
        When there is no such file, or more than one study to choose from.
    UnknownNameError
        When the storage holds no study of that name.
    """
    from autotune.study.opening import load_study
    from autotune.study.storage import study_names

    opened = existing_storage(storage, reading)
    if study_name is None:
        names = study_names(opened)
        if len(names) != 1:
            listed = "".join(f"\n    {name}" for name in names)
            problem = f"the storage holds {len(names) or 'no'} studies{listed and ':'}{listed}"
            raise SettingsError(problem, redact(storage), "--study-name NAME" if names else "tune run")
        study_name = names[0]
    return load_study(opened, study_name)


def existing_storage(storage: str, reading: bool = True) -> BaseStorage:
    """Open a storage that is there; a command that only looks makes no file."""
    from autotune.study.storage import open_storage, storage_file

    path = storage_file(storage)
    if path is not None and not path.is_file():
        raise SettingsError(f"no storage {str(path)!r}", "--storage", "the file that tune run wrote")
    return open_storage(storage, reading=reading)


@click.command()
@storage_option
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def studies(storage: str, as_json: bool) -> None:
    """List the studies of a storage."""
    from autotune.study.opening import summaries
    from autotune.study.records import show_states

    found = summaries(existing_storage(storage))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max((len(each["study_name"]) for each in found), default=0)
    for each in found:
        best = "" if each["best_score"] is None else f"best {each['metric']} {each['best_score']:.5g}"
        states = show_states(each["trials"])
        half = HALF if each["is_half_imported"] else ""
        click.echo(f"{each['study_name']:<{width}}  {states or 'no trials'}  {best}  {half}".rstrip())


@click.command()
@study_options
def status(storage: str, study_name: str | None, as_json: bool) -> None:
    """Show how a study stands: its trials, its best, what is left to do, and who runs what and for how long."""
    from autotune.study.standing import standing

    found = standing(find_study(storage, study_name))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in status_lines(found):
        click.echo(line)


def status_lines(found: Mapping[str, Any]) -> list[str]:
    """Return what `autotune.study.standing.standing` found as lines for people."""
    from autotune.console import show_score
    from autotune.countdown import show_time
    from autotune.study.records import show_states

    better = "larger" if found["maximize"] else "smaller"
    goal, left = found["goal"]["n_trials"], found["seconds_left"]
    of = "" if goal is None else f" of {goal}"
    states = show_states(found["trials"]) or "none yet"
    lines = [f"{found['study_name']}: {found['metric']} ({better} is better)", f"trials: {states}"]
    lines.append(f"finished: {found['n_finished']}{of}" + ("" if left is None else f", about {show_time(left)} left"))
    if len(found["finished_by"]) > 1:
        lines[-1] += " (" + ", ".join(f"{count} by {host}" for host, count in found["finished_by"].items()) + ")"
    lines += [HALF] * found["is_half_imported"] + ([found["ended"]] if found["ended"] else [])
    if found["best_trial"] is not None:
        lines.append(f"best: trial {found['best_trial']}, {show_score(found['best_score'])}")
    for each in found["running"]:
        rung = "" if each["score"] is None else f", at {show_score(each['score'])} on rung {each['rung']}"
        is_gone = "/" in each["owner"] and not each["is_alive"]
        gone = " (that process is gone; tune run or tune work takes it up)" if is_gone else ""
        lines.append(f"  trial {each['number']} runs for {_age(each['seconds'])} on {_who(each['owner'])}{rung}{gone}")
    return lines


@click.command()
@study_options
@click.argument("number", type=int, required=False)
@click.option("--state", type=click.Choice(["complete", "pruned", "failed", "running"]), help="only these")
def trials(storage: str, study_name: str | None, as_json: bool, number: int | None, state: str | None) -> None:
    """Show the trials of a study, or all that is known of trial NUMBER: its rungs, and what it printed."""
    from autotune.study.rows import records_of

    study = find_study(storage, study_name)
    if number is not None:
        _show_trial(study, number, as_json)
        return
    records = [record for record in records_of(study) if state in (None, record.state)]
    if as_json:
        listed = [plain_trial(record) for record in records]
        click.echo(json.dumps({"study_name": study.study_name, "trials": listed}, default=str, indent=2))
        return
    for record in records:
        score = "" if record.score is None else f"{record.score:.5g}"
        seconds = "" if record.seconds is None else f"{record.seconds:.1f} s"
        values = "" if record.config is None else " ".join(f"{k}={v}" for k, v in record.config.flat().items())
        click.echo(f"{record.number:>5}  {record.state:<9}{score:>10}{seconds:>9}  {record.reason or values}")


def _show_trial(study: optuna.Study, number: int, as_json: bool) -> None:
    """Print all that is known of one trial."""
    from autotune.study.rows import OWNER, record_of

    rows = study.get_trials(deepcopy=False)
    if not 0 <= number < len(rows):
        held = f"trials 0 to {len(rows) - 1}" if rows else "no trials"
        raise SettingsError(f"no trial {number}", f"study {study.study_name!r}", f"tune trials; it holds {held}")
    record, owner = record_of(rows[number]), rows[number].user_attrs.get(OWNER, "")
    found = plain_trial(record) | {"rungs": dict(record.rungs or {}), "owner": owner}
    if as_json:
        click.echo(json.dumps({"study_name": study.study_name, **found}, default=str, indent=2))
        return
    log = found.pop("log")
    nested = {name: found.pop(name) for name in ("params", "rungs")}
    found |= {"owner": owner and _who(owner), "fold_scores": ", ".join(f"{score:.5g}" for score in record.fold_scores)}
    for name, value in found.items():
        if value not in (None, ""):
            click.echo(f"{name:<12} {value:.5g}" if isinstance(value, float) else f"{name:<12} {value}")
    for name, values in nested.items():
        width = max((len(str(key)) for key in values), default=0)
        lines = [f"  {key:<{width}}  {value}" for key, value in values.items()]
        click.echo("".join(f"{line}\n" for line in (name, *lines) if lines), nl=False)
    click.echo(f"log\n{log}\n" if log else "", nl=False)


@click.command()
@study_options
def stop(storage: str, study_name: str | None, as_json: bool) -> None:
    """Ask all who work at a study, on whatever machine, to finish the trials they run and to end."""
    from autotune.study.identity import ask_to_stop
    from autotune.study.opening import running_trials

    study = find_study(storage, study_name, reading=False)
    ask_to_stop(study)
    running = running_trials(study)
    if as_json:
        click.echo(json.dumps({"study_name": study.study_name, "running": running}, indent=2))
        return
    click.echo(f"{study.study_name}: asked to stop; {len(running)} trials are running")


@click.command()
@storage_option
@click.argument("study_name", metavar="NAME")
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--force", is_flag=True, help="even while others work at it")
def delete(storage: str, study_name: str, yes: bool, force: bool) -> None:
    """Delete a study with all its trials."""
    from autotune.study.opening import delete_study, running_trials
    from autotune.study.records import show_states
    from autotune.study.rows import records_of

    study = find_study(storage, study_name, reading=False)
    counts = Counter(record.state for record in records_of(study))
    said = show_states(counts) or "no trials"
    held = [each for each in running_trials(study) if each["is_alive"]]
    if held and not force:
        owners = ", ".join(sorted({_who(each["owner"]) for each in held}))
        raise SettingsError(
            f"{len(held)} of its trials run on {owners}", f"study {study_name!r}", "tune stop, or --force"
        )
    if not yes:
        click.confirm(f"delete {study_name!r} with {said}?", abort=True, err=True)
    delete_study(study)
    click.echo(f"{study_name}: deleted, with {said}", err=True)


def plain_trial(record: TrialRecord) -> dict[str, Any]:
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
        "log": record.log,
    }


def _who(owner: str) -> str:
    host, _, rest = owner.partition("/")
    return f"{host}, process {rest.partition('/')[0]}" if rest else owner


def _age(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds >= 60 else f"{seconds:.0f} s"


STUDY_COMMANDS = (studies, status, trials, stop, delete)
