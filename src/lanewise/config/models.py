"""What both files' models share: strictness, and one clear error out of pydantic's many."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lanewise.config.node import Document
from lanewise.errors import ConfigError, nearest_hint


class Strict(BaseModel):
    """Unknown keys are errors, and ``"3"`` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


def validated(model: type[M], document: Document) -> M:
    """The document as a model, or one ``ConfigError`` that points at the place. No value is repeated in it."""
    if not document.root.members and document.root.value != {}:
        raise document.error("the file must be a mapping of keys to values, such as `project: orders`")
    try:
        return model.model_validate(document.root.plain())
    except ValidationError as error:
        raise _worst(error, model, document) from None


def _worst(error: ValidationError, model: type[BaseModel], document: Document) -> ConfigError:
    """An unknown key first: it is often why another one is missing."""
    problems = [_described(dict(problem), model, document) for problem in error.errors(include_url=False)]
    return min(problems, key=lambda problem: (not problem[0], problem[1].line, problem[1].column))[1]


def _described(problem: dict[str, Any], model: type[BaseModel], document: Document) -> tuple[bool, ConfigError]:
    path: Sequence[str | int] = problem["loc"]
    name = ".".join(str(step) for step in path if isinstance(step, str))[:200]
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = known_keys(model, path[:-1])
        hint = nearest_hint(str(path[-1]), known)
        return True, document.error(f"unknown key {str(path[-1])[:60]!r}", document.key(path), hint=hint)
    if kind == "missing":
        return False, document.error(f"{name} is missing", document.find(path[:-1]))
    if kind == "literal_error":
        wanted = str(context.get("expected", "")).replace("'", "")
        return False, document.error(f"{name} must be {wanted}", document.find(path))
    if kind == "value_error":
        return False, document.error(f"{name}: {context['error']}", document.find(path))
    if kind in _KINDS:
        return False, document.error(f"{name} must be {_KINDS[kind]}", document.find(path))
    return False, document.error(f"{name}: {problem['msg'][:1].lower()}{problem['msg'][1:]}", document.find(path))


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that may stand at a path into a model's data."""
    here: Any = model
    for step in path:
        here = _bare(_below(here, str(step)))
    return tuple(field.alias or key for key, field in here.model_fields.items()) if _is_model(here) else ()


def _below(annotation: Any, key: str) -> Any:
    """What stands under a key of a model, or what a list or mapping is made of."""
    if not _is_model(annotation):
        parts = typing.get_args(annotation)
        return parts[-1] if parts else None
    fields = annotation.model_fields.items()
    return next((field.annotation for name, field in fields if key in {name, field.alias}), None)


def _bare(annotation: Any) -> Any:
    """Without ``Annotated`` and ``| None``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _bare(typing.get_args(annotation)[0])
    if origin in {typing.Union, types.UnionType}:
        return _bare(next(part for part in typing.get_args(annotation) if part is not type(None)))
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
