"""DAG bundles: the live build of an environment, and beside it the candidates that stand on its road sign.

::

    [dag_processor]
    dag_bundle_config_list = [
        {"name": "lanewise", "classpath": "lanewise.integrations.airflow.LanewiseBundle", "kwargs": {}},
        {"name": "lanewise-candidates", "classpath": "lanewise.integrations.airflow.LanewiseCandidates", "kwargs": {}}]

``kwargs`` may hold ``home`` (the project's ``.lanewise`` folder, else ``LANEWISE_HOME``), ``environment`` (else
``LANEWISE_ENV``) and ``refresh_interval``. A sign that has moved is seen each ``bundle_refresh_check_interval``.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion, get_bundle_version_path

import lanewise.integrations.airflow.room
import lanewise.integrations.airflow.shape  # noqa: F401 - loaded here, once, it is not loaded in each child that parses
from lanewise.errors import ConfigError, LaneError, NotFound
from lanewise.integrations.airflow.place import CANDIDATE, LIVE, Place, shelf
from lanewise.integrations.airflow.processor import DagProcessor
from lanewise.runtime.place import VARIABLE, environment_name
from lanewise.runtime.sign import Sign, home_of, read_sign, sign_file

log = logging.getLogger(__name__)


class SignBundle(BaseDagBundle):  # type: ignore[misc]  # Airflow is not installed where types are checked
    """What both bundles have in common: they follow one road sign."""

    def __init__(self, *, home: str = "", environment: str = "", **kwargs: Any) -> None:
        self._home, self._environment = home, environment
        self._seen: object = None  # the sign's file as it was when it was last followed
        super().__init__(**kwargs)

    @property
    def refresh_interval(self) -> float:
        """Seconds between two refreshes; none when the sign has changed, so that it is followed at the next check.
        Costs one ``stat``."""
        return self._interval if not self.is_initialized or self._stamp() == self._seen else 0

    @refresh_interval.setter
    def refresh_interval(self, seconds: float) -> None:
        self._interval = seconds

    def _settle(self) -> None:
        """Find out which sign is followed, and tell the code that is loaded from here."""
        self._home = home_of(self._home)
        self._environment = environment_name(self._environment, VARIABLE)
        told = os.environ.setdefault(VARIABLE, self._environment)
        if told != self._environment:
            raise ConfigError(f"bundle {self.name} is for {self._environment}, and {VARIABLE}={told}",
                              hint="one Airflow serves one environment")  # fmt: skip

    def _stamp(self) -> object:
        try:
            found = os.stat(sign_file(self._home, self._environment))  # noqa: PTH116 - asked in each of Airflow's loops
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read(self) -> Sign | None:
        """The sign; None before the first promotion."""
        try:
            return read_sign(self._home, self._environment)
        except NotFound as error:
            log.warning("bundle %s is empty: %s; %s", self.name, error.message, error.hint)
            return None


class LanewiseBundle(SignBundle):
    """The live build; the version is its digest. A worker asks for the version of its run, and gets that build."""

    supports_versioning = True

    def __init__(self, **kwargs: Any) -> None:
        self._told: dict[str, Any] | None = None
        super().__init__(**kwargs)

    def initialize(self) -> None:
        """Verify the files of the wanted build. ``NotFound`` where they are not on this machine."""
        self._settle()
        if self.version:
            place = self._place(str(self.version))
            place.show()
            sign = self._read()
            if sign and sign.live and sign.live["build"] == self.version:
                place.keep(json.dumps(sign.live))
            # Airflow tidies up old versions by deleting this folder, and stops when there is none.
            get_bundle_version_path(self.name, self.version).mkdir(parents=True, exist_ok=True)
        else:
            self._follow()
        super().initialize()

    def refresh(self) -> None:
        """Move to the build that is live by now. One ``stat`` when nothing has changed."""
        if self.version:
            raise ConfigError(f"bundle {self.name} is at version {self.version}, which never changes")
        if self._stamp() != self._seen:
            self._follow()

    def get_current_version(self) -> BundleVersion | None:
        """The digest of the build that is handed out; None while nothing is live."""
        build = self.version or (self._told or {}).get("build")
        return BundleVersion(version=str(build)) if build else None

    @property
    def path(self) -> Path:
        """The folder of the build that is handed out; an empty one while nothing is live."""
        current = self.get_current_version()
        if current is not None:
            return self._place(str(current.version)).folder
        nothing = shelf(self._home or ".", self._environment or "-", LIVE).parent / "nothing"
        if self.is_initialized:
            nothing.mkdir(parents=True, exist_ok=True)
        return nothing

    def _follow(self) -> None:
        stamp, sign = self._stamp(), self._read()
        told = sign.live if sign else None
        if told is not None and told != self._told:
            place = self._place(told["build"])
            place.show()  # tampered with or absent, it is not moved to: the former one stays
            place.keep(json.dumps(told))
            self._drain()
            self._told = told
            log.info("bundle %s hands out build %s", self.name, told["build"])
        self._seen = stamp  # a sign that is gone, or names nothing, takes no DAG away

    def _drain(self) -> None:
        processor = DagProcessor.around()
        if processor is not None:
            processor.drain(self.name)
            processor.forget(self.name)

    def _place(self, build: str) -> Place:
        return Place(self._home, self._environment, LIVE, build)


class LanewiseCandidates(SignBundle):
    """Every candidate on the sign, each in a folder of its digest. It has no versions: the folder's name says it."""

    supports_versioning = False

    def initialize(self) -> None:
        """Verify the files of the candidates; one that is not whole is left out, and the log says why."""
        self._settle()
        self._show()
        super().initialize()

    def refresh(self) -> None:
        """Take in what has been put on the sign, and let go what was taken off. One ``stat`` when nothing changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        shown = self._show()
        for folder in self.path.iterdir():
            if shown is not None and folder.is_symlink() and folder.name not in shown:
                folder.unlink(missing_ok=True)
        processor = DagProcessor.around()
        if processor is not None:
            processor.forget(self.name)  # what is told of a candidate may have changed, and its files have not
        self._seen = stamp

    def get_current_version(self) -> None:
        """None: see the class."""

    @property
    def path(self) -> Path:
        """The folder of the candidates' folders."""
        return shelf(self._home or ".", self._environment or "-", CANDIDATE)

    def _show(self) -> set[str] | None:
        """The names of the candidates' folders; None where no sign stands, which takes none away."""
        self.path.mkdir(parents=True, exist_ok=True)
        sign = self._read()
        if sign is None:
            return None
        shown = set()
        for told in sign.candidates:
            place = Place(self._home, self._environment, CANDIDATE, told["build"])
            try:
                shown.add(place.show().name)
            except LaneError as error:
                log.error("bundle %s leaves a candidate out: %s; %s", self.name, error.message, error.hint)  # noqa: TRY400
        return shown
