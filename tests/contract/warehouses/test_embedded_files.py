from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from tests.contract.warehouses.embedded_harness import EmbeddedHarness

from lanewise.domain.project import Check, Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import PartitionMap
from lanewise.errors import LaneError, NotFound, Refused, RunFailed, WarehouseUnavailable, WrongInput
from lanewise.testing.warehouse import D1, D2, ORDERS, TOTALS, order, published, request, staged, with_slices

HOSTILE = (
    "NULL",
    "__HIVE_DEFAULT_PARTITION__",
    "",
    "a/b",
    "..",
    "x=y",
    "a%20b",
    "ü 'q\"",
    "a\nb",
    "EU",
    "eu",
    "*",
    "[a]",
)


@pytest.fixture
def harness(tmp_path: Path) -> EmbeddedHarness:
    return EmbeddedHarness(tmp_path)


def by_value(column: str = "region", name: str = "sales") -> Table:
    columns = (Column(column, "VARCHAR"), Column("n", "INTEGER"))
    return Table(name, TableKind.PARTITION, PartitionSpec(column, Grain.VALUE), columns=columns)


@pytest.mark.parametrize("column", ["region", 're"gi/on', "order date"])
@pytest.mark.parametrize("name", ["sales", 'a"b/../c', "select", "_lanewise", "ta.ble"])
def test_hostile_partitions_columns_and_tables_read_back(harness, column, name):
    table = by_value(column, name)
    rows = [{column: value, "n": number} for number, value in enumerate(HOSTILE)]
    published(harness, request([table], HOSTILE), [(table, rows)])
    assert dict(harness.read(name)) == {value: number for number, value in enumerate(HOSTILE)}
    live = harness.open().live().tables[name]
    assert set(live.slices) == set(HOSTILE)
    quoted, of = name.replace('"', '""'), column.replace('"', '""')
    with duckdb.connect(str(harness.open().layout.link), read_only=True) as connection:
        for number, value in enumerate(HOSTILE):
            found = connection.execute(f'select n from "{quoted}" where "{of}" = ?', [value]).fetchall()
            assert found == [(number,)], value
    for slices in live.slices.values():
        assert (harness.open().layout.root / slices[0].location).resolve().is_relative_to(harness.root)


@pytest.mark.parametrize(
    ("type_", "grain", "partition", "values"),
    [
        ("INTEGER", Grain.VALUE, "5", ["5"]),
        ("BOOLEAN", Grain.VALUE, "true", ["true"]),
        ("TIMESTAMP", Grain.HOUR, "2024-01-01T07", ["2024-01-01 07:00:00", "2024-01-01 07:59:59.999999"]),
        ("TIMESTAMP", Grain.DAY, "2024-01-01", ["2024-01-01 00:00:00", "2024-01-01 23:59:59"]),
        ("DATE", Grain.MONTH, "2024-01", ["2024-01-01", "2024-01-31"]),
        ("DATE", Grain.YEAR, "2024", ["2024-01-01", "2024-12-31"]),
        ("TIMESTAMPTZ", Grain.DAY, "2024-01-01", ["2024-01-01 05:00:00+00", "2024-01-02 04:59:59+00"]),
    ],
)
def test_every_grain_cuts_in_the_tables_own_zone(harness, type_, grain, partition, values):
    table = Table("t", TableKind.PARTITION, PartitionSpec("c", grain, "America/New_York"),
                  columns=(Column("c", type_),))  # fmt: skip
    published(harness, request([table], [partition]), [(table, [{"c": v} for v in values])])
    with duckdb.connect(str(harness.open().layout.link), read_only=True) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (len(values),)
        described = connection.execute("describe t").fetchall()
    assert [row[0] for row in described] == ["c"]


def test_a_day_query_opens_one_file_of_many(harness):
    days = [f"2024-01-{n:02}" for n in range(1, 31)]
    published(harness, request([ORDERS], days), [(ORDERS, [order(d, n) for n, d in enumerate(days)])])
    with duckdb.connect(str(harness.open().layout.link), read_only=True) as connection:
        plan = connection.execute("explain analyze select sum(amount) from orders where day = '2024-01-07'").fetchall()
    assert "1/30" in plan[0][1]


