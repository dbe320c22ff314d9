"""How messages about tables count and list things."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "row"), counted(2, "class")
    ('1 row', '2,000 rows', '2 classes')
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def listed(values: Iterable[object], most: int = 10) -> str:
    """Return values as Python writes them, the first few of many.

    Examples
    --------
    >>> listed(["a", 1, 2, 3], most=2)
    "'a', 1, … (4 in all)"
    """
    shown = [repr(value) for value in values]
    return ", ".join(shown[:most]) + (f", … ({len(shown):,} in all)" if len(shown) > most else "")


def listed_rows(rows: Iterable[int]) -> str:
    """Return the first row numbers of those with a problem.

    Examples
    --------
    >>> listed_rows([4, 5, 6, 7, 8, 9])
    'rows 4, 5, 6, 7, 8, …; the first row is 0'
    """
    shown = [str(row) for row in rows]
    return f"rows {', '.join(shown[:5])}{', …' if len(shown) > 5 else ''}; the first row is 0"
