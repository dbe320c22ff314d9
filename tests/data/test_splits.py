import numpy as np
import pytest

from autotune.data.splits import make_folds, read_test_size, split_test
from autotune.data.tables import read_table
from autotune.errors import DataError, PlugInError, SettingsError


def table_of(y, **options):
    return read_table(np.arange(len(y)).reshape(-1, 1), y, **options)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def message_of(call, *args, error=DataError, **options):
    with pytest.raises(error) as caught:
        call(*args, **options)
    return str(caught.value)


CLASSES = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
NUMBERS = np.linspace(0, 1, 100)


class TestTestSize:
    @pytest.mark.parametrize(
        ("given", "size"),
        [(0.2, 0.2), ("0.25", 0.25), (0, 0), ("0", 0), (0.0, 0), (50, 50), ("50", 50), (np.int64(5), 5), (1, 1)],
    )
    def test_shares_and_numbers_are_read(self, given, size):
        assert read_test_size(given) == size

    @pytest.mark.parametrize("given", ["test.csv", [[1]], None])
    def test_anything_else_is_a_table(self, given):
        assert read_test_size(given) is None

    @pytest.mark.parametrize("given", [-1, 1.0, 1.5, "-0.2", True, float("nan"), float("inf")])
    def test_other_numbers_are_refused(self, given):
        assert message_of(read_test_size, given, error=SettingsError) == (
            f"test_size={given!r} is no share and no number of rows\n"
            "  where: test_size\n"
            "  try:   0.2, a number of rows, or 0 for none"
        )


