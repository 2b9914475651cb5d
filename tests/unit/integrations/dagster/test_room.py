"""What a Dagster run is told about its room; Dagster itself is not needed for that."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from lanewise.errors import Refused
from lanewise.integrations.dagster.room import Superseded, Tied, entered
from lanewise.runtime.sign import read_sign

BUILD, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LANE = """\
import json, pathlib, sys
home = pathlib.Path.cwd()
with (home / "asked").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if "begin" in sys.argv:
    if (home / "refuse").exists():
        print("error: another build is live", file=sys.stderr)
        sys.exit(1)
    run = sys.argv[sys.argv.index("--id") + 1]
    document = json.loads((home / "document.json").read_text())
    (home / "runs" / f"{run}.json").write_text(json.dumps(document))
    print(json.dumps({"compiled": str(home / "runs" / f"{run}.json")}))
else:
    print("{}")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / ".lanewise"
    for folder in ("signs", "runs"):
        (home / folder).mkdir(parents=True)
    (home / "lane.py").write_text(LANE)
    (home / "document.json").write_text(json.dumps(document()))
    monkeypatch.delenv("LANEWISE_COMPILED", raising=False)
    put_up(home, BUILD)
    return home


def document(days: tuple[str, ...] = ("2013-01-01", "2013-01-02", "2013-01-03")) -> dict:
    run = {"id": "canary-1", "purpose": "canary", "partitions": list(days), "tables": ["daily"], "declared": {}}
    outputs = {"daily": {"columns": [], "file": "/room/outputs/daily.parquet"}}
    return {"format": 1, "environment": "prod", "build": BUILD, "run": run,
            "engine": {"type": "duckdb", "outputs": outputs}}  # fmt: skip


def put_up(home: Path, live: str) -> None:
    served = {"build": live, "entry": "sales", "schedule": "paused", "config": "sha256:c", "settings": {}, "number": 1}
    sign = {"format": 1, "project": "sales", "environment": "prod", "home": str(home), "live": served,
            "lane": [sys.executable, str(home / "lane.py")], "candidates": []}  # fmt: skip
    (home / "signs" / "prod.json").write_text(json.dumps(sign))


def tied(home: Path, *, candidate: bool = False) -> Tied:
    return Tied(read_sign(str(home), "prod"), BUILD, f"{home}/unpacked/{'a' * 64}", candidate)


def asked(home: Path) -> list[str]:
    return [" ".join(line.split()[1:2]) for line in (home / "asked").read_text().splitlines()]


def test_a_run_of_the_clock_is_begun_and_published_by_lane(home: Path):
    with entered(tied(home), {}, "0f1e", ["2013-01-02"]) as room:
        assert os.environ["LANEWISE_COMPILED"] == room.compiled == str(home / "runs/live-dg-0f1e.json")
        assert (room.run, room.purpose) == ("live-dg-0f1e", "canary")
        assert asked(home) == ["begin"]
    assert asked(home) == ["begin", "publish"]
    assert "--build " + BUILD + " --partition 2013-01-02" in (home / "asked").read_text()
    assert "LANEWISE_COMPILED" not in os.environ


def test_a_run_that_a_person_starts_again_is_begun_anew(home: Path):
    with entered(tied(home), {"lanewise/run": "live-dg-0f1e"}, "2d3c", ["2013-01-02"]) as room:
        assert room.run == "live-dg-2d3c"


def test_a_run_of_the_clock_that_fails_is_abandoned(home: Path):
    with pytest.raises(ZeroDivisionError), entered(tied(home), {}, "0f1e", ["2013-01-02"]):
        raise ZeroDivisionError("no amount")
    assert asked(home) == ["begin", "abandon"]
    assert "no amount" in (home / "asked").read_text()


def test_a_run_of_a_build_that_is_no_longer_live_does_not_compute(home: Path):
    mine = tied(home)
    put_up(home, OTHER)
    (home / "refuse").touch()
    with pytest.raises(Superseded, match="another build is live"), entered(mine, {}, "0f1e", ["2013-01-02"]):
        pytest.fail("it was let in")


def test_a_refusal_for_another_reason_is_not_taken_for_that(home: Path):
    (home / "refuse").touch()
    with pytest.raises(Refused) as caught, entered(tied(home), {}, "0f1e", ["2013-01-02"]):
        pytest.fail("it was let in")
    assert not isinstance(caught.value, Superseded)


def test_runs_of_one_backfill_write_files_of_their_own_for_their_own_days(home: Path):
    (home / "runs/canary-1.json").write_text(json.dumps(document()))
    seen = []
    for own, day in (("r1", "2013-01-01"), ("r2", "2013-01-03")):
        with entered(tied(home, candidate=True), {"lanewise/run": "canary-1"}, own, [day]) as room:
            told = json.loads(Path(room.compiled).read_text())
            assert told["run"]["partitions"] == [day]
            seen.append(told["engine"]["outputs"]["daily"]["file"])
    assert seen == ["/room/outputs/daily/2013-01-01.parquet", "/room/outputs/daily/2013-01-03.parquet"]
    assert [path.name for path in (home / "runs").iterdir()] == ["canary-1.json"]  # what was told apart is gone
    assert not (home / "asked").exists()  # the promotion publishes, and nobody else


def test_a_run_of_every_day_is_told_the_whole(home: Path):
    (home / "runs/canary-1.json").write_text(json.dumps(document()))
    with entered(tied(home), {"lanewise/run": "canary-1"}, "r1", document()["run"]["partitions"]) as room:
        assert room.compiled == str(home / "runs/canary-1.json")


@pytest.mark.parametrize(
    ("change", "days", "reason"),
    [
        (None, ["2013-01-01"], "is over"),
        ({"build": OTHER}, ["2013-01-01"], "of another build"),
        ({}, ["2013-02-01"], "is not about 2013-02-01"),
    ],
)
def test_a_run_that_lanewise_does_not_know_like_that_is_refused(home: Path, change: dict | None, days, reason: str):
    if change is not None:
        (home / "runs/canary-1.json").write_text(json.dumps({**document(), **change}))
    with pytest.raises(Refused, match=reason), entered(tied(home), {"lanewise/run": "canary-1"}, "r1", days):
        pytest.fail("it was let in")


def test_a_candidate_is_not_run_by_hand(home: Path):
    with pytest.raises(Refused, match="by a promotion alone"), entered(tied(home, candidate=True), {}, "r1", []):
        pytest.fail("it was let in")
