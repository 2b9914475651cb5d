"""Lines that commands print become log records: with level and time where they say so."""

from __future__ import annotations

from pathlib import Path

from lanewise.adapters.telemetry.records import Record, Recorder
from lanewise.domain.run import Purpose, RunOutcome, RunRequest
from lanewise.domain.telemetry import Attempted

REQUEST = RunRequest("live-1", "orders", "prod", "sha256:b", "c", Purpose.SCHEDULED, ("2013-01-05",), ("daily",), ())
BEFORE = "what another attempt had printed\n"


def printed(folder: Path, text: str, outcome: RunOutcome | None = None) -> list[Record]:
    log = folder / "run.log"
    log.write_text(BEFORE + text)
    fact = Attempted(REQUEST, ("a" * 32, "b" * 16, ""), 1.0, 2.0, outcome, log=log, offset=len(BEFORE))
    return list(Recorder(None).of(fact))


def test_a_plain_line_loses_the_labels_that_the_log_file_puts_before_it(tmp_path: Path):
    (record,) = printed(tmp_path, "environment=prod build=b project=orders purpose=scheduled run=live-1 | a | b\n\n")
    assert (record.text, record.level, record.at, record.seen) == ("a | b", "INFO", 0, 2_000_000_000)
    assert record.labels.partition == "2013-01-05"


def test_a_line_of_lane_log_keeps_its_level_and_its_time(tmp_path: Path):
    line = "2026-11-22T10:00:00+0000 WARNING it is late [environment=prod run=live-1]"
    (record,) = printed(tmp_path, f"environment=prod run=live-1 | {line}\n")
    assert (record.text, record.level, record.at) == ("it is late", "WARNING", 1795341600_000_000_000)


def test_a_line_of_json_is_its_event(tmp_path: Path):
    line = '{"event": "it is late", "level": "error", "timestamp": "2026-11-22T10:00:00Z", "run": "live-1"}'
    (record, other) = printed(tmp_path, f"{line}\n{{no json\n")
    assert (record.text, record.level, record.at) == ("it is late", "ERROR", 1795341600_000_000_000)
    assert (other.text, other.level) == ("{no json", "INFO")


def test_of_a_run_elsewhere_there_is_the_end_that_its_orchestrator_gave():
    fact = Attempted(REQUEST, ("a" * 32, "b" * 16, ""), 1.0, 2.0, RunOutcome(1, 1.0, "one\ntwo"), log=Path("/nowhere"))
    assert [record.text for record in Recorder(None).of(fact)] == ["one", "two"]