def test_a_project_below_a_folder_that_looks_like_a_partition_reads_its_own_values(tmp_path):
    harness = EmbeddedHarness(tmp_path / "region=EU")
    table = by_value()
    published(harness, request([table], ["US", "EU"]), [(table, [{"region": "US", "n": 1}])])
    assert harness.read("sales") == [("US", 1)]


def test_labels_are_visible_to_readers(harness):
    target = published(harness, request([ORDERS], [D1, D2], run="r1"), [(ORDERS, [order(D1, 1)])])
    with duckdb.connect(str(harness.open().layout.link), read_only=True) as connection:
        rows = connection.execute(
            "select table_name, partition, build, run, rows, len(files) from lanewise.partition_map order by partition"
        ).fetchall()
        release = connection.execute("select * from lanewise.release").fetchall()
    assert rows == [("orders", D1, target.build, "r1", 1, 1), ("orders", D2, target.build, "r1", 0, 0)]
    assert release == [("shop", 1, target.build, "sha256:c")]


def test_a_value_that_does_not_fit_its_declared_type_names_the_column(harness):
    loose = replace(ORDERS, columns=(ORDERS.columns[0], ORDERS.columns[1], Column("amount", "VARCHAR")))
    warehouse, wanted = harness.open(), request([ORDERS], [D1])
    space = warehouse.open_run(wanted, [ORDERS], ())
    harness.write(space, loose, [{"day": D1, "id": 1, "amount": "secret"}, {"day": D1, "id": 2, "amount": "2.5"}])
    with pytest.raises(RunFailed, match=r"orders\.amount: 1 values are no DECIMAL\(18,2\)") as error:
        warehouse.stage(wanted, [ORDERS])
    assert "secret" not in str(error.value)


def test_undeclared_and_missing_columns_are_refused_only_where_columns_are_declared(harness):
    wider = replace(ORDERS, columns=(*ORDERS.columns, Column("extra", "INTEGER")))
    for declared, written in ((ORDERS, wider), (wider, ORDERS)):
        warehouse, wanted = harness.open(), request([declared], [D1])
        space = warehouse.open_run(wanted, [declared], ())
        harness.write(space, written, [{**order(D1, 1), "extra": 1}])
        with pytest.raises(RunFailed, match="extra"):
            warehouse.stage(wanted, [declared])
    free = replace(ORDERS, columns=())
    wanted = request([free], [D1])
    harness.write(harness.open().open_run(wanted, [free], ()), wider, [{**order(D1, 1), "extra": 1}])
    slices = harness.open().stage(wanted, [free])["orders"]
    assert [c.name for c in harness.open().columns(slices)] == ["day", "id", "amount", "extra"]


def test_a_null_where_none_may_be_is_refused(harness):
    strict = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "DECIMAL(18,2)", nullable=False)))
    with pytest.raises(RunFailed, match="amount may not be NULL"):
        staged(harness, request([strict], [D1]), [(strict, [order(D1, 1, None)])])


def test_an_undeclared_column_keeps_its_live_type_where_that_holds_the_values(harness):
    def write(kind: str, value: object, build: str) -> tuple[Column, ...]:
        free = Table("t")
        shaped = replace(free, columns=(Column("a", kind),))
        wanted = request([free], ["all"], build=build)
        harness.write(harness.open().open_run(wanted, [free], ()), shaped, [{"a": value}])
        slices = harness.open().stage(wanted, [free])
        target = with_slices(harness.open(), harness.open().live(), [free], slices)
        harness.open().prepare(target)
        harness.open().publish(target, base=target.number - 1, fence=1)
        return harness.open().columns(slices["t"])

    assert write("BIGINT", 1, "a") == (Column("a", "BIGINT"),)
    assert write("INTEGER", 2, "b") == (Column("a", "BIGINT"),)
    assert write("VARCHAR", None, "c") == (Column("a", "BIGINT"),)
    assert write("VARCHAR", "x", "d") == (Column("a", "VARCHAR"),)


