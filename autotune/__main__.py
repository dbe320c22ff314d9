"""The program: ``tune``, or ``python -m autotune`` for where another package's script has that name."""

from autotune.cli import main
from autotune.shell import leave, printed_whole


def run() -> None:
    """Run a command, and end the process with its exit code."""
    try:
        with printed_whole():
            main(prog_name="tune")
    except SystemExit as end:
        leave(end)


if __name__ == "__main__":
    run()
