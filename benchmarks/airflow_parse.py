"""Runs in Airflow's own interpreter: how long a DAG file takes to parse, and a bundle's refresh with nothing new.

    .cache/airflow/bin/python benchmarks/airflow_parse.py FOLDER ROUNDS

FOLDER holds ``plain/`` and a project with ``.lanewise``. Each file is parsed as the dag-processor does: in a fork of a
process that has Airflow loaded, whose parse ends with what would be stored. That process has parsed a file before, so
that what a child would have to import beside the file weighs nothing, and the file itself all the more. Prints one JSON
document, in seconds of processor time.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import time
from pathlib import Path

import structlog
from airflow.dag_processing import manager, processor  # noqa: F401 - what the dag-processor has loaded when it forks
from airflow.dag_processing.dagbag import BundleDagBag

from lanewise.integrations.airflow import LanewiseBundle


def main(folder: Path, rounds: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    bundle = LanewiseBundle(name="lanewise")
    bundle.initialize()
    bundle.refresh()
    every = sorted(bundle.path.glob("pipelines/*.py"))
    used = [file for file in every if file.name.startswith("with_")]
    unused = [file for file in every if file.name.startswith("without_")]
    plain = sorted((folder / "plain").glob("pipelines/*.py"))
    load(plain[0], folder / "plain")
    spent: dict[str, list[float]] = {"with": [], "without": [], "plain": []}
    for number in range(rounds):
        order = [("with", used, bundle.path), ("without", unused, bundle.path), ("plain", plain, folder / "plain")]
        for name, files, path in order[number % 3 :] + order[: number % 3]:
            spent[name].append(parse(files[number % len(files)], path))
    found = {name: statistics.median(each) for name, each in spent.items()}
    found["files"] = len(every)
    found["idle"] = statistics.median(idle(bundle) for _ in range(1000))
    print(json.dumps(found))


def parse(file: Path, path: Path) -> float:
    """Seconds that a forked child takes to load a file and to make what is stored of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        started = time.process_time()
        ok = load(file, path)
        os.write(writing, f"{time.process_time() - started if ok else -1}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    seconds = float(os.read(reading, 100))
    os.close(reading)
    if seconds < 0:
        raise SystemExit(f"{file} does not load")
    return seconds


def load(file: Path, path: Path) -> bool:
    """What a child of the dag-processor does; whether it came to one DAG."""
    bag = BundleDagBag(dag_folder=str(file), bundle_path=path, bundle_name="lanewise", load_op_links=False)
    stored, faults = processor._serialize_dags(bag, None)  # noqa: SLF001 - there is no other way to it
    return len(stored) == 1 and not faults and not bag.import_errors


def idle(bundle: object) -> float:
    """Seconds that the dag-processor waits for a bundle that has not moved, in one look."""
    started = time.perf_counter()
    assert bundle.refresh_interval  # type: ignore[attr-defined]
    bundle.refresh()  # type: ignore[attr-defined]
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
