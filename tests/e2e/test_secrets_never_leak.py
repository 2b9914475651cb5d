"""Law 3: canary values are planted behind every kind of reference, every command is run, and everything that was
said, written or shown by a process on the way is searched for them, in every usual encoding."""

from __future__ import annotations

import base64
import importlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, quote_plus

import pytest
import typer

from lanewise.cli.app import COMMANDS
from lanewise.testing.openbao import OpenBao, openbao

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENVIRONMENTS = ("dev", "prod")

PROJECT = """\
project: orders
source: {include: ["pipelines/**", "tests/**"]}
run: python -m pipelines.orders
tests: pytest -q -o junit_logging=all tests
inputs: [raw.orders]
tables:
  orders_daily: {kind: full, key: [id]}
"""

CONFIG = """\
defaults: {src_conn: lake, dst_conn: "warehouse_{env}", pg_conn: "pg_{env}"}
environments:
  dev: {}
  prod: {}
connections:
  lake: {type: files, path: data}
  "warehouse_{env}": {type: duckdb}
  "pg_{env}":
    type: postgres
    user: svc
    password: "vault:secret/data/{env}/pg#password"
    private_key: {secret: "file:secrets/{env}.pem", max_age: 90d}
    api_token: {secret: "env:API_{env}_NEW", previous: "env:API_{env}_OLD"}
promotion:
  dev: {gates: [tests]}
  prod: {gates: [tests], approvals: {count: 1}}
"""

PIPELINE = """\
import json, os, sys
from pathlib import Path
import lanewise

def careless(lane):
    pg = lane.connection("pg")
    values = [pg.password, pg.private_key, pg.api_token, pg.previous("api_token")]
    print(dict(os.environ), pg)
    print(*values, json.dumps(values), repr(values))
    print("prints to standard error:", *values, file=sys.stderr)
    return values

lane = lanewise.current()
witness = Path(lane.settings.witness)
(witness / f"{os.getpid()}.environ").write_text("".join(f"{k}={v}\\0" for k, v in os.environ.items()))
values = careless(lane)
if (witness / "fail").exists():
    raise ConnectionError(f"login failed for postgres://svc:{values[0]}@db, tried {values!r}")
with lane.run() as run:
    run.sql(f"insert into {run.output('orders_daily')} select * from {run.input('raw.orders')}")
"""

CHECKS = """\
import os
from pathlib import Path
import lanewise

def test_the_connection_is_complete():
    lane = lanewise.current()
    pg = lane.connection("pg")
    print(dict(os.environ), pg.password, pg.private_key, pg.api_token)
    assert not Path(lane.settings.witness, "fail").exists(), f"refused: {pg.password!r} {pg.private_key} {pg.api_token}"
"""


