"""Config as people see it: one row a key, secrets as references, every value with its origin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lanewise.config.values import show_duration, show_share
from lanewise.domain.environment import Config, Connection, Environment, Origin, Rules, SecretRef

_BUILT_IN = Origin("built in")


@dataclass(frozen=True)
class Row:
    """One dotted key of an environment, its value as shown, and where that came from."""

    key: str
    value: str
    origin: Origin


@dataclass(frozen=True)
class KeyDifference:
    """A key whose value differs between two environments; ``-`` stands for one that has none."""

    key: str
    a: str
    b: str
    origin_a: Origin
    origin_b: Origin


def rows(environment: Environment) -> tuple[Row, ...]:
    """Everything that is in force in one environment, in the order of the file's sections."""
    return tuple(
        Row(key, shown, _origin(environment, path)) for key, shown, path in _values(environment, by_role=False)
    )


def config_diff(config: Config, a: str, b: str) -> tuple[KeyDifference, ...]:
    """Every key that differs between two environments. Connections are compared by the setting that names them."""
    left, right = config.environment(a), config.environment(b)
    return environment_diff(left, right)


def environment_diff(left: Environment, right: Environment) -> tuple[KeyDifference, ...]:
    """Every key that differs between two resolved environments, of one config or of two."""
    ours = {key: (shown, _origin(left, path)) for key, shown, path in _values(left, by_role=True)}
    theirs = {key: (shown, _origin(right, path)) for key, shown, path in _values(right, by_role=True)}
    none = ("-", Origin("not set"))
    found: list[KeyDifference] = []
    for key in dict.fromkeys([*ours, *theirs]):
        (a, origin_a), (b, origin_b) = ours.get(key, none), theirs.get(key, none)
        if a != b:
            found.append(KeyDifference(key, a, b, origin_a, origin_b))
    return tuple(found)


def show_origin(origin: Origin) -> str:
    """``environments.yaml:12 (environments.prod)``; the layer alone where there is no file."""
    if not origin.file:
        return origin.layer
    place = f"{origin.file}:{origin.line}" if origin.line else origin.file
    return f"{place} ({origin.layer})"


def _values(environment: Environment, *, by_role: bool) -> Iterator[tuple[str, str, str]]:
    """Key, value as shown, and the key that its origin is filed under."""
    for key, value in _flat(environment.settings, "settings"):
        yield key, show(value), key
    named = _roles(environment) if by_role else {name: name for name in environment.connections}
    for label, name in named.items():
        for field, shown in _connection(environment.connections[name]):
            yield f"connections.{label}.{field}", shown, f"connections.{name}.{field}"
    for key, shown in (*_data(environment), *_rules(environment.rules)):
        yield key, shown, key


def _roles(environment: Environment) -> dict[str, str]:
    settings = dict(_flat(environment.settings, ""))
    return {
        key.removeprefix(".").removesuffix("_conn"): str(value)
        for key, value in settings.items()
        if key.endswith("_conn") and value in environment.connections
    }


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", value


def show(value: object) -> str:
    """A value as JSON, but a text that fits a line as it is."""
    return value if isinstance(value, str) and value and value.isprintable() else json.dumps(value, ensure_ascii=False)


def _connection(connection: Connection) -> Iterator[tuple[str, str]]:
    yield "type", connection.type
    for field, value in connection.fields.items():
        yield field, show(value)
    for field, reference in connection.secrets.items():
        yield field, _reference(reference)


def _reference(reference: SecretRef) -> str:
    shown = reference.text
    if reference.previous:
        shown += f", previous {reference.previous}"
    return shown + (f", at most {show_duration(reference.max_age)} old" if reference.max_age else "")


def _data(environment: Environment) -> Iterator[tuple[str, str]]:
    data = environment.data
    if data.refresh_from:
        yield "data.refresh_from", data.refresh_from
        yield "data.masked", show(data.masked)
    if data.sample is not None:
        yield "data.sample", show_share(data.sample)
    for key, value in (("data.from", data.first), ("data.to", data.last)):
        if value:
            yield key, value
    if data.values:
        yield "data.values", ", ".join(data.values)


def _rules(rules: Rules) -> Iterator[tuple[str, str]]:
    gates = [gate.name + (f" {json.dumps(dict(gate.arguments))}" if gate.arguments else "") for gate in rules.gates]
    yield "rules.gates", ", ".join(gates) or "none"
    yield "rules.approvals.count", str(rules.approvals.count)
    if rules.approvals.count:
        yield "rules.approvals.from", ", ".join(rules.approvals.groups) or "anyone else"
        yield "rules.approvals.expires", show_duration(rules.approvals.expires)
    yield "rules.rollout", rules.rollout.strategy
    if rules.rollout.strategy == "canary":
        yield "rules.rollout.canary", ", ".join(map(show_share, rules.rollout.steps))
    yield "rules.rollout.bake", show_duration(rules.rollout.bake)
    yield "rules.rollout.max_bad", show_share(rules.rollout.max_bad)
    windows = [window.rrule or f"{window.start} to {window.end}" for window in rules.freeze]
    yield (
        "rules.freeze",
        "; ".join(f"{text} {w.timezone}" for text, w in zip(windows, rules.freeze, strict=True)) or "none",
    )
    yield "rules.evidence_expires", show_duration(rules.evidence_expires)
    yield "rules.rollback_window", show_duration(rules.rollback_window)
    yield "rules.opens_next", show(rules.opens_next)


def _origin(environment: Environment, path: str) -> Origin:
    """Of the very key, else of the nearest thing in the file above or below it."""
    found = environment.origins
    if path in found:
        return found[path]
    below = [origin for key, origin in found.items() if key.startswith(f"{path}.")]
    above = path.rpartition(".")[0]
    return below[0] if below else found.get(above, _BUILT_IN)
