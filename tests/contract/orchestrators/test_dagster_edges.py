"""What Dagster does at the edges of the story: many runs in one room, a run that is asked for twice, a queue that is
older than the live build."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.orchestrators.dagster.dagster_server import LIVE
from tests.contract.orchestrators.test_dagster import DagsterStand

from lanewise.adapters.orchestrators.dagster.graphql import GraphQL
from lanewise.adapters.orchestrators.dagster.outcome import gather
from lanewise.adapters.orchestrators.dagster.runs import Runs, Target
from lanewise.adapters.orchestrators.rest import Rest
from lanewise.errors import RunFailed
from lanewise.testing.orchestrator_story import DAYS, SECRET, VARIABLE, Tale, total, write_project

FIRST = DAYS[:3]


class ByDay(DagsterStand):
    """Each day is a run of its own, as Dagster does it unless told otherwise; the second version leaves the executor
    to Dagster too, so that its steps are processes."""

    def files(self, version: str) -> dict[str, str]:
        text = super().files(version)["definitions.py"]
        text = text.replace(", backfill_policy=dg.BackfillPolicy.single_run()", "")
        return {"definitions.py": text.replace("executor=dg.in_process_executor,", "") if version == "two" else text}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_room_of_many_runs_a_run_asked_for_twice_and_a_queue_that_outlives_a_build(tmp_path: Path):
    stand = ByDay(tmp_path)
    root = tmp_path / "sales"
    write_project(root, stand)
    try:
        stand.start(root)
        tale = Tale(root, stand, {VARIABLE: SECRET, "LANEWISE_ACTOR": "ana"})
        tale.config()
        all_at_once(root)
        days_that_are_runs_of_their_own_share_a_room(tale)
        a_run_asked_for_twice_is_started_once(stand)
        what_waited_for_the_former_build_is_run_by_the_one_that_is_live(tale, stand)
    finally:
        stand.stop()


def all_at_once(root: Path) -> None:
    file = root / "environments.yaml"
    before, _, _ = file.read_text().replace(DAYS[7], FIRST[-1]).partition("promotion:")
    file.write_text(f"{before}promotion: {{prod: {{gates: [quality]}}}}\n")


def days_that_are_runs_of_their_own_share_a_room(tale: Tale) -> None:
    one = tale.build("one")
    tale.lane("promote", one, "--to", "prod")
    assert {day: found[0] for day, found in tale.rows().items()} == {day: total(day) for day in FIRST}
    assert sorted(run.partitions for run in tale.stand.runs()) == [(day,) for day in FIRST]


def a_run_asked_for_twice_is_started_once(stand: DagsterStand) -> None:
    dagster = GraphQL(Rest("Dagster", stand.server.url, print))
    runs, target = Runs(dagster), Target(LIVE, "live", "sales", "sales_partition_set")
    for days in (FIRST[:1], FIRST[:2]):
        tags = {"lanewise/run": f"rerun-{len(days)}"}
        started = runs.start(target, days, tags)
        assert runs.start(target, days, tags) == started
        runs.wait(started, time.monotonic() + 120)
        assert len(runs.of(started)) == len(days)
        found = gather(dagster, runs.of(started), str)
        assert all(f"the Lanewise run rerun-{len(days)} is over" in error for error in found.errors), found.errors
        assert runs.find(tags["lanewise/run"]) is None  # it failed: asked for once more, it is started anew
    with pytest.raises(RunFailed, match="2012-12-31"):
        runs.start(target, ["2012-12-31", *FIRST], {"lanewise/run": "rerun-0"})


def what_waited_for_the_former_build_is_run_by_the_one_that_is_live(tale: Tale, stand: DagsterStand) -> None:
    tale.lane("promote", tale.build("two"), "--to", "prod")
    stand.server.stop_daemon()
    queued = stand.launch(DAYS[5])
    tale.lane("rollback", "prod", "--reason", "a run of it waits")
    assert tale.standing().active == (tale.digests["two"],)
    stand.server.start_daemon()
    until(lambda: DAYS[5] in tale.rows(), stand)
    assert tale.rows()[DAYS[5]] == (total(DAYS[5]), tale.digests["one"])
    # It is published before Dagster has written down that it ended well.
    until(lambda: any(run.ok for run in stand.runs() if run.run == f"live-dg-{queued}"), stand)
    seen = next(run for run in stand.runs() if run.run == f"live-dg-{queued}")
    assert seen.build == tale.digests["one"]  # wholly by the one, and it says so


def until(true: Callable[[], bool], stand: DagsterStand) -> None:
    deadline = time.monotonic() + 240
    while not true():
        assert time.monotonic() < deadline, stand.server.logs()
        time.sleep(0.5)
