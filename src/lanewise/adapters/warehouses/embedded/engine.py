"""The engine, imported when something has to be computed or read, and its errors in our words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from lanewise.adapters.warehouses.embedded.failures import cure_of
from lanewise.errors import WarehouseUnavailable

_OUTSIDE = (duckdb.IOException, duckdb.OutOfMemoryException)
_BROKEN = (duckdb.FatalException, duckdb.InternalException)

_engines: dict[int, tuple[Path, duckdb.DuckDBPyConnection]] = {}
"""By process: a fork must neither use nor close its parent's, whose threads it has not got."""


@contextmanager
def engine(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory, to the process's one engine: starting one takes 17 ms, and a promotion asks for fifty.

    Temporary tables and views end with it; attach and create nothing else here. Instants read the same everywhere
    (UTC), nothing is downloaded, and what does not fit in memory spills to ``scratch``.
    """
    with engine_errors():
        connection = _shared(scratch).cursor()
        try:
            yield _in_utc(connection)
        except _BROKEN:
            _engines.pop(os.getpid(), None)  # such an engine answers nothing any more
            raise
        finally:
            connection.close()


@contextmanager
def engine_of_its_own(scratch: Path, database: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same on an engine that ends with it: to make a new file, or to attach one."""
    with engine_errors():
        connection = _start(scratch, database)
        try:
            yield _in_utc(connection)
        finally:
            connection.close()


@contextmanager
def engine_errors() -> Iterator[None]:
    """Missing files, a full disk, no memory: ``WarehouseUnavailable``. Anything else is the caller's to judge."""
    try:
        yield
    except (*_OUTSIDE, duckdb.FatalException) as error:
        said = _told(error)
        if not isinstance(error, _OUTSIDE) and not cure_of(said):
            raise  # a fault of the engine's own; a disk that is full at a commit is fatal to it too
        raise WarehouseUnavailable(f"the warehouse's engine failed: {said}", hint=cure_of(said)) from error


def first_line(error: BaseException) -> str:
    """What the engine says, without the SQL it quotes."""
    return str(error).partition("\n")[0]


def _told(error: BaseException) -> str:
    """What the engine says; of an error that a thread of its own had, the message among the JSON."""
    said, found, inner = first_line(error).partition('{"exception_type"')
    try:
        return str(json.loads(found + inner)["exception_message"]) if found else said
    except (ValueError, KeyError):
        return said


def _shared(scratch: Path) -> duckdb.DuckDBPyConnection:
    held = _engines.get(os.getpid())
    if held is None or held[0] != scratch:
        held = _engines[os.getpid()] = (scratch, _start(scratch))
    return held[1]


def _start(scratch: Path, database: Path | None = None) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        str(database or ":memory:"), config={"autoinstall_known_extensions": "false", "temp_directory": str(scratch)}
    )


def _in_utc(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return connection.execute("SET TimeZone = 'UTC'")
