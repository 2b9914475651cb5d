"""Kill a publication at its n-th touch of the disk, for every n; look, finish it, look again. Prints a JSON list.

Run as a program: each attempt is a fork, so that DuckDB is imported once and no thread of its lives in the parent.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.contract.warehouses.embedded_harness import EmbeddedHarness

from lanewise.adapters.warehouses.embedded import building, reading, staging
from lanewise.domain.publication import PartitionMap
from lanewise.errors import LaneError
from lanewise.testing.warehouse import D1, ORDERS, order, published, request, staged, with_slices

TOUCHES = ("replace", "rename", "link", "symlink", "unlink", "fsync", "mkdir", "chmod")
_ENGINES = (building, reading, staging)


def die_at(step: int) -> None:
    """From now on the ``step``-th touch kills this process; odd ones just before, even ones just after it."""
    seen = 0

    def counted(touch: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            mine = seen
            if mine * 2 - 1 == step:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return touch(*arguments, **options)
            finally:
                if mine * 2 == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        return wrapper

    for name in TOUCHES:
        setattr(os, name, counted(getattr(os, name)))


def in_child(action: Callable[[], object]) -> tuple[bool, Any]:
    """(was it killed, what it returned), in a process of its own."""
    reading_end, writing_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = json.dumps(action(), default=str)
        except LaneError as error:
            answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
        os.write(writing_end, answer.encode())
        os._exit(0)
    os.close(writing_end)
    with os.fdopen(reading_end) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), json.loads(text) if text else None


def look(harness: EmbeddedHarness) -> dict[str, Any]:
    """What a reader and the next command see."""
    warehouse = harness.open()
    pointer = warehouse.pointer()
    rows = [row[1] for row in harness.read("orders")]
    return {"number": pointer.number, "maps": warehouse.maps(), "rows": rows,
            "live": sorted(warehouse.live().tables)}  # fmt: skip


def make(harness: EmbeddedHarness) -> None:
    for number in (1, 2):
        published(harness, request([ORDERS], [D1], run=f"r{number}"), [(ORDERS, [order(D1, number)])])
    staged(harness, request([ORDERS], [D1], build="b", run="next"), [(ORDERS, [order(D1, 3)])])


def target(harness: EmbeddedHarness) -> PartitionMap:
    """The map to publish: the staged slice, found again as the next command would, from its record."""
    warehouse = harness.open()
    live = warehouse.map_at(2)
    file = next(h for h in warehouse.holdings() if h.kind == "slice" and "/next-" in h.name)
    held = live.tables["orders"].slices[D1][0]
    fresh = replace(held, location=file.name, run="next", bytes=file.bytes, build="sha256:" + "b" * 64)
    return with_slices(warehouse, live, [ORDERS], {"orders": [fresh]})


def publish(harness: EmbeddedHarness) -> None:
    wanted = target(harness)
    harness.open().raise_fence(5)
    harness.open().prepare(wanted)
    harness.open().publish(wanted, base=2, fence=5)


def revert(harness: EmbeddedHarness) -> None:
    harness.open().raise_fence(5)
    harness.open().revert(1, base=2, fence=5)


def stage(harness: EmbeddedHarness) -> None:
    wanted = request([ORDERS], [D1], build="b", run="again")
    found = staged(harness, wanted, [(ORDERS, [order(D1, 3)])])
    fresh = with_slices(harness.open(), harness.open().map_at(2), [ORDERS], found)
    harness.open().prepare(fresh)
    harness.open().publish(fresh, base=2, fence=5)


def main(folder: Path, name: str) -> None:
    action: Callable[[EmbeddedHarness], None] = {"publish": publish, "revert": revert, "stage": stage}[name]
    harness, template = EmbeddedHarness(folder / "home"), folder / "template"
    in_child(lambda: make(harness))
    shutil.copytree(folder / "home", template, symlinks=True)
    results, step, killed = [], 0, True
    while killed:
        step += 1
        shutil.rmtree(folder / "home")
        shutil.copytree(template, folder / "home", symlinks=True)
        killed, _ = in_child(lambda at=step: (die_at(at), action(harness)))
        after = in_child(lambda: look(harness))[1]
        if after["number"] == 2:
            in_child(lambda: action(harness))
        finished = in_child(lambda: look(harness))[1]
        again = in_child(lambda: harness.open().revert(2, base=3, fence=6))[1]
        last = in_child(lambda: look(harness))[1]
        results.append({"step": step, "killed": killed, "after": after, "finished": finished, "again": again,
                        "last": last})  # fmt: skip
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
