"""Which partition a flow run of Prefect's own clock computes: the last one that had ended when it was to start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lanewise.errors import WrongInput

PARAMETER = "partitions"
"""The flow run's parameter that names partitions instead, for a run that a person starts."""

_FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def partitions(parameters: Mapping[str, Any], due: datetime, grain: str, timezone: str) -> tuple[str, ...]:
    """Those that the parameter names, else the one that ended last before ``due`` (aware). ``grain`` is empty for a
    project without partitions, and ``value`` has no last one: then they must be named."""
    named = parameters.get(PARAMETER)
    if named:
        return (named,) if isinstance(named, str) else tuple(str(one) for one in named)
    if not grain:
        return ()
    if grain not in _FORMATS:
        hint = f'give the parameter {PARAMETER}, as in ["EU", "US"]; a schedule may have it too'
        raise WrongInput("the project's partitions follow no clock, and this flow run names none", hint=hint)
    return (before(due.astimezone(ZoneInfo(timezone)), grain).strftime(_FORMATS[grain]),)


def before(moment: datetime, grain: str) -> datetime:
    """A moment of the hour, day, month or year before the one that ``moment`` is in, by the wall clock."""
    if grain == "hour":
        return moment.replace(minute=0, tzinfo=None) - timedelta(hours=1)
    start = moment.replace(hour=12, tzinfo=None)
    if grain == "day":
        return start - timedelta(days=1)
    first = start.replace(day=1)
    return first - timedelta(days=1) if grain == "month" else first.replace(month=1) - timedelta(days=1)
