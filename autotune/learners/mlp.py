"""A multilayer perceptron: its training in lockstep, its pace, its device. The torch is in `mlp_training`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from autotune.data.task import ALL_TASKS, TaskKind
from autotune.errors import SettingsError
from autotune.learners.mlp_params import MLPParams
from autotune.learners.protocol import Member, Pace, Resources, Step

IMPORTS = ("autotune.learners.mlp_training",)
"""What training imports beside this module."""

FIRST_RUNG = 3.0
"""Epochs before the earliest comparison: sooner, low learning rates are punished."""

PATIENCE = 16
"""Epochs without a better mean score after which a curve ends."""

WIDE_ENOUGH_FOR_THREADS = 512
"""Networks of fewer units train slower with a second thread than without."""


class MLP:
    """The learner; see `MLPParams` for what it takes."""

    name: ClassVar[str] = "mlp"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[Any]] = MLPParams
    fidelity: ClassVar[str] = "epochs"

    def train(self, members: Sequence[Member], params: MLPParams, *, seed: int, resources: Resources) -> Iterator[Step]:
        """Train all members an epoch at a time, up to ``epochs``.

        Raises
        ------
        FloatingPointError
            When a loss is no longer finite.
        """
        from autotune.learners.mlp_training import CohortTraining
        from autotune.learners.torch_training import at_most_threads, denormals_as_zeros

        n_threads = resources.threads if params.units >= WIDE_ENOUGH_FOR_THREADS else 1
        training = CohortTraining(members, params, seed=seed, device=choose_device(resources.device))
        for number in range(1, params.epochs + 1):
            with at_most_threads(n_threads), denormals_as_zeros():
                training.run_epoch()
            yield Step(number, tuple(range(len(members))), training.predictions, training.models)

    def pace(self, params: MLPParams) -> Pace:
        """Count epochs."""
        return Pace(worth=1.0, first_rung=FIRST_RUNG, patience=PATIENCE)


def choose_device(setting: str | None = None) -> str:
    """Choose the device that networks train on.

    Parameters
    ----------
    setting : str, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; None or ``"auto"`` takes CUDA, then MPS, then the CPU.

    Returns
    -------
    str
        A device that is there.

    Raises
    ------
    SettingsError
        When it is not there.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    if setting == "cpu":
        return setting
    import torch

    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    there = [*(["cuda"] if cuda else []), *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    if setting in (None, "auto"):
        return there[0]
    if setting not in {*there, *cuda}:
        raise SettingsError(f"no device {setting!r} here", where="device", hint=f"one of: {', '.join(there + cuda)}")
    return str(setting)
