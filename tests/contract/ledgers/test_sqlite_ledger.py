from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from lanewise.adapters.ledgers.sql import SqlLedger, open_ledger
from lanewise.adapters.ledgers.sqlite import SqliteDatabase
from lanewise.domain.event import Draft
from lanewise.domain.ports import Ledger
from lanewise.errors import GroundMoved, LeaseHeld, LedgerUnavailable, WrongInput
from lanewise.ledger.chain import verify_chain
from lanewise.testing.ledger import LedgerContract

URL = "sqlite:///.lanewise/ledger.db"
HOUR = timedelta(hours=1)


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Callable[[], Ledger]:
        return lambda: open_ledger(URL, base=tmp_path)


@pytest.fixture
def ledger(tmp_path: Path) -> SqlLedger:
    return open_ledger(URL, base=tmp_path, patience=0.2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".lanewise" / "ledger.db"


def writing(ledger: SqlLedger) -> sqlite3.Connection:
    """The connection by which this thread writes."""
    assert isinstance(ledger.database, SqliteDatabase)
    return ledger.database._writing()


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


# Where it is


def test_reading_a_ledger_that_is_not_there_makes_nothing(ledger: SqlLedger, tmp_path: Path):
    ledger.read("a"), ledger.last("a"), ledger.streams(""), list(ledger.events()), ledger.holder("s"), ledger.now()
    assert list(tmp_path.iterdir()) == []


def test_reading_begins_as_soon_as_somebody_has_written(ledger: SqlLedger, tmp_path: Path):
    assert ledger.head() == (0, "")
    open_ledger(URL, base=tmp_path).append("a", [Draft("t")], actor="x")
    assert ledger.head()[0] == 1


def test_an_absolute_path_is_itself(tmp_path: Path):
    ledger = open_ledger(f"sqlite:///{tmp_path}/deep/er/x.db", base=Path("/nowhere"))
    ledger.append("a", [Draft("t")], actor="x")
    assert (tmp_path / "deep/er/x.db").exists()


@pytest.mark.parametrize("name", ["a b?c#d%20e", "naïve😀", "x;y'z\""])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str):
    ledger = open_ledger(URL, base=tmp_path / name)
    ledger.append("a", [Draft("t")], actor="x")
    assert ledger.head()[0] == 1
    assert (tmp_path / name / ".lanewise/ledger.db").exists()


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "sqlite://", "sqlite:///", "", "hunter2", "mysql:///x"])
def test_any_other_url_is_refused_without_showing_it(tmp_path: Path, url: str):
    with pytest.raises(WrongInput) as caught:
        open_ledger(url, base=tmp_path)
    assert "hunter2@" not in caught.value.message


def test_only_making_a_ledger_needs_sqlalchemy_and_alembic(ledger: SqlLedger, tmp_path: Path):
    ledger.append("a", [Draft("t")], actor="x")
    seen = python(
        """
        import sys
        from datetime import timedelta
        from pathlib import Path
        from lanewise.adapters.ledgers.sql import open_ledger
        from lanewise.domain.event import Draft
        ledger = open_ledger("sqlite:///.lanewise/ledger.db", base=Path(sys.argv[1]))
        ledger.read("a"), ledger.last("a"), ledger.streams(""), list(ledger.events()), ledger.holder("s"), ledger.now()
        ledger.append("a", [Draft("t")], actor="x")
        ledger.release(ledger.renew(ledger.acquire("s", "ana", timedelta(hours=1)), timedelta(hours=1)))
        print(sorted({"sqlalchemy", "alembic", "psycopg"} & set(sys.modules)), ledger.head()[0])
        """,
        tmp_path,
    )
    assert seen.stdout.splitlines() == ["[] 2"], seen.stderr


def test_a_ledger_of_the_first_schema_is_read_as_it_is_and_brought_up_by_the_first_write(tmp_path: Path):
    from lanewise.adapters.ledgers.migrations import upgrade

    newest = upgrade.command.upgrade
    old = open_ledger(URL, base=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade.command, "upgrade", lambda config, to: newest(config, "0001"))
        old.append("a", [Draft("t")], actor="x")
    assert old.database.schema() == "0001"
    now = open_ledger(URL, base=tmp_path)
    assert now.head()[0] == 1
    assert now.append("a", [Draft("t")], actor="x")[0].seq == 2
    assert now.database.schema() == "0002"


