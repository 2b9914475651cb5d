"""A run's own room: a folder on this machine, and tables in the schema of rooms that the run's login owns.

The folder is laid out as the embedded warehouse's is: ``outputs/`` for commands that leave files, ``blocks/``, and
``pins.json``. A table of the room says whose it is in its comment, as JSON: ``run``, ``pipeline``, ``table``,
``opened``, and for one that was loaded from a file its ``file`` and ``columns``. A table that exists was written to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.embedded.layout import Layout, encoded
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.project import Table
from lanewise.domain.publication import Holding
from lanewise.publication.postgres_types import postgres_type
from lanewise.publication.sql import qualified


def outputs_of(place: Place, layout: Layout, run: str, tables: Sequence[Table]) -> dict[str, Any]:
    """Where a run writes each table, as JSON data: its relation, what it is made with, and the file that stands for
    it where a command leaves files."""
    folder = layout.run(run).absolute() / "outputs"
    return {
        table.name: {
            "relation": qualified(place.rooms, place.output(run, table.name)),
            "columns": [[c.name, postgres_type(c.type), c.nullable] for c in table.columns],
            "comment": note(place, run, table.name),
            "file": str(folder / f"{encoded(table.name)}.parquet"),
        }
        for table in tables
    }


def note(place: Place, run: str, table: str, **more: Any) -> str:
    """What a table of a room says about itself."""
    opened = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"run": run, "pipeline": place.pipeline, "table": table, "opened": opened, **more})


def notes(connection: psycopg.Connection[Any], place: Place) -> dict[str, dict[str, Any]]:
    """Relation in the schema of rooms -> what it says about itself; this pipeline's alone."""
    rows = connection.execute(
        """select relname, obj_description(pg_class.oid, 'pg_class') from pg_class
           join pg_namespace on pg_namespace.oid = relnamespace
           where nspname = %s and relkind in ('r', 'p', 'v') order by relname""",
        [place.rooms],
    ).fetchall()
    found = {str(name): _read(text) for name, text in rows}
    return {name: said for name, said in found.items() if said.get("pipeline") == place.pipeline}


def of_run(connection: psycopg.Connection[Any], place: Place, run: str) -> dict[str, dict[str, Any]]:
    """Relation -> what it says about itself, of one run."""
    return {name: said for name, said in notes(connection, place).items() if said.get("run") == run}


def drop(connection: psycopg.Connection[Any], place: Place, relations: Sequence[str]) -> None:
    """Drop tables of a room, and views that a run left there, by the login that owns them. Views go first: they may be
    built upon each other and upon the tables."""
    if not relations:
        return
    found = connection.execute(
        """select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
           where nspname = %s and relkind = 'v' and relname = any(%s)""",
        [place.rooms, list(relations)],
    ).fetchall()
    views = {str(row[0]) for row in found}
    for kind, names in (("view", sorted(views)), ("table", [name for name in relations if name not in views])):
        if names:
            listed = sql.SQL(", ").join(sql.Identifier(place.rooms, name) for name in names)
            connection.execute(sql.SQL("drop " + kind + " if exists {}").format(listed))


def share(connection: psycopg.Connection[Any], place: Place, relations: Sequence[str], reader: str) -> None:
    """Let the publisher read tables of a room, and hold them as they are while it does (the server gives such a lock to
    nobody who may not delete), by the login that owns them."""
    if relations:
        names = sql.SQL(", ").join(sql.Identifier(place.rooms, name) for name in relations)
        connection.execute(sql.SQL("grant select, delete on {} to {}").format(names, sql.Identifier(reader)))


def held(connection: psycopg.Connection[Any], place: Place) -> tuple[Holding, ...]:
    """The rooms that take room in the database, for retention."""
    sizes = dict(
        connection.execute(
            """select relname, pg_total_relation_size(pg_class.oid) from pg_class
               join pg_namespace on pg_namespace.oid = relnamespace where nspname = %s and relkind = 'r'""",
            [place.rooms],
        ).fetchall()
    )
    found: dict[str, tuple[int, str]] = {}
    for name, said in notes(connection, place).items():
        size, opened = found.get(str(said["run"]), (0, ""))
        found[str(said["run"])] = (size + int(sizes.get(name, 0)), max(opened, str(said.get("opened", ""))))
    return tuple(Holding("run", run, size, modified=opened) for run, (size, opened) in sorted(found.items()))


def _read(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
