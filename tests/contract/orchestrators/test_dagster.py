"""The orchestrators' story on a real Dagster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.orchestrators.dagster.dagster_server import LIVE, DagsterServer

from lanewise.testing.orchestrator_story import SECRET, VARIABLE, OrchestratorStory, Seen

CODE = """\
import dagster as dg
import lanewise

days = dg.DailyPartitionsDefinition(start_date="2013-01-01")


@dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
def daily() -> None:
    lane = lanewise.current()
    salt = len(lane.connection("src").password)
    with lane.run() as run:
        run.sql(f'''
            insert into {{run.output("daily")}}
            select day, sum(amount) * {{lane.settings.factor}} + {{salt}} + {more}, '{{lane.build}}'
            from {{run.input("raw.sales")}} where day in {{run.partitions}} group by day
        ''')


@dg.asset_check(asset=daily)
def plausible():
    return dg.AssetCheckResult(passed={passed}, description="totals are not plausible")


sales = dg.define_asset_job("sales", selection=[daily])
defs = dg.Definitions(
    assets=[daily], asset_checks=[plausible], jobs=[sales], executor=dg.in_process_executor,
    schedules=[dg.build_schedule_from_partitioned_job(sales)],
)
{last}
"""
RUNS = """
{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }
"""
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } }
}
"""
STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


class DagsterStand:
    type = "dagster"

    def start(self, root: Path) -> None:
        self.root = root
        self.server.start()

    def __init__(self, folder: Path) -> None:
        self.server = DagsterServer(folder / "dagster", home=folder / "sales" / ".lanewise", environment="prod",
                                    variables={VARIABLE: SECRET})  # fmt: skip

    def stop(self) -> None:
        self.server.stop()

    def connection(self) -> dict[str, str]:
        return {"url": self.server.url}

    def variables(self) -> dict[str, str]:
        return {}

    def project(self) -> dict[str, object]:
        return {"entries": {"dagster": "sales"}}

    def files(self, version: str) -> dict[str, str]:
        return {
            "definitions.py": CODE.format(
                more=1 if version == "two" else 0, passed=version != "failing",
                last="import not_there" if version == "broken" else "",
            )
        }  # fmt: skip

    def fire(self, day: str) -> bool:
        run = self.launch(day)
        while (status := self.status(run)) not in {"SUCCESS", "FAILURE", "CANCELED"}:
            time.sleep(0.3)
        return status == "SUCCESS"

    def launch(self, day: str) -> str:
        """As a tick of the schedule does, which no test waits a day for."""
        selector = {"repositoryLocationName": LIVE, "repositoryName": "live", "jobName": "sales"}
        tags = [{"key": "dagster/partition", "value": day}, {"key": "dagster/schedule_name", "value": "sales_schedule"}]
        found = self.server.ask(LAUNCH, params={"selector": selector, "executionMetadata": {"tags": tags}})
        assert found["__typename"] == "LaunchRunSuccess", found
        return found["run"]["runId"]

    def status(self, run: str) -> str:
        return self.server.ask(STATUS, id=run)["status"]

    def runs(self) -> list[Seen]:
        return [_seen(run) for run in reversed(self.server.ask(RUNS)["results"])]

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.stop_webserver()
        try:
            yield
        finally:
            self.server.start_webserver()


def _seen(run: dict) -> Seen:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    partitions = {tags.get(f"dagster/{name}", "") for name in ("partition", "asset_partition_range_start")}
    return Seen(
        tags["lanewise/build"], tags["lanewise/environment"], tags.get("lanewise/purpose", ""),
        tags.get("lanewise/run", run["runId"]), run["status"] == "SUCCESS", tuple(sorted(partitions - {""})),
    )  # fmt: skip


class TestDagster(OrchestratorStory):
    @pytest.fixture
    def stand(self, tmp_path: Path) -> DagsterStand:
        return DagsterStand(tmp_path)
