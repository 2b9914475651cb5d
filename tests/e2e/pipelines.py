"""A small pipeline on the real embedded warehouse, ledger and store, for the tests of runs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.event import Draft
from lanewise.domain.publication import PartitionMap
from lanewise.domain.run import Purpose
from lanewise.publication.maps import overlay
from lanewise.service.build import make_build
from lanewise.service.candidate import open_candidate
from lanewise.service.configure import in_force
from lanewise.service.releases import stream_of
from lanewise.service.run import Work, execute

DAYS = ("2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04")

PROJECT = """
    project: orders
    source: {include: ["pipelines/**"]}
    run: python -m pipelines.orders
    inputs: [raw.orders]
    environment_variable: DEPLOY_ENV
    tables:
      orders_daily:
        kind: partition
        partition: {column: order_date, grain: day}
        key: [order_id]
        checks: [{not_null: [order_id]}, {unique: [order_id]}]
      totals:
        kind: full
        columns: {orders: BIGINT}
        checks: [{row_count: {min: 1}}]
"""
ENVIRONMENTS = """
    defaults: {src_conn: "raw_{env}", dst_conn: "wh_{env}", retries: 0}
    environments: {dev: {}, prod: {}}
    connections:
      "raw_{env}": {type: files, path: raw, token: "env:RAW_TOKEN"}
      "wh_{env}": {type: duckdb}
"""
CODE = """
    import lanewise

    lane = lanewise.current()
    with lane.run() as run:
        lane.log.info("computing %s", run.partitions)
        run.sql(f"insert into {run.output('orders_daily')} select order_id, order_date, amount "
                f"from {run.input('raw.orders')} where order_date in {run.partitions}")
        run.sql(f"insert into {run.output('totals')} select count(*) from {run.input('raw.orders')}")
"""


def write_project(root: Path, *, code: str = CODE, project: str = PROJECT, environments: str = ENVIRONMENTS) -> None:
    """The files of a project, with four days of orders."""
    (root / "pipelines").mkdir(parents=True, exist_ok=True)
    (root / "raw" / "raw").mkdir(parents=True, exist_ok=True)
    (root / "lanewise.yaml").write_text(textwrap.dedent(project))
    (root / "environments.yaml").write_text(textwrap.dedent(environments))
    (root / "pipelines" / "orders.py").write_text(textwrap.dedent(code))
    rows = [f"{n},{DAYS[n % 4]},{n}.50" for n in range(40)]
    write_orders(root, rows)


def write_orders(root: Path, rows: Sequence[str]) -> None:
    """Replace the input."""
    (root / "raw" / "raw" / "orders.csv").write_text("\n".join(["order_id,order_date,amount", *rows]) + "\n")


def release(root: Path, environment: str = "prod", partitions: Sequence[str] = DAYS[:2]) -> Workshop:
    """Make a build of the working tree live, with these days computed, as a promotion would."""
    ctx = open_context(root)
    config = in_force(ctx)
    lane = config.environment(environment)
    build = open_candidate(ctx, make_build(ctx).digest)
    warehouse = ctx.warehouse(lane)
    tables = tuple(build.project.tables)
    result = execute(ctx, Work(build, lane, Purpose.PROMOTION, tuple(partitions), tables, promotion="x-1"), warehouse)
    live = warehouse.live()
    columns = {name: warehouse.columns(found) for name, found in result.slices.items()}
    target = overlay(PartitionMap(ctx.project.name), result.slices, build.project, columns)
    target = replace(target, number=live.number + 1, build=build.digest, config=lane.digest)
    warehouse.prepare(target)
    warehouse.publish(target, base=live.number, fence=warehouse.pointer().fence)
    ctx.ledger.append(stream_of(ctx, environment), [Draft("release.changed", {
        "build": build.digest, "config": lane.digest, "document": config.digest, "overrides": {},
        "map": target.number, "base_map": live.number, "promotion": "x-1", "kind": "promotion",
    })], actor="test")  # fmt: skip
    return ctx
