"""``lane config``: show, compare, check and pin configuration."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.cli.project import workshop
from lanewise.errors import NotFound, WrongInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lanewise.bootstrap import Workshop
    from lanewise.config.separation import Separation
    from lanewise.domain.environment import Config
    from lanewise.service.configure import Applied, AwaitingApproval

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


class File(StrEnum):
    """The two files."""

    LANEWISE = "lanewise"
    ENVIRONMENTS = "environments"


Pinned = Annotated[bool, typer.Option("--pinned", help="The config that promotions use, not the working file.")]


@app.command()
def show(
    environment: Annotated[str, typer.Argument(help="The environment.")],
    explain: Annotated[bool, typer.Option("--explain", help="Where every value came from.")] = False,
    pinned: Pinned = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Print what is in force in an environment. Secrets are shown as references."""
    from lanewise.config.separation import separations  # noqa: PLC0415 - the YAML reader is loaded by what reads
    from lanewise.config.settings import ORDER  # noqa: PLC0415 - as above
    from lanewise.config.show import rows, show_origin  # noqa: PLC0415 - as above
    from lanewise.service.compiled import write_lane  # noqa: PLC0415 - as above

    ctx = workshop()
    config = _config(ctx, pinned=pinned)
    lane = config.environment(environment)
    if not pinned:
        write_lane(ctx, lane, ctx.project, "")
    found, apart = rows(lane), separations(config.environments, ctx.project.tables)[lane.name]
    if format_ is Format.JSON:
        print_json({
            "environment": lane.name,
            "digest": lane.digest,
            "order": ORDER,
            "settings": lane.settings,
            "values": [{"key": row.key, "value": row.value, "origin": row.origin} for row in found],
            "separation": _as_data(apart),
        })  # fmt: skip
        return
    if explain:
        typer.echo("merged in this order, later over earlier: " + ", ".join(ORDER))
        _table(("key", "value", "from"), ((row.key, row.value, show_origin(row.origin)) for row in found))
    else:
        _table(("key", "value"), ((row.key, row.value) for row in found))
    typer.echo(f"{lane.name} is {apart.sentence}")
    for one in apart.weaknesses:
        note(f"warning: {one.message}\n  hint: {one.hint}")


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="An environment.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    pinned: Pinned = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """List every key that differs between two environments, and where each value came from."""
    from lanewise.config.show import config_diff, show_origin  # noqa: PLC0415 - see show

    found = config_diff(_config(workshop(), pinned=pinned), a, b)
    if format_ is Format.JSON:
        print_json({"a": a, "b": b, "differences": found})
        return
    if not found:
        note(f"nothing differs between {a} and {b}")
        return
    rows = ((one.key, one.a, one.b, show_origin(one.origin_a), show_origin(one.origin_b)) for one in found)
    _table(("key", a, b, f"{a} from", f"{b} from"), rows)


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="A YAML or JSON file, or - for standard input.")],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Judge a file or snippet on its own: same keys everywhere, no inline secret, prod at least as strict as stage.

    Exits with 1 when something is wrong, with 2 when the file can't be parsed; warnings alone are no failure.
    """
    from lanewise.config.check import check_snippet  # noqa: PLC0415 - see show
    from lanewise.config.reading import MAX_BYTES, decode  # noqa: PLC0415 - as above

    try:
        if file == "-":
            name, data = "<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                name, data = file, stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound("file", file) from error
    except OSError as error:
        raise WrongInput(f"{file} can't be read: {error.strerror}") from error
    findings = check_snippet(decode(data, name), name)
    if format_ is Format.JSON:
        print_json(findings)
    for finding in findings if format_ is Format.TEXT else ():
        mark = "warning: " if finding.warning else ""
        typer.echo(f"{finding.file}:{finding.line}:{finding.column}: {mark}{finding.message} [{finding.rule}]")
        if finding.hint:
            typer.echo(f"  hint: {finding.hint}")
    if not all(finding.warning for finding in findings):
        raise typer.Exit(1)
    if format_ is Format.TEXT and not findings:
        note(f"{name}: nothing to complain about")


