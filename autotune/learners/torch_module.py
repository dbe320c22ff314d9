"""Somebody's own torch module as a network of ours: made and checked, seeded, trained, and kept as a model.

Such a module draws its weights and what it drops from the global generators of torch. Every time that it runs, these
are lent to it in a state of its own, and put back afterwards.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from autotune.errors import PlugInError
from autotune.learners.features import NetworkFeatures
from autotune.learners.plug_ins import BROKEN_CODE
from autotune.learners.torch_training import Target, Training, as_tensors, outputs_of, training_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autotune.data.task import Problem, Rows
    from autotune.learners.module import ModuleParams
    from autotune.learners.protocol import Member, Predictions

LARGE_ENOUGH_FOR_THREADS = 512 * 512
"""Networks whose largest layer has fewer weights train slower with a second thread than without."""

UNDECAYED = (nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.EmbeddingBag)
"""Layers whose parameters do not decay, though they may have two axes."""


class ModuleTraining:
    """Somebody's network on its way through the epochs of one member.

    Parameters
    ----------
    make : callable
        ``make(n_features, n_outputs)`` returns the network.
    member : Member
        Training rows, and validation rows that are predicted on demand.
    params : ModuleParams
        How it is trained.
    seed : int
        Seed of weights, order of rows and dropout.
    device : str
        Where it trains.
    """

    def __init__(
        self, make: Callable[[int, int], Any], member: Member, params: ModuleParams, *, seed: int, device: str
    ) -> None:
        self.random = RandomState(seed + 2**32, device)
        features, numbers, codes = training_tensors(member)
        with self.random.lent():
            network = OneHot.around(make, features.n_numeric, features.cardinalities, member.problem.n_classes or 1)
            outputs_of(network.eval(), numbers[:2], codes[:2])  # finds a wrong shape, and lets lazy layers know theirs
            self.training = Training(
                network,
                member,
                params.training,
                decaying=decaying(network),
                draws=torch.Generator().manual_seed(seed % 2**63),
                device=device,
                forward=in_precision(params.precision, network, device),
            )
        self.is_large = max(parameter.numel() for parameter in network.parameters()) >= LARGE_ENOUGH_FOR_THREADS

    def run_epoch(self) -> None:
        """Go once through the training rows in a new order; FloatingPointError if the loss is not finite."""
        with self.random.lent():
            self.training.run_epoch()

    def predictions(self) -> Predictions:
        """Predict the validation rows."""
        with RandomState(0, self.random.device).lent():
            return self.training.predictions()

    def model(self) -> ModuleModel:
        """Copy the network as it is now; the copy lives on the CPU."""
        return ModuleModel(self.training.features, self.training.snapshot(), self.training.target)


@dataclass(frozen=True, slots=True)
class ModuleModel:
    """Somebody's trained network with what makes its inputs and reads its outputs; it predicts on the CPU.

    It is pickled by cloudpickle, so that a class of a script or a notebook comes along.
    """

    features: NetworkFeatures
    network: OneHot
    target: Target

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        with RandomState(0, "cpu").lent():
            return self.target.decode(outputs_of(self.network, *as_tensors(self.features, rows)))

    def __reduce__(self) -> tuple[Any, ...]:
        import cloudpickle

        return _unpickled, (cloudpickle.dumps((self.features, self.network, self.target)),)


def _unpickled(parts: bytes) -> ModuleModel:
    import cloudpickle

    return ModuleModel(*cloudpickle.loads(parts))


class OneHot(nn.Module):  # type: ignore[misc]  # torch's types are not followed
    """A network for rows of plain numbers, behind a layer that makes these of numbers (n, p) and codes (n, q).

    A category becomes a column for each level but code 0, which is all zeros: a level unknown to the training rows.

    Examples
    --------
    >>> network = OneHot(nn.Identity(), (3,), n_outputs=3)
    >>> network(torch.tensor([[0.5], [0.5], [0.5]]), torch.tensor([[0], [1], [2]]))
    tensor([[0.5000, 0.0000, 0.0000],
            [0.5000, 1.0000, 0.0000],
            [0.5000, 0.0000, 1.0000]])
    """

    columns: Tensor
    starts: Tensor

    def __init__(self, inner: nn.Module, cardinalities: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        columns = [column for column, size in enumerate(cardinalities) if size > 1]
        widths = [cardinalities[column] - 1 for column in columns]
        self.inner = inner
        self.width = sum(widths)
        self.n_outputs = n_outputs
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64))
        starts = [sum(widths[:place]) for place in range(len(widths))]
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.int64))

    @classmethod
    def around(cls, make: Callable[[int, int], Any], n_numeric: int, cardinalities: tuple[int, ...], k: int) -> OneHot:
        """Make somebody's network for ``k`` outputs, on the CPU."""
        n_features = n_numeric + sum(size - 1 for size in cardinalities)
        inner = make(n_features, k)
        if not isinstance(inner, nn.Module):
            raise PlugInError(f"build returned {_named(inner)}, expected an nn.Module", hint="return the network")
        if not any(parameter.requires_grad for parameter in inner.parameters()):
            raise PlugInError("no parameter of the network can be trained", hint="requires_grad=True for some")
        return cls(inner.cpu(), cardinalities, k)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Map numbers (n, p) and codes (n, q) to float32 outputs (n, n_outputs)."""
        n = len(numbers)
        if n == 0:
            return numbers.new_zeros(0, self.n_outputs)
        ones = numbers.new_zeros(n, self.width)
        kept = codes[:, self.columns]
        ones.scatter_(1, self.starts + (kept - 1).clamp(min=0), (kept > 0).to(ones.dtype))
        return in_form(self.inner(torch.cat([numbers, ones], dim=1)), n, self.n_outputs)


def in_form(outputs: Any, n_rows: int, n_outputs: int) -> Tensor:
    """Return a network's outputs as float32 of shape (n_rows, n_outputs).

    One output may lack its axis, and so may a row alone, for networks that squeeze.

    Raises
    ------
    PlugInError
        When they are of any other shape, or no tensor of real numbers.

    Examples
    --------
    >>> in_form(torch.zeros(7), 7, 1).shape
    torch.Size([7, 1])
    """
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) and outputs.is_floating_point() else None
    lacking = [(n_rows,)] * (n_outputs == 1) + [(n_outputs,), ()] * (n_rows == 1)
    if shape == (n_rows, n_outputs) or (shape in lacking and outputs.numel() == n_rows * n_outputs):
        return outputs.reshape(n_rows, n_outputs).float()
    meaning = f"a logit for each of {n_outputs} classes" if n_outputs > 1 else "one value a row, or (n_rows,)"
    raise PlugInError(
        f"the network returned {_named(outputs)} for {n_rows} rows, expected shape {(n_rows, n_outputs)}: {meaning}",
        hint="let the last layer have n_outputs outputs, such as nn.Linear(width, n_outputs)",
    )


def _named(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    return "None" if value is None else f"an object of type {type(value).__name__}"


def check_network(make: Callable[[int, int], Any], problem: Problem) -> None:
    """Make a network as for a table of this kind and run it on two rows, on the CPU.

    Raises
    ------
    PlugInError
        With what is wrong: what was made, the shape that came out, or what somebody's code raised.
    """
    schema = problem.schema
    n_features = len(schema.numeric_names) + sum(len(column.levels) for column in schema.categorical_columns)
    rows = torch.zeros(2, n_features), torch.zeros(2, 0, dtype=torch.int64)
    with RandomState(0, "cpu").lent():
        try:
            networks = [OneHot.around(make, n_features, (), problem.n_classes or 1) for _ in range(2)]
            outputs_of(networks[0].eval(), *rows)
        except PlugInError:
            raise
        except BROKEN_CODE as error:
            raised = f"{type(error).__name__}: {error}"
            raise PlugInError(f"no network for {n_features} features that runs on two rows: {raised}") from error
    check_apart(networks)


def in_precision(precision: str, network: nn.Module, device: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what runs a network for training: in bfloat16 where that is asked for, or is fast and nothing is asked."""
    kind = device.partition(":")[0]
    fast = kind == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)  # older ones emulate it
    if precision == "float32" or (precision == "auto" and not fast):
        unchanged: Callable[[Tensor, Tensor], Tensor] = network
        return unchanged

    def forward(numbers: Tensor, codes: Tensor) -> Tensor:
        with torch.autocast(kind, dtype=torch.bfloat16):
            outputs: Tensor = network(numbers, codes)
        return outputs

    return forward


