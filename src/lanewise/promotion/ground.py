"""The ground a plan stands on: everything that decides it, gathered once, so that deciding needs no eyes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lanewise.domain.environment import DataPolicy, Environment
from lanewise.domain.partition import ALL, next_partition, parse_partition, partition_name, partition_range
from lanewise.domain.project import Grain, PartitionSpec, Project, Table
from lanewise.domain.publication import Break, InputPin, PartitionMap
from lanewise.errors import ConfigError, WrongInput

_RELATIVE = {"today": 0, "yesterday": 1}  # days back


@dataclass(frozen=True)
class Ground:
    """A candidate build, and the environment that it is to enter, as they are at one moment."""

    project: Project  # the candidate's own
    environment: Environment  # the target, with the config that would come into force
    live: PartitionMap  # of the target; number 0 when nothing is published
    build: str  # the candidate's digest
    fingerprints: Mapping[str, str]  # table -> the version it would have in the target
    now: datetime  # aware; decides what "today" is in a table's time zone
    live_environment: Environment | None = None  # the target with the config that is in force; None: first release
    inputs: tuple[InputPin, ...] = ()
    upstream: tuple[str, ...] = ()  # warnings about the releases that the inputs come from, and about readers
    breaks: Mapping[str, Break] = field(default_factory=dict)  # table -> what its published view can't take in place
    quarantined: frozenset[str] = field(default_factory=frozenset)  # builds that were rolled back and not cleared

    def wanted(self, table: Table) -> tuple[str, ...]:
        """The partitions that the target's data policy gives for a table."""
        if table.partition is None:
            return (ALL,)
        here = self.now.astimezone(ZoneInfo(table.partition.timezone)).replace(tzinfo=None)
        return data_partitions(self.environment.data, table.partition.grain, here)


def data_partitions(data: DataPolicy, grain: Grain, today: date) -> tuple[str, ...]:
    """The partitions that an environment holds of a table with this grain, in order; none when the policy names none.

    ``first`` and ``last`` may be written in another grain: ``2013-02`` to ``2013-02`` are the 28 days of a day table,
    and one month of a month table. Both may be ``today`` or ``yesterday``; ``last`` is ``yesterday``, the newest whole
    day, when it is left out. A ``today`` with a time of day ends hours with the current one.
    """
    if grain is Grain.VALUE:
        return tuple(sorted(set(data.values)))
    if data.first is None:
        if data.last is not None:
            raise ConfigError("the environment's data ends (`to`) and never begins", hint="give `from` too")
        return ()
    written_last = data.last or "yesterday"
    first, last = _first(data.first, grain, today), _last(written_last, grain, today)
    if parse_partition(first, grain) > parse_partition(last, grain):
        if {data.first, written_last} & _RELATIVE.keys():  # it begins in the future: there is nothing yet
            return ()
        raise ConfigError(f"the environment's data begins at {data.first}, after its end at {data.last}")
    return partition_range(first, last, grain)


def recut(names: tuple[str, ...], old: PartitionSpec | None, new: PartitionSpec | None) -> tuple[str, ...]:
    """The partitions of the new cut that hold what the old partitions hold; none where that can't be told."""
    if new is None:
        return (ALL,)
    if old is None or (old.column, old.grain) != (new.column, new.grain):
        if old is None or Grain.VALUE in {old.grain, new.grain}:
            return ()
        found: set[str] = set()
        for name in names:
            found.update(partition_range(*_ends(name, new.grain), new.grain))
        return tuple(sorted(found))
    return tuple(sorted(names))


def _first(written: str, grain: Grain, today: date) -> str:
    if written in _RELATIVE:
        return partition_name(datetime.combine(_day(written, today), time()), grain)
    return _ends(written, grain)[0]


def _last(written: str, grain: Grain, today: date) -> str:
    if written == "today" and isinstance(today, datetime):
        return partition_name(today, grain)
    if written in _RELATIVE:
        return partition_name(datetime.combine(_day(written, today), time(23)), grain)
    return _ends(written, grain)[1]


def _day(written: str, today: date) -> date:
    return date(today.year, today.month, today.day) - timedelta(days=_RELATIVE[written])


def _ends(name: str, grain: Grain) -> tuple[str, str]:
    """The first and the last partition of ``grain`` that a time, written in any grain, covers."""
    for written in (Grain.DAY, Grain.MONTH, Grain.YEAR, Grain.HOUR):
        try:
            start = parse_partition(name, written)
        except WrongInput:
            continue
        after = parse_partition(next_partition(name, written), written)
        return partition_name(start, grain), partition_name(after - timedelta(hours=1), grain)
    raise ConfigError(f"{name!r} is no first or last partition", hint="write it as 2013, 2013-01 or 2013-01-05")
