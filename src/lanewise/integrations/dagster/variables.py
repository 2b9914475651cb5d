"""Refuse a build whose resources name environment variables that are not set here: Dagster's own validation does not
look, and the first run would find out."""

from __future__ import annotations

import os

from dagster import RepositoryDefinition

from lanewise.errors import ConfigError


def demand_variables(repository: RepositoryDefinition, environment: str) -> None:
    """``ConfigError`` that names each variable, with the resources that need it. An empty value counts as set."""
    wanted = repository.get_env_vars_by_top_level_resource()
    missing = {name: sorted(users) for name, users in wanted.items() if name not in os.environ}
    if missing:
        said = ", ".join(f"{name} (of {', '.join(users)})" for name, users in sorted(missing.items()))
        hint = "set them for this code location, or use lanewise.current().connection(…), which needs none"
        raise ConfigError(f"not set in {environment}: {said}", hint=hint)
