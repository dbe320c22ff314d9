"""The commands that share a study: ``work``, ``replay``, ``retry``, ``watch``, ``export``, ``import``, ``dashboard``.

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from autotune.data.writers import find_writer, write_table, write_text
from autotune.errors import StorageLostError
from autotune.shell import Interrupts, check_folder, stdin_as_file
from autotune.study_commands import existing_storage, find_study, status_lines, storage_option, study_options

C = TypeVar("C", bound=Callable[..., Any])


def code_options(command: C) -> C:
    """Give a command the options that name a study's own code where it is not where the study says."""
    model = click.option(
        "--model", help='the study\'s own model, where its file is another one here: "my_model.py:build"'
    )
    objective = click.option("--objective", help="that of a study of tune optimize, likewise")
    return model(objective(command))


@click.command()
@study_options
@click.argument("data", metavar="[DATA]", required=False)
@click.option("--n-jobs", type=int, default=-1, show_default=True, help="trials at a time; -1 for all cores")
@click.option("--timeout", help='when to end here, such as "10m" [default: when the study ends]')
@click.option("--device", help="device for networks: cpu, cuda, cuda:1 or mps [default: the best]")
@code_options
@click.option("--progress/--no-progress", default=None, help="show progress [default: only on a terminal]")
def work(storage: str, study_name: str | None, as_json: bool, data: str | None, **given: Any) -> None:
    """Work at a study with this machine's cores, until it holds what it shall hold.

    The study says all the rest: space, metric, folds and budget are those of the tune run (or tune optimize) that made
    it. DATA is the same table, as any file that holds it; it is not needed where the file of that run is in its place.
    """
    study = find_study(storage, study_name, reading=False)
    with _quiet(), Interrupts() as stop, stdin_as_file(data) as path:
        from autotune.joining import work as work_at

        found = work_at(study._storage, study.study_name, path, stop=stop, **given)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))


@click.command()
@study_options
@click.argument("number", metavar="NUMBER", type=click.IntRange(min=0))
@click.argument("data", metavar="[DATA]", required=False)
@click.option(
    "--tolerance", type=click.FloatRange(min=0), help="how far scores may be apart [default: 0 here, .001 elsewhere]"
)
@click.option("--device", help="device for networks: cpu, cuda, cuda:1 or mps [default: the best]")
@code_options
def replay(storage: str, study_name: str | None, as_json: bool, number: int, data: str | None, **given: Any) -> None:
    """Train a trial again, and check that it gives the scores that the study holds.

    Ends with exit code 1 where it does not. DATA is as for tune work.
    """
    study = find_study(storage, study_name)
    with _quiet(), stdin_as_file(data) as path:
        from autotune.replaying import replay as train_again

        found = train_again(study._storage, study.study_name, number, path, **given)
    click.echo(json.dumps(found.to_dict(), default=str, indent=2) if as_json else str(found))
    if not found.agrees:
        raise SystemExit(1)


@click.command()
@study_options
@click.argument("numbers", metavar="[NUMBER]...", type=click.IntRange(min=0), nargs=-1)
def retry(storage: str, study_name: str | None, as_json: bool, numbers: tuple[int, ...]) -> None:
    """Give failed trials another chance, all of them or these.

    They keep their numbers and parameters, and run with the next tune run or tune work.
    """
    from autotune.study.opening import running_trials
    from autotune.study.retrying import retry as open_again

    study = find_study(storage, study_name, reading=False)
    opened = open_again(study, numbers)
    is_searched = any(each["is_alive"] for each in running_trials(study))
    if as_json:
        found = {"study_name": study.study_name, "retried": opened, "is_searched": is_searched}
        click.echo(json.dumps(found, indent=2))
        return
    listed = ", ".join(map(str, opened))
    click.echo(f"{study.study_name}: " + (f"trials {listed} will run again" if opened else "no trial has failed"))
    if opened and is_searched:
        click.echo("a search that runs now will not take them up: the next tune run or tune work does", err=True)


@click.command()
@study_options
@click.option("--every", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="seconds between looks")
def watch(storage: str, study_name: str | None, as_json: bool, every: float) -> None:
    """Watch a study until its search is over: live on a terminal, or else each line that is new."""
    from autotune.study.opening import load_study
    from autotune.study.standing import standing

    study = find_study(storage, study_name)

    def looks() -> Iterator[dict[str, Any]]:
        while True:
            try:
                found = standing(load_study(study._storage, study.study_name))
            except StorageLostError as error:  # it may come back, as whoever searches hopes too
                click.echo(f"{error.problem}; looking again", err=True)
            else:
                yield found
                if found["is_over"]:
                    return
            time.sleep(every)

    if as_json:
        for found in looks():
            click.echo(json.dumps(found))
        return
    from autotune.console import show_live

    show_live(status_lines(found) for found in looks())


@click.command("export")
@storage_option
@click.option("--study-name", help="the study; not needed when the storage holds only one")
@click.option("-o", "--output", metavar="FILE", help="a .json file, or the trials alone as .csv, .parquet or .jsonl")
def export_study(storage: str, study_name: str | None, output: str | None) -> None:
    """Write a study as JSON, to stdout or to a file, with all that its storage holds of it.

    tune import makes a study of it in another storage.
    """
    from autotune.study.moving import to_document

    study, path = find_study(storage, study_name), Path(output or "-")
    if output is not None:
        check_folder(output, "--output")
    if output is None or path.suffix.lower() == ".json":
        text = json.dumps(to_document(study), indent=1)
        click.echo(text) if output is None else write_text(text, path)
    else:
        from autotune.study.records import leaderboard
        from autotune.study.rows import records_of

        find_writer(path)
        write_table(leaderboard(records_of(study), maximize=study.direction.name == "MAXIMIZE"), path)
    if output is not None:
        click.echo(f"{study.study_name} in {output}", err=True)


@click.command("import")
@storage_option
@click.argument("file", metavar="FILE", type=click.File("rb"))
@click.option("--study-name", help="what it is to be called [default: as it was]")
def import_study(storage: str, file: BinaryIO, study_name: str | None) -> None:
    """Make a study of what tune export wrote. FILE may be - for stdin."""
    from autotune.study.moving import from_document, parse
    from autotune.study.storage import open_storage

    where = getattr(file, "name", "stdin")
    study = from_document(parse(file.read(), where), open_storage(storage), study_name, where)
    click.echo(f"{study.study_name}: imported, with {len(study.get_trials(deepcopy=False))} trials", err=True)


@click.command()
@storage_option
@click.option("--host", default="localhost", show_default=True, help="address to listen at")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="port to listen at")
def dashboard(storage: str, host: str, port: int) -> None:
    """Serve optuna-dashboard on a storage, until Ctrl-C."""
    from autotune.study.dashboard import serve_dashboard

    serve_dashboard(existing_storage(storage), host, port)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep third parties' prints and warnings away from the results."""
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield


JOINING_COMMANDS = (work, replay, retry, watch, export_study, import_study, dashboard)
