"""What every probe must do. A plug-in's author subclasses ``ProbeContract`` and says between which environments walls
stand, and between which there is a hole::

    class TestOurProbe(ProbeContract):
        type = "ours"

        @pytest.fixture
        def walled(self, server): return Walls(two_lanes(server), secrets)

        @pytest.fixture
        def holed(self, server): ...    # the first lane is let in to the second

        @pytest.fixture
        def broken(self, server): ...   # the first lane's secret is wrong

        @pytest.fixture
        def away(self, server): ...     # nobody is where the second lane's connection points
"""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lanewise.domain.canonical import canonical_json
from lanewise.domain.environment import Environment
from lanewise.domain.isolation import Attempt, Holder, Outcome, Probe, ProbeOpener
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project, Source


@dataclass(frozen=True)
class Walls:
    """Two environments, and what their references resolve to. ``values``: the secret values, which must show
    nowhere."""

    lanes: Mapping[str, Environment]
    secrets: Secrets
    values: tuple[str, ...] = ()
    project: Project = field(default_factory=lambda: Project("orders", Source(("**",)), "python -m orders"))


@dataclass(frozen=True)
class Tried:
    """A probe between two environments, and the first one's identities."""

    probe: Probe
    holders: tuple[Holder, ...]
    other: Environment

    def attempts(self) -> list[Attempt]:
        """Of all identities of the first environment on the second."""
        return [attempt for holder in self.holders for attempt in self.probe.attempts(holder, self.other)]


class ProbeContract(ABC):
    """The conformance suite of the ``Probe`` port."""

    type: ClassVar[str]

    @abstractmethod
    def opener(self) -> ProbeOpener:
        """How the probe is opened."""

    def tried(self, walls: Walls) -> Tried:
        """The probe, opened on these environments."""
        probe = self.opener()(secrets=walls.secrets, project=walls.project, lanes=walls.lanes, root=Path())
        first, second = walls.lanes.values()
        ours = [connection for connection in first.connections.values() if connection.type == self.type]
        return Tried(probe, tuple(holder for c in ours for holder in probe.holders(first, c)), second)

    def test_an_identity_says_whose_it_is(self, walled: Walls) -> None:
        """Environment and connection as config names them, and a user that no secret stands in."""
        tried = self.tried(walled)
        assert tried.holders
        for holder in tried.holders:
            assert holder.identity.environment == holder.lane.name
            assert holder.identity.connection in holder.lane.connections
            assert not any(value in str(holder.identity) for value in walled.values)

    def test_a_login_that_works_is_proved_at_home(self, walled: Walls) -> None:
        """Or else its refusals elsewhere would count for nothing."""
        tried = self.tried(walled)
        assert [tried.probe.prove(holder) for holder in tried.holders] == [""] * len(tried.holders)

    def test_behind_a_wall_every_try_is_denied(self, walled: Walls) -> None:
        """And there are tries, of every identity."""
        tried = self.tried(walled)
        attempts = tried.attempts()
        assert {attempt.identity for attempt in attempts} == {holder.identity for holder in tried.holders}
        assert {attempt.outcome for attempt in attempts} == {Outcome.DENIED}
        assert {attempt.target.environment for attempt in attempts} == {tried.other.name}

    def test_a_hole_is_allowed(self, holed: Walls) -> None:
        """At least one try gets through."""
        assert Outcome.ALLOWED in {attempt.outcome for attempt in self.tried(holed).attempts()}

    def test_a_wrong_secret_is_told_at_home(self, broken: Walls) -> None:
        """In words, without the secret."""
        tried = self.tried(broken)
        reasons = [tried.probe.prove(holder) for holder in tried.holders]
        assert any(reasons)
        assert not any(value in reason for reason in reasons for value in broken.values)

    def test_a_server_that_is_away_denies_nothing(self, away: Walls) -> None:
        """No answer is no proof."""
        outcomes = {attempt.outcome for attempt in self.tried(away).attempts()}
        assert outcomes == {Outcome.UNREACHABLE}

    def test_every_try_says_what_was_sent_and_what_came_back_without_a_secret(
        self, walled: Walls, holed: Walls
    ) -> None:
        """What is recorded is plain data."""
        for walls in (walled, holed):
            attempts = self.tried(walls).attempts()
            assert all(a.action and a.statement and a.answer for a in attempts)
            text = canonical_json(attempts).decode()
            assert not any(value in text for value in walls.values)

    def test_what_is_forbidden_at_home_is_denied_there(self, walled: Walls) -> None:
        """Between well-made environments nobody oversteps."""
        tried = self.tried(walled)
        attempts = [attempt for holder in tried.holders for attempt in tried.probe.overreach(holder)]
        assert {attempt.outcome for attempt in attempts} <= {Outcome.DENIED}
        assert {attempt.target.environment for attempt in attempts} <= {h.lane.name for h in tried.holders}
