"""``make bench``: every figure that Lanewise is held to, measured side by side with what it is compared with.

    python -m benchmarks [--quick] [--out FILE] [NAME ...]

Prints a table and exits with 1 where a target is missed or could not be measured. ``--quick`` takes fewer rounds, so
its figures are rougher. NAME picks benchmarks: ``help``, ``status``, ``runtime``, ``build``, ``publish``,
``rollback``, ``ledger``, ``shared_ledger``, ``canary``, ``compare``, ``postgres``, ``airflow``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks.figure import Figure, table

NAMES = (
    "help",
    "status",
    "runtime",
    "build",
    "publish",
    "rollback",
    "ledger",
    "shared_ledger",
    "canary",
    "compare",
    "postgres",
    "airflow",
)


def run(names: list[str], *, quick: bool) -> tuple[list[Figure], list[str]]:
    """The figures, and what could not be measured and why."""
    figures: list[Figure] = []
    failures: list[str] = []
    for name in names:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            figures += importlib.import_module(f"benchmarks.bench_{name}").figures(quick=quick)
        except SystemExit as failure:
            failures.append(f"{name}: {failure}")
    return figures, failures


def main() -> int:
    """0 when every target that was asked for is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; all if none: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark named {unknown[0]!r}; there is {', '.join(NAMES)}")
    figures, failures = run(options.names or list(NAMES), quick=options.quick)
    print(table(figures))
    for failure in failures:
        print(f"could not be measured: {failure}", file=sys.stderr)
    if options.out:
        machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()}
        document = {"quick": options.quick, "machine": machine, "figures": [f.document() for f in figures]}
        options.out.write_text(json.dumps({**document, "failures": failures}, indent=2) + "\n", encoding="utf-8")
    return 0 if not failures and all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
