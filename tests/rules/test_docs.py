"""Links lead somewhere, public things have examples, and comments tell no history."""

import inspect
import io
import re
import tokenize
from pathlib import Path

import pytest

import autotune

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|(?:href|src)=\"([^\"]+)\"")
HISTORY = re.compile(
    r"versionadded|versionchanged|\b(new|added|changed|removed|introduced|fixed|deprecated) (in|since) (version|v?\d)"
    r"|\b(previously|formerly|used to be|was renamed|were renamed|no longer|TODO|FIXME|XXX|HACK)\b",
    re.IGNORECASE,
)
SOURCES = sorted(path for folder in ("autotune", "tests", "search_spaces") for path in (ROOT / folder).rglob("*.py"))


def test_relative_links_of_the_readme_exist():
    if not README.exists():
        pytest.skip("there is no README.md")
    links = [a or b for a, b in LINK.findall(README.read_text("utf-8"))]
    relative = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in relative if not (ROOT / link).exists()] == []


def test_headings_that_the_readme_links_to_exist():
    if not README.exists():
        pytest.skip("there is no README.md")
    text = README.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", text) if link not in anchors] == []


@pytest.mark.parametrize("name", autotune.__all__)
def test_public_names_have_an_example(name):
    docstring = inspect.getdoc(getattr(autotune, name)) or ""
    assert re.search(r"^Examples\n-{8}$", docstring, re.MULTILINE), f"autotune.{name} has no Examples section"
    assert ">>> " in docstring


def test_public_names_are_the_ones_that_load():
    assert sorted(autotune._PUBLIC) == sorted(autotune.__all__)
    assert set(autotune.__all__) <= set(dir(autotune))
    with pytest.raises(AttributeError, match="module 'autotune' has no attribute 'tuen'"):
        _ = autotune.tuen


def test_the_map_names_rooms_that_exist():
    named = {name.removeprefix("autotune.") for name in re.findall(r"`([a-z_.]+)`", autotune.__doc__ or "")}
    rooms = {path.stem for path in (ROOT / "autotune").iterdir()}
    assert len(named) > 15
    assert named - rooms == set()


def comments(path):
    """Yield the line and the text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_comments_tell_no_history():
    told = [(path.relative_to(ROOT), *comment) for path in SOURCES for comment in comments(path)]
    assert len(told) > 50
    assert [f"{path}:{line} {text}" for path, line, text in told if HISTORY.search(text)] == []
