"""Sessions on PostgreSQL: logged in with the secret of the moment, set up alike, one a thread."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql as quoted

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.postgres_address import Address
from lanewise.adapters.ledgers.postgres_failures import refused_login, unavailable
from lanewise.domain.ports import Secrets
from lanewise.errors import LedgerUnavailable

# what the driver ignores while a connection breaks is told by us, once
logging.getLogger("psycopg").setLevel(logging.ERROR)

_VANISHED = 10  # seconds without a word within a transaction, after which the server ends a writer
_SETTINGS = """select set_config('search_path', %(path)s, false), set_config('lock_timeout', %(patience)s, false),
    set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', %(vanished)s, false),
    case current_setting('synchronous_commit') when 'off' then set_config('synchronous_commit', 'on', false) end"""


class Sessions:
    """Each thread has a session of its own, opened when it is first needed and again when it was lost. A forked child
    gets one of its own too."""

    def __init__(self, address: Address, secrets: Secrets | None, patience: float) -> None:
        """``patience``: seconds to wait for a lock."""
        self._address = address
        self._secrets = secrets
        self._patience = patience
        self._own = threading.local()

    def session(self) -> psycopg.Connection[Any]:
        """This thread's, in autocommit. ``LedgerUnavailable`` where there can be none."""
        held: _Held | None = getattr(self._own, "held", None)
        if held is None or held.connection.closed or held.process != os.getpid():
            try:
                held = _Held(self.connect())
                self._own.found = _schema(held.connection, self._address)
            except psycopg.Error as error:
                raise unavailable(self._address, error) from None
            self._own.held = held
        return held.connection

    def schema(self) -> str | None:
        """The migration that this thread's session saw; looked for anew until there is one."""
        if self._own.found is None:
            self._own.found = _schema(self._own.held.connection, self._address)
        found: str | None = self._own.found
        return found

    def look_again(self) -> None:
        """The schema was changed: what was seen of it holds no more."""
        self._own.found = None

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """A new session that the caller closes. Raises the driver's own errors."""
        connection = self._login()
        path = quoted.SQL("{}, pg_temp").format(quoted.Identifier(self._address.schema)).as_string(connection)
        milliseconds = {"patience": f"{self._patience * 1000:.0f}", "vanished": str(_VANISHED * 1000)}
        try:
            connection.execute(_SETTINGS, {"path": path, **milliseconds})
            connection.autocommit = autocommit
        except BaseException:
            connection.close()
            raise
        return connection

    def _login(self) -> psycopg.Connection[Any]:
        reference, parameters = self._address.password, self._address.parameters
        if reference is None or self._secrets is None:  # libpq looks where it always does
            return psycopg.connect(**parameters, autocommit=True)  # type: ignore[arg-type] # all text
        password = self._secrets.resolve(reference)
        try:
            return psycopg.connect(**parameters, password=password, autocommit=True)  # type: ignore[arg-type] # as above
        except psycopg.OperationalError as error:
            rotated = self._secrets.resolve(reference) if refused_login(error) else password
            if rotated == password:
                raise
            return psycopg.connect(**parameters, password=rotated, autocommit=True)  # type: ignore[arg-type] # as above


class _Held:
    """A thread's connection, closed when the thread is gone; a forked child lets its parent's be."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection, self.process = connection, os.getpid()

    def __del__(self) -> None:
        if self.process == os.getpid():
            with suppress(psycopg.Error):
                self.connection.close()


def _schema(connection: psycopg.Connection[Any], address: Address) -> str | None:
    """Qualified: a schema that this login may not use would be passed over in silence by the search path."""
    statement = quoted.SQL("select version_num from {}.alembic_version").format(quoted.Identifier(address.schema))
    try:
        row = connection.execute(statement).fetchone()
    except (pg.UndefinedTable, pg.InvalidSchemaName):
        return None
    if row and row[0] > sql.SCHEMA:
        raise LedgerUnavailable(
            f"the ledger {address} was written by a newer Lanewise (schema {row[0]})", hint="upgrade lanewise"
        )
    return row[0] if row else None
