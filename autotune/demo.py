"""The demo's table: a real one that scikit-learn carries, in its own units."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

TABLE = "autotune-demo.csv"
TARGET = "progression"
STORAGE = "autotune-demo.db"
MODEL = "autotune-demo.model"
SUMMARY = "ten measurements of 442 people with diabetes, and the disease's progression one year on"

_NAMES = {
    "s1": "total_cholesterol",
    "s2": "low_density_lipoproteins",
    "s3": "high_density_lipoproteins",
    "s4": "cholesterol_ratio",
    "s5": "log_triglycerides",
    "s6": "blood_sugar",
    "target": TARGET,
}


def demo_table() -> pd.DataFrame:
    """Return scikit-learn's diabetes table, unscaled and with names that can be read.

    Returns
    -------
    DataFrame, shape (442, 11)
        Source: Efron, Hastie, Johnstone and Tibshirani (2004), Least angle regression, Annals of Statistics 32.

    Examples
    --------
    >>> demo_table().columns[:3].tolist()
    ['age', 'sex', 'bmi']
    """
    from sklearn.datasets import load_diabetes

    frame: pd.DataFrame = load_diabetes(as_frame=True, scaled=False).frame
    return frame.rename(columns=_NAMES)
