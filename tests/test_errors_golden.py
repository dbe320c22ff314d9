"""What a person reads when the input is bad, word for word, through the one-line door; and nothing is trained."""

import numpy as np
import pandas as pd
import pytest

import autotune
from autotune.errors import (
    AutotuneError,
    DataError,
    SettingsError,
    SpaceError,
    StorageError,
    UnknownNameError,
)

SALES = pd.DataFrame(
    {
        "size": np.arange(20) / 2,
        "zone": ["a", "b", "c", "d"] * 5,
        "sold": ["no", "yes"] * 10,
        "price": np.linspace(0, 1, 20) ** 2,
    }
)


@pytest.fixture(autouse=True)
def nothing_trains(monkeypatch, tmp_path):
    """Fail the test when bad input gets as far as the search, and let relative paths be of a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for place in ("autotune.api.run", "autotune.tuning.run", "autotune.tuning.search", "autotune.evaluation.judge"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("bad input was trained on"))


def message_of(error, data, **options):
    with pytest.raises(AutotuneError) as caught:
        autotune.tune(data, **options)
    assert type(caught.value) is error
    return str(caught.value)


def test_good_input_would_be_trained_on():
    with pytest.raises(pytest.fail.Exception, match="bad input was trained on"):
        autotune.tune(SALES, target="sold", n_trials=1)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (
            None,
            DataError,
            "the target is not named; the columns are: size, zone, sold, price\n"
            "  where: the table\n"
            '  try:   target="price"',
        ),
        ("sodl", UnknownNameError, "no column named 'sodl'\n  where: the table\n  try:   sold"),
        (
            "quality",
            UnknownNameError,
            "no column named 'quality'\n  where: the table\n  try:   one of: price, size, sold, zone",
        ),
    ],
)
def test_a_target_that_is_not_there(target, error, message):
    assert message_of(error, SALES, target=target) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sold": None}, "all 20 cells of the target are missing\n  where: target 'sold'"),
        ({"sold": np.nan}, "all 20 cells of the target are missing\n  where: target 'sold'"),
        (
            {"sold": SALES["sold"].where(SALES.index % 7 != 0)},
            "the target is missing in 3 of 20 rows (rows 0, 7, 14; the first row is 0)\n"
            "  where: target 'sold'\n"
            "  try:   remove these rows, or fill them in",
        ),
        ({"sold": "no"}, "the target holds only one class, 'no'\n  where: target 'sold'"),
        (
            {"sold": ["maybe", *["no", "yes"] * 9, "no"]},
            "a class with a single row: 'maybe'\n"
            "  where: target 'sold'\n"
            "  try:   remove the row, or join it to another class",
        ),
    ],
)
def test_a_target_that_cannot_be_learnt(change, message):
    assert message_of(DataError, SALES.assign(**change), target="sold") == message


def test_an_empty_table():
    assert message_of(DataError, SALES.iloc[:0], target="sold") == (
        "the table has no rows: 0 sample(s) (shape=(0, 4)) while a minimum of 1 is required.\n  where: the table"
    )


def test_strings_for_regression():
    assert message_of(DataError, SALES, target="zone", task="regression") == (
        "regression needs numbers, and the target holds 'a', 'b', 'c', 'd'\n"
        "  where: target 'zone'\n"
        '  try:   task="classification"'
    )


def test_duplicate_column_names(tmp_path):
    frame = pd.DataFrame(np.ones((4, 3)), columns=["size", "size", "sold"])
    message = "more than one column is named 'size'\n  where: {}\n  try:   a name of its own for each column"
    assert message_of(DataError, frame, target="sold") == message.format("the table")
    frame.to_csv(tmp_path / "sales.csv", index=False)
    assert message_of(DataError, "sales.csv", target="sold") == message.format("sales.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "sold", "cv": 9}, "9 folds do not fit: class 'no' has 8 rows\n  where: cv\n  try:   cv=8"),
        ({"target": "price", "cv": 17}, "17 folds do not fit: there are 16 rows\n  where: cv\n  try:   cv=16"),
        (
            {"target": "price", "cv": 5, "groups": "zone"},
            "5 folds do not fit: there are 3 groups\n  where: cv\n  try:   cv=3",
        ),
        ({"target": "price", "test_size": 19}, "test_size=19 leaves 1 of 20 rows to search on\n  where: test_size"),
    ],
)
def test_folds_that_the_rows_do_not_carry(options, message):
    assert message_of(DataError, SALES, **options) == message


@pytest.mark.parametrize(
    ("target", "metric", "message"),
    [
        (
            "sold",
            "rmse",
            "metric 'rmse' does not fit a binary task\n"
            "  where: metric\n"
            "  try:   one of: accuracy, average_precision, balanced_accuracy, brier, f1, f1_macro, f1_micro, "
            "f1_weighted, kappa, log_loss, mcc, precision, recall, roc_auc",
        ),
        (
            "zone",
            "f1",
            "metric 'f1' does not fit a multiclass task\n"
            "  where: metric\n"
            "  try:   one of: f1_macro, f1_micro, f1_weighted, accuracy, average_precision, balanced_accuracy, brier, "
            "kappa, log_loss, mcc, roc_auc",
        ),
        (
            "price",
            "roc_auc",
            "metric 'roc_auc' does not fit a regression task\n"
            "  where: metric\n"
            "  try:   one of: mae, mape, median_absolute_error, mse, quantile_loss, r2, rmse, rmsle",
        ),
    ],
)
def test_a_metric_that_does_not_fit_the_task(target, metric, message):
    assert message_of(SettingsError, SALES, target=target, metric=metric) == message


def test_a_file_that_cannot_be_read(tmp_path):
    assert message_of(DataError, "sales.csv", target="sold") == "no file 'sales.csv'"
    (tmp_path / "sales.csv").write_text("")
    assert message_of(DataError, "sales.csv", target="sold") == "the file is empty\n  where: sales.csv"
    assert message_of(DataError, "sale.csv", target="sold") == "no file 'sale.csv'\n  try:   sales.csv"
    (tmp_path / "sales.parquet").write_text("no parquet")
    assert message_of(DataError, "sales.parquet", target="sold").startswith("the file cannot be read as parquet: ")
    (tmp_path / "sales.sav").write_text("spss")
    assert message_of(DataError, "sales.sav", target="sold") == (
        "a file ending in '.sav' cannot be read\n"
        "  where: sales.sav\n"
        "  try:   one of: .csv, .tsv, .txt, .parquet, .pq, .feather, .arrow, .jsonl, .ndjson, .json, .xlsx, .xlsm"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "acuracy"}, "no metric named 'acuracy'\n  try:   accuracy"),
        ({"metric": "AUC"}, "no metric named 'AUC'\n  try:   roc_auc"),
        ({"space": "lightgmb"}, "no search space named 'lightgmb'\n  try:   lightgbm"),
        ({"space": "linear,lightgmb"}, "no search space named 'lightgmb'\n  try:   lightgbm"),
        ({"sampler": "tpee"}, "no sampler named 'tpee'\n  try:   tpe"),
        ({"pruner": "halvin"}, "no pruner named 'halvin'\n  try:   halving"),
        ({"task": "clasification"}, "no task named 'clasification'\n  where: task\n  try:   classification"),
        ({"groups": "zon"}, "no column named 'zon'\n  where: the table\n  try:   zone"),
        ({"positive": "maybe"}, "no class named 'maybe'\n  where: positive\n  try:   one of: no, yes"),
    ],
)
def test_names_that_nothing_carries(options, message):
    assert message_of(UnknownNameError, SALES, target="sold", **options) == message


def test_a_setting_that_does_not_exist():
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_trial'"):
        autotune.tune(SALES, target="sold", n_trial=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": 5}, "space=5 is no search space\n  where: space\n  try:   a built-in name, a file or a Space"),
        ({"sampler": 5}, "sampler=5 is no sampler\n  where: sampler\n  try:   one of: auto, tpe, random, gp, qmc"),
        ({"pruner": 5}, "pruner=5 is no pruner\n  where: pruner\n  try:   one of: halving, median, none"),
        (
            {"metric": 5},
            "metric is 5\n  where: metric\n  try:   a name such as 'rmse', or a function f(y_true, y_pred)",
        ),
        ({"storage": 5}, "storage=5 is no storage\n  where: storage\n  try:   a path, a database URL or None"),
        ({"cv": 1}, 'cv=1 is no number of folds\n  where: cv\n  try:   cv=5, cv="5x2" or a splitter'),
        ({"cv": "five"}, "cv='five' is no number of folds\n  where: cv\n  try:   cv=5, cv=\"5x2\" or a splitter"),
        (
            {"test_size": 1.5},
            "test_size=1.5 is no share and no number of rows\n"
            "  where: test_size\n"
            "  try:   0.2, a number of rows, or 0 for none",
        ),
        ({"n_jobs": 0}, "n_jobs=0 is no number of jobs\n  where: n_jobs\n  try:   1, or -1 for all cores"),
        (
            {"timeout": "soon"},
            "timeout='soon' is no length of time\n  where: timeout\n  try:   timeout=600 or timeout=\"10m\"",
        ),
    ],
)
def test_settings_of_a_wrong_value(options, message):
    assert message_of(SettingsError, SALES, target="sold", **options) == message


def test_a_storage_in_a_folder_that_is_not_there():
    assert message_of(StorageError, SALES, target="sold", storage="deep/study.db") == (
        "the folder of the SQLite file does not exist\n  where: deep/study.db\n  try:   mkdir -p deep"
    )


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"lightgmb": {}}, "space 'space' lightgmb: no learner named 'lightgmb'; lightgbm"),
        (
            {"lightgbm": {"num_leafs": 5}},
            "space 'space' lightgbm.num_leafs: no parameter of learner 'lightgbm' named 'num_leafs'; num_leaves",
        ),
        (
            {"lightgbm": {"num_leaves": autotune.Int(0, 5)}},
            "space 'space' lightgbm.num_leaves: num_leaves=0 is not a whole number of at least 2",
        ),
        (
            {"num_leaves": autotune.Choice([2, 5])},
            "space 'space' num_leaves: the parameter 'num_leaves' stands outside of a learner's table; "
            '{"lightgbm": {"num_leaves": ...}}',
        ),
    ],
)
def test_a_space_that_does_not_fit_its_learners(space, message):
    assert message_of(SpaceError, SALES, target="sold", space=space) == message


def test_all_that_a_learner_refuses_in_a_file_is_shown_with_its_lines(tmp_path):
    (tmp_path / "my.toml").write_text(
        "version = 1\n"
        "[mlp]\n"
        "learing_rate = { float = [1e-4, 1e-2] }\n"
        "units = { int = [16, 512] }\n"
        "dropout = { float = [0.0, 3.0] }\n"
    )
    assert message_of(SpaceError, SALES, target="sold", space="my.toml") == (
        "2 problems:\n"
        "my.toml:3:1 mlp.learing_rate: no parameter of learner 'mlp' named 'learing_rate'; learning_rate\n"
        "my.toml:5:1 mlp.dropout: dropout=3.0 is not a number from 0 to 0.95"
    )


def test_all_problems_of_a_table_are_shown_together():
    frame = SALES.assign(sold=SALES["sold"].where(SALES.index > 0), odd=[[1]] * 20)
    assert message_of(DataError, frame, target="sold", groups="zon") == (
        "3 problems:\n"
        "1. the target is missing in 1 of 20 rows (rows 0; the first row is 0)\n"
        "  where: target 'sold'\n"
        "  try:   remove these rows, or fill them in\n"
        "2. no column named 'zon'\n"
        "  where: the table\n"
        "  try:   zone\n"
        "3. column 'odd' holds values of type list, which no model reads\n"
        "  try:   turn it into numbers or text, or drop the column"
    )
