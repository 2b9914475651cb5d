"""What a ``postgres`` connection and a ledger on a server may say, and what they must not."""

from __future__ import annotations

import json

import pytest

from lanewise.config.postgres import FIELDS, PASSWORDS
from lanewise.config.schema import published
from lanewise.domain.environment import Role, SecretRef

from .files import config

HEAD = "environments: {prod: {}}\nconnections:\n  warehouse_prod: "
WHOLE = """\
environments: {prod: {}}
connections:
  warehouse_prod:
    type: postgres
    host: pg.example
    port: 5433
    database: shop
    user: svc
    password: env:PG
    sslmode: verify-full
    sslrootcert: /etc/ca.pem
    connect_timeout: 5
    store: kept
    patience: 30
    readers: [bi, analysts]
    reads: [other.orders]
    connects: [monitoring]
    schema: raw
    runner: run
    runner_password: {secret: "vault:kv/pg#run", previous: "vault:kv/pg-old#run", max_age: 90d}
    publisher: pub
    reader: read
    admin: boss
    admin_password: env:BOSS
"""

WRONG = {
    "a misspelt field": ("{type: postgres, database: d, hots: x}", "3:49", "unknown key 'hots'", "did you mean host"),
    "a misspelt password": ("{type: postgres, database: d, pasword: 'env:X'}", "3:49", "'pasword'", "password"),
    "a misspelt password of a role": (
        "{type: postgres, database: d, runner: r, runer_password: 'env:X'}", "3:60", "runer_pass", "runner_password",
    ),
    "a port as text": ("{type: postgres, database: d, port: '5432'}", "3:55", "port must be a whole number", ""),
    "a port that is none": ("{type: postgres, database: d, port: 70000}", "3:55", "port", ""),
    "a number as host": ("{type: postgres, database: d, host: 5}", "3:55", "host must be text", ""),
    "an unknown sslmode": ("{type: postgres, database: d, sslmode: maybe}", "3:58", "verify-full", ""),
    "a patience that is none": ("{type: postgres, database: d, patience: soon}", "3:59", "a whole number", ""),
    "readers that are no names": ("{type: postgres, database: d, readers: [5]}", "3:59", "must be text", ""),
    "no database": ("{type: postgres, host: h}", "3:3", "names no database", "database"),
    "an empty database": ("{type: postgres, database: ''}", "3:46", "database", ""),
    "a password of nobody": (
        "{type: postgres, database: d, runner_password: 'env:X'}", "3:49", "a login that is not named", "runner: USER",
    ),
    "a host that is a secret": ("{type: postgres, host: 'env:H', database: d}", "3:42", "can't be a secret", "value"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_told_at_its_place(refused, name):
    text, where, message, hint = WRONG[name]
    error = refused(config, HEAD + text, where)
    assert message in error.message
    assert hint in error.hint + error.message


@pytest.mark.parametrize("field", ["password", "runner_password", "admin_password"])
def test_an_inline_password_is_refused_and_not_repeated(refused, field):
    error = refused(config, f"{HEAD}{{type: postgres, database: d, runner: r, admin: a, {field}: hunter2}}")
    assert "a secret where a reference belongs" in error.message
    assert "hunter2" not in error.message + error.hint


def test_all_fields_at_once():
    found = config(WHOLE).environment("prod").connection("dst")
    assert found.roles == (Role.RUNNER, Role.PUBLISHER, Role.READER, Role.ADMIN)
    assert found.acting_as(Role.RUNNER).secrets["password"].previous == "vault:kv/pg-old#run"
    assert found.acting_as(Role.ADMIN).secrets == {"password": SecretRef("env:BOSS")}


def test_templates_are_filled_in_before_anything_is_judged():
    text = "environments: {prod: {}}\nconnections:\n  'warehouse_{env}': {type: postgres, database: 'shop_{env}'}\n"
    assert config(text).environment("prod").connection("dst").fields == {"database": "shop_prod"}


def test_what_a_pipeline_alone_uses_needs_no_database_and_may_have_secrets_of_its_own():
    text = (
        "environments: {p: {pg_conn: db}}\nconnections:\n  db: {type: postgres, private_key: 'file:k', host: 'env:H'}"
    )
    assert set(config(text).environment("p").connection("pg").secrets) == {"private_key", "host"}


def test_other_types_take_what_they_like():
    assert config(f"{HEAD}{{type: kafka, hots: 5}}").environment("prod").connection("dst").fields == {"hots": 5}


def test_editors_are_told_every_field():
    model = json.loads(published("environments"))["$defs"]["ConnectionModel"]
    assert set(model["then"]["properties"]) == {"type", *FIELDS, *PASSWORDS}
    assert model["if"] == {"properties": {"type": {"const": "postgres"}}}


LEDGERS = {
    "a password in the URL": "postgresql://lane:hunter2@pg/ledger",
    "a password with a slash": "postgresql://lane:hun/ter2@pg/ledger",
    "a password with an at sign": "postgresql+psycopg://lane:hunter2@x@pg/ledger",
    "an empty password": "postgresql://lane:@pg/hunter2",
    "a password as a parameter": "postgresql://lane@pg/ledger?password=hunter2",
    "a password among other parameters": "postgresql://lane@pg/ledger?sslmode=require&password=hunter2&x=1",
    "an encoded password": "postgresql://lane@pg/ledger?password=hunter2%21",
    "a password twice": "postgresql://lane@pg/hunter2?password=env:A&password=env:B",
    "another secret": "postgresql://lane@pg/ledger?sslpassword=hunter2",
}


@pytest.mark.parametrize("name", LEDGERS)
def test_a_ledger_with_a_secret_in_it_is_refused_and_not_repeated(refused, name):
    error = refused(config, f"environments: {{prod: {{}}}}\nledger: '{LEDGERS[name]}'\n", "2:9")
    assert error.message.startswith("environments.yaml:2:9: ledger: ")
    assert "hunter2" not in error.message + error.hint
    assert "password=env:NAME" in error.hint


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://lane@pg:5432/ledger?password=env:LEDGER_PASSWORD",
        "postgresql://lane@pg/ledger?sslmode=verify-full&password=vault:secret/data/lane#ledger",
        "postgresql://lane@pg/ledger?password=env%3ALEDGER",
        "postgresql:///ledger",
        "sqlite:///.lanewise/ledger.db",
    ],
)
def test_a_ledger_whose_password_is_a_reference_loads(url):
    assert config(f"environments: {{prod: {{}}}}\nledger: '{url}'\n").ledger == url


def test_only_the_ledger_may_name_its_password_so(refused):
    text = "environments: {prod: {bucket: 's3://b?password=env:NAME'}}"
    assert "credential" in refused(config, text).message
