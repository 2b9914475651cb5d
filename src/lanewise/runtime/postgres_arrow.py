"""Rows of a cursor as an Arrow table, column by column. Types come from the server, so that no rows have them too."""

from __future__ import annotations

from typing import Any

import psycopg
import pyarrow as pa

_TYPES = {
    16: pa.bool_(), 17: pa.binary(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 25: pa.string(), 26: pa.int64(),
    700: pa.float32(), 701: pa.float64(), 1042: pa.string(), 1043: pa.string(), 1082: pa.date32(),
    1083: pa.time64("us"), 1114: pa.timestamp("us"), 1184: pa.timestamp("us", tz="UTC"),
}  # fmt: skip
"""By the number (OID) that a type has in every PostgreSQL."""

_NUMERIC = 1700
_MOST_DIGITS = 38


def table_of(cursor: psycopg.Cursor[Any]) -> pa.Table:
    """What the cursor still has to give. A type that Arrow does not know (json, an interval, an enum) is text."""
    described = cursor.description or []
    rows = cursor.fetchall() if described else []
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(described)
    arrays = [_array(column, values) for column, values in zip(described, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=[column.name for column in described])


def _array(column: psycopg.Column, values: tuple[Any, ...]) -> pa.Array:
    if column.type_code in _TYPES:
        return pa.array(values, _TYPES[column.type_code])
    if column.type_code == _NUMERIC:
        return pa.array(values, _decimal(column))
    try:
        return pa.array(values)
    except pa.ArrowException:
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _decimal(column: psycopg.Column) -> pa.DataType | None:
    """None where the server names no digits: the values say."""
    if column.precision is None or column.precision > _MOST_DIGITS:
        return None
    return pa.decimal128(column.precision, column.scale or 0)
