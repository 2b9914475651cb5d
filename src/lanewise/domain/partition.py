"""Partitions are named by text that sorts in time order: ``2013-01-05``, ``2013-01``, ``EU``, or ``all``."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from lanewise.domain.project import Grain
from lanewise.errors import WrongInput

ALL = "all"
"""The one slice of a table without partitions."""

_FORMATS = {Grain.HOUR: "%Y-%m-%dT%H", Grain.DAY: "%Y-%m-%d", Grain.MONTH: "%Y-%m", Grain.YEAR: "%Y"}


def partition_name(moment: datetime | date, grain: Grain) -> str:
    """The partition that a moment falls in. Not for ``Grain.VALUE``."""
    return moment.strftime(_FORMATS[grain])


def parse_partition(name: str, grain: Grain) -> datetime:
    """The first moment of a time partition (naive, in the table's own time zone)."""
    try:
        moment = datetime.strptime(name, _FORMATS[grain])  # noqa: DTZ007 - partitions are named in their own zone
    except ValueError as error:
        raise WrongInput(f"{name!r} is no {grain} partition", hint=f"write it as {_example(grain)}") from error
    if partition_name(moment, grain) != name:
        raise WrongInput(f"{name!r} is no {grain} partition", hint=f"write it as {_example(grain)}")
    return moment


def _example(grain: Grain) -> str:
    return datetime(2013, 1, 5, 7).strftime(_FORMATS[grain])  # noqa: DTZ001 - an example in a message


def next_partition(name: str, grain: Grain) -> str:
    """The time partition after this one."""
    moment = parse_partition(name, grain)
    if grain is Grain.HOUR:
        return partition_name(moment + timedelta(hours=1), grain)
    if grain is Grain.DAY:
        return partition_name(moment + timedelta(days=1), grain)
    if grain is Grain.MONTH:
        return partition_name((moment.replace(day=28) + timedelta(days=4)).replace(day=1), grain)
    return partition_name(moment.replace(year=moment.year + 1), grain)


def partition_range(first: str, last: str, grain: Grain) -> tuple[str, ...]:
    """Every partition from ``first`` to ``last``, both included."""
    if grain is Grain.VALUE:
        raise WrongInput("a table cut by value has no range of partitions", hint="name them with --partition")
    if parse_partition(first, grain) > parse_partition(last, grain):
        raise WrongInput(f"--from {first} is after --to {last}")
    names = [first]
    while names[-1] != last:
        names.append(next_partition(names[-1], grain))
        if len(names) > 100_000:
            raise WrongInput(f"{first} to {last} is more than 100,000 partitions", hint="run it in parts")
    return tuple(names)
