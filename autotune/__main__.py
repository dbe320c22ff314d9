"""``python -m autotune`` is ``tune``, for where another package's script has that name."""

from autotune.cli import main

if __name__ == "__main__":
    main(prog_name="tune")
