from pathlib import Path
from textwrap import dedent

import pytest

from autotune.errors import SpaceError
from autotune.spaces.files import read_document, read_space
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Config, Space


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_text(text, name="mine.toml"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_text


def message_of(path):
    with pytest.raises(SpaceError) as caught:
        read_space(path)
    return str(caught.value).replace(f"{path.parent}/", "FOLDER/") if path.is_absolute() else str(caught.value)


def test_a_file_holds_what_python_holds(write):
    path = write(
        """\
        version = 1
        summary = "Two learners."

        [mlp]
        learning_rate = { float = [1e-4, 1e-2], log = true, default = 2e-3 }
        units         = { int = [16, 64], step = 16 }
        optimizer     = { choice = ["adamw", "sgd"] }
        momentum      = { float = [0.0, 0.99], when = { optimizer = ["sgd"], task = "classification" } }
        epochs        = 60
        layers        = { fixed = 2, when = { optimizer = "adamw" } }

        [knn]

        [[start]]
        learner = "mlp"
        optimizer = "sgd"
        """
    )
    learners = {
        "mlp": {
            "learning_rate": Float(1e-4, 1e-2, log=True, default=2e-3),
            "units": Int(16, 64, step=16),
            "optimizer": Choice(["adamw", "sgd"]),
            "momentum": Float(0.0, 0.99, when={"optimizer": "sgd", "task": "classification"}),
            "epochs": Fixed(60),
            "layers": Fixed(2, when={"optimizer": "adamw"}),
        },
        "knn": {},
    }
    space = read_space(path)
    assert space == Space(learners, starts=[Config("mlp", {"optimizer": "sgd"})])
    assert (space.name, space.summary) == ("mine", "Two learners.")
    assert Space.from_file(str(path)) == space


def test_a_start_of_the_only_learner_needs_no_name(write):
    space = read_space(write("version = 1\n[knn]\np = { choice = [1.0, 2.0] }\n[[start]]\np = 2.0\n"))
    assert space.starts == (Config("knn", {"p": 2.0}),)


def test_the_document_is_the_same_in_all_formats(write):
    toml = write(
        """\
        version = 1
        [mlp]
        a = { float = [1e-5, 0.1], log = true, or = [{ none = true }] }
        b = "on"
        c = { choice = ["no", { none = true }, [1, 2]] }
        """
    )
    yaml = write(
        """\
        version: 1
        mlp:
          a: {float: [1e-5, 0.1], log: true, or: [null]}
          b: on
          c:
            choice:
              - no
              - null
              - [1, 2]
        """,
        "mine.yml",
    )
    json = write(
        """\
        {"version": 1, "mlp": {
        \t"a": {"float": [1e-5, 0.1], "log": true, "or": [null]},
        \t"b": "on", "c": {"choice": ["no", null, [1, 2]]}
        }}
        """,
        "mine.json",
    )
    learner = {
        "a": Float(1e-5, 0.1, log=True, special=[None]),
        "b": Fixed("on"),
        "c": Choice(["no", None, (1, 2)]),
    }
    assert read_space(toml) == read_space(yaml) == read_space(json) == Space({"mlp": learner})
    assert read_space(yaml).places[("mlp", "c", "choice", "1")] == "mine.yml:8:9"
    assert read_space(json).places[("mlp", "a", "log")] == "mine.json:2:30"


def test_anchors_and_merges_of_yaml_are_followed(write):
    path = write(
        """\
        version: 1
        one: &one
          p: {int: [1, 5]}
        two:
          <<: *one
          q: {int: [9, 1]}
        """,
        "mine.yaml",
    )
    assert message_of(path) == (
        "mine.yaml:6:7 two.q.int: q: the lower bound 9 is not below the upper bound 1; int = [1, 9]"
    )


def test_a_file_that_cannot_be_read(tmp_path):
    absent = "FOLDER/absent.toml: the file does not exist; "
    assert message_of(tmp_path / "absent.toml") == absent + "tune spaces lists the built-in ones"
    (tmp_path / "absend.yaml").touch()
    assert message_of(tmp_path / "absent.toml") == absent + "FOLDER/absend.yaml"
    (tmp_path / "latin.toml").write_bytes(b"summary = '\xff'")
    assert message_of(tmp_path / "latin.toml") == (
        "FOLDER/latin.toml: the file is no UTF-8: byte 12 is 0xff; save it as UTF-8"
    )
    (tmp_path / "folder.toml").mkdir()
    assert message_of(tmp_path / "folder.toml") == (
        "FOLDER/folder.toml: the file cannot be read: Is a directory; name a file"
    )
    (tmp_path / "mine.ini").touch()
    assert message_of(tmp_path / "mine.ini") == "FOLDER/mine.ini: a space is no .ini; one of: .toml, .yaml, .yml, .json"


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_text_without_an_end_to_its_brackets_is_refused(tmp_path, suffix):
    (tmp_path / f"deep{suffix}").write_text("a = " * (suffix == ".toml") + "[" * 5_000)
    assert message_of(tmp_path / f"deep{suffix}").startswith(f"FOLDER/deep{suffix}:1:")


def test_includes_join_built_in_spaces_and_files_beside(write):
    write("version = 1\n[mine]\nx = { int = [1, 5] }\n[[start]]\nx = 5\n", "other.toml")
    space = read_space(write('version = 1\ninclude = ["knn", "other.toml"]\n[more]\nx = 1\n'))
    assert list(space.learners) == ["knn", "mine", "more"]
    assert space.learners["knn"] == read_space(write('version = 1\ninclude = ["knn"]\n', "knn.toml")).learners["knn"]
    assert space.starts == (Config("mine", {"x": 5}),)


def test_what_a_file_writes_itself_overrides_what_it_includes(write):
    write("version = 1\n[a]\nx = { int = [1, 5] }\n[b]\n[[start]]\nlearner = 'a'\nx = 5\n", "other.toml")
    space = read_space(write('version = 1\ninclude = ["other.toml"]\n[a]\nx = { int = [2, 3] }\n'))
    assert space == Space({"a": {"x": Int(2, 3)}, "b": {}})
    assert space.place("a", "x", "int").startswith("mine.toml:4:7 ")


def test_a_long_circle_of_includes_is_found(write):
    write('version = 1\ninclude = ["two.toml"]\n', "one.toml")
    write('version = 1\ninclude = ["three.toml"]\n', "two.toml")
    path = write('version = 1\ninclude = ["one.toml"]\n', "three.toml").with_name("one.toml")
    circle = "one.toml includes two.toml includes three.toml includes one.toml"
    hint = "take one of the includes out"
    assert message_of(path) == f"three.toml:2:12 include.0: include goes round in a circle: {circle}; {hint}"


def test_one_file_may_be_included_twice(write):
    write("version = 1\n[a]\n", "a.toml")
    write('version = 1\ninclude = ["a.toml"]\n[b]\n', "b.toml")
    assert list(read_space(write('version = 1\ninclude = ["a.toml", "b.toml"]\n')).learners) == ["a", "b"]


def test_a_wrong_line_of_an_included_file_is_named(write):
    write("version = 1\n[a]\nx = { int = [5, 1] }\n", "other.toml")
    problem = "other.toml:3:7 a.x.int: x: the lower bound 5 is not below the upper bound 1; int = [1, 5]"
    assert message_of(write('version = 1\ninclude = ["other.toml"]\n')) == problem
    assert message_of(write('version = 1\ninclude = ["other.toml"]\n[a]\ny = 1\n')) == problem


def test_places_say_the_way_to_a_file_from_the_working_folder(write):
    write("version = 1\n[a]\nx = { int = [5, 1] }\n", "inc/mine.toml")
    problem = "x: the lower bound 5 is not below the upper bound 1; int = [1, 5]"
    assert message_of(Path("inc/mine.toml")) == f"inc/mine.toml:3:7 a.x.int: {problem}"
    assert message_of(write('version = 1\ninclude = ["inc/mine.toml"]\n')) == f"inc/mine.toml:3:7 a.x.int: {problem}"


def test_a_problem_of_a_file_included_twice_is_said_once(write):
    write("version = 1\n[a]\nx = { int = [5, 1] }\n", "a.toml")
    write('version = 1\ninclude = ["a.toml"]\n[b]\n', "b.toml")
    path = write('version = 1\ninclude = ["a.toml", "b.toml"]\n')
    assert message_of(path).count("the lower bound") == 1


def test_wrong_starts_and_clauses_of_an_included_file_are_named(write):
    write(
        """\
        version = 1
        [a]
        x = { int = [1, 5] }
        [[start]]
        x = 9
        [[start]]
        learner = "b"
        [[forbid]]
        x = 7
        """,
        "other.toml",
    )
    assert message_of(write('version = 1\ninclude = ["other.toml"]\n[a]\ny = 1\n')) == dedent(
        """\
        3 problems:
        other.toml:5:1 start.0.x: x is never 9; a value of [1, 5]
        other.toml:6:1 start.1: no learner of this space named 'b'; one of: a
        other.toml:9:1 forbid.0.x: x is never 7; a value of [1, 5]"""
    )


def test_places_survive_joining_and_settling(write):
    space = read_space(write("version = 1\n[a]\nx = 1\n")) | Space({"b": {"y": 1}}, name="python")
    assert space.for_task("binary").place("a", "x") == "mine.toml:3:1 a.x"
    assert space.place("b", "y") == "space 'python' b.y"


def test_a_document_is_read_as_a_file_is(tmp_path):
    document = {"version": 1, "knn": {"k": {"int": [1, 50]}}, "start": [{"k": 3}]}
    assert read_document(document) == Space({"knn": {"k": Int(1, 50)}}, starts=[{"k": 3}])
    with pytest.raises(SpaceError) as caught:
        read_document({**document, "start": [{"k": 99}]}, name="mine")
    assert str(caught.value) == "space 'mine' start.0.k: k is never 99; a value of [1, 50]"


def test_what_a_check_finds_comes_with_the_rest_in_the_order_of_the_lines(write):
    def check(space):
        return [SpaceError("no parameter 'y'", space.place("a", "y"), "x")]

    path = write("version = 1\n[a]\ny = 1\nx = { int = [5, 1] }\n")
    with pytest.raises(SpaceError) as caught:
        read_space(path, check)
    assert [line.split(" ")[0] for line in str(caught.value).split("\n")[1:]] == ["mine.toml:3:1", "mine.toml:4:7"]


def test_a_models_file_is_looked_for_beside_the_space(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def build(n_features, n_outputs): ...")
    (tmp_path / "net.toml").write_text(
        'version = 1\n[net]\nmodel = "nets.py:build"\n[svc]\nmodel = "sklearn.svm:SVC"\n'
    )
    found = read_space(tmp_path / "net.toml").models
    assert found == {"net": f"{tmp_path / 'nets.py'}:build", "svc": "sklearn.svm:SVC"}