@app.command()
def apply(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Pin environments.yaml in the ledger, after the approvals that the pinned one asks for."""
    from lanewise.service.configure import Applied, pinned, propose  # noqa: PLC0415 - see show

    ctx = workshop()
    _say_changes(pinned(ctx), ctx.config)
    if not yes and not typer.confirm("Pin it?", err=True):
        raise typer.Exit(1)
    outcome = propose(ctx)
    if format_ is Format.JSON:
        print_json({"state": "applied" if isinstance(outcome, Applied) else "awaiting approval", **vars(outcome)})
    else:
        _say(outcome)


@app.command()
def approve(
    digest: Annotated[str, typer.Argument(help="The proposed config, as `lane config apply` named it.")],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Approve a proposed config; the last approval that is needed applies it."""
    from lanewise.service.configure import Applied, approve_config  # noqa: PLC0415 - see show

    outcome = approve_config(workshop(), digest)
    if format_ is Format.JSON:
        print_json({"state": "applied" if isinstance(outcome, Applied) else "awaiting approval", **vars(outcome)})
    else:
        _say(outcome)


@app.command()
def schema(file: Annotated[File, typer.Argument(help="Which of the two files.")]) -> None:
    """Print a file's JSON Schema, for editors."""
    from lanewise.config.schema import published  # noqa: PLC0415 - see show

    typer.echo(published(file.value), nl=False)


def _as_data(apart: Separation) -> dict[str, object]:
    walls = {other: wall.name.lower() for other, wall in apart.walls.items()}
    return {**vars(apart), "walls": walls, "sentence": apart.sentence}


def _config(ctx: Workshop, *, pinned: bool) -> Config:
    if not pinned:
        return ctx.config
    from lanewise.service import configure  # noqa: PLC0415 - opens the ledger, which the working file needs not

    found = configure.pinned(ctx)
    if found is None:
        raise NotFound("pinned config", ctx.project.name, hint="`lane config apply` pins the working file")
    return found


def _say_changes(before: Config | None, after: Config) -> None:
    from lanewise.config.show import environment_diff  # noqa: PLC0415 - see show
    from lanewise.service.configure import approvals_needed, changed_environments  # noqa: PLC0415 - as above

    if before is None:
        note(f"the first config of this project: {', '.join(after.environments)}")
        return
    for name in changed_environments(before, after):
        if name in before.environments and name in after.environments:
            note(f"{name}:")
            for one in environment_diff(before.environments[name], after.environments[name]):
                note(f"  {one.key}: {one.a} → {one.b}")
        else:
            note(f"{name}: {'removed' if name in before.environments else 'new'}")
    for name, rule in approvals_needed(before, after).items():
        note(f"{name} asks for {rule.count} approval{'s' * (rule.count > 1)}{_from(rule.groups)}")


def _say(outcome: Applied | AwaitingApproval) -> None:
    from lanewise.domain.canonical import short  # noqa: PLC0415 - see show
    from lanewise.service.configure import Applied  # noqa: PLC0415 - as above

    name = short(outcome.digest)
    if isinstance(outcome, Applied):
        unchanged = outcome.digest == outcome.previous
        typer.echo(f"{name} is in force already" if unchanged else f"applied {name}")
        return
    for environment, rule in outcome.needed.items():
        typer.echo(f"{environment} waits for {rule.count} more approval{'s' * (rule.count > 1)}{_from(rule.groups)}")
    typer.echo(f"proposed {name} by {outcome.proposer}; somebody else: lane config approve {name}")


def _from(groups: tuple[str, ...]) -> str:
    return f" from {' or '.join(groups)}" if groups else ""


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Aligned and never folded, so that a line can be searched for and copied."""
    lines = [header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    for at, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        typer.echo(typer.style(text, bold=True) if at == 0 else text)
