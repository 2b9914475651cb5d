"""One environment's key at another's bucket, on a real SeaweedFS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.probes.walls import Shop, holes, told
from tests.contract.warehouses.provisioned import Passwords

from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.isolation import Outcome
from lanewise.testing.seaweedfs import SeaweedFS, seaweedfs

KEYS = {
    "dev": ["Read:raw-dev", "Write:raw-dev", "List:raw-dev"],
    "prod": ["Read:raw-prod", "Write:raw-prod", "List:raw-prod"],
    "nosy": ["Read:raw-dev", "Write:raw-dev", "List:raw-dev", "Read:raw-prod"],
    "wide": ["Read", "Write", "List"],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs"), KEYS) as server:
        root = server.system()
        for name in ("raw-dev", "raw-prod"):
            root.call_s3("create_bucket", Bucket=name)
            root.call_s3("put_object", Bucket=name, Key="2026/orders.csv", Body=b"id\n1\n")
        yield server


def lane(store: SeaweedFS, name: str, key: str = "", **fields: str) -> Environment:
    key = key or name
    connection = Connection(
        f"lake_{name}", "s3", {"endpoint": store.endpoint, "region": "us-east-1", "key": key, **fields},
        {"secret": SecretRef(f"env:{key}")},
    )  # fmt: skip
    settings: dict[str, Any] = {"lake_conn": connection.name, "bucket": f"raw-{name}", "dst_conn": connection.name}
    return Environment(name, 0, settings, {connection.name: connection})


def shop(*lanes: Environment) -> Shop:
    return Shop({one.name: one for one in lanes}, Passwords())


def content(store: SeaweedFS) -> list[Any]:
    root = store.system()
    return [
        [
            (o["Key"], o["ETag"], str(o["LastModified"]))
            for o in root.call_s3("list_objects_v2", Bucket=name)["Contents"]
        ]
        for name in ("raw-dev", "raw-prod")
    ]


def test_a_key_of_one_environment_is_refused_at_anothers_bucket_and_nothing_is_left_there(store: SeaweedFS):
    before = content(store)
    found = shop(lane(store, "dev"), lane(store, "prod")).measure()
    assert found.whole, told(found.attempts)
    assert {a.action for a in found.attempts} == {"list", "read", "write", "delete"}
    assert {a.answer for a in found.attempts} == {"403 AccessDenied", "403 403"}
    assert content(store) == before


def test_a_policy_that_is_too_wide_is_found_and_uses_its_rights_on_nothing(store: SeaweedFS):
    before = content(store)
    found = shop(lane(store, "dev", "wide"), lane(store, "prod")).measure()
    assert holes(found) == {
        ("dev login", action, "bucket", "raw-prod") for action in ("list", "read", "write", "delete")
    }
    assert not found.of(Outcome.UNREACHABLE)
    assert content(store) == before


def test_a_right_to_read_alone_is_found(store: SeaweedFS):
    found = shop(lane(store, "dev", "nosy"), lane(store, "prod")).measure()
    assert holes(found) == {("dev login", "read", "bucket", "raw-prod")}


def test_no_delete_is_tried_where_versions_are_kept(store: SeaweedFS):
    root = store.system()
    root.call_s3("create_bucket", Bucket="kept")
    root.call_s3("put_bucket_versioning", Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    kept = lane(store, "prod", "wide", bucket="kept")
    found = shop(lane(store, "dev", "wide"), kept).measure()
    tried = {a.action for a in found.attempts if a.target.name == "kept"}
    assert tried == {"list", "read", "write"}
    assert not root.call_s3("list_object_versions", Bucket="kept").get("Versions")
    assert not root.call_s3("list_object_versions", Bucket="kept").get("DeleteMarkers")


def test_a_wrong_secret_is_refused_everywhere_and_proves_nothing(store: SeaweedFS):
    dev = lane(store, "dev")
    wrong = replace(dev.connection("dst"), secrets={"secret": SecretRef("env:other")})
    found = shop(replace(dev, connections={wrong.name: wrong}), lane(store, "prod")).measure()
    silent = found.of(Outcome.UNREACHABLE)
    assert [a.identity.environment for a in silent] == ["dev"]
    assert "403 SignatureDoesNotMatch" in silent[0].answer


def test_a_bucket_that_is_not_there_and_a_server_that_is_away_are_doubt(store: SeaweedFS):
    nowhere = shop(lane(store, "dev", "wide"), lane(store, "prod", "wide", bucket="absent")).measure()
    assert {a.outcome for a in nowhere.attempts if a.identity.environment == "dev"} == {Outcome.UNREACHABLE}
    away = shop(lane(store, "dev"), lane(store, "prod", endpoint="http://127.0.0.1:1")).measure()
    assert {a.outcome for a in away.attempts if a.identity.environment == "dev"} == {Outcome.UNREACHABLE}
