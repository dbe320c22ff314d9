"""The commands that share a study: ``tune work`` joins one.

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import json
import sys
import warnings
from contextlib import redirect_stdout
from typing import Any

import click

from autotune.shell import Interrupts, stdin_as_file
from autotune.study_commands import find_study, study_options


@click.command()
@study_options
@click.argument("data", metavar="[DATA]", required=False)
@click.option("--n-jobs", type=int, default=-1, show_default=True, help="trials at a time; -1 for all cores")
@click.option("--timeout", help='when to end here, such as "10m" [default: when the study ends]')
@click.option("--device", help="device for networks: cpu, cuda, cuda:1 or mps [default: the best]")
@click.option("--progress/--no-progress", default=None, help="show progress [default: only on a terminal]")
def work(storage: str, study_name: str | None, as_json: bool, data: str | None, **given: Any) -> None:
    """Work at a study with this machine's cores, until it holds what it shall hold.

    The study says all the rest: space, metric, folds and budget are those of the tune run (or tune optimize) that made
    it. DATA is the same table, as any file that holds it; it is not needed where the file of that run is in its place.
    """
    study = find_study(storage, study_name)
    with redirect_stdout(sys.stderr), warnings.catch_warnings(), Interrupts() as stop, stdin_as_file(data) as path:
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # third parties' warnings
        from autotune.joining import work as work_at

        found = work_at(study._storage, study.study_name, path, stop=stop, **given)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))


JOINING_COMMANDS = (work,)
