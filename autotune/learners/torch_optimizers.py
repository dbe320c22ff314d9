"""The optimizers of networks: torch's own functions, one call for all parameters whose gradients get the same.

The classes around these functions, with hooks, profiling and a compiler that the first of them imports in a second of
CPU, cost a small network more than the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from autotune.learners.training_params import TrainingParams

_Alike: TypeAlias = tuple[float, torch.dtype, torch.device]
"""The decay, type and device of parameters that one call can move."""


class Optimizer:
    """What turns gradients into steps; see the classes of `torch.optim` of the same names, whose defaults it has.

    Parameters
    ----------
    decaying, others : sequence of Tensor
        The parameters that decay and those that do not. Where one has no gradient it is left alone.
    params : TrainingParams
        Which optimizer, momentum and decay.

    Examples
    --------
    >>> weight, bias = torch.ones(1), torch.ones(1)
    >>> weight.grad = bias.grad = torch.ones(1)
    >>> optimizer = Optimizer([weight], [bias], TrainingParams(optimizer="sgd", momentum=0.0, weight_decay=1.0))
    >>> optimizer.step(0.25)
    >>> float(weight), float(bias)
    (0.5, 0.75)
    """

    def __init__(self, decaying: Sequence[Tensor], others: Sequence[Tensor], params: TrainingParams) -> None:
        fused = _has_fused_program((*decaying, *others), params.optimizer)
        self._move, self._names = _chosen(params, fused)
        self._decaying = list(decaying)
        # AdamW is Adam, after a decay of the parameters themselves instead of one in their gradients
        shrinks_apart = params.optimizer == "adamw" and not fused
        self._shrinks = params.weight_decay if shrinks_apart else 0.0
        self._groups: dict[_Alike, list[tuple[Tensor, dict[str, Tensor]]]] = {}
        for parameters, decay in ((others, 0.0), (decaying, 0.0 if shrinks_apart else params.weight_decay)):
            for parameter in parameters:
                alike = (decay, parameter.dtype, parameter.device)
                self._groups.setdefault(alike, []).append((parameter, _state(parameter, self._names, fused)))

    def step(self, rate: float) -> None:
        """Move all parameters that have a gradient."""
        with torch.no_grad():
            if self._shrinks:
                for parameter in self._decaying:
                    if parameter.grad is not None:
                        parameter.mul_(1 - rate * self._shrinks)
            for (decay, _, _), group in self._groups.items():
                moved = [each for each in group if each[0].grad is not None]
                parameters, gradients = [each for each, _ in moved], [each.grad for each, _ in moved]
                states = {name: [state[name] for _, state in moved] for name in self._names}
                if moved:
                    self._move(parameters, gradients, **states, lr=rate, weight_decay=decay)


def _has_fused_program(parameters: Sequence[Tensor], optimizer: str) -> bool:
    if not all(parameter.is_floating_point() for parameter in parameters):  # complex ones have none
        return False
    devices = {parameter.device.type for parameter in parameters}
    return optimizer != "rmsprop" and devices <= ({"cpu"} if optimizer == "adagrad" else {"cpu", "cuda"})


def _chosen(params: TrainingParams, fused: bool) -> tuple[Callable[..., None], tuple[str, ...]]:
    """Return the function of an optimizer, and the names of what it keeps of each parameter."""
    words: dict[str, Any]
    match params.optimizer:
        case "sgd":
            nesterov = params.nesterov and params.momentum > 0
            words = {"momentum": params.momentum, "dampening": 0.0, "nesterov": nesterov, "maximize": False}
            return partial(sgd, **words, fused=fused), ("momentum_buffer_list",)
        case "rmsprop":
            words = {"grad_avgs": [], "alpha": 0.99, "eps": 1e-8, "momentum": params.momentum, "centered": False}
            return partial(rmsprop, **words, foreach=False), ("square_avgs", "momentum_buffer_list", "state_steps")
        case "adagrad":
            words = {"lr_decay": 0.0, "eps": 1e-10, "maximize": False}
            return partial(adagrad, **words, fused=fused), ("state_sums", "state_steps")
        case "adam" | "adamw":
            words = {"amsgrad": False, "maximize": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
            names = ("exp_avgs", "exp_avg_sqs", "state_steps")
            if not fused:
                return partial(adam, **words, max_exp_avg_sqs=[], fused=False), names
            program = torch._fused_adamw_ if params.optimizer == "adamw" else torch._fused_adam_
            return partial(_fused_adam, partial(program, **words)), names


def _fused_adam(
    program: Callable[..., None],
    parameters: list[Tensor],
    gradients: list[Tensor],
    *,
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    lr: float,
    weight_decay: float,
) -> None:
    """Do as `torch.optim.adam.adam`, whose sorting by device and type takes as long as a narrow network's step."""
    if state_steps[0].is_cuda:
        torch._foreach_add_(state_steps, 1)
    else:
        for count in state_steps:
            count.add_(1)
    program(parameters, gradients, exp_avgs, exp_avg_sqs, [], state_steps, lr=lr, weight_decay=weight_decay)


def _state(parameter: Tensor, names: Sequence[str], fused: bool) -> dict[str, Tensor]:
    """Return zeros like a parameter by their names; steps are counted in a tensor, which fused programs have beside."""
    count = torch.zeros((), device=parameter.device if fused else "cpu")
    return {
        name: count if name == "state_steps" else torch.zeros_like(parameter, requires_grad=False) for name in names
    }
