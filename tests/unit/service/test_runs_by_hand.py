"""A command that stands in for the build's own: published like any run, and no evidence of the build."""

from __future__ import annotations

from pathlib import Path

from lanewise.domain.evidence import Moment
from lanewise.service.candidate import open_candidate
from lanewise.service.live import run_live
from lanewise.service.look import Eyes

from .lanes import TWO, Lanes

DAY = "2013-01-05"


def test_a_command_of_ones_own_is_no_run_of_the_build(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    v1 = lanes.build("v1")
    lanes.through(v1, "stage")
    ctx = lanes.ctx()
    run_live(ctx, "stage", [DAY], ["sh", "-e", "pipelines/orders.sh"])
    target = ctx.config.environment("prod")
    eyes = Eyes(ctx, open_candidate(ctx, v1), lanes.plan(v1), target, ctx.config.environment("stage"),
                ctx.warehouse(target), Moment.BEFORE)  # fmt: skip
    assert eyes.runs("stage") == []
    tables = lanes.live("stage").tables
    own = {s.version for s in tables["orders_daily"].slices["2013-01-01"]}
    assert own.isdisjoint({s.version for s in tables["orders_daily"].slices[DAY]})
    run_live(ctx, "stage", [DAY])
    assert len(eyes.runs("stage")) == 1
    assert {s.version for s in lanes.live("stage").tables["orders_daily"].slices[DAY]} == own
