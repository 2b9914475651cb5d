"""``lane doctor``: try everything that an environment needs, change nothing, and say what fails and what cures it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from lanewise.domain.environment import Connection, Environment, Role, SecretRef
from lanewise.domain.ports import Login
from lanewise.errors import BadReference, LaneError, LoginRefused, NotFound, WrongInput
from lanewise.service.context import Context

FindLogin = Callable[[str], Login | None]
"""The login of a connection type, where there is one."""


_SERVING = (Role.RUNNER, Role.PUBLISHER, Role.READER)
_OPERATORS = f"{Role.ADMIN}_password"


class State(StrEnum):
    """How one thing is. A warning stops nothing."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. ``subject`` names it, ``said`` is what came of it, ``hint`` what cures it.
    ``age_seconds`` is how long ago a secret was written, where its store tells. Never a value."""

    subject: str
    state: State
    said: str
    hint: str = ""
    reference: str = ""
    age_seconds: int | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All that was tried for one environment."""

    environment: str
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """True when nothing failed."""
        return all(finding.state is not State.FAILED for finding in self.findings)


def examine(ctx: Context, name: str, find_login: FindLogin) -> Diagnosis:
    """Try every secret and connection of the environment ``name``, the build store and the ledger.

    Raises ``NotFound`` for an unknown environment and ``ConfigError`` for files that can't be read; whatever else
    goes wrong is a finding.
    """
    environment = ctx.config.environment(name)
    findings: list[Finding] = []
    for connection in environment.connections.values():
        findings += _connection(ctx, connection, find_login(connection.type))
    findings += _place("warehouse", lambda: _warehouse(ctx, environment))
    if ctx.project.inputs:
        findings += _place("inputs", lambda: _inputs(ctx, environment))
    findings += _place("build store", lambda: _builds(ctx))
    findings += _left_behind(ctx)
    findings += _place("ledger", lambda: f"{ctx.ledger.head()[0]:,} events")
    redact = ctx.secrets.redact  # errors carry no values; an adapter that forgets so is still not printed
    return Diagnosis(name, tuple(replace(f, said=redact(f.said), hint=redact(f.hint)) for f in findings))


@dataclass(frozen=True)
class _Holder:
    """Somebody who logs in through a connection: the connection as they have it, and where config keeps each of its
    secrets (field as they have it -> field in config)."""

    subject: str
    connection: Connection
    kept: Mapping[str, str]


def _holders(connection: Connection) -> Iterator[_Holder]:
    """Each role's login that steps log in with, and the one that stands in for roles which have none."""
    own = [role for role in _SERVING if role in connection.roles]
    if len(own) < len(_SERVING) and (not own or "user" in connection.fields):
        other = next(role for role in _SERVING if role not in own)
        shared = connection.acting_as(other)
        yield _Holder(connection.name, shared, {field: field for field in shared.secrets})
    for role in own:
        acting = connection.acting_as(role)
        kept = {field: f"{role}_password" if field == "password" else field for field in acting.secrets}
        yield _Holder(f"{connection.name} ({role})", acting, kept)


def _connection(ctx: Context, connection: Connection, login: Login | None) -> Iterator[Finding]:
    current: dict[str, str] = {}
    previous: dict[str, str] = {}
    for field, reference in connection.secrets.items():
        subject = f"{connection.name}.{field}"
        findings, value = _current(ctx, subject, reference)
        yield from (_operators(f) for f in findings) if field == _OPERATORS else findings
        if value is not None:
            current[field] = value
        if reference.previous is not None:
            findings, value = _previous(ctx, subject, reference)
            yield from findings
            if value is not None:
                previous[field] = value
    for holder in _holders(connection):
        if not current.keys() >= set(holder.kept.values()):
            continue  # what is missing was told
        mine = {field: previous[kept] for field, kept in holder.kept.items() if kept in previous}
        if login is not None:
            yield _logged_in(holder, login, {field: current[kept] for field, kept in holder.kept.items()}, mine)
        elif mine:
            yield Finding(
                holder.subject, State.OK, "both versions resolve; which one logs in can't be tried for this type",
                f"drop `previous` once a run with the new one has passed (type {connection.type})",
            )  # fmt: skip


def _operators(finding: Finding) -> Finding:
    """The operator's secret need not be at hand where lanes run."""
    if finding.state is not State.FAILED:
        return finding
    return replace(finding, state=State.WARNING, said=f"{finding.said} (`lane provision` alone needs it)")


def _current(ctx: Context, subject: str, reference: SecretRef) -> tuple[list[Finding], str | None]:
    try:
        value = ctx.secrets.resolve(reference)
        age, concerns = ctx.secrets.age(reference), ctx.secrets.concerns(reference)
    except LaneError as error:
        return [Finding(subject, State.FAILED, error.message, error.hint, _shown(reference.text, error))], None
    found = [_aged(Finding(subject, State.OK, "resolves", "", reference.text), age, reference.max_age)]
    found += [Finding(subject, State.WARNING, concern, "", reference.text) for concern in concerns]
    return found, value


