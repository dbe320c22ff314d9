from textwrap import dedent

import pytest

from autotune.errors import SpaceError
from autotune.spaces.files import read_space
from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Config, Space


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_text


def message_of(path):
    with pytest.raises(SpaceError) as caught:
        read_space(path)
    return str(caught.value).replace(str(path.parent), "FOLDER")


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


def test_everything_wrong_with_the_entries_is_shown_together(write):
    path = write(
        """\
        version = 2
        colour = "red"

        [mlp]
        learning_rate = { flaot = [1e-4, 1e-2] }
        units = { int = [512, 16], log = true }
        dropout = { float = [0.0, 0.5], lgo = true }
        layers = { int = [1, 4], default = 9 }
        momentum = { float = [0.0, 0.99], when = "sgd" }
        epochs = { int = 5, stp = 2 }
        loss = { choice = "auto" }
        schedule = { float = [0.0, 1.0], log = 1 }
        batch_size.int = ["a", "b"]
        activation = { int = [1, 2], choice = [1] }
        """
    )
    assert message_of(path) == dedent(
        """\
        13 problems:
        1. version 2 of the format is not known
          where: mine.toml
          try:   version = 1
        2. no key named 'colour'
          where: mine.toml:2
          try:   one of: include, start, summary, version
        3. no kind of parameter named 'flaot'
          where: mine.toml:5, [mlp.learning_rate]
          try:   float
        4. units: the lower bound 512 is not below the upper bound 16
          where: mine.toml:6, [mlp.units]
        5. no key of a float parameter named 'lgo'
          where: mine.toml:7, [mlp.dropout]
          try:   log
        6. layers: default 9 is not a value of [1, 4]
          where: mine.toml:8, [mlp.layers]
        7. momentum: when is a table, found 'sgd'
          where: mine.toml:9, [mlp.momentum]
          try:   when = { optimizer = "sgd" }
        8. no key of an int parameter named 'stp'
          where: mine.toml:10, [mlp.epochs]
          try:   step
        9. epochs: bounds are a list of two numbers, found 5
          where: mine.toml:10, [mlp.epochs]
          try:   int = [0, 1]
        10. loss: options are a list, found 'auto'
          where: mine.toml:11, [mlp.loss]
          try:   choice = ["a", "b"]
        11. schedule: log is true or false, found 1
          where: mine.toml:12, [mlp.schedule]
        12. batch_size: bounds of an int are whole numbers, found ['a', 'b']
          where: mine.toml, [mlp.batch_size]
        13. activation is of 2 kinds
          where: mine.toml:14, [mlp.activation]
          try:   one of: float, int, choice, fixed"""
    )


