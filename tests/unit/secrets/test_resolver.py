from __future__ import annotations

import traceback
from datetime import timedelta

import pytest

from lanewise.adapters.secrets.resolver import SecretResolver
from lanewise.domain.environment import SecretRef
from lanewise.errors import BadReference, NotFound


class Drawer:
    """A store of its own scheme whose values are the reference itself, reversed."""

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        return reference.wanted(previous=previous)[::-1]

    def age(self, reference: SecretRef) -> timedelta | None:
        return timedelta(days=3)

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        return ("it lies open",)


def test_a_store_is_opened_once_and_only_when_its_scheme_is_asked_for():
    opened: list[str] = []

    def opener(scheme: str):
        def open_it() -> Drawer:
            opened.append(scheme)
            return Drawer()

        return open_it

    resolver = SecretResolver({"desk": opener("desk"), "safe": opener("safe")})
    assert opened == []
    assert resolver.resolve(SecretRef("desk:one")) == "eno:ksed"
    assert resolver.age(SecretRef("desk:two")) == timedelta(days=3)
    assert resolver.concerns(SecretRef("desk:two")) == ("it lies open",)
    assert opened == ["desk"]


def test_the_previous_value_may_lie_in_another_store():
    class Safe(Drawer):
        def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
            return "from the safe"

    resolver = SecretResolver({"desk": Drawer, "safe": Safe})
    reference = SecretRef("safe:new", previous="desk:old")
    assert resolver.resolve(reference) == "from the safe"
    assert resolver.resolve(reference, previous=True) == "dlo:ksed"


def test_what_was_resolved_is_redacted_and_what_was_not_is_not():
    resolver = SecretResolver({"desk": Drawer})
    assert resolver.redact("dlo:ksed eno:ksed") == "dlo:ksed eno:ksed"
    resolver.resolve(SecretRef("desk:one"))
    assert resolver.redact("dlo:ksed eno:ksed") == "dlo:ksed ***"
    resolver.resolve(SecretRef("desk:one", previous="desk:old"), previous=True)
    assert resolver.redact("dlo:ksed eno:ksed") == "*** ***"


def test_an_unknown_scheme_names_the_nearest():
    with pytest.raises(NotFound) as caught:
        SecretResolver({"vault": Drawer, "env": Drawer}).resolve(SecretRef("valut:secret/a#b"))
    assert "vault" in caught.value.hint


@pytest.mark.parametrize("text", ["hunter2", "", "Hunter2:Hunter2", "p@ss:word", ":x", "0:1"])
def test_what_is_no_reference_is_not_shown(text: str):
    with pytest.raises(BadReference) as caught:
        SecretResolver({"vault": Drawer, "env": Drawer}).resolve(SecretRef(text))
    said = caught.value.message + caught.value.hint
    assert not text or text not in said
    assert "env:…, vault:…" in caught.value.hint
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).lower()


def test_the_stores_own_logins_are_redacted_before_anything_is_resolved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VAULT_TOKEN", "hvs.CAESIJ-own-login")
    monkeypatch.setenv("BAO_SECRET_ID", "0f1ee7bf-f65e-a51a")
    monkeypatch.setenv("VAULT_ADDR", "http://vault.example:8200")
    shown = SecretResolver({}).redact("VAULT_TOKEN=hvs.CAESIJ-own-login 0f1ee7bf-f65e-a51a http://vault.example:8200")
    assert shown == "VAULT_TOKEN=*** *** http://vault.example:8200"
    monkeypatch.setenv("VAULT_TOKEN", "root")  # a development server's: redacting it would blot out paths
    assert "/root/project" in SecretResolver({}).redact("/root/project")
