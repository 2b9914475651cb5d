"""What OpenLineage calls a warehouse and its tables: a namespace, and a name within it.

PostgreSQL as its naming convention has it (``postgres://HOST:PORT``, ``DATABASE.SCHEMA.TABLE``), so that a table is the
same one to whoever else tells of it; the embedded warehouse by the file that readers open; folders as files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lanewise.domain.environment import Connection, Environment
from lanewise.domain.publication import InputPin
from lanewise.errors import NotFound


@dataclass(frozen=True)
class Dataset:
    """A table or a file, wherever it is."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Names:
    """Those of one environment of a project. ``home`` is the project's ``.lanewise`` folder."""

    lane: Environment
    home: Path

    @property
    def namespace(self) -> str:
        """The warehouse."""
        return self._namespace(self.lane.connection("dst"))

    def job(self, project: str) -> str:
        """The pipeline, in this environment: one server may hold several."""
        return f"{project}.{self.lane.name}"

    def table(self, table: str, version: str = "") -> Dataset:
        """A table as readers see it; with a ``version``, what was computed and is not shown."""
        at = f"@{version.removeprefix('sha256:')[:8]}" if version else ""
        destination = self.lane.connection("dst")
        if destination.type == "duckdb":
            return Dataset(self.namespace, f"{table}{at}")
        name = (
            f"{self.lane.settings.get('schema') or 'public'}.{table}{self.lane.settings.get('table_suffix') or ''}{at}"
        )
        return Dataset(self.namespace, self._in_database(destination, name))

    def input(self, pin: InputPin) -> Dataset:
        """A declared input: a relation of the ``src`` connection's database, or else what lies in its folder."""
        try:
            source = self.lane.connection("src")
        except NotFound:
            source = self.lane.connection("dst")
        if source.type in {"files", "duckdb"}:
            folder = (self.home.parent / str(source.fields.get("path") or ".")).resolve()
            if source.type == "duckdb" or folder.suffix == ".duckdb":
                return Dataset(f"duckdb://{folder}", pin.name)
            return Dataset("file", f"{folder}/{pin.name}")
        schema = "" if "." in pin.name else f"{source.fields.get('schema') or 'public'}."
        return Dataset(self._namespace(source), self._in_database(source, f"{schema}{pin.name}"))

    def _namespace(self, connection: Connection) -> str:
        if connection.type == "duckdb":
            return f"duckdb://{self.home}/warehouse/{self.lane.name}.duckdb"
        default = 5432 if connection.type == "postgres" else ""
        host, port = connection.fields.get("host") or "localhost", connection.fields.get("port") or default
        return f"{connection.type}://{host}:{port}" if port else f"{connection.type}://{host}"

    @staticmethod
    def _in_database(connection: Connection, name: str) -> str:
        database = connection.fields.get("database")
        return f"{database}.{name}" if database else name
