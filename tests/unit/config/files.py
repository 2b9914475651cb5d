"""Files to try things on."""

from __future__ import annotations

import textwrap

from lanewise.config.environments import build_config
from lanewise.config.project import build_project
from lanewise.config.reading import read_text
from lanewise.domain.environment import Config
from lanewise.domain.project import Project, Source

PROJECT = Project("orders", Source(("**",)), "true")

DESIGN = """\
defaults:
  src_conn: postgres_{env}
  dst_conn: warehouse_{env}
  bucket: raw-data-{env}
  schema: analytics_{env}
  table_suffix: _{env}
  service_account: sa-etl-{env}
  retries: 0
environments:
  dev:   {}
  stage: {data: {refresh_from: prod, masked: true, sample: 10%}}
  prod:  {schema: analytics, table_suffix: "", retries: 3, sla: 30m}
connections:
  "postgres_{env}":
    type: postgres
    host: "{env}.db"
    user: "svc_{env}"
    password: "vault:secret/data/{env}/postgres#password"
  "warehouse_{env}": {type: duckdb}
promotion:
  stage: {gates: [tests, quality]}
  prod:
    gates: [tests, quality, soak: {runs: 1}]
    approvals: {count: 1, from: [data-leads]}
    rollout: {canary: [5%, 25%, 100%]}
    freeze: [{rrule: "FREQ=WEEKLY;BYDAY=FR,SA,SU", timezone: UTC}]
"""

LANEWISE = """\
project: orders
source: {include: ["pipelines/**", "tests/**", "requirements.txt"]}
run: python -m pipelines.orders
tests: pytest -q tests
inputs: [raw.orders, raw.customers]
tables:
  orders_daily:
    kind: partition
    partition: {column: order_date, grain: day, timezone: UTC}
    key: [order_id]
    checks: [{not_null: [order_id]}, {unique: [order_id]}, {row_count: {max_drop: 5%}}]
"""


def config(text: str, variables: dict[str, str] | None = None) -> Config:
    return build_config(read_text(textwrap.dedent(text), "environments.yaml"), PROJECT, variables or {})


def project(text: str) -> Project:
    return build_project(read_text(textwrap.dedent(text), "lanewise.yaml"))
