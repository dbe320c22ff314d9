"""The commands on search spaces, and changes to a space on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autotune.cli import main
from autotune.spaces.catalog import find_space
from autotune.spaces.changes import changed
from autotune.spaces.files import built_in_names, read_space
from autotune.spaces.space import Space

MINE = """\
version = 1

[knn]
n_neighbors = { int = [1, 30], default = 5 }
weights = { choice = ["uniform", "distance"] }
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def typed(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_check_says_ok_and_how_many_configurations_there_are(mine: Path) -> None:
    done = typed("space", "check", mine, "automl")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == f"{mine}: ok, 1 learner, 2 parameters, 60 configurations"


def test_check_lists_all_problems_of_all_files_by_line_and_column(mine: Path, tmp_path: Path) -> None:
    mine.write_text(MINE.replace("weights =", "wieghts =").replace("[1, 30]", "[30, 1]"))
    other = tmp_path / "other.yaml"
    other.write_text("version: 1\nlinear:\n  C: {float: [0.1, 10], lgo: true}\n")
    done = typed("space", "check", mine, other)
    assert done.exit_code == 2 and done.stdout == ""
    lines = done.stderr.splitlines()
    for place in (f"{mine}:4:17 ", f"{mine}:5:1 ", f"{other}:3:25 "):
        assert any(line.startswith(place) for line in lines), (place, lines)
    assert any("weights" in line for line in lines if line.startswith(f"{mine}:5:1"))


def test_show_is_a_table_or_a_file_of_any_format(mine: Path, tmp_path: Path) -> None:
    table = typed("space", "show", mine)
    assert "n_neighbors" in table.stdout and "1 … 30" in table.stdout
    for suffix in ("toml", "yaml", "json"):
        copy = tmp_path / f"copy.{suffix}"
        copy.write_text(typed("space", "show", mine, "--format", suffix).stdout)
        assert read_space(copy) == read_space(mine)


def test_the_schema_knows_the_learners_and_their_parameters() -> None:
    schema = json.loads(typed("space", "schema").stdout)
    assert {"learning_rate", "num_leaves"} <= set(schema["properties"]["lightgbm"]["properties"])
    assert schema["properties"]["lightgbm"]["additionalProperties"] is False
    kinds = [each["required"][0] for each in schema["$defs"]["parameter"]["anyOf"] if "required" in each]
    assert kinds == ["float", "int", "bool", "choice", "fixed", "derived"]
    assert schema["$defs"]["parameter"]["anyOf"][-1] == {"$ref": "#/$defs/plain"}, "{ none = true } is a value too"


def test_diff_shows_what_differs_and_exits_with_1(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(MINE.replace("30", "9"))
    done = typed("space", "diff", mine, other)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "- knn.n_neighbors = { int = [1, 30], default = 5 }",
        "+ knn.n_neighbors = { int = [1, 9], default = 5 }",
    ]
    assert typed("space", "diff", mine, mine).exit_code == 0


@pytest.mark.parametrize("learner", [name for name in built_in_names() if name not in ("automl", "baseline")])
def test_init_prints_a_file_that_is_right_and_names_what_it_leaves_out(learner: str, tmp_path: Path) -> None:
    text = typed("space", "init", learner).stdout
    path = tmp_path / f"{learner}.toml"
    path.write_text(text)
    assert typed("space", "check", path).exit_code == 0
    assert set(read_space(path).learners) == {learner}


def test_init_of_an_own_model_names_its_parameters(tmp_path: Path) -> None:
    text = typed("space", "init", "svc", "--model", "sklearn.svm:SVC").stdout
    assert 'model = "sklearn.svm:SVC"' in text and "# C = 1.0" in text and '# kernel = "rbf"' in text
    path = tmp_path / "svc.toml"
    path.write_text(text)
    assert typed("space", "check", path).exit_code == 0


def test_sample_draws_configurations_that_the_space_admits(mine: Path) -> None:
    done = typed("space", "sample", mine, "-n", "7", "--seed", "1")
    drawn = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(drawn) == 7 and all(1 <= each["n_neighbors"] <= 30 and each["learner"] == "knn" for each in drawn)
    assert typed("space", "sample", mine, "-n", "7", "--seed", "1").stdout == done.stdout
    assert typed("space", "sample", mine, "-n", "7", "--seed", "2").stdout != done.stdout


def test_convert_writes_a_space_and_lists_what_is_lost(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "method: bayes\nparameters:\n  n_neighbors: {min: 1, max: 20}\n  weights: {values: [uniform, distance]}\n"
    )
    out = tmp_path / "mine.toml"
    done = typed("space", "convert", sweep, "--learner", "knn", "-o", out)
    assert done.exit_code == 0 and done.stdout == ""
    assert "not carried over: method" in done.stderr and "read as wandb" in done.stderr
    space = read_space(out)
    assert space == Space({"knn": {"n_neighbors": {"int": [1, 20]}, "weights": {"choice": ["uniform", "distance"]}}})
    assert typed("space", "check", out).exit_code == 0


def test_a_file_that_is_no_space_is_exit_2_without_a_traceback(tmp_path: Path) -> None:
    for words in (
        ("check", "nowhere.toml"),
        ("show", "lightgmb"),
        ("convert", tmp_path / "no.yaml"),
        ("init", "lihgtgbm"),
    ):
        done = typed("space", *words)
        assert done.exit_code == 2 and "Traceback" not in done.stderr and done.stderr, words


def run(mine: Path, *words: str) -> Result:
    table = mine.parent / "iris.csv"
    from sklearn.datasets import load_iris

    load_iris(as_frame=True).frame.to_csv(table, index=False)
    storage = mine.parent / "study.db"
    common = ["run", table, "--target", "target", "--space", mine, "--storage", storage, "--n-trials", "3"]
    return typed(*common, "--random-state", "0", "--json", "--no-progress", *words)


def test_set_and_fix_change_the_space_of_a_run(mine: Path) -> None:
    done = run(mine, "--set", "knn.n_neighbors={int=[7,8]}", "--fix", "weights=distance")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["best_params"]["n_neighbors"] in (7, 8) and found["best_params"]["weights"] == "distance"
    assert any("all 2 configurations" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "knn.n_neighbors={int=[7,"), "is no TOML"),
        (("--set", "knn.n_neighbors={int=[8,7]}"), "not below"),
        (("--set", "n_neighbors"), "takes path=value"),
        (("--fix", "kn.weights=uniform"), "knn"),
        (("--fix", "knn.wieghts=uniform"), "weights"),
        (("--fix", "knn.weights=unifrom"), "uniform"),
    ],
)
def test_a_wrong_change_ends_before_the_run(mine: Path, words: tuple[str, str], said: str) -> None:
    done = run(mine, *words)
    assert done.exit_code == 2 and said in done.stderr and done.stdout == ""


