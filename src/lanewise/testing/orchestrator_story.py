"""What every orchestrator must do, told through ``lane`` itself as a user types it. A plug-in's author subclasses
``OrchestratorStory`` and gives it a stand::

    class TestOurOrchestrator(OrchestratorStory):
        @pytest.fixture
        def stand(self):
            return OurStand()

The story is one test, since it goes from one state to the next; each letter of it is a subtest:

(a) settings and secrets reach the pipeline   (b) the live build runs, found by its digest, verified
(c) a canary runs chosen partitions beside the live schedule   (d) results are read back as evidence
(e) rollback moves code and data together   (f) every run is labelled   (g) schedules follow the environment
(h) a build that does not load there is refused before it moves
"""

# ruff: noqa: S101, T201 - a conformance suite is made of assertions, and says where the time goes
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest
from ruamel.yaml import YAML

from lanewise.domain.serving import Standing

SECRET = "hunter2-story"  # noqa: S105 - the story's own
VARIABLE = "SALES_PASSWORD"
DAYS = tuple(f"2013-01-{day:02}" for day in range(1, 13))
FIRST, LATER = DAYS[:8], DAYS[8:]
"""The days that the first release computes, and those that the clock's own runs bring."""


@dataclass(frozen=True)
class Seen:
    """One run as the orchestrator itself shows it to people."""

    build: str  # the whole digest, or its first eight digits
    environment: str
    purpose: str
    run: str  # Lanewise's name for it
    ok: bool
    partitions: tuple[str, ...] = ()  # where it shows them


class Stand(Protocol):
    """A real orchestrator with the story's pipeline in it. ``type`` is that of its connection."""

    type: str

    def start(self, root: Path) -> None:
        """Start the servers for the environment ``prod`` of the project in ``root``, whose sign need not be up yet.
        The variable ``SALES_PASSWORD`` is to be set for the pipeline's processes, to ``SECRET``."""

    def stop(self) -> None:
        """End all that was started."""

    def connection(self) -> Mapping[str, Any] | None:
        """The fields of the connection ``orchestrator_prod``, its type left out; None for the local runner. Its secret
        fields are references to variables, which ``variables`` gives."""

    def variables(self) -> Mapping[str, str]:
        """What ``lane`` needs to resolve them."""

    def project(self) -> Mapping[str, Any]:
        """What ``lanewise.yaml`` says beside the story's own: ``entries``, and ``run`` for those that need it."""

    def files(self, version: str) -> Mapping[str, str]:
        """Path -> text below ``pipelines/``. It reads ``raw.sales`` (day DATE, amount INTEGER) and writes to ``daily``
        (day, total, build), for each day asked for, the sum of ``amount`` times the setting ``factor`` plus the length
        of the password of the connection ``src``, and the build's digest (``lane.build``). Versions: ``one``, ``two``
        (a total is one higher), ``broken`` (does not import), ``failing`` (loads, and fails or fails its own test)."""

    def fire(self, day: str) -> bool:
        """Let the live entry start a run for a day, as the clock would; wait. Whether it ended well."""

    def runs(self) -> list[Seen]:
        """The runs, oldest first."""

    def away(self) -> AbstractContextManager[None] | None:
        """While the block lasts, the orchestrator's server does not answer. None where there is none."""


