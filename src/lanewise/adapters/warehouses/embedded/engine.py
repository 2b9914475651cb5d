"""The engine, imported when something has to be computed or read, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from lanewise.errors import WarehouseUnavailable

_OUTSIDE = (duckdb.IOException, duckdb.OutOfMemoryException)


@contextmanager
def engine(scratch: Path, database: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of our own: in memory, or to a new file. Instants read the same everywhere (UTC), nothing is
    downloaded, and what does not fit in memory spills to ``scratch``."""
    with engine_errors():
        connection = duckdb.connect(
            str(database) if database else ":memory:",
            config={"autoinstall_known_extensions": "false", "temp_directory": str(scratch)},
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()


@contextmanager
def engine_errors() -> Iterator[None]:
    """Missing files, a full disk, no memory: ``WarehouseUnavailable``. Anything else is the caller's to judge."""
    try:
        yield
    except _OUTSIDE as error:
        raise WarehouseUnavailable(f"the warehouse's engine failed: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What the engine says, without the SQL it quotes."""
    return str(error).partition("\n")[0]
