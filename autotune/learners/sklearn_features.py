"""What an estimator of scikit-learn's kind is given: a matrix of numbers, or a table of named columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autotune.learners.features import Encoded, Features, Levels, Numbers, encoded

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from autotune.data.task import Rows, Schema
    from autotune.learners.protocol import Member

MAX_ONE_HOT = 100
"""Levels of a column that get a column of their own in a matrix, the most frequent ones."""

MAX_BINNED = 254
"""Levels of a column that scikit-learn's histogram boosting can bin."""


@dataclass(frozen=True, slots=True)
class Form:
    """What an estimator is given.

    Attributes
    ----------
    kind : {"matrix", "table"}
        A float64 matrix, or a DataFrame with the columns of the table.
    impute : bool
        Whether a matrix has medians in place of missing numbers.
    max_levels : int or None
        Levels that a column keeps, the most frequent ones.
    """

    kind: Literal["matrix", "table"]
    impute: bool = False
    max_levels: int | None = None

    def describe(self, schema: Schema) -> str:
        """Say what becomes of the columns of a schema."""
        texts = bool(schema.categorical_columns)
        if self.kind == "table":
            said = ", text as categories with unknown levels missing" if texts else ""
            return f"the columns by name: numbers and booleans as floats{said}"
        missing = "missing ones replaced by the median" if self.impute else "missing ones as NaN"
        said = "; text one-hot, unknown levels all zeros" if texts else ""
        return f"a matrix: numbers unchanged, {missing}{said}"


def form_of(estimator: Any) -> Form:
    """Return what an estimator is given.

    A table goes to what holds a ColumnTransformer, to what says by scikit-learn's tags that it reads categories or
    texts, to histogram boosting with categorical features, and to the boosters that read categories of a DataFrame.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.svm import SVC
    >>> form_of(HistGradientBoostingClassifier()).kind, form_of(SVC()).kind
    ('table', 'matrix')
    """
    first = first_step(estimator)
    if _is_named(first, "HistGradientBoosting") and getattr(first, "categorical_features", None) is not None:
        return Form("table", max_levels=MAX_BINNED)
    if _holds_column_transformer(estimator) or _reads_categories(first):
        return Form("table")
    return Form("matrix", impute=not takes_missing(estimator), max_levels=MAX_ONE_HOT)


def takes_missing(estimator: Any) -> bool:
    """Return whether an estimator takes NaN; a pipeline does when an imputer comes before what does not.

    Examples
    --------
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> [takes_missing(make_pipeline(*steps)) for steps in ([StandardScaler(), SVC()], [SimpleImputer(), SVC()])]
    [False, True]
    """
    if hasattr(estimator, "steps"):
        for step in _steps(estimator):
            if not takes_missing(step):
                return False
            if type(step).__name__.endswith("Imputer"):
                return True
        return True
    tags = tags_of(estimator)
    return tags is not None and bool(tags.input_tags.allow_nan)


def tags_of(estimator: Any) -> Any:
    """Return scikit-learn's tags of an estimator, or None for one that has none."""
    try:
        return estimator.__sklearn_tags__()
    except AttributeError:
        return None


def prepared(member: Member, form: Form) -> Encoded[Any]:
    """Return a member's rows in a form, fitted on its training rows once for all trials."""
    return encoded(member, ("estimator", form), lambda: _FEATURES[form.kind](member.rows, member.problem.schema, form))