def test_the_file_is_written_ahead_and_fully_synced(ledger: SqlLedger, file: Path):
    ledger.append("a", [Draft("t")], actor="x")
    with sqlite3.connect(file) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()
    assert writing(ledger).execute("pragma synchronous").fetchone() == (2,)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("last", "events_by_type"),
        ("streams", "events_first"),
    ],
)
def test_lookups_use_their_index(ledger: SqlLedger, file: Path, statement: str, index: str):
    from lanewise.adapters.ledgers import statements as sql

    ledger.append("a", [Draft("t")], actor="x")
    text, parameters = (
        sql.streams("a", ["t"]) if statement == "streams" else (sql.LAST_OF_TYPE, {"stream": "", "type": ""})
    )
    with sqlite3.connect(file) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"explain query plan {text}", parameters))
    connection.close()
    assert f"USING COVERING INDEX {index}" in plan or f"USING INDEX {index}" in plan
    assert "SCAN" not in plan


# What can go wrong


def refused(ledger: SqlLedger) -> LedgerUnavailable:
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.append("a", [Draft("t", {"text": "y" * 50_000})], actor="x")
    assert "\n" not in caught.value.message
    assert "yyy" not in "".join(traceback.format_exception(caught.value)), "nor when debugging"
    assert caught.value.hint
    return caught.value


def test_a_locked_ledger_is_unavailable_for_writers_alone(ledger: SqlLedger, file: Path):
    ledger.append("a", [Draft("t")], actor="x")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    assert "another process keeps it locked" in refused(ledger).message
    with pytest.raises(LedgerUnavailable):
        ledger.acquire("s", "ana", HOUR)
    assert ledger.head()[0] == 1
    other.execute("rollback")
    other.close()
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 2


def test_a_full_disk_writes_nothing_and_heals(ledger: SqlLedger):
    ledger.append("a", [Draft("t")], actor="x")
    (pages,) = writing(ledger).execute("pragma page_count").fetchone()
    writing(ledger).execute(f"pragma max_page_count = {pages}")
    assert "the disk is full" in refused(ledger).message
    assert ledger.head()[0] == 1
    writing(ledger).execute("pragma max_page_count = 100000")
    ledger.append("a", [Draft("t", {"text": "y" * 50_000})], actor="x")
    assert verify_chain(ledger.events()) is None


def test_a_disk_that_takes_no_more_bytes_keeps_what_was_there(ledger: SqlLedger, tmp_path: Path):
    ledger.append("a", [Draft("t")], actor="x")
    ended = python(
        """
        import resource, sys
        from pathlib import Path
        from lanewise.adapters.ledgers.sql import open_ledger
        from lanewise.domain.event import Draft
        from lanewise.errors import LedgerUnavailable
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        ledger = open_ledger("sqlite:///.lanewise/ledger.db", base=Path(sys.argv[1]))
        written = 0
        try:
            while True:
                ledger.append("a", [Draft("t", {"n": n, "text": "y" * 9000}) for n in range(5)], actor="x")
                written += 5
        except LedgerUnavailable as error:
            print(written, ledger.head()[0], error.message)
        """,
        tmp_path,
    )
    written, head, message = ended.stdout.split(maxsplit=2)
    assert "the disk" in message
    assert int(head) == 1 + int(written) > 5
    assert ledger.head()[0] == int(head)
    assert verify_chain(ledger.events()) is None


def test_a_disk_that_is_full_at_the_very_first_write_leaves_an_empty_ledger(ledger: SqlLedger, tmp_path: Path):
    ended = python(
        """
        import resource, sys
        from pathlib import Path
        from lanewise.adapters.ledgers.sql import open_ledger
        from lanewise.domain.event import Draft
        import alembic.command, sqlalchemy.dialects.sqlite, lanewise.adapters.ledgers.writer
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
        try:
            open_ledger("sqlite:///.lanewise/ledger.db", base=Path(sys.argv[1])).append("a", [Draft("t")], actor="x")
        except Exception as error:
            print(type(error).__name__)
        """,
        tmp_path,
    )
    assert ended.stdout == "LedgerUnavailable\n", ended.stderr
    assert ledger.head() == (0, "")
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 1


