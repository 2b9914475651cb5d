"""The declared inputs: where each one is, what it holds now, and how a run reads exactly that.

Connection types: ``files`` (``path``: a folder, from the project's folder; ``raw.orders`` is ``raw/orders.parquet``,
``.csv``, ``.csv.zip`` or ``.json``, the folder ``raw/orders/`` of Parquet files, or ``raw.orders.csv`` and so on) and
``duckdb`` (``path``: another pipeline's ``ENV.duckdb``, or an ordinary DuckDB file).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.adapters.warehouses.embedded.digests import extracted, file_digest
from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.upstream import Upstream
from lanewise.domain.canonical import digest
from lanewise.domain.environment import Connection
from lanewise.domain.publication import InputPin
from lanewise.errors import GroundMoved, NotFound, WrongInput

_ENDINGS = {".parquet": "parquet", ".csv": "csv", ".csv.zip": "csv", ".json": "json"}


@dataclass(frozen=True)
class Sources:
    """The ``src`` connection of an environment. ``root`` is the project's folder."""

    connection: Connection | None
    root: Path
    cache: Path
    scratch: Path

    def pin(self, name: str) -> InputPin:
        """The input as it is now."""
        with disk_errors(f"the input {name} can't be read"):
            if (upstream := self._upstream()) is not None:
                return upstream.pin(name)
            files = self._files(name)
            held = [[f.name, file_digest(f, self.cache)] for f in files]
            return InputPin(name, digest([name, held]))

    def engine_input(self, pin: InputPin) -> dict[str, Any]:
        """How a run reads it, as JSON data. ``GroundMoved`` when it no longer is what was pinned."""
        with disk_errors(f"the input {pin.name} can't be read"):
            if (upstream := self._upstream()) is not None:
                return upstream.engine_input(pin)
            self.check(pin)
            files = self._files(pin.name)
            ending = _ending(files[0])
            if ending == ".csv.zip":
                files = [extracted(files[0], file_digest(files[0], self.cache), self.cache)]
            if _ENDINGS[ending] == "csv":
                return self._text_input(files[0])
            return {"kind": "files", "paths": [str(f) for f in files], "format": _ENDINGS[ending]}

    def check(self, pin: InputPin) -> None:
        """Raise ``GroundMoved`` when a file input has changed since it was pinned."""
        upstream = self._upstream()
        now = upstream.again(pin) if upstream is not None else self.pin(pin.name)
        if now.digest != pin.digest:
            raise GroundMoved(
                f"the input {pin.name} has changed since it was pinned", hint="start again: it is pinned anew"
            )

    def _text_input(self, text: Path) -> dict[str, Any]:
        from lanewise.adapters.warehouses.embedded.columnar import columnar  # noqa: PLC0415 - the engine: 170 ms

        parsed = columnar(text, self.cache, self.scratch)
        return {"kind": "files", "paths": [str(parsed or text)], "format": "parquet" if parsed else "csv"}

    def _connection(self) -> Connection:
        if self.connection is None:
            raise WrongInput("this project's inputs have no src connection", hint="set src_conn in environments.yaml")
        return self.connection

    def _upstream(self) -> Upstream | None:
        connection = self._connection()
        if connection.type == "duckdb":
            return Upstream(self._path(connection), self.cache, self.scratch)
        if connection.type == "files":
            return None
        raise WrongInput(
            f"an embedded warehouse reads inputs from files or duckdb, not from {connection.type}",
            hint=f"change the type of the connection {connection.name}",
        )

    def _path(self, connection: Connection) -> Path:
        path = connection.fields.get("path")
        if not isinstance(path, str) or not path:
            raise WrongInput(
                f"the connection {connection.name} has no path", hint="set `path`, from the project's folder"
            )
        return self.root / Path(path).expanduser()

    def _files(self, name: str) -> list[Path]:
        folder = self._path(self._connection())
        parts = name.split(".")
        if any(not part or "/" in part or "\\" in part or "\0" in part for part in parts):
            raise WrongInput(f"{name!r} can't name an input", hint="write it as schema.table")
        for stem in dict.fromkeys(((folder / "/".join(parts)), folder / name)):
            for ending in _ENDINGS:
                file = stem.with_name(stem.name + ending)
                if file.is_file():
                    return [file]
            if stem.is_dir() and (found := sorted(stem.glob("*.parquet"))):
                return found
        raise NotFound("input", name, known=_inputs_in(folder), hint="" if folder.is_dir() else f"there is no {folder}")


def _ending(file: Path) -> str:
    return next(ending for ending in (".csv.zip", *_ENDINGS) if file.name.endswith(ending))


def _inputs_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    found = []
    for file in [*folder.iterdir(), *folder.glob("*/*")]:
        ending = next((e for e in (".csv.zip", *_ENDINGS) if file.name.endswith(e)), None)
        if ending:
            found.append(".".join(file.relative_to(folder).parts)[: -len(ending)])
    return found
