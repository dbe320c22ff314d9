"""Every wrong space of golden/wrong_spaces.txt, and the whole of what is said about it."""

import contextlib
import re
import tempfile
from pathlib import Path

import pytest

from autotune.errors import SpaceError
from autotune.spaces.files import read_space

GOLDEN = Path(__file__).parent / "golden" / "wrong_spaces.txt"
UNSEEN = {"[TAB]": "\t", "[BOM]": "\ufeff", "[CR]": "\r", "[NUL]": "\x00"}
POSITION = re.compile(r"[\w./-]+\.(?:toml|yaml|json):\d+:\d+(?: [^:]+)?: ")
FOLDER = "FOLDER"


def read_cases():
    """Return, by title, the files of each case and its message."""
    cases = {}
    for block in GOLDEN.read_text(encoding="utf-8").split("\n######## ")[1:]:
        title, _, rest = block.partition("\n")
        texts, _, message = rest.partition(">>>>\n")
        parts = re.split(r"^==== (.+)\n", texts, flags=re.MULTILINE)
        cases[title] = (dict(zip(parts[1::2], parts[2::2], strict=True)), message.strip("\n"))
    return cases


def said_about(files, folder):
    """Write the files of a case, read the first one, and return the message."""
    for name, text in files.items():
        for mark, character in UNSEEN.items():
            text = text.replace(mark, character)
        (folder / name).write_bytes(text.rstrip("\n").encode())
    with contextlib.chdir(folder), pytest.raises(SpaceError) as caught:
        read_space(Path(next(iter(files))))
    return str(caught.value).replace(str(folder), FOLDER)


CASES = read_cases()


@pytest.mark.parametrize("title", CASES)
def test_what_is_said_about_a_wrong_space(title, tmp_path):
    files, message = CASES[title]
    assert said_about(files, tmp_path) == message


def test_there_are_enough_of_them():
    assert len(CASES) >= 60
    suffixes = [Path(next(iter(files))).suffix for files, _ in CASES.values()]
    assert {suffix: suffixes.count(suffix) >= 5 for suffix in (".toml", ".yaml", ".json")} == {
        ".toml": True,
        ".yaml": True,
        ".json": True,
    }


@pytest.mark.parametrize("title", CASES)
def test_every_line_names_a_position_and_what_to_do(title):
    lines = CASES[title][1].split("\n")
    lines = lines[1:] if re.fullmatch(r"\d+ problems:", lines[0]) else lines
    assert [line for line in lines if not POSITION.match(line)] == []
    assert [line for line in lines if "; " not in line] == []


@pytest.mark.parametrize("title", CASES)
def test_problems_stand_in_the_order_of_the_lines(title):
    found = [(match[1], int(match[2]), int(match[3])) for match in re.finditer(r"^(\S+):(\d+):(\d+)", CASES[title][1])]
    by_file = {file: [place[1:] for place in found if place[0] == file] for file, _, _ in found}
    assert all(places == sorted(places) for places in by_file.values())


def write_anew():
    """Write the messages of all cases as they are now."""
    blocks = [GOLDEN.read_text(encoding="utf-8").split("\n######## ")[0].rstrip("\n") + "\n"]
    for title, (files, _) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            message = said_about(files, Path(folder))
        texts = "".join(f"==== {name}\n{text.rstrip()}\n" for name, text in files.items())
        blocks.append(f"{title}\n{texts}>>>>\n{message}\n")
    GOLDEN.write_text("\n######## ".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    write_anew()
