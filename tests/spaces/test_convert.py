"""Whose document it is, names, learners and files; each tool's own words are tested beside."""

import copy
import functools
import json
import math
import operator
from pathlib import Path
from random import Random
from textwrap import dedent

import optuna.distributions as distributions
import pytest

from autotune.errors import SpaceError
from autotune.spaces.convert import SOURCES, Converted, convert, read_foreign
from autotune.spaces.params import Choice, Float, Int
from autotune.spaces.space import Space
from autotune.spaces.writing import to_text

WANDB = {"parameters": {"lr": {"min": 0.0, "max": 1.0}}}
HYDRA = {"hydra": {"sweeper": {"params": {"lr": "interval(0, 1)"}}}}
CONFIGSPACE = {"hyperparameters": [{"name": "lr", "type": "uniform_float", "lower": 0.0, "upper": 1.0, "log": False}]}
OPTUNA = {"lr": distributions.FloatDistribution(0.0, 1.0)}
KATIB = [{"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}]
NORMAL = {"distribution": "q_normal", "mu": 0, "sigma": 1, "q": 1}
DISCRETE = {"name": "b", "parameterType": "discrete", "feasibleSpace": {"list": ["1", "2"]}}
SAME = {"wandb": WANDB, "hydra": HYDRA, "configspace": CONFIGSPACE, "optuna": OPTUNA, "katib": KATIB}


def message_of(document, **options):
    with pytest.raises(SpaceError) as caught:
        convert(document, **options)
    return str(caught.value)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_text(text, name):
        path = Path(name)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_text


def test_every_source_has_a_document_here():
    assert set(SAME) == set(SOURCES)


@pytest.mark.parametrize("source", SAME)
@pytest.mark.parametrize("named", [True, False])
def test_one_space_comes_out_of_every_tools_document(source, named):
    converted = convert(SAME[source], source=source if named else None)
    assert converted == Converted(Space({"model": {"lr": Float(0.0, 1.0)}}), (), source)


@pytest.mark.parametrize(
    ("document", "source"),
    [
        ({"lr": {"values": [1, 2]}}, "wandb"),
        ({"lr": "tag(log, interval(1e-3, 1))"}, "hydra"),
        ({"params": {"lr": 5}}, "hydra"),
        ({"search_space": {"lr": {"type": "float", "low": 0, "high": 1}}}, "hydra"),
        ({"sweeper": {"params": {"lr": "1, 2"}}}, "hydra"),
        ({"lr": {"type": "int", "low": 0, "high": 1}}, "hydra"),
        ({"spec": {"parameters": KATIB}}, "katib"),
        ({"parameters": KATIB}, "katib"),
        ({"lr": distributions.distribution_to_json(OPTUNA["lr"])}, "optuna"),
        ({"lr": json.loads(distributions.distribution_to_json(OPTUNA["lr"]))}, "optuna"),
    ],
)
def test_the_shape_tells_whose_it_is(document, source):
    assert convert(document).source == source


@pytest.mark.parametrize("document", [{"lr": 3}, {}, [], [1, 2], "lr", None, {"parameters": [{"name": "lr"}]}])
def test_a_document_of_no_known_kind_names_what_was_tried(document):
    message = message_of(document)
    assert "is of no known kind; tried: configspace (a list 'hyperparameters'); katib" in message
    assert all(source in message for source in SOURCES)


@pytest.mark.parametrize("source", SAME)
@pytest.mark.parametrize("document", [[1], "text", None, 3, {"lr": object()}])
def test_a_document_of_another_kind_than_said_is_an_error(source, document):
    with pytest.raises(SpaceError):
        convert(document, source=source)


def test_a_source_that_is_misspelled_gets_the_right_one():
    message = message_of(WANDB, source="wand")
    assert message == "no source of spaces named 'wand'; wandb"


RICH = {
    "wandb": {"parameters": {"a": {"values": [1, 2], "probabilities": [1, 3]}, "b": {"min": 1, "max": 8}, "c": NORMAL}},
    "hydra": {"params": {"a": "tag(log, interval(1, 2))", "b": {"type": "int", "low": 1, "high": 2}, "c": "1, 2"}},
    "configspace": {
        "hyperparameters": [
            {"name": "a", "type": "categorical", "choices": ["x", "y"], "default_value": "x", "weights": [1, 2]},
            {"name": "b", "type": "uniform_int", "lower": 1, "upper": 9, "default_value": 5, "log": True},
            {"name": "c", "type": "normal_float", "mu": 0.0, "sigma": 1.0, "default": 0.5, "q": 0.5},
        ],
        "conditions": [
            {"type": "AND", "child": "c", "conditions": [{"type": "IN", "child": "c", "parent": "a", "values": ["x"]}]},
            {"type": "NEQ", "child": "b", "parent": "a", "value": "x"},
        ],
        "forbiddens": [
            {
                "type": "AND",
                "clauses": [
                    {"type": "EQUALS", "name": "a", "value": "y"},
                    {"type": "CLAUSE_GT", "name": "b", "value": 8},
                ],
            }
        ],
    },
    "katib": {"spec": {"parameters": [*KATIB, DISCRETE]}},
    "optuna": {"a": {"name": "IntDistribution", "attributes": {"low": 1, "high": 9, "step": 2, "log": False}}},
}
JUNK = [
    None,
    True,
    -1,
    0,
    0.5,
    1e308,
    2**60,
    10**400,
    math.nan,
    math.inf,
    "",
    "x",
    "y",
    "interval(0",
    "OR",
    [],
    [[]],
    {},
]


def spots(document, path=()):
    """Yield the way to everything inside a document."""
    if isinstance(document, (dict, list)):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield (*path, key)
            yield from spots(document[key], (*path, key))


@pytest.mark.parametrize("source", RICH)
def test_whatever_stands_in_a_document_the_answer_is_a_space_or_a_space_error(source):
    random = Random(0)
    answers = {"space": 0, "error": 0}
    for _ in range(400):
        document = copy.deepcopy(RICH[source])
        for _ in range(random.randint(1, 2)):
            *path, last = random.choice(list(spots(document)) or [("x",)])
            functools.reduce(operator.getitem, path, document)[last] = copy.deepcopy(random.choice(JUNK))
        try:
            convert(document, source=source)
            answers["space"] += 1
        except SpaceError:
            answers["error"] += 1
    assert min(answers.values()) > 10, answers


# names and learners


def test_names_become_python_names_and_the_list_says_which():
    parameters = ("optimizer.lr", "--batch-size", "classifier:svm:C", "_seed", "task", "model", "db/engine", "plain")
    converted = convert({"parameters": {name: {"value": 1} for name in parameters}})
    assert list(converted.space.learners["model"]) == [
        *("optimizer__lr", "batch_size", "classifier__svm__C", "seed", "task_", "model_", "db__engine", "plain")
    ]
    (sentence,) = converted.lost
    assert sentence.startswith("names: optimizer.lr is optimizer__lr, --batch-size is batch_size,")
    assert sentence.endswith("model is model_, db/engine is db__engine here")


def test_two_names_that_become_one_are_an_error():
    document = {"parameters": {"a.b": {"value": 1}, "a/b": {"value": 2}}}
    message = message_of(document)
    assert message == "W&B sweep parameters.a/b: two names become 'a__b' here; another name for one of them"


def test_parameters_go_under_the_learner_that_is_asked_for():
    assert list(convert(WANDB, learner="svc").space.learners) == ["svc"]


def test_names_give_several_learners_only_when_asked():
    document = {
        "mlp": {"parameters": {"lr": {"min": 0.0, "max": 1.0}, "layer": {"parameters": {"size": {"values": [1, 2]}}}}},
        "knn": {"parameters": {"k": {"min": 1, "max": 9}}},
    }
    learners = {"mlp": {"lr": Float(0.0, 1.0), "layer__size": Choice([1, 2])}, "knn": {"k": Int(1, 9)}}
    assert convert({"parameters": document}, learner=None).space == Space(learners)
    assert set(convert({"parameters": document}).space.learners["model"]) == {"mlp__lr", "mlp__layer__size", "knn__k"}


def test_names_without_a_learner_are_all_told_when_learners_are_asked_for():
    document = {"parameters": {"seed": {"value": 1}, "mlp.lr": {"min": 0.0, "max": 1.0}, "start.x": {"value": 1}}}
    message = message_of(document, learner=None)
    assert message == (
        "2 problems:\n"
        'W&B sweep parameters.seed: seed names no learner; mlp.seed, or learner="model"\n'
        "W&B sweep parameters.start.x: 'start' means something else in a space; another name"
    )


def test_conditions_and_clauses_across_learners_are_lost():
    options = [
        {"name": name, "type": "categorical", "choices": ["x", "y"], "default_value": "x", "weights": None}
        for name in ("a.p", "b.q", "b.r")
    ]
    document = {
        "hyperparameters": options,
        "conditions": [
            {"child": "b.q", "parent": "a.p", "type": "EQ", "value": "x"},
            {"child": "b.r", "parent": "b.q", "type": "EQ", "value": "x"},
        ],
        "forbiddens": [
            {"type": "AND", "clauses": [{"type": "EQUALS", "name": n, "value": "y"} for n in ("a.p", "b.q")]},
            {"type": "EQUALS", "name": "b.r", "value": "y"},
        ],
    }
    converted = convert(document, learner=None)
    learners = {
        "a": {"p": Choice(["x", "y"])},
        "b": {"q": Choice(["x", "y"]), "r": Choice(["x", "y"], when={"q": "x"})},
    }
    assert converted.space == Space(learners, forbid=[{"learner": "b", "r": "y"}])
    assert converted.lost == (
        "b.q: its condition on a.p, of another learner; this condition is left out",
        "forbidden {'a.p': 'y', 'b.q': 'y'}: its parameters are of several learners; it is allowed",
    )


def test_a_document_whose_every_parameter_is_lost_is_an_error():
    message = message_of({"parameters": {"net": {"value": {"deep": 1}}}})
    assert message.startswith(
        "W&B sweep: no parameter could be carried over: net: a space cannot hold the value {'deep': 1};"
    )


# files


def test_a_yaml_file_is_read_by_the_rules_of_version_1_2(write):
    path = write(
        """\
        description: "Learning rates."
        parameters:
          lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}
          nesterov: {values: [on, no]}
        """,
        "sweep.yaml",
    )
    converted = read_foreign(path)
    learners = {"model": {"lr": Float(1e-5, 1e-1, log=True), "nesterov": Choice(["on", "no"])}}
    assert converted.space == Space(learners)
    assert (converted.space.name, converted.space.summary, converted.source) == ("sweep", "Learning rates.", "wandb")


def test_everything_wrong_with_a_file_comes_at_once_with_its_line(write):
    path = write(
        """\
        method: random
        parameters:
          lr:
            min: "1e-5"
            max: 1.0
          units: {distribution: q_unifrom, min: 1, max: 8}
          depth: {min: 9, max: 3}
        """,
        "sweep.yml",
    )
    with pytest.raises(SpaceError) as caught:
        read_foreign(path)
    assert str(caught.value) == (
        "3 problems:\n"
        "sweep.yml:4:5 parameters.lr.min: lr: min is a number, found '1e-5'; without quotes\n"
        "sweep.yml:6:11 parameters.units.distribution: no distribution named 'q_unifrom'; q_uniform\n"
        "sweep.yml:7:3 parameters.depth: depth: the lower bound 9 is not below the upper bound 3"
    )


@pytest.mark.parametrize("name", ["list.yaml", "list.json"])
def test_a_bare_list_is_read_from_a_file(write, name):
    path = write(json.dumps(KATIB, indent="\t"), name)
    assert read_foreign(path).space == Space({"model": {"lr": Float(0.0, 1.0)}})


def test_a_clause_that_would_forbid_the_default_is_lost():
    degree = {"name": "degree", "type": "uniform_int", "lower": 2, "upper": 5, "default_value": 3}
    document = {  # the default of its own has no degree
        "hyperparameters": [{"name": "lr", "type": "uniform_float", "lower": 0.0, "upper": 0.1}, degree],
        "conditions": [{"type": "GT", "child": "degree", "parent": "lr", "value": 0.09}],
        "forbiddens": [{"type": "EQUALS", "name": "degree", "value": value} for value in (3, 4)],
    }
    converted = convert(document)
    assert [clause.conditions for clause in converted.space.forbid] == [{"degree": 4}]
    said = "forbidden degree = 3: the default, which is tried first, would be forbidden; it is allowed"
    assert said in converted.lost


def test_text_that_no_file_can_hold_is_lost_or_refused():
    options = {"parameters": {"x": {"values": ["a", "b", "\ud800"]}}}
    assert convert(options).space.learners["model"]["x"] == Choice(["a", "b"])
    with pytest.raises(SpaceError, match="surrogates"):
        to_text(convert({**options, "description": "\ud800"}).space)


@pytest.mark.parametrize("learner", ["start", "version", ""])
def test_a_learner_cannot_be_called_as_something_else_in_a_file(learner):
    assert f"no learner can be called {learner!r}" in message_of(WANDB, learner=learner)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("{", "a.json", "a.json:1:2: the file is no JSON"),
        ("a: [1", "a.yaml", "the file is no YAML"),
        ("a: 1\na: 2", "a.yaml", "a.yaml:2:1: "),
        ("a = 1", "a.toml", "no tool's space is a .toml"),
        ("", "a.yaml", "a.yaml: the file is empty"),
        ("text", "a.yaml", "a.yaml"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(write, text, name, message):
    with pytest.raises(SpaceError) as caught:
        read_foreign(write(text, name))
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SpaceError, match="there is no such file"):
        read_foreign(tmp_path / "none.yaml")
