"""A secret is a reference: what gives a secret away, and that no error repeats it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.config.secrets import is_reference, is_secret_name
from lanewise.errors import ConfigError

from .files import config

CANARY = "hunter2-canary"


@pytest.mark.parametrize(
    "name",
    ["password", "Password", "db_password", "dbPassword", "pgpassword", "PGPASSWORD", "authtoken",
     "api_key", "apiKey", "API_KEY", "token",
     "auth-token", "client_secret", "private_key", "aws_secret_access_key", "secret_key", "passphrase", "credentials",
     "sas_token", "account_key", "password2", "ssh_key", "password_prod"],
)  # fmt: skip
def test_these_fields_hold_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["host", "key", "primary_key", "password_file", "token_url", "secret_name", "access_key_id", "max_tokens",
     "tokenizer", "compass", "bypass_cache", "passenger", "key_column", "secrets_backend", "token_ttl", "monkey",
     "keyspace", "sort_key", "secretary", "password_policy"],
)  # fmt: skip
def test_these_fields_hold_none(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("env:DB_PASSWORD", True),
        ("env:DB PASSWORD", False),
        ("env:", False),
        ("env:1X", False),
        ("file:/run/secrets/db", True),
        ("file:~/secret", True),
        ("file:", False),
        ("file://host/x", False),
        ("keyring:lanewise/db", True),
        ("keyring:db", False),
        ("vault:secret/data/prod/postgres#password", True),
        ("vault:secret#password", False),
        ("vault:secret/data/prod", False),
        ("hunter2", False),
        ("https://example.org", False),
        ("other:thing", False),
    ],
)
def test_a_reference_has_a_scheme_and_its_form(text, good):
    assert is_reference(text) is good


PLACES = {
    "a connection's field": "environments: {{d: {{}}}}\nconnections: {{c: {{type: x, password: '{}'}}}}",
    "a connection that is used": "environments: {{d: {{src_conn: c}}}}\nconnections: {{c: {{type: x, api_key: '{}'}}}}",
    "a field inside a field": "environments: {{d: {{}}}}\nconnections: {{c: {{type: x, o: {{token: '{}'}}}}}}",
    "a setting": "environments: {{d: {{db_password: '{}'}}}}",
    "a default": "defaults: {{client_secret: '{}'}}\nenvironments: {{d: {{}}}}",
    "a list under a secret's name": "defaults: {{tokens: {{token: ['{}']}}}}\nenvironments: {{d: {{}}}}",
    "the long form": "environments: {{d: {{}}}}\nconnections: {{c: {{type: x, k: {{secret: '{}'}}}}}}",
    "the long form's previous": (
        "environments: {{d: {{src_conn: c}}}}\n"
        "connections: {{c: {{type: x, password: {{secret: 'env:X', previous: '{}'}}}}}}"
    ),
    "the ledger's URI": "environments: {{d: {{}}}}\nledger: 'postgresql://lane:{}@db/lane'",
    "a URI without a user": "environments: {{d: {{}}}}\nledger: 'redis://:{}@db/0'",
    "a URI's query": "environments: {{d: {{}}}}\nbuilds: 's3://b?secret={}'",
    "a connection string": "environments: {{d: {{dsn: 'host=x password={} user=y'}}}}",
    "gate arguments": "environments: {{d: {{}}}}\npromotion: {{d: {{gates: [command: {{token: '{}'}}]}}}}",
    "a malformed reference": "environments: {{d: {{}}}}\nconnections: {{c: {{type: x, password: 'env:{}'}}}}",
    "an unknown scheme": "environments: {{d: {{}}}}\nconnections: {{c: {{type: x, password: 'pass:{}'}}}}",
    "a wrong type beside it": "environments: {{d: {{retries: x, token: '{}'}}}}",
    "an unknown key beside it": "nonsense: 1\nenvironments: {{d: {{}}}}\nledger: 'redis://:{}@db/0'",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_in_the_file_is_an_error_that_does_not_repeat_it(refused, place):
    error = refused(config, PLACES[place].format(CANARY))
    assert "a secret where a reference belongs" in error.message or "a credential inside" in error.message
    assert CANARY not in error.message + error.hint
    assert "hunter2" not in error.message + error.hint


@pytest.mark.parametrize(
    "value",
    ["AKIAIOSFODNN7EXAMPLE", "ghp_0123456789012345678901234567890123456", "-----BEGIN RSA PRIVATE KEY-----"],
)
def test_the_shape_of_a_well_known_secret_is_enough(refused, value):
    error = refused(config, f"environments: {{d: {{note: 'x {value}'}}}}", "1:26")
    assert "shape of a secret" in error.message
    assert value not in error.message


def test_a_number_is_a_password_too(refused):
    refused(config, "environments: {d: {}}\nconnections: {c: {type: x, password: 12345}}", "2:38")


def test_references_and_empty_values_are_no_secrets():
    text = """\
    defaults: {api_key: 'env:KEY', token: , use_password: false}
    environments: {d: {src_conn: c}}
    connections: {c: {type: x, password: 'env:PW_{env}', passphrase: ''}}
    """
    lane = config(text).environment("d")
    assert lane.connection("src").secrets["password"].text == "env:PW_d"
    assert lane.settings["api_key"] == "env:KEY"


def test_a_template_is_judged_again_once_it_is_filled_in(refused):
    text = "environments: {d-e: {src_conn: c}}\nconnections: {c: {type: x, password: 'env:PW_{env}'}}"
    assert "no secret reference" in refused(config, text, "2:38").message


@given(st.text(alphabet="abcdefghXYZ0123456789!$%*+.,;_ ", min_size=6, max_size=30).map(lambda text: f"q{text}q"))
def test_whatever_the_secret_is_it_is_never_shown(secret):
    for place in ("a connection's field", "a setting", "an unknown key beside it"):
        with pytest.raises(ConfigError) as caught:
            config(PLACES[place].format(secret))
        assert secret not in caught.value.message + caught.value.hint + repr(caught.value)
