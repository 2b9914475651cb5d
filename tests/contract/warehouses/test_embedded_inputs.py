from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.contract.warehouses.embedded_harness import EmbeddedHarness

from lanewise.domain.environment import Connection
from lanewise.domain.publication import InputPin
from lanewise.errors import GroundMoved, NotFound, WrongInput
from lanewise.testing.warehouse import D1, ORDERS, TOTALS, order, published, request

CSV = "id,amount\n1,2.5\n2,3.5\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "raw").mkdir(parents=True)
    return folder


@pytest.fixture
def harness(tmp_path: Path, data: Path) -> EmbeddedHarness:
    return EmbeddedHarness(tmp_path, Connection("src", "files", {"path": "data"}))


def handed(harness: EmbeddedHarness, pins: tuple[InputPin, ...]) -> dict[str, Any]:
    return harness.open().open_run(request([ORDERS], [D1]), [ORDERS], pins).engine["inputs"]


@pytest.mark.parametrize("place", ["raw/orders.csv", "raw.orders.csv"])
def test_a_csv_file_is_found_under_its_schema_or_flat(harness, data, place):
    (data / place).write_text(CSV)
    (pin,) = harness.open().pin(["raw.orders"])
    assert handed(harness, (pin,)) == {"raw.orders": {"kind": "files", "paths": [str(data / place)], "format": "csv"}}


def test_a_folder_of_parquet_files_is_one_input(harness, data):
    (data / "raw/orders").mkdir()
    for number in (2, 1):
        duckdb.sql(f"select {number} as id").write_parquet(str(data / f"raw/orders/{number}.parquet"))
    (pin,) = harness.open().pin(["raw.orders"])
    found = handed(harness, (pin,))["raw.orders"]
    assert found["paths"] == [str(data / "raw/orders/1.parquet"), str(data / "raw/orders/2.parquet")]
    assert found["format"] == "parquet"


def test_a_zipped_csv_is_unpacked_once_by_content(harness, data):
    def pack(text: str) -> None:
        with zipfile.ZipFile(data / "raw/orders.csv.zip", "w") as box:
            box.writestr("../../escape.csv", text)

    pack(CSV)
    first = handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]["paths"]
    assert Path(first[0]).read_text() == CSV
    assert Path(first[0]).is_relative_to(harness.root / ".lanewise")
    stamp = Path(first[0]).stat().st_mtime_ns
    assert handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]["paths"] == first
    assert Path(first[0]).stat().st_mtime_ns == stamp
    pack(CSV + "3,4.5\n")
    assert handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]["paths"] != first
    assert not list(harness.root.parent.glob("**/escape.csv"))


@pytest.mark.parametrize("content", [b"no zip", None])
def test_a_zip_that_holds_no_single_csv_is_wrong_input(harness, data, content):
    path = data / "raw/orders.csv.zip"
    if content is None:
        with zipfile.ZipFile(path, "w") as box:
            box.writestr("a.csv", CSV)
            box.writestr("b.csv", CSV)
    else:
        path.write_bytes(content)
    pins = harness.open().pin(["raw.orders"])
    with pytest.raises(WrongInput):
        handed(harness, pins)


def test_a_pin_changes_with_the_content_and_with_nothing_else(harness, data):
    file = data / "raw/orders.csv"
    file.write_text(CSV)
    long_ago = time.time() - 3600
    os.utime(file, (long_ago, long_ago))
    (pin,) = harness.open().pin(["raw.orders"])
    assert harness.open().pin(["raw.orders"]) == (pin,)
    os.utime(file, (long_ago - 9, long_ago - 9))
    assert harness.open().pin(["raw.orders"]) == (pin,)
    file.write_text(CSV.replace("2.5", "2.6"))
    assert harness.open().pin(["raw.orders"]) != (pin,)
    file.write_text(CSV.replace("2.5", "2.7"))  # the same size, in the same instant
    assert harness.open().pin(["raw.orders"]) != (pin,)


def test_an_input_that_changed_since_it_was_pinned_stops_the_run(harness, data):
    (data / "raw/orders.csv").write_text(CSV)
    pins = harness.open().pin(["raw.orders"])
    wanted = request([ORDERS], [D1])
    space = harness.open().open_run(wanted, [ORDERS], pins)
    harness.write(space, ORDERS, [order(D1, 1)])
    (data / "raw/orders.csv").write_text(CSV + "9,9\n")
    with pytest.raises(GroundMoved, match=r"raw\.orders has changed"):
        harness.open().stage(wanted, [ORDERS])
    with pytest.raises(GroundMoved):
        handed(harness, pins)


def test_a_missing_input_names_the_nearest(harness, data):
    (data / "raw/orders.csv").write_text(CSV)
    with pytest.raises(NotFound) as error:
        harness.open().pin(["raw.order"])
    assert "raw.orders" in error.value.hint


@pytest.mark.parametrize("name", ["../../etc/passwd", "raw..orders", "", "raw./etc/passwd", "raw.a\\b"])
def test_a_name_never_leaves_the_folder(harness, name):
    with pytest.raises((NotFound, WrongInput)):
        harness.open().pin([name])


def test_no_src_connection_or_one_of_another_kind_is_wrong_input(tmp_path):
    for source in (None, Connection("pg", "postgres", {"host": "x"}), Connection("src", "files", {})):
        with pytest.raises(WrongInput):
            EmbeddedHarness(tmp_path, source).open().pin(["raw.orders"])


