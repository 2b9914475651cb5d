"""One run, as the code that does it sees it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lanewise.errors import NotFound, Refused, WrongInput
from lanewise.runtime.relations import Partitions

if TYPE_CHECKING:
    from lanewise.runtime.engine import Engine, Rows
    from lanewise.runtime.postgres_engine import PostgresEngine
    from lanewise.runtime.postgres_engine import Rows as PostgresRows


class Run:
    """A context manager: leaving the block hands the written tables to audit; leaving it by an exception hands
    over nothing. The engine starts when it is first used."""

    def __init__(self, document: dict[str, Any]) -> None:
        if not document.get("run") or not document.get("engine"):
            raise Refused(
                "this process was not started by a run, so there is nowhere to write to",
                hint=f"start it with `lane run {document['environment']}`",
            )
        self._document = document
        self._engine: Engine | PostgresEngine | None = None
        self._open = False

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open = False
        if self._engine is None:
            return
        engine, self._engine = self._engine, None
        if kind is None:
            engine.write()
        else:
            engine.close()

    @property
    def id(self) -> str:
        """The run's name in logs and in the ledger; the same on a retry, so it serves as an idempotency key."""
        return str(self._document["run"]["id"])

    @property
    def purpose(self) -> str:
        """``scheduled``, ``rerun``, ``promotion``, ``canary``, ``baseline`` …"""
        return str(self._document["run"]["purpose"])

    @property
    def partitions(self) -> Partitions:
        """The partitions to compute; in an f-string a SQL list. ``('all')`` for a project without partitions."""
        return Partitions(self._document["run"]["partitions"])

    @property
    def connection(self) -> Any:
        """The engine's own connection, for what ``sql`` can't do: DuckDB's, or psycopg's, in the block's transaction
        (which the block commits, and nobody else)."""
        return self._started().connection

    def wants(self, table: str) -> bool:
        """Whether this run's output of ``table`` is used. The others may be skipped; writing them does no harm."""
        declared = self._document["run"]["declared"]
        if table not in declared:
            raise NotFound("table", table, known=declared)
        return table in self._document["run"]["tables"]

    def input(self, name: str) -> str:
        """The relation of a declared input, for use in SQL: the pinned one in a promotion."""
        return self._started().input(name)

    def output(self, table: str) -> str:
        """The relation to write a table to, for use in SQL. No reader sees it before it has passed audit."""
        return self._started().output(table)

    def state(self, table: str) -> str:
        """The relation of a table of this project as it is published now, for use in SQL."""
        return self._started().state(table)

    def offset(self, table: str) -> str | None:
        """Of an ``append`` table: where the published rows end, as text; None before the first."""
        declared = self._document["run"]["declared"]
        if table not in declared:
            raise NotFound("table", table, known=declared)
        found = self._document["engine"].get("offsets", {}).get(table)
        return str(found) if found else None

    def sql(self, text: str, parameters: Any = None) -> Rows | PostgresRows:
        """Run SQL in the run's engine. ``parameters`` as that takes them. DuckDB: a list for ``?``, a dict for
        ``$name``. PostgreSQL: a list for ``%s``, a dict for ``%(name)s``, and then a percent sign of the text itself
        is written twice; without parameters it stands for itself."""
        return self._started().sql(text, parameters)

    def _started(self) -> Engine | PostgresEngine:
        if not self._open:
            raise WrongInput("a run writes inside its block", hint="use `with lane.run() as run:`")
        if self._engine is None:
            self._engine = _start(self._document)
        return self._engine


def _start(document: dict[str, Any]) -> Engine | PostgresEngine:
    """170 ms for DuckDB: code that only reads settings or partitions does not pay for it, nor for an engine that is
    not its warehouse's."""
    if document["engine"].get("type") == "postgres":
        try:
            from lanewise.runtime.postgres_engine import PostgresEngine  # noqa: PLC0415 - see above
        except ImportError as error:
            raise WrongInput("a run on PostgreSQL needs psycopg", hint="pip install 'lanewise[postgres]'") from error
        return PostgresEngine(document)
    from lanewise.runtime.engine import Engine  # noqa: PLC0415 - see above

    return Engine(document["engine"], document["run"]["declared"])
