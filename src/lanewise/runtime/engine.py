"""The DuckDB engine of a run: inputs as views, outputs as tables, both in memory; outputs leave as Parquet files."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import duckdb  # 170 ms: this module is imported when a run begins, never by `lanewise.current()`

from lanewise.errors import NotFound, WarehouseUnavailable, WrongInput
from lanewise.runtime.blocks import Block
from lanewise.runtime.relations import inserts_into, literal, quoted

_READERS = {"csv": "read_csv", "parquet": "read_parquet", "json": "read_json"}
_INPUTS, _OWN = "lanewise_inputs", "lanewise_own"


class Rows:
    """What a statement gave. Read it before the next statement: the engine keeps one result at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._connection.fetchall()

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last."""
        return self._connection.fetchone()

    def arrow(self) -> Any:
        """Every row, as a ``pyarrow.Table``."""
        with warnings.catch_warnings():
            # DuckDB advises a relation, which saves a copy, and runs the statement anew at each look.
            warnings.filterwarnings("ignore", "Arrow output", UserWarning)
            return self._connection.to_arrow_table()


class Engine:
    """``space`` is ``Space.engine``; ``declared`` the columns of every table of the project, those that this run
    need not write included: they may be written, and are left behind."""

    def __init__(self, space: dict[str, Any], declared: dict[str, list[list[Any]]]) -> None:
        if space.get("type") != "duckdb":
            raise WrongInput(f"a run can't write to a warehouse of type {space.get('type')!r} from SQL")
        self._space = space
        self._declared = declared
        self._made: set[str] = set()
        self._pending: set[str] = set()
        self._attached: dict[str, str] = {}
        self.connection = duckdb.connect(":memory:")
        self.connection.execute(f"set temp_directory = {literal(str(Path(space['directory']) / 'spill'))}")
        self.connection.execute("set TimeZone = 'UTC'")  # the same instants everywhere
        self.connection.execute(f"create schema {_INPUTS}")
        self._block = Block(space["directory"])

    def input(self, name: str) -> str:
        """The relation of a declared input."""
        inputs = self._space["inputs"]
        if name not in inputs:
            raise NotFound("input", name, known=inputs)
        relation = f"{_INPUTS}.{quoted(name)}"
        if name not in self._made:
            found = inputs[name]
            if found["kind"] == "files":
                paths = ", ".join(literal(path) for path in found["paths"])
                source = f"{_READERS[found['format']]}([{paths}])"
            else:
                source = f"{self._attach(found['path'])}.{_dotted(found['relation'])}"
            self.connection.execute(f"create view {relation} as from {source}")
            self._made.add(name)
        return relation

    def output(self, table: str) -> str:
        """The table to write to. It exists once its columns are known: declared, or from the first insert."""
        if table not in self._declared:
            raise NotFound("table", table, known=self._declared)
        if table not in self._made | self._pending:
            self._make(table)
        return quoted(table)

    def state(self, table: str) -> str:
        """The relation of the table as it is published now."""
        if table not in self._declared:
            raise NotFound("table", table, known=self._declared)
        relation = f"{_OWN}_state.{quoted(table)}"
        if relation in self._made:
            return relation
        self.connection.execute(f"create schema if not exists {_OWN}_state")
        published = self._published(table)
        columns = self._declared[table]
        if published:
            self.connection.execute(f"create view {relation} as from {published}")
        elif columns:
            self.connection.execute(f"create table {relation} ({_column_list(columns)})")
        else:
            raise NotFound("published table", table, hint=f"nothing is published yet: declare the columns of {table} "
                           "in lanewise.yaml and an empty relation stands in")  # fmt: skip
        self._made.add(relation)
        return relation

    def sql(self, text: str, parameters: Any = None) -> Rows:
        """Run SQL. The first ``insert into OUTPUT select …`` of a table without declared columns makes it."""
        text, made = self._made_by_insert(text)
        try:
            self.connection.execute(text, parameters)
        except duckdb.CatalogException as error:
            missing = [
                table for table in sorted(self._pending) if quoted(table) in text or f"name {table} " in str(error)
            ]
            if not missing or made:
                raise
            raise WrongInput(
                f"{missing[0]} has no columns yet, and this statement does not begin with "
                f"`insert into {quoted(missing[0])} select`",
                hint=f"declare the columns of {missing[0]} in lanewise.yaml, or begin with "
                f"`create table {quoted(missing[0])} as select …`",
            ) from error
        self._pending -= made
        self._made |= made
        return Rows(self.connection)

    def write(self) -> None:
        """Each output that was asked for becomes a Parquet file, under its name when it is whole; at the very end
        the block is marked as done. Without that mark nothing of the run is looked at."""
        written = []
        for table, output in self._space["outputs"].items():
            if table in self._made or (table in self._pending and self._exists(table)):
                self._export(table, output["file"])
                written.append(table)
        self._block.done(written)
        self.close()

    def close(self) -> None:
        """Let the engine go."""
        self.connection.close()

    def _make(self, table: str) -> None:
        columns = self._declared[table]
        earlier = self._space["outputs"].get(table, {}).get("file", "")
        exists = bool(earlier) and Path(earlier).exists()
        if columns:
            self.connection.execute(f"create table {quoted(table)} ({_column_list(columns)})")
            if exists:  # an earlier process of the same run wrote to it: this one adds
                self.connection.execute(f"insert into {quoted(table)} from read_parquet({literal(earlier)})")
        elif exists:
            self.connection.execute(f"create table {quoted(table)} as from read_parquet({literal(earlier)})")
        else:
            self._pending.add(table)
            return
        self._made.add(table)

    def _made_by_insert(self, text: str) -> tuple[str, set[str]]:
        for table in self._pending:
            query = inserts_into(quoted(table), text)
            if query and not self._exists(table):
                return f"create table {quoted(table)} as {query}", {table}
        return text, set()

    def _exists(self, table: str) -> bool:
        found = self.connection.execute(
            "select count(*) from duckdb_tables() where table_name = ? and schema_name = 'main' and not temporary",
            [table],
        ).fetchone()
        return bool(found and found[0])

    def _export(self, table: str, file: str) -> None:
        aside = f"{file}.{os.getpid()}.part"
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            self.connection.execute(f"copy {quoted(table)} to {literal(aside)} (format parquet)")
            Path(aside).replace(file)
        except (OSError, duckdb.IOException) as error:
            Path(aside).unlink(missing_ok=True)
            raise WarehouseUnavailable(f"{table} can't be written to {file}: {error}") from error

    def _published(self, table: str) -> str:
        path = self._space.get("own") or ""
        if not path:
            return ""
        alias = self._attach(path)
        found = self.connection.execute(
            "select schema_name from duckdb_views() where database_name = ? and view_name = ? and not internal",
            [alias.strip('"'), table],
        ).fetchone()
        return f"{alias}.{quoted(found[0])}.{quoted(table)}" if found else ""

    def _attach(self, path: str) -> str:
        if path not in self._attached:
            alias = f"catalog_{len(self._attached)}"
            self.connection.execute(f"attach {literal(path)} as {alias} (read_only)")
            self._attached[path] = alias
        return self._attached[path]


def _dotted(name: str) -> str:
    return ".".join(quoted(part) for part in name.split("."))


def _column_list(columns: list[list[Any]]) -> str:
    return ", ".join(f"{quoted(name)} {type_}{'' if nullable else ' not null'}" for name, type_, nullable in columns)
