"""Tells a secret from a reference to one, by the field's name and the value's shape. Never repeats a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from itertools import pairwise

from lanewise.config import ledger
from lanewise.config.node import Document, Node, strings
from lanewise.errors import ConfigError

HINT = "write a reference: env:NAME, file:PATH, keyring:SERVICE/NAME or vault:MOUNT/PATH#FIELD"

_FORMS = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"(?!//)\S(.*\S)?"),
    "keyring": re.compile(r"[^/\s]+/\S+"),
    "vault": re.compile(r"[^/\s#]+/[^\s#]+#[^\s#]+"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = {
    "password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "credential", "credentials",
    "apikey", "privatekey", "accesskey", "secretkey", "pat",
}  # fmt: skip
_SECRET_ENDS = ("password", "passwd", "passphrase", "secret", "token")  # pgpassword, clientsecret, authtoken
_KEY_KINDS = {"api", "private", "access", "secret", "account", "auth", "signing", "encryption", "shared", "storage",
              "master", "sas", "ssh", "service", "hmac"}  # fmt: skip
# A field that ends so speaks about a secret and holds none: token_url, password_file, access_key_id.
_HARMLESS_ENDS = {
    "file", "path", "name", "arn", "url", "uri", "endpoint", "id", "ttl", "age", "length", "policy", "expires",
    "expiry", "rotation", "days", "hours", "minutes", "seconds", "enabled", "required", "provider", "backend",
    "store", "manager", "type", "column", "columns", "mount", "limit", "count", "size", "rate", "bucket", "scope",
    "ref", "reference", "env", "version", "region", "algorithm", "scheme",
}  # fmt: skip
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@?#]*:(?P<value>[^/\s@]+)@")
_PAIR = re.compile(
    r"(?i)(?:^|[\s?&;,])(?:password|passwd|pwd|secret|token|api_?key|access_?key|sig)=(?P<value>[^\s&;,]+)"
)
_KNOWN_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bxox[abprs]-[\w-]{10,}|\b[sr]k_live_\w{16,}|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
)
_LEDGER = ("ledger",)
# What other tools put where a secret comes later: $PW, ${PW}, {{ var.pw }}, <password>, an address in a vault.
_PLACEHOLDER = re.compile(r"\$\w+|\$\{.*\}|\$\(.*\)|\{\{.*\}\}|\{\w+\}|<[^<>]+>|\*+|arn:aws:(?:secretsmanager|ssm):\S+")


def is_secret_name(name: str) -> bool:
    """Whether a field of this name would hold a secret: ``password``, ``api_key``, ``dbToken``."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _HARMLESS_ENDS:
        return False
    if any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDS) for word in words):
        return True
    return any(kind in _KEY_KINDS and word == "key" for kind, word in pairwise(words))


def is_reference(text: str) -> bool:
    """Whether text is a well-formed reference of an installed secret store."""
    scheme, _, rest = text.partition(":")
    if scheme in _FORMS:
        return bool(_FORMS[scheme].fullmatch(rest))
    return bool(rest.strip()) and scheme in _plug_ins()


def looks_like_reference(text: str) -> bool:
    """Whether text means to be a reference, well-formed or not. ``file://…`` is a URI."""
    scheme, colon, rest = text.partition(":")
    return bool(colon) and not rest.startswith("//") and (scheme in _FORMS or scheme in _plug_ins())


@cache
def _plug_ins() -> frozenset[str]:
    # Names alone are read: nothing of a plug-in is imported to judge a file.
    return frozenset(point.name for point in entry_points(group="lanewise.secrets"))


def literal_secrets(document: Document, *, placeholders: bool = False, names: bool = True) -> Iterator[ConfigError]:
    """Every value that is a secret where a reference belongs. ``placeholders``: other tools' forms, such as
    ``${PASSWORD}``, are references too (for a lone snippet). ``names``: False where keys are columns, not fields."""
    for path, node in strings(document.root):
        reason = _reason(path if names else (), node, placeholders=placeholders)
        if reason:
            dotted = ".".join(part[:60] for part in path) or "this value"
            yield document.error(f"{dotted}: {reason}", node, hint=ledger.HINT if path == _LEDGER else HINT)


def _reason(path: tuple[str, ...], node: Node, *, placeholders: bool) -> str:
    value = node.value
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    if _named_secret(path) and text and not (isinstance(value, str) and _refers(text, placeholders=placeholders)):
        return "a secret where a reference belongs"
    if path == _LEDGER and "://" in text:
        return ledger.inline_secret(text, is_secret_name, is_reference) or _shaped(text)
    for pattern in (_URI, _PAIR):
        found = pattern.search(text)
        if found and not (placeholders and _PLACEHOLDER.fullmatch(found["value"])):
            return "a credential inside a URI or a connection string"
    return _shaped(text)


def _shaped(text: str) -> str:
    return "this has the shape of a secret" if _KNOWN_SHAPES.search(text) else ""


def _named_secret(path: tuple[str, ...]) -> bool:
    if not path:
        return False
    # The long forms: {password: {secret: vault:…, previous: vault:…}}, {token: {value: …}}.
    inside = path[-1] in {"previous", "value", "text", "key"} and len(path) > 1 and is_secret_name(path[-2])
    return inside or is_secret_name(path[-1])


def _refers(text: str, *, placeholders: bool) -> bool:
    if looks_like_reference(text):
        return is_reference(text) or "{" in text  # a template: judged again once it is filled in
    return placeholders and bool(_PLACEHOLDER.fullmatch(text.strip()))