def test_a_view_that_would_fail_on_an_old_value_is_refused_before_anybody_reads_it(harness):
    text = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "VARCHAR")))
    wanted = request([text], [D1])
    harness.write(harness.open().open_run(wanted, [text], ()), text, [{"day": D1, "id": 1, "amount": "much"}])
    first = with_slices(harness.open(), harness.open().live(), [text], harness.open().stage(wanted, [text]))
    harness.open().prepare(first)
    harness.open().publish(first, base=0, fence=1)
    with pytest.raises(Refused, match=r"orders\.amount: 1 published values are no DECIMAL"):
        published(harness, request([ORDERS], [D2], build="b"), [(ORDERS, [order(D2, 2)])])
    assert harness.open().pointer().number == 1
    assert len(harness.read("orders")) == 1


def test_a_broken_off_block_leaves_nothing_to_stage(harness):
    warehouse, wanted = harness.open(), request([ORDERS], [D1])
    space = warehouse.open_run(wanted, [ORDERS], ())
    harness.write(space, ORDERS, [order(D1, 1)])
    blocks = Path(space.engine["directory"]) / "blocks"
    blocks.mkdir()
    (blocks / "7-0.open").touch()
    with pytest.raises(RunFailed, match="broken off"):
        warehouse.stage(wanted, [ORDERS])


def test_a_csv_file_loses_no_digit_of_what_is_declared(harness):
    table = replace(ORDERS, kind=TableKind.FULL, partition=None, key=(),
                    columns=(Column("code", "VARCHAR"), Column("amount", "DECIMAL(38,9)")))  # fmt: skip
    wanted = request([table], ["all"])
    space = harness.open().open_run(wanted, [table], ())
    file = Path(space.engine["outputs"]["orders"]["file"]).with_suffix(".csv")
    file.write_text("CODE,amount\n007,12345678901234567890.123456789\n")
    slices = harness.open().stage(wanted, [table])["orders"]
    with duckdb.connect() as connection:
        query = f"from read_parquet('{harness.open().layout.root / slices[0].location}')"
        assert connection.execute(query).fetchall() == [("007", Decimal("12345678901234567890.123456789"))]


def test_outputs_may_be_csv_or_a_folder_of_parquet_files(harness):
    warehouse, wanted = harness.open(), request([ORDERS, TOTALS], [D1])
    space = warehouse.open_run(wanted, [ORDERS, TOTALS], ())
    outputs = Path(space.engine["directory"]) / "outputs"
    (outputs / "totals.csv").write_text("name,n\nall,3\n")
    (outputs / "orders").mkdir()
    for number in (1, 2):
        with duckdb.connect() as connection:
            connection.execute(f"copy (select date '{D1}' as day, {number} as id, 1.5 as amount) "
                               f"to '{outputs}/orders/part-{number}.parquet'")  # fmt: skip
    slices = warehouse.stage(wanted, [ORDERS, TOTALS])
    assert [s.rows for s in (*slices["orders"], *slices["totals"])] == [2, 1]


def test_garbage_as_output_is_the_runs_failure(harness):
    warehouse, wanted = harness.open(), request([ORDERS], [D1])
    space = warehouse.open_run(wanted, [ORDERS], ())
    Path(space.engine["outputs"]["orders"]["file"]).write_bytes(b"no parquet")
    with pytest.raises(RunFailed, match="orders can't be read"):
        warehouse.stage(wanted, [ORDERS])


def test_a_check_that_does_not_count_is_an_error(harness):
    slices = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])["orders"]
    for query in (
        "select null from {table}",
        "select 'x'",
        "select 1 where false",
        "selec",
        "select nope from {table}",
    ):
        with pytest.raises(WrongInput):
            harness.open().evaluate(ORDERS, [Check("s", "sql", {"query": query})], slices)


