"""``environments.yaml`` to a ``Config``."""

from __future__ import annotations

from collections.abc import Mapping

from lanewise.config.connections import connections
from lanewise.config.environment_models import EnvironmentsFile, PersonModel
from lanewise.config.models import validated
from lanewise.config.node import Document, Member, Node
from lanewise.config.overrides import spelled
from lanewise.config.rules import data_policy, rule_origins, rules
from lanewise.config.secrets import literal_secrets
from lanewise.config.separation import demand_apart
from lanewise.config.settings import resolved_settings
from lanewise.config.telemetry import destinations
from lanewise.config.tree import Tree, origins, plain
from lanewise.config.values import NAME, NAME_RULE
from lanewise.domain.environment import Config, Environment, Person
from lanewise.domain.project import Project
from lanewise.errors import nearest_hint

PINNED_ORDER = "order"
"""A pinned document's own key: JSON objects have no order, and the order of environments is a rule of the road."""


def build_config(document: Document, project: Project, variables: Mapping[str, str]) -> Config:
    """The config that a parsed file describes; ``ConfigError`` at the first thing that is wrong."""
    document, order = _ordered(document)
    for problem in literal_secrets(document):
        raise problem
    model = validated(EnvironmentsFile, document)
    _names(document, tuple(model.environments))
    _rules_known(document, model)
    people = {name: _person(name, person) for name, person in (model.people or {}).items()}
    settings = resolved_settings(document, project, variables)
    made = {
        name: _environment(document, model, (name, position), settings[name], people)
        for position, name in enumerate(model.environments)
    }
    demand_apart(document, made, project.tables)
    return Config(
        environments=made,
        document={**document.root.plain(), PINNED_ORDER: order or list(model.environments)},
        people=people,
        identity=model.identity,
        ledger=model.ledger,
        builds=model.builds,
        checkpoints=model.checkpoints,
        log_format=model.logs.format if model.logs else "text",
        telemetry=destinations(document, model.telemetry),
    )


def _ordered(document: Document) -> tuple[Document, list[str]]:
    """A pinned document without its ``order``, its environments in that order. A file has none, and needs none."""
    order = document.root.get(PINNED_ORDER)
    environments = document.root.get("environments")
    if order is None or order.line or environments is None:
        return document, []
    names = [str(name) for name in order.plain()]
    members = environments.members
    ordered = Node({name: members[name] for name in names if name in members} | dict(members))
    kept = {key: member for key, member in document.root.members.items() if key != PINNED_ORDER}
    return Document(document.file, Node({**kept, "environments": Member(ordered)})), names


def _environment(
    document: Document, model: EnvironmentsFile, place: tuple[str, int], settings: Tree, people: Mapping[str, Person]
) -> Environment:
    name, position = place
    reachable = connections(document, name, settings)
    data, data_origins = data_policy(document, name, model)
    return Environment(
        name=name,
        position=position,
        settings=plain(settings),
        connections=reachable.by_name,
        rules=rules(document, name, (model.promotion or {}).get(name), people),
        data=data,
        origins=origins(settings, "settings") | reachable.origins | rule_origins(document, name) | data_origins,
    )


def _names(document: Document, names: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        place = document.key(["environments", name])
        if not NAME.fullmatch(name):
            raise document.error("this is no name for an environment", place, hint=NAME_RULE)
        if other := seen.get(spelled(name)):
            message = f"{other} and {name} are the same in LANEWISE__{spelled(name)}__… and on some file systems"
            raise document.error(message, place, hint="rename one of them")
        seen[spelled(name)] = name


def _rules_known(document: Document, model: EnvironmentsFile) -> None:
    for name in model.promotion or {}:
        if name not in model.environments:
            hint = nearest_hint(name, model.environments)
            message = f"promotion has rules for the unknown environment {name[:60]!r}"
            raise document.error(message, document.key(["promotion", name]), hint=hint)


def _person(name: str, model: PersonModel | None) -> Person:
    return Person(name, tuple(model.emails), tuple(model.groups)) if model else Person(name)
