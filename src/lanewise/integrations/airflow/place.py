"""Where a DAG file lies says which build it is of, in which environment, and whether that is live or a candidate there.

::

    .lanewise/airflow/ENV/live/unpacked/HEX        -> .lanewise/unpacked/HEX
    .lanewise/airflow/ENV/candidate/unpacked/HEX   -> .lanewise/unpacked/HEX
    .lanewise/airflow/ENV/live/told/HEX.json       what the sign said of it when it was live

A run outlives its build's time on the sign: its tasks are then told what the sign said last.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.runtime.compiled import parse
from lanewise.runtime.sign import Sign, verify

LIVE, CANDIDATE = "live", "candidate"
_PATH = re.compile(r"(?P<home>.*/\.lanewise)/airflow/(?P<environment>[^/]+)/(?P<role>live|candidate)/unpacked"
                   r"/(?P<hex>[0-9a-f]{64})(?:/|$)")  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One build in one role. ``build`` is its digest, ``sha256:…``."""

    home: str
    environment: str
    role: str
    build: str

    @classmethod
    def of(cls, file: str) -> Place | None:
        """The place that a file lies in; None for one that no bundle of Lanewise brought."""
        found = _PATH.match(file)
        if found is None:
            return None
        return cls(found["home"], found["environment"], found["role"], f"sha256:{found['hex']}")

    @property
    def folder(self) -> Path:
        """The build's files, by a path that shows their role and digest."""
        return shelf(self.home, self.environment, self.role) / self.build.removeprefix("sha256:")

    def show(self) -> Path:
        """Verify the build's files and make the path to them. ``BuildTampered``, or ``NotFound`` where they are not
        unpacked on this machine."""
        verify(self.home, self.build)
        shelf(self.home, self.environment, self.role).mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process came first
            self.folder.symlink_to(Path("../../../../unpacked") / self.build.removeprefix("sha256:"))
        return self.folder

    def told(self, sign: Sign) -> dict[str, Any]:
        """What the sign says of the build in this role, or said last."""
        if self.role == CANDIDATE:
            return next((one for one in sign.candidates if one["build"] == self.build), {})
        if sign.live and sign.live["build"] == self.build:
            return sign.live
        try:
            found: dict[str, Any] = parse(self._kept().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return sign.live or {}  # this machine did not see it live; its name for the entry is most likely the same
        return found

    def keep(self, told: str) -> None:
        """Write down what the sign says (JSON) of the build that is live now."""
        path = self._kept()
        if path.exists() and path.read_text(encoding="utf-8") == told:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".told-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(told)
        Path(aside).replace(path)

    def _kept(self) -> Path:
        folder = shelf(self.home, self.environment, self.role).parent / "told"
        return folder / f"{self.build.removeprefix('sha256:')}.json"


def shelf(home: str, environment: str, role: str) -> Path:
    """The folder in which the builds of a role stand."""
    return Path(home) / "airflow" / environment / role / "unpacked"
