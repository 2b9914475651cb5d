"""A bundle that moves between builds never lets Airflow store one build's code under the other's name."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Self

from tests.contract.orchestrators.airflow.airflow_server import REPOSITORY, AirflowServer
from tests.contract.orchestrators.airflow.flips import parsing, pipeline, ran
from tests.contract.orchestrators.airflow.signposts import Signposts

QUICK = {"AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "0",
         "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "0"}  # fmt: skip
UNDRAINED = [{"name": "lanewise", "classpath": "tests.contract.orchestrators.airflow.undrained.UndrainedBundle",
              "kwargs": {"refresh_interval": 1}}]  # fmt: skip


class Watch:
    """What Airflow keeps of its DAG, looked at all the time: a later parse writes over a version that no run is of."""

    def __init__(self, airflow: AirflowServer) -> None:
        self._airflow, self._over = airflow, threading.Event()
        self.seen: list[tuple[str, str]] = []
        """(the build it is labelled with, the build whose code it is), an entry each time that it changed."""
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.03):
            found = newest(self._airflow)
            if found and (not self.seen or self.seen[-1] != found):
                self.seen.append(found)


def newest(airflow: AirflowServer) -> tuple[str, str] | None:
    rows = airflow.query("select v.bundle_version, s.data from dag_version v join serialized_dag s "
                         "on s.dag_version_id = v.id order by s.last_updated desc limit 1")  # fmt: skip
    if not rows:
        return None
    tags = json.loads(rows[0][1])["dag"]["tags"]
    return rows[0][0], "sha256:" + next(tag for tag in tags if tag.startswith("build:"))[6:]


def flip(airflow: AirflowServer, signs: Signposts, builds: list[str], times: int) -> float:
    """Move the sign to and fro, each time as soon as the dag-processor has moved and so is parsing; the longest wait in
    seconds."""
    longest = 0.0
    for number in range(times):
        build, since = builds[number % 2], time.monotonic()
        signs.show(live=build)
        airflow.until(lambda build=build: version(airflow) == build, f"flip {number}", every=0.02)
        longest = max(longest, time.monotonic() - since)
    return longest


def version(airflow: AirflowServer) -> str:
    rows = airflow.query("select version from dag_bundle where name = 'lanewise'")
    return str(rows[0][0]) if rows else ""


def prepared(root: Path, slow: float = 0.3) -> tuple[Signposts, list[str]]:
    signs = Signposts(root)
    builds = [signs.lay_out(pipeline(name, root / "ran", slow=slow)) for name in ("a", "b")]
    signs.show(live=builds[1])
    return signs, builds


def mislabelled(watch: Watch) -> list[tuple[str, str]]:
    return [(label, code) for label, code in watch.seen if label != code]


def test_fifty_flips_under_a_schedule_store_and_run_every_build_under_its_own_name(tmp_path: Path) -> None:
    signs, builds = prepared(tmp_path)
    server = AirflowServer(tmp_path / "airflow", home=signs.home, environment="prod", variables=QUICK)
    with server.started() as airflow, Watch(airflow) as watch:
        airflow.until(lambda: watch.seen, "the first parse")
        longest = flip(airflow, signs, builds, 50)
        airflow.until(lambda: len(ran(tmp_path / "ran")) > 5, "some runs")
        airflow.until(lambda: watch.seen[-1] == (builds[1], builds[1]), "the last build's parse")
        versions = dict(airflow.query("select run_id, bundle_version from dag_run"))
    assert not mislabelled(watch)
    assert len(watch.seen) >= 45, "the flips went by unseen"
    letters = dict(zip(builds, "ab", strict=True))
    for run, letter, build in ran(tmp_path / "ran"):
        assert (letters[versions[run]], versions[run]) == (letter, build), f"{run} mixes two builds"
    print(f"50 flips, {len(watch.seen)} changes stored, {len(versions)} runs, longest flip {longest:.1f} s")


def test_without_the_drain_old_code_is_stored_under_the_new_name(tmp_path: Path) -> None:
    signs, builds = prepared(tmp_path, slow=2)
    server = AirflowServer(tmp_path / "airflow", home=signs.home, environment="prod", bundles=UNDRAINED,
                           variables=QUICK | {"PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    with server.started(parser_only=True) as airflow, Watch(airflow) as watch:
        airflow.until(lambda: watch.seen, "the first parse")
        for number in range(6):
            parsing("ba"[number % 2], tmp_path / "ran")
            airflow.until(lambda name="ba"[number % 2]: parsing(name, tmp_path / "ran"), "a parse", every=0.02)
            flip(airflow, signs, builds[number % 2 :], 1)
            time.sleep(2)
            if mislabelled(watch):
                break
    assert mislabelled(watch)