def test_floats_that_differ_in_the_order_of_their_sum_are_equal(harness):
    table = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "DOUBLE")))
    values = [(0.1 + 0.2, 0.3), (1e15 + 0.3, 1e15 + 0.25), (-0.0, 0.0), (float("nan"), float("nan")), (1e-320, 1e-320)]
    sides = [[{"day": D1, "id": n, "amount": pair[side]} for n, pair in enumerate(values)] for side in (0, 1)]
    old = staged(harness, request([table], [D1]), [(table, sides[0])])["orders"]
    new = staged(harness, request([table], [D1], build="b"), [(table, sides[1])])["orders"]
    assert harness.open().compare(table, old, new).partitions[0].keys_changed == 0
    far = [{**row, "amount": 0.3001 if row["id"] == 0 else row["amount"]} for row in sides[0]]
    other = staged(harness, request([table], [D1], build="c"), [(table, far)])["orders"]
    assert harness.open().compare(table, old, other).partitions[0].keys_changed == 1


def test_retyped_added_and_dropped_columns_are_told(harness):
    retyped = replace(ORDERS, columns=(ORDERS.columns[0], Column("id", "INTEGER"), Column("note", "VARCHAR")))
    old = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])["orders"]
    new = staged(harness, request([retyped], [D1], build="b"), [(retyped, [{"day": D1, "id": 1, "note": "x"}])])[
        "orders"
    ]
    found = harness.open().compare(ORDERS, old, new)
    assert found.retyped == {"id": ("BIGINT", "INTEGER")}
    assert [c.name for c in found.columns_old] == ["day", "id", "amount"]
    assert [c.name for c in found.columns_new] == ["day", "id", "note"]
    assert found.partitions[0].same


def test_partitions_that_only_one_side_has_are_all_added_or_removed(harness):
    old = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), order(D1, 2)])])["orders"]
    new = staged(harness, request([ORDERS], [D2], build="b"), [(ORDERS, [order(D2, 3)])])["orders"]
    first, second = harness.open().compare(ORDERS, old, new).partitions
    assert (first.keys_removed, first.keys_added, first.rows_new) == (2, 0, 0)
    assert (second.keys_removed, second.keys_added, second.rows_old) == (0, 1, 0)


def test_null_keys_are_counted_and_not_joined(harness):
    rows = [order(D1, 1), {**order(D1, 2), "id": None}, {**order(D1, 2), "id": None}]
    old = staged(harness, request([ORDERS], [D1]), [(ORDERS, rows[:1])])["orders"]
    new = staged(harness, request([ORDERS], [D1], build="b"), [(ORDERS, rows)])["orders"]
    found = harness.open().compare(ORDERS, old, new).partitions[0]
    assert (found.null_keys_old, found.null_keys_new, found.keys_added, found.keys_changed) == (0, 2, 0, 0)


def test_two_projects_do_not_share_a_warehouse_folder(tmp_path):
    harness = EmbeddedHarness(tmp_path, path=str(tmp_path / "shared"))
    published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
    assert (tmp_path / "shared" / "prod.duckdb").exists()
    with pytest.raises(WarehouseUnavailable, match="belongs to the pipeline shop"):
        harness.open(project="other").pointer()


