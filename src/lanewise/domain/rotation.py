"""A login while its secret is being rotated."""

from __future__ import annotations

from collections.abc import Callable
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
    for previous in (False, True) if reference.previous else (False,):
        try:
            value = secrets.resolve(reference, previous=previous)
            if value not in tried:
                tried.append(value)
                return attempt(value)
        except LoginRefused as refusal:
            refused = refusal
        except SecretUnavailable:  # the store went away, or the previous value is gone: the refusal says more
            continue
    raise refused
