"""What Dagster found while it ran a build: its steps and asset checks as findings, its errors as the log's end."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.dagster.graphql import GraphQL, first_line, tags_of
from lanewise.adapters.orchestrators.dagster.queries import EVENTS
from lanewise.domain.run import Finding

_TAIL = 40
_LONGEST = 400  # characters of a reason; the log has it whole
_WRAPPED = "dagster._core.errors.Dagster"
_OURS = re.compile(r"^lanewise\.[\w.]+: ")
_STEP = {"SUCCESS": True, "FAILURE": False}


@dataclass
class Gathered:
    """All runs of one Lanewise run, read. A step or check that failed in one of them failed."""

    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Keep the worst of those of one name; the first where they are as bad."""
        key = (finding.kind, finding.name)
        known = self.findings.get(key)
        if known is None or _rank(finding) < _rank(known):
            self.findings[key] = finding

    @property
    def tail(self) -> str:
        """The last errors, or the last lines where there were none."""
        return "\n".join((self.errors or self.lines)[-_TAIL:])

    @property
    def bad(self) -> bool:
        """Whether something failed that must pass."""
        return any(one.severe and one.passed is False for one in self.findings.values())


def gather(dagster: GraphQL, runs: Sequence[Mapping[str, Any]], redact: Callable[[str], str]) -> Gathered:
    """Read the runs' steps and events."""
    found = Gathered()
    for run in sorted(runs, key=_partition):
        where = _partition(run)
        said: dict[str, str] = {}
        for event in _events(dagster, run["runId"]):
            _take(event, where, found, said, redact)
        for step in run["stepStats"]:
            passed = _STEP.get(step["status"])
            message = said.get(step["stepKey"], "") if passed is False else ""
            found.add(Finding(step["stepKey"], "task", passed, message=_at(message, where)))
        if run["status"] in {"CANCELED", "CANCELING"}:
            found.errors.append(_at("the run was canceled", where))
    return found


def write_log(path: Path, lines: Sequence[str], label: str) -> None:
    """Append the lines to Lanewise's own log of the run, each labelled. A full disk fails no run."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{label} | {line}\n" for line in lines)


def _take(
    event: Mapping[str, Any], where: str, found: Gathered, said: dict[str, str], redact: Callable[[str], str]
) -> None:
    moment = datetime.fromtimestamp(float(event.get("timestamp") or 0) / 1000, UTC).isoformat(timespec="seconds")
    message = redact(str(event.get("message") or ""))
    found.lines += [_at(f"{moment} {line}", where) for line in message.splitlines()]
    kind = event["__typename"]
    if kind == "ExecutionStepFailureEvent" and event.get("error"):
        reason = redact(_innermost(event["error"]))
        said[event["stepKey"]] = reason
        found.errors.append(_at(f"{event['stepKey']}: {reason}", where))
        found.lines += [redact(line.rstrip()) for line in event["error"].get("stack") or ()]
    elif kind == "RunFailureEvent":
        reason = redact(_innermost(event["error"])) if event.get("error") else first_line(message)
        if not said:
            found.errors.append(_at(reason, where))
    elif kind == "AssetCheckEvaluationEvent":
        found.add(_check(event["evaluation"], where, redact))


def _check(told: Mapping[str, Any], where: str, redact: Callable[[str], str]) -> Finding:
    path = [part for part in told["assetKey"]["path"] if not part.startswith("candidate_")]
    name = f"{'/'.join(path)}: {told['checkName']}"
    severe = told["severity"] == "ERROR"
    message = "" if told["success"] else _at(redact(told["description"] or "it did not pass"), where)
    return Finding(name, "check", bool(told["success"]), severe, message)


def _innermost(error: Mapping[str, Any]) -> str:
    """What was raised in the pipeline: Dagster wraps it. Errors of our own speak for themselves."""
    said, cause = first_line(str(error["message"])), error.get("cause") or {}
    if said.startswith(_WRAPPED) and cause.get("message"):
        said = first_line(str(cause["message"]))
    said = _OURS.sub("", said)
    return said if len(said) <= _LONGEST else said[:_LONGEST] + " …"


def _events(dagster: GraphQL, run: str) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    while True:
        found = dagster.ask(EVENTS, run=run, after=after)
        page = found.get("eventConnection")
        if page is None:  # deleted meanwhile
            return
        yield from page["events"]
        if not page["hasMore"]:
            return
        after = page["cursor"]


def _partition(run: Mapping[str, Any]) -> str:
    tags = tags_of(run)
    first, last = (tags.get(f"dagster/asset_partition_range_{end}", "") for end in ("start", "end"))
    return tags.get("dagster/partition") or (f"{first} to {last}" if first != last else first)


def _at(text: str, where: str) -> str:
    return f"[{where}] {text}" if where and text else text


def _rank(finding: Finding) -> int:
    return {False: 0, None: 1, True: 2}[finding.passed]


def checked(found: Gathered) -> tuple[Finding, ...]:
    """Its findings, by kind and name; what failed and must not has a reason in any case."""
    return tuple(
        replace(one, message=one.message or "it failed") if one.passed is False else one
        for _, one in sorted(found.findings.items())
    )
