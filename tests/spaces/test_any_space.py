"""What holds for every space that can be said, and for every one that is almost right."""

import json
import math
import re
from copy import deepcopy
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_spaces import spaces

from autotune.errors import SpaceError
from autotune.spaces.catalog import find_space
from autotune.spaces.draws import draw, enumerate_space
from autotune.spaces.files import built_in_names, read_document, read_space
from autotune.spaces.params import Derived
from autotune.spaces.space import Config, Space, holds
from autotune.spaces.texts import parse
from autotune.spaces.writing import to_text

SUFFIXES = (".toml", ".yaml", ".json")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
many = settings(deadline=None, database=None, max_examples=100, suppress_health_check=SLOW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spaces")


def read_again(space, suffix, folder):
    path = folder / f"again{suffix}"
    path.write_text(to_text(space, suffix), encoding="utf-8")
    return read_space(path)


def exactly(space):
    """Return a space as a text that tells 1 from 1.0 and True."""
    return repr(sorted(space.to_dict().items()))


# ---- what is written is read ----


@many
@given(space=spaces())
def test_all_formats_give_the_space_back(folder, space):
    for suffix in SUFFIXES:
        again = read_again(space, suffix, folder)
        assert again == space
        assert exactly(again) == exactly(space)
        assert (again.summary, again.starts, again.forbid) == (space.summary, space.starts, space.forbid)


@many
@given(space=spaces())
def test_python_gives_the_space_back(space):
    parts = {"starts": space.given_starts, "forbid": space.forbid, "models": space.models}
    assert exactly(Space(space.learners, **parts)) == exactly(space)
    assert exactly(read_document(json.loads(json.dumps(space.to_dict())))) == exactly(space)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", built_in_names())
def test_all_formats_give_the_built_in_spaces_back(folder, name, suffix):
    space = find_space(name)
    again = read_again(space, suffix, folder)
    assert exactly(again) == exactly(space)
    assert again.summary == space.summary


# ---- what is tried is of the space ----


@many
@given(space=spaces())
def test_defaults_and_starts_are_admitted(space):
    firsts = space.first_configurations()
    assert [config for config in firsts if not space.admits(config)] == []
    assert {config.learner for config in firsts} == set(space.learners)
    for kind in ("binary", "regression"):
        settled = space.for_task(kind)
        assert [config for config in settled.first_configurations() if not settled.admits(config)] == []


@many
@given(space=spaces(), seed=st.integers(0, 2**32))
def test_draws_are_admitted(space, seed):
    random = Random(seed)
    drawn = [draw(space, random) for _ in range(20)]
    assert [config for config in drawn if not space.admits(config)] == []


@many
@given(space=spaces(), seed=st.integers(0, 2**32))
def test_a_list_of_all_configurations_holds_each_draw_once(space, seed):
    every = enumerate_space(space, 2_000)
    assume(every is not None)
    keys = [repr((config.learner, sorted(config.params.items()))) for config in every]
    assert len(set(keys)) == len(keys)
    assert [config for config in every[:200] if not space.admits(config)] == []
    random = Random(seed)
    assert [config for config in (draw(space, random) for _ in range(10)) if config not in every] == []


@many
@given(space=spaces(), seed=st.integers(0, 99))
def test_a_configuration_with_a_value_too_few_or_too_many_is_not_admitted(space, seed):
    config = draw(space, Random(seed))
    for key in config.params:
        fewer = {name: value for name, value in config.params.items() if name != key}
        assert not space.admits(Config(config.learner, fewer))
        assert not space.admits(Config(config.learner, {**config.params, key: "no such value"}))
    assert not space.admits(Config(config.learner, {**config.params, "no such key": 1}))
    assert not space.admits(Config("no such learner", config.params))


@many
@given(space=spaces(), seed=st.integers(0, 99))
def test_parents_come_first_and_exactly_the_right_ones_exist(space, seed):
    random = Random(seed)
    for learner, parameters in space.learners.items():
        values = {}
        for key, parameter in space.active(learner, values):
            assert set(parameter.when) - {"task"} <= set(values)
            values[key] = 1 if isinstance(parameter, Derived) else random.choice(parameter.extremes())
        assert {key for key in parameters if holds(parameters[key], values)} == set(values)


@many
@given(space=spaces())
def test_a_space_written_in_another_order_is_one_space(space):
    again = Space(
        dict(reversed(space.learners.items())),
        starts=space.given_starts,
        forbid=space.forbid,
        models=space.models,
        name="b",
    )
    assert again == space
    assert hash(again) == hash(space)


@many
@given(space=spaces())
def test_joining_a_space_with_itself_or_nothing_changes_no_range(space):
    assert (space | {}).learners == space.learners
    assert (space | space).learners == space.learners
    assert (space | {}).starts == space.starts


# ---- where things stand ----


def paths_of(value, path=()):
    """Yield the path of every key and item of a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield (*path, str(key))
        yield from paths_of(each, (*path, str(key)))


def ways_to_write(key):
    """Return how a key may begin: bare, in quotes, or as a header of TOML."""
    keys = (key, json.dumps(key, ensure_ascii=False), "'" + key.replace("'", "''") + "'")
    return (*keys, *(f"[{each}]" for each in keys), *(f"[[{each}]]" for each in keys))


@many
@given(space=spaces())
def test_everything_in_a_text_has_its_place(space):
    for suffix in SUFFIXES:
        text = to_text(space, suffix)
        document, places = parse(text, suffix, "mine")
        missing = [path for path in paths_of(document) if path not in places]
        assert missing == []
        lines = text.split("\n")
        for path in paths_of(document):
            name, line, column = places[path].split(":")
            found = lines[int(line) - 1][int(column) - 1 :]
            assert name == "mine"
            assert found.startswith(ways_to_write(path[-1])) or (path[-1].isdigit() and found), (path, found)


# ---- spaces that are almost right ----


def toml_of(document):
    """Write a document as TOML, also one that is no space: tables of parameters, and all else in braces."""
    tables = {key: value for key, value in document.items() if isinstance(value, dict)}
    lines = [f"{quoted(key)} = {braced(value)}" for key, value in document.items() if key not in tables]
    for name, table in tables.items():
        lines += [f"[{quoted(name)}]", *(f"{quoted(key)} = {braced(value)}" for key, value in table.items())]
    return "\n".join(lines)


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def braced(value):
    match value:
        case None:
            return "{ none = true }"
        case dict():
            return "{ " + ", ".join(f"{quoted(key)} = {braced(each)}" for key, each in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(braced, value)) + "]"
        case float() if not math.isfinite(value):
            return "nan" if math.isnan(value) else "inf"
    return json.dumps(value, ensure_ascii=False)


WRITERS = {".toml": toml_of, ".yaml": json.dumps, ".json": lambda document: json.dumps(document, indent=1)}


def without(entry, *words):
    return {word: value for word, value in entry.items() if word not in words}


def as_range(entry):
    kind = "float" if "float" in entry else "int"
    return (kind, *entry[kind]) if kind in entry else None


ONE_THING_WRONG = {
    "an unknown kind": lambda entry: {"flaot": [0, 1]},
    "no kind": lambda entry: {"default": 1},
    "two kinds": lambda entry: {**entry, **({"fixed": 1} if "fixed" not in entry else {"choice": [1]})},
    "an unknown word": lambda entry: {**entry, "lgo": True},
    "a condition on nothing": lambda entry: {**entry, "when": {"no such parameter": 1}},
    "a condition that is no table": lambda entry: {**entry, "when": "optimizer"},
    "a condition of no value": lambda entry: {**entry, "when": {"task": []}},
    "an unknown task": lambda entry: {**entry, "when": {"task": "regresion"}},
    "bounds the wrong way round": lambda entry: (
        {**entry, as_range(entry)[0]: [*entry[as_range(entry)[0]]][::-1]} if as_range(entry) else None
    ),
    "bounds that are one": lambda entry: (
        {**entry, as_range(entry)[0]: [as_range(entry)[1]] * 2} if as_range(entry) else None
    ),
    "one bound": lambda entry: {**entry, as_range(entry)[0]: [as_range(entry)[1]]} if as_range(entry) else None,
    "texts for bounds": lambda entry: (
        {**entry, as_range(entry)[0]: [str(bound) for bound in as_range(entry)[1:]]} if as_range(entry) else None
    ),
    "no number": lambda entry: {**entry, "float": [math.nan, 1.0]} if "float" in entry else None,
    "an infinity": lambda entry: {**entry, "float": [0.5, math.inf]} if "float" in entry else None,
    "no whole number": lambda entry: {**entry, "int": [0.5, 3]} if "int" in entry else None,
    "a logarithm of nothing": lambda entry: {as_range(entry)[0]: [0, 8], "log": True} if as_range(entry) else None,
    "log with step": lambda entry: {as_range(entry)[0]: [1, 9], "log": True, "step": 2} if as_range(entry) else None,
    "an indivisible step": lambda entry: {as_range(entry)[0]: [0, 9], "step": 5} if as_range(entry) else None,
    "a step of nothing": lambda entry: {as_range(entry)[0]: [0, 9], "step": 0} if as_range(entry) else None,
    "powers of other numbers": lambda entry: {"int": [3, 64], "scale": "pow2"} if "int" in entry else None,
    "an unknown scale": lambda entry: {"int": [1, 64], "scale": "pow3"} if "int" in entry else None,
    "a special value in the range": lambda entry: (
        {**without(entry, "fidelity"), "or": [as_range(entry)[1]]} if as_range(entry) else None
    ),
    "special values twice": lambda entry: {**entry, "or": ["x", "x"]} if "float" in entry else None,
    "a default outside": lambda entry: (
        None if {"fixed", "derived"} & set(entry) else {**entry, "default": "no such value"}
    ),
    "no options": lambda entry: {"choice": []} if "choice" in entry else None,
    "options twice": lambda entry: (
        {**entry, "choice": [*entry["choice"], entry["choice"][0]]} if "choice" in entry else None
    ),
    "options that are equal": lambda entry: {"choice": [1, True]} if "choice" in entry else None,
    "one option": lambda entry: {"choice": "adamw"} if "choice" in entry else None,
    "too many weights": lambda entry: (
        {**entry, "weights": [1] * (len(entry["choice"]) + 1)} if "choice" in entry else None
    ),
    "a weight of nothing": lambda entry: (
        {**entry, "weights": [0] * len(entry["choice"])} if "choice" in entry else None
    ),
    "a fidelity from elsewhere": lambda entry: {"int": [2, 9], "fidelity": True} if "int" in entry else None,
    "code": lambda entry: {"derived": "__import__('os').getcwd()"},
    "a formula of nothing": lambda entry: {"derived": "no_such_parameter + 1"},
    "a formula that is none": lambda entry: {"derived": "1 +"},
    "log that is no truth": lambda entry: {**entry, "log": "yes"} if as_range(entry) else None,
}
"""By what is wrong then: a parameter's entry to another one, or None where it does not apply."""


def refused(document, suffix, folder):
    path = folder / f"mine{suffix}"
    path.write_text(WRITERS[suffix](document), encoding="utf-8")
    with pytest.raises(SpaceError) as caught:
        read_space(path)
    lines = str(caught.value).split("\n")
    lines = lines[1:] if re.fullmatch(r"\d+ problems:", lines[0]) else lines
    assert [line for line in lines if not re.match(rf"{re.escape(str(path))}:\d+:\d+ \S.*: .*; ", line)] == []
    return lines


@pytest.mark.parametrize("wrong", ONE_THING_WRONG)
def test_a_parameter_with_one_thing_wrong_is_refused_at_its_place(folder, wrong):
    change, applied = ONE_THING_WRONG[wrong], []

    @settings(many, max_examples=12)
    @given(space=spaces(), data=st.data())
    def every_one_is_refused(space, data):
        document = space.to_dict()
        entries = [(learner, key) for learner in space.learners for key in space.learners[learner]]
        fitting = [(learner, key) for learner, key in entries if change(document[learner][key]) is not None]
        assume(fitting)
        learner, key = data.draw(st.sampled_from(fitting))
        mutated = deepcopy(document)
        mutated[learner][key] = change(document[learner][key])
        suffix = data.draw(st.sampled_from(SUFFIXES))
        lines = refused(mutated, suffix, folder)
        assert [line for line in lines if f" {learner}.{key}" in line]
        applied.append(wrong)

    every_one_is_refused()
    assert applied


WRONG_AROUND = {
    "version": lambda document, learner: {**document, "version": 2},
    "summary": lambda document, learner: {**document, "summary": 5},
    "include": lambda document, learner: {**document, "include": ["no such space"]},
    "n_trials": lambda document, learner: {**document, "n_trials": 5},
    "start": lambda document, learner: {**document, "start": [{"learner": learner, "no such parameter": 5}]},
    "start.0": lambda document, learner: {**document, "start": [{"learner": "no such learner"}]},
    "forbid": lambda document, learner: {**document, "forbid": [{"learner": learner, "no such parameter": 5}]},
    "forbid.0": lambda document, learner: {**document, "forbid": [{"learner": learner}]},
    "new": lambda document, learner: {**document, "new": [1, 2]},
    "new.model": lambda document, learner: {**document, "new": {"model": 5}},
    "rate": lambda document, learner: {**document, "rate": {"float": [0.0, 1.0]}},
}


@pytest.mark.parametrize("place", WRONG_AROUND)
def test_what_is_wrong_around_the_parameters_is_refused_at_its_place(folder, place):
    @settings(many, max_examples=10)
    @given(space=spaces(), suffix=st.sampled_from(SUFFIXES))
    def every_one_is_refused(space, suffix):
        mutated = WRONG_AROUND[place](space.to_dict(), next(iter(space.learners)))
        assert [line for line in refused(mutated, suffix, folder) if f" {place}" in line]

    every_one_is_refused()
