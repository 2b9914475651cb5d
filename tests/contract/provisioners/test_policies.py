"""Rights for other tools: Vault's on a real OpenBao, buckets' and queues' by their documented shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from lanewise.adapters.provisioners.policies.bucket import bucket_policies
from lanewise.adapters.provisioners.policies.queue import queue_policies
from lanewise.adapters.provisioners.policies.vault import vault_policies
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.errors import ConfigError
from lanewise.testing.openbao import OpenBao, openbao
from lanewise.testing.seaweedfs import SeaweedFS, seaweedfs


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with openbao(tmp_path_factory.mktemp("bao")) as server:
        yield server


def lane(name: str, **more: Any) -> Environment:
    """A runner, a publisher and an operator with a secret each, and an API that runs use."""
    warehouse = Connection(
        "warehouse", "postgres", {"runner": "run", "publisher": "pub", "admin": "ops"},
        {f"{role}_password": SecretRef(f"vault:secret/data/{name}/{role}#password")
         for role in ("runner", "publisher", "admin")},
    )  # fmt: skip
    api = Connection("api", "http", {}, {"token": SecretRef(
        f"vault:secret/{name}/api?version=2#token", previous=f"vault:secret/{name}/old api#token")})  # fmt: skip
    settings = {"dst_conn": "warehouse", "api_conn": "api", "service_account": f"sa-{name}", **more}
    return Environment(name, 0, settings, {"warehouse": warehouse, "api": api})


def files(found: Environment) -> dict[str, str]:
    return {file.name: file.text for file in vault_policies(found, ())}


def token(bao: OpenBao, name: str, policy: str) -> str:
    role_id, secret_id = bao.role(name, policy)
    answer = bao.call("POST", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id}, token="")
    return str(answer["auth"]["client_token"])


def status(bao: OpenBao, method: str, path: str, held: str) -> int:
    try:
        bao.call(method, path, {"data": {"password": "x"}} if method == "POST" else None, token=held)
    except HTTPError as error:
        return error.code
    return 200


def test_each_role_reads_what_its_references_name_and_nothing_else(bao: OpenBao) -> None:
    paths = [
        f"{env}/{what}" for env in ("prod", "stage") for what in ("runner", "publisher", "admin", "api", "old api")
    ]
    for path in paths:
        bao.write(path.replace(" ", "%20"), password="x", token="y")
    allowed = {
        "runner": {"prod/runner", "prod/api", "prod/old api"},
        "publisher": {"prod/publisher"},
        "admin": {"prod/admin"},
    }
    rendered = files(lane("prod"))
    assert set(rendered) == {f"vault/prod-{role}.hcl" for role in allowed}
    for role, mine in allowed.items():
        held = token(bao, f"prod-{role}", rendered[f"vault/prod-{role}.hcl"])
        for path in paths:
            url = path.replace(" ", "%20")
            assert status(bao, "GET", f"secret/data/{url}", held) == (200 if path in mine else 403), (role, path)
            assert status(bao, "POST", f"secret/data/{url}", held) == 403
            assert status(bao, "GET", f"secret/metadata/{url}", held) == 403
        assert status(bao, "GET", "secret/metadata/prod?list=true", held) == 403


def test_a_path_that_a_policy_would_widen_is_refused() -> None:
    """In a policy ``+`` stands for any one part, and ``*`` at the end for any rest."""
    for path in ("secret/prod/*", "secret/+/api"):
        api = Connection("api", "http", {}, {"token": SecretRef(f"vault:{path}#token")})
        with pytest.raises(ConfigError, match="can't name this path alone"):
            vault_policies(Environment("prod", 0, {"dst_conn": "api"}, {"api": api}), ())


def test_an_environment_without_vault_references_needs_no_policy() -> None:
    api = Connection("api", "http", {}, {"token": SecretRef("env:TOKEN")})
    assert vault_policies(Environment("prod", 0, {"dst_conn": "api"}, {"api": api}), ()) == ()


def test_a_bucket_is_its_own_service_accounts_and_the_others_are_denied() -> None:
    (file,) = bucket_policies(lane("prod", bucket="s3://raw-prod/in/"), [lane("stage"), lane("dev")])
    assert file.name == "buckets/raw-prod-in.json"
    reads, lists, denied, unlisted = json.loads(file.text)["Statement"]
    assert reads["Principal"] == {"AWS": ["sa-prod"]}
    assert reads["Action"] == ["s3:GetObject", "s3:PutObject"]
    assert reads["Resource"] == ["arn:aws:s3:::raw-prod/in/*"]
    assert lists["Condition"] == {"StringLike": {"s3:prefix": ["in/*"]}}
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": ["sa-dev", "sa-stage"]})
    assert denied["Resource"] == ["arn:aws:s3:::raw-prod/in/*"]
    assert unlisted["Condition"] == {"StringLike": {"s3:prefix": ["", "in", "in/*"]}}


PEOPLE = {name: f"arn:aws:iam::000000000000:user/sa-{name}" for name in ("prod", "stage", "dev")}


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Dev's key may read every bucket by itself."""
    keys: dict[str, list[str]] = {"sa-prod": [], "sa-stage": [], "sa-dev": ["Read", "List", "Write"]}
    with seaweedfs(tmp_path_factory.mktemp("weed"), keys) as server:
        yield server


