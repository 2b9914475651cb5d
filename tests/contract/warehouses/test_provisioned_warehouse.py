"""The same suite with three real logins: runs write as the runner, Lanewise publishes as the publisher, the reader
looks. And what a run can't do then to what was published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.contract.warehouses.postgres_harness import PostgresHarness
from tests.contract.warehouses.provisioned import Lane, lane_on, provisioned

from lanewise.adapters.warehouses.postgres.warehouse import PostgresWarehouse, open_warehouse
from lanewise.domain.environment import Role
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, ORDERS, Harness, PublicationContract, order, published, request
from lanewise.testing.warehouse_engine import ComputationContract


class ProvisionedHarness(PostgresHarness):
    """Prod and stage in one database, each with logins of its own."""

    def __init__(self, root: Path, server: Server) -> None:
        super().__init__(root, server)
        self.lanes: dict[str, Lane] = {}

    def lane(self, environment: str) -> Lane:
        if environment not in self.lanes:
            mine, other = (
                lane_on(self.server, name, database=self.database)
                for name in (environment, "stage" if environment == "prod" else "prod")
            )
            self.lanes[environment] = provisioned(self.server, environment=mine, others=[other])
        return self.lanes[environment]

    def open(self, environment: str = "prod", project: str = "shop") -> PostgresWarehouse:
        lane = self.lane(environment)
        return open_warehouse(
            home=self.root / ".lanewise", lane=lane.environment, project=project, secrets=lane.secrets,
            say=self.said.append,
        )  # fmt: skip

    def connect(self) -> psycopg.Connection[Any]:
        """What the harness writes, it writes as a run."""
        return self.lane("prod").connect(Role.RUNNER)

    def lose(self, one: Any) -> None:
        self.connect = lambda: self.server.connect(self.database)  # type: ignore[method-assign]
        super().lose(one)
        del self.connect  # type: ignore[method-assign]

    def read(self, table: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        place = self.open(environment).place
        with self.lane(environment).connect(Role.READER) as connection:
            rows = connection.execute(f'select * from "{place.public}"."{place.view(table)}"'.encode()).fetchall()
            return sorted(rows, key=repr)


class TestProvisionedWarehouse(PublicationContract, ComputationContract):
    @pytest.fixture
    def harness(self, tmp_path: Path, server: Server) -> Harness:
        return ProvisionedHarness(tmp_path, server)


@pytest.fixture
def live(tmp_path: Path, server: Server) -> ProvisionedHarness:
    """Two publications, so that there are maps to go back to and a view of two branches."""
    harness = ProvisionedHarness(tmp_path, server)
    for number in (1, 2):
        published(harness, request([ORDERS], [D1], build="ab"[number - 1]), [(ORDERS, [order(D1, number)])])
    return harness


def test_nothing_differs_from_what_was_provisioned_after_publishing_opening_and_compacting(
    live: ProvisionedHarness,
) -> None:
    """Views that are made again, versions and maps that come and go: their grants and owners stay."""
    lane = live.lane("prod")
    assert lane.look().changes == ()
    live.open().revert(1, base=2, fence=3)
    assert lane.look().changes == ()
    live.open().drop([holding for holding in live.open().holdings() if holding.maps == (2,)])
    with lane.connect(Role.READER) as reader:  # the publisher sees that somebody else's transaction is under way
        with reader.transaction():
            reader.execute("select * from analytics_prod.orders")
            assert live.open().compact() == ()
        assert live.open().compact() == ("orders",)
        assert [row[1] for row in reader.execute("select * from analytics_prod.orders")] == [1]
    assert lane.look().changes == ()


REFUSED = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.WrongObjectType,  # a view is no table
    psycopg.errors.ObjectNotInPrerequisiteState,  # a view of several branches takes no rows
)
TRIES = (
    "delete from {}", "drop table {}", "drop view {}", "alter table {} rename to gone", "comment on table {} is 'mine'",
    "create or replace view {} as select 1", "lock table {} in exclusive mode", "create index on {} ((1))",
)  # fmt: skip


def passed(session: psycopg.Connection[Any], relation: str) -> list[str]:
    """The statements that the server did not refuse."""
    found = []
    for statement in TRIES:
        try:
            with session.transaction(force_rollback=True):
                session.execute(statement.format(relation).encode())
            found.append(f"{session.info.user}: {statement.format(relation)}")
        except REFUSED:
            continue
    with session.transaction():
        suppressed = "do $$ begin grant all on {} to public; exception when insufficient_privilege then end $$"
        session.execute(suppressed.format(relation).encode())  # where it is no error it is a warning, and ignored
    return found


def test_a_run_can_change_nothing_of_what_was_published(live: ProvisionedHarness) -> None:
    """Every relation that is there, whoever made it, is tried by the runner, the reader and all of stage's logins."""
    place, prod, stage = live.open().place, live.lane("prod"), live.lane("stage")
    with prod.connect() as connection:
        relations = [row[0] for row in connection.execute(
            "select format('%%I.%%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace "
            "where nspname = any(%s) and relkind in ('r', 'v')", [[place.public, place.store]],
        )]  # fmt: skip
    assert len(relations) > 8
    before = live.read("orders")
    roles = [(prod, Role.RUNNER), (prod, Role.READER), *((stage, role) for role in (Role.RUNNER, Role.PUBLISHER))]
    for lane, role in roles:
        with lane.connect(role) as session:
            assert [line for relation in relations for line in passed(session, relation)] == []
    assert live.read("orders") == before
    assert prod.look().changes == ()
