"""The plan of promoting a build as a comment on the change that brings it: the answer first, then what moves and why,
what has to happen, what is lost on the way back; long parts folded, and never longer than a comment may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lanewise.cli.markdown import folded, marker, prose, quoted, table
from lanewise.cli.output import bytes_of, counted
from lanewise.domain.canonical import short
from lanewise.domain.plan import CanaryStep, Move, Plan, TablePlan
from lanewise.service.forecast import Cause, Forecast

LONGEST = 65_536
"""Characters that GitHub takes; GitLab takes a million."""

_ROWS = (400, 100, 40, 15, 5, 1)
"""How many lines a part may have; the first with which the comment is short enough."""
_OPEN = 12
"""Lines from which on a part is folded."""
_NAMED = 3
"""How many files or partitions are named in a line."""


@dataclass(frozen=True)
class Report:
    """What a comment tells: of which project, of which build (a digest; its tags), into which environments, and what
    was found besides, a sentence each."""

    project: str
    build: str
    tags: tuple[str, ...]
    forecasts: tuple[Forecast, ...]
    findings: tuple[str, ...] = ()

    @property
    def marker(self) -> str:
        """By which a bot knows its own comment again: the same for every build and every plan of a project."""
        return marker("plan of", self.project)

    @property
    def exit_code(self) -> int:
        """0 when it would go everywhere; else that of the worst refusal."""
        return max((f.refusal.exit_code for f in self.forecasts if f.refusal), default=0)


def draw(report: Report) -> str:
    """The comment; at most ``LONGEST`` characters."""
    for most in _ROWS:
        text = "\n".join(_lines(report, most)) + "\n"
        if len(text.encode("utf-16-le")) // 2 <= LONGEST:
            return text
    told = "The plan is too long to be shown here: `lane plan` prints it."
    return "\n".join([report.marker, f"### {_title(report)}", "", told, "", *map(_headline, report.forecasts)])[
        :LONGEST
    ]


def _lines(report: Report, most: int) -> list[str]:
    lines = [report.marker, f"### {_title(report)}", ""]
    for forecast in report.forecasts:
        lines += [_headline(forecast), "", *_part(forecast, most)]
    if report.findings:
        lines += _list("Worth a look", report.findings, most)
    return [*lines, "<sub>Told by `lane ci`, which changes nothing.</sub>"]


def _title(report: Report) -> str:
    name = quoted(short(report.build) or "no build")
    return f"{quoted(report.project)} build {' '.join([name, *map(quoted, report.tags)])}"


def _headline(forecast: Forecast) -> str:
    place = quoted(forecast.environment)
    if forecast.refusal is not None:
        hint = f" ({prose(forecast.refusal.hint)})" if forecast.refusal.hint else ""
        word = "would be refused" if forecast.refusal.exit_code == 1 else "can't be told"
        return f"**{place} ✗ {word}**: {prose(forecast.refusal.message)}{hint}"
    plan = forecast.plan
    return f"**{place} ✓ would go**: {_comes_to(plan)}" if plan else f"**{place} ✓ would go**"


def _comes_to(plan: Plan) -> str:
    partitions = {p for step in plan.steps for p in step.partitions}
    done = f"{counted(len(partitions), 'partition')} computed" if partitions else "nothing to compute"
    in_steps = f" in {counted(len(plan.steps), 'step')}" if partitions and len(plan.steps) > 1 else ""
    breaking = sum(len(t.breaking) for t in plan.tables)
    parts = [f"{done}{in_steps}", *_held(plan), _approvals(plan)]
    return ", ".join([*parts, *([f"**{counted(breaking, 'breaking change')}**"] if breaking else [])])


def _held(plan: Plan) -> list[str]:
    unknown = any(t.move is Move.NEW for t in plan.tables)
    if not plan.bytes:
        return []
    return [f"{bytes_of(plan.bytes)}{' and the new tables' if unknown else ''} beside what is live"]


def _approvals(plan: Plan) -> str:
    rule = plan.approvals
    if not rule.count:
        return "no approval asked for"
    whom = " or ".join(map(quoted, rule.groups[:_OPEN])) or "anybody but the one who asks and whoever wrote it"
    return f"{counted(rule.count, 'approval')} from {whom}"


def _part(forecast: Forecast, most: int) -> list[str]:
    plan = forecast.plan
    lines: list[str] = []
    if plan is not None:
        lines += [*_tables(plan, forecast.causes, most)]
        lines += _list("Breaking", [line for t in plan.tables for line in t.breaking], most)
    lines += [f"- {line}" for line in _course(forecast)]
    if plan is not None:
        lines += _items(plan.warnings, most, "note: ")
    lines += [""]
    if plan is not None:
        lines += _steps(plan.steps, most) + _changes("Config", plan.config_changes, most)
    if forecast.proposal is not None:
        count, groups = forecast.proposal.rule.count, " or ".join(map(quoted, forecast.proposal.rule.groups))
        who = f"{counted(count, 'approval')}{' from ' + groups if groups else ''}"
        told = "`environments.yaml` proposes another config, which is not in this plan"
        lines += [f"{told}: it needs {who} (`lane config apply` asks for it).", ""]
        lines += _changes("Proposed config", forecast.proposal.changes, most)
    return lines


def _course(forecast: Forecast) -> list[str]:
    plan, lines = forecast.plan, [f"first: {prose(line)}" for line in forecast.waits[:_OPEN]]
    if forecast.standing is not None:
        command = f": {quoted(forecast.standing.command)}" if forecast.standing.command else ""
        lines += [f"asked for already: {prose(forecast.standing.sentence)}{command}"]
    if plan is None:
        return lines
    gates = _few("", [gate.name for gate in plan.gates], 20) or "none"
    lines += [f"gates: {gates}", f"approvals: {_approvals(plan)}", f"rollback: {_way_back(forecast, plan)}"]
    return lines


def _way_back(forecast: Forecast, plan: Plan) -> str:
    if plan.first_release:
        return "there is nothing to go back to before the first release"
    missing = [one.what for one in forecast.needs if not one.present]
    kept = f"**misses {prose(', '.join(missing))}**" if missing else "all it needs is there"
    back = f"flips back to build {quoted(short(plan.base_build))}, map {plan.base_map}; {kept}"
    gone = [f"{counted(count, 'partition')} of {quoted(name)}" for name, count in forecast.only_new.items()]
    more = f" and of {counted(len(gone) - _NAMED, 'more table')}" if len(gone) > _NAMED else ""
    return f"{back}; takes away {', '.join(gone[:_NAMED])}{more}, which only this build has" if gone else back


def _tables(plan: Plan, causes: Mapping[str, Cause], most: int) -> list[str]:
    still = [t for t in plan.tables if t.move is Move.REUSE]
    moving = [t for t in plan.tables if t.move is not Move.REUSE]
    figures = ("partitions", "rows", "bytes")
    rows = [_row(t, causes.get(t.table, Cause())) for t in moving[:most]]
    lines = table(("table", "move", "why", *figures), rows, right=figures) if rows else []
    if len(moving) > most:
        lines += ["", f"and {counted(len(moving) - most, 'table')} more."]
    if len(moving) > _OPEN:
        lines = folded(counted(len(moving), "table") + " to move", lines)
    if still:
        named = ", ".join(quoted(t.table) for t in still[:_NAMED]) + (" …" if len(still) > _NAMED else "")
        lines += ["", f"{counted(len(still), 'table')} reused as published: {named}"]
    return [*lines, ""] if lines else []


def _row(one: TablePlan, cause: Cause) -> tuple[str, ...]:
    known = one.move not in {Move.NEW, Move.DROP} and bool(one.partitions)
    sizes = (f"{one.rows:,}", bytes_of(one.bytes)) if known else ("?" if one.move is Move.NEW else "–",) * 2
    why = _why(one, cause) + (f" ({prose(one.note)})" if one.note else "")
    return (quoted(one.table), one.move.value, why, f"{len(one.partitions):,}", *sizes)


def _why(one: TablePlan, cause: Cause) -> str:
    if one.move is Move.NEW:
        return "not published there yet"
    if one.move is Move.DROP:
        return "the build has it no more"
    if one.version == one.live_version:
        return "partitions that are not there yet"
    if not cause.known:
        return "what it is computed from differs"
    named = [_few("", cause.files), _few("setting ", cause.settings), _few("table ", cause.upstream)]
    return "; ".join(part for part in (*named, *cause.also) if part)


def _few(word: str, names: Sequence[str], most: int = _NAMED) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return word + ", ".join(map(quoted, names[:most])) + more


def _steps(steps: Sequence[CanaryStep], most: int) -> list[str]:
    if len(steps) < 2:
        return []
    rows = [(str(at), f"{step.share:.0%}", f"{len(step.partitions):,}", _few("", step.partitions))
            for at, step in enumerate(steps[:most], 1)]  # fmt: skip
    drawn = table(("step", "share", "partitions", "which"), rows, right=("share", "partitions"))
    return [*folded(f"Canary: {counted(len(steps), 'step')}", drawn), ""]


def _changes(title: str, changes: Mapping[str, tuple[str, str]], most: int) -> list[str]:
    if not changes:
        return []
    rows = [(quoted(key), quoted(old), quoted(new)) for key, (old, new) in list(changes.items())[:most]]
    drawn = table(("key", "was", "becomes"), rows)
    if len(changes) > most:
        drawn += ["", f"and {counted(len(changes) - most, 'key')} more."]
    return [*folded(f"{title}: {counted(len(changes), 'key')}", drawn), ""]


def _list(title: str, sentences: Sequence[str], most: int) -> list[str]:
    if not sentences:
        return []
    lines, many = _items(sentences, most), len(sentences)
    return [*(folded(f"{title} ({many:,})", lines) if many > _OPEN else [f"**{title}:**", "", *lines]), ""]


def _items(sentences: Sequence[str], most: int, word: str = "") -> list[str]:
    more = [f"- and {len(sentences) - most:,} more"] if len(sentences) > most else []
    return [*(f"- {word}{prose(sentence)}" for sentence in sentences[:most]), *more]
