from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from autotune import AutoTuneClassifier, AutoTuneRegressor
from autotune.errors import SettingsError, UnknownNameError


@parametrize_with_checks(
    [
        AutoTuneClassifier(space="linear", n_trials=2, cv=2, random_state=0),
        AutoTuneRegressor(space="linear", n_trials=2, cv=2, random_state=0),
    ]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
