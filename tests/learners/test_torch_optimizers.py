from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pytest
import torch

from autotune.learners import training_params
from autotune.learners.torch_optimizers import Optimizer
from autotune.learners.training_params import TrainingParams

RATES = (0.1, 0.05, 0.2, 0.01)

CLASSES: dict[str, Any] = {
    "sgd": lambda groups, p: torch.optim.SGD(groups, momentum=p.momentum, nesterov=p.nesterov and p.momentum > 0),
    "adam": lambda groups, p: torch.optim.Adam(groups),
    "adamw": lambda groups, p: torch.optim.AdamW(groups),
    "rmsprop": lambda groups, p: torch.optim.RMSprop(groups, momentum=p.momentum),
    "adagrad": lambda groups, p: torch.optim.Adagrad(groups),
}


def parameters(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    draws = torch.Generator().manual_seed(0)
    shapes = ((3, 4), (4,), (2, 5))
    return [torch.nn.Parameter(torch.randn(*shape, generator=draws, dtype=dtype)) for shape in shapes]


def with_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    """Set gradients; the last parameter has none at first."""
    draws = torch.Generator().manual_seed(step)
    for parameter in parameters[: 2 if step < 2 else 3]:
        parameter.grad = torch.randn(parameter.shape, generator=draws, dtype=parameter.dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex64], ids=str)
@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("optimizer", get_args(training_params.Optimizer))
def test_steps_are_those_of_the_class_of_that_name(optimizer: Any, momentum: float, dtype: torch.dtype) -> None:
    params = TrainingParams(optimizer=optimizer, momentum=momentum, weight_decay=0.1)
    ours, theirs = parameters(dtype), parameters(dtype)
    own = Optimizer(ours[1:], ours[:1], params)
    groups = [{"params": theirs[:1], "weight_decay": 0.0}, {"params": theirs[1:], "weight_decay": 0.1}]
    other = CLASSES[optimizer](groups, params)
    for step, rate in enumerate(RATES):
        for each in (ours, theirs):
            with_gradients(each, step)
        own.step(rate)
        for group in other.param_groups:
            group["lr"] = rate
        other.step()
    for one, another in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, another, rtol=1e-5, atol=1e-6)
    assert not torch.equal(ours[2], parameters(dtype)[2])


def test_a_step_imports_no_compiler() -> None:
    code = """
import sys, torch
from autotune.learners.torch_optimizers import Optimizer
from autotune.learners.training_params import TrainingParams
weight = torch.ones(2)
weight.grad = torch.ones(2)
for name in ("sgd", "adam", "adamw", "rmsprop", "adagrad"):
    Optimizer([weight], [], TrainingParams(optimizer=name)).step(0.1)
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
