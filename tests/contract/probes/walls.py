"""Environments on a real server, provisioned and filled, between which walls stand; and measuring them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.warehouses.provisioned import Lane, Passwords, lane_on, provisioned

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.store import ensure
from lanewise.bootstrap import Quiet, find_probe
from lanewise.domain.environment import Config, Environment, Role
from lanewise.domain.isolation import Attempt, Measurement, Outcome
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project, Source
from lanewise.service.context import Actor
from lanewise.service.isolation import FindProbe, measure
from lanewise.testing.fake_ledger import FakeLedger
from lanewise.testing.postgres import Server

PROJECT = Project("orders", Source(("**",)), "python -m orders", inputs=("raw.orders",))


@dataclass
class Shop:
    """As much of a ``Context`` as measuring asks for."""

    environments: Mapping[str, Environment]
    secrets: Secrets
    project: Project = PROJECT
    root: Path = Path()
    ledger: FakeLedger = field(default_factory=FakeLedger)
    progress: Quiet = field(default_factory=Quiet)
    actor: Actor = field(default_factory=lambda: Actor("ana", "os-user"))

    @property
    def config(self) -> Config:
        return Config(self.environments, {"environments": list(self.environments)})

    def measure(self, find: FindProbe = find_probe) -> Measurement:
        return measure(self, find)  # type: ignore[arg-type]


@dataclass
class Town:
    """``lanes`` stand beside each other. ``holes`` are what a measurement shows."""

    server: Server
    lanes: Mapping[str, Lane]
    secrets: Passwords

    def shop(self) -> Shop:
        return Shop({name: lane.environment for name, lane in self.lanes.items()}, self.secrets)

    def measure(self) -> Measurement:
        return self.shop().measure()

    def user(self, lane: str, role: Role = Role.RUNNER) -> str:
        return self.lanes[lane].login(role)

    def place(self, lane: str) -> Place:
        return Place.of(self.lanes[lane].environment, PROJECT.name)

    @contextmanager
    def planted(self, lane: str, *statements: str, removal: Sequence[str]) -> Iterator[None]:
        """As the superuser in the lane's database; taken out again at the end."""
        with self.lanes[lane].connect() as root:
            for statement in statements:
                root.execute(statement)
            try:
                yield
            finally:
                for statement in removal:
                    root.execute(statement)


def by_database(server: Server, *names: str) -> Town:
    """Each environment has a database of its own."""
    return _town(server, [lane_on(server, name) for name in names])


def by_schema(server: Server, *names: str) -> Town:
    """All share one database."""
    database = server.database()
    return _town(server, [lane_on(server, name, database=database) for name in names])


def by_suffix(server: Server, *names: str) -> Town:
    """All share one schema of one database; prod's views have no suffix."""
    database = server.database()
    endings = {name: "" if name == "prod" else f"_{name}" for name in names}
    return _town(server, [
        lane_on(server, name, database=database, settings={"schema": "analytics", "table_suffix": ending})
        for name, ending in endings.items()
    ])  # fmt: skip


def _town(server: Server, environments: Sequence[Environment]) -> Town:
    lanes = {}
    for environment in environments:
        with server.connect(str(environment.connection("dst").fields["database"])) as root:
            root.execute("create schema if not exists raw")
            root.execute("create table if not exists raw.orders (id int)")
        others = [other for other in environments if other is not environment]
        lanes[environment.name] = provisioned(server, environment=environment, others=others, inputs=PROJECT.inputs)
    for lane in lanes.values():
        _fill(lane)
    for lane in lanes.values():  # what one writes, the next may have to revoke
        lane.apply()
    return Town(server, lanes, Passwords())


def _fill(lane: Lane) -> None:
    """The store, a version with rows, a published view over it, a run's table."""
    place = Place.of(lane.environment, PROJECT.name)
    with lane.connect(Role.PUBLISHER) as publisher:
        publisher.autocommit = False
        ensure(publisher, place)
        publisher.execute(
            f"create table {place.store}.v1 as select n as id, n * 2 as amount from generate_series(1, 500) n"
        )
        publisher.execute(
            f"create view {place.public}.{place.view('orders')} as select id, amount from {place.store}.v1"
        )
        publisher.commit()
    with lane.connect(Role.RUNNER) as runner:
        runner.execute(f"create table {place.rooms}.r1_orders (id int)")


def holes(found: Measurement) -> set[tuple[str, str, str, str]]:
    """Who (environment and role) may do what to which target."""
    return {(f"{a.identity.environment} {a.identity.role}", a.action, a.target.kind, a.target.name)
            for a in found.of(Outcome.ALLOWED)}  # fmt: skip


def told(attempts: Iterable[Attempt]) -> str:
    """For a failing test's message."""
    return "\n".join(f"{a.outcome} {a.identity} {a.action} {a.target} | {a.statement} | {a.answer}" for a in attempts)
