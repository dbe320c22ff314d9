"""Somebody's own torch module as a learner: they make the network, our trainer trains it. All torch is elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from autotune.data.task import ALL_TASKS, TaskKind
from autotune.errors import PlugInError, SettingsError
from autotune.learners.checks import check_parameters
from autotune.learners.mlp import FIRST_RUNG, PATIENCE, choose_device
from autotune.learners.protocol import Member, Pace, Resources, Step
from autotune.learners.training_params import TRAINING_RULES, TrainingParams
from autotune.registry import unknown_name

if TYPE_CHECKING:
    from autotune.data.task import Problem

IMPORTS = ("autotune.learners.torch_module",)
"""What training imports beside this module."""

Precision = Literal["auto", "float32", "bfloat16"]

SIZES = ("n_features", "n_outputs")
"""What `build` is told of the table."""


@dataclass(frozen=True, slots=True)
class ModuleParams:
    """The parameters of a configuration: what the trainer takes, and what goes on to ``build``.

    Attributes
    ----------
    training : TrainingParams
        How the network is trained.
    precision : {"auto", "float32", "bfloat16"}
        Numbers in training: bfloat16 where autocasting to it is safe, with float32 weights. Auto is bfloat16 on CUDA
        devices that are made for it, and float32 elsewhere. Predictions are made in float32.
    network : mapping of str to value
        The keywords of ``build``.
    """

    training: TrainingParams = field(default_factory=TrainingParams)
    precision: Precision = "auto"
    network: Mapping[str, Any] = field(default_factory=dict)


TRAINER_DEFAULTS: Mapping[str, Any] = asdict(TrainingParams()) | {"precision": ModuleParams().precision}
"""The parameters that the trainer takes, with their defaults."""

_RULES: dict[str, range | tuple[float, float] | str] = {"precision": " ".join(get_args(Precision))}


@dataclass(frozen=True, slots=True)
class ModuleLearner:
    """A learner whose network somebody else makes; each fold of each trial gets a new one.

    The network maps a float32 tensor (n, n_features) to (n, n_outputs): a logit for each class, also for two; one value
    for regression, where (n,) will do, on the standardized target. Its features are the numbers, scaled robustly and
    without missing ones, an indicator for each column that misses some, and a column for each level of each category.
    Folds can differ in ``n_features``.

    A parameter of the trainer stays with the trainer, also if ``build`` has one of that name. These are the attributes
    of `TrainingParams`, and ``precision``.

    Parameters
    ----------
    name : str
        What it is called in spaces and reports.
    build : callable
        ``build(n_features, n_outputs, **parameters)`` returns a new `torch.nn.Module`; a class of modules will do. The
        sizes go to the parameters of these names, or else to the first two.

    Attributes
    ----------
    tasks : frozenset of str
        The kinds of task that it learns: all.
    parameter_names : frozenset of str or None
        Everything that a configuration may name; None when ``build`` takes any keyword.
    defaults : mapping of str to value
        The values of parameters that a configuration leaves out.
    required : frozenset of str
        The parameters of ``build`` without a default.
    fidelity : str
        The parameter that counts its steps.

    Raises
    ------
    PlugInError
        When ``build`` cannot be called like this.

    Examples
    --------
    >>> from torch import nn
    >>> def build(n_features, n_outputs, width=32):
    ...     return nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_outputs))
    >>> learner = ModuleLearner("net", build)
    >>> learner.Params(width=64, epochs=10).network
    {'width': 64}
    """

    name: str
    build: Callable[..., Any]
    tasks: frozenset[TaskKind] = field(default=ALL_TASKS, init=False, repr=False)
    fidelity: str = field(default="epochs", init=False, repr=False)
    parameter_names: frozenset[str] | None = field(init=False, compare=False, repr=False)
    defaults: Mapping[str, Any] = field(init=False, compare=False, repr=False)
    required: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SettingsError(f"a learner cannot be called {self.name!r}", "name", "my_net")
        with self._placed():
            takes = _keywords(self.build)
        named = [each for each in takes if each.kind is not each.VAR_KEYWORD]
        given = {each.name: each.default for each in named if each.default is not each.empty}
        names = frozenset([*TRAINER_DEFAULTS, *(each.name for each in named)])
        object.__setattr__(self, "parameter_names", names if named == takes else None)
        object.__setattr__(self, "defaults", {**given, **TRAINER_DEFAULTS})
        object.__setattr__(self, "required", names - self.defaults.keys())

    def Params(self, **values: Any) -> ModuleParams:  # noqa: N802  the protocol's name for it
        """Return the parameters of a configuration; those that are left out take their defaults.

        A required parameter that is left out is found when training starts, or by `check`: values can be checked one at
        a time here.

        Raises
        ------
        SettingsError
            When there is no parameter of a name, or the trainer does not take a value.
        """
        for key in values:
            self._check_name(key)
        ours = {key: values.pop(key, default) for key, default in TRAINER_DEFAULTS.items()}
        precision = ours.pop("precision")
        params = ModuleParams(TrainingParams(**ours), precision, network=values)
        check_parameters(self.name, params.training, TRAINING_RULES)
        check_parameters(self.name, params, _RULES)
        return params

    def train(
        self, members: Sequence[Member], params: ModuleParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Train all members an epoch at a time, up to ``epochs``.

        Raises
        ------
        FloatingPointError
            When a loss is no longer finite.
        PlugInError
            When what ``build`` returns is no network for this table.
        SettingsError
            When a parameter that ``build`` needs is left out.
        """
        from autotune.learners.torch_module import ModuleTraining, check_apart
        from autotune.learners.torch_training import at_most_threads, denormals_as_zeros

        make, device = self._maker(params), choose_device(resources.device)
        with self._placed():
            trainings = [
                ModuleTraining(make, member, params, seed=seed + index, device=device)
                for index, member in enumerate(members)
            ]
            check_apart([training.training.network for training in trainings])
        n_threads = resources.threads if any(training.is_large for training in trainings) else 1
        for number in range(1, params.training.epochs + 1):
            with self._placed(), at_most_threads(n_threads), denormals_as_zeros():
                for training in trainings:
                    training.run_epoch()
            yield Step(
                number,
                tuple(range(len(members))),
                lambda: [training.predictions() for training in trainings],
                lambda: [training.model() for training in trainings],
            )

    def pace(self, params: ModuleParams) -> Pace:
        """Count epochs."""
        return Pace(worth=1.0, first_rung=FIRST_RUNG, patience=PATIENCE)

    def check(self, problem: Problem, parameters: Mapping[str, Any] | None = None) -> None:
        """Make a network as for this problem and run it on two rows, on the CPU, before anything trains.

        Parameters
        ----------
        problem : Problem
            The kind of task and the schema.
        parameters : mapping of str to value, optional
            A configuration; without one, all defaults, and no check where ``build`` requires a parameter.

        Raises
        ------
        PlugInError, SettingsError
            As `train` does; what somebody's code raised is a PlugInError too.
        """
        if parameters is None and self.required:
            return
        from autotune.learners.torch_module import check_network

        make = self._maker(self.Params(**(parameters or {})))
        with self._placed():
            check_network(make, problem)

    def _maker(self, params: ModuleParams) -> Callable[[int, int], Any]:
        missing = sorted(self.required - params.network.keys())
        if missing:
            needs = f"{_called(self.build)} needs {', '.join(missing)}, which the configuration leaves out"
            raise SettingsError(needs, f"learner {self.name!r}", f"give {missing[0]} in the space, or a default")
        if _by_name(inspect.signature(self.build)):
            return lambda n_features, n_outputs: self.build(
                n_features=n_features, n_outputs=n_outputs, **params.network
            )
        return partial(self.build, **params.network)

    def _check_name(self, key: str) -> None:
        where = f"learner {self.name!r}, {key}"
        if key in SIZES and key not in (self.parameter_names or ()):
            raise SettingsError(f"{key} comes from the table, and cannot be chosen", where, f"leave {key} out")
        if self.parameter_names is not None and key not in self.parameter_names:
            error = unknown_name(f"parameter of learner {self.name!r}", key, self.parameter_names, where)
            raise SettingsError(error.problem, error.where, error.hint)

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """Say of which learner's ``build`` something is wrong."""
        try:
            yield
        except PlugInError as error:
            place = f"learner {self.name!r}, {_called(self.build)}"
            raise PlugInError(error.problem, place, error.hint) from error.__cause__


