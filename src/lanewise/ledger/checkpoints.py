"""Signed checkpoints: what was the newest event at some moment, in a statement that can't be forged without the key.

A hash chain alone shows an edit in its middle, not a cut-off end, nor a chain computed anew from the start.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lanewise.domain.canonical import canonical_json

_PURPOSE = b"lanewise ledger checkpoint 1\n"  # what the key signs here means nothing anywhere else


@dataclass(frozen=True)
class Statement:
    """At ``at`` (ISO 8601 UTC, the ledger's clock), event ``seq`` of the ledger had this hash.

    ``ledger`` is the hash of its first event, ``key`` the id of the key that signs.
    """

    seq: int
    hash: str
    at: str
    ledger: str
    key: str


@dataclass(frozen=True)
class Checkpoint:
    """A statement and its Ed25519 signature, in hexadecimal."""

    statement: Statement
    signature: str


def key_id(public: Ed25519PublicKey) -> str:
    """A public key's name, fit for a file: ``ed25519-`` and 32 hex digits of its SHA-256."""
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"ed25519-{hashlib.sha256(raw).hexdigest()[:32]}"


def sign(statement: Statement, key: Ed25519PrivateKey) -> Checkpoint:
    """Sign it. The statement must name this key."""
    return Checkpoint(statement, key.sign(_payload(statement)).hex())


def is_genuine(checkpoint: Checkpoint, public: Ed25519PublicKey) -> bool:
    """Whether the holder of this key signed exactly this statement."""
    try:
        public.verify(bytes.fromhex(checkpoint.signature), _payload(checkpoint.statement))
    except (InvalidSignature, ValueError):
        return False
    return checkpoint.statement.key == key_id(public)


def to_text(checkpoint: Checkpoint) -> str:
    """One JSON document."""
    return json.dumps({**vars(checkpoint.statement), "signature": checkpoint.signature}, indent=2) + "\n"


def from_text(text: str) -> Checkpoint:
    """The inverse of ``to_text``. Raises ``ValueError`` for anything else."""
    fields = json.loads(text)
    names = {"seq": int, "hash": str, "at": str, "ledger": str, "key": str, "signature": str}
    if not isinstance(fields, dict) or {name: type(value) for name, value in fields.items()} != names:
        raise ValueError("not a checkpoint")
    signature = fields.pop("signature")
    return Checkpoint(Statement(**fields), signature)


def _payload(statement: Statement) -> bytes:
    return _PURPOSE + canonical_json(statement)
