"""One environment's login to the secret store, on another's paths, on a real OpenBao."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.contract.probes.walls import Shop, holes, told
from tests.contract.warehouses.provisioned import Passwords

from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.isolation import Outcome
from lanewise.testing.openbao import OpenBao, openbao


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with openbao(tmp_path_factory.mktemp("openbao")) as server:
        for name in ("dev", "prod"):
            server.write(f"{name}/postgres", password=f"{name}-hunter2")
        yield server


def policy(*paths: str, may: str = "read") -> str:
    return "".join(f'path "{path}" {{ capabilities = [{may!r}] }}\n'.replace("'", '"') for path in paths)


def lane(bao: OpenBao, secrets: Passwords, name: str, rules: str) -> Environment:
    role, secret = bao.role(f"{name}-{len(secrets.values)}", rules)
    secrets.values[f"secret-id-{name}"] = secret
    store = Connection(f"bao_{name}", "openbao", {"address": bao.address, "role_id": role},
                       {"secret_id": SecretRef(f"env:secret-id-{name}")})  # fmt: skip
    # Of a type that nothing logs in to: what is looked at are the paths of its references.
    other = Connection(
        f"warehouse_{name}", "duckdb", {}, {"password": SecretRef(f"vault:secret/{name}/postgres#password")}
    )
    settings = {"dst_conn": store.name, "other_conn": other.name}
    return Environment(name, 0, settings, {store.name: store, other.name: other})


def shop(bao: OpenBao, dev: str, prod: str = "") -> Shop:
    secrets = Passwords()
    rules = {"dev": dev, "prod": prod or policy("secret/data/prod/*")}
    return Shop({name: lane(bao, secrets, name, rules[name]) for name in rules}, secrets)


def test_a_policy_of_its_own_paths_alone_walls_off(bao: OpenBao):
    found = shop(bao, policy("secret/data/dev/*")).measure()
    of_store = [a for a in found.attempts if a.identity.connection.startswith("bao")]
    assert {a.outcome for a in of_store} == {Outcome.DENIED}, told(of_store)
    assert {(a.action, a.target.name) for a in of_store if a.identity.environment == "dev"} == {
        ("read", "secret/data/prod/postgres"), ("read", "secret/prod/postgres"), ("write", "secret/data/prod/postgres"),
    }  # fmt: skip
    assert {a.answer for a in of_store} == {"status 403"}


def test_a_policy_that_reads_anothers_secret_is_found_and_no_value_is_kept(bao: OpenBao):
    place = shop(bao, policy("secret/data/*"))
    found = place.measure()
    assert holes(found) == {("dev login", "read", "secret", "secret/data/prod/postgres")}
    assert "hunter2" not in str(found)
    assert "hunter2" not in str([event.data for event in place.ledger.events()])


def test_a_policy_that_writes_is_found_and_nothing_is_written(bao: OpenBao):
    rules = policy("secret/data/dev/*") + policy("secret/data/prod/*", may="update")
    before = bao.call("GET", "secret/metadata/prod/postgres")["data"]["current_version"]
    found = shop(bao, rules).measure()
    assert holes(found) == {("dev login", "write", "secret", "secret/data/prod/postgres")}
    assert {a.answer for a in found.of(Outcome.ALLOWED)} == {"status 400"}
    after = bao.call("GET", "secret/metadata/prod/postgres")["data"]["current_version"]
    assert after == before


def test_a_login_that_reads_nothing_of_its_own_proves_nothing(bao: OpenBao):
    found = shop(bao, policy("secret/data/nothing")).measure()
    silent = [a for a in found.of(Outcome.UNREACHABLE) if a.identity.connection == "bao_dev"]
    assert "it reads none of its own secrets" in silent[0].answer


def test_a_secret_id_that_is_wrong_and_a_server_that_is_away_are_doubt(bao: OpenBao):
    place = shop(bao, policy("secret/data/dev/*"))
    place.secrets.values["secret-id-dev"] = "wrong"  # type: ignore[attr-defined]
    found = place.measure()
    assert {a.outcome for a in found.attempts if a.identity.connection == "bao_dev"} == {Outcome.UNREACHABLE}
    place = shop(bao, policy("secret/data/dev/*"))
    dev = place.environments["dev"]
    away = replace(
        dev.connections["bao_dev"], fields={**dev.connections["bao_dev"].fields, "address": "http://127.0.0.1:1"}
    )
    place.environments = {**place.environments, "dev": replace(dev, connections={**dev.connections, away.name: away})}
    found = place.measure()
    assert {a.outcome for a in found.attempts if a.identity.connection == "bao_dev"} == {Outcome.UNREACHABLE}


def test_tokens_are_given_back(bao: OpenBao):
    before = len(bao.call("LIST", "auth/token/accessors")["data"]["keys"])
    rules = policy("secret/data/dev/*") + policy("auth/token/revoke-self", may="update")
    theirs = policy("secret/data/prod/*") + policy("auth/token/revoke-self", may="update")
    shop(bao, rules, theirs).measure()
    assert len(bao.call("LIST", "auth/token/accessors")["data"]["keys"]) == before