def _aged(finding: Finding, age: timedelta | None, limit: timedelta | None) -> Finding:
    if age is None:
        if limit is None:
            return finding
        return replace(
            finding, state=State.WARNING, said="resolves; its store can't tell its age, so max_age is not watched",
            hint="keep it in a store that can (file:, or vault: with versions), or drop max_age",
        )  # fmt: skip
    finding = replace(finding, age_seconds=int(age.total_seconds()), said=f"resolves, written {_ago(age)}")
    if limit is None or age <= limit:
        return finding
    return replace(
        finding, state=State.WARNING, said=f"{finding.said}, past its max_age of {_span(limit)}",
        hint="rotate it: write a new version, and declare the old one as `previous` until the new one is proven",
    )  # fmt: skip


def _previous(ctx: Context, subject: str, reference: SecretRef) -> tuple[list[Finding], str | None]:
    try:
        return [], ctx.secrets.resolve(reference, previous=True)
    except LaneError as error:
        hint = "drop `previous` if the new version is proven; else bring the old one back"
        shown = _shown(reference.previous or "", error)
        return [Finding(f"{subject} (previous)", State.WARNING, error.message, hint, shown)], None


def _logged_in(holder: _Holder, login: Login, current: Mapping[str, str], previous: Mapping[str, str]) -> Finding:
    """The new values are tried first, and the old ones only when those are refused: servers lock accounts."""
    name, connection = holder.subject, holder.connection
    try:
        try:
            met = login(connection, current)
        except LoginRefused as refusal:
            for field, value in previous.items():
                if _accepts(login, connection, {**current, field: value}):
                    return Finding(
                        name, State.WARNING, f"only the previous version of {holder.kept[field]} logs in",
                        "set the new one on the server; keep `previous` until `lane doctor` calls the new one proven",
                    )  # fmt: skip
            both = "neither the new nor the previous version logs in: " if previous else ""
            return Finding(name, State.FAILED, both + refusal.message, refusal.hint)
    except WrongInput as error:  # pipeline code may know how to log in all the same
        return Finding(name, State.WARNING, f"no login is tried: {error.message}", error.hint)
    except LaneError as error:
        return Finding(name, State.FAILED, error.message, error.hint)
    where = f" {met}" if met else ""
    if previous:
        return Finding(name, State.OK, f"the new version is proven{':' if met else ''}{where}", "`previous` may go")
    return Finding(name, State.OK, f"logs in{where}")


def _accepts(login: Login, connection: Connection, values: Mapping[str, str]) -> bool:
    try:
        login(connection, values)
    except LoginRefused:
        return False
    return True


def _place(subject: str, look: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield Finding(subject, State.OK, look())
    except LaneError as error:
        yield Finding(subject, State.FAILED, error.message, error.hint)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield Finding(subject, State.FAILED, where + (error.strerror or type(error).__name__), "check the path")


def _warehouse(ctx: Context, environment: Environment) -> str:
    pointer = ctx.warehouse(environment).pointer()
    if environment.connection("dst").type == "duckdb":
        _demand_writable(ctx.home / "warehouse")
    return f"map {pointer.number} is live" if pointer.number else "nothing is published yet"


def _inputs(ctx: Context, environment: Environment) -> str:
    """What lies on a disk can be looked for; what else inputs come from is for its own login to try."""
    source = environment.connection("src")
    path = source.fields.get("path")
    if not isinstance(path, str):
        return f"come through {source.name} ({source.type})"
    place = ctx.root / Path(path).expanduser()
    if not (place.is_dir() if source.type == "files" else place.exists()):
        kind = "folder" if source.type == "files" else "file"
        raise NotFound(f"{kind} of inputs", str(place), hint=f"create it, or correct `path` of {source.name}")
    return f"come from {place}"


def _left_behind(ctx: Context) -> Iterator[Finding]:
    """A shared record of builds that nobody else has: another machine could neither finish nor roll back."""
    builds = ctx.config.builds
    if ctx.config.ledger.startswith("postgres") and "://" not in builds and not Path(builds).is_absolute():
        said = (
            f"{builds} lies in this folder, and the ledger is shared: other machines lack the builds that it tells of"
        )
        yield Finding("build store", State.WARNING, said, "keep them where all reach them: builds: s3://… or file:///…")


def _builds(ctx: Context) -> str:
    """Asks for a build that can't be there: an answer of any kind says that the store works."""
    with suppress(NotFound):
        ctx.builds.resolve("sha256:" + "0" * 64)
    if "://" not in ctx.config.builds:
        _demand_writable(ctx.root / ctx.config.builds)
    return ctx.config.builds


def _demand_writable(folder: Path) -> None:
    """Write a nameless file where ``folder`` is, or will be. ``OSError`` when that is refused or the disk is full."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0" * 4096)
        file.flush()
        os.fsync(file.fileno())


def _shown(text: str, error: LaneError) -> str:
    """A malformed reference may be a value that somebody wrote in its place."""
    return "" if isinstance(error, BadReference) else text


def _ago(age: timedelta) -> str:
    return "just now" if age < timedelta(minutes=1) else f"{_span(age)} ago"


def _span(span: timedelta) -> str:
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count = int(span.total_seconds()) // seconds
        if count >= 1:
            return f"{count:,} {unit}{'s' if count > 1 else ''}"
    return "no time"
