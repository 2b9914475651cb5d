"""Policies of S3 buckets: an environment's service account reads and writes its own, and the others are denied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.domain.environment import Environment
from lanewise.domain.provision import PolicyFile


@dataclass(frozen=True)
class _Bucket:
    """``prefix`` is "" or ends in a slash."""

    name: str
    prefix: str = ""

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"

    @property
    def objects(self) -> str:
        return f"{self.arn}/{self.prefix}*"


def bucket_policies(lane: Environment, others: Sequence[Environment]) -> tuple[PolicyFile, ...]:
    """One file a bucket of the environment, where its setting ``service_account`` says who uses it."""
    account = lane.settings.get("service_account")
    if not isinstance(account, str) or not account:
        return ()
    denied = sorted({
        str(other.settings["service_account"]) for other in others if other.settings.get("service_account")
    } - {account})  # fmt: skip
    return tuple(
        PolicyFile(
            f"buckets/{bucket.name}{'-' + bucket.prefix.strip('/').replace('/', '-') if bucket.prefix else ''}.json",
            json.dumps(_policy(bucket, account, denied), indent=2) + "\n",
            _about(bucket, [account, *denied]),
        )
        for bucket in dict.fromkeys(_buckets(lane))
    )  # fmt: skip


def _about(bucket: _Bucket, principals: Sequence[str]) -> str:
    bare = [name for name in principals if not name.startswith("arn:")]
    tail = f"; first write {', '.join(bare)} as an ARN: a policy knows no other name" if bare else ""
    return f"aws s3api put-bucket-policy --bucket {bucket.name} --policy file://…{tail}"


def _buckets(lane: Environment) -> Iterator[_Bucket]:
    wanted = [lane.settings.get("bucket"), *(found.fields.get("bucket") for found in lane.connections.values())]
    for text in wanted:
        if isinstance(text, str) and text and (found := _parsed(text)):
            yield found


def _parsed(text: str) -> _Bucket | None:
    """``name``, or ``s3://name/prefix``. None for other stores' addresses."""
    scheme, is_url, rest = text.partition("://")
    if is_url and scheme not in {"s3", "s3a"}:
        return None
    name, _, prefix = (rest if is_url else text).partition("/")
    return _Bucket(name, f"{prefix.strip('/')}/" if prefix.strip("/") else "")


def _policy(bucket: _Bucket, account: str, denied: Sequence[str]) -> dict[str, Any]:
    mine: dict[str, Any] = {"AWS": [account]}
    listing: dict[str, Any] = {
        "Sid": "LaneLists", "Effect": "Allow", "Principal": mine, "Action": ["s3:ListBucket"], "Resource": [bucket.arn],
    }  # fmt: skip
    if bucket.prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{bucket.prefix}*"]}}
    statements = [
        {"Sid": "LaneReadsAndWrites", "Effect": "Allow", "Principal": mine,
         "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [bucket.objects]},
        listing,
    ]  # fmt: skip
    if denied:
        held = [bucket.objects] if bucket.prefix else [bucket.arn, bucket.objects]
        statements.append({"Sid": "OtherLanesDoNot", "Effect": "Deny", "Principal": {"AWS": list(denied)},
                           "Action": ["s3:*"], "Resource": held})  # fmt: skip
    if denied and bucket.prefix:  # whoever lists the bucket as a whole would see the names in it
        inside = {"StringLike": {"s3:prefix": ["", bucket.prefix.rstrip("/"), f"{bucket.prefix}*"]}}
        statements.append({"Sid": "OtherLanesDoNotList", "Effect": "Deny", "Principal": {"AWS": list(denied)},
                           "Action": ["s3:ListBucket"], "Resource": [bucket.arn], "Condition": inside})  # fmt: skip
    return {"Version": "2012-10-17", "Statement": statements}
