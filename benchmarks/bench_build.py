"""``lane build`` of a 5,000-file tree against ``tar cf - . | sha256sum`` of the same tree.

Prints one JSON document. Pairs are interleaved, so that a busy machine slows both sides; the ratios are of medians.
``again`` is the usual case: the build is stored already, so the command reads, names and compares it. ``new`` stores
it too (fsynced) and makes the ledger that records it.

    python -m benchmarks.bench_build [PAIRS]
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.timing import LANE

FILES, SMALL, LARGE = 5_000, 4_096, 40_960
LIMIT = 1.5


def make_tree(root: Path) -> None:
    """A project of ``FILES`` files of random bytes, 50 a folder, the same each time."""
    source = random.Random(20)
    for number in range(FILES):
        folder = root / f"pipelines/p{number // 50:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number % 50:02}.py").write_bytes(source.randbytes(source.randint(SMALL, LARGE)))
    (root / "lanewise.yaml").write_text(
        'project: bench\nsource: {include: ["pipelines/**"]}\nrun: python -m pipelines\ntables: {t: {kind: full}}\n'
    )
    (root / "environments.yaml").write_text("environments: {dev: {}, prod: {}}\n")


def seconds(command: list[str], cwd: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - start


def tar(root: Path) -> float:
    """Without ``.lanewise``: the builds stored there are not part of the tree."""
    return seconds(["sh", "-c", "tar cf - --exclude=./.lanewise . | sha256sum"], root)


def build(root: Path) -> float:
    return seconds([LANE, "build"], root)


def measure(pairs: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {"tar": [], "again": [], "new": []}
    with tempfile.TemporaryDirectory(prefix="lanewise-bench-") as folder:
        root = Path(folder)
        make_tree(root)
        tar(root), build(root)  # warm the page cache and the compiled modules
        for _ in range(pairs):
            times["tar"].append(tar(root))
            times["again"].append(build(root))
            shutil.rmtree(root / ".lanewise")
            times["new"].append(build(root))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratios = {name: round(medians[name] / medians["tar"], 2) for name in ("again", "new")}
    return {
        "name": "build",
        "files": FILES,
        "seconds": {name: round(median, 3) for name, median in medians.items()},
        "ratio": ratios["again"],
        "ratio_new": ratios["new"],
        "limit": LIMIT,
        "ok": ratios["again"] <= LIMIT,
    }


def figures(*, quick: bool) -> list[Figure]:
    """Two figures: the usual case, which is held to the target, and the first time, which also stores the build."""
    found = measure(3 if quick else 7)
    against = f"`tar` into `sha256sum` ({found['seconds']['tar']:.2f} s)"
    return [
        Figure(f"`lane build` of {FILES:,} files", found["ratio"], LIMIT, "×", found["ratio"], against),
        Figure("the same, stored for the first time", found["ratio_new"], None, "×", found["ratio_new"], against),
    ]


def main() -> None:
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 7), indent=2))


if __name__ == "__main__":
    main()