@pytest.mark.parametrize(("address", "reaches"), [("raw-{n}", {"in", "out"}), ("s3://raw-{n}/in", {"in"})])
def test_a_real_server_takes_the_buckets_policy_and_keeps_to_it(
    weed: SeaweedFS, address: str, reaches: set[str]
) -> None:
    bucket = f"raw-{len(reaches)}"
    root = weed.system()
    root.mkdir(bucket)
    for folder in ("in", "out"):
        root.pipe(f"{bucket}/{folder}/a", b"1")
    prod = lane("prod", bucket=address.format(n=len(reaches)), service_account=PEOPLE["prod"])
    others = [lane(name, service_account=PEOPLE[name]) for name in ("stage", "dev")]
    (file,) = bucket_policies(prod, others)
    assert "as an ARN" not in file.about
    root.call_s3("put_bucket_policy", Bucket=bucket, Policy=file.text)
    for folder in ("in", "out"):
        mine = folder in reaches
        for who, may in (("sa-prod", mine), ("sa-stage", False), ("sa-dev", not mine)):
            system = weed.system(who, f"{who}-secret")
            for tried in (
                lambda: system.cat(f"{bucket}/{folder}/a"),  # noqa: B023 - called at once
                lambda: system.ls(f"{bucket}/{folder}"),  # noqa: B023
                lambda: system.pipe(f"{bucket}/{folder}/{who}", b"2"),  # noqa: B023
            ):
                if may:
                    tried()
                else:
                    with pytest.raises(PermissionError):
                        tried()


def test_a_bucket_of_another_kind_or_of_nobody_has_no_policy() -> None:
    assert bucket_policies(lane("prod", bucket="gs://raw-prod"), ()) == ()
    assert bucket_policies(lane("prod", bucket="raw-prod", service_account=""), ()) == ()
    (file,) = bucket_policies(lane("prod", bucket="raw-prod"), ())
    assert [one["Effect"] for one in json.loads(file.text)["Statement"]] == ["Allow", "Allow"]


def queue(type_: str, **fields: str) -> str:
    found = Connection("events", type_, {"queue": "orders.in", **fields})
    there = Connection("events", type_, {"queue": "orders.in", "user": "run_stage"})
    one = Environment("prod", 0, {"events_conn": "events", "service_account": "sa-prod"}, {"events": found})
    other = Environment("stage", 1, {"events_conn": "events"}, {"events": there})
    return "".join(file.text for file in queue_policies(one, [other]))


def test_a_queue_gets_its_rights_in_its_brokers_words() -> None:
    allow, deny = json.loads(queue("sqs"))["Statement"]
    assert (allow["Principal"], deny["Principal"]) == ({"AWS": ["sa-prod"]}, {"AWS": ["run_stage"]})
    assert allow["Resource"] == deny["Resource"] == ["arn:aws:sqs:*:*:orders.in"]
    assert queue("rabbitmq", user="run", vhost="prod") == (
        r"rabbitmqctl set_permissions -p prod run '^$' '^(orders\.in|amq\.default)$' '^orders\.in$'" + "\n"
    )
    topic, group = queue("kafka", user="run", group="orders").splitlines()
    assert topic.endswith("--resource-pattern-type literal --topic orders.in --operation Read --operation Write "
                          "--operation Describe")  # fmt: skip
    assert "User:run" in group
    assert "--group orders --operation Read" in group
    assert queue("http") == ""


def test_the_files_name_nothing_outside_of_their_folder(tmp_path: Path) -> None:
    from lanewise.service.provision import write_files

    found = [*vault_policies(lane("prod"), ()), *bucket_policies(lane("prod", bucket="raw/../../x"), ())]
    for written in write_files(found, tmp_path / "out"):
        assert written.resolve().is_relative_to((tmp_path / "out").resolve())
        assert written.read_text()
