"""What a multilayer perceptron can be told."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from autotune.learners.checks import Rule, check_parameters
from autotune.learners.training_params import TRAINING_RULES, TrainingParams

Activation = Literal["relu", "elu", "gelu", "silu", "mish", "selu"]
Normalization = Literal["none", "batch", "layer"]
Precision = Literal["auto", "float32", "bfloat16"]

_OF_THE_LOSS = ("label_smoothing", "class_weight", "loss")


@dataclass(frozen=True, slots=True, repr=False)
class MLPParams(TrainingParams):
    """Parameters of the network, beside those of its training.

    Attributes
    ----------
    layers, units : int
        Hidden layers and their width.
    activation : {"relu", "elu", "gelu", "silu", "mish", "selu"}
        What follows each hidden layer.
    normalization : {"none", "batch", "layer"}
        What stands between a hidden layer and its activation.
    dropout : float
        Share of hidden values that a training step leaves out.
    embedding_size : int
        Numbers that stand for a level of a category.
    precision : {"auto", "float32", "bfloat16"}
        What hidden layers of 128 units and more multiply in while they train; all else, and every prediction, is
        float32. "auto" is bfloat16 on a CPU that multiplies it several times as fast (AMX), and float32 elsewhere.
        tests/benchmarks/precision.py measures what that does to scores: much less than another seed.

    See Also
    --------
    TrainingParams : the parameters of the training, which this one has too.

    Examples
    --------
    >>> MLPParams(units=64).layers
    2
    """

    layers: int = 2
    units: int = 128
    activation: Activation = "relu"
    normalization: Normalization = "batch"
    dropout: float = 0.2
    embedding_size: int = 8
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        check_parameters("mlp", self, _RULES)

    def __repr__(self) -> str:
        # the network stands between the steps and the loss, as in the space, which inheritance alone would put last
        names = [field.name for field in fields(self) if field.name not in _OF_THE_LOSS]
        return f"MLPParams({', '.join(f'{name}={getattr(self, name)!r}' for name in (*names, *_OF_THE_LOSS))})"


_RULES: dict[str, Rule] = TRAINING_RULES | {
    "layers": range(100),
    "units": range(1, 10**5),
    "activation": " ".join(get_args(Activation)),
    "normalization": " ".join(get_args(Normalization)),
    "dropout": (0.0, 0.95),
    "embedding_size": range(1, 1024),
    "precision": " ".join(get_args(Precision)),
}
