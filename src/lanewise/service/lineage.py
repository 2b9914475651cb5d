"""Bring ``lanewise.lineage.json`` up to date before a build is made, where an environment's orchestrator knows how the
tables are computed (dbt). Without it every table depends on every file, which is right as well, and forks more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from lanewise.builds.manifest import make_manifest
from lanewise.domain.lineage import LINEAGE_FILE, Tracer
from lanewise.errors import LaneError, OutsideBroke
from lanewise.publication.lineage import files_digest, read_lineage, write_lineage
from lanewise.service.context import Context


def refresh_lineage(ctx: Context) -> None:
    """Nothing where nobody traces, or where nothing has changed since. What does not parse is told, and stays as it
    is: a lineage that tells of other files is not believed."""
    for tracer in _tracers(ctx):
        manifest = make_manifest(ctx.root, ctx.project)
        file = ctx.root / LINEAGE_FILE
        try:
            if file.exists() and read_lineage(file.read_text(encoding="utf-8"), manifest) is not None:
                return
            lineage = tracer.trace(ctx.root, manifest.files, ctx.project)
            assert lineage.files == files_digest(manifest.files), "a lineage tells of other files"  # noqa: S101
            file.write_text(write_lineage(lineage), encoding="utf-8")
        except OSError as error:
            raise OutsideBroke(f"{LINEAGE_FILE} can't be written: {error.strerror}") from error
        except LaneError as error:
            ctx.progress.say(f"every table of this build depends on all of its files: {error.message}")
        else:
            ctx.progress.say(f"{LINEAGE_FILE} is up to date")
        return


def _tracers(ctx: Context) -> Iterator[Tracer]:
    """The orchestrators that know this project's tables, one of each type, in the order of the environments. A build
    needs no environment: what can't be opened traces nothing."""
    seen: set[str] = set()
    with suppress(LaneError):
        for lane in ctx.config.environments.values():
            kind = lane.connection("orchestrator").type if lane.settings.get("orchestrator_conn") else ""
            if not kind or kind in seen:
                continue
            seen.add(kind)
            orchestrator = ctx.orchestrator(lane)
            if isinstance(orchestrator, Tracer) and orchestrator.traces(ctx.root, ctx.project):
                yield orchestrator
