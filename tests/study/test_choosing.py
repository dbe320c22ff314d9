"""The sampler of a study for which none was asked: a function of what the study is made for, and kept with it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import optuna
import pytest

from autotune.settings import Settings
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int
from autotune.spaces.space import Space
from autotune.study import strategies
from autotune.study.choosing import DEAR_VALUES, choose_sampler, settled_sampler
from autotune.study.identity import describe, set_setup
from autotune.study.propose import Draft
from autotune.study.storage import open_storage
from autotune.study.strategies import PRUNERS, SAMPLERS

NUMBERS = {"rate": Float(1e-4, 0.1, log=True), "width": Int(8, 512, scale="pow2"), "depth": Fixed(3)}
NUMERIC = Space({"net": {**NUMBERS, "half": Derived("width / 2"), "level": Choice([1, 2, 3], ordered=True)}})


@pytest.mark.parametrize(
    ("space", "pruner", "n_values", "sampler"),
    [
        (NUMERIC, "none", DEAR_VALUES, "gp"),
        (NUMERIC, "none", DEAR_VALUES - 1, "tpe"),
        (NUMERIC, "halving", DEAR_VALUES, "tpe"),
        (NUMERIC, "median", DEAR_VALUES, "tpe"),
        (Space({"net": {**NUMBERS, "loss": Choice(["a", "b"])}}), "none", DEAR_VALUES, "tpe"),
        (Space({"net": {**NUMBERS, "decay": Float(0.1, 1.0, special=[0.0])}}), "none", DEAR_VALUES, "tpe"),
        (Space({"net": {**NUMBERS, "third": Int(1, 9, when={"width": 16})}}), "none", DEAR_VALUES, "tpe"),
        (Space({"net": NUMBERS}, forbid=[{"rate": {"above": 0.05}}]), "none", DEAR_VALUES, "tpe"),
        (Space({"net": NUMBERS, "other": NUMBERS}), "none", DEAR_VALUES, "tpe"),
        (Space({"net": {"depth": Fixed(3)}}), "none", DEAR_VALUES, "tpe"),
    ],
)
def test_a_gaussian_process_where_all_are_numbers_nothing_is_pruned_and_trials_are_dear(
    space: Space, pruner: str, n_values: int, sampler: str
) -> None:
    assert choose_sampler(space, PRUNERS[pruner], n_values) == sampler


def test_what_is_asked_for_is_taken_and_else_what_the_study_was_made_with(tmp_path: Path) -> None:
    storage, own = open_storage(tmp_path / "s.db"), optuna.samplers.RandomSampler()

    def chosen(name: str, asked: Any = "auto") -> Any:
        return settled_sampler(asked, storage, name, lambda: "gp")

    def made(name: str, **settings: Any) -> optuna.Study:
        study = optuna.create_study(storage=storage, study_name=name)
        describe(study, {"kind": "s"}, 0, {}, {"settings": settings})
        return study

    gp = ("gp", ("sampler 'gp': the one that the study was made with; sampler='tpe' is the usual one",))
    assert chosen("new") == gp
    assert chosen("new", "qmc") == ("qmc", ()) and chosen("new", own) == (own, ())
    optuna.create_study(storage=storage, study_name="just created")
    assert chosen("just created") == gp
    set_setup(made("by name", sampler="random"), {"settings": {"sampler": "qmc"}})
    name, (note,) = chosen("by name")
    assert name == "random" and note.startswith("sampler 'random': the one that the study was made with")
    assert chosen("by name", "gp") == ("gp", ())
    made("own")
    name, (note,) = chosen("own")
    assert name == "tpe" and note.startswith("sampler 'tpe': the study was made with a sampler of one's own")
    describe(optuna.create_study(storage=storage, study_name="earlier version"), {"kind": "s"}, 0, {}, None)
    assert chosen("earlier version") == ("tpe", ())


def test_tpe_takes_over_from_a_gaussian_process(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0) ** 2, n_trials=12)
    row = study._storage.get_trial(study.ask()._trial_id)

    def proposed(name: str, limit: int) -> Any:
        monkeypatch.setattr(strategies, "GP_TRIALS", limit)
        distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
        return Draft(study, SAMPLERS[name](5), row, None).ask("x", distribution, None)

    assert proposed("gp", 12) == proposed("tpe", 12) != proposed("gp", 13)


def test_the_help_says_from_which_trial_on_it_is_tpe() -> None:
    help_text = next(setting.metadata["help"] for setting in fields(Settings) if setting.name == "sampler")
    assert f"gp (tpe from trial {strategies.GP_TRIALS} on" in help_text
