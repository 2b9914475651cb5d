from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.crash
@pytest.mark.parametrize(("action", "new", "least"), [("publish", 3, 40), ("revert", 1, 20), ("stage", 3, 60)])
def test_a_kill_at_any_touch_of_the_disk_leaves_old_or_new_and_can_be_finished(tmp_path, action, new, least):
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.warehouses.crash_driver", str(tmp_path), action],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) > least
    assert [r["killed"] for r in results] == [True] * (len(results) - 1) + [False]
    numbers = [r["after"]["number"] for r in results]
    assert numbers == sorted(numbers), "from one touch on it is the new map"
    assert set(numbers) == {2, 3}
    for found in results:
        after = found["after"]
        assert after["rows"] == ([2] if after["number"] == 2 else [new]), found
        assert after["maps"] == list(range(1, after["number"] + 1)), found
        assert (found["finished"]["number"], found["finished"]["rows"]) == (3, [new]), found
        assert (found["again"], found["last"]["rows"], found["last"]["maps"]) == (4, [2], [1, 2, 3, 4]), found
