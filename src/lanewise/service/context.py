"""What every story of ``service/`` is handed: the project, its config, and the ports to act through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lanewise.domain.environment import Config, Environment
from lanewise.domain.evidence import Verdict
from lanewise.domain.ports import BuildStore, Ledger, Orchestrator, Runner, Secrets, Warehouse
from lanewise.domain.project import Project
from lanewise.domain.promotion import State


@dataclass(frozen=True)
class Actor:
    """Who asks. ``proved_by`` says how we know: ``os-user`` on a laptop (``os-login`` where it has no table of
    users), ``declared`` when they merely say so."""

    name: str
    proved_by: str
    emails: tuple[str, ...] = ()


class Progress(Protocol):
    """Where a story tells what it is doing: one line a step, and a count while a long one lasts."""

    def say(self, line: str) -> None:
        """A step is done or begun."""

    def advance(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of ``what`` are finished."""

    def moved(self, promotion: str, state: State, reason: str) -> None:
        """A promotion is in another state, and why."""

    def judged(self, verdict: Verdict) -> None:
        """A gate, or the canary's judge, has said what it makes of its evidence."""


class Context(Protocol):
    """One project's workshop. ``bootstrap`` builds it; attributes are made when first asked for."""

    @property
    def root(self) -> Path:
        """The project's folder."""

    @property
    def home(self) -> Path:
        """``root/.lanewise``: what the embedded default keeps."""

    @property
    def project(self) -> Project:
        """The working tree's project file."""

    @property
    def config(self) -> Config:
        """The working tree's environments file, resolved. Promotions use the pinned one: ``service.configure``."""

    @property
    def overrides(self) -> Mapping[str, str]:
        """The ``LANEWISE__*`` variables in force for this command."""

    @property
    def ledger(self) -> Ledger:
        """The record."""

    @property
    def builds(self) -> BuildStore:
        """The build store."""

    @property
    def secrets(self) -> Secrets:
        """Every secret store behind one door."""

    @property
    def runner(self) -> Runner:
        """Runs a command on this machine: a gate's, or one that a person gave."""

    @property
    def orchestrator(self) -> Callable[[Environment], Orchestrator]:
        """Opens (once) what carries the runs of an environment out."""

    @property
    def actor(self) -> Actor:
        """Who asks."""

    @property
    def progress(self) -> Progress:
        """Where to tell."""

    @property
    def warehouse(self) -> Callable[[Environment], Warehouse]:
        """Opens (once) the warehouse of an environment of this project."""
