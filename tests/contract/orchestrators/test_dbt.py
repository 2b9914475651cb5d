"""dbt as an orchestrator: the story that all of them tell, on real dbt and DuckDB; then what is dbt's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lanewise.bootstrap import open_context
from lanewise.builds.manifest import make_manifest
from lanewise.domain.serving import Served
from lanewise.errors import Refused
from lanewise.publication.lineage import write_lineage
from lanewise.service.candidate import open_candidate
from lanewise.testing.orchestrator_story import SECRET, VARIABLE, OrchestratorStory, Seen
from lanewise.testing.postgres import SUPERUSER, Server

DBT = Path(__file__).parents[3] / ".cache" / "dbt" / "bin" / "dbt"
ROLES = ("runner", "publisher", "reader")

PROJECT = """\
name: sales
version: "1.0"
profile: whatever
"""
MODELS = """\
sources:
  - name: raw
    tables: [{name: sales}]
models:
  - name: daily
    columns: [{name: day, data_tests: [not_null, {unique: {config: {severity: warn}}}]}]
"""
# It computes every day there is: what was not asked for is not handed over.
DAILY = """\
{{ config(materialized='table') }}
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
        done = subprocess.run(command, cwd=self.root, env={**os.environ, VARIABLE: SECRET}, check=False)
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


PG_FILES = {
    "lanewise.yaml": """\
project: shop
source: {include: ["dbt_project.yml", "models/**", "seeds/**", "macros/**"]}
run: dbt build
inputs: [raw.sales]
tables:
  daily:
    kind: partition
    partition: {column: day, grain: day}
    key: [day]
    columns: {day: DATE not null, total: "DECIMAL(18,2)", region: VARCHAR}
    checks: [{unique: [day]}]
  counts: {kind: partition, partition: {column: day, grain: day}, key: [day]}
  regions: {key: [region]}
""",
    "dbt_project.yml": """\
name: shop
profile: nobodys
models: {shop: {staging: {+schema: staging}}}
""",
    "seeds/names.csv": "code,region\n1,North\n2,South\n",
    "macros/names.sql": "{% macro generate_schema_name(custom, node) %}{{ custom or 'wherever' }}{% endmacro %}",
    "models/sources.yml": """\
sources: [{name: raw, schema: elsewhere, tables: [{name: sales, config: {event_time: day}}]}]
models:
  - name: daily
    config: {contract: {enforced: true}}
    columns:
      - {name: day, data_type: date, data_tests: [not_null]}
      - {name: total, data_type: "numeric(18,2)"}
      - {name: region, data_type: text, data_tests: [{not_null: {config: {severity: warn}}}]}
""",
    "models/staging/sold.sql": "{{ config(materialized='view', event_time='day') }}"
    " select * from {{ source('raw', 'sales') }}",
    "models/daily.sql": """\
{{ config(materialized='incremental', incremental_strategy='microbatch', unique_key='day', event_time='day',
          batch_size='day', begin='2026-01-01', on_schema_change='fail') }}
select day, sum(amount)::numeric(18,2) as total, max(n.region) as region
from {{ ref('sold') }} left join {{ ref('names') }} n using (code) group by day
""",
    "models/counts.sql": "{{ config(materialized='table') }}"
    " select day, count(*) as n from {{ ref('sold') }} group by day",
    "models/regions.sql": "{{ config(materialized='view') }} select distinct region from {{ ref('daily') }}",
}


@pytest.fixture
def shop(tmp_path: Path, postgres15: Server) -> Path:
    """A project on PostgreSQL with logins of their own, provisioned."""
    database = postgres15.database()
    with postgres15.connect(database) as connection:
        connection.execute("create schema raw")
        connection.execute(
            "create table raw.sales as select date '2026-01-01' + (n / 10)::int as day,"
            " n as amount, 1 + n % 2 as code from generate_series(0, 59) n"
        )
    place = f"type: postgres, host: 127.0.0.1, port: {postgres15.port}, database: {database}"
    roles = ", ".join(f"{role}: {database}_{role}, {role}_password: 'env:SHOP_{role.upper()}'" for role in ROLES)
    (tmp_path / "environments.yaml").write_text(f"""\
identity: declared
defaults: {{src_conn: "db_{{env}}", dst_conn: "db_{{env}}", orchestrator_conn: "dbt_{{env}}"}}
environments: {{prod: {{schema: shop, table_suffix: "", data: {{from: 2026-01-01, to: 2026-01-06}}}}}}
connections:
  "db_{{env}}": {{{place}, {roles}, admin: {SUPERUSER}}}
  "dbt_{{env}}": {{type: dbt, executable: {DBT}, threads: 2}}
promotion: {{prod: {{gates: [quality], rollout: {{canary: [30%, 100%]}}}}}}
""")
    for name, text in PG_FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    type_lane(tmp_path, "provision", "prod", "--apply")
    return tmp_path


