"""What SQLite's errors mean to somebody who promotes a build."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lanewise.errors import LedgerUnavailable

_REASONS = {
    sqlite3.SQLITE_BUSY: ("another process keeps it locked", "wait until that process is done, then run it again"),
    sqlite3.SQLITE_LOCKED: ("another process keeps it locked", "wait until that process is done, then run it again"),
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and run it again; nothing was half written"),
    sqlite3.SQLITE_IOERR: ("the disk did not take it", "is it full, or a limit reached? nothing was half written"),
    sqlite3.SQLITE_READONLY: ("it is read-only", "make the file and its folder writable; nothing was written"),
    sqlite3.SQLITE_PERM: ("it is read-only", "make the file and its folder writable; nothing was written"),
    sqlite3.SQLITE_CANTOPEN: ("it can't be opened", "look at the permissions of the file and of its folder"),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "restore it from a backup, then run `lane verify`"),
    sqlite3.SQLITE_NOTADB: ("the file is not a SQLite database", "restore it from a backup, then run `lane verify`"),
}


def unavailable(path: Path, error: BaseException | None) -> LedgerUnavailable:
    """One clear message for any error of the database or of the file system."""
    if isinstance(error, OSError):
        return LedgerUnavailable(
            f"the ledger {path}: {error.strerror or error}", hint=_REASONS[sqlite3.SQLITE_CANTOPEN][1]
        )
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest its detail
    reason, hint = _REASONS.get(code, (str(error), "run `lane verify` to see whether the history is whole"))
    return LedgerUnavailable(f"the ledger {path}: {reason}", hint=hint)
