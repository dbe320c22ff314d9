import numpy as np
import pytest

from autotune.data.given_folds import read_folds
from autotune.errors import PlugInError

Y = np.zeros(4)


class Faulty:
    def split(self, X, y, groups):
        raise ValueError("there are no months")


@pytest.mark.parametrize(
    ("cv", "says"),
    [
        ([], "gives no folds"),
        ([([0, 1], [])], "no validation rows"),
        ([([], [0])], "no training rows"),
        ([([0, 1], [4])], "validation rows 4 to 4 where there are 0 to 3"),
        ([([-1, 1], [2])], "training rows -1 to 1 where there are 0 to 3"),
        ([([0, 1], [1, 2])], "1 row in training and in validation, row 1 first"),
        ([([0.5], [1])], "row positions are whole numbers, not float64"),
        ([[0, 1, 2]], "gives no folds: too many values to unpack"),
        (Faulty(), "gives no folds: there are no months"),
        (object(), "gives no folds"),
    ],
)
def test_broken_folds_are_refused(cv, says):
    with pytest.raises(PlugInError, match=says):
        read_folds(cv, Y, None)


def test_the_name_tells_folds_apart():
    _, one = read_folds([([0, 1], [2, 3])], Y, None)
    _, other = read_folds([([0, 2], [1, 3])], Y, None)
    assert one != other


def test_masks_are_positions():
    pairs, _ = read_folds([(np.array([True, False, True, False]), [1])], Y, None)
    assert pairs[0][0].tolist() == [0, 2]
