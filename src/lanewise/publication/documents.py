"""A partition map as a JSON document: compact, because a big warehouse has hundreds of thousands of slices."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lanewise.domain.project import Column, Grain, PartitionSpec, TableKind
from lanewise.domain.publication import PartitionMap, Slice, TableMap

FORMAT = 1


def encode(published: PartitionMap) -> bytes:
    """The map's JSON. Equal maps give equal bytes. Labels that many slices share are written once."""
    labels: dict[str, int] = {}
    tables = {name: _table(published.tables[name], labels) for name in sorted(published.tables)}
    document = {
        "format": FORMAT,
        "pipeline": published.pipeline,
        "number": published.number,
        "build": published.build,
        "config": published.config,
        "tables": tables,
        "labels": list(labels),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def decode(data: bytes) -> PartitionMap:
    """The map that ``encode`` wrote."""
    document = json.loads(data)
    labels: list[str] = document["labels"]
    tables = {name: _read_table(name, table, labels) for name, table in document["tables"].items()}
    return PartitionMap(
        pipeline=document["pipeline"],
        number=document["number"],
        build=document["build"],
        config=document["config"],
        tables=tables,
    )


def name_of(data: bytes) -> str:
    """Sixteen hex digits that name a document by its content."""
    return hashlib.sha256(data).hexdigest()[:16]


def _table(table: TableMap, labels: dict[str, int]) -> dict[str, Any]:
    def label(text: str) -> int:
        return labels.setdefault(text, len(labels))

    cut = table.partition
    return {
        "kind": table.kind.value,
        "columns": [[c.name, c.type, c.nullable] for c in table.columns],
        "partition": [cut.column, cut.grain.value, cut.timezone] if cut else None,
        "offset": table.offset,
        "slices": [
            [p, label(s.version), s.location, s.rows, s.bytes, label(s.run), label(s.build), label(s.inputs)]
            for p in sorted(table.slices)
            for s in table.slices[p]
        ],
        "empty": [p for p in sorted(table.slices) if not table.slices[p]],
    }


def _read_table(name: str, table: dict[str, Any], labels: list[str]) -> TableMap:
    slices: dict[str, list[Slice]] = {partition: [] for partition in table["empty"]}
    for p, version, location, rows, size, run, build, inputs in table["slices"]:
        slices.setdefault(p, []).append(
            Slice(name, p, labels[version], location, rows, size, labels[run], labels[build], labels[inputs])
        )
    cut = table["partition"]
    return TableMap(
        name=name,
        kind=TableKind(table["kind"]),
        columns=tuple(Column(*column) for column in table["columns"]),
        slices={partition: tuple(slices[partition]) for partition in sorted(slices)},
        partition=PartitionSpec(cut[0], Grain(cut[1]), cut[2]) if cut else None,
        offset=table["offset"],
    )