@pytest.fixture
def as_a_stranger() -> Callable[[Path], str]:
    """Read and then write the ledger under a folder as somebody who may only read it; says what came of it."""

    def attempt(base: Path) -> str:
        result = python(
            """
            import os, sys
            from pathlib import Path
            from lanewise.adapters.ledgers.sql import open_ledger
            from lanewise.domain.event import Draft
            import lanewise.adapters.ledgers.sqlite, lanewise.adapters.ledgers.writer
            if os.geteuid() == 0:
                os.setgid(65534), os.setuid(65534)
            ledger = open_ledger("sqlite:///ledger.db", base=Path(sys.argv[1]))
            print("read", ledger.head()[0])
            try:
                ledger.append("a", [Draft("t")], actor="x")
            except Exception as error:
                print(type(error).__name__, error)
            print("read", ledger.head()[0])
            """,
            base,
        )
        return result.stdout or result.stderr

    return attempt


def test_a_read_only_ledger_is_read_and_not_written(as_a_stranger: Callable[[Path], str]):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to strangers
        base = Path(name)
        ledger = open_ledger("sqlite:///ledger.db", base=base)
        ledger.append("a", [Draft("t")] * 3, actor="x")
        sqlite3.connect(base / "ledger.db").close()
        (base / "ledger.db").chmod(0o444)
        base.chmod(0o555)
        said = as_a_stranger(base).splitlines()
        base.chmod(0o755)
        assert said[0] == said[2] == "read 3", said
        assert said[1].startswith("LedgerUnavailable")
        assert "read-only" in said[1]


def test_a_read_only_copy_at_rest_is_read(as_a_stranger: Callable[[Path], str], tmp_path: Path):
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        open_ledger("sqlite:///ledger.db", base=tmp_path).append("a", [Draft("t")] * 3, actor="x")
        copy = sqlite3.connect(base / "ledger.db")
        with sqlite3.connect(tmp_path / "ledger.db") as source:
            source.backup(copy)
        source.close()
        copy.close()
        for rest in base.glob("ledger.db-*"):
            rest.unlink()
        (base / "ledger.db").chmod(0o444)
        base.chmod(0o555)
        said = as_a_stranger(base).splitlines()
        base.chmod(0o755)
        assert said[0] == said[2] == "read 3", said
        assert said[1].startswith("LedgerUnavailable")


def test_a_file_that_is_no_database_is_said_to_be_none(ledger: SqlLedger, file: Path):
    file.parent.mkdir()
    file.write_text("dear diary, " * 1000)
    assert "not a SQLite database" in refused(ledger).message
    with pytest.raises(LedgerUnavailable, match="not a SQLite database"):
        ledger.head()
    assert file.read_text().startswith("dear diary")


def test_an_empty_file_is_an_empty_ledger(ledger: SqlLedger, file: Path):
    file.parent.mkdir()
    file.touch()
    assert ledger.head() == (0, "")
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 1


def test_a_damaged_file_is_said_to_be_damaged(ledger: SqlLedger, file: Path, tmp_path: Path):
    ledger.append("a", [Draft("t", {"text": "y" * 3000})] * 50, actor="x")
    with sqlite3.connect(file) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = b"\xff" * 64
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(content)
    with pytest.raises(LedgerUnavailable, match="damaged"):
        list(open_ledger("sqlite:///damaged.db", base=tmp_path).events())


@pytest.mark.parametrize("where", ["", "-wal"])
def test_a_folder_in_the_files_place_is_one_clear_error(ledger: SqlLedger, file: Path, where: str):
    Path(f"{file}{where}").mkdir(parents=True)
    refused(ledger)


def test_a_file_in_the_folders_place_is_one_clear_error(ledger: SqlLedger, file: Path):
    file.parent.write_text("")
    refused(ledger)
    assert ledger.head() == (0, "")


