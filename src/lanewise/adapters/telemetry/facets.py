"""Facets: what OpenLineage events say about runs, jobs and datasets, beyond their names.

Those of OpenLineage name the version of their schema; Lanewise's own two are published with its documentation
(``docs/reference/openlineage-facets.schema.json``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lanewise import __version__
from lanewise.adapters.telemetry.labels import Labels
from lanewise.adapters.telemetry.naming import Dataset
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import InputPin, Slice

PRODUCER = f"urn:lanewise:{__version__}"
OURS = "urn:lanewise:openlineage-facets:1-0-0"

_SPEC = "https://openlineage.io/spec/facets"
_MOST = 1000  # partitions that are named one by one

Facet = dict[str, Any]


def lanewise(found: Labels) -> Facet:
    """Which build ran where, and what for."""
    said = {
        "environment": found.environment, "build": found.build, "config": found.config, "project": found.project,
        "purpose": found.purpose, "partitions": list(found.partitions[:_MOST]), "run": found.run,
        "promotion": found.promotion,
    }  # fmt: skip
    return {**_own("LanewiseRunFacet"), **{name: value for name, value in said.items() if value}}


def tags(found: Labels) -> Facet:
    """The same for those who only show tags."""
    said = {"environment": found.environment, "build": found.build, "purpose": found.purpose}
    listed = [{"key": f"lanewise/{k}", "value": v, "source": "LANEWISE"} for k, v in said.items()]
    return {**_published("1-0-0/TagsRunFacet"), "tags": listed}


def error(message: str) -> Facet:
    """Why it came to nothing."""
    return {**_published("1-0-1/ErrorMessageRunFacet"), "message": message, "programmingLanguage": "PYTHON"}


def parent(run: str, job: Mapping[str, str]) -> Facet:
    """The promotion that a run belongs to."""
    return {**_published("1-2-0/ParentRunFacet"), "run": {"runId": run}, "job": dict(job)}


def job_type(found: Labels) -> Facet:
    """A pipeline that is run, or a promotion."""
    kind = "PIPELINE" if found.run else "PROMOTION"
    return {**_published("2-0-4/JobTypeJobFacet"), "processingType": "BATCH", "integration": "LANEWISE",
            "jobType": kind}  # fmt: skip


def input(at: Dataset, pin: InputPin | None = None) -> dict[str, Any]:  # noqa: A001 - as OpenLineage calls it
    """A dataset that was read; its version is what it was pinned as."""
    found = {} if pin is None else {"version": _version(pin.release or pin.digest)}
    return {"namespace": at.namespace, "name": at.name, "facets": found}


def output(at: Dataset, about: Mapping[str, Facet | None], written: Mapping[str, Facet | None]) -> dict[str, Any]:
    """A dataset that was written: ``about`` it, and what was ``written`` this time. Facets that are None are left
    out."""
    return {
        "namespace": at.namespace, "name": at.name,
        "facets": {name: one for name, one in about.items() if one is not None},
        "outputFacets": {name: one for name, one in written.items() if one is not None},
    }  # fmt: skip


def schema(table: Table | None, written: Sequence[Column]) -> Facet | None:
    """The columns: declared ones as they are declared, others as they were written. None where nobody knows any."""
    declared = {column.name: column for column in table.columns} if table is not None else {}
    columns = [declared.get(column.name, column) for column in written] or list(declared.values())
    if not columns:
        return None
    return {**_published("1-2-0/SchemaDatasetFacet"), "fields": [
        {"name": column.name, "type": column.type, "ordinal_position": at}
        for at, column in enumerate(columns, start=1)
    ]}  # fmt: skip


def version(slices: Sequence[Slice]) -> Facet | None:
    """The fingerprint that the slices were computed as."""
    return _version(slices[0].version) if slices else None


def statistics(slices: Sequence[Slice]) -> Facet:
    """How much was written."""
    return {**_published("1-0-2/OutputStatisticsOutputDatasetFacet"), "rowCount": sum(s.rows for s in slices),
            "size": sum(s.bytes for s in slices)}  # fmt: skip


def partitions(slices: Sequence[Slice], *, shown: bool) -> Facet:
    """Which partitions were written, with how many rows each; ``shown``: whether readers see them."""
    rows: dict[str, int] = {}
    for one in slices:
        rows[one.partition] = rows.get(one.partition, 0) + one.rows
    named = [{"name": name, "rows": count} for name, count in sorted(rows.items())[:_MOST]]
    return {**_own("LanewisePartitionsDatasetFacet"), "partitions": named, "count": len(rows), "shown": shown}


def assertions(checks: Sequence[Mapping[str, str]]) -> Facet | None:
    """What the audit of a table found; None where nothing was looked at."""
    if not checks:
        return None
    return {**_published("1-1-0/DataQualityAssertionsDatasetFacet"), "assertions": [
        {"assertion": check["check"], "success": check["result"] == "pass", "description": check["reason"]}
        for check in checks
    ]}  # fmt: skip


def _version(text: str) -> Facet:
    return {**_published("1-0-1/DatasetVersionDatasetFacet"), "datasetVersion": text}


def _published(name: str) -> Facet:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/{name}.json#/$defs/{name.partition('/')[2]}"}


def _own(name: str) -> Facet:
    return {"_producer": PRODUCER, "_schemaURL": f"{OURS}#/$defs/{name}"}
