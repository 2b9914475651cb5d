"""What a receiver of OpenLineage is told of a story, held against the published schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from lanewise.adapters.telemetry.facets import OURS

from .conftest import Story

HERE = Path(__file__).parent / "openlineage"
OWN = Path(__file__).parents[3] / "docs/reference/openlineage-facets.schema.json"
SCHEMAS = {found["$id"]: found for found in (json.loads(f.read_text()) for f in (*HERE.glob("*.json"), OWN))}
REGISTRY: Registry[Any] = Registry().with_resources(
    (name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"


def wrong(schema: dict[str, Any], found: Any) -> list[str]:
    checker = Draft202012Validator.FORMAT_CHECKER
    return [error.message for error in
            Draft202012Validator(schema, registry=REGISTRY, format_checker=checker).iter_errors(found)]  # fmt: skip


def facets(found: Any) -> Iterator[dict[str, Any]]:
    """Every facet of an event, wherever it stands."""
    if isinstance(found, dict):
        if "_schemaURL" in found:
            yield found
        for one in found.values():
            yield from facets(one)
    elif isinstance(found, list):
        for one in found:
            yield from facets(one)


def of(story: Story, job: str, **said: str) -> list[dict[str, Any]]:
    return [e for e in story.told.events if e["job"]["name"] == job
            and said.items() <= e["run"]["facets"]["lanewise"].items()]  # fmt: skip


def outputs(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {output["name"]: output for output in event["outputs"]}


def test_every_event_is_as_the_published_schema_wants_it(story: Story):
    assert len(story.told.events) > 12
    for event in story.told.events:
        assert wrong(SCHEMAS[SPEC], event) == [], event
        assert event["schemaURL"] == f"{SPEC}#/$defs/RunEvent"


def test_every_facet_is_as_the_schema_that_it_names_wants_it(story: Story):
    named = set()
    for event in story.told.events:
        for facet in facets(event):
            named.add(facet["_schemaURL"])
            assert wrong({"$ref": facet["_schemaURL"]}, facet) == [], facet
    assert {name.rpartition("/")[2] for name in named} >= {
        "LanewiseRunFacet", "LanewisePartitionsDatasetFacet", "SchemaDatasetFacet", "DatasetVersionDatasetFacet",
        "OutputStatisticsOutputDatasetFacet", "ErrorMessageRunFacet", "ParentRunFacet", "TagsRunFacet",
    }  # fmt: skip


def test_a_facet_that_is_wrong_would_be_noticed():
    assert wrong({"$ref": f"{OURS}#/$defs/LanewiseRunFacet"}, {"_producer": "urn:x", "_schemaURL": "urn:y"}) != []
    assert wrong(SCHEMAS[SPEC], {"eventTime": "yesterday", "producer": "urn:x", "schemaURL": SPEC}) != []


def test_every_run_starts_once_and_ends_once_as_one_pair(story: Story):
    by_run: dict[str, list[str]] = {}
    for event in story.told.events:
        by_run.setdefault(event["run"]["runId"], []).append(event["eventType"])
        assert event["run"]["facets"]["lanewise"]["build"] in {story.first, story.second}
        assert event["job"]["namespace"] == f"duckdb://{story.root}/.lanewise/warehouse/prod.duckdb"
    assert {tuple(found) for found in by_run.values()} == {("START", "COMPLETE"), ("START", "FAIL")}


def test_a_live_run_reads_its_pinned_inputs_and_writes_what_readers_see(story: Story):
    start, complete, *_ = of(story, "orders.prod", purpose="scheduled")
    for event in (start, complete):
        (read,) = event["inputs"]
        assert (read["namespace"], read["name"]) == ("file", f"{story.root}/raw/days")
        assert read["facets"]["version"]["datasetVersion"].startswith("sha256:")
        assert sorted(outputs(event)) == ["orders_daily", "totals_daily"]
    written = outputs(complete)["orders_daily"]
    assert [f["name"] for f in written["facets"]["schema"]["fields"]] == ["day", "id", "build"]
    assert written["facets"]["lanewise"]["partitions"] == [{"name": "2013-01-09", "rows": 3}]
    assert written["facets"]["lanewise"]["shown"] is True
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert {a["assertion"]: a["success"] for a in written["facets"]["dataQualityAssertions"]["assertions"]} == {
        "not_null_id": True, "unique_day_id": True,
    }  # fmt: skip


def test_what_a_canary_computes_is_never_told_as_what_readers_see(story: Story):
    runs = of(story, "orders.prod", purpose="canary")
    assert runs
    for event in runs:
        assert all("@" in name for name in outputs(event))
        assert all(o["facets"]["lanewise"]["shown"] is False for o in event["outputs"] if "lanewise" in o["facets"])


def test_a_promotion_turns_what_its_runs_computed_into_what_readers_see(story: Story):
    done = of(story, "orders.prod.promotion", promotion="prod-2")[-1]
    assert done["eventType"] == "COMPLETE"
    assert sorted(outputs(done)) == ["orders_daily", "totals_daily"]
    canaries = [e for e in of(story, "orders.prod", purpose="canary") if e["eventType"] == "COMPLETE"]
    assert {name for event in canaries for name in outputs(event)} == {read["name"] for read in done["inputs"]}
    parents = {event["run"]["facets"]["parent"]["run"]["runId"] for event in canaries}
    assert parents == {done["run"]["runId"]}


def test_a_run_that_failed_wrote_nothing_and_says_why(story: Story):
    failed = [event for event in story.told.events if event["eventType"] == "FAIL"]
    (event,) = failed
    assert event["outputs"] == []
    assert "exit code 3" in event["run"]["facets"]["errorMessage"]["message"]


@pytest.mark.parametrize("schema", [*HERE.glob("*.json"), OWN], ids=lambda file: file.stem)
def test_the_schemas_themselves_are_schemas(schema: Path):
    Draft202012Validator.check_schema(json.loads(schema.read_text()))
