"""Load a build's DAG files as Airflow does, without its database, scheduler or server: a dry run before a build moves.

::

    PYTHON -m lanewise.integrations.airflow.check DIRECTORY [ENTRY]

``PYTHON`` is Airflow's own interpreter. The last line printed is ``{"faults": ["pipelines/flights.py:12: NameError:
…"]}``: what does not import or can't be stored as a DAG, and that the DAG ``ENTRY`` is missing. Exit code 0 whatever
the faults; another one where Airflow itself could not be started.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
from pathlib import Path

_PLACE = re.compile(r'File "([^"]+)", line (\d+)')


def main(arguments: list[str]) -> int:
    """See above."""
    directory, entry = Path(arguments[0]).absolute(), (arguments[1:] or [""])[0]
    with tempfile.TemporaryDirectory(prefix="lanewise-check-") as scratch:
        _settle(scratch)
        faults = look(directory, entry)
    print(json.dumps({"faults": faults}))  # noqa: T201 - this is the answer
    return 0


def _settle(scratch: str) -> None:
    """An Airflow of its own, with no database: what DAG code asks for at the top level it gets from Lanewise."""
    os.environ |= {
        "AIRFLOW_HOME": scratch,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": scratch,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{scratch}/none.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": scratch,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
        "AIRFLOW__SECRETS__BACKEND": "lanewise.integrations.airflow.LanewiseSecrets",
    }
    sys.dont_write_bytecode = True  # the build's folder is verified byte by byte


def look(directory: Path, entry: str) -> list[str]:
    """What is wrong with the DAG files below ``directory``, a line each; [] when all is well."""
    from airflow.dag_processing.dagbag import BundleDagBag  # noqa: PLC0415 - Airflow reads its settings when imported
    from airflow.serialization.serialized_objects import DagSerialization  # noqa: PLC0415 - as above

    logging.disable(logging.CRITICAL)
    bag = BundleDagBag(str(directory), bundle_path=directory, load_op_links=False)
    faults = [f"{_where(file, said, directory)}: {_reason(said)}" for file, said in sorted(bag.import_errors.items())]
    for dag in bag.dags.values():
        try:
            DagSerialization.to_dict(dag)
        except Exception as error:  # noqa: BLE001 - whatever a DAG's author put into it
            faults.append(f"{_inside(dag.fileloc, directory)}: DAG {dag.dag_id} can't be stored: {_reason(str(error))}")
    if entry and not faults and entry not in bag.dags:
        known = ", ".join(sorted(bag.dags)) or "none"
        faults.append(f"there is no DAG {entry!r} in its files (there is {known}); `entries: {{airflow: …}}` names it")
    return faults


def _where(file: str, said: str, directory: Path) -> str:
    """The last place within the build that the traceback names, else the file."""
    places = [(place, line) for place, line in _PLACE.findall(said) if Path(place).is_relative_to(directory)]
    return f"{_inside(places[-1][0], directory)}:{places[-1][1]}" if places else file


def _inside(file: str, directory: Path) -> str:
    return str(Path(file).relative_to(directory)) if Path(file).is_relative_to(directory) else file


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it does not load"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
