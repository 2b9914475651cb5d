"""What a shell offers after <TAB>: the project's environments, builds and open promotions. Quick, and never an error:
outside of a project, or with a broken one, it offers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.canonical import short
from lanewise.service.promotions import FINISHED

_MOST = 50


def environments(ctx: typer.Context, incomplete: str) -> list[str]:
    """The environments, in promotion order."""
    return _offered(ctx, incomplete, lambda project: project.config.environments)


def builds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Tags, then the newest builds by their first digits."""

    def found(project: Workshop) -> Iterable[str]:
        newest = project.builds.list()[:_MOST]
        return [*(tag for build in newest for tag in build.tags), *(short(build.digest) for build in newest)]

    return _offered(ctx, incomplete, found)


def promotions(ctx: typer.Context, incomplete: str) -> list[str]:
    """The promotions that have not ended, oldest first."""

    def found(project: Workshop) -> Iterable[str]:
        prefix = f"promotion/{project.project.name}/"
        streams = project.ledger.streams(prefix, without=[FINISHED])
        return ["-".join(stream.removeprefix(prefix).rsplit("/", 1)) for stream in streams]

    return _offered(ctx, incomplete, found)


def _offered(ctx: typer.Context, incomplete: str, find: Callable[[Workshop], Iterable[str]]) -> list[str]:
    directory = ctx.find_root().params.get("directory")
    try:
        names = list(find(open_context(Path(directory) if directory else None)))
    except Exception:  # noqa: BLE001 - a shell that completes a line is no place to complain
        return []
    return [name for name in names if name.startswith(incomplete)]
