"""Changes that a published view can't take: told when a plan is made, or else before anything is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.road import PROJECT

from lanewise.bootstrap import Workshop
from lanewise.domain.environment import Environment
from lanewise.domain.project import Column, Table
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import Break, InputPin
from lanewise.domain.run import RunRequest, Space
from lanewise.errors import Refused
from lanewise.service.ground import decode_plan, read_plan, write_plan
from lanewise.testing.fake_warehouse import FakeWarehouse

from .lanes import CANARY, DAYS, Lanes

ASKED = CANARY.replace("quality, schema, retained", "quality, retained")  # the gate would speak first

SILENT = "true  # @BUILD@\n"  # the fake writes what the test says
NARROW = PROJECT.replace("day: DATE not null, orders: BIGINT, ", "day: DATE not null, ").replace(
    "signs its rows}]", "signs its rows}, {what: column_dropped, columns: [orders], reason: nobody reads it}]"
)
UNDECLARED = PROJECT.replace("    columns: {day: DATE not null, orders: BIGINT, build: VARCHAR}\n", "").replace(
    "    checks: [{unique: [day, id]}]\n    changes", "    changes"
)
CHANGES = ("orders is dropped",)


@dataclass
class Depot(FakeWarehouse):
    """A fake that notes what it was asked."""

    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def open_run(self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin]) -> Space:
        space = super().open_run(request, tables, inputs)
        for name, rows in self.rooms[request.id].items():
            self.write(request.id, name, [row for row in rows if row["day"] in request.partitions])
        return space

    def breaks(self, table: str, columns: Sequence[Column]) -> Break | None:
        self.asked.append((table, tuple(c.name for c in columns)))
        return super().breaks(table, columns)


class Shop(Lanes):
    """The tiny project, with a fake for a warehouse."""

    def __init__(self, root: Path, project: str = PROJECT) -> None:
        super().__init__(root, ASKED, project)
        self.depot = Depot("orders")
        self.write("v1")

    def write(self, build: str, **more: str) -> None:
        self.depot.writes = {
            "orders_daily": [{"day": day, "id": 1, "build": build} for day in DAYS],
            "totals_daily": [{"day": day, "orders": 1, "build": build, **more} for day in DAYS],
        }

    def ctx(self, actor: str = "ana") -> Workshop:
        found = super().ctx(actor)

        def opened(environment: Environment) -> Depot:
            return self.depot

        found._open_warehouse = opened  # type: ignore[method-assign]
        return found

    def take(self, name: str) -> Promotion:
        return self.promote(self.build(name, SILENT))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    found = Shop(tmp_path / "orders")
    assert found.take("v1").state is State.SUCCEEDED
    found.depot.asked.clear()
    return found


def test_the_target_is_asked_about_tables_whose_declared_columns_change(shop: Shop) -> None:
    shop.plan(shop.build("v2", SILENT))
    assert shop.depot.asked == []
    shop.project(NARROW)
    shop.plan(shop.build("v2", SILENT))
    assert shop.depot.asked == [("totals_daily", ("day", "build"))]


def test_a_plan_with_a_break_comes_back_from_its_file_as_it_was(shop: Shop, tmp_path: Path) -> None:
    shop.project(NARROW)
    shop.depot.broken = {"totals_daily": Break("totals_daily", CHANGES)}
    plan = shop.plan(shop.build("v2", SILENT))
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert any("made anew" in line for t in plan.tables for line in t.breaking)


def test_an_older_plan_without_breaks_is_still_read(shop: Shop) -> None:
    from lanewise.domain.canonical import plain

    document = plain(shop.plan(shop.build("v2", SILENT)))
    for table in document["tables"]:
        del table["breaks"]
    assert decode_plan(document).tables[0].breaks is None


def test_a_promotion_that_would_pull_a_view_away_is_refused_before_it_is_gated(shop: Shop) -> None:
    shop.project(NARROW)
    shop.depot.broken = {"totals_daily": Break("totals_daily", CHANGES, ("reporting.daily",))}
    with pytest.raises(Refused, match=r"orders is dropped, and reporting\.daily is built upon it") as caught:
        shop.take("v2")
    assert "CASCADE" in caught.value.hint
    assert shop.depot.pointer().number == 1
    shop.depot.broken = {}
    assert shop.take("v2").state is State.SUCCEEDED  # it goes on where it stood


def test_a_view_built_meanwhile_is_found_before_anything_is_shown(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "orders", UNDECLARED)
    assert shop.take("v1").state is State.SUCCEEDED
    shop.write("v2", extra="x")
    shop.depot.broken = {"totals_daily": Break("totals_daily", CHANGES, ("reporting.daily",))}
    done = shop.take("v2")
    assert done.state is State.REVERTED
    assert "orders is dropped, and reporting.daily is built upon it" in done.reason
    assert [v.hint for v in done.verdicts if v.gate == "views"] == [
        "drop or change reporting.daily first; nothing is ever dropped with CASCADE"
    ]
    assert shop.depot.pointer().number == 1


def test_a_break_that_nobody_stands_upon_stops_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "orders", UNDECLARED)
    assert shop.take("v1").state is State.SUCCEEDED
    shop.write("v2", extra="x")
    shop.depot.broken = {"totals_daily": Break("totals_daily", CHANGES)}
    assert shop.take("v2").state is State.SUCCEEDED
