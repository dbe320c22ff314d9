"""Spaces as tables on a terminal. With `console`, the only room that knows rich."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from autotune.console import plain_table, results, show_value
from autotune.spaces.difference import Difference
from autotune.spaces.forbid import Forbid
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int, Parameter
from autotune.spaces.space import Space


def show_spaces(spaces: Mapping[str, Space]) -> None:
    """Print the spaces by their names on stdout, with what they say of themselves."""
    table = plain_table("space", "parameters", "what it is")
    for name, space in spaces.items():
        n_parameters = sum(len(parameters) for parameters in space.learners.values())
        table.add_row(Text(name, "bold"), Text(str(n_parameters), justify="right"), space.summary)
    results().print(table)


def show_space(space: Space) -> None:
    """Print a space on stdout: every parameter with its range, default and condition."""
    console = results()
    console.print(Text.assemble((space.name, "bold"), f"  {space.summary}"), soft_wrap=True)
    for learner, parameters in space.learners.items():
        if learner in space.models:
            console.print(Text(f"\n{learner} is {space.models[learner]}"), soft_wrap=True)
        table = plain_table(learner, "kind", "values", "scale", "default", "when")
        for name, parameter in parameters.items():
            table.add_row(name, *_parameter_cells(parameter))
        console.print()
        console.print(table)
    for clause in space.forbid:
        console.print(Text(f"\nforbidden with {_clause(clause)}"), soft_wrap=True)
    if space.starts:
        plural = "configuration is" if len(space.starts) == 1 else "configurations are"
        console.print(Text(f"\nafter the defaults, {len(space.starts)} known {plural} tried first", "dim"))


def show_differences(found: Iterable[Difference]) -> int:
    """Print what differs between two spaces on stdout, - before and + after; return how many things do."""
    console, count = results(), 0
    for count, each in enumerate(found, start=1):  # noqa: B007  the count is what is returned
        for sign, value, style in (("-", each.before, "red"), ("+", each.after, "green")):
            if value is not None:
                console.print(Text(f"{sign} {each.path} = {show_entry(value)}", style), soft_wrap=True)
    return count


def show_entry(value: Any) -> str:
    """Return an entry of a space as a TOML file writes it.

    Examples
    --------
    >>> show_entry({"int": [1, 9], "log": True})
    '{ int = [1, 9], log = true }'
    """
    from autotune.spaces.writing import toml_value

    return toml_value(value)


def _parameter_cells(parameter: Parameter) -> tuple[str, str, str, str, str]:
    """Return kind, values, scale, default and condition."""
    when = " and ".join(f"{name} = {' or '.join(map(show_value, v))}" for name, v in parameter.when.items())
    match parameter:
        case Fixed(value=value):
            return "fixed", show_value(value), "", "", when
        case Derived(formula=formula):
            return "derived", formula, "", "", when
        case Int(fidelity=True, high=high):
            return "int", f"1 … {high}", "the curve chooses", "", when
        case Float() | Int():
            return parameter.kind, _range(parameter), _scale(parameter), show_value(parameter.default), when
        case Choice(options=options, weights=weights):
            shown = map(show_value, options) if weights is None else _weighted(options, weights)
            scale = "ordered" if parameter.ordered else ""
            return "choice", ", ".join(shown), scale, show_value(parameter.default), when


def _range(parameter: Float | Int) -> str:
    steps = f", every {show_value(parameter.step)}" if parameter.step not in (None, 1) else ""
    beside = "".join(f" or {show_value(value)}" for value in parameter.special)
    return f"{show_value(parameter.low)} … {show_value(parameter.high)}{steps}{beside}"


def _scale(parameter: Float | Int) -> str:
    if isinstance(parameter, Int) and parameter.scale:
        return "powers of 2"
    return "log" if parameter.log else ""


def _weighted(options: Iterable[Any], weights: Iterable[float]) -> list[str]:
    return [f"{show_value(option)} ×{weight:g}" for option, weight in zip(options, weights, strict=True)]


def _clause(clause: Forbid) -> str:
    conditions = clause.to_dict()
    learner = conditions.pop("learner")
    return f"{learner}: " + " and ".join(f"{name} = {show_entry(value)}" for name, value in conditions.items())
