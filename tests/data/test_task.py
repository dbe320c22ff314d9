"""Rows that stand in a table, and rows that are copied out of it."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np

from autotune.data.task import Excerpt, Rows

NUMERIC = np.arange(12.0).reshape(6, 2)
CATEGORICAL = np.arange(6, dtype=np.int32).reshape(6, 1)
TABLE = Rows(NUMERIC, CATEGORICAL)
INDEX = np.array([5, 0, 2])


def same(one: Rows, other: Rows) -> bool:
    return bool((one.numeric == other.numeric).all() and (one.categorical == other.categorical).all())


def test_an_excerpt_reads_as_the_rows_that_were_taken() -> None:
    excerpt, taken = Excerpt(TABLE, INDEX), TABLE.take(INDEX)
    assert same(excerpt, taken) and same(excerpt.take(np.array([2, 0])), taken.take(np.array([2, 0])))
    assert (len(excerpt), excerpt.n_cells) == (len(taken), taken.n_cells) == (3, 9)
    assert excerpt.numeric.flags["C_CONTIGUOUS"] and excerpt.numeric.dtype == np.float64


def test_who_writes_into_what_an_excerpt_gave_writes_nowhere_else() -> None:
    excerpt = Excerpt(TABLE, INDEX)
    excerpt.numeric[:] = excerpt.categorical[:] = -1
    assert same(excerpt, TABLE.take(INDEX)) and (NUMERIC >= 0).all()


def test_an_excerpt_travels_without_its_table() -> None:
    large = Rows(np.zeros((10_000, 2)), np.zeros((10_000, 0), dtype=np.int32))
    packed = pickle.dumps(Excerpt(large, INDEX))
    assert len(packed) < 1000 and type(pickle.loads(packed)) is Rows and same(pickle.loads(packed), large.take(INDEX))


def test_an_excerpt_with_an_array_replaced_is_plain_rows() -> None:
    excerpt = Excerpt(TABLE, INDEX)
    replaced = dataclasses.replace(excerpt, numeric=np.zeros_like(excerpt.numeric))
    assert type(replaced) is Rows and not replaced.numeric.any()
    assert np.array_equal(replaced.categorical, excerpt.categorical)
