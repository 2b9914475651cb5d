"""The rights of one environment on PostgreSQL: look, say what differs, and make it so in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psycopg

from lanewise.adapters.provisioners.postgres import statements as say
from lanewise.adapters.provisioners.postgres.advice import problems, warnings
from lanewise.adapters.provisioners.postgres.catalog import Session, read
from lanewise.adapters.provisioners.postgres.desired import desired
from lanewise.adapters.provisioners.postgres.difference import difference
from lanewise.adapters.provisioners.postgres.nouns import Actual, Desired, Login
from lanewise.adapters.provisioners.postgres.steps import Step
from lanewise.adapters.warehouses.postgres.server import Server, first_line, refused_login, where
from lanewise.domain.environment import Connection, Environment, Role, SecretRef
from lanewise.domain.ports import Secrets
from lanewise.domain.provision import Difference, Kind
from lanewise.errors import Refused, SecretUnavailable

_LOCK = 0x1A9E_0002  # advisory: one session at a time provisions
_WAIT = "5s"


def open_provisioner(
    *, lane: Environment, others: Sequence[Environment], inputs: Sequence[str], secrets: Secrets
) -> PostgresProvisioner:
    """For a lane whose ``dst`` connection is of type ``postgres``."""
    connection = lane.connection("dst")
    return PostgresProvisioner(desired(lane, others, inputs), connection, secrets, lane)


@dataclass(frozen=True)
class PostgresProvisioner:
    """Logs in as the connection's ``admin``, or as libpq would by itself."""

    wanted: Desired
    connection: Connection
    secrets: Secrets
    lane: Environment

    def look(self) -> Difference:
        """What differs; see ``Provisioner.look``."""
        with self._session() as session:
            actual = read(session, self.wanted)
        passwords, unknown = self._passwords(actual)
        return self._told(actual, difference(self.wanted, actual, passwords), unknown)

    def apply(self) -> Difference:
        """Make it so; see ``Provisioner.apply``."""
        with self._session() as session:
            passwords, unknown = self._passwords(read(session, self.wanted))
            session.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            session.execute("select set_config('lock_timeout', %s, true)", [_WAIT])
            actual = read(session, self.wanted)
            steps = difference(self.wanted, actual, passwords)
            found = self._told(actual, steps, unknown)
            if found.problems:
                raise Refused("; ".join(found.problems))
            for step in steps:
                if not step.administrator:
                    self._make(session, step)
            self._insist(session)
        return found

    def _session(self) -> AbstractContextManager[Session]:
        return Server(self.connection, self.secrets).session(Role.ADMIN)

    def _make(self, session: Session, step: Step) -> None:
        statement = step.statement
        if step.password_of:
            statement = say.with_password(statement, self._verifier(session, step.password_of))
        try:
            session.execute(statement)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InternalError_) as error:
            raise Refused(
                f"{where(self.connection)}: somebody is changing the same things: {first_line(error)}",
                hint="nothing was changed; run it again",
            ) from error
        except psycopg.ProgrammingError as error:
            raise Refused(
                f"{where(self.connection)}: {first_line(error)}: {step.change.statement}",
                hint="nothing was changed; a database administrator may run `lane provision ENV --sql`",
            ) from error

    def _insist(self, session: Session) -> None:
        """The server answers a grant that it ignores with a mere warning."""
        left = [step for step in difference(self.wanted, read(session, self.wanted), {}) if not step.administrator]
        if left:
            raise Refused(
                f"{where(self.connection)}: the server took it, and this was not done: {left[0].change.statement}",
                hint="nothing was changed; a database administrator may run `lane provision ENV --sql`",
            )

    def _passwords(self, actual: Actual) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Login -> why it needs its password written, and what could not be found out. Whether a login's password is
        right is tried, as no catalog shows it to everybody."""
        found: dict[str, str] = {}
        unknown: list[str] = []
        for login in self.wanted.logins:
            has, reference = actual.roles.get(login.name), self._reference(login)
            if reference is None:
                if has is None:
                    unknown.append(f"{login.name} will have no password: config names none")
            elif has is None:
                found[login.name] = "new"
            elif not has.superuser and login.name != actual.operator.name:
                try:
                    if self._is_refused(login, reference):
                        found[login.name] = f"the server refuses what {reference.text} resolves to"
                except SecretUnavailable as error:
                    unknown.append(f"the password of {login.name} was not tried: {error.message}")
        return found, tuple(unknown)

    def _is_refused(self, login: Login, reference: SecretRef) -> bool:
        parameters = Server(self.connection, self.secrets).parameters(login.plays[0])
        try:
            psycopg.connect(**parameters, password=self.secrets.resolve(reference)).close()
        except psycopg.OperationalError as error:
            return refused_login(error)
        return False

    def _reference(self, login: Login) -> SecretRef | None:
        return self.connection.acting_as(login.plays[0]).secrets.get("password")

    def _password_of(self, login: str) -> SecretRef:
        return next(found for one in self.wanted.logins if one.name == login and (found := self._reference(one)))

    def _verifier(self, session: Session, login: str) -> str:
        """What the server keeps of a password. Worked out here, so that the password itself stands in no statement."""
        password = self.secrets.resolve(self._password_of(login))
        verifier = session.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
        return verifier.decode()

    def _told(self, actual: Actual, steps: tuple[Step, ...], unknown: tuple[str, ...]) -> Difference:
        return Difference(
            place=where(self.connection),
            changes=tuple(step.change for step in steps),
            problems=tuple(problems(self.wanted, actual)),
            warnings=(*warnings(self.wanted, actual, self.lane), *unknown),
            script="\n".join(self._script(steps)) + "\n" if steps else "",
        )

    def _script(self, steps: Sequence[Step]) -> Iterator[str]:
        yield f"-- rights of {self.wanted.lane} in {where(self.connection)}; for psql, in that database"
        yield "begin;"
        for step in steps:
            yield f"-- {step.why}".replace("\n", " ")
            if not step.password_of or step.kind is Kind.CREATE:
                yield f"{say.shown(step.statement)};"
            if step.password_of:
                yield f"-- type what {self._password_of(step.password_of).text} resolves to"
                yield f"\\password {say.shown(say.name(step.password_of))}"
        yield "commit;"
