"""What PostgreSQL's errors mean to somebody who promotes a build. Its statements and details are never repeated."""

from __future__ import annotations

import psycopg
from psycopg import errors as pg

from lanewise.adapters.ledgers.postgres_address import Address
from lanewise.errors import LedgerUnavailable

_Kinds = tuple[type[psycopg.Error], ...]
_REASONS: tuple[tuple[_Kinds, str, str], ...] = (
    ((pg.ReadOnlySqlTransaction,), "it is read-only", "is it a standby? target_session_attrs=read-write avoids it"),
    ((pg.DiskFull,), "the server's disk is full", "free some space and run it again; nothing was half written"),
    ((pg.LockNotAvailable,), "another process keeps it locked", "wait until that process is done, then run it again"),
    ((pg.TooManyConnections, pg.ConfigurationLimitExceeded), "the server takes no more connections", "try again later"),
    ((pg.InsufficientPrivilege,), "this login may not do that", "see `Share a ledger` in the how-to"),
    ((pg.DataCorrupted, pg.IndexCorrupted), "the database is damaged", "restore a backup, then run `lane verify`"),
)  # fmt: skip
_REFUSED = ("authentication failed", "no password supplied", "is not permitted to log in", "no pg_hba.conf entry",
            "pg_hba.conf rejects", "does not exist")  # fmt: skip


def unavailable(address: Address, error: psycopg.Error) -> LedgerUnavailable:
    """One clear message for any error of the database."""
    for kinds, reason, hint in _REASONS:
        if isinstance(error, kinds):
            tail = f": {said(error)}" if isinstance(error, pg.InsufficientPrivilege) else ""
            return LedgerUnavailable(f"the ledger {address}: {reason}{tail}", hint=hint)
    if not isinstance(error, psycopg.OperationalError):
        hint = "run `lane verify` to see whether the history is whole"
        return LedgerUnavailable(f"the ledger {address}: {said(error)}", hint=hint)
    if refused_login(error):
        hint = "look at the user and at the secret that `password=` refers to"
        return LedgerUnavailable(f"the ledger {address}: the server refused this login: {said(error)}", hint=hint)
    return LedgerUnavailable(f"the ledger {address} can't be reached: {said(error)}", hint="is the server up?")


def refused_login(error: psycopg.Error) -> bool:
    """Whether the server was reached and said no. libpq hands out no SQLSTATE for a failed connection."""
    return isinstance(error, psycopg.OperationalError) and any(text in str(error) for text in _REFUSED)


def said(error: psycopg.Error) -> str:
    """The server's first line: what follows may repeat a row or a statement."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
