"""Policies of HashiCorp Vault and OpenBao: each role reads exactly the secrets that its references name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from lanewise.domain.environment import Connection, Environment, Role
from lanewise.domain.provision import PolicyFile
from lanewise.errors import ConfigError

_GLOBS = ("*", "+")


def vault_policies(lane: Environment, others: Sequence[Environment]) -> tuple[PolicyFile, ...]:
    """One file a role that has a ``vault:`` reference. ``others`` need no line: what no policy names is denied."""
    del others
    return tuple(_files(lane))


def _files(lane: Environment) -> Iterator[PolicyFile]:
    for role in Role:
        paths = sorted({path for one in _seen_by(lane, role) for path in _paths(one)})
        if paths:
            name = f"{lane.name}-{role}"
            yield PolicyFile(
                f"vault/{name}.hcl", _hcl(lane, role, paths),
                f"bao policy write {name} vault/{name}.hcl, for the {role}'s login",
            )  # fmt: skip


def _seen_by(lane: Environment, role: Role) -> Iterable[Connection]:
    """The connections that a role resolves: a run all of them, the others the warehouse's and with a login of their
    own."""
    if role is Role.RUNNER:
        return lane.for_runs().connections.values()
    named = [found for found in lane.connections.values() if role in found.roles]
    if role is Role.PUBLISHER:
        target = lane.connection("dst")
        named += [] if target in named else [target]
    return [found.acting_as(role) for found in named]


def _paths(connection: Connection) -> Iterator[str]:
    for reference in connection.secrets.values():
        for text in (reference.text, reference.previous):
            if text and text.startswith("vault:"):
                yield _path(text)


def _path(text: str) -> str:
    """``vault:secret/prod/postgres?version=3#password`` -> ``secret/data/prod/postgres``: where a versioned engine
    answers. Metadata, which lists versions and their times, is not among it."""
    path = text.removeprefix("vault:").rpartition("#")[0].partition("?")[0]
    mount, _, rest = path.partition("/")
    if any(glob in path for glob in _GLOBS):
        raise ConfigError(f"{text}: a policy can't name this path alone", hint="* and + stand for any text in a policy")
    return f"{mount}/data/{rest.removeprefix('data/')}"


def _hcl(lane: Environment, role: Role, paths: Sequence[str]) -> str:
    head = f"# The {role} of {lane.name}: what its references name, and nothing else.\n"
    return head + "".join(f'path {json.dumps(path)} {{\n  capabilities = ["read"]\n}}\n' for path in paths)
