from __future__ import annotations

from datetime import timedelta

import pytest

from lanewise.domain.environment import SecretRef
from lanewise.domain.rotation import with_rotation
from lanewise.errors import LoginRefused, SecretUnavailable, WarehouseUnavailable

REFERENCE = SecretRef("vault:secret/pg#password", previous="vault:secret/pg?version=-1#password")


class Rotating:
    """Secrets whose current value changes with each resolve."""

    def __init__(self, *current: str, previous: str | None = None) -> None:
        self._current, self._previous = list(current), previous

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        if previous and self._previous is None:
            raise SecretUnavailable(f"{reference.text}: no previous version")
        if previous:
            return self._previous or ""
        return self._current.pop(0) if len(self._current) > 1 else self._current[0]

    def age(self, reference: SecretRef) -> timedelta | None:
        return None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        return ()

    def redact(self, text: str) -> str:
        return text


class Door:
    """Lets one value in, and remembers who knocked."""

    def __init__(self, right: str) -> None:
        self.right = right
        self.tried: list[str] = []

    def __call__(self, value: str) -> str:
        self.tried.append(value)
        if value != self.right:
            raise LoginRefused(f"attempt {len(self.tried)} was refused")
        return "in"


def test_the_current_value_is_tried_first_and_alone_when_it_works():
    door = Door("new")
    assert with_rotation(Rotating("new", previous="old"), REFERENCE, door) == "in"
    assert door.tried == ["new"]


def test_a_value_rotated_meanwhile_is_resolved_once_more():
    door = Door("newer")
    assert with_rotation(Rotating("new", "newer", "newest", previous="old"), REFERENCE, door) == "in"
    assert door.tried == ["new", "newer"]


def test_the_previous_value_gets_in_until_the_new_one_is_proven_and_no_value_is_tried_twice():
    door = Door("old")
    assert with_rotation(Rotating("new", previous="old"), REFERENCE, door) == "in"
    assert door.tried == ["new", "old"]


def test_when_nothing_gets_in_the_last_refusal_is_raised():
    door = Door("other")
    with pytest.raises(LoginRefused, match="attempt 3"):
        with_rotation(Rotating("new", "newer", previous="old"), REFERENCE, door)
    assert door.tried == ["new", "newer", "old"]


def test_a_previous_value_that_is_gone_leaves_the_refusal_to_speak():
    with pytest.raises(LoginRefused, match="attempt 1"):
        with_rotation(Rotating("new"), REFERENCE, Door("other"))


def test_without_a_previous_value_there_are_two_tries_at_most():
    door = Door("other")
    with pytest.raises(LoginRefused, match="attempt 2"):
        with_rotation(Rotating("a", "b", "c"), SecretRef("env:A"), door)


@pytest.mark.parametrize("error", [WarehouseUnavailable("away"), SecretUnavailable("inside"), ValueError("other")])
def test_any_other_error_passes_through_at_once(error: Exception):
    def attempt(value: str) -> str:
        if value == "new":
            raise LoginRefused("no")
        raise error

    with pytest.raises(type(error), match=str(error)):
        with_rotation(Rotating("new", previous="old"), REFERENCE, attempt)
