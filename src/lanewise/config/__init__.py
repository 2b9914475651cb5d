"""Two YAML files in, frozen nouns out, with the place that every value came from.

Importing this package costs nothing: pydantic and the YAML parser are loaded by the first call.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lanewise.config.check import Finding, check_snippet
    from lanewise.config.load import from_document, load_config, load_project, parse_project
    from lanewise.config.show import KeyDifference, config_diff

_HOMES = {
    "Finding": "check",
    "KeyDifference": "show",
    "check_snippet": "check",
    "config_diff": "show",
    "from_document": "load",
    "load_config": "load",
    "load_project": "load",
    "parse_project": "load",
}

__all__ = [
    "Finding",
    "KeyDifference",
    "check_snippet",
    "config_diff",
    "from_document",
    "load_config",
    "load_project",
    "parse_project",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
