"""The only place that picks adapters: it turns a folder into the ``Context`` that every story is handed.

Adapters are found by entry points, the built-in ones included, so that a plug-in is on the same footing.
Everything is made when first asked for: a command pays only for what it touches.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lanewise.adapters.telemetry.watching import Watch, WatchedLedger, WatchedRunner, WatchedWarehouse
from lanewise.domain.environment import Config, Environment
from lanewise.domain.evidence import Verdict
from lanewise.domain.isolation import ProbeOpener
from lanewise.domain.ports import (
    BuildStore,
    Ledger,
    LedgerOpener,
    Login,
    Orchestrator,
    OrchestratorOpener,
    Runner,
    Secrets,
    SecretStore,
    Warehouse,
    WarehouseOpener,
)
from lanewise.domain.project import Project
from lanewise.domain.promotion import State
from lanewise.domain.provision import Policy, ProvisionerOpener
from lanewise.domain.telemetry import Observer
from lanewise.errors import ConfigError, NotFound, WrongInput
from lanewise.service.context import Actor, Progress
from lanewise.service.home import Founding, Home, remembered, require_same, require_unmoved

if TYPE_CHECKING:
    from lanewise.adapters.reviews.review import Review
    from lanewise.adapters.telemetry.courier import SinkOpener

PROJECT_FILE = "lanewise.yaml"


class Quiet:
    """Progress that nobody reads."""

    def say(self, line: str) -> None:
        """Nothing."""

    def advance(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def moved(self, promotion: str, state: State, reason: str) -> None:
        """Nothing."""

    def judged(self, verdict: Verdict) -> None:
        """Nothing."""


class Workshop:
    """One project's ports, opened on first use. Satisfies ``service.context.Context``.

    ``steady``: for what must work whatever the working copy is like (a rollback, a look at the record). Variables of
    this command override nothing, and a broken or moved environments file gives way to the pinned one, with a word.
    """

    def __init__(self, root: Path, progress: Progress | None = None, *, steady: bool = False) -> None:
        self.root = root
        self.steady = steady
        self.home = root / ".lanewise"
        self.progress: Progress = progress or Quiet()
        self._warehouses: dict[str, Warehouse] = {}
        self._orchestrators: dict[str, Orchestrator] = {}
        self._watch = Watch(lambda: self.telemetry)

    @cached_property
    def project(self) -> Project:
        """The working tree's project file."""
        from lanewise.config.load import load_project  # noqa: PLC0415 - `lane status` reads neither YAML file

        return load_project(self.root)

    @cached_property
    def config(self) -> Config:
        """The working tree's environments file."""
        from lanewise.config.load import load_config  # noqa: PLC0415 - as above

        try:
            found = load_config(self.root, self.project, self.overrides)
        except ConfigError as error:
            return self._pinned_instead(error)
        if self.steady and self._kept is not None and (moved := self._kept.moved_by(found)):
            self.progress.say(f"environments.yaml moves {', '.join(moved)}; the remembered places are used")
            return replace(
                found, ledger=self._kept.ledger, builds=self._kept.builds, checkpoints=self._kept.checkpoints
            )
        return found

    @property
    def overrides(self) -> Mapping[str, str]:
        """The ``LANEWISE__*`` variables in force for this command."""
        return {} if self.steady else lanewise_variables(os.environ)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger that this project began with; before its first event, the one that the config names."""
        watched: Any = WatchedLedger(self._ledger(), self._watch)
        return cast("Ledger", watched)

    def _ledger(self) -> Ledger:
        url = self._kept.ledger if self._kept else self.config.ledger
        scheme = url.partition(":")[0].partition("+")[0]
        opener: LedgerOpener = _pick("lanewise.ledgers", scheme).load()
        opened = opener(url, base=self.root, secrets=self.secrets)
        if self._kept:
            require_same(self._kept, self.project.name, opened)
            return opened
        config = self.config
        founding: Any = Founding(
            opened, self.home, partial(Home, self.project.name, config.ledger, config.builds, config.checkpoints)
        )
        return cast("Ledger", founding)

    @cached_property
    def builds(self) -> BuildStore:
        """The build store that this project began with."""
        self._require_unmoved()
        place = self._kept.builds if self._kept else self.config.builds
        store: BuildStore = _pick("lanewise.builds", "fsspec").load()(place, base=self.root)
        return store

    @cached_property
    def secrets(self) -> Secrets:
        """Every installed secret store, opened when its scheme is first used."""
        return self._secrets()

    def _secrets(self) -> Secrets:
        from lanewise.adapters.secrets.resolver import SecretResolver  # noqa: PLC0415 - only when a secret is asked for

        def opener(point: EntryPoint) -> Callable[[], SecretStore]:
            return lambda: point.load()(root=self.root)

        return SecretResolver({name: opener(point) for name, point in _points_of("lanewise.secrets").items()})

    @cached_property
    def telemetry(self) -> Observer | None:
        """Who is told what happens; None where the config in force asks for nobody."""
        from lanewise.service.destinations import destinations  # noqa: PLC0415 - only for commands that act

        found = destinations(self)
        if not found:
            return None
        from lanewise.adapters.telemetry.telling import Means, Telling  # noqa: PLC0415 - off by default

        def opener(kind: str) -> SinkOpener:
            loaded: SinkOpener = _pick("lanewise.telemetry", kind).load()
            return loaded

        means = Means(opener, self._secrets, self.secrets.redact, self.home, self.progress.say)
        telling = Telling(found, means)
        atexit.register(telling.close)
        return telling

    def close(self) -> None:
        """Tell what is still to be told. For the end of a command; closing twice is nothing."""
        telling = self.__dict__.get("telemetry")
        if telling is not None:
            telling.close()

    @cached_property
    def runner(self) -> Runner:
        """The local runner."""
        from lanewise.adapters.orchestrators.local import LocalRunner  # noqa: PLC0415 - only for commands that run

        return WatchedRunner(LocalRunner(self.secrets.redact), self._watch)

    @property
    def orchestrator(self) -> Callable[[Environment], Orchestrator]:
        """Opens the orchestrator of an environment, once."""
        return self._open_orchestrator

    def _open_orchestrator(self, environment: Environment) -> Orchestrator:
        key = f"{environment.name}/{environment.digest}"
        if key not in self._orchestrators:
            from lanewise.service.signs import orchestrator_of  # noqa: PLC0415 - only for commands that act

            opener: OrchestratorOpener = _loaded(_pick("lanewise.orchestrators", orchestrator_of(environment)))
            opened = opener(
                home=self.home, lane=environment, project=self.project.name, secrets=self.secrets, say=self.progress.say
            )
            watched: Any = WatchedRunner(opened, self._watch)
            self._orchestrators[key] = cast("Orchestrator", watched)
        return self._orchestrators[key]

    @cached_property
    def actor(self) -> Actor:
        """Who asks: the OS user, or who they declare to be where the pinned config allows that."""
        from lanewise.service.configure import pinned  # noqa: PLC0415 - only for commands that act

        return _actor(pinned(self) or self.config, os.environ)

    @property
    def warehouse(self) -> Callable[[Environment], Warehouse]:
        """Opens the warehouse of an environment, once."""
        return self._open_warehouse

    def _open_warehouse(self, environment: Environment) -> Warehouse:
        key = f"{environment.name}/{environment.digest}"
        if key not in self._warehouses:
            self._require_unmoved()
            opener: WarehouseOpener = _loaded(_pick("lanewise.warehouses", environment.connection("dst").type))
            warehouse = opener(
                home=self.home, lane=environment, project=self.project.name, secrets=self.secrets, say=self.progress.say
            )
            if not self.steady:
                from lanewise.service.astray import require_known  # noqa: PLC0415 - only for commands that act

                require_known(self, environment.name, warehouse)
            watched: Any = WatchedWarehouse(warehouse, self._watch, environment)
            self._warehouses[key] = cast("Warehouse", watched)
        return self._warehouses[key]

    @cached_property
    def _kept(self) -> Home | None:
        """What was remembered when this project's first event was written."""
        return remembered(self.home)

    def _require_unmoved(self) -> None:
        if self._kept is not None and not self.steady:
            with suppress(ConfigError):  # the pinned config is in force then, and the stories say so
                require_unmoved(self._kept, self.config)

    def _pinned_instead(self, error: ConfigError) -> Config:
        from lanewise.service.configure import pinned  # noqa: PLC0415 - only when the file is broken

        found = pinned(self) if self.steady and self._kept is not None else None
        if found is None:
            raise error
        self.progress.say(f"environments.yaml is broken: {error.message}; the pinned config is in force")
        return found


