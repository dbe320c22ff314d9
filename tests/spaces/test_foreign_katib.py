from textwrap import dedent

import pytest

from autotune.errors import SpaceError
from autotune.spaces.convert import Converted, convert, read_foreign
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Space


def message_of(document):
    with pytest.raises(SpaceError) as caught:
        convert(document)
    return str(caught.value)


def katib(kind, **space):
    return [{"name": "x", "parameterType": kind, "feasibleSpace": space}]


@pytest.mark.parametrize(
    ("document", "parameter", "lost"),
    [
        (katib("double", min="0.01", max="0.05"), Float(0.01, 0.05), ()),
        (katib("double", min="0.1", max="0.5", step="0.2"), Float(0.1, 0.5, step=0.2), ()),
        (katib("double", min="0.1", max="0.6", step="0.2"), Float(0.1, 0.5, step=0.2), ()),
        (katib("double", min=0.1, max=0.5), Float(0.1, 0.5), ()),
        (katib("double", min="1e-5", max="1e-1", distribution="logUniform"), Float(1e-5, 1e-1, log=True), ()),
        (katib("double", min="1", max="1"), Fixed(1.0), ()),
        (katib("int", min="2", max="5"), Int(2, 5), ()),
        (katib("int", min="2", max="9", step="2"), Int(2, 8, step=2), ()),
        (katib("int", min="1", max="64", distribution="logUniform"), Int(1, 64, log=True), ()),
        (katib("discrete", list=["2", "4", "16"]), Choice([2, 4, 16], ordered=True), ()),
        (katib("discrete", list=["0.5", "0.1", "0.9"]), Choice([0.5, 0.1, 0.9]), ()),
        (katib("categorical", list=["sgd", "adam", "8"]), Choice(["sgd", "adam", "8"]), ()),
        (katib("categorical", list=["sgd"]), Fixed("sgd"), ()),
        (
            katib("int", min="1", max="64", step="3", distribution="logUniform"),
            Int(1, 64, log=True),
            ("x: steps of 3 beside a logarithm; every value between the bounds can be drawn",),
        ),
        (
            katib("double", min="-3", max="3", distribution="normal"),
            Float(-3, 3),
            ("x: the shape of the normal distribution; [-3, 3] is searched evenly",),
        ),
        (
            katib("double", min="0.001", max="10", distribution="logNormal"),
            Float(0.001, 10, log=True),
            ("x: the shape of the log-normal distribution; [0.001, 10] is searched evenly on the logarithm",),
        ),
    ],
)
def test_katibs_parameters(document, parameter, lost):
    converted = convert(document)
    assert converted == Converted(Space({"model": {"x": parameter}}), lost, "katib")


def test_a_whole_experiment_lists_what_is_no_space(tmp_path):
    text = """\
        apiVersion: kubeflow.org/v1beta1
        kind: Experiment
        metadata: {name: tune-mnist}
        spec:
          objective: {type: minimize, goal: 0.001, objectiveMetricName: loss}
          algorithm: {algorithmName: random}
          earlyStopping: {algorithmName: medianstop}
          parallelTrialCount: 3
          maxTrialCount: 12
          maxFailedTrialCount: 3
          parameters:
            - name: lr
              parameterType: double
              feasibleSpace: {min: "0.01", max: "0.05"}
            - name: --optimizer
              parameterType: categorical
              feasibleSpace: {list: [sgd, adam]}
          trialTemplate: {primaryContainerName: training}
        """
    path = tmp_path / "experiment.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    converted = read_foreign(path)
    assert converted.space == Space({"model": {"lr": Float(0.01, 0.05), "optimizer": Choice(["sgd", "adam"])}})
    assert converted.lost == (
        "objective: not part of a space; give metric where you tune",
        "algorithm: not part of a space; give sampler where you tune",
        "earlyStopping: not part of a space; give pruner where you tune",
        "maxTrialCount: not part of a space; give n_trials where you tune",
        "parallelTrialCount: not part of a space; give n_jobs where you tune",
        "trialTemplate, maxFailedTrialCount: how Katib runs an experiment; not part of a space",
        "names: --optimizer is optimizer here",
    )


@pytest.mark.parametrize(
    ("document", "problem", "hint"),
    [
        (katib("duoble", min="0", max="1"), "no parameterType of x named 'duoble'", "double"),
        (katib("double", min="0"), "x: max is missing", "max: 1"),
        (katib("double", min="low", max="1"), "x: min is a number, found 'low'", "without quotes"),
        (katib("double", min="2", max="1"), "x: the lower bound 2 is not below the upper bound 1", None),
        (katib("double", min="0", max="1", distribution="logUniform"), "x: log needs a lower bound above 0", None),
        (katib("int", min="0.5", max="2"), "x: bounds of an int are whole numbers, found [0.5, 2]", None),
        (katib("int", min="0", max="2", step="0"), "x: step 0 is no whole number", None),
        (katib("double", min="0", max="1", distribution="gaussian"), "no distribution of x named 'gaussian'", None),
        (katib("discrete", list=["1", "many"]), "x: values of a discrete parameter are numbers, found ['many']", None),
        (katib("categorical"), "x: options are a list of at least one value, found None", None),
        (katib("int", min="0", max="2", stepp="1"), "no word of x named 'stepp'", "step"),
        (katib("int", min="0", max="2") * 2, "x stands there twice", None),
        ([*katib("int", min="0", max="2"), {"name": "y"}], "no parameterType of y named 'None'", None),
        ([{"parameterType": "int"}], "a parameter is a table with a name", "name: lr"),
        ([{"name": "x", "parameterType": "int"}], "x: feasibleSpace is a table, found None", None),
    ],
)
def test_katibs_mistakes(document, problem, hint):
    message = message_of(document)
    assert message.startswith("Katib experiment")
    assert f": {problem}" in message
    assert hint is None or message.endswith(f"; {hint}")
