"""The gradients of the losses of `torch_training.row_losses`, for all folds at once.

Shapes: F folds, n rows, C outputs a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from autotune.learners.torch_training import row_losses

if TYPE_CHECKING:
    from autotune.data.task import Problem
    from autotune.learners.training_params import TrainingParams


class Gradient(Protocol):
    """The gradient, by the outputs, of the sum of all rows' losses times their weights.

    What can be made of answers and weights alone is made for many rows at once; see `prepared`.
    """

    def prepared(self, answers: Tensor, weights: Tensor) -> Tensor:
        """Return what `of` is to have of answers (F, n) and weights (F, n), with the rows last: (F, …, n)."""

    def of(self, outputs: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient (F, n, C) of outputs (F, n, C), from what was prepared and the weights (F, n)."""


def gradient_of_loss(problem: Problem, params: TrainingParams) -> Gradient:
    """Return the gradient of the loss that fits a problem."""
    if problem.is_classification:
        return OfCrossEntropy(problem.n_classes, params.label_smoothing)
    return OfValues(problem, params)


@dataclass(frozen=True, slots=True)
class OfCrossEntropy:
    """Cross entropy after a softmax: the share of each class less what it should be, times the weight.

    Examples
    --------
    >>> gradient, weights = OfCrossEntropy(2, smoothing=0.0), torch.ones(1, 1)
    >>> gradient.of(torch.zeros(1, 1, 2), gradient.prepared(torch.tensor([[1]]), weights), weights).tolist()
    [[[0.5, -0.5]]]
    """

    n_classes: int
    smoothing: float

    def prepared(self, answers: Tensor, weights: Tensor) -> Tensor:
        """Return what each class should have, times the weights: (F, C, n)."""
        least = self.smoothing / self.n_classes
        wanted = (weights * least).unsqueeze(1).repeat(1, self.n_classes, 1)
        return wanted.scatter_add_(1, answers.unsqueeze(1), (weights * (1 - self.smoothing)).unsqueeze(1))

    def of(self, outputs: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient; a softmax over few values that lie apart is 8 times as fast."""
        shares = outputs.mT.contiguous().softmax(dim=1)
        return shares.mul_(weights.unsqueeze(1)).sub_(wanted).mT


@dataclass(frozen=True, slots=True)
class OfValues:
    """The losses of values, by autograd."""

    problem: Problem
    params: TrainingParams

    def prepared(self, answers: Tensor, weights: Tensor) -> Tensor:
        """Return the answers."""
        return answers

    def of(self, outputs: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        """Return the gradient."""
        flat = outputs.reshape(-1, outputs.shape[2]).requires_grad_()
        total = row_losses(self.problem, self.params)(flat, wanted.flatten()).dot(weights.flatten())
        (gradient,) = torch.autograd.grad(total, flat)
        return gradient.view(outputs.shape)
