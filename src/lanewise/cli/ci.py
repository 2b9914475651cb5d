"""``lane ci``: the plan of a promotion as a comment for the people who review the change."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from lanewise.bootstrap import Workshop, find_review
from lanewise.cli.completion import builds, environments
from lanewise.cli.output import note, print_json
from lanewise.cli.plan import plan_document
from lanewise.cli.plan_comment import Report, draw
from lanewise.cli.project import workshop
from lanewise.config.check import check_snippet
from lanewise.config.load import ENVIRONMENTS_FILE
from lanewise.domain.canonical import plain
from lanewise.errors import LaneError
from lanewise.service.forecast import Forecast, Refusal, forecast, stored, unstored

app = typer.Typer(rich_markup_mode=None)


class Shape(StrEnum):
    """``--format``."""

    MARKDOWN = "markdown"
    JSON = "json"


_BUILD = "Digest, its first digits, or a tag; without it the working tree, as it would be built."
_TO = "An environment to plan for; may be given more than once."
_COMMENT = "Write it to the pull or merge request that this job runs for, over the one written before."


@app.command()
def tell(
    to: Annotated[list[str], typer.Option("--to", metavar="ENV", help=_TO, autocompletion=environments)],
    build: Annotated[str | None, typer.Argument(help=_BUILD, autocompletion=builds)] = None,
    comment: Annotated[bool, typer.Option("--comment", help=_COMMENT)] = False,
    format_: Annotated[Shape, typer.Option("--format", help="markdown for a comment, json for programs.")] = (
        Shape.MARKDOWN
    ),
) -> None:
    """Say what promoting a build would do, as a comment on a pull or merge request.

    Nothing is stored, recorded, requested or computed, and no code of the build is run: who may only read may tell it.
    Exit code 0: it would go, perhaps after an approval or a freeze; 1: it would be refused, and the comment says why.
    """
    ctx = workshop()
    report = _report(ctx, build, tuple(dict.fromkeys(to)))
    text = draw(report)
    if format_ is Shape.JSON:
        print_json(_document(report, text))
    else:
        typer.echo(text, nl=False)
    if comment:
        note(find_review(os.environ).write(text, report.marker))
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _report(ctx: Workshop, name: str | None, targets: tuple[str, ...]) -> Report:
    try:
        candidate = stored(ctx, name) if name else unstored(ctx)
    except LaneError as error:
        refusal = Refusal(error.message, error.hint, error.exit_code)
        return Report(ctx.project.name, "", (), tuple(Forecast(target, refusal=refusal) for target in targets))
    build, found = candidate.build, tuple(forecast(ctx, candidate, target) for target in targets)
    dirty = ["the build holds changes that are not committed"] if build.provenance.dirty and not name else []
    return Report(ctx.project.name, build.digest, build.tags, found, (*dirty, *_findings(ctx)))


def _findings(ctx: Workshop) -> list[str]:
    """What `lane config check` says about the working tree's environments file."""
    file = ctx.root / ENVIRONMENTS_FILE
    try:
        found = check_snippet(file.read_text(encoding="utf-8"), file.name)
    except (LaneError, OSError, UnicodeDecodeError):  # a file that can't be read is told by the forecast
        return []
    return [f"{f.file}:{f.line}: {f.message}" for f in found]


def _document(report: Report, text: str) -> dict[str, Any]:
    return {
        "project": report.project, "build": report.build, "tags": list(report.tags), "exit_code": report.exit_code,
        "marker": report.marker, "findings": list(report.findings),
        "environments": [{**plain(f), "goes": f.goes, "plan": plan_document(f.plan) if f.plan else None}
                         for f in report.forecasts],
        "markdown": text,
    }  # fmt: skip
