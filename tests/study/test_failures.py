from __future__ import annotations

import optuna
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError, ProgrammingError

from autotune.study.failures import is_conflict, is_made_meanwhile, may_pass, reason_of


class PostgresError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__("said by the server")
        self.pgcode = code


class MySQLError(Exception):
    """As PyMySQL has them: a number of MySQL's own, and the state of the standard, which may say nothing."""

    def __init__(self, number: int, state: str | None) -> None:
        super().__init__(number, "said by the server")
        self.sqlstate = state


@pytest.mark.parametrize(
    "said",
    [
        PostgresError("40001"),
        PostgresError("40P01"),
        MySQLError(1213, "40001"),
        MySQLError(1205, "HY000"),
        MySQLError(1020, None),
    ],
)
def test_a_transaction_that_lost_is_done_again(said: Exception) -> None:
    error = OperationalError("UPDATE", {}, said)
    assert is_conflict(error) and may_pass(error)


@pytest.mark.parametrize(
    "said", [PostgresError("42P07"), PostgresError("23505"), MySQLError(1050, "42S01"), MySQLError(1062, "23000")]
)
def test_what_another_process_made_is_no_conflict_of_transactions(said: Exception) -> None:
    error = ProgrammingError("CREATE TABLE", {}, said)
    assert is_made_meanwhile(error) and not is_conflict(error)


def test_optunas_second_question_on_a_lost_connection_passes() -> None:
    error = optuna.exceptions.StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")
    assert may_pass(error) and reason_of(error) == "the connection was lost"


def test_other_errors_are_neither() -> None:
    for error in (
        IntegrityError("INSERT", {}, MySQLError(1406, "22001")),
        OperationalError("", {}, PostgresError("57P01")),
    ):
        assert not is_conflict(error) and not is_made_meanwhile(error)
    assert not is_made_meanwhile(OSError(1050, "no database's"))
