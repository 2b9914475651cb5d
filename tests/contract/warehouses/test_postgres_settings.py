"""Databases that are set up in unusual ways: what quoted text means, how times are written, how long sessions last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql
from tests.contract.warehouses.postgres_harness import PostgresHarness

from lanewise.domain.project import Check, Column, Grain, PartitionSpec, Table, TableKind
from lanewise.errors import WrongInput
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, D2, ORDERS, order, published, request

SETTINGS = {
    "datestyle": "SQL, DMY",
    "timezone": "Asia/Kathmandu",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-5",
    "search_path": "nowhere",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "idle_in_transaction_session_timeout": "500ms",
}


@pytest.fixture
def harness(server: Server, tmp_path: Path) -> PostgresHarness:
    found = PostgresHarness(tmp_path, server)
    with found.connect() as root:
        for name, value in SETTINGS.items():
            statement = sql.SQL("alter database {} set {} = {}")
            root.execute(statement.format(sql.Identifier(found.database), sql.Identifier(name), sql.Literal(value)))
    return found


def test_publishing_and_keeping_house_work_whatever_the_settings(harness: PostgresHarness) -> None:
    for build in "abc":
        published(harness, request([ORDERS], [D1, D2], build=build), [(ORDERS, [order(D1, 1), order(D2, 2)])])
    warehouse = harness.open()
    warehouse.revert(1, base=3, fence=9)
    warehouse.drop([held for held in warehouse.holdings() if held.maps and set(held.maps) <= {2, 3}])
    assert warehouse.compact() == ("orders",)
    assert [row[1] for row in harness.read("orders")] == [1, 2]


def test_text_from_the_data_stays_text(harness: PostgresHarness) -> None:
    """Where a backslash may stand for the quote after it, a partition's name could end its own literal."""
    column, part = "v\\'x", "a\\' || (select 1) --"
    table = Table(
        "ba\\'ck", TableKind.PARTITION, PartitionSpec(column, Grain.VALUE), key=("id",),
        columns=(Column(column, "VARCHAR"), Column("id", "BIGINT")),
    )  # fmt: skip
    for build in "ab":
        published(harness, request([table], [part], build=build), [(table, [{column: part, "id": 1}])])
    warehouse = harness.open()
    slices = warehouse.live().tables[table.name].slices[part]
    check = Check("known", "accepted_values", {"column": column, "values": [part]})
    assert [(r.rows, r.bad) for r in warehouse.evaluate(table, [check], slices)] == [(1, 0)]
    assert warehouse.compare(table, slices, slices).partitions[0].same
    assert warehouse.compare(replace(table, key=()), slices, slices).partitions[0].same
    assert harness.read(table.name) == [(part, 1)]


@pytest.mark.parametrize("name", ["_lanewise_slice", "_LANEWISE_SLICE", "xmin", "ctid"])
def test_a_column_that_the_server_or_the_store_has_itself_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    table = replace(ORDERS, columns=(*ORDERS.columns, Column(name, "BIGINT")))
    with pytest.raises(WrongInput, match=f"orders: the column name {name} is taken"):
        PostgresHarness(tmp_path, server).open().open_run(request([table], [D1]), [table], ())
