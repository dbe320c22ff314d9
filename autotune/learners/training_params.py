"""What the training of any network can be told, and what follows from it for each step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from autotune.learners.checks import Rule

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]
Schedule = Literal["constant", "linear", "cosine", "one_cycle"]
ClassWeight = Literal["none", "balanced"]
RegressionLoss = Literal["auto", "squared", "absolute", "huber"]


@dataclass(frozen=True, slots=True)
class TrainingParams:
    """Parameters of a network's training, whatever the network.

    Attributes
    ----------
    learning_rate : float
        Peak of the schedule.
    batch_size : int
        Rows a step, at most: an epoch of a small table has eight steps where batches of 16 rows allow it.
    epochs : int
        The horizon: the schedule ends there, the curve chooses the epoch.
    optimizer : {"sgd", "adam", "adamw", "rmsprop", "adagrad"}
        How gradients become steps.
    momentum : float
        Momentum of sgd and rmsprop.
    nesterov : bool
        Whether sgd looks ahead by its momentum.
    weight_decay : float
        Decay of weight matrices; biases, normalizations and embeddings have none. Decoupled from the gradient for
        adamw, added to it for the others.
    gradient_clip : float
        Largest norm of a step's gradient; 0 for no limit.
    schedule : {"constant", "linear", "cosine", "one_cycle"}
        How the learning rate falls over the horizon; one_cycle first rises for 30 % of it.
    warmup : float
        Share of the horizon over which the learning rate rises from 0 before the schedule begins.
    label_smoothing : float
        Share of a class's certainty that is spread over all classes.
    class_weight : {"none", "balanced"}
        Whether rows of rare classes count for more, so that all classes count the same.
    loss : {"auto", "squared", "absolute", "huber"}
        Loss of regression, on standardized values; auto follows the metric.

    Examples
    --------
    >>> TrainingParams(optimizer="sgd").momentum
    0.9
    """

    learning_rate: float = 2e-3
    batch_size: int = 256
    epochs: int = 60
    optimizer: Optimizer = "adamw"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.01
    gradient_clip: float = 0.0
    schedule: Schedule = "cosine"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    class_weight: ClassWeight = "none"
    loss: RegressionLoss = "auto"


TRAINING_RULES: dict[str, Rule] = {
    "learning_rate": (1e-8, 100.0),
    "batch_size": range(1, 10**7),
    "epochs": range(1, 10**5),
    "optimizer": " ".join(get_args(Optimizer)),
    "momentum": (0.0, 0.9999),
    "nesterov": bool,
    "weight_decay": (0.0, 10.0),
    "gradient_clip": (0.0, float("inf")),
    "schedule": " ".join(get_args(Schedule)),
    "warmup": (0.0, 0.9),
    "label_smoothing": (0.0, 0.9),
    "class_weight": " ".join(get_args(ClassWeight)),
    "loss": " ".join(get_args(RegressionLoss)),
}
"""What `check_parameters` holds the values to, in the name of the learner that takes them."""


def rate_factor(params: TrainingParams, progress: float) -> float:
    """Return the learning rate as a share of its peak at a point of the horizon between 0 and 1.

    Examples
    --------
    >>> params = TrainingParams(schedule="cosine", warmup=0.2)
    >>> [round(rate_factor(params, progress), 2) for progress in (0.1, 0.2, 0.6, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < params.warmup:
        return progress / params.warmup
    progress = (progress - params.warmup) / (1 - params.warmup)
    match params.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        case "one_cycle":
            return progress / 0.3 if progress < 0.3 else (1 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2


def count_batches(n_rows: int, batch_size: int) -> int:
    """Return the steps of an epoch: eight at least, unless batches would be under 16 rows; never one row of many.

    Examples
    --------
    >>> [count_batches(n_rows, 256) for n_rows in (1, 10, 100, 1000, 10_000)]
    [1, 1, 6, 8, 40]
    """
    wanted = max(math.ceil(n_rows / batch_size), min(8, n_rows // 16))
    return max(1, min(wanted, n_rows // 2))  # a batch of one row has no variance to normalize by
