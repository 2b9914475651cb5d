"""dbt as an orchestrator: the story that all of them tell, on real dbt and DuckDB; then what is dbt's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from lanewise.testing.orchestrator_story import SECRET, VARIABLE, OrchestratorStory, Seen

DBT = Path(__file__).parents[3] / ".cache" / "dbt" / "bin" / "dbt"

PROJECT = """\
name: sales
version: "1.0"
profile: whatever
"""
MODELS = """\
sources:
  - name: raw
    tables: [{name: sales, config: {event_time: day}}]
models:
  - name: daily
    columns: [{name: day, data_tests: [not_null, {unique: {config: {severity: warn}}}]}]
"""
DAILY = """\
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day', batch_size='day',
          begin='2013-01-01') }}
select day, sum(amount) * {{ var('factor') }} + {{ env_var('LANEWISE_SRC_PASSWORD') | length }} + @PLUS@ as total,
       '{{ env_var('LANEWISE_BUILD') }}' as build
from {{ @SOURCE@ }}
group by day
"""


class DbtStand:
    """No server: what shows runs is the ``run_results.json`` that is kept of each."""

    type = "dbt"

    def start(self, root: Path) -> None:
        self.root = root

    def stop(self) -> None:
        pass

    def connection(self) -> Mapping[str, Any]:
        return {"executable": str(DBT), "threads": 2}

    def variables(self) -> Mapping[str, str]:
        return {}

    def project(self) -> Mapping[str, Any]:
        return {"run": "dbt build", "entries": {"dbt": "pipelines"}}

    def files(self, version: str) -> Mapping[str, str]:
        source = "ref('nowhere')" if version == "broken" else "source('raw', 'sales')"
        daily = DAILY.replace("@PLUS@", "1" if version == "two" else "0").replace("@SOURCE@", source)
        test = "select * from {{ ref('daily') }} where total " + ("> 0" if version == "failing" else "< 0")
        return {"dbt_project.yml": PROJECT, "models/models.yml": MODELS, "models/daily.sql": daily,
                "tests/totals_are_sane.sql": test}  # fmt: skip

    def fire(self, day: str) -> bool:
        command = [sys.executable, "-m", "lanewise.cli", "run", "prod", "--partition", day]
        done = subprocess.run(command, cwd=self.root, env={**os.environ, VARIABLE: SECRET}, capture_output=True)
        return done.returncode == 0

    def runs(self) -> list[Seen]:
        found = [json.loads(file.read_text()) for file in self.root.glob(".lanewise/logs/*.run_results.json")]
        return [
            Seen(
                build=said["LANEWISE_BUILD"], environment=said["LANEWISE_ENVIRONMENT"], run=said["LANEWISE_RUN"],
                purpose=said["LANEWISE_PURPOSE"], partitions=tuple(json.loads(said["LANEWISE_PARTITIONS"])),
                ok=all(one["status"] in {"success", "pass"} for one in results["results"]),
            )
            for results in sorted(found, key=lambda one: str(one["metadata"]["generated_at"]))
            for said in [results["metadata"]["env"]]
        ]  # fmt: skip

    def away(self) -> AbstractContextManager[None] | None:
        return None


class TestDbt(OrchestratorStory):
    @pytest.fixture
    def stand(self) -> DbtStand:
        return DbtStand()
