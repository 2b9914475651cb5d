"""Which partition a run that Airflow started is to compute: its partition key, else the moment that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lanewise.runtime.place import PROJECT_FILE

_FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def partitions_of(key: str | None, moment: datetime | None, conf: Mapping[str, Any], grain: str) -> tuple[str, ...]:
    """The names of the partitions: those that a person gave as ``conf``'s ``partitions``; the key, cut to the grain
    where it is a moment; the moment, in its own time zone. () for a project without partitions, or where there is
    nothing to go by: then ``lane`` decides."""
    given = conf.get("partitions")
    if isinstance(given, list) and given:
        return tuple(str(one) for one in given)
    if key:
        return (_cut(key, grain),)
    if moment is None or grain not in _FORMATS:
        return ()
    return (moment.strftime(_FORMATS[grain]),)


def grain_of(folder: Path) -> str:
    """The finest grain of the build's tables: ``hour``, ``day``, ``month``, ``year`` or ``value``; empty where none has
    partitions."""
    from airflow.sdk import yaml  # noqa: PLC0415 - only the task that begins a run needs it

    document = yaml.safe_load((folder / PROJECT_FILE).read_text(encoding="utf-8"))
    cut = [table.get("partition") for table in (document.get("tables") or {}).values() if isinstance(table, dict)]
    grains = {one.get("grain", "day") for one in cut if isinstance(one, dict)}
    return next((grain for grain in (*_FORMATS, "value") if grain in grains), "")


def _cut(key: str, grain: str) -> str:
    if grain not in _FORMATS:
        return key
    try:
        return datetime.fromisoformat(key).strftime(_FORMATS[grain])
    except ValueError:
        return key  # a month, an hour: written as it is to be
