"""``lane provision``: who may do what in an environment. Show what differs from what is declared; mend it if asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lanewise.domain.environment import Config, Environment
from lanewise.domain.event import Draft
from lanewise.domain.provision import Change, Difference, Policy, PolicyFile, Provisioner, ProvisionerOpener
from lanewise.errors import OutsideBroke, Refused
from lanewise.service.configure import would_be_in_force
from lanewise.service.context import Context
from lanewise.service.releases import stream_of

FindProvisioner = Callable[[str], ProvisionerOpener | None]
"""What provisions a type of connection, where something does."""


@dataclass(frozen=True)
class Tools:
    """What is installed for it."""

    find: FindProvisioner
    policies: Sequence[Policy] = ()


@dataclass(frozen=True)
class Provisioning:
    """What was found, or done. ``place`` is the database in words, "" where the warehouse knows no logins;
    ``changes`` were made where ``applied``, but for those that an administrator has to make."""

    environment: str
    place: str
    changes: tuple[Change, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    files: tuple[PolicyFile, ...]
    script: str
    applied: bool

    @property
    def left(self) -> tuple[Change, ...]:
        """What is still to be done."""
        return tuple(change for change in self.changes if change.administrator or not self.applied)

    @property
    def settled(self) -> bool:
        """Whether all is as it is declared."""
        return not self.left and not self.problems


def provision(ctx: Context, name: str, tools: Tools, *, apply: bool = False) -> Provisioning:
    """Compare the rights in the environment ``name`` with what config declares; make them so when ``apply`` is set, and
    tell the ledger.

    Raises ``NotFound`` for an unknown environment, ``Refused`` where problems stand in the way of applying, and
    ``OutsideBroke`` when the server is away."""
    config = would_be_in_force(ctx)
    lane = config.environment(name)
    others = tuple(other for other in config.environments.values() if other.name != name)
    found = Difference()
    if provisioner := _provisioner(ctx, lane, others, tools):
        found = provisioner.look()
        if apply:
            _require_sound(found)
            found = provisioner.apply() if found.changes else found
            _record(ctx, name, found)
    files = tuple(file for policy in tools.policies for file in policy(lane, others))
    return Provisioning(
        name, found.place, found.changes, found.problems, _warnings(config, lane, found), files, found.script, apply
    )


def write_files(files: Sequence[PolicyFile], folder: Path) -> tuple[Path, ...]:
    """Write the rendered files into a folder, which is made. ``OutsideBroke`` when it can't be written."""
    written = []
    try:
        for file in files:
            path = folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise OutsideBroke(f"{folder} can't be written: {os.strerror(error.errno or 0)}") from error
    return tuple(written)


def _provisioner(ctx: Context, lane: Environment, others: Sequence[Environment], tools: Tools) -> Provisioner | None:
    opener = tools.find(lane.connection("dst").type)
    if opener is None:
        return None
    return opener(lane=lane, others=others, inputs=ctx.project.inputs, secrets=ctx.secrets)


def _require_sound(found: Difference) -> None:
    if found.problems:
        raise Refused("; ".join(found.problems), hint="nothing was changed; correct environments.yaml first")


def _record(ctx: Context, name: str, found: Difference) -> None:
    made = [change for change in found.changes if not change.administrator]
    if made:
        data = {
            "place": found.place,
            "statements": [change.statement for change in made],
            "drift": [change.why for change in made if change.drift],
        }
        ctx.ledger.append(stream_of(ctx, name), [Draft("environment.provisioned", data)], actor=ctx.actor.name)


def _warnings(config: Config, lane: Environment, found: Difference) -> tuple[str, ...]:
    """What the server can't tell: an environment without logins."""
    target = lane.connection("dst")
    if found.place or target.type != "duckdb":
        return found.warnings
    if len(config.environments) == 1:
        return found.warnings
    return (*found.warnings, f"{target.name} is files: whoever may write its folder may write {lane.name}")
