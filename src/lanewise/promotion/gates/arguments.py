"""Reading the arguments that config gives a gate: typed, with one clear error for a wrong one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from lanewise.errors import ConfigError, nearest_hint

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class Arguments:
    """The arguments of one gate. Every method raises ``ConfigError`` that names the gate and the argument."""

    def __init__(self, gate: str, arguments: Mapping[str, Any], known: tuple[str, ...]) -> None:
        self._gate, self._given = gate, arguments
        for name in arguments:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise ConfigError(
                    f"gate {gate} has no argument {str(name)!r}", hint=nearest_hint(str(name), known) or takes
                )

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) is not None

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Say what the argument should have been."""
        raise ConfigError(f"gate {self._gate}: {name} is {self._given.get(name)!r}", hint=f"it must be {wanted}")

    def text(self, name: str, default: str = "") -> str:
        """Text that is not blank."""
        if name not in self:
            return default
        value = self._given[name]
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, "text")
        return value

    def words(self, name: str, choices: tuple[str, ...]) -> tuple[str, ...]:
        """A list (or one) of these words."""
        if name not in self:
            return ()
        value = self._given[name]
        found = (value,) if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or any(word not in choices for word in found):
            self.refuse(name, f"a list of {', '.join(choices)}")
        return tuple(found)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of these words."""
        value = self._given[name] if name in self else default
        if value not in choices:
            self.refuse(name, f"one of {', '.join(choices)}")
        return str(value)

    def count(self, name: str, default: int) -> int:
        """A whole number from 1 on."""
        if name not in self:
            return default
        value = self._given[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(name, "a whole number from 1 on")
        return value

    def factor(self, name: str, default: Decimal) -> Decimal:
        """A number of at least 1, exact: ``1.5`` is read from its text."""
        if name not in self:
            return default
        value = self._given[name]
        try:
            found = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite() or found < 1:
            self.refuse(name, "a number from 1 on")
        return found

    def duration(self, name: str, default: timedelta) -> timedelta:
        """Seconds as a number, or text such as ``90s``, ``30m``, ``1d12h``; above zero."""
        if name not in self:
            return default
        value = self._given[name]
        if isinstance(value, timedelta):
            seconds = value.total_seconds()
        elif isinstance(value, str) and _DURATION.sub("", value) == "" and value:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        else:
            seconds = 0.0
        if not 0 < seconds <= 10 * 366 * 86400:
            self.refuse(name, "a time such as 90s, 30m, 12h or 7d")
        return timedelta(seconds=seconds)
