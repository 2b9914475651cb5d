"""What an OpenTelemetry collector is told of a story, over OTLP."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import OUTER, SECRET, TOKEN, Story
from .receiver import Told

PURPOSES = {"promotion", "canary", "baseline", "scheduled", "rerun", "rollback", "operation"}
OK, ERROR = 1, 2


def trace(told: Told) -> str:
    return str(told.message.trace_id.hex())


def named(found: list[Told], name: str, **attributes: str) -> list[Told]:
    wanted = {key.replace("_", "."): value for key, value in attributes.items()}
    return [one for one in found if one.name == name and wanted.items() <= one.attributes.items()]


def chain(story: Story, told: Told) -> list[str]:
    """The span's name, and those above it up to the root of its trace."""
    by_id = {span.message.span_id: span for span in story.told.spans}
    names = [told.name]
    while told.message.parent_span_id in by_id:
        told = by_id[told.message.parent_span_id]
        names.append(told.name)
    return names


def test_every_command_of_the_story_ended_as_it_should(story: Story):
    codes = {name: typed.code for name, typed in story.said.items()}
    assert codes == {
        "ask for first": 1, "approve first": 0, "promote first": 0, "ask for second": 1, "approve second": 0,
        "promote second": 0, "run": 0, "fail": 1, "begin": 0, "publish": 0, "roll back": 0,
    }, {name: typed.err for name, typed in story.said.items()}  # fmt: skip
    assert not any("telemetry" in typed.err for typed in story.said.values())


@pytest.mark.parametrize("signal", ["spans", "points", "records"])
def test_everything_says_environment_build_pipeline_purpose_and_partition(story: Story, signal: str):
    told: list[Told] = getattr(story.told, signal)
    assert len(told) > 20
    for one in told:
        said: dict[str, Any] = one.attributes
        assert said["deployment.environment.name"] == "prod", one
        assert said["service.name"] == "orders", one
        assert said["service.version"] in {story.first, story.second}, one
        assert said["lanewise.purpose"] in PURPOSES, one
        assert re.fullmatch(r"all|none|2013-01-\d\d(\.\.2013-01-\d\d \(\d\))?", said["lanewise.partition"]), one
        assert one.message.time_unix_nano or one.message.observed_time_unix_nano if signal != "spans" else True


def test_the_commands_that_carried_a_promotion_on_told_of_one_trace(story: Story):
    """Asked for, approved and carried out by three processes; each told its part, and none was told twice."""
    roots = named(story.told.spans, "promotion")
    assert [root.attributes["deployment.id"] for root in roots] == ["prod-1", "prod-2"]
    assert len({trace(root) for root in roots}) == 2
    ids = [span.message.span_id for span in story.told.spans]
    assert {(len(span.message.trace_id), len(span.message.span_id)) for span in story.told.spans} == {(16, 8)}
    assert len(ids) == len(set(ids))
    mine = [span for span in story.told.spans if trace(span) == trace(roots[1])]
    in_order = sorted(mine, key=lambda span: (span.message.start_time_unix_nano, span.message.end_time_unix_nano))
    states = [span.name for span in in_order if "lanewise.promotion.next" in span.attributes]
    assert states == ["promotion " + state for state in (
        "REQUESTED", "GATING", "AWAITING_APPROVAL", "READY", "ACQUIRING", "PREPARING", "CANARY", "JUDGING", "CANARY",
        "JUDGING", "CUTOVER", "VERIFYING",
    )]  # fmt: skip
    assert {chain(story, span)[-1] for span in mine} == {"promotion"}
    root = roots[1].message
    assert all(root.start_time_unix_nano <= s.message.start_time_unix_nano for s in mine)
    assert all(s.message.end_time_unix_nano <= root.end_time_unix_nano for s in mine)
    assert [event.name for event in root.events] == ["approval.given"]


def test_a_gate_a_step_and_a_run_hang_below_their_state_and_a_command_below_its_run(story: Story):
    canary = next(span for span in story.told.spans if span.name == "run canary")
    assert chain(story, canary) == ["run canary", "promotion CANARY", "promotion"]
    attempts = [chain(story, span) for span in named(story.told.spans, "attempt")]
    assert ["attempt", "run canary", "promotion CANARY", "promotion"] in attempts
    assert ["attempt", "run baseline", "promotion CANARY", "promotion"] in attempts
    assert ["attempt", "run scheduled"] in attempts
    gates = {tuple(chain(story, span)[:2]) for span in story.told.spans if span.name.startswith("gate ")}
    assert {("gate canary", "promotion JUDGING"), ("gate quality", "promotion VERIFYING")} <= gates
    publications = {tuple(chain(story, s)[:2]) for s in story.told.spans if s.name in {"publish", "step publish"}}
    assert publications == {
        ("step publish", "promotion JUDGING"), ("step publish", "promotion CUTOVER"), ("publish", "run scheduled"),
        ("publish", "run rerun"),
    }  # fmt: skip


