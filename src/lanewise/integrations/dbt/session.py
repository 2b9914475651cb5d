"""Several calls of dbt in one process, by dbt's own interpreter: it is imported, and the project parsed, once.

``python session.py SAID``, as JSON: ``{"placed": words of every call, "calls": [words of each]}``. Only the last call
hands over; one that does not end well is the last.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from dbt.cli.main import dbtRunner

HAND_OVER = "LANEWISE_DBT_HAND_OVER"


def main(said: dict[str, Any]) -> int:
    """Make the calls; the exit code of the last one made."""
    manifest = None
    calls = [["parse"], *said["calls"]]
    for number, words in enumerate(calls, start=1):
        os.environ[HAND_OVER] = "yes" if number == len(calls) else "no"
        done = dbtRunner(manifest=manifest).invoke([*words, *said["placed"]])
        if done.exception is not None:
            print(done.exception, file=sys.stderr)  # noqa: T201 - called so, dbt itself says nothing of it
            return 2
        if not done.success:
            return 1
        manifest = manifest or done.result
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
