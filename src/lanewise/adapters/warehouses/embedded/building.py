"""Build a catalog aside: a small DuckDB file of views over exact files, with the labels as tables in ``lanewise``.

Everything that takes time happens here, before anything is published. Nobody reads a prepared catalog.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from lanewise.adapters.warehouses.embedded.branches import branches
from lanewise.adapters.warehouses.embedded.catalogs import Catalogs
from lanewise.adapters.warehouses.embedded.engine import engine_of_its_own, first_line
from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.layout import Layout, sync_file, sync_folder, write_durably
from lanewise.domain.publication import PartitionMap, TableMap
from lanewise.errors import Refused, WrongInput
from lanewise.publication import sql
from lanewise.publication.documents import encode, name_of
from lanewise.publication.types import holds
from lanewise.publication.views import Branch, view_query, view_statement

_LABELS = (
    "CREATE SCHEMA lanewise",
    "CREATE TABLE lanewise.release (pipeline VARCHAR, map BIGINT, build VARCHAR, config VARCHAR)",
    (
        "CREATE TABLE lanewise.partition_map (table_name VARCHAR, partition VARCHAR, version VARCHAR, build VARCHAR, "
        "run VARCHAR, files VARCHAR[], rows BIGINT, bytes BIGINT)"
    ),
)
_FILL_RELEASE = "INSERT INTO lanewise.release VALUES ($1, $2, $3, $4)"
_FILL_MAP = (
    "INSERT INTO lanewise.partition_map SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), "
    "unnest($6), unnest($7), unnest($8)"
)


def prepare(catalogs: Catalogs, target: PartitionMap) -> None:
    """Make ``target``'s document and catalog, durably, unless they are there already."""
    layout = catalogs.layout
    data = encode(target)
    name = name_of(data)
    path = catalogs.prepared(target.number, name)
    with disk_errors(f"map {target.number} can't be prepared"):
        if path.exists() or any((r.number, r.map) == (target.number, name) for r in catalogs.records()):
            return
        for folder in (layout.catalogs, layout.maps):
            folder.mkdir(parents=True, exist_ok=True)
        write_durably(catalogs.document(f"{target.number:010d}-{name}"), data)
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            _build(layout, target, aside)
            aside.chmod(0o444)  # nobody is to write into what is published
            sync_file(aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
            aside.with_name(aside.name + ".wal").unlink(missing_ok=True)
        sync_folder(layout.catalogs)


def _build(layout: Layout, target: PartitionMap, aside: Path) -> None:
    aside.unlink(missing_ok=True)
    with engine_of_its_own(layout.home / "tmp", aside) as connection:
        connection.execute("BEGIN")
        for statement in _LABELS:
            connection.execute(statement)
        for table in target.tables.values():
            _create_view(connection, layout, table)
        connection.execute(_FILL_RELEASE, [target.pipeline, target.number, target.build, target.config])
        _fill_map(connection, layout, target)
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")  # closing would do it too, and say nothing when the disk is full


def _create_view(connection: duckdb.DuckDBPyConnection, layout: Layout, table: TableMap) -> None:
    found = branches(layout, [s for slices in table.slices.values() for s in slices])
    for branch in found:
        _check_casts(connection, table, branch)
    try:
        connection.execute(view_statement(table.name, table.columns, found))
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException) as error:
        raise WrongInput(f"{table.name} can't be published: {first_line(error)}") from error


def _check_casts(connection: duckdb.DuckDBPyConnection, table: TableMap, branch: Branch) -> None:
    """A view must never fail on a value: where an older slice's type may not fit the contract's, look first."""
    held = {c.name.lower(): c for c in branch.columns}
    doubtful = [
        (held[c.name.lower()], c)
        for c in table.columns
        if c.name.lower() in held and not holds(c.type, held[c.name.lower()].type)
    ]
    if not doubtful:
        return
    checks = [
        sql.count_if(sql.identifier(old.name) + " IS NOT NULL AND "
                     + sql.try_cast(sql.identifier(old.name), new.type) + " IS NULL")
        for old, new in doubtful
    ]  # fmt: skip
    source = sql.subquery(view_query([old for old, _ in doubtful], [branch]), "slices")
    counts = connection.execute(sql.select(checks, source)).fetchone() or ()
    for (old, new), bad in zip(doubtful, counts, strict=True):
        if bad:
            raise Refused(
                f"{table.name}.{new.name}: {bad} published values are no {new.type} (they are {old.type})",
                hint="rebuild the table's history (`history: rebuild`), or keep the column's type",
            )


def _fill_map(connection: duckdb.DuckDBPyConnection, layout: Layout, target: PartitionMap) -> None:
    slices = [s for table in target.tables.values() for found in table.slices.values() for s in found]
    if not slices:
        return
    files = [
        [f"{layout.root}/{line}" for line in s.location.split("\n") if line and not line.endswith("/")] for s in slices
    ]
    connection.execute(
        _FILL_MAP,
        [
            [s.table for s in slices],
            [s.partition for s in slices],
            [s.version for s in slices],
            [s.build for s in slices],
            [s.run for s in slices],
            files,
            [s.rows for s in slices],
            [s.bytes for s in slices],
        ],
    )
