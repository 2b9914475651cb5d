"""Between provisioned environments every try is refused; each hole, planted alone, is found by name, and gone again
when it is taken out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.contract.probes.walls import Town, by_database, by_schema, by_suffix, holes, told

from lanewise.domain.environment import Role
from lanewise.domain.isolation import Outcome
from lanewise.testing.postgres import Server

LAYOUTS = {"databases": by_database, "schemas": by_schema}
_BUILT: dict[str, Town] = {}


@pytest.fixture(params=["15 databases", "15 schemas", "18 databases", "18 schemas"])
def any_town(request: pytest.FixtureRequest) -> Town:
    """dev and prod, made once for each server and layout: every test leaves it as it was."""
    return _town(request, request.param)


@pytest.fixture(params=["15 schemas", "18 databases"])
def town(request: pytest.FixtureRequest) -> Town:
    """Each server and each layout, once."""
    return _town(request, request.param)


def _town(request: pytest.FixtureRequest, name: str) -> Town:
    version, layout = name.split()
    if name not in _BUILT:
        _BUILT[name] = LAYOUTS[layout](request.getfixturevalue(f"postgres{version}"), "dev", "prod")
    return _BUILT[name]


@dataclass(frozen=True)
class Hole:
    """What is planted in prod's database for dev's runner, what takes it out, and how it is told: its action and its
    target, in words."""

    name: str
    plant: tuple[str, ...]
    remove: tuple[str, ...]
    found: tuple[str, str]
    words: str = ""


HOLES = (
    Hole("a table that may be read", ("grant select on {store}.v1 to {dev}",),
         ("revoke select on {store}.v1 from {dev}",),
         ("hold rights", "table {store}.v1"), "select; granted to {dev} itself"),
    Hole("a table that may be added to", ("grant insert on {store}.v1 to {dev}",),
         ("revoke insert on {store}.v1 from {dev}",), ("hold rights", "table {store}.v1"), "insert"),
    Hole("a table that may be emptied", ("grant truncate on {store}.v1 to {dev}",),
         ("revoke truncate on {store}.v1 from {dev}",), ("hold rights", "table {store}.v1"), "truncate"),
    Hole("a column that may be read", ("grant select (amount) on {store}.v1 to {dev}",),
         ("revoke select (amount) on {store}.v1 from {dev}",), ("hold rights", "table {store}.v1"), "select"),
    Hole("a column that may be written", ("grant update (amount) on {store}.v1 to {dev}",),
         ("revoke update (amount) on {store}.v1 from {dev}",), ("hold rights", "table {store}.v1"), "update"),
    Hole("a schema that may be entered and filled", ("grant usage, create on schema {store} to {dev}",),
         ("revoke usage, create on schema {store} from {dev}",), ("*", "schema {store}"), "granted to {dev} itself"),
    Hole("PUBLIC on a schema", ("grant usage on schema {public} to public",),
         ("revoke usage on schema {public} from public",), ("*", "schema {public}"), "granted to PUBLIC"),
    Hole("PUBLIC on a table", ("grant select on {public}.orders to public",),
         ("revoke select on {public}.orders from public",), ("hold rights", "view {public}.orders"), "PUBLIC"),
    Hole("PUBLIC on a table that runs wrote", ("grant select on {rooms}.r1_orders to public",),
         ("revoke select on {rooms}.r1_orders from public",), ("hold rights", "table {rooms}.r1_orders"), "PUBLIC"),
    Hole("a sequence that may be moved", ("grant usage on sequence {store}.slice_numbers to {dev}",),
         ("revoke usage on sequence {store}.slice_numbers from {dev}",),
         ("hold rights", "sequence {store}.slice_numbers"), "usage"),
    Hole("a group that inherits",
         ("alter role {dev} inherit", "create role {group} nologin", "grant {publisher} to {group}",
          "grant {group} to {dev}"),
         ("drop role {group}", "alter role {dev} noinherit"), ("inherit", "role {publisher}"),
         "member of {group} of {publisher}"),
    Hole("a group with a grant",
         ("create role {group} nologin", "grant select on {store}.v1 to {group}", "grant {group} to {dev}"),
         ("drop owned by {group}", "drop role {group}"), ("hold rights", "table {store}.v1"), "granted to {group}"),
    Hole("a group with a grant, inherited",
         ("alter role {dev} inherit", "create role {group} nologin", "grant usage on schema {store} to {group}",
          "grant {group} to {dev}"),
         ("drop owned by {group}", "drop role {group}", "alter role {dev} noinherit"), ("*", "schema {store}"),
         "granted to {group}"),
    Hole("a membership that waits for SET ROLE",
         ("create role {group} nologin noinherit", "grant {publisher} to {group}", "grant {group} to {dev}"),
         ("drop role {group}",), ("become", "role {publisher}"), "member of {group} of {publisher}"),
    Hole("default privileges",
         ("alter default privileges for role {publisher} in schema {store} grant select on tables to {dev}",),
         ("alter default privileges for role {publisher} in schema {store} revoke select on tables from {dev}",),
         ("use", "future tables {store} by {publisher}"), "select; by default privileges"),
    Hole("default privileges of runs", ("alter default privileges for role {runner} grant all on tables to public",),
         ("alter default privileges for role {runner} revoke all on tables from public",),
         ("use", "future tables {rooms} by {runner}"), "truncate"),
    Hole("a role that reads all data", ("grant pg_read_all_data to {dev}",), ("revoke pg_read_all_data from {dev}",),
         ("be in a role above grants", "server *"), "pg_read_all_data"),
    Hole("a role that writes all data", ("grant pg_write_all_data to {dev}",), ("revoke pg_write_all_data from {dev}",),
         ("hold rights", "table {store}.v1"), "insert, update, delete; by a role that is above grants"),
    Hole("a superuser", ("alter role {dev} superuser",), ("alter role {dev} nosuperuser",),
         ("stand above grants", "server *"), "superuser"),
    Hole("a group that may make roles", ("create role {group} nologin createrole", "grant {group} to {dev}"),
         ("drop role {group}",), ("stand above grants", "server *"), "createrole"),
    Hole("one who may end sessions", ("grant pg_signal_backend to {dev}",), ("revoke pg_signal_backend from {dev}",),
         ("be in a role above grants", "server *"), "pg_signal_backend"),
    Hole("one who passes row security", ("alter role {dev} bypassrls",), ("alter role {dev} nobypassrls",),
         ("stand above grants", "server *"), "bypassrls"),
    Hole("a table that it owns", ("alter table {store}.v1 owner to {dev}",),
         ("alter table {store}.v1 owner to {publisher}",), ("hold rights", "table {store}.v1"), "ownership"),
    Hole("a function with its owner's rights",
         ("create function {public}.peek() returns int language sql security definer as 'select 1'",
          "alter function {public}.peek() owner to {publisher}", "grant usage on schema {public} to {dev}",
          "grant execute on function {public}.peek() to {dev}"),
         ("drop function {public}.peek()", "revoke usage on schema {public} from {dev}"),
         ("call as its owner", "function {public}.peek()"), "SECURITY DEFINER of {publisher}"),
)  # fmt: skip


def names(town: Town) -> dict[str, str]:
    place = town.place("prod")
    return {
        "store": place.store, "public": place.public, "rooms": place.rooms, "dev": town.user("dev"),
        "publisher": town.user("prod", Role.PUBLISHER), "runner": town.user("prod"), "group": f"g_{town.user('dev')}",
    }  # fmt: skip


def test_every_try_is_refused_by_the_server_itself(any_town: Town):
    found = any_town.measure()
    assert found.whole, told((*found.of(Outcome.ALLOWED), *found.of(Outcome.UNREACHABLE)))
    assert {(c.identity.environment, c.identity.role, c.environment) for c in found.cells} >= {
        (one, role, other) for one, other in (("dev", "prod"), ("prod", "dev"))
        for role in ("runner", "publisher", "reader")
    }  # fmt: skip
    assert all(cell.tries >= 12 for cell in found.cells)


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.name)
def test_a_hole_is_found_by_name_and_gone_when_it_is_closed(town: Town, hole: Hole):
    words = names(town)
    action, target = (text.format(**words) for text in hole.found)
    with town.planted(
        "prod", *(s.format(**words) for s in hole.plant), removal=[s.format(**words) for s in hole.remove]
    ):
        found = town.measure()
    told_of = [
        a for a in found.of(Outcome.ALLOWED)
        if a.identity.environment == "dev" and a.identity.role == "runner" and action in {a.action, "*"}
        and (str(a.target) == target or (target.endswith("*") and str(a.target).startswith(target[:-1])))
    ]  # fmt: skip
    assert told_of, told(found.of(Outcome.ALLOWED))
    assert any(hole.words.format(**words) in a.answer for a in told_of), told(told_of)
    assert not found.of(Outcome.UNREACHABLE)
    after = town.measure()
    assert after.whole, told(after.of(Outcome.ALLOWED))


def test_a_grant_to_one_identity_is_told_of_no_other(town: Town):
    store, dev = town.place("prod").store, town.user("dev")
    with town.planted("prod", f"grant select on {store}.v1 to {dev}", removal=[f"revoke all on {store}.v1 from {dev}"]):
        found = town.measure()
    assert holes(found) == {("dev runner", "hold rights", "table", f"{store}.v1")}


def test_the_right_to_lock_a_table_is_found_where_servers_know_it(postgres18: Server):
    town = by_schema(postgres18, "dev", "prod")
    store, dev = town.place("prod").store, town.user("dev")
    with town.planted("prod", f"grant maintain on {store}.v1 to {dev}", removal=[]):
        found = town.measure()
    assert [(a.target.name, a.answer) for a in found.of(Outcome.ALLOWED)] == [
        (f"{store}.v1", f"maintain; granted to {dev} itself")
    ]


def test_an_open_way_to_the_rows_is_tried_with_real_statements(server: Server):
    town = by_schema(server, "dev", "prod")
    store, dev = town.place("prod").store, town.user("dev")
    with town.planted(
        "prod", f"grant usage on schema {store} to {dev}", f"grant all on {store}.v1 to {dev}", removal=[]
    ):
        found = town.measure()
    tried = {a.action: a for a in found.of(Outcome.ALLOWED) if a.target.name == f"{store}.v1"}
    assert set(tried) == {"select", "insert", "update", "delete", "hold rights"}
    assert tried["insert"].statement == f'explain insert into "{store}"."v1" default values'
    assert tried["insert"].answer == f"accepted; granted to {dev} itself"


def test_in_a_shared_schema_each_view_is_of_the_environment_that_its_name_ends_like(server: Server):
    town = by_suffix(server, "dev", "stage", "prod")
    assert town.measure().whole
    dev = town.user("dev")
    grants = [f"grant select on analytics.{view} to {dev}" for view in ("orders", "orders_stage")]
    with town.planted("prod", *grants, removal=[]):
        found = town.measure()
    assert {(a.target.environment, a.target.name) for a in found.of(Outcome.ALLOWED)} == {
        ("prod", "analytics.orders"), ("stage", "analytics.orders_stage"),
    }  # fmt: skip


def test_a_database_that_lets_another_environment_in_is_a_hole(server: Server):
    town = by_database(server, "dev", "prod")
    dev, database = town.user("dev"), town.lanes["prod"].database
    with town.planted("prod", f"grant connect, create on database {database} to {dev}", removal=[]):
        found = holes(town.measure())
    assert ("dev runner", "connect", "database", database) in found
    assert ("dev runner", "create", "database", database) in found
    assert ("dev reader", "connect", "database", database) not in found


def test_one_login_for_two_environments_is_a_hole(town: Town):
    shop = town.shop()
    dev, prod = (shop.environments[name] for name in ("dev", "prod"))
    theirs, ours = prod.connection("dst"), dev.connection("dst")
    shared = replace(ours, fields={**ours.fields, "reader": theirs.fields["reader"]},
                     secrets={**ours.secrets, "reader_password": theirs.secrets["reader_password"]})  # fmt: skip
    shop.environments = {"dev": replace(dev, connections={shared.name: shared}), "prod": prod}
    found = shop.measure()
    user = str(theirs.fields["reader"])
    assert ("prod reader", "share a login", "role", user) in holes(found)


OVERREACH = (
    ("writes to a published view", "grant insert on {public}.orders to {runner}",
     "revoke insert on {public}.orders from {runner}",
     ("prod runner", "insert", "view", "{public}.orders")),
    ("owns a published view", "alter view {public}.orders owner to {runner}",
     "alter view {public}.orders owner to {publisher}", ("prod runner", "hold rights", "view", "{public}.orders")),
    ("moves the pointer", "grant update (number) on {store}.pointers to {runner}",
     "revoke update (number) on {store}.pointers from {runner}",
     ("prod runner", "hold rights", "table", "{store}.pointers")),
    ("edits a version", "grant delete on {store}.v1 to {runner}", "revoke delete on {store}.v1 from {runner}",
     ("prod runner", "hold rights", "table", "{store}.v1")),
    ("makes what readers see", "grant create on schema {public} to {runner}",
     "revoke create on schema {public} from {runner}", ("prod runner", "create", "schema", "{public}")),
    ("becomes the publisher", "grant {publisher} to {runner}", "revoke {publisher} from {runner}",
     ("prod runner", "become", "role", "{publisher}")),
    ("changes its own inputs", "grant update on raw.orders to {runner}", "revoke update on raw.orders from {runner}",
     ("prod runner", "update", "table", "raw.orders")),
    ("reads rows before they are audited", "grant select on {store}.v1 to {reader}",
     "revoke select on {store}.v1 from {reader}", ("prod reader", "hold rights", "table", "{store}.v1")),
)  # fmt: skip


@pytest.mark.parametrize(("name", "plant", "remove", "hole"), OVERREACH, ids=[row[0] for row in OVERREACH])
def test_nothing_but_the_publisher_publishes(
    town: Town, name: str, plant: str, remove: str, hole: tuple[str, str, str, str]
):
    words = {**names(town), "reader": town.user("prod", Role.READER)}
    with town.planted("prod", plant.format(**words), removal=[remove.format(**words)]):
        found = town.measure()
    assert tuple(text.format(**words) for text in hole) in holes(found), told(found.of(Outcome.ALLOWED))
    assert town.measure().whole


def test_one_login_for_runs_and_for_publishing_is_a_hole(town: Town):
    shop = town.shop()
    dev = shop.environments["dev"]
    ours = dev.connection("dst")
    one = replace(ours, fields={**ours.fields, "runner": ours.fields["publisher"]},
                  secrets={**ours.secrets, "runner_password": ours.secrets["publisher_password"]})  # fmt: skip
    shop.environments = {**shop.environments, "dev": replace(dev, connections={one.name: one})}
    assert ("dev runner", "share a login", "role", str(ours.fields["publisher"])) in holes(shop.measure())


def test_a_publisher_that_can_not_log_in_is_told_and_the_other_tries_count(postgres15: Server):
    """Its login is asked what was granted behind a closed door; without it that stays open, and is said to."""
    town = by_database(postgres15, "dev", "prod")
    town.secrets.values[town.user("prod", Role.PUBLISHER)] = "wrong"
    found = town.measure()
    assert not [a for a in found.attempts if "broke off" in a.answer], told(found.attempts)
    looked = [a for a in found.attempts if a.action == "look up its grants"]
    assert {a.outcome for a in looked} == {Outcome.UNREACHABLE}
    assert "password authentication failed" in looked[0].answer