class TestSplitTest:
    @pytest.mark.parametrize("options", [{}, {"groups": [i // 5 for i in range(100)]}, {"time": range(100)}])
    @pytest.mark.parametrize("y", [CLASSES[::-1], NUMBERS])
    def test_every_row_is_on_one_side_and_the_seed_decides(self, y, options):
        table = table_of(y, **options) if "time" not in options else table_of(np.roll(y, 7), **options)
        search, test = split_test(table, 0.2, seed=1)
        assert sorted([*search, *test]) == list(range(100))
        assert len(test) == 20
        assert same(split_test(table, 0.2, seed=1), (search, test))
        assert "time" in options or not same(split_test(table, 0.2, seed=2), (search, test))

    def test_zero_sets_nothing_aside(self):
        search, test = split_test(table_of(CLASSES), "0", seed=0)
        assert len(search) == 100
        assert len(test) == 0

    def test_classes_keep_their_shares(self):
        table = table_of(CLASSES)
        _, test = split_test(table, 0.2, seed=0)
        assert np.bincount(table.y[test]).tolist() == [12, 6, 2]

    def test_two_rows_of_each_class_stay_to_search_on(self):
        table = table_of(["a"] * 50 + ["b"] * 2 + ["c"] * 3)
        search, test = split_test(table, 0.5, seed=0)
        assert len(test) == 28
        assert np.bincount(table.y[search]).min() == 2

    def test_whole_groups_are_set_aside(self):
        groups = np.repeat(np.arange(20), 5)
        table = table_of(NUMBERS, groups=groups)
        search, test = split_test(table, 0.2, seed=0)
        assert not set(groups[search]) & set(groups[test])
        assert len(test) == 20

    def test_groups_are_drawn_with_their_classes_in_mind(self):
        table = table_of(["a"] * 90 + ["b"] * 10, groups=np.repeat(np.arange(50), 2))
        search, test = split_test(table, 0.2, seed=0)
        assert 1 <= table.y[test].sum() <= 4
        assert table.y[search].sum() >= 2

    def test_the_last_rows_in_time_are_set_aside(self):
        time = np.random.default_rng(0).permutation(100)
        search, test = split_test(table_of(NUMBERS, time=time), 0.2, seed=0)
        assert time[search].max() < time[test].min()
        assert len(test) == 20

    def test_rows_of_one_time_stay_on_one_side(self):
        time = np.repeat(np.arange(10), 10)
        for size, n_test in ((0.24, 20), (0.26, 30), (3, 10)):
            search, test = split_test(table_of(NUMBERS, time=time), size, seed=0)
            assert len(test) == n_test
            assert not set(time[search]) & set(time[test])

    def test_what_does_not_fit_is_refused(self):
        assert message_of(split_test, table_of(NUMBERS), 99, 0) == (
            "test_size=99 leaves 1 of 100 rows to search on\n  where: test_size"
        )
        assert message_of(split_test, table_of(CLASSES), 95, 0) == (
            "95 test rows leave no 2 rows of each class to search on\n  where: test_size\n  try:   test_size=94 or less"
        )
        one_group = table_of(NUMBERS, groups=[1] * 100)
        assert "all rows are of one group" in message_of(split_test, one_group, 0.2, 0)
        one_time = table_of(NUMBERS, time=[1] * 100)
        assert "too many rows have the same time" in message_of(split_test, one_time, 0.2, 0)
        late = table_of(["a"] * 50 + ["b"] * 10, time=range(60))
        assert message_of(split_test, late, 0.2, 0) == (
            "test_size=0.2 leaves 0 rows of class 'b' to search on\n"
            "  where: test_size\n"
            "  try:   fewer test rows, or test_size=0"
        )
        assert "is no number" in message_of(split_test, one_time, "test.csv", 0, error=SettingsError)

    def test_groups_and_time_together_are_refused(self):
        both = table_of(NUMBERS, groups=np.repeat(np.arange(20), 5), time=range(100))
        assert message_of(split_test, both, 0.2, 0, error=SettingsError) == (
            "groups and time cannot both decide which rows are checked: "
            "a group would stand in the past and the future\n"
            "  where: groups, time\n"
            "  try:   one of them; or cv=<splitter> with test_size=0"
        )


class TestMakeFolds:
    y = np.array([0] * 60 + [1] * 30 + [2] * 10)

    @pytest.mark.parametrize(
        ("kind", "options", "scheme"),
        [
            ("multiclass", {}, "5-fold stratified, shuffled"),
            ("multiclass", {"cv": "3"}, "3-fold stratified, shuffled"),
            ("multiclass", {"cv": "5x2"}, "5-fold stratified, shuffled, 2 times"),
            ("regression", {"cv": 4}, "4-fold, shuffled"),
            ("regression", {"groups": np.repeat(np.arange(20), 5)}, "5-fold, whole groups, shuffled"),
            ("multiclass", {"groups": np.arange(100) % 10}, "5-fold stratified, whole groups, shuffled"),
            ("regression", {"time": np.arange(100.0)}, "5 windows in time, trained on the past"),
        ],
    )
    def test_folds_are_named_and_drawn_by_the_seed(self, kind, options, scheme):
        folds = make_folds(self.y, kind, seed=3, **options)
        assert folds.scheme == scheme
        assert folds.notes == ()
        again = make_folds(self.y, kind, seed=3, **options)
        assert all(same(one, other) for one, other in zip(folds.pairs, again.pairs, strict=True))
        if "time" not in options:
            assert not same(folds.pairs[0], make_folds(self.y, kind, seed=4, **options).pairs[0])
            validated = np.sort(np.concatenate([valid for _, valid in folds.pairs]))
            assert (np.bincount(validated) == len(validated) / 100).all()

    def test_repeats_differ(self):
        folds = make_folds(self.y, "multiclass", cv="5x2")
        assert len(folds) == 10
        assert not same(folds.pairs[0], folds.pairs[5])

    def test_groups_stay_together(self):
        groups = np.repeat(np.arange(20), 5)
        for train, valid in make_folds(self.y, "regression", groups).pairs:
            assert not set(groups[train]) & set(groups[valid])

    def test_time_folds_train_on_the_past_and_keep_equal_times_together(self):
        time = np.random.default_rng(0).integers(0, 30, 100).astype(float)
        folds = make_folds(self.y, "regression", None, time)
        assert len(folds) == 5
        for train, valid in folds.pairs:
            assert time[train].max() < time[valid].min()
        assert np.concatenate([valid for _, valid in folds.pairs]).size < 100

    def test_early_windows_without_a_class_are_left_out_and_said(self):
        y = np.array([0] * 40 + [0, 1] * 30)
        folds = make_folds(y, "binary", None, np.arange(100.0))
        assert folds.notes == ("3 folds instead of 5: the first rows in time lack a class",)
        assert folds.scheme == "3 windows in time, trained on the past"
        late = np.array([0] * 95 + [1] * 5)
        assert "no row in time has all classes before it" in message_of(
            make_folds, late, "binary", None, np.arange(100.0)
        )

    def test_few_times_give_fewer_windows(self):
        folds = make_folds(NUMBERS, "regression", None, np.repeat([0.0, 1.0, 2.0], [30, 30, 40]))
        assert folds.notes[0] == "2 folds instead of 5: there are 3 different times"

    @pytest.mark.parametrize(
        ("y", "kind", "options", "n_folds", "note"),
        [
            ([0] * 9 + [1] * 3, "binary", {}, 3, "3 folds instead of 5: class 1 has 3 rows"),
            (
                [0] * 9 + [1] * 2,
                "binary",
                {"classes": ["no", "yes"]},
                2,
                "2 folds instead of 5: class 'yes' has 2 rows",
            ),
            ([0.5, 1.5, 2.5], "regression", {}, 3, "3 folds instead of 5: there are 3 rows"),
            (
                [0.5] * 8,
                "regression",
                {"groups": np.repeat([0, 1], 4)},
                2,
                "2 folds instead of 5: there are 2 groups",
            ),
            (
                [0, 0, 0, 1, 0, 1, 0, 0, 0, 0],
                "binary",
                {"groups": np.repeat(np.arange(5), 2)},
                2,
                "2 folds instead of 5: class 1 stands in 2 groups",
            ),
        ],
    )
    def test_the_default_shrinks_and_says_why(self, y, kind, options, n_folds, note):
        folds = make_folds(np.array(y), kind, **options)
        assert len(folds) == n_folds
        assert folds.notes == (note,)
        if kind == "binary":
            assert all(set(np.array(y)[train]) == {0, 1} for train, _ in folds.pairs)

    def test_an_explicit_number_that_does_not_fit_says_what_would(self):
        y = np.array([0] * 9 + [1] * 3)
        assert message_of(make_folds, y, "binary", cv=5, classes=["no", "yes"]) == (
            "5 folds do not fit: class 'yes' has 3 rows\n  where: cv\n  try:   cv=3"
        )
        assert "5 folds do not fit: there are 3 rows" in message_of(make_folds, NUMBERS[:3], "regression", cv=5)
        groups = np.repeat([0, 1], 50)
        assert "there are 2 groups" in message_of(make_folds, NUMBERS, "regression", groups, cv=3)
        alone = np.array([0] * 90 + [1] * 10)
        assert message_of(make_folds, alone, "binary", np.repeat(np.arange(10), 10)) == (
            "2 folds do not fit: class 1 stands in 1 group\n  where: cv\n  try:   more rows"
        )

    @pytest.mark.parametrize("cv", [1, 0, -3, "five", "5x0", 2.5, True])
    def test_what_is_no_number_of_folds_is_refused(self, cv):
        assert message_of(make_folds, self.y, "multiclass", cv=cv, error=SettingsError) == (
            f'cv={cv!r} is no number of folds\n  where: cv\n  try:   cv=5, cv="5x2" or a splitter'
        )

    def test_groups_and_time_or_repeats_in_time_are_refused(self):
        time = np.arange(100.0)
        groups = np.repeat(np.arange(20), 5)
        assert "groups and time" in message_of(make_folds, NUMBERS, "regression", groups, time, error=SettingsError)
        assert "cannot be repeated" in message_of(
            make_folds, NUMBERS, "regression", None, time, cv="5x2", error=SettingsError
        )

    def test_a_splitter_of_scikit_learn_is_taken(self):
        from sklearn.model_selection import GroupKFold, ShuffleSplit

        groups = np.repeat(np.arange(20), 5)
        folds = make_folds(NUMBERS, "regression", groups, cv=GroupKFold(4))
        assert len(folds) == 4
        assert folds.scheme.startswith("GroupKFold: 4 folds (")
        assert make_folds(NUMBERS, "regression", groups, cv=GroupKFold(4)).scheme == folds.scheme
        assert len(make_folds(NUMBERS, "regression", cv=ShuffleSplit(2, random_state=0))) == 2

    def test_given_folds_must_train_on_every_class(self):
        pairs = [(np.arange(60), np.arange(60, 100))]
        assert message_of(make_folds, self.y, "multiclass", cv=pairs, classes=list("abc")) == (
            "fold 0 trains without class 'b'\n  where: cv\n  try:   fewer folds, or other ones"
        )

    def test_given_folds_are_taken_and_checked(self):
        pairs = iter([(range(50), range(50, 100)), (np.arange(100) >= 50, np.arange(100) < 50)])
        folds = make_folds(NUMBERS, "regression", cv=pairs)
        assert [len(valid) for _, valid in folds.pairs] == [50, 50]
        assert message_of(make_folds, NUMBERS, "regression", cv=[([0, 1], [1, 2])], error=PlugInError) == (
            "1 row in training and in validation, row 1 first\n  where: fold 0 of given folds"
        )


def test_an_explicit_number_of_folds_in_time_is_not_shrunk() -> None:
    y, time = np.tile([0.0, 1.0], 10), np.repeat([0.0, 1.0, 2.0, 3.0], [14, 2, 2, 2])
    assert len(make_folds(y, "regression", time=time)) < 5
    with pytest.raises(DataError, match="3 folds do not fit: 1 fold instead of 3: rows of equal times"):
        make_folds(y, "regression", time=time, cv=3)