def test_a_child_is_told_where_its_own_spans_hang(story: Story):
    """Each printed its TRACEPARENT, which came back as a log record of that very span."""
    printed = [r for r in story.told.records if "the trace 00-" in r.message.body.string_value]
    attempts = {span.message.span_id for span in named(story.told.spans, "attempt")}
    assert len(printed) == len(attempts) > 4
    for record in printed:
        found = re.search(r"the trace 00-(\w{32})-(\w{16})-01", record.message.body.string_value)
        assert found, record
        assert (found[1], found[2]) == (trace(record), record.message.span_id.hex())
        assert record.message.span_id in attempts


def test_what_failed_says_so_and_why(story: Story):
    (run,) = [span for span in story.told.spans if span.name == "run scheduled" and span.message.status.code == ERROR]
    assert "exit code 3" in run.message.status.message
    assert run.attributes["lanewise.partition"] == "2013-01-10"
    (attempt,) = [s for s in named(story.told.spans, "attempt") if s.message.parent_span_id == run.message.span_id]
    assert attempt.attributes["process.exit.code"] == 3
    assert "no such day" in attempt.message.status.message
    (record,) = named(story.told.records, "lanewise.run.failed")
    assert (record.message.severity_text, trace(record)) == ("ERROR", trace(run))


def test_counts_and_durations_add_up(story: Story):
    def total(name: str, **attributes: str) -> int:
        return sum(point.message.as_int for point in named(story.told.points, name, **attributes))

    assert total("lanewise.promotions", lanewise_promotion_state="SUCCEEDED") == 2
    assert total("lanewise.runs", lanewise_outcome="ok", lanewise_purpose="scheduled") == 1
    assert total("lanewise.runs", lanewise_outcome="failed", lanewise_purpose="scheduled") == 1
    assert total("lanewise.run.rows", lanewise_purpose="canary", service_version=story.second) == 8 * (3 + 1)
    assert total("lanewise.run.bytes", lanewise_purpose="scheduled", lanewise_table="orders_daily") > 0
    assert total("lanewise.rollbacks") == 1
    (rollback,) = named(story.told.points, "lanewise.rollback.duration", service_version=story.first)
    assert rollback.message.count == sum(rollback.message.bucket_counts) == 1
    assert 0 < rollback.message.sum < 60
    runs = len([span for span in story.told.spans if span.name.startswith("run ")])
    assert total("lanewise.runs") == runs


def test_a_series_has_one_point_in_a_request_and_never_the_same_time_twice(story: Story):
    covered: dict[tuple[Any, ...], int] = {}
    for point in story.told.points:
        series = (point.name, *sorted(map(str, point.attributes.items())))
        assert covered.get(series, 0) <= point.message.start_time_unix_nano <= point.message.time_unix_nano, point
        covered[series] = point.message.time_unix_nano


def test_the_ledgers_events_and_lanewises_own_lines_are_log_records(story: Story):
    kinds = {record.name for record in story.told.records}
    assert {"lanewise.promotion.requested", "lanewise.gate.judged", "lanewise.run.published",
            "lanewise.release.changed", "lanewise.build.quarantined"} <= kinds  # fmt: skip
    (line,) = [r for r in story.told.records if r.message.body.string_value.startswith("published as map")]
    (run,) = named(story.told.spans, "run scheduled", lanewise_partition="2013-01-09")
    assert (line.attributes["lanewise.run.id"], trace(line)) == (run.attributes["lanewise.run.id"], trace(run))


def test_a_run_that_an_orchestrator_began_and_published_is_one_span_of_its_trace(story: Story):
    """Two commands, each below a span of the orchestrator's: the run hangs where it was finished."""
    (run,) = named(story.told.spans, "run rerun", lanewise_partition="2013-01-08")
    assert (trace(run), run.message.parent_span_id.hex()) == (OUTER[3:35], OUTER[36:52])
    inside = {span.name for span in story.told.spans if span.message.parent_span_id == run.message.span_id}
    assert inside == {"audit", "publish"}


def test_a_rollback_is_a_span_of_the_build_that_is_back(story: Story):
    (span,) = named(story.told.spans, "rollback")
    assert span.attributes["service.version"] == story.first
    assert span.attributes["lanewise.rollback.left"] == story.second


def test_no_secret_is_in_anything_that_was_told_and_the_collector_knows_who_sends(story: Story):
    everything = b"".join(story.told.bodies)
    assert b"the password is ***" in everything
    assert SECRET.encode() not in everything
    assert TOKEN.encode() not in everything
    assert b"no such day, says ***" in everything
    proving = {headers.get("Authorization") for headers in story.told.headers if "protobuf" in headers["Content-Type"]}
    others = {headers.get("Authorization") for headers in story.told.headers if "json" in headers["Content-Type"]}
    assert (proving, others) == ({TOKEN}, {None})
