"""The commands ``tune space …``: check, show, compare, begin, sample and convert search spaces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import click

from autotune.errors import AutotuneError, SettingsError

if TYPE_CHECKING:
    from autotune.spaces.space import Space

FORMATS = (".toml", ".yaml", ".json")


@click.group("space")
def space_commands() -> None:
    """Write, check and compare search spaces."""


@space_commands.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
def check(files: tuple[str, ...]) -> None:
    """Check space files: everything that is wrong, as file:line:column.

    FILE is a TOML, YAML or JSON file, or a built-in name.
    """
    wrong = False
    for file in files:
        try:
            space = _checked(file)
        except AutotuneError as error:
            click.echo(str(error), err=True)
            wrong = True
            continue
        click.echo(f"{file}: {_summary(space)}")
    if wrong:
        raise SystemExit(2)


@space_commands.command()
@click.argument("name")
@click.option("--format", "suffix", type=click.Choice([each[1:] for each in FORMATS]), help="print as a file instead")
def show(name: str, suffix: str | None) -> None:
    """Show a space: a table of its parameters, or the text of a file."""
    from autotune.space_tables import show_space
    from autotune.spaces.catalog import find_space
    from autotune.spaces.writing import to_text

    space = find_space(name)
    if suffix is None:
        show_space(space)
    else:
        click.echo(to_text(space, f".{suffix}"), nl=False)


@space_commands.command()
def schema() -> None:
    """Print the JSON schema of space files, for completion and checks in editors.

    In TOML, Taplo and VS Code's Even Better TOML read a first line "#:schema space.schema.json"; in YAML, the Red Hat
    language server reads "# yaml-language-server: $schema=space.schema.json".
    """
    from autotune.learners import LEARNERS, find_learner
    from autotune.learners.declared import parameter_names
    from autotune.spaces.schema import space_schema

    names = {name: parameter_names(find_learner(name)) for name in sorted(LEARNERS)}
    click.echo(json.dumps(space_schema(names), indent=2))


@space_commands.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
def diff(before: str, after: str) -> None:
    """Show what differs between two spaces: - in A, + in B. The exit code is 1 when anything does."""
    from autotune.space_tables import show_differences
    from autotune.spaces.catalog import find_space
    from autotune.spaces.difference import differences

    if show_differences(differences(find_space(before), find_space(after))):
        raise SystemExit(1)
    click.echo("the spaces are equal", err=True)


@space_commands.command()
@click.argument("learner")
@click.option("--model", help='your own model instead: "sklearn.svm:SVC", or "my_model.py:build"')
def init(learner: str, model: str | None) -> None:
    """Print a space file for a learner, commented and ready to edit: tune space init mlp > my.toml."""
    click.echo(_template(learner, model), nl=False)


@space_commands.command()
@click.argument("name", metavar="FILE")
@click.option("-n", "count", type=click.IntRange(min=1), default=5, show_default=True, help="how many configurations")
@click.option("--seed", type=int, default=0, show_default=True, help="of the draws")
def sample(name: str, count: int, seed: int) -> None:
    """Draw configurations from a space, one JSON object a line."""
    from autotune.spaces.draws import draw

    space, random = _checked(name), Random(seed)
    for _ in range(count):
        click.echo(json.dumps(draw(space, random).flat()))


@space_commands.command()
@click.argument("file", metavar="FILE")
@click.option("--from", "source", help="wandb, hydra, configspace, optuna or katib [default: seen from the file]")
@click.option("--learner", default="model", show_default=True, help="learner that the parameters are of")
@click.option("-o", "--output", metavar="OUT", help="a .toml, .yaml or .json file [default: TOML on stdout]")
def convert(file: str, source: str | None, learner: str, output: str | None) -> None:
    """Read another tool's search space: a W&B sweep, a Hydra sweeper's params, a ConfigSpace JSON, Optuna, Katib.

    What could not be carried over is listed on stderr.
    """
    from autotune.spaces.convert import read_foreign
    from autotune.spaces.writing import to_text

    converted = read_foreign(Path(file), source=source, learner=learner)
    text = to_text(converted.space, Path(output).suffix.lower() if output else ".toml")
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(Path(output), text)
    for lost in converted.lost:
        click.echo(f"not carried over: {lost}", err=True)
    click.echo(f"read as {converted.source}: {_summary(converted.space)}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}", "--output", "another file") from None


def _checked(name: str) -> Space:
    """Read a space and ask its learners too."""
    from autotune.learners.custom import find_models
    from autotune.learners.declared import space_problems
    from autotune.settings import DEFAULTS

    def problems(space: Space, learners: Mapping[str, Any]) -> list[AutotuneError]:
        return list(space_problems(space, learners, None))

    space, _ = find_models(name, None, DEFAULTS.space, problems)
    return space


def _summary(space: Space) -> str:
    from autotune.spaces.draws import enumerate_space

    parameters = sum(map(len, space.learners.values()))
    learners = f"{len(space.learners)} learner{'s' * (len(space.learners) != 1)}"
    every = enumerate_space(space, 100_000)
    size = "" if every is None else f", {len(every):,} configurations"
    return f"ok, {learners}, {parameters} parameter{'s' * (parameters != 1)}{size}"


def _template(learner: str, model: str | None) -> str:
    """Return a learner's space as a commented file, with the parameters that it leaves out."""
    from autotune.spaces.files import built_in_names, built_in_path, read_space

    if model is not None:
        return _model_template(learner, model)
    from autotune.learners import find_learner
    from autotune.learners.declared import parameter_defaults

    found = parameter_defaults(find_learner(learner))
    used: Mapping[str, Any] = {}
    text = f'version = 1\nsummary = "{learner}"\n\n[{learner}]'
    if learner in built_in_names():
        path = built_in_path(learner)
        used = read_space(path).learners[learner]
        text = path.read_text(encoding="utf-8").rstrip()
    head, header, below = text.partition(f"[{learner}]")
    table, gap, rest = below.partition("\n\n")  # a table of ours has no empty line in it
    left_out = _left_out({name: value for name, value in found.items() if name not in used}, learner)
    return f"{_HEADER}\n{head}{header}{table}{left_out}{gap}{rest}\n"


