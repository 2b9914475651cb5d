"""What ``import lanewise; lanewise.current()`` adds to a bare interpreter, beside the usual ways to read config.

    python -m benchmarks.bench_runtime [--rounds 40] [--peers .cache/peers]

Each peer reads one small file into an object and prints one value. They are installed with uv into a virtual
environment of their own, once. Every contender is timed against the bare interpreter of its own environment, all
interleaved. Prints one JSON document; times are medians in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import Figure

from lanewise.bootstrap import open_context
from lanewise.service.compiled import write_lane
from lanewise.service.configure import in_force

ROOT = Path(__file__).resolve().parent.parent
PINS = ("dynaconf==3.3.2", "hydra-core==1.3.4", "pydantic-settings==2.14.1")
LIMIT = 20.0
PEERS = ROOT / ".cache" / "peers"

PROJECT = "project: orders\nsource: {include: [pipelines/**]}\nrun: python -m pipelines.orders\ntables: {daily: {}}\n"
ENVIRONMENTS = """
defaults: {dst_conn: "warehouse_{env}", bucket: "raw-{env}", schema: "analytics_{env}", retries: 3}
environments: {dev: {}, stage: {}, prod: {schema: analytics}}
connections: {"warehouse_{env}": {type: duckdb, host: "{env}.db"}}
"""
SMALL = "bucket: raw-dev\nschema: analytics_dev\nretries: 3\nconnections: {warehouse: {type: duckdb, host: dev.db}}\n"

LANEWISE = "import lanewise; print(lanewise.current().settings.bucket)"
DYNACONF = "from dynaconf import Dynaconf; print(Dynaconf(settings_files=['settings.yaml']).bucket)"
HYDRA = (
    "from hydra import compose, initialize_config_dir; import os\n"
    "with initialize_config_dir(os.getcwd(), version_base=None): print(compose('settings').bucket)"
)
PYDANTIC = (
    "from pydantic_settings import BaseSettings, SettingsConfigDict, YamlConfigSettingsSource\n"
    "class Settings(BaseSettings):\n"
    "    model_config = SettingsConfigDict(yaml_file='settings.yaml', extra='ignore')\n"
    "    bucket: str; retries: int; connections: dict[str, dict[str, str]]\n"
    "    @classmethod\n"
    "    def settings_customise_sources(cls, kind, **_): return (YamlConfigSettingsSource(kind),)\n"
    "print(Settings().bucket)"
)


@dataclass(frozen=True)
class Contender:
    """A snippet and the interpreter that runs it."""

    name: str
    python: str
    code: str


def install_peers(folder: Path) -> str:
    """The peers' interpreter; installs it when it is not there, or has other pins."""
    python, stamp = folder / "bin" / "python", folder / "pins.txt"
    if not (stamp.exists() and stamp.read_text().split() == list(PINS)):
        beside = ROOT / ".boot" / "bin" / "uv"
        uv = str(beside) if beside.exists() else shutil.which("uv") or "uv"
        try:
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
            subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "pyyaml", *PINS], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"the peers {', '.join(PINS)} can't be installed with uv, so there is nothing to compare "
                             f"with: {error}") from error  # fmt: skip
        stamp.write_text("\n".join(PINS))
    return str(python)


def lay_out(folder: Path) -> None:
    """A project whose lane is compiled, and the same settings as one small file."""
    (folder / "lanewise.yaml").write_text(PROJECT)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    (folder / "settings.yaml").write_text(SMALL)
    ctx = open_context(folder)
    write_lane(ctx, in_force(ctx).environment("dev"), ctx.project, "")


def milliseconds(python: str, code: str, folder: Path) -> float:
    """One run of a snippet, from fork to exit."""
    bare = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    start = time.perf_counter()
    subprocess.run([python, "-c", code], cwd=folder, env=bare, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def measure(contenders: list[Contender], folder: Path, rounds: int) -> dict[str, list[float]]:
    """Every contender's times, interleaved so that noise hits all alike; the first round only warms caches."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            took = milliseconds(contender.python, contender.code, folder)
            if number:
                times[contender.name].append(took)
    return times


def added(rounds: int, folder: Path) -> dict[str, float]:
    """Milliseconds that each contender adds to the bare interpreter of its own environment, and that one's own."""
    peers = install_peers(folder)
    contenders = [
        Contender("bare", sys.executable, "pass"),
        Contender("lanewise", sys.executable, LANEWISE),
        Contender("bare (peers)", peers, "pass"),
        Contender("dynaconf", peers, DYNACONF),
        Contender("hydra", peers, HYDRA),
        Contender("pydantic-settings", peers, PYDANTIC),
    ]
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name))
        medians = {n: statistics.median(t) for n, t in measure(contenders, Path(name), rounds).items()}
    bare = {c.name: medians["bare" if c.python == sys.executable else "bare (peers)"] for c in contenders}
    found = {c.name: round(medians[c.name] - bare[c.name], 1) for c in contenders if not c.name.startswith("bare")}
    return {"bare": round(medians["bare"], 1), **found}


def figures(*, quick: bool) -> list[Figure]:
    """What Lanewise adds, held to its target, and what the peers add."""
    found = added(10 if quick else 40, PEERS)
    bare = found.pop("bare")
    own = found.pop("lanewise")
    against = f"bare interpreter ({bare:.0f} ms)"
    return [
        Figure("`import lanewise; lanewise.current()` adds", own, LIMIT, "ms", own / bare, against),
        *(Figure(f"{name} adds", ms, None, "ms", ms / bare, against) for name, ms in found.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--peers", type=Path, default=PEERS)
    options = parser.parse_args()
    found = added(options.rounds, options.peers)
    print(json.dumps({
        "benchmark": "runtime", "rounds": options.rounds, "unit": "ms, median", "bare_interpreter": found.pop("bare"),
        "added": found, "limit": LIMIT, "ok": found["lanewise"] <= LIMIT,
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
