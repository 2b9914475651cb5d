"""``{env}`` in values: the one placeholder. ``{{`` and ``}}`` are braces."""

from __future__ import annotations

import re
from typing import Any

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class TemplateError(ValueError):
    """A text that is no template; carries the reason and a hint, and the caller knows the place."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def expand(value: Any, environment: str) -> Any:
    """Fill in every text inside a value. ``TemplateError`` for an unknown placeholder or a lone brace."""
    if isinstance(value, str):
        return _PIECE.sub(lambda piece: _filled(piece[0], environment), value) if _has_brace(value) else value
    if isinstance(value, list):
        return [expand(item, environment) for item in value]
    if isinstance(value, dict):
        return {key: expand(item, environment) for key, item in value.items()}
    return value


def is_template(text: str) -> bool:
    """Whether a name differs from environment to environment."""
    return "{env}" in text.replace("{{", "").replace("}}", "")


def _has_brace(text: str) -> bool:
    return "{" in text or "}" in text


def _filled(piece: str, environment: str) -> str:
    if piece in {"{{", "}}"}:
        return piece[0]
    if piece == "{env}":
        return environment
    if len(piece) > 1:
        raise TemplateError(f"unknown placeholder {piece[:60]}", "there is {env} alone; write {{ and }} for braces")
    raise TemplateError(f"a lone {piece}", "write {{ and }} for braces")
