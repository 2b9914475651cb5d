"""``LANEWISE__RETRIES=5`` for every environment, ``LANEWISE__PROD__RETRIES=5`` for one; typed by what they replace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lanewise.config.environment_models import SettingsModel
from lanewise.config.node import Document, from_plain
from lanewise.config.reading import read_text
from lanewise.config.secrets import literal_secrets
from lanewise.config.tree import Leaf, Tree, check_types, merge, plain, tree
from lanewise.errors import ConfigError, nearest_hint

PREFIX = "LANEWISE__"


def spelled(name: str) -> str:
    """A name as it is written in a variable."""
    return name.upper().replace("-", "_")


def overridden(base: Tree, merged: Mapping[str, Tree], variables: Mapping[str, str]) -> dict[str, Tree]:
    """The environments with the variables laid over them; those for one environment last."""
    result = dict(merged)
    for variable in sorted(variables, key=lambda name: (_environment(name, merged) is not None, name)):
        if not variable.startswith(PREFIX):
            continue
        only = _environment(variable, merged)
        steps = variable.removeprefix(PREFIX).split("__")[1 if only else 0 :]
        for name in [only] if only else list(merged):
            layer = _layer(variable, steps, variables[variable], result[name])
            check_types(base, layer)
            check_types(result[name], layer)
            _standard(variable, layer)
            result[name] = merge(result[name], layer)
    return result


def _environment(variable: str, environments: Mapping[str, Tree]) -> str | None:
    first, more, _ = variable.removeprefix(PREFIX).partition("__")
    return next((name for name in environments if more and spelled(name) == first.upper()), None)


def _layer(variable: str, steps: list[str], text: str, settings: Tree) -> Tree:
    path: list[str] = []
    here: Tree | Leaf = settings
    for step in steps:
        known = {spelled(key): key for key in here} if isinstance(here, Mapping) else {}
        if step.upper() not in known or isinstance(here, Leaf):
            hint = nearest_hint(step.upper(), known)
            raise ConfigError(f"there is no setting {step[:60]!r} to override", file=variable[:120], hint=hint)
        path.append(known[step.upper()])
        here = here[path[-1]]
    document: Any = _typed(variable, text, here)
    for key in reversed(path):
        document = {key: document}
    for problem in literal_secrets(Document(variable, from_plain(document))):
        raise problem
    return tree(from_plain(document), variable, "")


def _standard(variable: str, layer: Tree) -> None:
    """The standard keys have more to them than a type: retries are not negative, an SLA is a duration."""
    try:
        SettingsModel.model_validate(plain(layer))
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(reason, file=variable) from None


def _typed(variable: str, text: str, replaced: Tree | Leaf) -> Any:
    """The text as the type of what it replaces: a text stays as it is, anything else is read as YAML."""
    if isinstance(replaced, Leaf) and isinstance(replaced.value, str):
        return text
    try:
        return read_text(text, variable).root.plain()
    except ConfigError:
        return text