@dataclass(frozen=True, slots=True)
class MatrixFeatures:
    """One float64 matrix: the numbers, then a column for each level of the training rows; missing is a level.

    Examples
    --------
    >>> from autotune.data.task import Column, Rows, Schema
    >>> schema = Schema((Column("size", "numeric"), Column("colour", "categorical", levels=("blue", "red"))))
    >>> rows = Rows(np.array([[1.0], [np.nan], [3.0]]), np.array([[1], [2], [1]], dtype=np.int32))
    >>> MatrixFeatures.fit(rows, schema, Form("matrix", impute=True)).transform(rows)
    array([[1., 1., 0.],
           [2., 0., 1.],
           [3., 1., 0.]])
    """

    medians: NDArray[np.float64] | None
    levels: Levels

    @classmethod
    def fit(cls, rows: Rows, schema: Schema, form: Form) -> MatrixFeatures:
        """Fit on the training rows of one member."""
        medians = Numbers.fit(rows.numeric).medians if form.impute else None
        return cls(medians, Levels.fit(rows, schema, max_levels=form.max_levels))

    def transform(self, rows: Rows) -> NDArray[np.float64]:
        """Return a matrix of shape (n_rows, n_numeric + n_levels)."""
        numeric = rows.numeric
        if self.medians is not None:
            numeric = np.where(np.isnan(numeric), self.medians, numeric)
        numbers = self.levels.transform(rows.categorical)
        one_hot = [numbers[:, [j]] == np.arange(1, size) for j, size in enumerate(self.levels.sizes)]
        return np.concatenate([numeric, *one_hot], axis=1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class TableFeatures:
    """A DataFrame with the columns of the schema in their order; dates are columns such as ``day.month``.

    Levels that the training rows do not hold are missing, as in any later row.

    Attributes
    ----------
    schema : Schema
        What the columns are.
    levels : tuple of ndarray of int32
        For each categorical column the codes that are known.
    """

    schema: Schema
    levels: tuple[NDArray[np.int32], ...]

    @classmethod
    def fit(cls, rows: Rows, schema: Schema, form: Form) -> TableFeatures:
        """Fit on the training rows of one member."""
        known = []
        for codes in rows.categorical.T:
            counts = np.bincount(codes[codes > 0])
            by_count = np.argsort(-counts, kind="stable")[: form.max_levels]
            known.append(np.sort(by_count[counts[by_count] > 0]).astype(np.int32))
        return cls(schema, tuple(known))

    def transform(self, rows: Rows) -> pd.DataFrame:
        """Return a DataFrame of n_rows rows."""
        import pandas as pd

        columns: dict[str, Any] = {}
        numeric, categorical = iter(rows.numeric.T), iter(zip(rows.categorical.T, self.levels, strict=True))
        for column in self.schema.columns:
            if column.kind == "categorical":
                codes, known = next(categorical)
                lookup = np.full(len(column.levels) + 2, -1, dtype=np.int32)
                lookup[known + 1] = np.arange(len(known))
                names = pd.Index([column.levels[code - 1] for code in known], dtype=str)
                columns[column.name] = pd.Categorical.from_codes(lookup[codes + 1], names)
            else:
                for name in names_of(column):
                    columns[name] = next(numeric).copy()
        return pd.DataFrame(columns)


_FEATURES: dict[str, Callable[[Any, Any, Form], Features[Any]]] = {
    "matrix": MatrixFeatures.fit,
    "table": TableFeatures.fit,
}


def names_of(column: Any) -> list[str]:
    """Return the names that a column of the schema has in the table that an estimator is given."""
    return [f"{column.name}.{part}" for part in column.parts] if column.kind == "datetime" else [column.name]


def column_transformers(estimator: Any) -> list[Any]:
    """Return the ColumnTransformers of an estimator, however deep."""
    from sklearn.compose import ColumnTransformer

    parts = [estimator, *(estimator.get_params().values() if hasattr(estimator, "get_params") else ())]
    return [part for part in parts if isinstance(part, ColumnTransformer)]


def first_step(estimator: Any) -> Any:
    """Return what is given the rows: the first step of a pipeline, or an estimator itself."""
    while hasattr(estimator, "steps") and _steps(estimator):
        estimator = _steps(estimator)[0]
    return estimator


def _holds_column_transformer(estimator: Any) -> bool:
    return bool(column_transformers(estimator))


def _steps(pipeline: Any) -> list[Any]:
    return [step for _, step in pipeline.steps if step is not None and step != "passthrough"]


def _reads_categories(estimator: Any) -> bool:
    match type(estimator).__module__.partition(".")[0]:
        case "lightgbm":
            return True
        case "xgboost":
            return bool(getattr(estimator, "enable_categorical", False))
        case "catboost":
            return estimator.get_params().get("cat_features") is not None
    tags = tags_of(estimator)
    return tags is not None and bool(tags.input_tags.categorical or tags.input_tags.string)


def _is_named(estimator: Any, name: str) -> bool:
    return type(estimator).__name__.startswith(name)
