"""Pipelines that share an environment's store, and config that would publish under other names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from tests.contract.warehouses.embedded_harness import lane_of
from tests.contract.warehouses.postgres_harness import NoSecrets, PostgresHarness

from lanewise.adapters.warehouses.postgres.warehouse import PostgresWarehouse, open_warehouse
from lanewise.errors import Refused
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, D2, ORDERS, order, published, request


class Pipeline(PostgresHarness):
    """One of several in prod's database."""

    def __init__(self, root: Path, server: Server, database: str, project: str, schema: str, suffix: str = "") -> None:
        self.root, self.server, self.source, self.fields = root, server, None, {}
        self.database, self.said = database, []
        self.project, self.schema, self.suffix = project, schema, suffix

    def open(self, environment: str = "prod", project: str = "") -> PostgresWarehouse:
        lane = lane_of(environment, self.server.connection(self.database), schema=self.schema, table_suffix=self.suffix)
        return open_warehouse(
            home=self.root / ".lanewise", lane=lane, project=project or self.project, secrets=NoSecrets(),
            say=self.said.append,
        )  # fmt: skip

    def publish(self, build: str, number: int, *days: str) -> None:
        wanted = request([ORDERS], days or [D1, D2], build=build)
        published(self, wanted, [(ORDERS, [order(day, number) for day in days or (D1, D2)])], fence=99)

    def seen(self) -> list[Any]:
        with self.connect() as reader:
            place = self.open().place
            name = sql.Identifier(place.public, place.view("orders"))
            rows = reader.execute(sql.SQL("select id from {} order by day").format(name)).fetchall()
            return [row[0] for row in rows]


Make = Callable[..., Pipeline]


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Make:
    database = server.database()

    def one(project: str = "shop", schema: str = "analytics", suffix: str = "") -> Pipeline:
        with server.connect(database) as root:
            root.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        return Pipeline(tmp_path, server, database, project, schema, suffix)

    return one


def test_two_pipelines_with_a_table_of_the_same_name_publish_beside_each_other(make: Make) -> None:
    """Each into its own schema, through one store; a schema's name may hold what it likes."""
    shop, bill = make("shop", "shop_prod"), make("bill", 'Bill "Prod" %s')
    for build, number in (("a", 1), ("b", 2)):
        shop.publish(build, number)
        bill.publish(build, number + 10)
    assert (shop.seen(), bill.seen()) == ([2, 2], [12, 12])
    shop.open().revert(1, base=2, fence=100)
    assert (shop.seen(), bill.seen()) == ([1, 1], [12, 12])
    for one in (shop, bill):
        warehouse = one.open()
        live = warehouse.pointer().number
        warehouse.drop([held for held in warehouse.holdings() if held.maps and live not in held.maps])
        assert warehouse.compact() == ("orders",)
    assert (shop.seen(), bill.seen()) == ([1, 1], [12, 12])
    bill.publish("c", 13, D1)
    assert (shop.seen(), bill.seen()) == ([1, 1], [13, 12])


def test_a_view_of_another_pipeline_is_not_replaced(make: Make) -> None:
    make("shop").publish("a", 1)
    with pytest.raises(Refused, match=r"analytics\.orders belongs to the pipeline shop"):
        make("bill").publish("a", 2)
    assert make("shop").seen() == [1, 1]


@pytest.mark.parametrize("names", [{"schema": "reporting"}, {"suffix": "_x"}])
def test_publishing_under_another_name_is_refused(make: Make, names: dict[str, str]) -> None:
    """Who reads the old one would see less with every map, and never an error."""
    make().publish("a", 1)
    with pytest.raises(Refused, match=r"orders is published as analytics\.orders, and config now says"):
        make(**names).publish("b", 2, D1)
    assert make().seen() == [1, 1]
    make().publish("b", 2, D1)
    assert make().seen() == [2, 1]


def test_a_store_of_another_layout_is_left_alone(make: Make) -> None:
    """A newer Lanewise made it."""
    shop = make("shop")
    shop.publish("a", 1)
    with shop.connect() as connection:
        connection.execute("update lanewise_prod.format set version = 99")
    with pytest.raises(Refused, match="has the layout 99"):
        shop.publish("b", 2)
    assert make("shop").seen() == [1, 1]
