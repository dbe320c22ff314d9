"""Who may import whom, one keeper a dependency, small files and functions: read off the source itself."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "autotune"
FLOORS = (  # from the ground up; a room imports only from rooms on lower floors
    {"errors"},
    {"registry"},
    {"settings"},
    {"spaces", "data", "scores"},
    {"metrics", "learners"},
    {"curve", "predictor", "verdict"},
    {"evaluation"},
    {"study", "objective"},
    {"execution", "ensemble", "countdown", "setup"},
    {"plan"},
    {"forecast", "report", "watcher"},
    {"shipping"},
    {"tuning", "optimizing", "console", "testing"},
    {"api", "demo", "space_tables", "shell"},
    {"estimator", "space_commands", "study_commands", "joining"},
    {"replaying"},
    {"joining_commands"},
    {"cli"},
    {"__main__"},
    {"__init__"},  # the map: it names the public things, and loads them on first use
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
KEEPERS = {  # a package, where it is imported, and where its name serves types alone
    "optuna": (r"study/.*", r"(plan|report|optimizing|study_commands|joining\w*|replaying)\.py"),
    "lightgbm": (r"learners/lightgbm\.py", ""),
    "xgboost": (r"learners/xgboost\.py", ""),
    "catboost": (r"learners/catboost\.py", ""),
    "torch": (r"learners/(mlp|torch)\w*\.py", ""),
    "click": (r"(cli|\w+_commands)\.py", ""),
    "ruamel": (r"spaces/(texts|writing|convert)\.py", ""),
    "rich": (r"(console|space_tables)\.py", ""),
}
TRIAL_BOUNDARY = "execution/events.py"
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


def room_of(file: str) -> str:
    return file.partition("/")[0].removesuffix(".py")


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything imported, ``"autotune.data.task.Rows"``, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{a.name}") for a in node.names)


def lines_for_types(tree: ast.Module) -> set[int]:
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {line for block in blocks for line in range(block.lineno, (block.end_lineno or 0) + 1)}


def test_every_room_has_a_floor():
    assert {room_of(file) for file in TREES} <= set(FLOOR_OF)


def test_arrows_go_down_only():
    upward = []
    for file, tree in TREES.items():
        for line, name in imports(tree):
            package, _, rest = name.partition(".")
            above = package == "autotune" and rest != "__version__"
            if above and (there := rest.partition(".")[0]) != (here := room_of(file)):
                upward += [f"{file}:{line} imports {name}"] * (FLOOR_OF.get(there, 99) >= FLOOR_OF[here])
    assert upward == []


def test_imports_are_absolute():
    assert [f"{file}:{line}" for file, tree in TREES.items() for line, name in imports(tree) if name[0] == "."] == []


@pytest.mark.parametrize("package", KEEPERS)
def test_a_dependency_has_one_keeper(package):
    keeper, for_types = KEEPERS[package]
    strays, users = [], 0
    for file, tree in TREES.items():
        lines = [line for line, name in imports(tree) if name.split(".")[0] == package]
        users += len(lines)
        if re.fullmatch(for_types, file):
            lines = [line for line in lines if line not in lines_for_types(tree)]
        if not re.fullmatch(keeper, file):
            strays += [f"{file}:{line}" for line in lines]
    assert strays == []
    assert users, f"nothing imports {package}: is the rule out of date?"


def swallows(node: ast.AST) -> bool:
    """Return whether this takes any error at all and does not raise it again."""
    if isinstance(node, ast.ExceptHandler):
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
        names = {ast.unparse(kind) for kind in kinds}
        again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        return not again and (node.type is None or bool(names & {"Exception", "BaseException"}))
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(ast.unparse(argument) in ("Exception", "BaseException") for argument in node.args)
    return False


def test_any_error_is_caught_at_the_trial_boundary_only():
    caught = [f"{file}:{node.lineno}" for file, tree in TREES.items() for node in ast.walk(tree) if swallows(node)]
    assert {place.partition(":")[0] for place in caught} == {TRIAL_BOUNDARY}, caught


def test_no_room_is_called_after_nothing():
    vague = {"util", "utils", "common", "helper", "helpers", "misc", "manager", "tools"}
    assert [file for file in TREES if vague & set(file.removesuffix(".py").split("/"))] == []


def test_files_stay_under_400_lines():
    lengths = {file: len((PACKAGE / file).read_text("utf-8").splitlines()) for file in TREES}
    assert {file: length for file, length in lengths.items() if length > 400} == {}


def test_functions_stay_short():
    lengths = {}
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                said = node.body[0] if ast.get_docstring(node) is not None else None
                docstring = said.end_lineno - said.lineno + 1 if said else 0
                lengths[f"{file}:{node.lineno} {node.name}"] = node.end_lineno - node.lineno + 1 - docstring
    assert {function: length for function, length in lengths.items() if length > 50} == {}
    longer = {function: length for function, length in lengths.items() if length > 25}
    assert len(longer) <= 0.1 * len(lengths), longer


@pytest.mark.parametrize("module", ["autotune", "autotune.cli", "autotune.settings", "autotune.errors"])
def test_import_is_light(module):
    heavy = ["torch", "lightgbm", "optuna", "sklearn", "pandas", "numpy", "scipy", "joblib", "pyarrow"]
    script = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
