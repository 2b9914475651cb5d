"""Which declared keys differ between two resolved environments, as a plan shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.environment import Environment


def config_changes(old: Environment | None, new: Environment) -> dict[str, tuple[str, str]]:
    """Every declared key whose value differs, dotted, with both values as they are shown. Secrets are shown by
    their reference. Empty for a first release."""
    if old is None:
        return {}
    before, after = _flat(_shown(old)), _flat(_shown(new))
    keys = sorted(before.keys() | after.keys())
    return {k: (before.get(k, "(none)"), after.get(k, "(none)")) for k in keys if before.get(k) != after.get(k)}


def _shown(environment: Environment) -> dict[str, Any]:
    connections = {
        name: {"type": c.type, **c.fields, **{field: ref.text for field, ref in c.secrets.items()}}
        for name, c in environment.connections.items()
    }
    rules, data = _texts(environment.rules), _texts(environment.data)
    return {"settings": environment.settings, "connections": connections, "rules": rules, "data": data}


def _texts(noun: Any) -> dict[str, Any]:
    """A rules noun's fields; durations have no JSON form, and are shown as text."""
    return {name: value if isinstance(value, str | int | None) else _text(value) for name, value in vars(noun).items()}


def _text(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return _texts(value)
    if isinstance(value, list | tuple):
        return [_text(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _text(v) for k, v in value.items()}
    return value if isinstance(value, str | int | float | None) else str(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found.update(_flat(inner, f"{prefix}{key}."))
        else:
            text = inner if isinstance(inner, str) else json.dumps(plain(inner), ensure_ascii=False)
            found[f"{prefix}{key}"] = text
    return found