def decaying(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that decay: those of two axes and more, but for normalizations and embeddings.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> [parameter is layer.weight for parameter in decaying(nn.Sequential(layer, nn.LayerNorm(2)))]
    [True]
    """
    exempt = {
        id(parameter)
        for layer in network.modules()
        if isinstance(layer, UNDECAYED)
        for parameter in layer.parameters(recurse=False)
    }
    return [parameter for parameter in network.parameters() if parameter.ndim >= 2 and id(parameter) not in exempt]


def check_apart(networks: Sequence[nn.Module]) -> None:
    """Raise PlugInError when networks share parameters that are trained: one fold would learn from another's rows."""
    seen: set[int] = set()
    for network in networks:
        trained = {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
        if seen & trained:
            raise PlugInError(
                "build returned parameters that it had returned before, and folds would learn from each other",
                hint="make a new network each time that build is called",
            )
        seen |= trained


class RandomState:
    """A state of torch's global generators, lent to what draws from them.

    Parameters
    ----------
    seed : int
        What the state begins as.
    device : str
        The device whose generator is lent beside that of the CPU.

    Examples
    --------
    >>> before, state = torch.get_rng_state(), RandomState(0, "cpu")
    >>> with state.lent():
    ...     first = torch.rand(2)
    >>> with state.lent():
    ...     second = torch.rand(2)
    >>> bool(first.equal(second)), before.equal(torch.get_rng_state())
    (False, True)
    """

    def __init__(self, seed: int, device: str) -> None:
        self.device = device
        places = ["cpu"] if device == "cpu" else ["cpu", device]
        self._states = {place: torch.Generator(place).manual_seed(seed % 2**63).get_state() for place in places}

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Put the state in place inside, keep what becomes of it, and put back what was there."""
        before = {place: _get_state(place) for place in self._states}
        for place, state in self._states.items():
            _set_state(place, state)
        try:
            yield
        finally:
            self._states = {place: _get_state(place) for place in self._states}
            for place, state in before.items():
                _set_state(place, state)


def _get_state(place: str) -> Tensor:
    match place.partition(":")[0]:
        case "cuda":
            return torch.cuda.get_rng_state(place)
        case "mps":
            return torch.mps.get_rng_state()
    return torch.get_rng_state()


def _set_state(place: str, state: Tensor) -> None:
    match place.partition(":")[0]:
        case "cuda":
            torch.cuda.set_rng_state(state, place)
        case "mps":
            torch.mps.set_rng_state(state)
        case _:
            torch.set_rng_state(state)
