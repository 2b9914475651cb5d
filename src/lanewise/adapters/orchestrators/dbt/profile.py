"""``profiles.yml`` of an environment: how dbt logs in, by references to variables. No value is ever in it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lanewise.errors import Refused

PROFILE = "lanewise"
PASSWORD = "DBT_ENV_SECRET_LANEWISE_PASSWORD"  # noqa: S105 - a variable's name; dbt strikes its value out of its logs
_FIELDS = {"host": "host", "port": "port", "dbname": "dbname", "user": "user", "sslmode": "sslmode",
           "sslrootcert": "sslrootcert", "connect_timeout": "connect_timeout"}  # fmt: skip
_NUMBERS = frozenset({"port", "connect_timeout"})


@dataclass(frozen=True)
class Profile:
    """The file's text, and the variables that it refers to (without the password)."""

    text: str
    variables: Mapping[str, str] = field(default_factory=dict)


def duckdb_profile(environment: str, file: str, scratch: str, threads: int) -> Profile:
    """A DuckDB file that is thrown away after the run; ``scratch`` is where it may spill to."""
    output = {
        "type": "duckdb", "path": _variable("LANEWISE_DBT_FILE"), "schema": "main", "threads": threads,
        "settings": {"TimeZone": "UTC", "temp_directory": _variable("LANEWISE_DBT_SCRATCH")},
    }  # fmt: skip
    return Profile(_text(environment, output), {"LANEWISE_DBT_FILE": file, "LANEWISE_DBT_SCRATCH": scratch})


def postgres_profile(environment: str, login: Mapping[str, Any], schema: str, threads: int) -> Profile:
    """The run's own login at a PostgreSQL server. ``login`` is as the driver takes it; ``schema`` that of rooms."""
    known = {_FIELDS[name]: str(value) for name, value in login.items() if name in _FIELDS}
    # Left out, they are what the driver takes them to be: the local socket, and whoever runs this.
    known = {"host": "", "port": "5432", "user": getpass.getuser(), **known}
    if not known.get("dbname"):
        raise Refused(f"the warehouse of {environment} names no database", hint="set `database` on its connection")
    names = {name: f"LANEWISE_DBT_{name.upper()}" for name in known}
    output: dict[str, Any] = {"type": "postgres", "threads": threads, "password": _variable(PASSWORD)}
    output |= {name: _variable(variable, number=name in _NUMBERS) for name, variable in names.items()}
    output["schema"] = _variable("LANEWISE_DBT_SCHEMA")
    variables = {names[name]: value for name, value in known.items()}
    return Profile(_text(environment, output), {**variables, "LANEWISE_DBT_SCHEMA": schema})


def _variable(name: str, *, number: bool = False) -> str:
    return f"{{{{ env_var('{name}'){' | as_number' if number else ''} }}}}"


def _text(environment: str, output: Mapping[str, Any]) -> str:
    """JSON is YAML too, and needs nobody to quote it."""
    document = {PROFILE: {"target": environment, "outputs": {environment: dict(output)}}}
    return "# Written anew for each run. It holds names of variables, never a value.\n" + json.dumps(document, indent=2)
