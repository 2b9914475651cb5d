"""``lane plan``: what a promotion would do, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, console, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import plain, short
from lanewise.domain.plan import Plan, TablePlan
from lanewise.service.build import make_build
from lanewise.service.ground import plan_build, write_plan

app = typer.Typer(rich_markup_mode=None)

BUILD_HELP = "Digest, its first digits, or a tag; without it the working tree is built."


@app.command()
def show(
    to: Annotated[str, typer.Option("--to", metavar="ENV", help="The environment.")],
    build: Annotated[str | None, typer.Argument(help=BUILD_HELP)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save it to promote exactly this.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Say what promoting a build would do: tables, partitions, canary steps, gates, approvals, bytes held."""
    ctx = workshop()
    plan = plan_build(ctx, build or make_build(ctx).digest, to)
    if out is not None:
        write_plan(plan, out)
        note(f"saved as {out}; apply it exactly with: lane promote --plan {out}")
    draw_plan(plan, format_)


def draw_plan(plan: Plan, format_: Format) -> None:
    """Print a plan."""
    if format_ is Format.JSON:
        print_json({**plain(plan), "digest": plan.digest, "bytes": plan.bytes})
        return
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.table import Table  # noqa: PLC0415

    out = console()
    out.print(f"[bold]{short(plan.build)} → {escape(plan.environment)}[/]  {escape(_replaces(plan))}")
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("table", "move", "partitions", "version", "bytes", ""):
        grid.add_column(title)
    for table in plan.tables:
        grid.add_row(*map(escape, _row(table)))
    out.print(grid)
    for at, step in enumerate(plan.steps):
        few = escape(_few(step.partitions))
        out.print(f"  step {at + 1}  {step.share:>4.0%}  {len(step.partitions)} partitions  [dim]{few}[/]")
    out.print(f"  rollout {plan.strategy}, gates {escape(_gates(plan))}, approvals {_approvals(plan)}")
    for key, (old, new) in plan.config_changes.items():
        out.print(f"  config {escape(key)}: {escape(old)} → {escape(new)}")
    for table in plan.tables:
        for line in table.breaking:
            out.print(f"  [red]breaking[/] {escape(table.table)}: {escape(line)}")
    for line in plan.warnings:
        out.print(f"  [yellow]note[/] {escape(line)}")
    out.print(f"  holds {plan.bytes:,} bytes beside what is live; plan {short(plan.digest)}")


def _replaces(plan: Plan) -> str:
    if plan.first_release:
        return "the first release there"
    if plan.config_only:
        return f"new config {short(plan.config)} for the same build"
    return f"replaces {short(plan.base_build)} (map {plan.base_map})"


def _row(table: TablePlan) -> tuple[str, ...]:
    count = str(len(table.partitions)) if table.partitions else "–"
    return (table.table, table.move.value, count, short(table.version), f"{table.bytes:,}", table.note)


def _few(partitions: tuple[str, ...]) -> str:
    return ", ".join(partitions[:4]) + (f" … {partitions[-1]}" if len(partitions) > 4 else "")


def _gates(plan: Plan) -> str:
    return ", ".join(g.name for g in plan.gates) or "none"


def _approvals(plan: Plan) -> str:
    rule = plan.approvals
    return f"{rule.count} of {', '.join(rule.groups) or 'anyone else'}" if rule.count else "none"
