"""What things of Lanewise are called in Airflow: known on both sides, inside of it and where it is asked by REST."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would cost 6 ms
if TYPE_CHECKING:
    from typing import Any

BUILD_TAG = "build:"
"""Every DAG of a build has this tag, with the 64 hex digits of its digest behind it."""

CONFIG_TAG = "config:"
"""Every DAG of a build has this tag, with the first 16 hex digits of the config that it was loaded under behind it: the
same build under another config (its schedule, say) is another release."""

BEGIN, PUBLISH = "lanewise_begin", "lanewise_publish"
"""The two tasks around the entry's own: they open a room for what it writes, and audit and publish it."""

ASKED = "lanewise"
"""The key of a DAG run's ``conf`` that says what Lanewise asked for: ``run``, ``build``, ``purpose``, ``partitions``,
and perhaps ``document``, the run's compiled file."""

_LONGEST_ID = 250


def build_tag(build: str) -> str:
    """The tag of every DAG of a build: ``build:HEX``."""
    return BUILD_TAG + build.removeprefix("sha256:")


def config_tag(config: str) -> str:
    """The tag of every DAG that was loaded under a config: ``config:HEX``."""
    return CONFIG_TAG + config.removeprefix("sha256:")[:16]


def candidate_dag(dag: str, build: str) -> str:
    """What a candidate's DAG is called beside the live one: ``flights__3f9a2c71``. Its tag names the build in full."""
    suffix = f"__{build.removeprefix('sha256:')[:8]}"
    return dag[: _LONGEST_ID - len(suffix)] + suffix


def live_run(dag: str, run: str) -> str:
    """What Lanewise calls a run that Airflow started itself: the same for each of its tasks and each attempt."""
    import hashlib  # noqa: PLC0415 - 3 ms that parsing a DAG file need not pay

    digits = hashlib.sha256(f"{dag}\0{run}".encode()).hexdigest()[:12]
    return f"live-af-{dag[:80]}-{digits}"


def asked_of(conf: Any) -> dict[str, Any]:
    """What Lanewise asked for with a run's ``conf``; empty for a run that Airflow or a person started."""
    found = (conf or {}).get(ASKED)
    return dict(found) if isinstance(found, dict) and found.get("run") else {}
