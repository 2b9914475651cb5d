"""What every secret store must do. A plug-in's author subclasses ``SecretStoreContract`` and gives it a shelf::

class TestOurStore(SecretStoreContract):
    @pytest.fixture
    def shelf(self):
        return OurShelf()
"""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

import string
import traceback
from datetime import timedelta
from typing import Protocol

import pytest

from lanewise.domain.environment import SecretRef
from lanewise.domain.ports import SecretStore
from lanewise.errors import BadReference, LaneError, SecretUnavailable

CANARY = "Tr0ub4dor&3-canary"

VALUES = (
    CANARY,
    "x",
    "'single' \"double\" `back` \\slash\\ $VAR ${VAR} %s {0} {name}",
    "ünïcödé ☃ 😀 ключ",
    "  spaces at both ends  ",
    "-----BEGIN KEY-----\nbGluZSBvbmU=\n\tbGluZSB0d28=\n-----END KEY-----",
    "a#b?c=d&e/f:g@h",
    '{"user": "svc", "password": "p"}',
    string.printable[:94] * 40,
)


class Shelf(Protocol):
    """A store, and the other side of it: where a test puts values."""

    @property
    def store(self) -> SecretStore:
        """The store under test."""

    @property
    def missing(self) -> SecretRef:
        """A well-formed reference behind which there is nothing."""

    @property
    def malformed(self) -> tuple[str, ...]:
        """References of this scheme that can't be understood; each contains ``CANARY``."""

    def put(self, name: str, value: str) -> str:
        """Keep ``value`` under ``name`` (letters), over an earlier one; the reference to it."""


class SecretStoreContract:
    """The conformance suite of the ``SecretStore`` port."""

    @pytest.fixture
    def shelf(self) -> Shelf:
        """The one thing to override: a shelf that is empty at the test's start."""
        raise NotImplementedError

    @pytest.mark.parametrize("value", VALUES)
    def test_what_was_put_in_comes_out_unchanged(self, shelf: Shelf, value: str) -> None:
        """Quotes, spaces, lines and other alphabets included."""
        assert shelf.store.resolve(SecretRef(shelf.put("plain", value))) == value

    def test_a_value_that_changed_is_seen_at_the_next_resolve(self, shelf: Shelf) -> None:
        """Nothing is cached: a rotation shows at once."""
        reference = SecretRef(shelf.put("rotated", "before"))
        assert shelf.store.resolve(reference) == "before"
        shelf.put("rotated", "after")
        assert shelf.store.resolve(reference) == "after"

    def test_the_previous_value_is_another_reference(self, shelf: Shelf) -> None:
        """Two versions overlap until the new one is proven."""
        reference = SecretRef(shelf.put("current", "new"), previous=shelf.put("former", "old"))
        assert shelf.store.resolve(reference) == "new"
        assert shelf.store.resolve(reference, previous=True) == "old"

    def test_a_previous_value_that_is_not_declared_is_unavailable(self, shelf: Shelf) -> None:
        """Never the current one in its place."""
        reference = SecretRef(shelf.put("only", CANARY))
        with pytest.raises(SecretUnavailable, match="previous"):
            shelf.store.resolve(reference, previous=True)

    def test_a_missing_secret_is_named_by_its_reference(self, shelf: Shelf) -> None:
        """With a hint on what to do."""
        with pytest.raises(SecretUnavailable) as caught:
            shelf.store.resolve(shelf.missing)
        assert shelf.missing.text in caught.value.message
        assert caught.value.hint

    def test_an_empty_value_counts_as_missing(self, shelf: Shelf) -> None:
        """A password that is empty by accident must not log anybody in."""
        reference = SecretRef(shelf.put("empty", ""))
        with pytest.raises(SecretUnavailable):
            shelf.store.resolve(reference)

    def test_a_malformed_reference_says_the_right_form_and_is_not_quoted(self, shelf: Shelf) -> None:
        """It may be a value that was pasted where a reference belongs."""
        assert shelf.malformed
        for text in shelf.malformed:
            for ask in (shelf.store.resolve, shelf.store.age, shelf.store.concerns):
                with pytest.raises(BadReference) as caught:
                    ask(SecretRef(text))
                assert text.partition(":")[0] + ":" in caught.value.hint
                assert CANARY not in _all_that_it_says(caught.value)

    def test_an_age_is_unknown_or_counted_from_the_writing(self, shelf: Shelf) -> None:
        """Never negative, whatever the clocks say."""
        age = shelf.store.age(SecretRef(shelf.put("young", CANARY)))
        assert age is None or timedelta(0) <= age < timedelta(minutes=10)

    def test_concerns_are_sentences_without_the_value(self, shelf: Shelf) -> None:
        """They are printed by ``lane doctor``."""
        concerns = shelf.store.concerns(SecretRef(shelf.put("watched", CANARY)))
        assert isinstance(concerns, tuple)
        assert all(concern.strip() and CANARY not in concern for concern in concerns)

    def test_the_store_does_not_show_values_when_it_is_printed(self, shelf: Shelf) -> None:
        """Debuggers and tracebacks print objects."""
        shelf.store.resolve(SecretRef(shelf.put("printed", CANARY)))
        assert CANARY not in repr(shelf.store) + repr(vars(shelf.store))


def _all_that_it_says(error: LaneError) -> str:
    return "".join(traceback.format_exception(error)) + error.message + error.hint