def test_a_ledger_of_a_newer_lanewise_is_left_alone(ledger: SqlLedger, file: Path, tmp_path: Path):
    ledger.append("a", [Draft("t")], actor="x")
    with sqlite3.connect(file) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    newer = open_ledger(URL, base=tmp_path)
    with pytest.raises(LedgerUnavailable, match="newer Lanewise"):
        newer.head()
    with pytest.raises(LedgerUnavailable, match="newer Lanewise"):
        newer.append("a", [Draft("t")], actor="x")


def test_what_a_killed_first_writer_left_is_undone_by_the_next_reader(ledger: SqlLedger, file: Path):
    file.parent.mkdir()
    code = """
        import os, signal, sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("create table left_over (x)")
        connection.execute("pragma cache_size = 1")
        connection.execute("begin")
        connection.execute("create table alembic_version (version_num)")
        connection.executemany("insert into left_over values (?)", [("y" * 9000,)] * 50)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert python(code, file).returncode == -9
    assert Path(f"{file}-journal").exists()
    assert ledger.head() == (0, "")
    assert not Path(f"{file}-journal").exists()


# Many at once


def test_eight_processes_lose_and_double_nothing(ledger: SqlLedger, tmp_path: Path):
    code = """
        import sys
        from pathlib import Path
        from lanewise.adapters.ledgers.sql import open_ledger
        from lanewise.domain.event import Draft
        ledger = open_ledger("sqlite:///.lanewise/ledger.db", base=Path(sys.argv[1]), patience=60)
        for n in range(40):
            stream = f"s{n % 3}"
            drafts = [Draft("t", {"by": sys.argv[2], "n": n, "part": part}) for part in range(3)]
            ledger.append(stream, drafts, actor="x")
    """
    with ThreadPoolExecutor(8) as pool:
        for ended in pool.map(lambda who: python(code, tmp_path, who), range(8)):
            assert ended.returncode == 0, ended.stderr
    events = list(ledger.events())
    assert verify_chain(events) is None
    written = [(event.data["by"], event.data["n"], event.data["part"]) for event in events]
    assert sorted(written) == sorted((str(by), n, part) for by in range(8) for n in range(40) for part in range(3))
    assert [part for *_, part in written] == [0, 1, 2] * 320, "batches stay together"


def test_eight_threads_share_one_ledger(tmp_path: Path):
    ledger = open_ledger(URL, base=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ledger.append(f"s{n % 3}", [Draft("t")], actor="x"), range(80)))
        counts = list(pool.map(lambda n: len(ledger.read(f"s{n % 3}")), range(80)))
    assert sum(counts[:3]) == 80
    assert verify_chain(ledger.events()) is None


def test_one_of_many_decides_on_the_same_ground(ledger: SqlLedger, tmp_path: Path):
    ledger.append("a", [Draft("t")], actor="x")
    start = threading.Barrier(6)

    def decide(n: int) -> list[int]:
        mine = open_ledger(URL, base=tmp_path)
        start.wait()
        try:
            mine.append("a", [Draft("decided", {"by": n})], actor="x", expect=1)
        except GroundMoved:
            return []
        return [n]

    with ThreadPoolExecutor(6) as pool:
        won = [n for each in pool.map(decide, range(6)) for n in each]
    assert len(won) == 1
    assert [event.data["by"] for event in ledger.read("a", after=1)] == won


def test_at_most_one_of_many_holds_the_lease_and_fences_only_grow(tmp_path: Path):
    granted: list[int] = []
    inside: list[str] = []

    def work(name: str) -> None:
        mine = open_ledger(URL, base=tmp_path)
        for _ in range(40):
            try:
                lease = mine.acquire("s", name, HOUR)
            except LeaseHeld:
                continue
            inside.append(name)
            assert inside == [name]
            granted.append(lease.fence)
            inside.remove(name)
            mine.release(lease)

    open_ledger(URL, base=tmp_path).append("a", [Draft("t")], actor="x")
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, "abcde"))
    assert granted == sorted(set(granted))
    assert len(granted) > 5
