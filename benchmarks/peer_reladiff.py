"""reladiff, timed inside its own environment: ``peer_reladiff.py WAY JSON``; prints seconds and what it found."""

from __future__ import annotations

import json
import sys
import time

from reladiff import Algorithm, TableSegment, connect, diff_tables


def main() -> None:
    way, (address, names, columns) = sys.argv[1], json.loads(sys.argv[2])
    started = time.perf_counter()
    database = connect(address, thread_count=4)
    tables = [_segment(database, name, columns) for name in names]
    algorithm = {"joindiff": Algorithm.JOINDIFF, "hashdiff": Algorithm.HASHDIFF}[way]
    keys = {row[0] for _, row in diff_tables(*tables, algorithm=algorithm)}
    print(json.dumps({"seconds": time.perf_counter() - started, "changed": len(keys)}))


def _segment(database: object, name: str, columns: list[str]) -> object:
    return TableSegment(database, tuple(name.split(".")), ("id",), extra_columns=tuple(columns))


main()
