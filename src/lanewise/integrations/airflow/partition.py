"""Which partition a run that Airflow started is to compute: its partition key, else the moment that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lanewise.runtime.place import PROJECT_FILE

_FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


@dataclass(frozen=True)
class Cut:
    """How a build's tables are cut: the finest ``grain`` of them (``hour``, ``day``, ``month``, ``year``, ``value``;
    empty where none has partitions), and the time zone that its days are of."""

    grain: str = ""
    timezone: str = "UTC"

    @classmethod
    def of(cls, folder: Path) -> Cut:
        """That of the build whose files lie there."""
        from airflow.sdk import yaml  # noqa: PLC0415 - only the task that begins a run needs it

        document = yaml.safe_load((folder / PROJECT_FILE).read_text(encoding="utf-8"))
        tables = [table for table in (document.get("tables") or {}).values() if isinstance(table, dict)]
        cuts = [cls(str(one.get("grain", "day")), str(one.get("timezone", "UTC")))
                for one in (table.get("partition") for table in tables) if isinstance(one, dict)]  # fmt: skip
        order = [*_FORMATS, "value"]
        return min(cuts, key=lambda cut: order.index(cut.grain), default=cls())


def partitions_of(key: str | None, moment: datetime | None, conf: Mapping[str, Any], cut: Cut) -> tuple[str, ...]:
    """The names of the partitions: those that a person gave as ``conf``'s ``partitions``; the key, cut to the grain
    where it is a moment; the partition that the moment falls in, by the table's time zone. () for a project without
    partitions, or where there is nothing to go by: then ``lane`` decides."""
    given = conf.get("partitions")
    if isinstance(given, list) and given:
        return tuple(str(one) for one in given)
    if key:
        return (_cut(key, cut.grain),)
    if moment is None or cut.grain not in _FORMATS:
        return ()
    return (moment.astimezone(ZoneInfo(cut.timezone)).strftime(_FORMATS[cut.grain]),)


def _cut(key: str, grain: str) -> str:
    if grain not in _FORMATS:
        return key
    try:
        return datetime.fromisoformat(key).strftime(_FORMATS[grain])
    except ValueError:
        return key  # a month, an hour: written as it is to be
