from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lanewise.ledger.checkpoints import Statement, from_text, is_genuine, key_id, sign, to_text

KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"2" * 32)
SIGNED = sign(Statement(7, "sha256:07", "2026-05-01", "sha256:01", key_id(KEY.public_key())), KEY)


def test_a_signed_statement_is_genuine():
    assert is_genuine(SIGNED, KEY.public_key())


@pytest.mark.parametrize("change", [{"seq": 8}, {"hash": "x"}, {"at": "x"}, {"ledger": "x"}, {"key": "x"}])
def test_a_changed_statement_is_not(change):
    assert not is_genuine(replace(SIGNED, statement=replace(SIGNED.statement, **change)), KEY.public_key())


@pytest.mark.parametrize("signature", ["", "zz", "00" * 64, SIGNED.signature[:-2]])
def test_a_wrong_signature_is_not(signature):
    assert not is_genuine(replace(SIGNED, signature=signature), KEY.public_key())


def test_another_key_did_not_sign_it():
    assert not is_genuine(SIGNED, OTHER.public_key())
    assert not is_genuine(sign(SIGNED.statement, OTHER), OTHER.public_key()), "it names the first key"


def test_a_checkpoint_survives_its_file():
    assert from_text(to_text(SIGNED)) == SIGNED


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"seq": 1}', to_text(SIGNED).replace("7", '"7"', 1)])
def test_anything_else_is_no_checkpoint(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json's own ValueError among them
        from_text(text)


def test_an_extra_field_is_no_checkpoint():
    with pytest.raises(ValueError, match="not a checkpoint"):
        from_text(json.dumps({**json.loads(to_text(SIGNED)), "note": "x"}))
