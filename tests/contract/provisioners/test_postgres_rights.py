"""Rights on real servers: written once, found whole, and put right again whatever was done to them."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from tests.contract.warehouses.provisioned import Lane, Passwords, lane_on, provisioned

from lanewise.adapters.warehouses.postgres import store
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.environment import Role, SecretRef
from lanewise.domain.provision import Kind
from lanewise.errors import Refused
from lanewise.testing.postgres import Server

RUNNER, PUBLISHER, READER = Role.RUNNER, Role.PUBLISHER, Role.READER


def with_inputs(server: Server) -> str:
    """A database with raw tables in it."""
    database = server.database()
    with server.connect(database) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.orders (id int, amount int)")
        connection.execute("create table raw.secrets (id int)")
    return database


def published(lane: Lane) -> None:
    """The store's tables, and a view such as the publisher makes, upon a version in the store."""
    place = Place.of(lane.environment, "shop")
    with lane.connect(PUBLISHER) as connection:
        store.ensure(connection, place)
        connection.execute(f"create table {place.store}.v1 (id int)")
        connection.execute(f"insert into {place.store}.v1 values (1)")
        connection.execute(f"create view {place.public}.orders as select id from {place.store}.v1")


def two_lanes(server: Server) -> Lane:
    """Prod, provisioned, with a published view; beside it stage in a database of its own."""
    stage = provisioned(server, "stage")
    prod = lane_on(server, "prod", database=with_inputs(server))
    lane = provisioned(server, others=[stage.environment], environment=prod, inputs=["raw.orders"])
    published(lane)
    assert lane.look().changes == ()
    return lane


@pytest.fixture
def lane(server: Server) -> Lane:
    return two_lanes(server)


@pytest.fixture(scope="module")
def standing() -> dict[int, Lane]:
    """A lane a server, for tests that leave it as they found it."""
    return {}


def test_what_was_written_once_is_not_written_again(lane: Lane) -> None:
    assert lane.look().changes == ()
    assert lane.apply().changes == ()
    assert lane.look().warnings == ()
    assert lane.look().script == ""


def test_looking_changes_nothing(server: Server) -> None:
    lane = Lane(server, lane_on(server), Passwords())
    first = lane.look()
    assert lane.look() == first
    assert first.changes[0].statement.endswith("password '***'")
    with server.connect() as connection:
        found = connection.execute("select 1 from pg_roles where rolname = %s", [lane.login(RUNNER)]).fetchone()
    assert found is None


def test_nothing_that_every_server_gives_everybody_counts_as_drift_at_first(server: Server) -> None:
    changes = Lane(server, lane_on(server), Passwords()).look().changes
    assert [change for change in changes if change.drift] == []
    assert [change.statement for change in changes if " on database " in change.statement and "from public" in
            change.statement] != []  # fmt: skip


