"""A project's ``.lanewise`` folder made by hand, as ``lane`` leaves it: builds laid out, and the road sign."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENTRY = "flights"
PROJECT = "project: flights\ntables:\n  daily: {kind: partition, partition: {column: day}}\n"


class Signposts:
    """What code inside Airflow finds of a project in ``environment``. ``lane``: how lane is started there."""

    def __init__(self, root: Path, environment: str = "prod", lane: Sequence[str] = ()) -> None:
        self.home, self.environment = root / ".lanewise", environment
        self.lane = list(lane) or [sys.executable, "-m", "lanewise.cli"]
        self.home.mkdir(parents=True)
        self._document: dict[str, Any] = {
            "format": 1, "project": "flights", "environment": environment, "home": str(self.home), "lane": self.lane,
            "environments": ["dev", "stage", "prod"], "live": None, "candidates": [],
        }  # fmt: skip
        self._write()

    def lay_out(self, files: Mapping[str, str], *, settings: Mapping[str, Any] | None = None,
                connections: Mapping[str, Any] | None = None) -> str:  # fmt: skip
        """Unpack a build of these files; its digest."""
        files = {"lanewise.yaml": PROJECT, **files}
        entries = [{"path": path, "digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest()}
                   for path, text in sorted(files.items())]  # fmt: skip
        manifest = json.dumps({"files": entries}).encode()
        name = hashlib.sha256(manifest).hexdigest()
        for path, text in files.items():
            file = self.home / "unpacked" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._put(self.home / "manifests" / f"{name}.json", manifest.decode())
        self.compile(f"sha256:{name}", settings=settings, connections=connections)
        return f"sha256:{name}"

    def compile(self, build: str, *, settings: Mapping[str, Any] | None = None,
                connections: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        """Write what the build is told of its environment."""
        path = self.home / "compiled" / build.removeprefix("sha256:") / f"{self.environment}.json"
        self._put(path, json.dumps(self.document(build, settings=settings, connections=connections)))

    def document(self, build: str, *, settings: Mapping[str, Any] | None = None,
                 connections: Mapping[str, Any] | None = None, run: Any = None,
                 engine: Any = None) -> dict[str, Any]:  # fmt: skip
        """A compiled file's content."""
        return {
            "format": 1, "project": "flights", "environment": self.environment, "build": build, "config": "sha256:c",
            "variable": "LANEWISE_ENV", "log_format": "text", "root": str(self.home.parent), "effects": [],
            "sources": {}, "settings": dict(settings or {}), "connections": dict(connections or {}), "run": run,
            "engine": engine,
        }  # fmt: skip

    def show(self, *, live: str | None = None, candidates: Sequence[str] = (), schedule: str = "as written",
             settings: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        """Put the sign up anew, in one step, as ``lane`` does."""

        def told(build: str, schedule: str) -> dict[str, Any]:
            return {"build": build, "config": "sha256:c", "entry": ENTRY, "schedule": schedule,
                    "settings": dict(settings or {}), "number": 1}  # fmt: skip

        self._document["live"] = told(live, schedule) if live else None
        self._document["candidates"] = [told(build, "paused") for build in candidates]
        self._write()

    def take_down(self) -> None:
        """No sign stands any more, as on a disk that is not mounted."""
        (self.home / "signs" / f"{self.environment}.json").unlink()

    def _write(self) -> None:
        self._put(self.home / "signs" / f"{self.environment}.json", json.dumps(self._document))

    @staticmethod
    def _put(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.aside")
        aside.write_text(text)
        aside.replace(path)
