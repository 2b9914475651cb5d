"""What comparing two builds' output costs on PostgreSQL: a million rows of twelve columns in 365 days, of which seven
(2%) hold differences, against what one would write by hand and against reladiff.

    python -m benchmarks [--quick] compare

*Ours* is ``Warehouse.compare`` from the login to its answer: per-partition counts and checksums of both sides, then a
join of the seven days on the key, with changes, NULLs and sums per column. *Plain* is the least that any checksum
must do: ``count(*), sum(hash_record_extended(row(…), 0))`` of both sides on an open connection (it is blind to values
that change rows, which ours sees). *EXCEPT ALL* counts the rows that one side has and the other has not, both ways.
*reladiff* runs in a virtual environment of its own below ``.cache/``, timed inside its process, with an index on the
key; it chooses a join within one database, which counts, and checksums of ranges of keys between two.

The contenders take turns on one durable server, and each ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from benchmarks.figure import Figure

from lanewise.adapters.warehouses.postgres.locations import location
from lanewise.adapters.warehouses.postgres.measuring import Measuring
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import Server as Login
from lanewise.adapters.warehouses.postgres.store import ensure, version_table
from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import Slice
from lanewise.publication.mapped_views import SLICE
from lanewise.testing.postgres import SUPERUSER, Server, postgres

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".cache" / "reladiff"
RELADIFF = ("reladiff==0.6.0", "psycopg2-binary==2.9.13")
PLACE = Place("prod", "bench", "analytics", "", "lanewise_prod", "lanewise_prod_runs")
ROWS, DAYS = 1_000_000, 365
WHAT = f"comparing {ROWS:,} rows of 12 columns, 2% of days changed"
CHANGED = range(20, DAYS, 52)  # days: seven, which is 2%
# name, type, and how a row number makes the value; ``{fault}`` is 1 in the rows that differ
MADE = (
    ("day", "DATE", f"date '2024-01-01' + (n % {DAYS})::int"),
    ("id", "BIGINT", "n"),
    ("customer", "BIGINT", "n * 7919 % 250000"),
    ("product", "INTEGER", "n * 31 % 5000"),
    ("quantity", "INTEGER", "n % 9 + {fault}"),
    ("price", "DECIMAL(18,2)", "(n * 13 % 100000) / 100.0"),
    ("discount", "DECIMAL(18,2)", "case when n % 3 = 0 then (n % 50) / 10.0 + {fault} end"),
    ("weight", "DOUBLE", "sqrt(n)"),
    ("status", "VARCHAR", "(array['new', 'paid', 'sent', 'returned'])[(n % 4 + 1)::int]"),
    ("city", "VARCHAR", "'city ' || n * 17 % 2000"),
    ("ordered_at", "TIMESTAMP", "timestamp '2024-01-01' + n % {days} * interval '1 day' + n % 86400 * interval '1 s'"),
    ("note", "VARCHAR", "case when n % 5 = 0 then 'left at the door of number ' || n % 300 end"),
)
TABLE = Table(
    "orders", TableKind.PARTITION, PartitionSpec("day", Grain.DAY), key=("id",),
    columns=tuple(Column(name, type_) for name, type_, _ in MADE),
)  # fmt: skip


class _NoSecrets:
    resolve = age = redact = concerns = None


@dataclass(frozen=True)
class _Side:
    relation: str
    slices: tuple[Slice, ...]

    @property
    def name(self) -> str:
        return f"{PLACE.store}.{self.relation}"


def figures(*, quick: bool) -> list[Figure]:
    """Three ratios that have a limit, and reladiff's other way to look at. ``SystemExit`` when a contender finds
    something else than what was planted."""
    missing = _install()
    with _laid_out() as (server, login, connection, old, new):
        names = ", ".join(name for name, _, _ in MADE)
        contenders: dict[str, Callable[[], float]] = {
            "ours": lambda: _ours(login, old, new),
            "plain": lambda: _timed(connection, [_plain(names, side) for side in (old, new)]),
            "except": lambda: _timed(connection, [_except(names, one, two) for one, two in ((old, new), (new, old))]),
        }
        address = f"postgresql://{SUPERUSER}@127.0.0.1:{server.port}/{connection.info.dbname}"
        if not missing:
            contenders["join"] = lambda: _reladiff("joindiff", address, (old, new))
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range((3 if quick else 9) + 1):
            for name, run in contenders.items():
                seconds = run()
                if number:
                    taken[name].append(seconds)
        found = [
            _figure(taken, "plain", "the plain checksum query of both sides", 1.3),
            _figure(taken, "except", "EXCEPT ALL both ways", 1 / 3),
        ]
        if missing:
            print(missing, file=sys.stderr, flush=True)
            return [*found, Figure(f"{WHAT}: NOT MEASURED, {missing}", 1, 1 / 5, "×", 1, "reladiff")]
        taken["hash"] = [_reladiff("hashdiff", address, (old, new))] * len(taken["ours"])  # it takes most of a minute
        _say(taken)
        return [
            *found,
            _figure(taken, "join", f"{RELADIFF[0]} by a join, as it does within a database", 1 / 5),
            _figure(taken, "hash", f"{RELADIFF[0]} by checksums of ranges of keys (once)", None),
        ]


def _figure(taken: dict[str, list[float]], name: str, against: str, limit: float | None) -> Figure:
    ratio = statistics.median(ours / theirs for ours, theirs in zip(taken["ours"], taken[name], strict=True))
    return Figure(WHAT, ratio, limit, "×", ratio, f"{against} ({statistics.median(taken[name]):.2f} s)")


@contextmanager
def _laid_out() -> Iterator[tuple[Server, Login, psycopg.Connection[Any], _Side, _Side]]:
    with postgres(15, durable=True) as server:
        login = Login(server.connection(server.database()), _NoSecrets())
        with login.session() as connection:
            ensure(connection, PLACE)
        with login.session(autocommit=True) as connection:
            old, new = (_side(connection, build) for build in ("old", "new"))
            yield server, login, connection, old, new


def _side(connection: psycopg.Connection[Any], build: str) -> _Side:
    """A version with a slice a day, each written in one piece as staging does."""
    made = version_table(connection, PLACE, TABLE, TABLE.columns, f"sha256:{build}")
    planted = (
        f"(n % {DAYS} in ({', '.join(map(str, CHANGED))}) and n / {DAYS} % 10 = 0)::int" if build == "new" else "0"
    )
    values = [how.format(fault=planted, days=DAYS) for _, _, how in MADE]
    connection.execute(
        f"insert into {PLACE.store}.{made[1]} ({', '.join(name for name, _, _ in MADE)}, {SLICE}) "
        f"select {', '.join(values)}, {made[0] * 1000} + n % {DAYS} from generate_series(0::bigint, {ROWS - 1}) as n "
        f"order by n % {DAYS}, n"
    )
    connection.execute(f"create unique index on {PLACE.store}.{made[1]} (id)")  # for reladiff
    connection.execute(f"vacuum (analyze) {PLACE.store}.{made[1]}")
    connection.execute(
        f"insert into {PLACE.store}.slices (id, version, part, row_count, byte_count, run) "
        f"select {SLICE}, {made[0]}, min(day)::text, count(*), 1, 'run' from {PLACE.store}.{made[1]} group by {SLICE}"
    )
    rows = dict(connection.execute(f"select {SLICE}, count(*) from {PLACE.store}.{made[1]} group by 1").fetchall())
    days = connection.execute(
        f"select (date '2024-01-01' + n)::text from generate_series(0, {DAYS - 1}) as n"
    ).fetchall()
    return _Side(made[1], tuple(
        Slice("orders", day, f"sha256:{build}", location(made[1], made[0] * 1000 + n), rows[made[0] * 1000 + n],
              1, "run", "sha256:b")
        for n, (day,) in enumerate(days)
    ))  # fmt: skip


def _planted() -> int:
    return sum(1 for n in range(ROWS) if n % DAYS in CHANGED and n // DAYS % 10 == 0)


def _ours(login: Login, old: _Side, new: _Side) -> float:
    started = time.perf_counter()
    found = Measuring(login, PLACE).compare(TABLE, old.slices, new.slices)
    seconds = time.perf_counter() - started
    differ = [p for p in found.partitions if not p.same]
    if len(differ) != len(CHANGED) or sum(p.keys_changed for p in differ) != _planted():
        raise SystemExit(f"{len(differ)} days were found to differ, and {len(CHANGED)} do")
    return seconds


def _plain(names: str, side: _Side) -> str:
    return f"select {SLICE}, count(*), sum(hash_record_extended(row({names}), 0)) from {side.name} group by {SLICE}"


def _except(names: str, one: _Side, two: _Side) -> str:
    return f"select count(*) from (select {names} from {one.name} except all select {names} from {two.name}) as d"


def _timed(connection: psycopg.Connection[Any], statements: Sequence[str]) -> float:
    started = time.perf_counter()
    answers = [connection.execute(statement).fetchall() for statement in statements]
    seconds = time.perf_counter() - started
    if len(answers[0]) == 1 and answers[0][0][0] != _planted():
        raise SystemExit(f"EXCEPT ALL found {answers[0][0][0]} rows")
    return seconds


def _install() -> str:
    """Make reladiff's environment where it is missing; what went wrong, if something did."""
    python, uv = PEER / "bin" / "python", ROOT / ".boot" / "bin" / "uv"
    if (PEER / "bin" / "reladiff").exists():
        return ""
    for command in (
        [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(PEER)],
        [str(uv), "pip", "install", "--quiet", "--no-config", "--python", str(python), *RELADIFF],
    ):
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError):
            return f"reladiff can't be installed: {' '.join(command[1:3])} failed"
    return ""


def _reladiff(way: str, address: str, sides: tuple[_Side, _Side]) -> float:
    asked = json.dumps([address, [side.name for side in sides], [name for name, _, _ in MADE if name != "id"]])
    command = [str(PEER / "bin" / "python"), str(Path(__file__).with_name("peer_reladiff.py")), way, asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"reladiff ({way}) did not finish: {done.stderr.strip().splitlines()[-1:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    if told["changed"] != _planted():
        raise SystemExit(f"reladiff ({way}) found {told['changed']} changed keys, and {_planted()} are")
    return float(told["seconds"])


def _say(seconds: dict[str, list[float]]) -> None:
    for name, each in seconds.items():
        told = ", ".join(f"{one:.3f}" for one in each)
        print(f"  {name}: {told} s", file=sys.stderr, flush=True)
