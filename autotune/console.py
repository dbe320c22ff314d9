"""Console: progress and tables on a terminal, and plain lines where there is none. The only room that knows rich."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import rich.console
from rich import box
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autotune.countdown import Countdown
from autotune.study.records import TrialRecord, ranked, spread
from autotune.watcher import Opening

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autotune.spaces.space import Config

FRAMES_A_SECOND = 8
BAR_WIDTH = 24
COLUMN_GAP = 3
PIPED_WIDTH = 100_000
"""Nothing is wrapped or cut where no terminal sets a width."""

_STAGES = {
    "search": "searching",
    "refit": "training the best configuration on all search rows",
    "test": "looking at the test rows",
    "refit on all rows": "training on search and test rows together",
}
_STYLES = {"complete": "", "pruned": "dim", "failed": "red", "running": "cyan"}


class Console:
    """A `Watcher` that shows a run on stderr: a live line on a terminal, a plain line a trial elsewhere.

    Parameters
    ----------
    file : file, optional
        Where to write instead of stderr.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._console = rich.console.Console(
            file=file or sys.stderr, highlight=False, markup=False, emoji=False, force_jupyter=False
        )
        self._on_terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live: Live | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._stage = ""
        self._countdown = Countdown(None, float("inf"))
        self._maximize = False
        self._best: TrialRecord | None = None
        self._last: TrialRecord | None = None

    def planned(self, opening: Opening) -> None:
        """Show what is about to be done, and everything that was inferred, dropped or changed."""
        name, colon, rest = opening.title.partition(": ")
        self._line((name, "bold"), (colon + rest, ""))
        for fact in opening.facts:
            self._line((fact, "dim"))
        for note in opening.notes:
            self._line((f"- {note}", "dim"))
        self._countdown = Countdown(opening.n_trials, opening.deadline)
        self._maximize = opening.maximize

    def joined(self, records: tuple[TrialRecord, ...]) -> None:
        """Show what the study holds already."""
        self._countdown.begin(records)
        first = ranked(records, maximize=self._maximize)[:1]
        self._best = first[0] if first and first[0].state == "complete" else None
        if finished := [record for record in records if record.state != "running"]:
            enough = ", as many as it shall" if self._countdown.is_over() else ""
            self._line((f"the study holds {len(finished)} finished trials already{enough}", "dim"))

    def told(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Count the trial; a new best leaves a line on a terminal, any trial leaves one elsewhere."""
        self._countdown.count(record)
        is_best = best is not None and best.number == record.number
        self._last, self._best = record, best
        if self._on_terminal:
            if is_best:
                self._show_best(record)
        else:
            self._line((self._plain_line(record, is_best), ""))

    def stage(self, name: str) -> None:
        """Show what is being done."""
        if self._stage == "search" and self._countdown.states:
            self._line((self._countdown.summary(), "dim"))
        self._stage = name
        if not self._on_terminal:
            if name != "search":
                self._line((_STAGES.get(name, name), ""))
        elif self._live is None:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=FRAMES_A_SECOND,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()

    def said(self, line: str) -> None:
        """Show the line."""
        self._line((line, "yellow"))

    def over(self) -> None:
        """Give the terminal back as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, *parts: tuple[str, str]) -> None:
        """Print a line; one that is too long goes on below on a terminal, and as it is elsewhere."""
        self._console.print(Text.assemble(*parts), soft_wrap=not self._on_terminal)

    def _show_best(self, record: TrialRecord) -> None:
        line = Text.assemble(
            ("  best  ", "green"),
            (f"{show_score(record.score):>9}  ", "bold"),
            (f"trial {record.number:<4} ", "dim"),
            *_describe_parts(record),
        )
        self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def _plain_line(self, record: TrialRecord, is_best: bool) -> str:
        seconds = "" if record.seconds is None else f" in {record.seconds:.1f} s"
        mark = ", the best so far" if is_best else ""
        why = f" ({record.reason})" if record.reason else ""
        score = "" if record.score is None else f" {show_score(record.score)}"
        tried = f": {describe(record.config)}" if record.config and is_best else ""
        return f"{self._countdown.counted()}: trial {record.number} {record.state}{score}{seconds}{why}{mark}{tried}"

    def _render(self) -> RenderableType:
        """Return the live line as it is now."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        text = Text(no_wrap=True, overflow="ellipsis")
        if self._stage != "search":
            grid.add_column(no_wrap=True)
            grid.add_row(self._spinner, text.append(_STAGES.get(self._stage, self._stage), "dim"))
            return grid
        grid.add_column(width=BAR_WIDTH)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=1.0, completed=self._countdown.share(), width=BAR_WIDTH, complete_style="cyan")
        text.append(f"{self._countdown.counted()} trials")
        if self._best is not None:
            text.append("  best ", "dim").append(show_score(self._best.score), "bold green")
        if self._last is not None:
            text.append(f"  last {_show_outcome(self._last)}", "dim")
        text.append(f"  {self._countdown.time_left()}", "dim")
        grid.add_row(self._spinner, bar, text)
        return grid


def describe(config: Config) -> str:
    """Return a configuration in one line: the learner, then what it was given.

    Examples
    --------
    >>> from autotune.spaces.space import Config
    >>> describe(Config("linear", {"C": 0.123456, "penalty": "l2"}))
    'linear C=0.1235 penalty=l2'
    """
    return " ".join([config.learner, *_assignments(config.params)])


def show_score(score: float | None) -> str:
    """Return a score with five digits, trailing zeros kept so that scores below each other line up.

    Examples
    --------
    >>> show_score(0.9), show_score(54.0861), show_score(None)
    ('0.90000', '54.086', '')
    """
    if score is None:
        return ""
    if 1e-3 <= abs(score) < 1:
        return f"{score:.5f}"
    return f"{score:#.5g}".rstrip(".") if 1 <= abs(score) < 1e5 else f"{score:.5g}"


def show_leaderboard(records: Sequence[TrialRecord], *, maximize: bool, limit: int) -> None:
    """Print the trials on stdout, best first.

    Parameters
    ----------
    records : sequence of TrialRecord
        In any order.
    maximize : bool
        Whether larger scores are better.
    limit : int
        How many rows to show at most.
    """
    console = results()
    rows = ranked(records, maximize=maximize)
    shown = rows[:limit]
    varying = varying_params(records)
    params = [_shown_params(record, varying) for record in shown]
    names = dict.fromkeys(name for each in params for name in each)
    table = _trials_table(shown, {name: [show_value(each.get(name, "")) for each in params] for name in names})
    several = len({record.config.learner for record in shown if record.config}) > 1
    if several or _width(console, table) > console.width:
        room = console.width - _width(console, _trials_table(shown, {}))
        lines = [" ".join(_assignments(each)) for each in params]
        table = _trials_table(shown, {"parameters": lines}, max(8, room - COLUMN_GAP))
    console.print(table)
    if len(rows) > len(shown):
        console.print(Text(f"… and {len(rows) - len(shown)} more", "dim"))


def show_values(values: Mapping[str, Any], title: str) -> None:
    """Print names with their values on stdout, a line each, under a title."""
    console = results()
    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        table.add_row(Text(f"  {name}", "dim"), Text(show_value(value)))
    console.print(Text(title, "bold"), soft_wrap=True)
    console.print(table)


def show_value(value: Any) -> str:
    """Return a parameter's value as people write it.

    Examples
    --------
    >>> show_value(0.000123456), show_value(True), show_value(None)
    ('0.0001235', 'true', 'none')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def varying_params(records: Iterable[TrialRecord]) -> dict[str, set[str]]:
    """Return for each learner the parameters that are not the same in all of its trials.

    Examples
    --------
    >>> from autotune.spaces.space import Config
    >>> trials = [TrialRecord(i, "complete", Config("linear", {"C": i, "penalty": "l2"}), 0.5) for i in range(2)]
    >>> varying_params(trials)
    {'linear': {'C'}}
    """
    seen: dict[str, dict[str, set[str]]] = {}
    n_trials: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for config in (record.config for record in records if record.config):
        n_trials[config.learner] += 1
        for name, value in config.params.items():
            seen.setdefault(config.learner, {}).setdefault(name, set()).add(repr(value))
            counts[config.learner, name] += 1
    return {
        learner: {
            name
            for name, values in by_name.items()
            if len(values) > 1 or counts[learner, name] < n_trials[learner] or n_trials[learner] == 1
        }
        for learner, by_name in seen.items()
    }


