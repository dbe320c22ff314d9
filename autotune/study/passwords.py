"""Passwords in the URLs of databases, which nobody is to see; Optuna is not needed for that."""

from __future__ import annotations

import re

from autotune.errors import StorageError

PASSWORDS = (
    re.compile(r"([?&]\w*passw(?:or)?d=)([^&\s]*)"),
    re.compile(r"(://(?!/)[^:\s]*:)(.*)(?=@)"),  # up to the last @: people write one in a password
    re.compile(r"(://[^:/\[\s]*:)(?!\d+(?:[/?,'\"\s]|$))([^/@\s]+)"),  # no @ follows, and it is no port
)
"""Where passwords stand in URLs, behind the first group."""


def redact(url: str) -> str:
    """Return the URL with its password hidden.

    Examples
    --------
    >>> redact("postgresql://ann:secret@db/tuning")
    'postgresql://ann:***@db/tuning'
    """
    for pattern in PASSWORDS:
        url = pattern.sub(r"\1***", url)
    return url


def check_password(url: str) -> None:
    """Raise a StorageError where an @ stands in a password, whose end would be taken for the host, and be shown as one.

    Examples
    --------
    >>> check_password("postgresql://ann:s3c%40ret@db/tuning")
    >>> check_password("postgresql://ann:s3c@ret@db/tuning")
    Traceback (most recent call last):
        ...
    autotune.errors.StorageError: an @ stands in the password of this URL, or behind its host
      where: postgresql://ann:***@db/tuning
      try:   write each @ as %40, but for the one before the host
    """
    if any("@" in match[2] for pattern in PASSWORDS for match in pattern.finditer(url)):
        hint = "write each @ as %40, but for the one before the host"
        raise StorageError("an @ stands in the password of this URL, or behind its host", redact(url), hint)


def without_password(text: str, url: str) -> str:
    """Return what an error says, with the password of the URL hidden wherever it stands."""
    for password in [match[2] for pattern in PASSWORDS for match in pattern.finditer(url) if match[2]]:
        text = text.replace(password, "***")
    return redact(text)
