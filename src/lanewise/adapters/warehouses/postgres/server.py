"""Logging in to PostgreSQL as the role that a step needs, and what its errors mean to somebody who promotes a build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg import errors as pg

from lanewise.domain.environment import Connection, Role
from lanewise.domain.ports import Secrets
from lanewise.domain.rotation import with_rotation
from lanewise.errors import LoginRefused, Refused, WarehouseUnavailable, WrongInput

PLAIN = {"host": "host", "port": "port", "database": "dbname", "user": "user", "sslmode": "sslmode",
         "sslrootcert": "sslrootcert", "connect_timeout": "connect_timeout"}  # fmt: skip
"""Fields of a ``postgres`` connection that go to the driver, by the driver's name."""

_FULL = (pg.DiskFull, pg.ReadOnlySqlTransaction, pg.OutOfMemory, pg.TooManyConnections, pg.ConfigurationLimitExceeded)


@dataclass(frozen=True)
class Server:
    """One environment's database, as config names it."""

    connection: Connection
    secrets: Secrets

    @contextmanager
    def session(self, role: Role = Role.PUBLISHER, *, autocommit: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Logged in as that role: a transaction that ends with the block (``autocommit``: one for each statement).

        A rotated password is resolved once more, and its previous version tried, when the login fails. Raises
        ``LoginRefused``, and ``WarehouseUnavailable`` for what is away, full or read-only.
        """
        connection = self._login(role, autocommit=autocommit)
        with told(self.connection), connection:
            yield connection

    def parameters(self, role: Role) -> dict[str, Any]:
        """What the driver is handed, short of the password."""
        return parameters(self.connection, role)

    def _login(self, role: Role, *, autocommit: bool) -> psycopg.Connection[Any]:
        reference = self.connection.acting_as(role).secrets.get("password")
        attempt = partial(log_in, self.connection, role, autocommit=autocommit)
        return attempt(None) if reference is None else with_rotation(self.secrets, reference, attempt)


def parameters(connection: Connection, role: Role) -> dict[str, Any]:
    """What the driver is handed to log in as that role, short of the password."""
    fields = connection.acting_as(role).fields
    known = {PLAIN[name]: value for name, value in fields.items() if name in PLAIN}
    if not known.get("dbname"):
        raise WrongInput(f"the connection {connection.name} names no database", hint="set `database`")
    return {"connect_timeout": 10, "client_encoding": "utf8", "application_name": f"lanewise {role}", **known}


def log_in(
    connection: Connection, role: Role, password: str | None, *, autocommit: bool = False
) -> psycopg.Connection[Any]:
    """Log in with this very password, for the caller to close. Raises as ``Server.session`` does."""
    given: dict[str, Any] = {} if password is None else {"password": password}
    with told(connection):
        session = psycopg.connect(**parameters(connection, role), **given, autocommit=True)
        _settle(session)
        session.autocommit = autocommit
        return session


def _settle(session: psycopg.Connection[Any]) -> None:
    """A server or role may be set up so that quoted text means something else (``standard_conforming_strings``), or
    that times come in a form that the driver can't read. Asks nothing: the server tells both at every login."""
    if session.info.parameter_status("standard_conforming_strings") != "on":
        session.execute("set standard_conforming_strings = on")
    if not (session.info.parameter_status("DateStyle") or "").startswith("ISO"):
        session.execute("set datestyle = 'ISO, YMD'")


def refused_login(error: psycopg.OperationalError) -> bool:
    """Whether the server said no to this user and password. libpq hands out no SQLSTATE for a failed connection."""
    said = str(error)
    return any(text in said for text in ("authentication failed", "no password supplied", "is not permitted to log in"))


@contextmanager
def told(connection: Connection) -> Iterator[None]:
    """Turn the driver's errors into ours. The server's words are kept, but never the statement: it may hold data."""
    try:
        yield
    except pg.InsufficientPrivilege as error:
        hint = "`lane provision ENV` shows what its roles may do"
        raise Refused(f"{where(connection)}: {first_line(error)}", hint=hint) from error
    except _FULL as error:
        raise WarehouseUnavailable(f"{where(connection)}: {first_line(error)}") from error
    except psycopg.OperationalError as error:
        if refused_login(error):
            hint = "`lane doctor ENV` tries every login"
            raise LoginRefused(f"{where(connection)}: {first_line(error)}", hint=hint) from error
        raise WarehouseUnavailable(f"{where(connection)}: {first_line(error)}") from error
    except psycopg.InterfaceError as error:
        raise WarehouseUnavailable(f"{where(connection)}: {first_line(error)}") from error


def where(connection: Connection) -> str:
    """The database in words."""
    fields = connection.fields
    return f"{connection.name} ({fields.get('host', 'localhost')}/{fields.get('database', '')})"


def first_line(error: BaseException) -> str:
    """The server's first line, without the statement that it may repeat."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
