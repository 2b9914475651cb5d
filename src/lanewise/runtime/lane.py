"""The lane: an environment as pipeline code sees it."""

from __future__ import annotations

from lanewise.errors import NotFound
from lanewise.runtime.compiled import load
from lanewise.runtime.place import find_place

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would cost 6 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from typing import Any

    from lanewise.runtime.connection import Connection
    from lanewise.runtime.run import Run


class Settings:
    """An environment's settings, read-only, by attribute or by item. An unknown name says which was meant."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", values)

    def __getitem__(self, name: str) -> Any:
        values: dict[str, Any] = self._values
        if name not in values:
            raise NotFound("setting", name, known=values)
        return frozen(values[name])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy, pickle and the like ask for these and expect an AttributeError
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings are read-only: {name} is set in environments.yaml")

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Settings({self._values!r})"

    def get(self, name: str, default: Any = None) -> Any:
        """The setting, or ``default`` where there is none of that name."""
        return frozen(self._values[name]) if name in self._values else default


def frozen(value: Any) -> Any:
    """Nested settings read like settings, and lists can't be changed."""
    if isinstance(value, dict):
        return Settings(value)
    if isinstance(value, list):
        return tuple(frozen(each) for each in value)
    return value


class Lane:
    """One environment, one build, one config: what ``lanewise.current()`` returns. Read-only."""

    __slots__ = ("_document", "_log")

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._log: logging.Logger | None = None

    def __repr__(self) -> str:
        build = self.build.removeprefix("sha256:")[:8] or "working tree"
        return f"<Lane {self._document['project']}/{self.environment} build {build}>"

    @property
    def project(self) -> str:
        """The project's name."""
        return str(self._document["project"])

    @property
    def environment(self) -> str:
        """The environment's name. For labels; code that branches on it is a finding."""
        return str(self._document["environment"])

    @property
    def build(self) -> str:
        """The build's digest, ``sha256:…``; empty in a working tree."""
        return str(self._document.get("build") or "")

    @property
    def config(self) -> str:
        """The digest of the environment's config."""
        return str(self._document.get("config") or "")

    @property
    def purpose(self) -> str:
        """Why this runs: ``scheduled``, ``rerun``, ``canary`` …; empty outside of a run."""
        return str((self._document.get("run") or {}).get("purpose", ""))

    @property
    def settings(self) -> Settings:
        """The environment's settings."""
        return Settings(self._document["settings"])

    def connection(self, role: str) -> Connection:
        """The connection that the setting ``<role>_conn`` names (``src``, ``dst``), or one of that very name."""
        connections = self._document["connections"]
        name = self._document["settings"].get(f"{role}_conn", role)
        if name not in connections:
            roles = [key[:-5] for key in self._document["settings"] if key.endswith("_conn")]
            raise NotFound("connection", str(name), known=[*connections, *roles])
        from lanewise.runtime.connection import Connection  # noqa: PLC0415 - DAG files that only read settings skip it

        return Connection(name, self._document)

    def effect(self, name: str) -> bool:
        """Whether this run may cause the external effect ``name`` (declared in ``effects``): never in a canary."""
        run = self._document.get("run") or {}
        effects = self._document.get("effects") or []
        if name not in effects:
            raise NotFound("effect", name, known=effects)
        return run.get("purpose") in {"scheduled", "rerun"}

    @property
    def log(self) -> logging.Logger:
        """A logger whose every line carries environment, build, project, purpose and run."""
        if self._log is None:
            from lanewise.runtime.log import open_log  # noqa: PLC0415 - only code that logs pays for logging

            self._log = open_log(self._document)
        return self._log

    @property
    def traceparent(self) -> str:
        """The span that spans of this code's own hang below, as W3C Trace Context has it; empty where nobody traces.
        It is in the variable TRACEPARENT as well, where this process was started by ``lane``."""
        from lanewise.runtime.log import traceparent  # noqa: PLC0415 - as above

        return traceparent(self._document)

    def run(self) -> Run:
        """The run this process was started for, as a context manager: leaving it hands over what was written."""
        from lanewise.runtime.run import Run  # noqa: PLC0415 - only code that runs pays for the engine

        return Run(self._document)


def open_lane(environment: str | None, caller: str) -> Lane:
    """See ``lanewise.current``; ``caller`` is the file of the code that asks."""
    return Lane(load(environment, find_place(caller)))