def type_lane(root: Path, *words: str, code: int = 0) -> str:
    variables = {f"SHOP_{role.upper()}": f"{SECRET}-{role}" for role in ROLES}
    done = subprocess.run([sys.executable, "-m", "lanewise.cli", *words], cwd=root, capture_output=True, text=True,
                          check=False, env={**os.environ, "LANEWISE_ACTOR": "ana", **variables})  # fmt: skip
    assert done.returncode == code, f"lane {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert SECRET not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_on_postgres_a_run_writes_into_its_room_as_the_runner_and_leaves_nothing_there(shop, postgres15):
    type_lane(shop, "build", "--tag", "v1")
    type_lane(shop, "promote", "v1", "--to", "prod")
    database = shop.joinpath("environments.yaml").read_text().partition("database: ")[2].partition(",")[0]
    with postgres15.connect(database) as connection:
        rows = connection.execute("select day::text, total::text, region from shop.daily order by day").fetchall()
        assert (len(rows), rows[0]) == (6, ("2026-01-01", "45.00", "South"))
        assert connection.execute("select count(*) from shop.regions").fetchone() == (1,)

        # Days with gaps between them are computed in stretches; the others are not touched.
        connection.execute("update raw.sales set amount = amount + 1")
        type_lane(shop, "run", "prod", "--partition", "2026-01-02", "--partition", "2026-01-05")
        after = connection.execute("select day::text, total::text, region from shop.daily order by day").fetchall()
        assert [row[0] for row, old in zip(after, rows, strict=True) if row != old] == ["2026-01-02", "2026-01-05"]
        log = max(shop.glob(".lanewise/logs/*.log"), key=lambda file: file.stat().st_mtime).read_text()
        assert log.count("START batch") == 2

        left = connection.execute(
            "select relname from pg_class where relnamespace = 'lanewise_prod_runs'::regnamespace"
        )
        assert [row for row in left.fetchall() if not row[0].startswith("pg_")] == []
    kept = [file for file in shop.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert kept == []


def test_one_changed_model_forks_its_table_and_what_is_computed_from_it(shop):
    type_lane(shop, "build", "--tag", "v1")
    before = fingerprints(shop, "v1")
    shown = type_lane(shop, "build", "show", "v1")
    assert "table        daily, by model.shop.daily" in shown
    assert "model.shop.sold" in shown
    write(shop, "models/regions.sql", "-- worded otherwise\n" + PG_FILES["models/regions.sql"])
    type_lane(shop, "build", "--tag", "v2")
    after = fingerprints(shop, "v2")
    assert (after["daily"] == before["daily"], after["regions"] == before["regions"]) == (True, False)
    write(shop, "models/staging/sold.sql", PG_FILES["models/staging/sold.sql"] + " where amount > 0")
    type_lane(shop, "build", "--tag", "v3")
    assert not set(fingerprints(shop, "v3").values()) & set(after.values())


def test_the_checksums_are_the_same_in_every_target(shop):
    config = (shop / "environments.yaml").read_text()
    write(
        shop,
        "environments.yaml",
        config.replace("environments: {prod:", "environments: {stage: {schema: staged}, prod:"),
    )
    ctx = open_context(shop)
    files = make_manifest(shop, ctx.project).files
    stage, prod = (ctx.orchestrator(ctx.config.environment(name)) for name in ("stage", "prod"))
    assert write_lineage(stage.trace(shop, files, ctx.project)) == write_lineage(prod.trace(shop, files, ctx.project))


def test_what_shows_only_as_it_compiles_is_refused_and_what_asks_a_database_is_left_to_the_run(shop):
    ctx = open_context(shop)
    lane = ctx.config.environment("prod")
    served = Served("shop", "prod", "sha256:" + "ab" * 32, lane.digest, shop, shop / "compiled.json", "shop")
    write(shop, "models/asks.sql", "select {{ run_query('select 1').columns | length if execute else 0 }} as n")
    ctx.orchestrator(lane).serve(served)
    write(shop, "models/asks.sql", "select {{ nowhere.n if execute else 0 }} as n")
    with pytest.raises(Refused, match=r"Compilation Error in model asks \(models/asks\.sql\) 'nowhere' is undefined"):
        ctx.orchestrator(lane).serve(replace(served, build="sha256:" + "cd" * 32))


def fingerprints(root: Path, build: str) -> Mapping[str, str]:
    ctx = open_context(root)
    return open_candidate(ctx, build).fingerprints(ctx.config.environment("prod"))


def write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)
