"""One identity's session, in one transaction that can only be rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from lanewise.adapters.warehouses.postgres.server import Server, first_line
from lanewise.domain.environment import Connection, Role
from lanewise.domain.isolation import Attempt, Holder, Outcome, Target
from lanewise.domain.ports import Secrets
from lanewise.errors import LaneError

CONNECT_TIMEOUT = 5  # seconds
_PATIENCE = "set local lock_timeout = '100ms'; set local statement_timeout = '5s'; set local search_path = ''"
_LOCK_TRIES = 3
_PLACE = ("host", "port", "database", "sslmode", "sslrootcert")
_REFUSED = (
    "authentication failed", "no password supplied", "permission denied for database", "is not permitted to log in",
    "pg_hba.conf", "does not have CONNECT privilege",
)  # fmt: skip
"""How a server words a refused login; libpq hands out no SQLSTATE. Words that we don't know are no proof."""

_HERE = {"", "localhost", "127.0.0.1", "::1"}
_GONE = {"42P01", "3F000", "42704", "42883"}
_NOT_THIS_WAY = {"55000", "0A000", "42809"}
"""A view that can't be written through, say: refused whatever the rights. The rights are asked for beside it."""


class Refusal(Exception):
    """A login that came to nothing. ``denied``: the server itself said no."""

    def __init__(self, answer: str, *, denied: bool) -> None:
        super().__init__(answer)
        self.answer, self.denied = answer, denied


def at(place: Connection, holder: Holder) -> Connection:
    """A database of anybody's, with this identity's login."""
    own = holder.connection
    fields = {name: place.fields[name] for name in _PLACE if name in place.fields}
    return replace(place, fields={**fields, "user": own.fields.get("user"), "connect_timeout": CONNECT_TIMEOUT},
                   secrets={n: ref for n, ref in own.secrets.items() if n == "password"})  # fmt: skip


def where(place: Connection) -> tuple[str, int]:
    """The server, as config names it."""
    host, port = str(place.fields.get("host") or "").lower(), place.fields.get("port") or 5432
    return "localhost" if host in _HERE else host, int(port) if isinstance(port, int | str) else 5432


def database(place: Connection) -> tuple[str, int, str]:
    """The server and the database on it."""
    return (*where(place), str(place.fields.get("database") or ""))


@dataclass(frozen=True)
class Session:
    """Where tries are made. ``holder`` is whose they are; the catalogs may be asked about it through somebody else's
    ``connection``, where its own login is refused."""

    holder: Holder
    connection: psycopg.Connection[dict[str, Any]]

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """What the catalogs say; ``who`` is the identity. Raises psycopg's errors."""
        self.connection.execute("rollback to savepoint tries")
        return self.connection.execute(query, {"who": self.holder.identity.user, **(parameters or {})}).fetchall()

    def attempt(
        self, target: Target, action: str, statement: sql.Composed, *, proof: Sequence[str] = ()
    ) -> Attempt | None:
        """Send one statement, roll it back, and say what came of it; None when its object is gone meanwhile.
        ``proof`` are errors that show the right to be there, since they come after the check of rights."""
        text = statement.as_string(self.connection)
        state, said = self._send(statement)
        if state in _GONE and state not in proof:
            return None
        if not state:
            outcome, said = Outcome.ALLOWED, "accepted"
        elif state in proof:
            outcome = Outcome.ALLOWED
        elif state == "42501" or state in _NOT_THIS_WAY:
            outcome = Outcome.DENIED
        else:
            outcome = Outcome.UNREACHABLE
        return Attempt(self.holder.identity, target, action, text, outcome, said)

    def _send(self, statement: sql.Composed) -> tuple[str, str]:
        """The SQLSTATE, "" for none, and the server's words."""
        state = said = ""
        for _ in range(_LOCK_TRIES):
            try:
                self.connection.execute(sql.SQL("rollback to savepoint tries; {}").format(statement))
            except psycopg.Error as error:
                state, said = error.sqlstate or "no answer", first_line(error)
            else:
                return "", ""
            if state != "55P03":  # a lock that somebody holds: a moment later it may be free
                break
        return state, f"{state} {said}"


@contextmanager
def session(holder: Holder, place: Connection, secrets: Secrets) -> Iterator[Session]:
    """Log in. ``Refusal`` when that fails. The block's end closes the connection before anything could commit."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(Server(at(place, holder), secrets).session(Role.RUNNER))
        except LaneError as error:
            raise _refusal(error) from error
        stack.callback(connection.close)
        connection.row_factory = dict_row
        connection.prepare_threshold = None  # each try is two statements in one message
        connection.execute(_PATIENCE)
        connection.execute("savepoint tries")
        yield Session(holder, connection)


def _refusal(error: LaneError) -> Refusal:
    cause = error.__cause__
    said = first_line(cause) if isinstance(cause, psycopg.Error) else error.message
    said = said.rpartition("FATAL:")[2].strip()
    missing = 'role "' in said and "does not exist" in said
    return Refusal(said, denied=missing or any(words in said for words in _REFUSED))
