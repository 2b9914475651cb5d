"""The hash of a row in PostgreSQL: the same for equal values (1.0 and 1.00, 0.0 and -0.0), 64 bits, immutable.

``hash_record_extended(row(…))`` would do it in one call, were it not linear in its fields' hashes: in a sum of it,
values that change rows cancel. So the fields' hashes, each with a seed of its own, are joined by XOR and hashed once
more, as the one type whose hash takes eight bytes whole and that costs nothing to cast to.
"""

from __future__ import annotations

from collections.abc import Sequence

from lanewise.adapters.warehouses.measuring.engine import Cell
from lanewise.publication import sql
from lanewise.publication.types import UNBOUNDED, plain_type

_FUNCTIONS = {
    "TINYINT": "hashint2extended", "SMALLINT": "hashint2extended", "UTINYINT": "hashint2extended",
    "INTEGER": "hashint4extended", "USMALLINT": "hashint4extended", "BIGINT": "hashint8extended",
    "UINTEGER": "hashint8extended", "HUGEINT": "hash_numeric_extended", "UBIGINT": "hash_numeric_extended",
    "UHUGEINT": "hash_numeric_extended", "DECIMAL": "hash_numeric_extended", UNBOUNDED: "hash_numeric_extended",
    "FLOAT": "hashfloat4extended", "DOUBLE": "hashfloat8extended", "VARCHAR": "hashtextextended",
    "TIMESTAMP": "timestamp_hash_extended", "UUID": "uuid_hash_extended", "JSON": "jsonb_hash_extended",
}  # fmt: skip
_IN_A_RECORD = {
    "BOOLEAN", "TIME", "TIME WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE", "INTERVAL",
    "BLOB",
}  # fmt: skip
_LAST_DAY = "date '294276-12-31'"  # that a timestamp can hold


def hashable(type_: str) -> bool:
    """Whether the type has a hash and an equality that mean the value (a ``citext`` would overlook upper case)."""
    plain = plain_type(type_)
    element = _family(plain.rstrip("[]0123456789") if plain.endswith("]") else plain)
    return element in _FUNCTIONS or element in _IN_A_RECORD or element == "DATE"


def row_hash(cells: Sequence[Cell]) -> str:
    """The hash of these cells of a row, all of hashable types."""
    joined = " # ".join(_hash(cell, seed) for seed, cell in enumerate(cells, 1))
    return sql.call("pg_catalog.hashfloat8extended", f"({joined})::float8", "0::bigint")


def _hash(cell: Cell, seed: int) -> str:
    """Never NULL."""
    plain, value = plain_type(cell.type), cell.value
    record = _call("hash_record_extended", f"ROW({value})", seed)
    if plain == "DATE":  # a record costs more than all the rest, and a timestamp does not reach as far as a date
        near = _call("timestamp_hash_extended", f"({value})::timestamp", seed)
        return f"CASE WHEN {value} <= {_LAST_DAY} THEN {near} ELSE {record} END"
    function = _FUNCTIONS.get(_family(plain))
    if function is None:
        return record
    found = _call(function, value, seed)
    if function == "hashint8extended":
        # it folds the halves over each other, and -1 and 4294967295 become one: the upper half counts once more
        found += " # " + _call(function, f"({value}) >> 32", -seed)
    return f"coalesce({found}, {seed})"


def _call(function: str, value: str, seed: int) -> str:
    return sql.call(f"pg_catalog.{function}", value, f"({seed})::bigint")


def _family(plain: str) -> str:
    return "DECIMAL" if plain.startswith("DECIMAL(") else plain
