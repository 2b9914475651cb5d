"""A login while its secret is being rotated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from lanewise.domain.environment import SecretRef
from lanewise.domain.ports import Secrets
from lanewise.errors import LoginRefused, SecretUnavailable

T = TypeVar("T")


def with_rotation(secrets: Secrets, reference: SecretRef, attempt: Callable[[str], T]) -> T:
    """What ``attempt`` returns when it logs in with the value behind ``reference``.

    Where it raises ``LoginRefused``, the reference is resolved once more (it may have been rotated since) and tried
    if it changed; then the previous value, if one is declared. Each value is tried once: servers lock accounts.
    Any other error of ``attempt`` passes through at once; so does the last refusal.
    """
    tried = [secrets.resolve(reference)]
    try:
        return attempt(tried[0])
    except LoginRefused as refusal:
        refused = refusal
    for value in _others(secrets, reference):
        if value in tried:
            continue
        tried.append(value)
        try:
            return attempt(value)
        except LoginRefused as refusal:
            refused = refusal
    raise refused


def _others(secrets: Secrets, reference: SecretRef) -> Iterator[str]:
    for previous in (False, True) if reference.previous else (False,):
        with suppress(SecretUnavailable):  # it went away since: the refusal tells more
            value = secrets.resolve(reference, previous=previous)
            yield value
