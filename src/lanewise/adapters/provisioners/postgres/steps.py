"""One step of provisioning: a statement, why it is needed, and who may run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from psycopg import sql

from lanewise.adapters.provisioners.postgres import statements as say
from lanewise.adapters.provisioners.postgres.nouns import Operator
from lanewise.domain.provision import Change, Kind


@dataclass(frozen=True)
class Step:
    """``acts_as``: the roles whose rights the statement takes. ``demands`` names another right:
    ``createrole``, ``schemas`` (to create some), ``superuser``, or ``gives:ROLE``. ``makes`` and ``about`` name roles
    and schemas that come to be, or must be there. ``password_of``: the login whose password is added."""

    kind: Kind
    statement: sql.Composed
    why: str
    drift: bool = False
    acts_as: tuple[str, ...] = ()
    demands: str = ""
    makes: str = ""
    about: frozenset[str] = frozenset()
    password_of: str = ""
    administrator: bool = False

    @property
    def change(self) -> Change:
        """As it is shown."""
        statement = say.with_password(self.statement) if self.password_of else self.statement
        return Change(self.kind, say.shown(statement), self.why, self.drift, self.administrator)


def sorted_out(steps: Iterable[Step], operator: Operator, ours: frozenset[str]) -> tuple[Step, ...]:
    """Say of each step whether the operator may run it, and put around them what lends the operator the roles that
    they have to act as. What rests on something that only an administrator can make is left to them as well."""
    if operator.superuser:
        return tuple(steps)
    marked: list[Step] = []
    missing: set[str] = set()
    lent: dict[str, None] = {}
    borrows = operator.inherits or operator.version >= 16
    made: set[str] = set()
    for step in steps:
        borrowed = [role for role in step.acts_as if role and role not in operator.acts_as]
        may = _demanded(operator, step.demands) and all(
            borrows and role in ours and _gives(operator, role, made) for role in borrowed
        )
        if not may or step.about & missing:
            missing |= {step.makes} - {""}
            marked.append(replace(step, administrator=True))
            continue
        made |= {step.makes} - {""}
        lent |= dict.fromkeys(borrowed)
        marked.append(step)
    return tuple(_around(marked, operator, lent))


def _around(steps: list[Step], operator: Operator, lent: Iterable[str]) -> Iterator[Step]:
    roles = [step for step in steps if step.makes.startswith("role ")]
    yield from roles
    for role in lent:
        joins = say.join_role(role, operator.name, operator.version)
        yield Step(Kind.GRANT, joins, f"{operator.name} hands over to {role}, until the last step")
    yield from (step for step in steps if step not in roles)
    for role in lent:
        yield Step(Kind.REVOKE, say.leave_role(role, operator.name), f"{operator.name} is {role} no more")


def _demanded(operator: Operator, demand: str) -> bool:
    if demand.startswith("gives:"):
        return _gives(operator, demand.removeprefix("gives:"), set())
    return {"": True, "createrole": operator.createrole, "schemas": operator.creates_schemas}.get(demand, False)


def _gives(operator: Operator, role: str, made: set[str]) -> bool:
    """Up to PostgreSQL 15 whoever may create roles may give any of them; from 16 on, their own."""
    fresh = f"role {role}" in made
    return role in operator.gives or (operator.createrole and (fresh or operator.version < 16))
