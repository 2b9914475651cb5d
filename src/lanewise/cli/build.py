"""``lane build``: make a build; ``lane build show`` and ``lane build diff`` look at builds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from lanewise.bootstrap import open_context
from lanewise.builds.difference import BuildDiff, diff_builds
from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.domain.build import Build
from lanewise.domain.canonical import plain
from lanewise.domain.lineage import Lineage
from lanewise.service.build import find_build, make
from lanewise.service.candidate import lineage_of

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)

TagOption = Annotated[str, typer.Option("--tag", metavar="NAME", help="Name the build, once and for all: v1.4.")]
BuildArgument = Annotated[str, typer.Argument(metavar="BUILD", help="A digest, its first digits, or a tag.")]


@app.callback()
def build(
    context: typer.Context,
    tag: TagOption = "",
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Make a build of the working tree; show and compare builds."""
    if context.invoked_subcommand is not None:
        return
    made = make(open_context(), tag=tag or None)
    if format is Format.JSON:
        print_json({**summary(made.build), "new": made.new})
        return
    found = made.build
    typer.echo(f"{found.short}  {len(found.manifest.files):,} files, {found.size:,} bytes  {found.digest}")
    note(_origin(found) + ("" if made.new else "; stored before, nothing written"))


@app.command()
def show(name: BuildArgument, format: FormatOption = Format.TEXT) -> None:  # noqa: A002 - the option's name
    """Show a build: where it came from and each file's digest."""
    ctx = open_context()
    found = find_build(ctx, name)
    lineage = lineage_of(ctx, found)
    if format is Format.JSON:
        print_json({
            **summary(found), "provenance": plain(found.provenance), "manifest": plain(found.manifest),
            "lineage": plain(lineage),
        })  # fmt: skip
        return
    manifest = found.manifest
    typer.echo(f"build        {found.digest}")
    typer.echo(f"project      {manifest.project}")
    typer.echo(f"tags         {', '.join(found.tags) or '-'}")
    typer.echo(f"from         {_origin(found)}")
    typer.echo(f"built        {found.provenance.built_at} by {found.provenance.built_by}")
    typer.echo(f"interpreter  {manifest.interpreter}")
    typer.echo(f"lock file    {manifest.lock or '-'}")
    for name_, reference in (*manifest.images.items(), *manifest.wheels.items()):
        typer.echo(f"with         {name_} {reference}")
    for line in _computed_by(lineage) if lineage else ():
        typer.echo(line)
    typer.echo(f"files        {len(manifest.files):,}, {found.size:,} bytes")
    for file in manifest.files:
        typer.echo(f"  {file.digest[7:19]} {file.size:>12,} {'x' if file.executable else '-'} {file.path}")


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="The older build.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The newer build.")],
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Show what B has otherwise than A."""
    ctx = open_context()
    old, new = find_build(ctx, a), find_build(ctx, b)
    found = diff_builds(old.manifest, new.manifest)
    if format is Format.JSON:
        print_json({"a": old.digest, "b": new.digest, "same": found.same, **plain(found)})
        return
    typer.echo(f"{old.short} → {new.short}")
    for line in _lines(found) or ["  the same build"]:
        typer.echo(line)


def summary(found: Build) -> dict[str, Any]:
    """What commands print of a build as JSON: ``files`` is a count, ``bytes`` their sum."""
    origin = found.provenance
    return {
        "digest": found.digest, "short": found.short, "files": len(found.manifest.files), "bytes": found.size,
        "commit": origin.commit, "branch": origin.branch, "dirty": origin.dirty, "built_at": origin.built_at,
        "tags": list(found.tags),
    }  # fmt: skip


def _computed_by(lineage: Lineage) -> Iterator[str]:
    """A line for each table that the build's own tool knows of, and what it is computed from, with its checksums."""
    for table, own in lineage.tables.items():
        nodes = lineage.of(table)
        yield f"table        {table}, by {own} {nodes[own].checksum[:12]}"
        yield from (f"  {node.checksum[:12]} {name}" for name, node in nodes.items() if node.checksum and name != own)


def _origin(found: Build) -> str:
    origin = found.provenance
    if origin.commit is None:
        return "no commit"
    place = f"commit {origin.commit[:12]}" + (f" on {origin.branch}" if origin.branch else "")
    return place + (", with changes that are not committed" if origin.dirty else "")


def _lines(found: BuildDiff) -> list[str]:
    files = [("+", found.added), ("-", found.removed), ("~", found.changed)]
    lines = [f"  {sign} {path}" for sign, paths in files for path in paths]
    pairs = {"project": found.project, "interpreter": found.interpreter, "lock file": found.lock}
    pairs |= {f"image {name}": pair for name, pair in found.images.items()}
    pairs |= {f"wheel {name}": pair for name, pair in found.wheels.items()}
    return lines + [f"  {what}: {pair[0] or 'none'} → {pair[1] or 'none'}" for what, pair in pairs.items() if pair]