def test_everything_wrong_with_conditions_and_starts_is_shown_together(write):
    path = write(
        """\
        version = 1

        [mlp]
        optimizer = { choice = ["adamw", "sgd"] }
        momentum = { float = [0.0, 0.99], when = { optimiser = "sgd" } }
        nesterov = { choice = [true, false], when = { optimizer = "sdg" } }
        loss = { choice = ["auto"], when = { task = "regresion" } }
        one = { int = [1, 2], when = { two = 1 } }
        two = { int = [1, 2], when = { one = 1 } }

        [[start]]
        optimizer = "adamw"
        nesterov = true

        [[start]]
        optimizer = "rmsprop"
        optimizr = "sgd"

        [[start]]
        learner = "mpl"
        """
    )
    assert message_of(path) == dedent(
        """\
        9 problems:
        1. no parameter to depend on named 'optimiser'
          where: mine.toml:5, [mlp.momentum]
          try:   optimizer
        2. nesterov exists when optimizer = 'sdg', which optimizer never is
          where: mine.toml:6, [mlp.nesterov]
        3. no kind of task named 'regresion'
          where: mine.toml:7, [mlp.loss]
          try:   regression
        4. one depends on two, which depends on itself
          where: mine.toml:8, [mlp.one]
        5. two depends on one, which depends on itself
          where: mine.toml:9, [mlp.two]
        6. start: nesterov does not exist under its condition
          where: mine.toml:13, [start.0.nesterov]
          try:   leave nesterov out
        7. start: optimizer = 'rmsprop' is outside its range
          where: mine.toml:16, [start.1.optimizer]
        8. no parameter of 'mlp' named 'optimizr'
          where: mine.toml:17, [start.1.optimizr]
          try:   optimizer
        9. no learner of this space named 'mpl'
          where: mine.toml:19, [start.2]
          try:   mlp"""
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[knn]\n", "version 'none' of the format is not known\n  where: mine.toml\n  try:   version = 1"),
        ("version = 1\n", "a space needs at least one learner\n  where: space 'mine'"),
        (
            "version = 1\n[knn]\np = [1.0\n",
            "the file is no TOML: Unclosed array (at end of document)\n  where: FOLDER/mine.toml",
        ),
        (
            'version = 1\ninclude = "knn"\n',
            "include is a list of names, found 'knn'\n  where: mine.toml:2",
        ),
        (
            'version = 1\nsummary = "x"\ninclude = ["lightgmb"]\n',
            "no search space named 'lightgmb'\n  where: mine.toml:3\n  try:   lightgbm",
        ),
        (
            'version = 1\ninclude = ["other.toml"]\n',
            "there is no such file\n  where: FOLDER/other.toml\n  try:   tune spaces lists the built-in ones",
        ),
        (
            'version = 1\ninclude = ["mine.toml"]\n',
            "include goes round in a circle\n  where: FOLDER/mine.toml\n  try:   take one of the includes out",
        ),
        ("version = 1\nstart = 5\n[knn]\n", "start is a list of tables\n  where: mine.toml:2\n  try:   [[start]]"),
        (
            "version = 1\n[a]\nx = 1\n[b]\nx = 1\n[[start]]\nx = 1\n",
            "a start names no learner\n  where: mine.toml:6, [start.0]\n  try:   learner = one of: a, b",
        ),
        (
            "version = 1\n[knn]\np = {}\n",
            "p is of 0 kinds\n  where: mine.toml:3, [knn.p]\n  try:   one of: float, int, choice, fixed",
        ),
        (
            "version = 1\n[knn]\n[knn.p]\nfloat = [1.0, 2.0]\nstep = 2\n",
            "no key of a float parameter named 'step'\n  where: mine.toml:3, [knn.p]\n"
            "  try:   one of: default, log, when",
        ),
    ],
)
def test_what_is_wrong_with_a_file(write, text, message):
    assert message_of(write(text)) == message


def test_a_file_that_cannot_be_read(tmp_path):
    assert message_of(tmp_path / "absent.toml") == (
        "there is no such file\n  where: FOLDER/absent.toml\n  try:   tune spaces lists the built-in ones"
    )
    (tmp_path / "latin.toml").write_bytes(b"summary = '\xff'")
    assert message_of(tmp_path / "latin.toml").startswith("the file cannot be read: 'utf-8' codec can't decode")
    (tmp_path / "folder.toml").mkdir()
    assert message_of(tmp_path / "folder.toml").startswith("the file cannot be read: ")


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


def test_a_long_circle_of_includes_is_found(write):
    write('version = 1\ninclude = ["two.toml"]\n', "one.toml")
    write('version = 1\ninclude = ["three.toml"]\n', "two.toml")
    assert "circle\n  where: FOLDER/one.toml" in message_of(
        write('version = 1\ninclude = ["one.toml"]\n', "three.toml").with_name("one.toml")
    )


def test_one_file_may_be_included_twice(write):
    write("version = 1\n[a]\n", "a.toml")
    write('version = 1\ninclude = ["a.toml"]\n[b]\n', "b.toml")
    assert list(read_space(write('version = 1\ninclude = ["a.toml", "b.toml"]\n')).learners) == ["a", "b"]


def test_a_wrong_line_of_an_included_file_is_named(write):
    write("version = 1\n[a]\nx = { int = [5, 1] }\n", "other.toml")
    assert message_of(write('version = 1\ninclude = ["other.toml"]\n')) == (
        "x: the lower bound 5 is not below the upper bound 1\n  where: other.toml:3, [a.x]"
    )


def test_places_survive_joining_and_settling(write):
    space = read_space(write("version = 1\n[a]\nx = 1\n")) | Space({"b": {"y": 1}}, name="python")
    assert space.for_task("binary").place("a", "x") == "mine.toml:3, [a.x]"
    assert space.place("b", "y") == "space 'mine+python', [b.y]"
