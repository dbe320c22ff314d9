"""A trial that is held by this process: as whoever runs it sees it, and as the study does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from autotune.spaces.space import Config


@dataclass(slots=True)
class Running:
    """A trial that is held here: its configuration, the rungs it has reached, and those still to be written."""

    config: Config
    reached: set[int]
    deaths: int
    unwritten: dict[int, float] = field(default_factory=dict)
    written: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this process is to run."""

    number: int
    config: Config
    seed: int
