"""What the pull step tells the flow's process, as variables of its environment, and the labels that both put up."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lanewise.runtime.place import COMPILED, VARIABLE
from lanewise.runtime.sign import HOME_VARIABLE

ENTRY = "LANEWISE_PREFECT_ENTRY"
"""The user's flow: ``path/in/build.py:function`` or ``module.function``."""

REFUSED = "LANEWISE_PREFECT_REFUSED"
"""Why this flow run may not compute: then it fails with these words and no line of the build is run."""

BEGUN = "LANEWISE_PREFECT_BEGUN"
"""The run's name at Lanewise, where the glue began it and so has to publish it: Prefect's own clock, or a person."""

PARTITIONS = "LANEWISE_PREFECT_PARTITIONS"
"""JSON: the partitions of such a run."""

PURPOSE = "LANEWISE_PURPOSE"
CHECK = "check"
"""The purpose of a flow run that only loads the build, to see whether it does."""

RUN_ID = "LANEWISE_RUN_ID"
"""The run's name, where Lanewise started it; set by the flow run's job variables."""

LABEL = "lanewise/"
"""Begins every label and tag of a flow run: ``lanewise/environment``, ``build``, ``purpose``, ``project``, ``run``."""


@dataclass(frozen=True)
class Place:
    """Where a flow run is: the ``.lanewise`` folder, the environment, the build as ``sha256:…``."""

    home: str
    environment: str
    build: str


def tell(place: Place, entry: str) -> None:
    """Write down what every flow run is told."""
    os.environ[HOME_VARIABLE] = place.home
    os.environ[VARIABLE] = place.environment
    os.environ["LANEWISE_BUILD"] = place.build
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # the build's folder stays as it was built
    os.environ[ENTRY] = entry


def told() -> Place:
    """What the pull step wrote down."""
    return Place(os.environ[HOME_VARIABLE], os.environ[VARIABLE], os.environ["LANEWISE_BUILD"])


def compiled(path: str) -> None:
    """Name the file that ``lanewise.current()`` is to read."""
    os.environ[COMPILED] = path
