"""The URL of a shared ledger: what may stand in it, and that a password never shows."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from lanewise.adapters.ledgers.postgres_address import SCHEMA, parse
from lanewise.adapters.ledgers.sql import open_ledger
from lanewise.errors import LaneError, WrongInput


def test_a_url_says_where_and_as_whom():
    address = parse("postgresql://ana@db.example:6432/shop")
    assert str(address) == f"ana@db.example:6432/shop, schema {SCHEMA}"
    assert address.password is None
    wanted = {"host": "db.example", "port": "6432", "user": "ana", "dbname": "shop"}
    assert wanted.items() <= address.parameters.items()


def test_the_schema_is_ours_and_the_rest_is_libpqs():
    address = parse(
        "postgresql://ana@a:1,b:2/shop?schema=my%20team&sslmode=verify-full&target_session_attrs=read-write"
    )
    assert address.schema == "my team"
    assert address.parameters["sslmode"] == "verify-full"
    assert address.parameters["target_session_attrs"] == "read-write"
    assert (address.parameters["host"], address.parameters["port"]) == ("a,b", "1,2")
    assert "schema" not in address.parameters


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:LEDGER_PASSWORD", "env:LEDGER_PASSWORD"),
        ("vault:secret/data/x#field", "vault:secret/data/x#field"),
        ("vault:secret/data/x%23field", "vault:secret/data/x#field"),
        ("file:/run/secrets/ledger", "file:/run/secrets/ledger"),
    ],
)
def test_the_password_is_a_reference_whose_hash_sign_may_stand_as_it_is(text: str, reference: str):
    address = parse(f"postgresql://ana@h/d?password={text}&sslmode=require")
    assert address.password is not None
    assert address.password.text == reference
    assert address.parameters["sslmode"] == "require"
    assert "password" not in address.parameters


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:hunter2@h/d",
        "postgres://ana:hunter2@h/d",
        "postgresql://ana:hun/ter2@h/d",
        "postgresql://ana:hun@ter2@h/d",
        "postgresql://ana:hun?ter2@h/d",
        "postgresql://:hunter2@h/d",
        "postgresql://ana@h/d?password=hunter2",
        "postgresql://ana@h/d?password=abc:hunter2",
        "postgresql://ana@h/d?pass%77ord=hunter2",
        "postgresql://ana@h/d?PASSWORD=hunter2",
        "postgresql://ana@h/d?sslpassword=hunter2",
        "postgresql://ana@h/d?password=",
        "postgresql://h/d?user=ana&hunter2",
        "postgresql://ana@h:hunter2:x/d",
        "postgresql://ana@[hunter2/d",
        "postgresql://ana@h/",
        "postgresql://ana@h/d?schema=",
        "postgresql://ana@h/d?schema=pg_hunter2",
    ],
)
def test_what_is_no_reference_is_refused_without_showing_it(url: str):
    with pytest.raises(WrongInput) as caught:
        open_ledger(url, base=Path("/"))
    said = caught.value.message + caught.value.hint + "".join(traceback.format_exception(caught.value))
    assert not any(part in said for part in ("hunter2", "hun/", "ter2", "hun@")), said


def test_a_reference_that_does_not_resolve_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch):
    from lanewise.adapters.secrets.env import EnvStore
    from lanewise.adapters.secrets.resolver import SecretResolver

    monkeypatch.delenv("NOWHERE", raising=False)
    secrets = SecretResolver({"env": lambda: EnvStore(Path("/"))})
    ledger = open_ledger("postgresql://ana@127.0.0.1:1/d?password=env:NOWHERE", base=Path("/"), secrets=secrets)
    with pytest.raises(LaneError, match="env:NOWHERE"):
        ledger.head()
