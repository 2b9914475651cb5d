"""Every secret store behind one door."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from lanewise.adapters.secrets.redaction import Redactor
from lanewise.domain.environment import SecretRef
from lanewise.domain.ports import SecretStore
from lanewise.errors import BadReference, NotFound

_LOGIN = re.compile(r"(VAULT|BAO)_(TOKEN|SECRET_ID)")
"""Variables by which a store is logged in to: workers get them, and may print them."""

_NAME = re.compile(r"[a-z][a-z-]{1,15}")


class SecretResolver:
    """Picks the store by the reference's scheme and opens it when it is first needed.

    Values are asked for anew each time, so that a rotation shows; they are remembered to be redacted, no more. So
    are the stores' own logins that this process was given, from 8 characters on.
    """

    def __init__(self, stores: Mapping[str, Callable[[], SecretStore]]) -> None:
        self._openers = stores
        self._opened: dict[str, SecretStore] = {}
        self._redactor = Redactor()
        for name, value in os.environ.items():
            if _LOGIN.fullmatch(name) and len(value) >= 8:
                self._redactor.remember(value)

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """The value now, or the previous one. ``BadReference``, ``NotFound`` (an unknown scheme) or
        ``SecretUnavailable``; none of them shows a value."""
        value = self._store(reference.wanted(previous=previous)).resolve(reference, previous=previous)
        self._redactor.remember(value)
        return value

    def age(self, reference: SecretRef) -> timedelta | None:
        """How long ago the value was written; None where the store can't tell."""
        return self._store(reference.text).age(reference)

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """What is unsafe about the way the value is kept, a sentence each."""
        return self._store(reference.text).concerns(reference)

    def redact(self, text: str) -> str:
        """Replace every value that this process has resolved by ``***``, also where it stands encoded (base64,
        URL, JSON, hex). Values shorter than 4 characters stay: they would blot out ordinary words."""
        return self._redactor.redact(text)

    def _store(self, text: str) -> SecretStore:
        scheme, colon, _ = text.partition(":")
        if not colon:
            raise _not_a_reference(self._openers)
        if scheme not in self._opened:
            if scheme not in self._openers:
                if not _NAME.fullmatch(scheme):
                    raise _not_a_reference(self._openers)
                raise NotFound("secret store", scheme, known=self._openers)
            self._opened[scheme] = self._openers[scheme]()
        return self._opened[scheme]


def _not_a_reference(known: Iterable[str]) -> BadReference:
    # The text is not shown: it may well be a value that somebody wrote where a reference belongs.
    return BadReference(
        "a secret reference starts with its store's name",
        hint=f"write {', '.join(f'{name}:…' for name in sorted(known))}",
    )
