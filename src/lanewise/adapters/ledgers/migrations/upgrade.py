"""Bring a ledger to the newest schema. SQLAlchemy and Alembic come in here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool


def upgrade(dialect: str, connect: Callable[[], Any], lock: str) -> None:
    """Run the migrations that the ledger lacks in one transaction: all or none. ``lock``: the statement that it begins
    with, so that the second of two who come at once finds the work done. Raises the driver's own errors."""
    engine = create_engine(dialect, creator=connect, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(lock)

    config = _config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from None
    finally:
        engine.dispose()


def rendered(dialect: str, found: str | None) -> tuple[str, ...]:
    """The migrations after ``found`` as statements, for an operator who runs them by hand."""
    script = _Script()
    config = _config()
    config.attributes.update(dialect=dialect, script=script)
    command.upgrade(config, f"{found or 'base'}:head", sql=True)
    return tuple(script.statements)


class _Script:
    """What Alembic writes a script to: each statement at once, with its semicolon, and remarks between them."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        statement = text.strip().removesuffix(";")
        if statement and not statement.startswith("--"):
            self.statements.append(statement)

    def flush(self) -> None:
        """Nothing is held back."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
