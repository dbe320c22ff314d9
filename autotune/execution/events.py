"""What the coordinator and the places where trials run say to each other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from autotune.curve import Progress, PrunedError
from autotune.evaluation import UNLIMITED, Limits
from autotune.learners.protocol import Resources
from autotune.spaces.space import Config

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A trial to run: its number, configuration, seed of the models, and what the deadline means for it."""

    number: int
    config: Config
    seed: int
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class Refit:
    """A configuration to train on all search rows for so many steps, and with `everything` on the test rows too."""

    number: int
    config: Config
    seed: int
    steps: int
    resources: Resources
    deadline: float = float("inf")
    everything: bool = False


Order: TypeAlias = Ticket | Refit


@dataclass(frozen=True, slots=True)
class Started:
    """A worker process has begun a trial."""

    number: int


@dataclass(frozen=True, slots=True)
class Reached:
    """A trial has reached a rung or done a fold, and waits for the reply."""

    number: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Completed:
    """A trial is over, with its `Evaluation`; or a refit, with what was `Fitted`.

    As with all ends, with the end of what it printed in a worker process.
    """

    number: int
    evaluation: Any
    log: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A trial was pruned where it stood."""

    number: int
    progress: Progress
    log: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial raised."""

    number: int
    reason: str
    log: str = ""


@dataclass(frozen=True, slots=True)
class Unsent(Failed):
    """What a trial or a refit came to cannot be sent from its process."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The process that ran a trial died, or was killed."""

    number: int
    reason: str
    log: str = ""


Event: TypeAlias = Started | Reached | Completed | Stopped | Failed | Lost


class Executor(Protocol):
    """A place where trials run.

    Attributes
    ----------
    startup : float
        Seconds from the start of a process to its first trial, the longest so far; 0 where none is started.
    """

    startup: float

    def capacity(self) -> int:
        """Return how many more trials can be submitted now."""

    def submit(self, order: Order) -> None:
        """Start a trial, or a refit."""

    def events(self, timeout: float | None = None) -> Sequence[Event]:
        """Wait for something to happen, at most so many seconds, and return it."""

    def reply(self, number: int, go_on: bool) -> None:
        """Answer a trial that waits at a rung."""

    def kill(self, number: int) -> None:
        """End a trial at once; `Lost` follows where its process could be killed."""

    def close(self) -> None:
        """Stop everything and free what was taken."""


Judging: TypeAlias = Generator[Progress, bool | None, Any]


def advance(number: int, judging: Judging, go_on: bool | None) -> Event:
    """Run a trial until its next event. This is the boundary at which whatever a trial raises becomes a fact.

    That holds for `SystemExit` too, and for what else is no `Exception`; only Ctrl-C goes on.
    """
    try:
        return Reached(number, judging.send(go_on))
    except StopIteration as finished:
        return Completed(number, finished.value)
    except PrunedError as pruned:
        return Stopped(number, pruned.progress)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failed(number, describe(error))


def attempt(call: Callable[[], T]) -> T | Failed:
    """Call something that trains outside of a trial; what it raises becomes a fact at the same boundary."""

    def once() -> Generator[Any, Any, Any]:
        yield from ()
        return call()

    event: Any = advance(-1, once(), None)
    return event if isinstance(event, Failed) else event.evaluation


def describe(error: BaseException) -> str:
    """Return one line about an error: its type, what it says, and the place that raised it."""
    place = ""
    traceback: Any = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        place = f" ({code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    try:
        text = " ".join(str(error).split())
    except Exception as again:  # an error of somebody's own that cannot say what it is
        text = f"its text cannot be had: {type(again).__name__}"
    return f"{type(error).__name__}: {text[:300]}{place}"