def _model_template(learner: str, model: str) -> str:
    from autotune.learners.custom import custom_learner
    from autotune.learners.declared import parameter_defaults
    from autotune.spaces.space import Space
    from autotune.spaces.writing import toml_key, toml_value

    Space({learner: {}}, models={learner: model})  # refuses what no learner can be called
    found = parameter_defaults(custom_learner(learner, model))
    summary, name = toml_value(model), toml_key(learner)
    head = f"version = 1\nsummary = {summary}\n\n[{name}]\nmodel = {summary}"
    return f"{_HEADER}\n{head}{_left_out(found, name)}\n"


_HEADER = """\
# float = [low, high], int = [low, high], bool = true, choice = [...], fixed = value, derived = "arithmetic"
# with log, step, scale = "pow2", or = [...], ordered, weights, fidelity, default, and when = { parent = value }"""


def _left_out(found: Mapping[str, Any], learner: str) -> str:
    """Return comments that name the parameters which a table leaves out, to stand below it."""
    from autotune.spaces.ranges import frozen_value, is_plain
    from autotune.spaces.writing import toml_key, toml_value

    if not found:
        return ""
    plain = {name: value for name, value in found.items() if is_plain(frozen_value(value))}
    lines = [f"# {toml_key(name)} = {toml_value(value)}" for name, value in plain.items()]
    others = [f"# {toml_key(name)}" for name in found if name not in plain]
    said = f"# [{learner}] takes these too, with these values unless you say otherwise:"
    return "\n".join(["\n", said, *lines, *others])