def test_what_init_leaves_out_can_be_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = typed("space", "init", "mlp").stdout
    before, header, after = text.partition("# [mlp] takes these too")
    path.write_text(before + header + re.sub(r"^# (\w+ = )", r"\1", after, flags=re.MULTILINE))
    done = typed("space", "check", path)
    assert done.exit_code == 0, done.stderr
    assert set(read_space(path).learners["mlp"]) > set(find_space("mlp").learners["mlp"])


def test_init_puts_names_in_quotes_and_refuses_those_that_mean_something_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(typed("space", "init", "my svc", "--model", "sklearn.svm:SVC").stdout)
    assert list(read_space(path).models) == ["my svc"]
    refused = typed("space", "init", "start", "--model", "sklearn.svm:SVC")
    assert refused.exit_code == 2 and "no learner can be called 'start'" in refused.stderr


def test_check_goes_on_after_a_name_that_is_wrong(mine: Path) -> None:
    done = typed("space", "check", "lightgmb", mine)
    assert done.exit_code == 2 and "lightgbm" in done.stderr and f"{mine}: ok" in done.stdout


def test_a_file_that_cannot_be_written_is_exit_2(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("parameters:\n  k: {min: 1, max: 20}\n")
    done = typed("space", "convert", sweep, "-o", tmp_path / "nowhere" / "x.toml")
    assert done.exit_code == 2 and "x.toml cannot be written: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((["n_neighbors={int=[1,9],or=[{none=true}],default={none=true}}"], []), None),
        ((["n_neighbors={choice=[5,{none=true}],default={none=true}}"], []), None),
        (([], ["n_neighbors=[1,{none=true}]"]), (1, None)),
        (([], ["n_neighbors=None"]), None),
        (([], ["n_neighbors=False"]), False),
        (([], ["n_neighbors='False'"]), "False"),
    ],
)
def test_changes_say_none_and_false(mine: Path, words: tuple[list[str], list[str]], found: object) -> None:
    assert changed(read_space(mine), *words).default("knn").params["n_neighbors"] == found


def test_true_and_false_are_not_texts(mine: Path) -> None:
    mine.write_text('version = 1\n[mlp]\nnesterov = { choice = ["yes", 3] }\n[lightgbm]\nextra_trees = "False"\n')
    done = typed("space", "check", mine)
    assert done.exit_code == 2
    assert f"{mine}:3:1 mlp.nesterov: nesterov='yes' is not true or false" in done.stderr
    assert f"{mine}:5:1 lightgbm.extra_trees: extra_trees='False' is not true or false" in done.stderr