def open_context(directory: Path | None = None, progress: Progress | None = None, *, steady: bool = False) -> Workshop:
    """The project that ``directory`` (or the current one) lies in. ``NotFound`` outside of any project. ``steady``: see
    ``Workshop``."""
    start = (directory or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return Workshop(folder, progress, steady=steady)
    raise NotFound("project file", PROJECT_FILE, hint=f"no {PROJECT_FILE} in {start} or above; `lane init` writes one")


def lanewise_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The ``LANEWISE__*`` variables that override config."""
    return {name: value for name, value in environ.items() if name.startswith("LANEWISE__")}


def find_login(connection_type: str) -> Login | None:
    """What logs in to connections of this type, to prove a secret; None where nothing installed does."""
    point = _points_of("lanewise.logins").get(connection_type)
    return _loaded(point) if point else None


def find_probe(connection_type: str) -> ProbeOpener | None:
    """What tries the identities of connections of this type; None where nothing installed does."""
    point = _points_of("lanewise.probes").get(connection_type)
    return _loaded(point) if point else None


def find_provisioner(connection_type: str) -> ProvisionerOpener | None:
    """What writes the rights of an environment whose warehouse is of this type; None where nothing installed does."""
    point = _points_of("lanewise.provisioners").get(connection_type)
    return _loaded(point) if point else None


def find_review(environ: Mapping[str, str]) -> Review:
    """The pull or merge request that this CI job runs for. ``WrongInput`` outside of one."""
    from lanewise.adapters.reviews.github import pull_request  # noqa: PLC0415 - only for commands that comment
    from lanewise.adapters.reviews.gitlab import merge_request  # noqa: PLC0415 - as above

    if environ.get("GITHUB_ACTIONS"):
        return pull_request(environ)
    if environ.get("GITLAB_CI"):
        return merge_request(environ)
    raise WrongInput("this is no job of GitHub Actions or GitLab CI", hint="leave --comment out")


def policies() -> tuple[Policy, ...]:
    """What renders rights for other people's tools, by name."""
    return tuple(point.load() for _, point in sorted(_points_of("lanewise.policies").items()))


def _loaded(point: EntryPoint) -> Any:
    """What the entry point names. ``WrongInput`` where what it needs (an extra) is not installed."""
    try:
        return point.load()
    except ImportError as error:
        missing = error.name or "a package that is not here"
        raise WrongInput(f"{point.name} needs {missing}", hint=f"pip install 'lanewise[{point.name}]'") from error


def _pick(group: str, name: str) -> EntryPoint:
    points = _points_of(group)
    if name not in points:
        raise NotFound(group.removeprefix("lanewise.").removesuffix("s"), name, known=points)
    return points[name]


@cache
def _points() -> tuple[EntryPoint, ...]:
    """All that is installed for Lanewise: listing it takes 9 ms, and a command picks three or four."""
    found = entry_points()
    ours = (group for group in found.groups if group.startswith("lanewise."))
    return tuple(point for group in ours for point in found.select(group=group))


def _points_of(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in _points() if point.group == group}


def _actor(config: Config, environ: Mapping[str, str]) -> Actor:
    declared = environ.get("LANEWISE_ACTOR", "")
    name, proved_by = (declared, "declared") if declared and config.identity == "declared" else _os_user()
    person: Any = config.people.get(name)
    return Actor(name=name, proved_by=proved_by, emails=person.emails if person else ())


def _os_user() -> tuple[str, str]:
    """Who runs this process, and how we know. From the system's own tables: ``LOGNAME`` and ``USER`` are anybody's to
    set. Where there are no such tables, whoever is logged in at the terminal, said to be that."""
    try:
        import pwd  # noqa: PLC0415 - not everywhere
    except ImportError:
        return os.getlogin(), "os-login"
    try:
        return pwd.getpwuid(os.geteuid()).pw_name, "os-user"
    except KeyError:  # a container's user without a name
        return f"uid {os.geteuid()}", "os-user"
