"""Run by Prefect's own interpreter: loads flows as a flow run does, calls them, and prints what came of each scene.

``lane`` is a stub that writes down what it was asked, and refuses to publish where a scene says so.
"""

import asyncio
import inspect
import json
import os
import sys
from pathlib import Path

from lanewise.errors import LaneError
from lanewise.integrations.prefect import patience
from lanewise.integrations.prefect.flow import load

STUB = """\
import json, os, sys
if "PYTHONPATH" in os.environ:
    sys.exit("the build's own modules would stand in for those of lane")
open({calls!r}, "a").write(json.dumps(sys.argv[2:3] + [a for a in sys.argv if a.startswith("why:")]) + "\\n")
if sys.argv[2] == "publish" and {away} and open({calls!r}).read().count("publish") < 3:
    print("error: the ledger is away", file=sys.stderr)
    sys.exit(3)
if sys.argv[2] == "publish" and {refuses}:
    print("error: its data did not pass audit", file=sys.stderr)
    sys.exit(1)
print(json.dumps({{"compiled": {compiled!r}}}))
"""
HEAD = "from prefect import flow, task\nfrom prefect.states import Failed\nimport lanewise\n"
BUILD = "sha256:" + "ab" * 32
SCENES = {
    "publishes": {"code": "@flow\ndef main(): pass"},
    "fails": {"code": "@flow\ndef main(): raise ValueError('too low')"},
    "async": {"code": "@flow\nasync def main(): pass"},
    "async fails": {"code": "@flow\nasync def main(): raise ValueError('too low')"},
    "returns a failed state": {"code": "@flow\ndef main(): return Failed(message='too low')"},
    "is not published": {"code": "@flow\ndef main(): pass", "refuses": True},
    "tries again": {"code": "@flow\ndef main(): raise ValueError('too low')", "calls": 2},
    "is a generator": {"code": "@flow\ndef main():\n    yield 1"},
    "does not import": {"code": "import no_such_module\n@flow\ndef main(): pass"},
    "was refused": {"code": "raise SystemExit('must not run')", "env": {"LANEWISE_PREFECT_REFUSED": "stage runs b"}},
    "is checked": {
        "code": "@flow\ndef main(limit: int = 5): raise ValueError('must not run')",
        "env": {"LANEWISE_PREFECT_BEGUN": "", "LANEWISE_PURPOSE": "check"},
    },
    "was started by lane": {"code": "@flow\ndef main(): pass", "env": {"LANEWISE_PREFECT_BEGUN": ""}},
    "takes partitions": {"code": "@flow\ndef main(partitions=None): open('took', 'w').write(partitions[0])",
                         "given": {"partitions": ["2013-01-05"]}},
    "takes none": {"code": "@flow\ndef main(): pass", "given": {"partitions": ["2013-01-05"]}},
    "waits for the ledger": {"code": "@flow\ndef main(): pass", "away": True},
    "ends a process": {"code": "@flow\ndef main(): raise KeyboardInterrupt('ended')"},
}  # fmt: skip


def play(folder: Path, scene: dict) -> dict:
    (folder / "signs").mkdir(parents=True)
    stub, calls = folder / "lane.py", folder / "calls"
    stub.write_text(
        STUB.format(
            calls=str(calls),
            refuses=scene.get("refuses", False),
            away=scene.get("away", False),
            compiled=str(folder / "x.json"),
        )
    )
    told = {"build": BUILD, "settings": {"retries": 3, "timeout": "30m"}}
    sign = {"format": 1, "project": "p", "environment": "prod", "home": str(folder), "candidates": [], "live": told,
            "lane": [sys.executable, str(stub)]}  # fmt: skip
    (folder / "signs" / "prod.json").write_text(json.dumps(sign))
    (folder / "main.py").write_text(HEAD + scene["code"] + "\n")
    home = folder.with_name(f"{folder.name}.lanewise") / ".lanewise"
    home.parent.mkdir()
    home.symlink_to(folder)
    given = {
        "PYTHONPATH": str(folder), "LANEWISE_HOME": str(home),
        "LANEWISE_ENV": "prod", "LANEWISE_BUILD": BUILD, "LANEWISE_PURPOSE": "scheduled",
        "LANEWISE_PREFECT_ENTRY": "main.py:main", "LANEWISE_PREFECT_BEGUN": "live-pf-1",
        "LANEWISE_PREFECT_PARTITIONS": '["2013-01-05"]', "LANEWISE_PREFECT_REFUSED": "", **scene.get("env", {}),
    }  # fmt: skip
    os.environ.update(given)
    os.chdir(folder)
    found = {"said": []}
    flow = load()
    found["retries"], found["timeout"] = flow.retries, flow.timeout_seconds
    found["parameters"] = sorted(inspect.signature(flow.fn).parameters)
    for _ in range(scene.get("calls", 1)):
        try:
            made = flow.fn(**scene.get("given", {}))
            made = asyncio.run(made) if inspect.iscoroutine(made) else made
            found["said"].append(getattr(made, "message", "") or "well")
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever came of it
            found["said"].append(f"{type(error).__name__}: {error.message if isinstance(error, LaneError) else error}")
    found["calls"] = [json.loads(line)[0] for line in calls.read_text().splitlines()] if calls.exists() else []
    found["took"] = (folder / "took").read_text() if (folder / "took").exists() else ""
    return found


if __name__ == "__main__":
    root, patience.PAUSE = Path(sys.argv[1]), 0.1
    print(json.dumps({name: play(root / name.replace(" ", "-"), scene) for name, scene in SCENES.items()}))
