"""``env:NAME``: a variable of the process that resolves it."""

from __future__ import annotations

import difflib
import os
import re
from datetime import timedelta
from pathlib import Path

from lanewise.domain.environment import SecretRef
from lanewise.errors import BadReference, SecretUnavailable

_NAME = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


class EnvStore:
    """Reads ``os.environ`` at the moment of use. It can't tell an age, and an empty variable counts as unset."""

    def __init__(self, root: Path) -> None:
        del root  # every store is opened with it; this one has no use for it

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """The variable's value. ``SecretUnavailable`` when it is unset, empty or not text."""
        text = reference.wanted(previous=previous)
        name = _name(text)
        value = os.environ.get(name, "")
        if not value:
            state = "empty" if name in os.environ else "not set"
            raise SecretUnavailable(f"{text}: the variable {name} is {state}", hint=_way_on(name))
        if not _is_text(value):
            raise SecretUnavailable(f"{text}: the variable {name} is not UTF-8 text", hint="encode it, e.g. as base64")
        return value

    def age(self, reference: SecretRef) -> timedelta | None:
        """None: a process's environment has no dates."""
        _name(reference.text)
        return None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """Nothing that this store could see."""
        _name(reference.text)
        return ()


def _name(text: str) -> str:
    match = _NAME.fullmatch(text)
    if match is None:
        raise BadReference(
            "an env: reference names one variable, of letters, digits and underscores", hint="write env:NAME"
        )
    return match[1]


def _way_on(name: str) -> str:
    near = difflib.get_close_matches(name, os.environ.keys() - {name}, n=1, cutoff=0.75)
    return f"export {name}=…" + (f", or did you mean {near[0]}?" if near else "")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that Python could only smuggle in as surrogates
        return False
    return True