def _keywords(build: Any) -> list[inspect.Parameter]:
    """Return the parameters of ``build`` that a configuration can give, with that for any keyword."""
    hint = "build(n_features, n_outputs, **parameters) returns a new nn.Module"
    if not callable(build):
        raise PlugInError(f"build is {build!r}, expected a function or a class of modules", hint=hint)
    if hasattr(build, "forward") and not isinstance(build, type):
        raise PlugInError("build is a network, but every fold needs a new one", hint=hint)
    takes = _beside_sizes(inspect.signature(build))
    if takes is None:
        raise PlugInError(f"build takes {inspect.signature(build)}, expected two sizes at least", hint=hint)
    stolen = [each.name for each in takes if each.name in TRAINER_DEFAULTS and each.default is each.empty]
    if stolen:
        raise PlugInError(f"build needs {stolen[0]!r}, which stays with the trainer", hint="give it another name")
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_KEYWORD)
    return [each for each in takes if each.kind in kinds and each.name not in TRAINER_DEFAULTS]


def _beside_sizes(signature: inspect.Signature) -> list[inspect.Parameter] | None:
    """Return the parameters that do not take the sizes; None when there are none that could."""
    takes = list(signature.parameters.values())
    if _by_name(signature):
        return [each for each in takes if each.name not in SIZES]
    first = [each for each in takes if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)][:2]
    enough = len(first) == 2 or any(each.kind is each.VAR_POSITIONAL for each in takes)
    return [each for each in takes if each not in first] if enough else None


def _by_name(signature: inspect.Signature) -> bool:
    """Return whether both sizes have parameters of their names, which can be given by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return all(name in signature.parameters and signature.parameters[name].kind in kinds for name in SIZES)


def _called(build: Any) -> str:
    return str(getattr(build, "__qualname__", None) or type(build).__name__)