def test_a_published_catalog_is_read_as_it_was_when_it_was_pinned(tmp_path):
    upstream = EmbeddedHarness(tmp_path / "up")
    (tmp_path / "down").mkdir()
    published(upstream, request([ORDERS, TOTALS], [D1]), [(ORDERS, [order(D1, 1)]), (TOTALS, [{"name": "a", "n": 1}])])
    down = EmbeddedHarness(
        tmp_path / "down", Connection("src", "duckdb", {"path": "../up/.lanewise/warehouse/prod.duckdb"})
    )
    (pin,) = down.open().pin(["shop.orders"])
    assert pin.release == "shop@1"
    published(upstream, request([TOTALS], [D1]), [(TOTALS, [{"name": "b", "n": 2}])])
    (same,) = down.open().pin(["shop.orders"])
    assert (same.digest, same.release) == (pin.digest, "shop@2")
    published(upstream, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), order(D1, 2)])])
    assert down.open().pin(["shop.orders"])[0].digest != pin.digest
    found = handed(down, (pin,))["shop.orders"]
    assert found["relation"] == "main.orders"
    with duckdb.connect(found["path"], read_only=True) as connection:
        assert connection.execute("select count(*) from main.orders").fetchone() == (1,)
    with pytest.raises(NotFound):
        down.open().pin(["shop.order"])


def test_tables_of_an_ordinary_duckdb_file_are_inputs_too(tmp_path):
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        connection.execute(
            "create schema raw; create table raw.orders as select 1 as id; create table plain as select 2"
        )
    harness = EmbeddedHarness(tmp_path, Connection("src", "duckdb", {"path": "own.duckdb"}))
    pins = harness.open().pin(["raw.orders", "plain"])
    assert {name: found["relation"] for name, found in handed(harness, pins).items()} == {
        "raw.orders": "raw.orders", "plain": "main.plain",
    }  # fmt: skip
    with pytest.raises(NotFound) as error:
        harness.open().pin(["raw.order"])
    assert "raw.orders" in error.value.hint


def test_a_run_is_handed_the_very_catalog_that_is_live_and_where_an_append_goes_on(tmp_path):
    from dataclasses import replace

    from lanewise.domain.project import TableKind

    harness = EmbeddedHarness(tmp_path)
    table = replace(ORDERS, kind=TableKind.APPEND, partition=None, offset="id")
    empty = harness.open().open_run(request([table], ["all"]), [table], ()).engine
    assert (empty["own"], empty["offsets"]) == ("", {})
    published(harness, request([table], ["all"]), [(table, [order(D1, 41), order(D1, 7)])])
    space = harness.open().open_run(request([table], ["all"]), [table], ()).engine
    assert space["offsets"] == {"orders": "41"}
    with duckdb.connect(space["own"], read_only=True) as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (2,)
    rebuilt = harness.open().open_run(request([table], ["all"], build="b"), [table], ()).engine
    assert rebuilt["offsets"] == {}


LARGE = "id,day,note,at\n" + "".join(
    f'{n},2024-01-{1 + n % 28:02},"a, b {n}",2024-01-01 10:{n % 60:02}:00\n' for n in range(40_000)
)


def rows_of(found: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Columns with types, and rows in order, as a run would read them."""
    reader = {"csv": "read_csv", "parquet": "read_parquet"}[found["format"]]
    with duckdb.connect() as connection:
        relation = connection.sql(f"from {reader}({found['paths']})")
        return [*zip(relation.columns, map(str, relation.types), strict=True)], relation.fetchall()


@pytest.mark.parametrize("zipped", [False, True])
def test_a_large_csv_is_handed_over_as_the_same_rows_in_parquet(harness, data, zipped):
    text = data / "raw/orders.csv"
    text.write_text(LARGE)
    expected = rows_of({"format": "csv", "paths": [str(text)]})
    if zipped:
        with zipfile.ZipFile(data / "raw/orders.csv.zip", "w") as box:
            box.write(text, "orders.csv")
        text.unlink()
    found = handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]
    assert found["format"] == "parquet"
    assert rows_of(found) == expected


def test_the_parquet_form_follows_the_content_of_the_text(harness, data):
    text = data / "raw/orders.csv"
    text.write_text(LARGE)
    first = handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]
    assert handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"] == first
    text.write_text(LARGE.replace("a, b 39999", "a, c 39999"))  # the same size, in the same instant
    second = handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]
    assert rows_of(second)[1][-1][2] == "a, c 39999"
    assert rows_of(first)[1][-1][2] == "a, b 39999"


def test_a_csv_that_does_not_parse_is_handed_over_as_it_is(harness, data):
    text = data / "raw/orders.csv"
    text.write_text(LARGE + "no number,x,y,z\n")
    found = handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]
    assert found == {"kind": "files", "paths": [str(text)], "format": "csv"}


def test_a_csv_is_handed_over_as_it_is_where_nothing_can_be_cached(harness, data, monkeypatch):
    text = data / "raw/orders.csv"
    text.write_text(LARGE)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lanewise.adapters.warehouses.embedded.columnar.sync_file", full)
    found = handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]
    assert found == {"kind": "files", "paths": [str(text)], "format": "csv"}
    assert not list((harness.root / ".lanewise").glob("cache/inputs/*"))


def test_a_form_that_nobody_asked_for_in_a_month_is_forgotten(harness, data):
    text = data / "raw/orders.csv"
    text.write_text(LARGE)
    first = Path(handed(harness, harness.open().pin(["raw.orders"]))["raw.orders"]["paths"][0])
    long_ago = time.time() - 31 * 24 * 3600
    os.utime(first, (long_ago, long_ago))
    handed(harness, harness.open().pin(["raw.orders"]))
    assert first.stat().st_mtime > long_ago + 9
    os.utime(first, (long_ago, long_ago))
    text.write_text(LARGE + "7,2024-01-01,x,2024-01-01 10:00:00\n")
    handed(harness, harness.open().pin(["raw.orders"]))
    assert not first.exists()