@dataclass
class Tale:
    """The project, and ``lane`` as a user types it."""

    root: Path
    stand: Stand
    variables: dict[str, str]
    digests: dict[str, str] = field(default_factory=dict)

    def lane(self, *words: str, code: int = 0, told: bool = True) -> str:
        """Type a command; what it printed (on standard output alone unless it ``told`` all). Fails unless it ends with
        ``code``."""
        started = time.monotonic()
        done = self.begin(*words)
        out, err = done.communicate(timeout=600)
        print(f"{time.monotonic() - started:6.1f} s  lane {' '.join(words)}")
        assert done.returncode == code, f"lane {' '.join(words)}: {done.returncode}\n{out}\n{err}"
        assert SECRET not in out + err
        return out + err if told else out

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Type a command, and don't wait."""
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "lanewise.cli", *words], cwd=self.root, env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def build(self, version: str) -> str:
        """Make the build of a version; its digest."""
        for name, text in self.stand.files(version).items():
            path = self.root / "pipelines" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.digests[version] = json.loads(self.lane("build", "--format", "json", told=False))["digest"]
        return self.digests[version]

    def config(self, **settings: Any) -> None:
        """Write ``environments.yaml`` with these settings of prod."""
        connections: dict[str, Any] = {
            "raw": {"type": "files", "path": "data", "password": f"env:{VARIABLE}"},
            "warehouse_prod": {"type": "duckdb"},
        }
        own: dict[str, Any] = {"src_conn": "raw", "factor": 10, "schedule": "as written"}
        if (fields := self.stand.connection()) is not None:
            connections["orchestrator_prod"] = {"type": self.stand.type, **fields}
            own["orchestrator_conn"] = "orchestrator_prod"
        document = {
            "identity": "declared",
            "environments": {"prod": {**own, **settings, "data": {"from": FIRST[0], "to": FIRST[-1]}}},
            "connections": connections,
            "promotion": {"prod": {"gates": ["quality"], "rollout": {"canary": ["25%", "100%"]}}},
        }
        with (self.root / "environments.yaml").open("w") as file:
            YAML().dump(document, file)

    def rows(self) -> dict[str, tuple[float, str]]:
        """What a reader sees: day -> (total, build)."""
        with duckdb.connect(str(self.root / ".lanewise/warehouse/prod.duckdb"), read_only=True) as db:
            found = db.execute("select strftime(day, '%Y-%m-%d'), total, build from daily").fetchall()
        return {day: (float(total), build) for day, total, build in found}

    def standing(self) -> Standing:
        """What the orchestrator says that it runs."""
        (lane,) = json.loads(self.lane("status", "prod", "--orchestrator", "--format", "json", told=False))["lanes"]
        said = lane["standing"]
        return Standing(said["live"], tuple(said["candidates"]), said["scheduled"], tuple(said["active"]))

    def builds_of_days(self) -> dict[str, str]:
        """Day -> the version whose rows are there."""
        names = {digest: version for version, digest in self.digests.items()}
        return {day: names[build] for day, (_, build) in self.rows().items()}


def write_project(root: Path, stand: Stand) -> None:
    """The story's project file and its input: on day n, two sales of n."""
    root.mkdir(parents=True, exist_ok=True)
    document = {
        "project": "sales",
        "source": {"include": ["pipelines/**"]},
        "run": "python -m pipelines.sales",
        "inputs": ["raw.sales"],
        "tables": {
            "daily": {
                "kind": "partition", "partition": {"column": "day", "grain": "day"}, "key": ["day"],
                "columns": {"day": "DATE not null", "total": "DOUBLE", "build": "VARCHAR"},
                "checks": [{"not_null": ["total"]}],
                "changes": [{"what": "values", "columns": ["total", "build"], "reason": "each build signs its rows"}],
            }
        },
        **stand.project(),
    }  # fmt: skip
    with (root / "lanewise.yaml").open("w") as file:
        YAML().dump(document, file)
    (root / "data" / "raw").mkdir(parents=True)
    lines = ["day,amount", *(f"{day},{n}" for n, day in enumerate(DAYS, 1) for _ in range(2))]
    (root / "data" / "raw" / "sales.csv").write_text("\n".join(lines) + "\n")


def total(day: str, version: str = "one", factor: int = 10) -> float:
    """What a day's total must be."""
    return 2 * (DAYS.index(day) + 1) * factor + len(SECRET) + (1 if version == "two" else 0)