PLANTS = {
    "a grant to a stranger": ("grant select on {store}.v1 to {stranger}", "{stranger} had SELECT on {store}.v1"),
    "a grant to everybody": ("grant update on {public}.orders to public", "everybody had UPDATE on {public}.orders"),
    "a grant of one column": ("grant update (id) on {public}.orders to {reader}", "{reader} had UPDATE on {public}."),
    "the runner on the store": ("grant insert on {store}.pointers to {runner}", "{runner} had INSERT on {store}.point"),
    "a schema for everybody": ("grant usage on schema {store} to public", "everybody had USAGE on {store}"),
    "a public schema to create in": ("grant create on schema {public} to public", "everybody had CREATE on {public}"),
    "the runner on the public schema": ("grant create on schema {public} to {runner}", "{runner} had CREATE on"),
    "a schema that all look into": ("grant create on schema public to public", "everybody had CREATE on public"),
    "rooms for a stranger": ("grant create on schema {rooms} to {stranger}", "{stranger} had CREATE on {rooms}"),
    "a database for everybody": ("grant connect on database {db} to public", "everybody had CONNECT on {db}"),
    "a database for a stranger": ("grant connect on database {db} to {stranger}", "{stranger} had CONNECT on {db}"),
    "a stranger's database": ("grant connect on database {other} to {runner}", "{runner} had CONNECT on {other}"),
    "the runner makes schemas": ("grant create on database {db} to {runner}", "{runner} had CREATE on {db}"),
    "an input to write": ("grant insert on raw.orders to {runner}", "{runner} had INSERT on raw.orders"),
    "an input that is not declared": ("grant select on raw.secrets to {runner}", "{runner} had SELECT on raw.secrets"),
    "a column that is not declared": ("grant select (id) on raw.secrets to {publisher}", "{publisher} had SELECT on"),
    "future things of the publisher": (
        "alter default privileges for role {publisher} in schema {store} grant select on tables to {stranger}",
        "{stranger} had SELECT on {publisher}'s future tables in {store}",
    ),
    "future things anywhere": (
        "alter default privileges for role {publisher} grant insert on tables to {runner}",
        "{runner} had INSERT on {publisher}'s future tables, which",
    ),
    "future things of others": (
        "alter default privileges for role postgres in schema raw grant select on tables to {runner}",
        "{runner} had SELECT on postgres's future tables in raw",
    ),
    "future functions": (
        "alter default privileges for role {publisher} grant execute on functions to public",
        "everybody had EXECUTE on {publisher}'s future functions",
    ),
    "a stranger who may act as us": ("grant {publisher} to {stranger}", "{stranger} of stage could act as {publisher}"),
    "the runner may act as the publisher": ("grant {publisher} to {runner}", "{runner} could act as {publisher}"),
    "a group": ("grant pg_read_all_data to {runner}", "{runner} could act as pg_read_all_data"),
    "a role that makes databases": ("alter role {runner} createdb inherit", "{runner} could do more"),
    "a role above row security": ("alter role {reader} bypassrls", "{reader} could do more than it is granted"),
    "a view of somebody else's": ("alter view {public}.orders owner to {stranger}", "{stranger} owned it, and could"),
    "a map of somebody else's": ("alter table {store}.maps owner to {stranger}", "{stranger} owned it, and could"),
    "a store of somebody else's": ("alter schema {store} owner to {stranger}", "{stranger} owned it, and could"),
    "a function with our rights": (
        ("create function {public}.f(a int, b text) returns int language sql security definer as 'select 1';"
        "alter function {public}.f owner to {publisher}; grant execute on function {public}.f to public"),
        "everybody had EXECUTE on {public}.f",
    ),
    "a routine in the store": (
        "create procedure {store}.p() language sql as 'select 1'", "everybody had EXECUTE on {store}.p"
    ),
    "a right to pass on": (
        ("grant select on {public}.orders to {reader} with grant option; set role {reader}; "
        "grant select on {public}.orders to {stranger}; reset role"),
        "{reader} could pass SELECT on {public}.orders on to others",
    ),
    "a grant of a grant": (
        ("grant update on {store}.maps to {stranger} with grant option; grant usage on schema {store} to {stranger};"
        "set role {stranger}; grant update on {store}.maps to {reader}; reset role"),
        "{stranger} had UPDATE on {store}.maps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS)
def test_drift_is_named_and_taken_back(server: Server, standing: dict[int, Lane], plant: str) -> None:
    lane = standing[server.version] = standing.get(server.version) or two_lanes(server)
    statement, told = PLANTS[plant]
    place = Place.of(lane.environment, "shop")
    words = {
        "store": place.store, "public": place.public, "rooms": place.rooms, "db": lane.database,
        "other": lane.others[0].connection("dst").fields["database"],
        "stranger": lane.others[0].connection("dst").fields["runner"],
        **{role.value: lane.login(role) for role in (RUNNER, PUBLISHER, READER)},
    }  # fmt: skip
    with lane.connect() as connection:
        connection.execute(statement.format(**words))
    found = lane.look()
    assert [change.why for change in found.changes if change.drift and told.format(**words) in change.why], found
    lane.apply()
    assert lane.look().changes == ()
    with lane.connect(READER) as connection:
        assert connection.execute(f"select * from {place.public}.orders").fetchall() == [(1,)]


def test_what_is_missing_is_given_again(lane: Lane) -> None:
    place = Place.of(lane.environment, "shop")
    with lane.connect() as connection:
        connection.execute(f"revoke all on {place.public}.orders from {lane.login(READER)}, {lane.login(RUNNER)}")
        connection.execute(f"revoke usage on schema raw from {lane.login(RUNNER)}")
        connection.execute(f"drop schema {place.rooms} cascade")
    assert {change.kind for change in lane.look().changes} == {Kind.GRANT, Kind.CREATE}
    lane.apply()
    assert lane.look().changes == ()


def test_a_view_that_is_made_again_or_later_is_read_all_the_same(lane: Lane) -> None:
    place = Place.of(lane.environment, "shop")
    with lane.connect(PUBLISHER) as connection:
        connection.execute(
            f"create or replace view {place.public}.orders as select id from {place.store}.v1 where true"
        )
        connection.execute(f"create view {place.public}.later as select id from {place.store}.v1")
    assert lane.look().changes == ()
    for role in (READER, RUNNER):
        with lane.connect(role) as connection:
            for view in ("orders", "later"):
                assert connection.execute(f"select * from {place.public}.{view}").fetchall() == [(1,)]


def test_what_a_run_makes_the_publisher_reads(lane: Lane) -> None:
    place = Place.of(lane.environment, "shop")
    with lane.connect(RUNNER) as connection:
        connection.execute(f"create table {place.rooms}.run_1_orders as select id from raw.orders")
    assert lane.look().changes == ()
    with lane.connect(PUBLISHER) as connection:
        assert connection.execute(f"select * from {place.rooms}.run_1_orders").fetchall() == []
        connection.execute(f"drop table {place.rooms}.run_1_orders")


def test_no_password_is_in_a_statement_or_the_servers_log(server: Server) -> None:
    with server.connect() as connection:
        connection.execute("alter role postgres set log_min_messages = 'debug1'")
        connection.execute("alter role postgres set log_statement = 'all'")
    try:
        lane = provisioned(server)
    finally:
        with server.connect() as connection:
            connection.execute("alter role postgres reset all")
    log = (server.home / "log").read_text()
    assert f'create role "{lane.login(RUNNER)}"' in log
    assert "SCRAM-SHA-256$" in log
    assert f"{lane.login(RUNNER)}-secret" not in log
    lane.connect(RUNNER).close()


def test_a_password_that_the_server_refuses_is_written_anew(lane: Lane) -> None:
    lane.secrets.values[lane.login(RUNNER)] = "rotated"
    (change,) = lane.look().changes
    assert change.statement == f"alter role \"{lane.login(RUNNER)}\" password '***'"
    assert f"env:{lane.login(RUNNER)}" in change.why
    lane.apply()
    assert lane.look().changes == ()
    lane.connect(RUNNER).close()


def test_readers_of_other_teams_keep_what_config_lists(server: Server) -> None:
    database = server.database()
    with server.connect(database) as connection:
        connection.execute(f"create role bi_{database}")
        connection.execute(f"create role analyst_{database} login password 'x' in role bi_{database}")
    lane = provisioned(server, environment=lane_on(server, database=database, readers=[f"bi_{database}"]))
    published(lane)
    assert lane.look().changes == ()
    with server.connect(database, f"analyst_{database}", "x") as connection:
        assert connection.execute("select * from analytics_prod.orders").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from lanewise_prod.v1")


def test_one_database_for_two_lanes_settles_whichever_comes_last(server: Server) -> None:
    database = server.database()
    prod, stage = (lane_on(server, name, database=database) for name in ("prod", "stage"))
    lanes = [provisioned(server, environment=one, others=[other]) for one, other in ((prod, stage), (stage, prod))]
    for lane in lanes:
        published(lane)
    for lane in (*lanes, *reversed(lanes)):
        assert lane.apply().changes == ()
    assert "the same database" in lanes[0].look().warnings[0]
    with lanes[1].connect(RUNNER) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from analytics_prod.orders")


def test_one_schema_for_two_lanes_settles_as_well(server: Server) -> None:
    """By suffix: two publishers share the schema, each owns its views."""
    database = server.database()
    settings = {"schema": "analytics"}
    prod, stage = (lane_on(server, name, database=database, settings=settings) for name in ("prod", "stage"))
    lanes = [provisioned(server, environment=one, others=[other]) for one, other in ((prod, stage), (stage, prod))]
    for lane in lanes:
        place = Place.of(lane.environment, "shop")
        with lane.connect(PUBLISHER) as connection:
            store.ensure(connection, place)
            connection.execute(f"create view analytics.orders_{place.environment} as table {place.store}.maps")
    for lane in (*lanes, *reversed(lanes)):
        assert lane.apply().changes == ()
    for role in (RUNNER, PUBLISHER, READER):
        with lanes[1].connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from analytics.orders_prod")


def test_other_peoples_tables_in_the_public_schema_are_left_alone(server: Server) -> None:
    database = server.database()
    with server.connect(database) as connection:
        connection.execute(f"create role loader_{database} login password 'x'")
        connection.execute("create schema analytics_prod")
        connection.execute(f"grant usage on schema analytics_prod to loader_{database}")
        connection.execute("create table analytics_prod.theirs (id int)")
        connection.execute(f"alter table analytics_prod.theirs owner to loader_{database}")
        connection.execute(f"create role writers_{database}")
        connection.execute(f"grant insert on analytics_prod.theirs to writers_{database}")
        connection.execute(f"create role writer_{database} login in role writers_{database}")
    lane = Lane(server, lane_on(server, database=database), Passwords())
    warnings = lane.look().warnings
    assert any("other people's tables" in line for line in warnings)
    assert any(f"loader_{database} has rights here and could log in no more" in line for line in warnings)
    assert any(f"writer_{database} has rights here and could log in no more" in line for line in warnings)
    connects = replace(lane, environment=lane_on(server, database=database, connects=[f"loader_{database}"]))
    connects.apply()
    with server.connect(database, f"loader_{database}", "x") as connection:
        connection.execute("select * from analytics_prod.theirs")
    assert connects.look().changes == ()


def test_a_role_that_two_environments_share_stands_in_the_way(server: Server) -> None:
    stage = lane_on(server, "stage")
    shared = str(stage.connection("dst").fields["runner"])
    lane = Lane(server, lane_on(server, "prod", runner=shared), Passwords(), (stage,))
    assert any("stage too: a role that two environments share" in line for line in lane.look().problems)
    with pytest.raises(Refused, match="can't be walled off"):
        lane.apply()


def test_a_superuser_is_no_role_of_an_environment(server: Server) -> None:
    lane = Lane(server, lane_on(server, publisher="postgres"), Passwords())
    lane.environment.connection("dst").secrets.pop("publisher_password")  # type: ignore[attr-defined]
    assert any("postgres may do everything on this server" in line for line in lane.look().problems)
    with pytest.raises(Refused, match="postgres may do everything"):
        lane.apply()


def test_one_login_for_all_is_warned_of(server: Server) -> None:
    found = lane_on(server)
    target = found.connection("dst")
    login = f"svc_{target.fields['database']}"
    fields = {key: value for key, value in target.fields.items() if key not in {"runner", "publisher", "reader"}}
    alone = replace(target, fields={**fields, "user": login, "admin": "postgres"}, secrets={
        "password": SecretRef(f"env:{login}")})  # fmt: skip
    lane = Lane(server, replace(found, connections={target.name: alone}), Passwords())
    assert "runs could publish: give the runner a login of its own" in lane.look().warnings
    lane.apply()
    assert lane.look().changes == ()
    published(lane)
    assert lane.look().changes == ()


def test_another_pipeline_of_the_environment_keeps_its_schema_and_its_readers(lane: Lane) -> None:
    """With the same logins, into a schema of its own: whichever is provisioned last takes nothing from the first. A
    grant too many in that schema is drift all the same."""
    settings = {**lane.environment.settings, "schema": "billing"}
    beside = replace(lane, environment=replace(lane.environment, settings=settings))
    beside.apply()
    with beside.connect(PUBLISHER) as publisher:
        publisher.execute("create view billing.revenue as select id from lanewise_prod.v1")
    assert lane.look().changes == ()
    assert beside.look().changes == ()
    with lane.connect(READER) as reader:
        for view in ("analytics_prod.orders", "billing.revenue"):
            assert reader.execute(f"select id from {view}".encode()).fetchall() == [(1,)]
    with lane.connect() as root:
        root.execute(f"grant insert on billing.revenue to {lane.login(READER)}")
        root.execute(f"grant create on schema billing to {lane.login(RUNNER)}")
    assert {change.kind for change in lane.look().changes} == {Kind.REVOKE}
    assert len(lane.look().changes) == 2
