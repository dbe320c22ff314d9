"""The losses of `torch_training.row_losses` with their gradients, for all folds at once.

Shapes: F folds, n rows, C outputs a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from autotune.learners.torch_training import row_losses

if TYPE_CHECKING:
    from autotune.data.task import Problem
    from autotune.learners.training_params import TrainingParams

Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def losses_with_gradients(problem: Problem, params: TrainingParams) -> Loss:
    """Return what makes of outputs (F, n, C), answers and weights (F, n) the weighted sum of losses and its gradient.

    Autograd does it for values. For classes its many small calls cost more than a tenth of a step.
    """
    if problem.is_classification:
        return lambda outputs, answers, weights: _cross_entropy(outputs, answers, weights, params.label_smoothing)
    losses = row_losses(problem, params)

    def loss(outputs: Tensor, answers: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        flat = outputs.reshape(-1, outputs.shape[2]).requires_grad_()
        total = losses(flat, answers.flatten()).dot(weights.flatten())
        (gradient,) = torch.autograd.grad(total, flat)
        return total.detach(), gradient.view(outputs.shape)

    return loss


def _cross_entropy(outputs: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    likely = outputs.movedim(2, 0).contiguous().log_softmax(dim=0)  # over few values that lie apart: 8 times as fast
    places, certain = answers.unsqueeze(0), (weights * (smoothing - 1)).unsqueeze(0)
    loss = likely.gather(0, places).mul_(certain).sum()
    gradient = likely.exp()
    if smoothing:
        share = smoothing / len(likely)
        loss -= likely.mul_(weights).sum() * share
        gradient -= share
    return loss, gradient.mul_(weights).scatter_add_(0, places, certain).movedim(0, 2)