class OrchestratorStory:
    """The conformance suite of the ``Orchestrator`` port."""

    @pytest.fixture
    def stand(self) -> Stand:
        """The orchestrator under test: the one thing to override."""
        raise NotImplementedError

    @pytest.fixture
    def tale(self, stand: Stand, tmp_path: Path) -> Any:
        """The project, with the servers up."""
        root = tmp_path / "sales"
        write_project(root, stand)
        try:
            stand.start(root)
            tale = Tale(root, stand, {VARIABLE: SECRET, "LANEWISE_ACTOR": "ana", **stand.variables()})
            tale.config()
            yield tale
        finally:
            stand.stop()

    @pytest.mark.timeout(900)
    def test_a_build_goes_there_and_back(self, tale: Tale, subtests: pytest.Subtests) -> None:
        """The story."""
        one = tale.build("one")
        tale.lane("promote", one, "--to", "prod")
        with subtests.test("(a) settings and secrets reach the pipeline"):
            assert {day: found[0] for day, found in tale.rows().items()} == {day: total(day) for day in FIRST}
        with subtests.test("(b) the live build runs, found by its digest, verified"):
            self.the_live_build_runs(tale, one)
        with subtests.test("(f) every run is labelled"):
            self.every_run_is_labelled(tale, one)
        with subtests.test("(h) a build that does not load there is refused before it moves"):
            self.a_broken_build_is_refused(tale, one)
        with subtests.test("(d) results are read back as evidence"):
            self.a_failing_build_is_reverted(tale, one)
        with subtests.test("(c) a canary runs chosen partitions beside the live schedule"):
            self.a_canary_runs_beside_the_live_schedule(tale)
        with subtests.test("(e) rollback moves code and data together"):
            self.rollback_moves_code_and_data(tale, one)
        with subtests.test("(g) schedules follow the environment"):
            self.schedules_follow_the_environment(tale, one)

    def the_live_build_runs(self, tale: Tale, one: str) -> None:
        """By the clock too; and not when a byte of it was changed."""
        assert tale.standing().live == one
        assert tale.stand.fire(LATER[0])
        assert tale.rows()[LATER[0]] == (total(LATER[0]), one)
        code = sorted((tale.root / ".lanewise" / "unpacked" / one.removeprefix("sha256:")).rglob("*.*"))
        file = next(path for path in code if path.suffix in {".py", ".sql"})
        before = file.read_bytes()
        file.write_bytes(before + b"\n")
        try:
            assert not tale.stand.fire(LATER[1])
        finally:
            file.write_bytes(before)
        assert LATER[1] not in tale.rows()

    def every_run_is_labelled(self, tale: Tale, one: str) -> None:
        """Environment, build and purpose, where the orchestrator shows runs."""
        runs = tale.stand.runs()
        assert {"promotion", "scheduled"} <= {run.purpose for run in runs}
        for run in runs:
            assert run.environment == "prod"
            assert run.run
            assert one.removeprefix("sha256:").startswith(run.build.removeprefix("sha256:")[:8])

    def a_broken_build_is_refused(self, tale: Tale, one: str) -> None:
        """Nothing is moved, and the reason is the orchestrator's own."""
        before = tale.rows()
        said = tale.lane("promote", tale.build("broken"), "--to", "prod", code=1)
        assert "REJECTED" in said
        assert "pipelines" in said  # the file at fault is named
        assert (tale.standing().live, tale.standing().candidates, tale.rows()) == (one, (), before)

    def a_failing_build_is_reverted(self, tale: Tale, one: str) -> None:
        """It loads, so it is tried; what fails there is told."""
        before = tale.rows()
        said = tale.lane("promote", tale.build("failing"), "--to", "prod", code=1)
        assert "REVERTED" in said
        assert (tale.standing().live, tale.standing().candidates, tale.rows()) == (one, (), before)

    def a_canary_runs_beside_the_live_schedule(self, tale: Tale) -> None:
        """While the candidate is computed and judged, the clock's run of the live build ends well and is published."""
        two = tale.build("two")
        promotion = tale.begin("promote", two, "--to", "prod")
        while promotion.poll() is None and two not in tale.standing().candidates:
            time.sleep(0.2)
        fired = tale.stand.fire(LATER[2])
        out, err = promotion.communicate(timeout=600)
        assert promotion.returncode == 0, out + err
        if not fired:  # the cut-over overtook it, so that the new build is to compute that day
            assert "another release went live" in tale.lane("history", "--format", "json")
            assert tale.stand.fire(LATER[2])
        assert tale.standing().live == two
        assert tale.standing().candidates == ()
        assert set(tale.builds_of_days().values()) == {"two"}
        assert tale.rows()[LATER[2]][0] == total(LATER[2], "two")
        canaries = [run for run in tale.stand.runs() if run.purpose == "canary"]
        assert canaries
        shown = {day for run in canaries for day in run.partitions}
        assert shown <= {*FIRST, *LATER}

    def rollback_moves_code_and_data(self, tale: Tale, one: str) -> None:
        """Readers, code and new runs are those of the earlier build; nothing of the later one runs on."""
        tale.lane("rollback", "prod", "--reason", "the story says so")
        assert set(tale.builds_of_days().values()) == {"one"}
        standing = tale.standing()
        assert standing.live == one
        assert tale.digests["two"] not in standing.active
        assert tale.stand.fire(LATER[3])
        assert tale.rows()[LATER[3]] == (total(LATER[3]), one)

    def schedules_follow_the_environment(self, tale: Tale, one: str) -> None:
        """Paused where config says so; and a promotion waits, says why, and goes on when the orchestrator is away."""
        clock = tale.stand.connection() is not None and tale.standing().scheduled
        tale.lane("resume", "prod")
        tale.config(schedule="paused")
        tale.lane("promote", one, "--to", "prod")
        assert not tale.standing().scheduled
        tale.config(schedule="as written", factor=11)
        away = tale.stand.away()
        if away is None:
            tale.lane("promote", one, "--to", "prod")
        else:
            self._promote_while_away(tale, one, away)
        assert tale.standing().scheduled == clock
        assert tale.standing().live == one

    def _promote_while_away(self, tale: Tale, one: str, away: AbstractContextManager[None]) -> None:
        with away:
            promotion = tale.begin("promote", one, "--to", "prod")
            time.sleep(6)
            assert promotion.poll() is None, promotion.communicate()
        out, err = promotion.communicate(timeout=600)
        assert promotion.returncode == 0, out + err
        assert "waiting for" in out + err
        assert "answers again" in out + err
