"""``lane plan``: what a promotion would do, without doing it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lanewise.cli.completion import builds, environments
from lanewise.cli.output import Format, FormatOption, bytes_of, console, counted, few, hanging, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import plain, short
from lanewise.domain.plan import CanaryStep, Move, Plan, TablePlan
from lanewise.service.build import make_build
from lanewise.service.configure import in_force
from lanewise.service.ground import plan_build, write_plan

app = typer.Typer(rich_markup_mode=None)

BUILD_HELP = "Digest, its first digits, or a tag; without it the working tree is built."
_LABEL = 10
"""Columns that the word before a line takes."""

_MOVE_COLOURS = {Move.NEW: "green", Move.REBUILD: "yellow", Move.DROP: "red", Move.REUSE: "dim", Move.INHERIT: "cyan"}


@app.command()
def show(
    to: Annotated[str, typer.Option("--to", metavar="ENV", help="The environment.", autocompletion=environments)],
    build: Annotated[str | None, typer.Argument(help=BUILD_HELP, autocompletion=builds)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save it to promote exactly this.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Say what promoting a build would do: tables, partitions, canary steps, gates, approvals, bytes held."""
    ctx = workshop()
    in_force(ctx).environment(to)  # a wrong name is told before anything is built
    plan = plan_build(ctx, build or make_build(ctx).digest, to)
    draw_plan(plan, format_)
    if out is not None:
        write_plan(plan, out)
        note(f"saved as {out}; to apply exactly this: lane promote --plan {out}")


def draw_plan(plan: Plan, format_: Format) -> None:
    """Print a plan."""
    if format_ is Format.JSON:
        print_json(plan_document(plan))
        return
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only

    out = console()
    out.print(f"[bold]{short(plan.build)} → {escape(plan.environment)}[/]  {escape(_replaces(plan))}", soft_wrap=True)
    out.print()
    _draw_tables(plan)
    out.print()
    for label, colour, line in [*_course(plan), *_cautions(plan)]:
        text = escape(hanging(line, _LABEL + 1, terminal=sys.stdout.isatty()))
        out.print(f"[{colour}]{label:<{_LABEL}}[/] {text}", soft_wrap=True)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as JSON, with what it comes to."""
    document = plain(plan)
    tables = [{key: value for key, value in table.items() if key != "breaks" or value is not None}
              for table in document["tables"]]  # fmt: skip
    return {**document, "tables": tables, "digest": plan.digest, "bytes": plan.bytes}


def _draw_tables(plan: Plan) -> None:
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.table import Table  # noqa: PLC0415

    grid = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("table", "kind", "move", "partitions", "rows", "bytes", "version"):
        grid.add_column(title, justify="right" if title in {"partitions", "rows", "bytes"} else "left")
    for table in plan.tables:
        colour = _MOVE_COLOURS[table.move]
        name, kind, move, *cells = _row(table)
        grid.add_row(escape(name), kind, f"[{colour}]{move}[/]", *cells)
    console().print(grid)


def _replaces(plan: Plan) -> str:
    if plan.first_release:
        return "the first release there"
    if plan.config_only:
        return f"new config {short(plan.config)} for the build that is live (map {plan.base_map})"
    return f"in place of {short(plan.base_build)} (map {plan.base_map})"


def _row(table: TablePlan) -> tuple[str, ...]:
    version = short(table.version) or "–"
    if table.live_version and table.live_version != table.version:
        version = f"{short(table.live_version)} → {version}"
    if not table.partitions:
        return (table.table, table.kind.value, table.move.value, "–", "–", "–", version)
    known = table.move is not Move.NEW
    sizes = (f"{table.rows:,}", bytes_of(table.bytes)) if known else ("?", "?")
    return (table.table, table.kind.value, table.move.value, f"{len(table.partitions):,}", *sizes, version)


def _course(plan: Plan) -> list[tuple[str, str, str]]:
    """How it would go: a label, its colour, a line."""
    lines = [("", "dim", f"{table.table}: {table.note}") for table in plan.tables if table.note]
    gates = ", ".join(gate.name for gate in plan.gates) or "none"
    lines += [("gates", "dim", gates), ("approvals", "dim", _approvals(plan)), ("rollout", "dim", _rollout(plan))]
    if len(plan.steps) > 1:
        lines += [(f"  step {at}", "dim", _step(step)) for at, step in enumerate(plan.steps, 1)]
    changes = [f"{key}: {old} → {new}" for key, (old, new) in plan.config_changes.items()]
    lines += [("config" if not at else "", "dim", change) for at, change in enumerate(changes)]
    return [*lines, ("holds", "dim", f"{bytes_of(plan.bytes)} beside what is live; plan {short(plan.digest)}")]


def _cautions(plan: Plan) -> list[tuple[str, str, str]]:
    breaking = [("breaking", "red", line) for table in plan.tables for line in table.breaking]
    return [*breaking, *(("note", "yellow", line) for line in plan.warnings)]


def _step(step: CanaryStep) -> str:
    return f"{step.share:>4.0%}  {counted(len(step.partitions), 'partition')}: {few(step.partitions)}"


def _rollout(plan: Plan) -> str:
    partitions = {p for step in plan.steps for p in step.partitions}
    if not partitions:
        return "nothing has to be computed: readers move at once"
    many = counted(len(partitions), "partition")
    if plan.strategy == "canary":
        return f"canary over {many}, in {len(plan.steps)} steps; each is computed and judged before readers see it"
    if plan.strategy == "blue-green":
        return f"blue-green: {many} are computed and compared with what is live, then readers move at once"
    return f"all at once: {many} are computed and checked, then readers move at once"


def _approvals(plan: Plan) -> str:
    rule = plan.approvals
    if not rule.count:
        return "none"
    whom = " or ".join(rule.groups) if rule.groups else "anybody but the one who asks and whoever wrote it"
    return f"{rule.count} from {whom}"
