"""The SQL of a published view in PostgreSQL: which rows of which versions count, and the contract's columns in order.

*Open*: one branch per version, each of which asks the map which of its slices count, through the pipeline's pointer;
so one UPDATE of the pointer moves every view at once, also for a reader whose snapshot is older. *Plain*: one version
serves the whole table, and its rows up to a slice's number are all there is; later slices stay hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lanewise.domain.canonical import digest
from lanewise.domain.project import Column
from lanewise.errors import WrongInput
from lanewise.publication import sql
from lanewise.publication.postgres_types import postgres_type

SLICE = "_lanewise_slice"
"""The hidden column of a version's table: the number of the slice that a row belongs to."""


@dataclass(frozen=True)
class Branch:
    """A version's table: its number and name in the store, and the columns that it has."""

    version: int
    relation: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Place:
    """Whose view it is: the store's schema, and the view there that lists the pipeline's live slices."""

    store: str
    live: str


def open_query(place: Place, columns: Sequence[Column], branches: Sequence[Branch]) -> str:
    """The query that follows the map; no rows (but typed columns) when there is no branch."""
    _require_columns(columns)
    if not branches:
        items = [sql.aliased(_null(c.type), c.name) for c in columns]
        return sql.select(
            items, sql.qualified(place.store, "pointers"), where="false"
        )  # so that the view is known as ours
    return sql.union_all([_branch(place, columns, branch, _mapped(place, branch.version)) for branch in branches])


def live_view(place: Place, pipeline: str) -> str:
    """The view of a pipeline's live slices, by version, that every open view of the pipeline asks. It never changes;
    the planner takes it apart, and a view that names it is replaced in half the time of one that spells it out."""
    joined = [
        sql.qualified(place.store, "pointers") + " p",
        "JOIN " + sql.qualified(place.store, "members") + " m ON m.content = p.content",
        "JOIN " + sql.qualified(place.store, "branches") + " b ON b.table_map = m.table_map, unnest(b.slices) s(slice)",
    ]
    query = sql.select(["b.version", "s.slice"], " ".join(joined), where="p.pipeline = " + sql.literal(pipeline))
    return "CREATE VIEW " + sql.qualified(place.store, place.live) + " AS " + query


def plain_query(place: Place, columns: Sequence[Column], branch: Branch, upto: int) -> str:
    """The query over one version's slices up to that number."""
    _require_columns(columns)
    return _branch(place, columns, branch, sql.identifier(SLICE) + " <= " + sql.literal(upto))


def create_view(schema: str, name: str, query: str, *, options: Mapping[str, str], replace: bool = True) -> str:
    """``CREATE OR REPLACE VIEW`` with the options that the view had: replacing one drops those that aren't named."""
    words = ["CREATE OR REPLACE VIEW" if replace else "CREATE VIEW", sql.qualified(schema, name)]
    if options:
        pairs = [sql.identifier(option) + " = " + sql.literal(value) for option, value in options.items()]
        words.append("WITH (" + ", ".join(pairs) + ")")
    return " ".join([*words, "AS", query])


def shape_of(columns: Sequence[Column]) -> str:
    """Names what a reader sees of a contract: columns in order, by name and type."""
    return digest([[c.name, postgres_type(c.type)] for c in columns]).removeprefix("sha256:")[:16]


def begins_with(columns: Sequence[Column], others: Sequence[Column]) -> bool:
    """Whether ``columns`` are ``others`` in their places and types, and perhaps more after them: what a view can be
    replaced by in place."""
    return len(others) <= len(columns) and all(
        (one.name, postgres_type(one.type)) == (other.name, postgres_type(other.type))
        for one, other in zip(columns, others, strict=False)
    )


def changes(published: Sequence[Column], wanted: Sequence[Column]) -> tuple[str, ...]:
    """What readers of the published columns would notice of the wanted ones, a sentence each; () when nothing."""
    if begins_with(wanted, published):
        return ()
    new = {c.name: postgres_type(c.type) for c in wanted}
    kept = [c for c in published if c.name in new]
    told = [f"{c.name} is dropped" for c in published if c.name not in new]
    for column in kept:
        before, after = postgres_type(column.type), new[column.name]
        if before != after:
            told.append(f"{column.name} becomes {after}, from {before}")
    order = [c.name for c in wanted][: len(kept)]
    if order != [c.name for c in kept]:
        told.append(f"the order of the columns becomes {', '.join(c.name for c in wanted)}")
    return tuple(told)


def _mapped(place: Place, version: int) -> str:
    """Joined rather than compared with a scalar subquery or an array: those cost parallelism, or a search per row."""
    counted = sql.select(["slice"], sql.qualified(place.store, place.live), where="version = " + sql.literal(version))
    return sql.identifier(SLICE) + " IN (" + counted + ")"


def _branch(place: Place, columns: Sequence[Column], branch: Branch, where: str) -> str:
    exact = {c.name: c for c in branch.columns}
    folded = {c.name.lower(): c for c in branch.columns}
    items = [_item(wanted, exact.get(wanted.name) or folded.get(wanted.name.lower())) for wanted in columns]
    return sql.select(items, sql.qualified(place.store, branch.relation), where=where)


def _item(wanted: Column, held: Column | None) -> str:
    if held is None:
        return sql.aliased(_null(wanted.type), wanted.name)
    name, type_ = sql.identifier(held.name), postgres_type(wanted.type)
    if postgres_type(held.type) == type_:  # a needless cast would keep an index from being used
        return name if held.name == wanted.name else sql.aliased(name, wanted.name)
    return sql.aliased("CAST(" + name + " AS " + type_ + ")", wanted.name)


def _null(type_: str) -> str:
    return "CAST(NULL AS " + postgres_type(type_) + ")"


def _require_columns(columns: Sequence[Column]) -> None:
    if not columns:
        raise WrongInput("a table without columns can't be published", hint="declare its columns in lanewise.yaml")
