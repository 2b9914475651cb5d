"""Judges one file or snippet on its own: the same keys everywhere, no inline secret, prod as strict as stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lanewise.config.environments import build_config
from lanewise.config.node import Document, Member, Node, from_plain
from lanewise.config.project import build_project
from lanewise.config.reading import read_text
from lanewise.config.secrets import literal_secrets
from lanewise.config.separation import separations
from lanewise.config.settings import RESERVED
from lanewise.config.strictness import Lane, laxer
from lanewise.domain.environment import Config
from lanewise.domain.project import Project, Source
from lanewise.errors import ConfigError, nearest_hint

_PROJECT_KEYS = {"source", "run", "tables"}
_NO_LANES = "write one mapping of settings for each environment, e.g. {dev: {retries: 0}, prod: {retries: 3}}"


@dataclass(frozen=True)
class Finding:
    """One thing wrong, and where. ``rule`` is ``secret``, ``keys``, ``types``, ``strictness``, ``separation`` or
    ``file``. A ``warning`` is worth a look, and no error."""

    rule: str
    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    warning: bool = False


def check_snippet(text: str, file: str) -> tuple[Finding, ...]:
    """Everything wrong with a YAML or JSON text: an environments file, a project file, or a bare mapping of
    environment name to settings. ``ConfigError`` when it can't be parsed or is none of these. Never shows a secret."""
    document = read_text(text, file)
    if not document.root.members:
        raise document.error("there is nothing to judge here", hint=_NO_LANES)
    if "project" in document.root.members and _PROJECT_KEYS & set(document.root.members):
        return _judged_project(document)
    whole = document.root.get("environments")
    if whole is not None and whole.members:
        return _judged_whole(document, whole)
    lanes = {
        name: one for name, one in document.root.members.items() if one.node.value in (None, {}) or one.node.members
    }
    if not any(isinstance(one.node.value, Mapping) for one in lanes.values()):
        raise document.error("this is no mapping of environments", hint=_NO_LANES)
    secrets = [_finding("secret", problem) for problem in literal_secrets(document, placeholders=True)]
    judged = [Lane(name, member) for name, member in lanes.items()]
    return _in_order([*secrets, *_keys(document, lanes), *_laxer(document, judged)])


def _judged_project(document: Document) -> tuple[Finding, ...]:
    secrets = tuple(_finding("secret", problem) for problem in literal_secrets(document, names=False))
    if secrets:
        return secrets
    try:
        build_project(document)
    except ConfigError as error:
        return (_finding("file", error),)
    return ()


def _judged_whole(document: Document, environments: Node) -> tuple[Finding, ...]:
    """A full file is loaded as Lanewise would. Without ``defaults``, its environments must spell out the same keys."""
    found = [_finding("secret", problem) for problem in literal_secrets(document, placeholders=True)]
    if not found:
        try:
            config = build_config(document, Project("project", Source(("**",)), "true"), {})
        except ConfigError as error:
            found.append(_finding("file", error))
        else:
            found += _laxer(document, _resolved_lanes(config, environments))
            found += _weakly_separated(document, config)
    extended = any(member.node.get("extends") for member in environments.members.values())
    if document.root.get("defaults") is None and not extended and not any(f.rule == "file" for f in found):
        found += _keys(document, dict(environments.members))
    return _in_order(found)


def _resolved_lanes(config: Config, environments: Node) -> list[Lane]:
    """What each environment asks for once everything is merged, at the places where it came from."""
    lanes: list[Lane] = []
    for name, environment in config.environments.items():
        member = environments.members[name]
        asked = {
            "retries": (environment.settings["retries"], "settings.retries"),
            "sla": (environment.settings["sla"], "settings.sla"),
            "gates": ([gate.name for gate in environment.rules.gates], "rules.gates"),
            "approvals": (environment.rules.approvals.count, "rules.approvals.count"),
        }
        nodes: dict[str, Member] = {}
        for key, (value, path) in asked.items():
            origin = environment.origins.get(path)
            line, column = (origin.line, origin.column) if origin and origin.line else (member.line, member.column)
            nodes[key] = Member(Node(from_plain(value).value, line, column), line, column)
        lanes.append(Lane(name, Member(Node(nodes), member.line, member.column)))
    return lanes


def _weakly_separated(document: Document, config: Config) -> list[Finding]:
    """What one place in the file does to several environments is told once, for the last of them."""
    found: dict[tuple[str, int, int], Finding] = {}
    for name, separation in separations(config.environments).items():
        key = document.key(["environments", name])
        for one in separation.weaknesses:
            line, column = (one.origin.line, one.origin.column) if one.origin.line else (key.line, key.column)
            place = (one.kind, line, column)
            found[place] = Finding("separation", document.file, line, column, one.message, one.hint, warning=True)
    return list(found.values())


def _in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.column)))


def _finding(rule: str, error: ConfigError) -> Finding:
    return Finding(rule, error.file, error.line, error.column, error.reason, error.hint)


def _keys(document: Document, lanes: dict[str, Member]) -> list[Finding]:
    """Every key that some environments have and others lack, and every one that changes its type."""
    found: list[Finding] = []
    paths = {name: _paths(member.node) for name, member in lanes.items()}
    for path in dict.fromkeys(path for one in paths.values() for path in one):
        having = [name for name in paths if path in paths[name]]
        lacking = [name for name in paths if path not in paths[name]]
        # A missing mapping is one finding, not one for each key inside it.
        lacking = [name for name in lacking if len(path) == 1 or path[:-1] in paths[name]]
        for name in lacking:
            near = nearest_hint(path[-1], [other[-1] for other in paths[name] if other not in paths[having[0]]])
            hint = near if near.startswith("did you mean") else f"{', '.join(having[:3])} set it"
            place = lanes[name]
            message = f"{name} lacks the key {'.'.join(path)[:100]!r}"
            found.append(_finding("keys", document.error(message, place, hint=hint)))
        first = paths[having[0]][path]
        for name in having[1:]:
            node = paths[name][path]
            if _kind(node) != _kind(first) and None not in (node.value, first.value):
                message = f"{'.'.join(path)[:100]} is {_kind(node)} in {name} and {_kind(first)} in {having[0]}"
                found.append(_finding("types", document.error(message, node)))
    return found


def _paths(node: Node, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Node]:
    found: dict[tuple[str, ...], Node] = {}
    for key, member in node.members.items():
        if not prefix and key in RESERVED:
            continue
        found[*prefix, key] = member.node
        found |= _paths(member.node, (*prefix, key))
    return found


def _kind(node: Node) -> str:
    value = node.value
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, tuple) else "a mapping"


def _laxer(document: Document, lanes: list[Lane]) -> list[Finding]:
    return [_finding("strictness", document.error(message, place, hint=hint)) for message, place, hint in laxer(lanes)]
