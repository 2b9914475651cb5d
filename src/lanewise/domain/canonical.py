"""One way to turn a noun into bytes, so that equal content has an equal digest everywhere."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

_ATOMS = frozenset({str, bool, int, float, type(None)})


@functools.cache
def _field_names(noun: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(noun))


def plain(value: object) -> Any:  # noqa: C901, PLR0911 - one return a type reads best
    """Reduce dataclasses, enums, tuples, dates and decimals to JSON's own types."""
    if type(value) in _ATOMS:  # nearly every value: a build has thousands
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _field_names(type(value))}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal content, equal bytes."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: object) -> str:
    """``sha256:…`` of a noun's canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


def short(name: str) -> str:
    """The first eight hex digits of a digest: how builds and configs are shown to people."""
    return name.removeprefix("sha256:")[:8]
