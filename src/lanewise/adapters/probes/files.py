"""The probe of type ``s3``: each environment's key at the buckets of the others.

Such a connection has ``endpoint`` (left out: AWS), ``region``, ``bucket`` (left out: the setting ``bucket``), ``key``
and a reference ``secret``, with ``token`` where there is one. Nothing is read, written or deleted: what exists is asked
for by HEAD, a write is made on the condition that an absent object has a certain content, and a delete likewise, and
only where the owner says that the bucket keeps no versions.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from lanewise.domain.environment import Connection, Environment
from lanewise.domain.isolation import Attempt, Holder, Identity, Outcome, Target
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project
from lanewise.errors import StoreUnavailable

_NO_CONTENT = '"00000000000000000000000000000000"'
"""A fingerprint that no content has: what is asked on this condition can't happen."""

_DENIED = {"AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "Forbidden"}
_THERE = {"NoSuchKey", "PreconditionFailed", "404", "412"}
"""Answers that only those get who have the right."""


@dataclass(frozen=True)
class Bucket:
    """A bucket, with somebody's key. ``call`` sends one request of S3's API."""

    name: str
    call: Callable[..., Any]


def open_probe(*, secrets: Secrets, project: Project, lanes: Mapping[str, Environment], root: Path) -> BucketProbe:
    """See ``ProbeOpener``."""
    del project, lanes, root  # buckets are named by config
    return BucketProbe(secrets)


@dataclass(frozen=True)
class BucketProbe:
    """Satisfies ``domain.isolation.Probe``."""

    secrets: Secrets
    _clients: dict[tuple[Any, ...], Callable[..., Any]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def holders(self, lane: Environment, connection: Connection) -> tuple[Holder, ...]:
        """The connection's key."""
        reference = connection.secrets.get("key")
        user = reference.text if reference else str(connection.fields.get("key") or "")
        return (Holder(Identity(lane.name, connection.name, "login", user), lane, connection),)

    def prove(self, holder: Holder) -> str:
        """One of its tries at its own bucket is let through."""
        if not holder.connection.secrets:
            return "the connection names no key and secret, so that whoever measures would be tried in its place"
        bucket = self._open(holder.lane, holder.connection, holder.connection)
        own = [_tried(partial(ask, bucket)) for ask in (_list, _read_absent, _write)]
        return "" if any(outcome is Outcome.ALLOWED for outcome, _ in own) else own[0][1]

    def attempts(self, holder: Holder, other: Environment) -> Iterator[Attempt]:
        """List, read, write and delete in each bucket of the other environment."""
        for place in (c for c in other.connections.values() if c.type == holder.connection.type):
            bucket = self._open(other, place, holder.connection)
            owner = self._open(other, place, place)
            name = f"s3://{bucket.name}"
            target = Target(other.name, "bucket", bucket.name)

            def tell(action: str, statement: str, ask: Callable[[], Any], target: Target = target) -> Attempt:
                outcome, answer = _tried(ask)
                return Attempt(holder.identity, target, action, statement, outcome, answer)

            if _lacking(owner):  # some servers make a bucket of whatever is written to
                yield tell("list", f"LIST {name} (1 key)", partial(_list, owner))
                continue
            yield tell("list", f"LIST {name} (1 key)", partial(_list, bucket))
            yield self._read(tell, bucket, owner)
            yield self._written(tell, bucket, owner)
            if _unversioned(owner):
                yield tell("delete", f"DELETE {name}/{{an absent key}} if its content is {_NO_CONTENT}",
                           partial(_delete, bucket))  # fmt: skip

    def overreach(self, holder: Holder) -> tuple[Attempt, ...]:
        """Nothing is forbidden at home."""
        del holder
        return ()

    def _read(self, tell: Callable[..., Attempt], bucket: Bucket, owner: Bucket) -> Attempt:
        """Some servers call an absent object forbidden to those who may read but not list: an object that is there is
        asked for by its head. Which one is nobody's business."""
        there = _one_key(owner)
        if there is None:
            return tell("read", f"GET s3://{bucket.name}/{{an absent key}}", lambda: _read_absent(bucket))
        return tell("read", f"HEAD s3://{bucket.name}/{{one of its objects}}",
                    lambda: bucket.call("head_object", Bucket=bucket.name, Key=there))  # fmt: skip

    def _written(self, tell: Callable[..., Attempt], bucket: Bucket, owner: Bucket) -> Attempt:
        made: list[str] = []
        statement = f"PUT s3://{bucket.name}/{{an absent key}} if its content is {_NO_CONTENT}"
        found = tell("write", statement, lambda: made.append(_write(bucket)))
        if made:  # the server knows no conditions
            for cleaner in (owner, bucket):
                with suppress(Exception):
                    cleaner.call("delete_object", Bucket=bucket.name, Key=made[0])
                    break
        return found

    def _open(self, lane: Environment, place: Connection, login: Connection) -> Bucket:
        """``place``'s server and bucket, with ``login``'s key."""
        client = {"endpoint_url": place.fields.get("endpoint"), "region_name": place.fields.get("region")}
        key = (*client.values(), login.name)
        with self._lock:  # a client takes half a second to make, and serves any number of threads
            if key not in self._clients:
                self._clients[key] = self._client(client, login)
        return Bucket(str(place.fields.get("bucket") or lane.settings.get("bucket") or ""), self._clients[key])

    def _client(self, client: Mapping[str, Any], login: Connection) -> Callable[..., Any]:
        try:
            import s3fs  # noqa: PLC0415 - an extra, and slow to load
        except ImportError:
            raise StoreUnavailable("the s3 extra is not installed", hint="pip install 'lanewise[s3]'") from None
        given = {name: self._value(login, name) for name in ("key", "secret", "token")}
        system = s3fs.S3FileSystem(
            **{name: value for name, value in given.items() if value}, skip_instance_cache=True,
            client_kwargs={name: value for name, value in client.items() if value},
            config_kwargs={"connect_timeout": 5, "read_timeout": 5, "retries": {"total_max_attempts": 1}},
        )  # fmt: skip
        call: Callable[..., Any] = system.call_s3
        return call

    def _value(self, connection: Connection, name: str) -> str:
        reference = connection.secrets.get(name)
        return self.secrets.resolve(reference) if reference else str(connection.fields.get(name) or "")


def _tried(ask: Callable[[], Any]) -> tuple[Outcome, str]:
    """What came of a request, in the server's words. The client wraps its own error into one of the system's."""
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - s3fs, botocore and aiohttp have no common ancestor
        response = getattr(error.__cause__ or error, "response", None)
        if not isinstance(response, Mapping):
            return Outcome.UNREACHABLE, f"no answer ({type(error).__name__})"
        said = response.get("Error", {})
        code = str(said.get("Code", ""))
        answer = f"{response.get('ResponseMetadata', {}).get('HTTPStatusCode', '')} {code}".strip()
        if code in _DENIED:
            return Outcome.DENIED, answer
        return (Outcome.ALLOWED if code in _THERE else Outcome.UNREACHABLE), answer
    return Outcome.ALLOWED, "accepted"


def _list(bucket: Bucket) -> Any:
    return bucket.call("list_objects_v2", Bucket=bucket.name, MaxKeys=1)


def _read_absent(bucket: Bucket) -> Any:
    return bucket.call("get_object", Bucket=bucket.name, Key=_absent())


def _write(bucket: Bucket) -> str:
    """The key, when against all promises an object was made of it."""
    key = _absent()
    bucket.call("put_object", Bucket=bucket.name, Key=key, Body=b"", IfMatch=_NO_CONTENT)
    return key


def _delete(bucket: Bucket) -> Any:
    return bucket.call("delete_object", Bucket=bucket.name, Key=_absent(), IfMatch=_NO_CONTENT)


def _lacking(owner: Bucket) -> bool:
    """Whether the bucket isn't there, as its owner is told."""
    outcome, answer = _tried(partial(_list, owner))
    return outcome is Outcome.UNREACHABLE and "NoSuchBucket" in answer


def _unversioned(owner: Bucket) -> bool:
    """Where versions are kept, deleting what is not there would leave a mark."""
    with suppress(Exception):
        return not owner.call("get_bucket_versioning", Bucket=owner.name).get("Status")
    return False


def _one_key(owner: Bucket) -> str | None:
    with suppress(Exception):
        found = owner.call("list_objects_v2", Bucket=owner.name, MaxKeys=1).get("Contents") or []
        return str(found[0]["Key"]) if found else None
    return None


def _absent() -> str:
    return f"lanewise-probe-{randomness.token_hex(8)}"
