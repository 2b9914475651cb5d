"""What dbt is told of a run's room: the inputs behind its sources, the tables to hand over, and the profile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.dbt.profile import Profile, duckdb_profile, postgres_profile
from lanewise.adapters.orchestrators.dbt.words import model_of
from lanewise.domain.project import Project, Table
from lanewise.errors import RunFailed
from lanewise.publication import sql

_READERS = {"csv": "read_csv", "parquet": "read_parquet", "json": "read_json"}
_QUALIFIED = re.compile(r'"((?:[^"]|"")+)"\."((?:[^"]|"")+)"')


def profile_for(engine: Mapping[str, Any], environment: str, threads: int) -> Profile:
    """The profile that logs in to the room which ``engine`` (``Space.engine``) tells of."""
    kind, directory = engine.get("type"), Path(str(engine.get("directory")))
    if kind == "duckdb":
        return duckdb_profile(environment, str(directory / "room.duckdb"), str(directory / "spill"), threads)
    if kind == "postgres":
        return postgres_profile(environment, engine["connection"], engine["schema"], threads)
    raise RunFailed(f"dbt can't write to a warehouse of type {kind!r} here", hint="use duckdb or postgres")


def room_of(document: Mapping[str, Any], project: Project) -> dict[str, Any]:
    """What our macros read, from a run's compiled file: no secret is among it. SQL in it is quoted already."""
    engine, run = document["engine"], document["run"]
    return {
        "inputs": {
            name: _input(number, found) for number, (name, found) in enumerate(sorted(engine["inputs"].items()))
        },
        "tables": {model_of(name): _table(found, project.tables[name]) for name, found in engine["outputs"].items()},
        "partitions": [sql.literal(name) for name in run["partitions"]],
        "comment": sql.literal(_note(engine)),
    }


def _table(output: Mapping[str, Any], table: Table) -> dict[str, Any]:
    cut = table.partition
    return {
        "file": sql.file_literal(output["file"]),
        "comment": sql.literal(output.get("comment", "")),
        "partition": {"column": cut.column, "grain": cut.grain.value, "timezone": cut.timezone} if cut else None,
    }


def _input(number: int, found: Mapping[str, Any]) -> dict[str, Any]:
    """A pinned input: files, a table of a DuckDB file, or a relation of the same database."""
    kind = found.get("kind", "relation")
    if kind == "files":
        paths = ", ".join(sql.file_literal(path) for path in found["paths"])
        return {"kind": kind, "reader": _READERS[found["format"]], "files": f"[{paths}]"}
    if kind == "catalog":
        schema, _, name = str(found["relation"]).rpartition(".")
        relation = ".".join(sql.identifier(part) for part in (schema or "main", name))
        alias = f"lanewise_input_{number}"
        return {"kind": kind, "catalog": sql.literal(found["path"]), "alias": alias, "relation": relation}
    parts = _QUALIFIED.fullmatch(str(found["relation"]))
    if parts is None:
        raise RunFailed(f"the input {found['relation']} can't be read by dbt")
    schema, identifier = (part.replace('""', '"') for part in parts.groups())
    return {"kind": kind, "schema": schema, "identifier": identifier}


def _note(engine: Mapping[str, Any]) -> str:
    """The comment of what else a run makes in its room: as its outputs' are, and it is no table of the pipeline."""
    said: dict[str, Any] = next(
        (json.loads(found["comment"]) for found in engine["outputs"].values() if found.get("comment")), {}
    )
    return json.dumps({name: value for name, value in said.items() if name != "table"})
