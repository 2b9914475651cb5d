"""The whole road on a ledger on PostgreSQL, typed as a role that can only append to it; and a second machine's view."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanewise.adapters.ledgers import provision
from lanewise.testing.postgres import Server

from .road import ENVIRONMENTS, SCRIPT, lane, seen, write_project

PASSWORD = "a-word-of-the-shared-ledger"


@pytest.fixture
def database(postgres15: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database with the ledger in it, made by an operator; promoters log in as ``promoter``."""
    name = postgres15.database()
    with postgres15.connect(name) as operator, operator.transaction():
        operator.execute("drop role if exists promoter")
        operator.execute(f"create role promoter login password '{PASSWORD}'")
        for statement in (*provision.make("shop"), *provision.grants("shop", writers=["promoter"])):
            operator.execute(statement)  # type: ignore[call-overload]
    monkeypatch.setenv("LEDGER_PASSWORD", PASSWORD)
    yield name
    with postgres15.connect() as operator:
        operator.execute(f"drop database {name} with (force)")
        operator.execute("drop role promoter")


@pytest.fixture
def url(postgres15: Server, database: str) -> str:
    where = f"127.0.0.1:{postgres15.port}/{database}"
    return f"postgresql://promoter@{where}?schema=shop&password=env:LEDGER_PASSWORD"


def made(root: Path, name: str) -> str:
    (root / "pipelines" / "orders.sh").write_text(SCRIPT.replace("@BUILD@", name))
    digest: str = lane(root, "build", "--format", "json").data["digest"]
    return digest


@pytest.fixture
def root(tmp_path: Path, url: str) -> Path:
    """v1, then v2 is live."""
    root = write_project(tmp_path / "orders", f'ledger: "{url}"\n{ENVIRONMENTS}')
    for name in ("v1", "v2"):
        said = lane(root, "promote", made(root, name), "--to", "prod")
        assert said.code == 0, said.err
    return root


def test_the_whole_road(root: Path):
    assert set(seen(root).values()) == {"v2"}
    (prod,) = lane(root, "status", "--format", "json").data["lanes"]
    assert prod["environment"] == "prod"
    assert lane(root, "verify").code == 0
    said = lane(root, "rollback", "prod")
    assert said.code == 0, said.err
    assert set(seen(root).values()) == {"v1"}
    said = lane(root, "verify")
    assert said.code == 0, said.err
    assert not (root / ".lanewise" / "ledger.db").exists()
    everything = "".join(file.read_text(errors="replace") for file in root.rglob("*") if file.is_file())
    assert PASSWORD not in everything


def test_a_second_machine_takes_the_ledger_as_it_is_and_both_verify(root: Path, tmp_path: Path):
    """It shares what a team shares beside the ledger: here the folders of the warehouse and of the builds."""
    second = tmp_path / "second" / "orders"
    shutil.copytree(root, second, ignore=shutil.ignore_patterns(".lanewise"))
    (second / ".lanewise").mkdir()
    for shared in ("warehouse", "builds"):
        (second / ".lanewise" / shared).symlink_to(root / ".lanewise" / shared)
    assert lane(second, "history", "--format", "json").data == lane(root, "history", "--format", "json").data
    said = lane(second, "verify")
    assert said.code == 0, said.err
    kept = json.loads((second / ".lanewise" / "home.json").read_text())
    assert kept["first_event"] == json.loads((root / ".lanewise" / "home.json").read_text())["first_event"]
    said = lane(second, "promote", made(second, "v3"), "--to", "prod")
    assert said.code == 0, said.err
    assert lane(second, "verify").code == 0
    assert set(seen(root).values()) == {"v3"}
    said = lane(root, "verify")
    assert said.code == 0, said.err


def test_a_history_that_a_superuser_cut_off_shows(root: Path, postgres15: Server, database: str):
    with postgres15.connect(database) as operator:
        operator.execute("alter table shop.events disable trigger all")
        operator.execute("delete from shop.events where seq > 10")
        operator.execute("alter table shop.events enable always trigger events_never_change")
    said = lane(root, "verify")
    assert said.code == 1
    assert "cut off" in said.err


def test_a_history_that_a_superuser_edited_shows(root: Path, postgres15: Server, database: str):
    with postgres15.connect(database) as operator:
        operator.execute("alter table shop.events disable trigger all")
        operator.execute("update shop.events set actor = 'eve' where seq = 3")
    said = lane(root, "verify")
    assert said.code == 1
    assert "the content of event 3 does not have its hash" in said.err


def test_a_ledger_that_is_away_stops_a_promotion_in_clear_words(root: Path, postgres15: Server, url: str):
    digest = made(root, "v3")
    postgres15.stop("fast")
    try:
        said = lane(root, "promote", digest, "--to", "prod")
        assert said.code == 3
        assert "can't be reached" in said.err
        assert PASSWORD not in said.err + said.out
    finally:
        postgres15.start()
    assert set(seen(root).values()) == {"v2"}
    said = lane(root, "promote", digest, "--to", "prod")
    assert said.code == 0, said.err
