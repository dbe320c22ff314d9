from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from autotune.study.failures import is_conflict, is_made_meanwhile, may_pass


class OfPostgres(Exception):
    def __init__(self, code: str) -> None:
        super().__init__("said by the server")
        self.pgcode = code


class OfMySQL(Exception):
    """As PyMySQL has them: a number of MySQL's own, and the state of the standard, which may say nothing."""

    def __init__(self, number: int, state: str | None) -> None:
        super().__init__(number, "said by the server")
        self.sqlstate = state


@pytest.mark.parametrize(
    "said",
    [OfPostgres("40001"), OfPostgres("40P01"), OfMySQL(1213, "40001"), OfMySQL(1205, "HY000"), OfMySQL(1020, None)],
)
def test_a_transaction_that_lost_is_done_again(said: Exception) -> None:
    error = OperationalError("UPDATE", {}, said)
    assert is_conflict(error) and may_pass(error)


@pytest.mark.parametrize(
    "said", [OfPostgres("42P07"), OfPostgres("23505"), OfMySQL(1050, "42S01"), OfMySQL(1062, "23000")]
)
def test_what_another_process_made_is_no_conflict_of_transactions(said: Exception) -> None:
    error = ProgrammingError("CREATE TABLE", {}, said)
    assert is_made_meanwhile(error) and not is_conflict(error)


def test_other_errors_are_neither() -> None:
    for error in (IntegrityError("INSERT", {}, OfMySQL(1406, "22001")), OperationalError("", {}, OfPostgres("57P01"))):
        assert not is_conflict(error) and not is_made_meanwhile(error)
    assert not is_made_meanwhile(OSError(1050, "no database's"))
