"""The SQL of a published view: exact files, the contract's columns in order, the contract's types.

A view is one SELECT per *branch* (files that share one physical schema), joined by UNION ALL. Where a branch has a
column under another type it is cast; where it lacks one it reads as a typed NULL. Files lie below a folder
``column=value``, which lets the engine skip the files of other partitions without opening them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lanewise.domain.partition import ALL
from lanewise.domain.project import Column
from lanewise.errors import WrongInput
from lanewise.publication import sql
from lanewise.publication.types import plain_type

PARTITION = "_lanewise_partition"
"""The hidden column that names a row's partition, where no column of the table does."""


@dataclass(frozen=True)
class Branch:
    """Files of one physical schema. ``hive`` is the (column, type) that their folders are named for; where it is
    ``PARTITION`` the files hold that column too. ``folders``: whether the folder names may be read at all."""

    columns: tuple[Column, ...]
    hive: tuple[str, str] | None
    files: tuple[str, ...]
    folders: bool = True


def view_query(columns: Sequence[Column], branches: Sequence[Branch], *, with_partition: bool = False) -> str:
    """The query behind a view of these columns; no rows (but typed columns) when there is no branch.

    ``with_partition`` appends ``_lanewise_partition``, the name of each row's partition.
    """
    if not columns:
        raise WrongInput("a table without columns can't be published", hint="declare its columns in lanewise.yaml")
    if not branches:
        return _nothing(columns, with_partition=with_partition)
    return sql.union_all([_branch(columns, branch, with_partition=with_partition) for branch in branches])


def view_statement(name: str, columns: Sequence[Column], branches: Sequence[Branch]) -> str:
    """``CREATE VIEW`` of a published table."""
    return sql.create_view(name, view_query(columns, branches))


def partition_of(branch: Branch) -> str:
    """The expression that names a row's partition in a branch."""
    if branch.hive is None:
        return sql.literal(ALL)
    return sql.cast(sql.identifier(branch.hive[0]), "VARCHAR")


def _nothing(columns: Sequence[Column], *, with_partition: bool) -> str:
    items = [sql.aliased(sql.cast("NULL", c.type), c.name) for c in columns]
    if with_partition:
        items.append(sql.aliased(sql.cast("NULL", "VARCHAR"), PARTITION))
    return sql.select(items, "(VALUES (1))", where="false")


def _branch(columns: Sequence[Column], branch: Branch, *, with_partition: bool) -> str:
    held = {c.name.lower(): c for c in branch.columns}
    items = [_item(wanted, held.get(wanted.name.lower())) for wanted in columns]
    if with_partition:
        items.append(sql.aliased(partition_of(branch), PARTITION))
    return sql.select(items, _files(branch))


def _item(wanted: Column, held: Column | None) -> str:
    if held is None:
        return sql.aliased(sql.cast("NULL", wanted.type), wanted.name)
    name = sql.identifier(held.name)
    if plain_type(held.type) == plain_type(wanted.type):  # a needless cast would keep the engine from skipping files
        return name if held.name == wanted.name else sql.aliased(name, wanted.name)
    return sql.aliased(sql.cast(name, wanted.type), wanted.name)


def _files(branch: Branch) -> str:
    files = "[" + ", ".join(sql.file_literal(file) for file in branch.files) + "]"
    if branch.hive is None or not branch.folders:
        return sql.call("read_parquet", files, "hive_partitioning = false")
    column, type_ = branch.hive
    types = "{" + sql.literal(column) + ": " + sql.type_name(type_) + "}"
    return sql.call("read_parquet", files, "hive_partitioning = true", "hive_types = " + types)
