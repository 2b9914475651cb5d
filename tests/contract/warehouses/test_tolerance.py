"""Two values with the same cells in a checksum are never looked at again: they must be the same to the join too."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import pytest

from lanewise.adapters.warehouses.measuring.tolerance import Tolerance
from lanewise.domain.project import Column
from lanewise.publication import sql
from lanewise.testing.postgres import Server

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["duckdb", 15, 18])
def ask(request: pytest.FixtureRequest) -> Ask:
    if request.param == "duckdb":
        return lambda query: duckdb.connect().execute(query).fetchall()
    server: Server = request.getfixturevalue(f"postgres{request.param}")
    return lambda query: server.connect().execute(query.encode()).fetchall()


def _pairs(scale: float, apart: float, count: int = 3_000) -> list[tuple[float, float]]:
    """Numbers around ``scale`` and all magnitudes below, and others at most ``apart`` from them, each relatively."""
    chance = random.Random(5)
    found = []
    for _ in range(count):
        one = chance.choice([-1, 1]) * chance.uniform(0.1, 1) * scale * 10.0 ** -chance.randint(0, 8)
        found.append((one, one * (1 + chance.uniform(-apart, apart))))
    return found


def _looked(ask: Ask, type_: str, declared: str | None, pairs: Sequence[tuple[float, float]]) -> tuple[int, int, int]:
    """Of these pairs: those with equal cells, those that differ, those that differ and have equal cells."""
    column = Column("x", type_)
    tolerance = Tolerance({} if declared is None else {"x": declared})
    cells = [sql.aliased(cell.value, f"c{n}") for n, cell in enumerate(tolerance.cells(column))]
    sides = []
    for side, name in ((0, "o"), (1, "n")):
        values = ", ".join(f"({number}, {pair[side]!r})" for number, pair in enumerate(pairs))
        typed = f"SELECT id, CAST(v AS {type_}) AS x FROM (VALUES {values}) AS given(id, v)"
        sides.append(sql.subquery(sql.select(["*", *cells], sql.subquery(typed, "typed")), name))
    same = sql.every(f"o.c{n} IS NOT DISTINCT FROM n.c{n}" for n in range(len(cells)))
    differs = tolerance.differs(column, "NUMERIC(38,0)")
    counts = [sql.count_if(each) for each in (same, differs, f"({same}) AND ({differs})")]
    return tuple(ask(sql.select(counts, " JOIN ".join(sides) + " ON o.id = n.id"))[0])  # type: ignore[return-value]


@pytest.mark.parametrize("scale", [1.0, 1e12, 1e-300, 1e280, 1e300])
def test_floats_in_one_cell_are_one_in_ten_to_the_nine_apart_at_most(ask: Ask, scale: float) -> None:
    same, differ, both = _looked(ask, "FLOAT8", None, _pairs(scale, 4e-9))
    assert both == 0
    assert differ > 0
    if scale < 1e290:
        assert same > 100


def test_what_the_order_of_a_sum_does_stays_in_its_cell(ask: Ask) -> None:
    """Nearly always, or every comparison would join."""
    same, differ, both = _looked(ask, "FLOAT8", None, _pairs(1.0, 1e-15))
    assert (differ, both) == (0, 0)
    assert same > 2_990


@pytest.mark.parametrize(("type_", "declared", "scale"), [
    ("FLOAT8", "0.01", 10.0), ("FLOAT8", "0.01", 1e9), ("FLOAT8", "3", 1e17), ("FLOAT8", "100", 1e-300),
    ("FLOAT8", "0", 1.0), ("DECIMAL(18,4)", "0.01", 10.0), ("DECIMAL(38,4)", "0.01", 1e16), ("BIGINT", "2", 1e4),
    ("BIGINT", "2", 9e18), ("BIGINT", "1000", 1e6),
])  # fmt: skip
def test_values_in_one_cell_are_within_the_declared_tolerance(
    ask: Ask, type_: str, declared: str, scale: float
) -> None:
    apart = max(4 * float(declared) / scale, 1e-15)  # a few steps of a double
    same, differ, both = _looked(ask, type_, declared, _pairs(scale, min(apart, 0.5)))
    assert both == 0
    assert same > 100
    assert differ > 0 or scale < 1
