"""What default privileges would open: a table is made as its owner-to-be, asked who may touch it, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from psycopg import sql

from lanewise.adapters.probes.postgres.catalog import TABLE_RIGHTS, users
from lanewise.adapters.probes.postgres.session import Refusal, session, where
from lanewise.adapters.probes.postgres.tries import absent_name
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.environment import Connection, Environment, Role
from lanewise.domain.isolation import Attempt, Holder, Identity, Outcome, Target
from lanewise.domain.ports import Secrets

_ASK = f"""
select u.rolname::text as who, array(
    select r from unnest({TABLE_RIGHTS}) r
    where exists (select from pg_roles me where pg_has_role(u.oid, me.oid, 'member')
        and has_table_privilege(me.oid, c.oid, r))) as may
from pg_roles u, pg_class c join pg_namespace n on n.oid = c.relnamespace
where u.rolname = any(%(users)s::text[]) and n.nspname = %(schema)s and c.relname = %(name)s
"""  # noqa: S608 - made of a constant


@dataclass(frozen=True)
class Future:
    """What tables yet to be made by one login in one schema will allow, by user; or why that can't be told."""

    schema: str
    owner: str
    statement: str
    may: Mapping[str, Sequence[str]] = field(default_factory=dict)
    refused: str = ""
    unknown: str = ""


class Futures:
    """Looked at once for each environment, whoever asks first."""

    def __init__(self, secrets: Secrets, lanes: Mapping[str, Environment]) -> None:
        self._secrets, self._lanes = secrets, lanes
        self._known: dict[str, tuple[Future, ...]] = {}
        self._lock = Lock()

    def attempts(self, holder: Holder, lane: Environment, dst: Connection, place: Place) -> list[Attempt]:
        """What ``holder`` would be let into."""
        with self._lock:
            if lane.name not in self._known:
                self._known[lane.name] = tuple(self._look(lane, dst, place))
        return [_attempt(holder, lane.name, future) for future in self._known[lane.name]]

    def _look(self, lane: Environment, dst: Connection, place: Place) -> list[Future]:
        made_by = ((Role.PUBLISHER, place.public), (Role.PUBLISHER, place.store), (Role.RUNNER, place.rooms))
        everybody = [user for other in self._lanes.values() for user in users(other, where(dst))]
        return [self._make(lane, dst.acting_as(role), schema, everybody) for role, schema in made_by]

    def _make(self, lane: Environment, login: Connection, schema: str, everybody: Sequence[str]) -> Future:
        owner, name = str(login.fields.get("user") or ""), absent_name()
        made = sql.SQL("create table {} ()").format(sql.Identifier(schema, name))
        text = f'create table "{schema}"."{name}" ()'
        holder = Holder(Identity(lane.name, login.name, "owner", owner), lane, login)
        try:
            with session(holder, login, self._secrets) as here:
                tried = here.attempt(Target(lane.name, "schema", schema), "create", made)
                if tried is None or tried.outcome is Outcome.DENIED:
                    return Future(schema, owner, text, refused=tried.answer if tried else "there is no such schema yet")
                if tried.outcome is Outcome.UNREACHABLE:
                    return Future(schema, owner, text, unknown=tried.answer)
                # The try was not taken back yet: the next statement of the session does that.
                asked = here.connection.execute(_ASK, {"users": everybody, "schema": schema, "name": name}).fetchall()
                return Future(schema, owner, text, {row["who"]: row["may"] for row in asked})
        except Refusal as refusal:
            return Future(schema, owner, text, unknown=f"{owner} can't log in: {refusal.answer}")


def _attempt(holder: Holder, lane: str, future: Future) -> Attempt:
    user = holder.identity.user
    target = Target(lane, "future tables", f"{future.schema} by {future.owner}")
    statement = f"{future.statement}; select has_table_privilege('{user}', …)"
    if future.unknown:
        return Attempt(holder.identity, target, "use", statement, Outcome.UNREACHABLE, future.unknown)
    if future.refused:
        answer = f"{future.owner} makes none: {future.refused}"
        return Attempt(holder.identity, target, "use", statement, Outcome.DENIED, answer)
    may = future.may.get(user, ())
    outcome = Outcome.ALLOWED if may else Outcome.DENIED
    answer = f"{', '.join(may)}; by default privileges of {future.owner}" if may else "none of them"
    return Attempt(holder.identity, target, "use", statement, outcome, answer)
