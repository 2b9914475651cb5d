"""A login at PostgreSQL, tried and ended."""

from __future__ import annotations

from collections.abc import Mapping

from lanewise.domain.environment import Connection, Role
from lanewise.errors import LoginRefused, WrongInput


def login(connection: Connection, values: Mapping[str, str]) -> str:
    """Log in as the connection's ``user`` with the ``password`` among the values. What was met: the server's version,
    whether the line is encrypted, and as whom. Runs no statement."""
    try:
        from lanewise.adapters.warehouses.postgres import server  # noqa: PLC0415 - psycopg takes 100 ms
    except ImportError:
        raise WrongInput("PostgreSQL needs its driver", hint="pip install 'lanewise[postgres]'") from None
    try:
        # Which role hardly matters: whose login it is, the connection says. A reader is the least.
        session = server.log_in(connection, Role.READER, values.get("password"), autocommit=True)
    except LoginRefused as refused:
        hint = "set this password on the server, or correct the login's name; `lane provision` makes logins"
        raise LoginRefused(refused.message, hint=hint) from refused
    with session:
        line = "TLS" if session.pgconn.ssl_in_use else "no TLS"
        version = (session.info.parameter_status("server_version") or "").split()[:1]
        return f"as {session.info.user} at PostgreSQL {''.join(version)}, {line}"
