"""Passwords in the URLs of databases, which nobody is to see; Optuna is not needed for that."""

from __future__ import annotations

import re

PASSWORDS = (
    re.compile(r"(://[^:/@\s]*:)(.*)(?=@)"),  # up to the last @: a password may hold one
    re.compile(r"(://(?!\[)[^:/@\s]*:)(?!\d+(?:[/?,'\"\s]|$))([^/@\s]+)"),  # no @ follows, and it is no port
    re.compile(r"([?&]password=)([^&\s]*)"),
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


def without_password(text: str, url: str) -> str:
    """Return what an error says, with the password of the URL hidden wherever it stands."""
    for password in [match[2] for pattern in PASSWORDS for match in pattern.finditer(url) if match[2]]:
        text = text.replace(password, "***")
    return redact(text)
