"""Run a gate's command inside a verified build, with an environment's settings, and read the report it leaves."""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lanewise.domain.environment import Environment
from lanewise.domain.evidence import CommandReport
from lanewise.domain.run import Launch, Purpose, RunRequest
from lanewise.service.candidate import Candidate
from lanewise.service.compiled import compile_lane, write_compiled
from lanewise.service.context import Context
from lanewise.service.launch import child_variables, own_copy
from lanewise.service.reports import command_report, report_environment
from lanewise.service.run import new_id


def run_command(
    ctx: Context, candidate: Candidate, lane: Environment, command: str, *, timeout: float, scratch: Path
) -> CommandReport:
    """The command sees the settings of ``lane`` and no way to publish. It leaves JUnit or SARIF files in the folder
    ``LANEWISE_REPORTS``; pytest is told to by itself. ``timeout`` in seconds; ``scratch`` is an empty folder."""
    request = RunRequest(
        id=new_id(Purpose.TESTS.value), project=ctx.project.name, environment=lane.name, build=candidate.digest,
        config=lane.digest, purpose=Purpose.TESTS, partitions=(), tables=(), command=(),
    )  # fmt: skip
    reports = scratch / "reports"
    reports.mkdir()
    compiled = scratch / "compiled.json"
    document = compile_lane(lane, candidate.project, candidate.digest, request, None)
    write_compiled(compiled, {**document, "root": str(ctx.root), "log_format": ctx.config.log_format})
    variables = child_variables(ctx, request, lane, candidate.project) | {
        "LANEWISE_COMPILED": str(compiled),
        **report_environment(reports, "-p no:cacheprovider"),
    }
    log = ctx.home / "logs" / f"{request.id}.log"
    with own_copy(ctx, request) as directory:
        variables["PYTHONPATH"] = str(directory)
        asked = replace(request, command=_words(command, variables))
        outcome = ctx.runner.run(Launch(asked, directory, compiled, variables, log, timeout))
    return command_report(outcome, reports, ctx.secrets.redact)


def _words(command: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Split as a shell would, and ``$NAME`` replaced from the child's own variables; no shell is involved."""
    return tuple(string.Template(word).safe_substitute(variables) for word in shlex.split(command))