def _trials_table(
    records: Sequence[TrialRecord], columns: Mapping[str, Sequence[str]], max_width: int | None = None
) -> Table:
    """Make the table of trials, with these columns at its end."""
    table = plain_table("rank", "trial", "state", "score", "sd", "step", "seconds", "learner")
    for column in table.columns:
        column.no_wrap = True
        column.justify = "left" if column.header in ("state", "learner") else "right"
    for header in columns:
        table.add_column(header, no_wrap=True, overflow="ellipsis", max_width=max_width)
    for row, record in enumerate(records):
        cells = (values[row] for values in columns.values())
        table.add_row(*_trial_cells(row + 1, record), *cells, style=_STYLES[record.state])
    return table


def _width(console: rich.console.Console, table: Table) -> int:
    """Return how wide a table would like to be."""
    return Measurement.get(console, console.options.update(max_width=PIPED_WIDTH), table).maximum


def _shown_params(record: TrialRecord, varying: Mapping[str, set[str]]) -> dict[str, Any]:
    if record.config is None:
        return {}
    wanted = varying.get(record.config.learner, set())
    return {name: value for name, value in record.config.params.items() if name in wanted}


def _trial_cells(rank: int, record: TrialRecord) -> Iterator[str]:
    sd = spread(record.fold_scores)
    yield str(rank) if record.state == "complete" else ""
    yield str(record.number)
    yield record.state
    yield show_score(record.score)
    yield "" if sd is None else f"{sd:#.2g}".rstrip(".")
    yield "" if record.step is None else str(record.step)
    yield "" if record.seconds is None else f"{record.seconds:.1f}"
    yield record.config.learner if record.config else ""


def _describe_parts(record: TrialRecord) -> Iterator[tuple[str, str]]:
    if record.config is not None:
        yield record.config.learner, "cyan"
        yield f" {' '.join(_assignments(record.config.params))}", "dim"


def _assignments(params: Mapping[str, Any]) -> list[str]:
    return [f"{name}={show_value(value)}" for name, value in params.items()]


def _show_outcome(record: TrialRecord) -> str:
    return show_score(record.score) if record.state == "complete" else record.state


def show_live(looks: Iterable[Sequence[str]]) -> None:
    """Show lines that change: in one place on a terminal, or else each line that is new below the others."""
    console = results()
    if not console.is_terminal:
        known: set[str] = set()
        for lines in looks:
            for line in lines:
                if line not in known:
                    console.print(line, soft_wrap=True)
            known = set(lines)
        return
    with Live(console=console, refresh_per_second=FRAMES_A_SECOND) as live:
        for lines in looks:
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)


def plain_table(*headers: str) -> Table:
    """Return an empty table with these headers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def results() -> rich.console.Console:
    """Return a console on stdout that neither wraps nor cuts when it is no terminal."""
    console = rich.console.Console(highlight=False, markup=False, emoji=False, force_jupyter=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console