@dataclass(frozen=True)
class Canary:
    """A value that occurs nowhere else: two random halves around what needs escaping."""

    name: str
    value: str

    @classmethod
    def hatch(cls, name: str, middle: str = "\"'\\ &+/=%é☃") -> Canary:
        return cls(name, f"{secrets.token_hex(10)}{middle}{secrets.token_hex(10)}")

    @property
    def needles(self) -> set[bytes]:
        forms = {self.value, self.value[:20], self.value[-20:], json.dumps(self.value)[1:-1], repr(self.value)[1:-1]}
        forms |= {quote(self.value), quote(self.value, safe=""), quote_plus(self.value)}
        raw = self.value.encode()
        cores = {_core(raw, shift) for shift in range(3)} | {_core(raw[:20], shift) for shift in range(3)}
        return {form.encode() for form in forms} | cores | {core.translate(_URL_SAFE) for core in cores}


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _core(raw: bytes, shift: int) -> bytes:
    """What base64 shows of ``raw`` that stands ``shift`` bytes into a group."""
    padded = b"\0" * shift + raw
    return base64.b64encode(padded[: len(padded) // 3 * 3])[4:]


def leaks(canaries: list[Canary], where: str, blob: bytes) -> list[str]:
    return [f"{c.name} in {where}" for c in canaries if any(needle in blob for needle in c.needles)]


@dataclass
class Watch:
    """Samples the arguments and the environment of every process below this one while it is open."""

    seen: dict[tuple[int, bytes], bytes] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.01):
            for pid in _below(os.getpid()):
                try:
                    before = Path(f"/proc/{pid}/cmdline").read_bytes()
                    environ = Path(f"/proc/{pid}/environ").read_bytes()
                    after = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                if before == after and before:  # else it is between fork and exec
                    self.seen[pid, before] = environ


def _below(root: int) -> list[int]:
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        try:
            children = [
                int(child)
                for task in Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()
            ]
        except OSError:
            continue
        found += children
        pending += children
    return found


@dataclass
class Lane:
    """A project with planted canaries, and everything that its commands said."""

    root: Path
    witness: Path
    variables: dict[str, str]
    canaries: list[Canary]
    format: str
    debug: bool
    said: list[tuple[str, bytes]] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    started: set[int] = field(default_factory=set)

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        full = [*arguments, "--format", "json"] if self.format == "json" and takes_format(arguments) else [*arguments]
        command = [str(LANE), *full]
        debug = {"LANEWISE_DEBUG": "1"} if self.debug else {}
        with subprocess.Popen(
            command, cwd=self.root, env={**self.variables, **debug, **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            self.started.add(process.pid)
            out, err = process.communicate(timeout=300)
        name = " ".join(full)
        self.said += [(f"stdout of lane {name}", out), (f"stderr of lane {name}", err)]
        assert b"Traceback" not in err, f"lane {name}: {err.decode()[-3000:]}"
        assert b"unexpected " not in err, f"lane {name}: {err.decode()[-3000:]}"
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def done(self, *arguments: str) -> str:
        """Run a command that must succeed; its standard output."""
        result = self(*arguments)
        assert result.returncode == 0, f"lane {' '.join(arguments)}: {result.stderr.decode()[-3000:]}"
        return result.stdout.decode()

    def leaks(self) -> list[str]:
        found = [leak for where, blob in self.said for leak in leaks(self.canaries, where, blob)]
        planted = {self.root / "secrets" / f"{name}.pem" for name in ENVIRONMENTS}
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path not in planted:
                found += leaks(self.canaries, str(path.relative_to(self.root)), path.read_bytes())
        # `lane` itself was given its variables by this test; a child of it that has not begun its own program
        # still shows the same.
        commands = {cmdline for pid, cmdline in self.watch.seen if pid in self.started}
        for (pid, cmdline), environ in self.watch.seen.items():
            found += leaks(self.canaries, f"arguments of {cmdline!r}", cmdline)
            if pid not in self.started and cmdline not in commands:
                found += self._in_environment(f"environment of {cmdline!r}", environ)
        for path in sorted(self.witness.glob("*.environ")):
            found += self._in_environment("environment of the pipeline", path.read_bytes())
        return sorted(set(found))

    def _in_environment(self, where: str, environ: bytes) -> list[str]:
        """A worker may hold the ``env:`` values that its own environment's config names, and the login of a store
        that it names; nothing else."""
        lane = next((v[13:].decode() for v in environ.split(b"\0") if v.startswith(b"LANEWISE_ENV=")), "")
        own = {f"API_{lane}_NEW", f"API_{lane}_OLD", "VAULT_TOKEN"}
        return leaks([c for c in self.canaries if c.name not in own], where, environ)


LANE = Path(sys.executable).with_name("lane")


def takes_format(arguments: tuple[str, ...]) -> bool:
    entry = next(entry for entry in COMMANDS if entry.name in arguments)
    command: Any = typer.main.get_command(importlib.import_module(entry.module).app)
    after = arguments[arguments.index(entry.name) + 1 :]
    if hasattr(command, "commands") and after and after[0] in command.commands:
        command = command.commands[after[0]]
    return any("--format" in parameter.opts for parameter in command.params)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(params=["text", "json"])
def lane(request: pytest.FixtureRequest, tmp_path: Path, bao: OpenBao) -> Iterator[Lane]:
    root, witness = tmp_path / "project", tmp_path / "witness"
    for folder in (root / "pipelines", root / "tests", root / "data", root / "secrets", tmp_path / "home", witness):
        folder.mkdir(parents=True)
    granted = bao.call("POST", "auth/token/create", {"policies": ["root"]})
    token = Canary("VAULT_TOKEN", granted["auth"]["client_token"])
    variables = {Canary.hatch(f"API_{name}_{age}") for name in ENVIRONMENTS for age in ("NEW", "OLD")}
    variables |= {Canary.hatch("UNDECLARED"), token}
    stored = {name: Canary.hatch(f"vault:{name}") for name in ENVIRONMENTS}
    files = {name: Canary.hatch(f"file:{name}", '\n+/é"\\=\n') for name in ENVIRONMENTS}
    for name in ENVIRONMENTS:
        bao.write(f"{name}/pg", password=stored[name].value, unused=Canary.hatch("unused").value)
        (root / "secrets" / f"{name}.pem").write_text(files[name].value + "\n")
        (root / "secrets" / f"{name}.pem").chmod(0o600)
    (root / "lanewise.yaml").write_text(PROJECT)
    (root / "environments.yaml").write_text(CONFIG.replace("{src_conn", f"{{witness: {witness}, src_conn"))
    (root / "pipelines" / "orders.py").write_text(PIPELINE)
    (root / "tests" / "test_orders.py").write_text(CHECKS)
    (root / "data" / "raw.orders.csv").write_text("id,amount\n1,10\n2,20\n")
    given = {
        "PATH": f"{LANE.parent}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1",
        "VAULT_ADDR": bao.address, **{canary.name: canary.value for canary in variables},
    }  # fmt: skip
    canaries = [*variables, *stored.values(), *files.values()]
    kind = request.param
    started = Lane(root, witness, given, canaries, kind, debug=kind == "text")
    with started.watch:
        yield started


STORY = (
    ("config", "check", "environments.yaml"), ("config", "show", "dev", "--explain"), ("config", "diff", "dev", "prod"),
    ("config", "apply"), ("builds",), ("plan", "--to", "dev", "--out", "saved.plan"), ("status",),
    ("ci", "--to", "dev", "--to", "prod"), ("provision", "dev", "--sql"), ("provision", "dev", "--out", "policies"),
    ("isolation", "-v"),
)  # fmt: skip
AFTER_RELEASE = (
    ("run", "dev"), ("why", "dev-1"), ("follow", "dev", "--once"), ("status", "dev", "--orchestrator"),
    ("scheduled", "begin", "dev", "--id", "live-story", "--build", "{live}"),
    ("scheduled", "abandon", "dev", "--id", "live-story"),
    ("history",), ("verify",), ("gc",), ("status",), ("doctor", "prod"),
)  # fmt: skip
DECISIONS = (
    ("promote", "--to", "prod"), ("approve", "prod-1"), ("reject", "prod-1", "--reason", "not now"),
    ("decide", "prod-1", "abort", "--reason", "enough"), ("pause", "dev", "--reason", "to look"), ("resume", "dev"),
    ("rollback", "dev", "--dry-run"), ("rollback", "dev", "--reason", "unwanted"), ("demo", "--help"),
)  # fmt: skip


def test_no_command_shows_or_keeps_a_secret(lane: Lane):
    lane("-C", str(lane.witness), "init")
    lane.done("build")
    for step in STORY:
        lane(*step)
    lane.done("doctor", "dev")
    lane.done("promote", "--to", "dev")
    assert list(lane.witness.glob("*.environ")), "the pipeline ran"
    (live,) = (path.name for path in (lane.root / ".lanewise" / "unpacked").iterdir() if not path.name.startswith("."))
    for step in (*AFTER_RELEASE, *DECISIONS):
        lane(*(word.replace("{live}", live) for word in step))
    assert any(b"lanewise.cli.credential" in cmdline for _, cmdline in lane.watch.seen), "helpers were watched"
    found = lane.leaks()
    assert not found, "\n".join(found)


def test_failing_pipelines_and_failing_logins_keep_it_too(lane: Lane):
    lane.done("promote", "--to", "dev")
    (lane.witness / "fail").touch()
    assert lane("run", "dev").returncode == 1
    (lane.root / "pipelines" / "more.py").write_text("# another build\n")
    assert lane("promote", "--to", "dev").returncode != 0
    wrong = Canary("a wrong token", f"hvs.{secrets.token_hex(12)}")
    lane.canaries.append(wrong)
    assert lane("doctor", "dev", VAULT_TOKEN=wrong.value).returncode == 1
    assert lane("run", "dev", VAULT_TOKEN=wrong.value).returncode == 1
    assert lane("doctor", "dev", VAULT_ADDR=f"http://u:{wrong.value}@127.0.0.1:1").returncode == 1
    (lane.root / "secrets" / "dev.pem").unlink()
    assert lane("doctor", "dev").returncode == 1
    lane("history")
    found = [leak for leak in lane.leaks() if not leak.startswith("a wrong token in environment")]
    assert not found, "\n".join(found)


def test_every_command_is_part_of_the_story():
    told = {"init", "build", "doctor", "promote", *(step[0] for step in (*STORY, *AFTER_RELEASE, *DECISIONS))}
    assert told == {entry.name for entry in COMMANDS}
    for entry in COMMANDS:
        assert importlib.import_module(entry.module).app


@pytest.mark.parametrize(
    "encode",
    [
        lambda v: v.encode(),
        lambda v: json.dumps({"v": v}).encode(),
        lambda v: repr({"v": v}).encode(),
        lambda v: quote_plus(v).encode(),
        lambda v: base64.b64encode(v.encode()),
        lambda v: base64.b64encode(f"svc:{v}".encode()),
        lambda v: base64.urlsafe_b64encode(f"sv:{v}".encode()),
        lambda v: v[-20:].encode(),
    ],
)
def test_the_search_finds_a_planted_leak(lane: Lane, encode: Any):
    canary = Canary.hatch("planted")
    lane.canaries.append(canary)
    (lane.root / ".lanewise" / "logs").mkdir(parents=True)
    assert lane.leaks() == []
    (lane.root / ".lanewise" / "logs" / "run.log").write_bytes(b"\0\xff before " + encode(canary.value) + b" after")
    assert lane.leaks() == ["planted in .lanewise/logs/run.log"]
    lane.said.append(("stdout", encode(canary.value)))
    assert len(lane.leaks()) == 2


def test_the_watch_finds_a_planted_leak_in_arguments_and_environments(lane: Lane):
    shown, inherited = Canary.hatch("shown"), Canary.hatch("inherited")
    lane.canaries += [shown, inherited]
    program = "import sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, shown.value], env={"LANEWISE_ENV": "dev", "X": inherited.value},
        stdin=subprocess.PIPE,
    ) as child:  # fmt: skip
        while not any(pid == child.pid and b"sys.stdin" in cmdline for pid, cmdline in list(lane.watch.seen)):
            assert child.poll() is None
        assert child.stdin is not None
        child.stdin.close()
    found = lane.leaks()
    assert any(leak.startswith("shown in arguments of") for leak in found)
    assert any(leak.startswith("inherited in environment of") for leak in found)