def test_looking_and_going_back_start_no_engine(harness):
    for number in (1, 2):
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, number)])])
    script = f"""
import sys
from pathlib import Path
from lanewise.adapters.warehouses.embedded import open_warehouse
from lanewise.domain.environment import Connection, Environment
lane = Environment("prod", 0, {{"dst_conn": "w"}}, {{"w": Connection("w", "duckdb")}})
w = open_warehouse(home=Path({str(tmp := harness.root / ".lanewise")!r}), lane=lane, project="shop", secrets=None,
                   say=print)
w.pointer(), w.live(), w.maps(), w.map_at(1), w.holdings(), w.raise_fence(3), w.revert(1, base=2, fence=3)
heavy = {{"duckdb", "pyarrow", "sqlglot", "sqlalchemy", "pydantic"}} & set(sys.modules)
print(w.pointer().number, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3 []", done.stderr
    assert tmp.exists()


def test_a_file_where_the_link_belongs_is_told_and_left_alone(harness):
    link = harness.open().layout.link
    link.parent.mkdir(parents=True)
    link.write_text("mine")
    with pytest.raises(WarehouseUnavailable, match="not the link"):
        harness.open().pointer()
    assert link.read_text() == "mine"


@pytest.mark.parametrize("folder", ["maps", "catalogs"])
def test_a_damaged_file_is_told_by_its_name(harness, folder):
    published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
    (file,) = (harness.open().layout.lane / folder).glob("*.json")
    for damage in (b"", b"{", b'{"tables": 3}'):
        file.write_bytes(damage)
        with pytest.raises(LaneError, match=r"damaged"):
            harness.open().live()


REFUSED = """
import os, resource, signal, sys
from pathlib import Path
from dataclasses import replace
from decimal import Decimal
sys.path.insert(0, {root!r})
from tests.contract.warehouses.embedded_harness import EmbeddedHarness
from lanewise.adapters.warehouses.embedded import building
from lanewise.errors import LaneError
harness = EmbeddedHarness(Path({home!r}))
w = harness.open()
live = w.live()
target = replace(live, number=live.number + 1, build="sha256:" + "b" * 64)
if not {full!r} and os.geteuid() == 0:
    os.setuid(65534)  # permissions stop nobody who is root
elif {full!r}:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({full!r}, {full!r}))
try:
    w.prepare(target)
    w.publish(target, base=live.number, fence=1)
except LaneError as error:
    print(type(error).__name__, error.exit_code, "|", error.message)
"""


@pytest.mark.parametrize("full", [0, 200, 5_000])
def test_a_full_or_read_only_disk_is_one_clear_error_and_readers_see_what_they_saw(full):
    root = Path(__file__).parents[3]
    with tempfile.TemporaryDirectory() as folder:  # below no private folder: another user has to get in
        Path(folder).chmod(0o755)
        harness = EmbeddedHarness(Path(folder))
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        before = harness.read("orders")
        if not full:
            for path in [Path(folder), *Path(folder).rglob("*")]:
                if not path.is_symlink():
                    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222 | 0o444 | (0o111 if path.is_dir() else 0))
        done = subprocess.run(
            [sys.executable, "-c", REFUSED.format(root=str(root), home=folder, full=full)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout.startswith("WarehouseUnavailable 3 |"), done.stdout + done.stderr
        assert harness.read("orders") == before
        assert harness.open().pointer().number == 1
        for path in [Path(folder), *Path(folder).rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def test_names_that_differ_only_in_case_are_refused(harness):
    wanted = [(replace(TOTALS, name=name), [{"name": "x", "n": 1}]) for name in ("Sales", "sales")]
    with pytest.raises(LaneError, match="sales"):
        published(harness, request([t for t, _ in wanted], ["all"]), wanted)
    assert harness.open().live() == PartitionMap("shop")


def test_a_truncated_file_and_lost_columns_are_missed_and_a_map_without_its_catalog_is_not_found(harness):
    published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
    published(harness, request([ORDERS], [D2]), [(ORDERS, [order(D2, 2)])])
    layout = harness.open().layout
    file = layout.root / harness.open().live().tables["orders"].slices[D1][0].location
    columns = file.parents[1] / "columns.json"
    for path, spoil in ((file, lambda: file.write_bytes(b"PAR1")), (columns, columns.unlink)):
        before = path.read_bytes()
        spoil()
        assert harness.open().missing(1) == (layout.relative(path),)
        path.write_bytes(before)
    assert harness.open().missing(1) == ()
    next(layout.catalogs.glob("0000000001-*.duckdb")).unlink()
    with pytest.raises(NotFound):
        harness.open().missing(1)
