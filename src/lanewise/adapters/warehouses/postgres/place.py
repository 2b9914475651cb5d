"""Where things lie in a database, by name. Three schemas: published views, the store behind them, and runs' rooms."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from lanewise.domain.environment import Connection, Environment
from lanewise.errors import ConfigError

_LONGEST = 63  # bytes of a name, above which PostgreSQL cuts it off


@dataclass(frozen=True)
class Place:
    """One pipeline's place in one environment's database."""

    environment: str
    pipeline: str
    public: str  # the schema of the published views
    suffix: str  # what the names of the published views end in
    store: str  # the schema of versions, maps and pointers: one an environment, shared by its pipelines
    rooms: str  # the schema in which runs write their tables

    @classmethod
    def of(cls, lane: Environment, pipeline: str) -> Place:
        """From the settings ``schema`` and ``table_suffix``, and the field ``store`` of the ``dst`` connection
        (default ``lanewise_ENV``), for operators who may not choose their schemas' names."""
        store = str(lane.connection("dst").fields.get("store") or f"lanewise_{lane.name}")
        found = cls(
            lane.name, pipeline, str(lane.settings.get("schema") or "public"),
            str(lane.settings.get("table_suffix") or ""), store, f"{store}_runs",
        )  # fmt: skip
        for name in (found.public, found.store, found.rooms):
            if len(name.encode()) > _LONGEST or "\0" in name:
                raise ConfigError(f"{name!r} can't name a schema of {lane.name}", hint=f"at most {_LONGEST} bytes")
        if found.public in {found.store, found.rooms}:
            raise ConfigError(f"{lane.name} would publish into {found.public}, where its versions are kept",
                              hint="set another `schema`, or another `store` on its connection")  # fmt: skip
        return found

    def view(self, table: str) -> str:
        """The published view's name, without its schema. ``ConfigError`` when PostgreSQL would cut it off."""
        name = table + self.suffix
        if len(name.encode()) > _LONGEST:
            raise ConfigError(f"{name} is longer than the {_LONGEST} bytes that PostgreSQL gives a name")
        return name

    @property
    def live(self) -> str:
        """The name of the view in the store that lists the pipeline's live slices."""
        return _named(f"live_{self.pipeline}", [self.pipeline, "live"])

    def version(self, table: str, fingerprint: str, shape: str) -> str:
        """The name of a version's table in the store; ``shape`` is the digest of its columns and types."""
        return _named(table, [self.pipeline, table, fingerprint, shape])

    def output(self, run: str, table: str) -> str:
        """The name of what a run writes for a table, in the schema of rooms."""
        return _named(f"{run}_{table}", [self.pipeline, run, table])

    def input(self, run: str, name: str) -> str:
        """The name of a file input that was loaded for a run, in the schema of rooms."""
        return _named(f"{run}_in_{name}", [self.pipeline, run, "input", name])


def input_at(source: Connection, name: str) -> tuple[str, str]:
    """The schema and the relation of an input ``schema.table``. One without a schema lies in the connection's field
    ``schema``, else in ``public``."""
    schema, dot, relation = name.partition(".")
    return (schema, relation) if dot else (str(source.fields.get("schema") or "public"), name)


def _named(readable: str, parts: list[str]) -> str:
    """A name that a person recognises and that nothing else has."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return re.sub(r"[^a-z0-9_]+", "_", readable.lower())[:48] + "_" + digest
