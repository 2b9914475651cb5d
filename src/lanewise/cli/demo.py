"""``lane demo``: a real pipeline goes from dev to prod and back, by the very commands that a user types.

Each step says what to look at and checks what it claims; a claim that does not hold ends the demo with exit code 1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from lanewise.errors import NotFound, OutsideBroke, Refused

app = typer.Typer(rich_markup_mode=None)

_ALL_ROWS = "select count(*), sum(hash(t)) from flights_daily t"
_DECLARED = "    changes:\n      - {what: values, columns: [late], reason: lateness is counted on arrival}\n"


@app.command()
def demo(
    directory: Annotated[
        Path | None, typer.Argument(help="Where; else a new temporary folder, left for a look.")
    ] = None,
) -> None:
    """Watch a year of real flights go through dev, stage and prod: built once, gated, tried on 5%, released;
    then a faulty build stopped and an unwanted one rolled back. Takes a minute or two."""
    project = Path(directory or tempfile.mkdtemp(prefix="lane-demo-")).absolute()
    show = Show(project)
    for step in (_set_up, _first_release, _good_build, _faulty_build, _unwanted_build, _look_back):
        step(show)
    show.say(
        f"All of it held, in {time.monotonic() - show.started:.0f} s. Look around: cd {project} && {_typed()} status"
    )


@dataclass
class Show:
    """The demo's folder, and how its commands are typed and checked."""

    project: Path
    started: float = field(default_factory=time.monotonic)
    build: str = ""

    def chapter(self, title: str, look: str) -> None:
        """A heading, and what to look at in what follows."""
        typer.echo("\n" + typer.style(f"── {title} ", bold=True) + typer.style("─" * max(2, 90 - len(title)), dim=True))
        self.say(look)

    def say(self, line: str) -> None:
        """A line of narration."""
        typer.echo(typer.style(line, fg="cyan"))

    def lane(self, *arguments: str, actor: str = "ana", code: int = 0) -> None:
        """Type a command, show what it prints, and insist on its exit code."""
        typer.echo(typer.style(f"{actor}$ lane {' '.join(arguments)}", bold=True))
        done = subprocess.run([*_lane(), *arguments], cwd=self.project, env=_variables(actor), check=False)
        if done.returncode != code:
            raise Refused(f"`lane {' '.join(arguments)}` ended with {done.returncode}, and {code} was expected")

    def ask(self, *arguments: str, actor: str = "ana") -> Any:
        """The same, read as JSON and not shown."""
        command = [*_lane(), *arguments, "--format", "json"]
        done = subprocess.run(command, cwd=self.project, env=_variables(actor), check=False, capture_output=True)
        if done.returncode not in {0, 1}:
            raise OutsideBroke(f"`lane {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def read(self, environment: str, query: str) -> list[tuple[Any, ...]]:
        """What any reader of an environment sees: it opens the catalog and asks."""
        import duckdb  # noqa: PLC0415 - the demo is a reader here, with its own engine

        with duckdb.connect(
            str(self.project / ".lanewise" / "warehouse" / f"{environment}.duckdb"), read_only=True
        ) as db:
            return db.execute(query).fetchall()

    def claim(self, sentence: str, *, holds: bool) -> None:
        """Say something that was checked."""
        typer.echo((typer.style("✓ ", fg="green") if holds else typer.style("✗ ", fg="red")) + sentence)
        if not holds:
            raise Refused(f"the demo claims that {sentence}, and it is not so")

    def edit(self, file: str, old: str, new: str) -> None:
        """Change the pipeline as a developer would."""
        path = self.project / file
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise Refused(f"{file} of the example has no {old!r} to change")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def commit(self, message: str) -> None:
        """Commit it and build it once."""
        who = ["-c", "user.name=ana", "-c", "user.email=ana@flights.example"]
        git = ["git", *who, "commit", "--quiet", "--all", "--message", message]
        subprocess.run(git, cwd=self.project, check=True, capture_output=True)
        self.build = self.ask("build")["short"]

    def to_stage(self) -> None:
        """Through dev and stage, quietly: the first chapter has shown how that looks."""
        for environment in ("dev", "stage"):
            state = self.ask("promote", self.build, "--to", environment)["state"]
            self.claim(f"{self.build} is live in {environment}", holds=state == "SUCCEEDED")

    def waiting(self) -> str:
        """The promotion that waits in prod."""
        coming = next(lane for lane in self.ask("status")["lanes"] if lane["environment"] == "prod")["coming"]
        self.claim("a promotion into prod waits for approval", holds=len(coming) == 1)
        return str(coming[0]["id"])


def _set_up(show: Show) -> None:
    show.chapter("A project", "A pipeline over the 336,776 flights that left New York in 2013, a partition a day.")
    shutil.copytree(
        _example(), show.project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".lanewise")
    )
    typer.echo(f"project: {show.project}")
    subprocess.run([sys.executable, "bring_data.py"], cwd=show.project, check=True)
    (show.project / ".gitignore").write_text(".lanewise/\ndata/\n__pycache__/\n", encoding="utf-8")
    for arguments in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *arguments], cwd=show.project, check=True, capture_output=True)
    show.commit("A pipeline of flights")
    show.say("Three environments, one build: all that differs is declared, and says where it comes from.")
    show.lane("config", "diff", "stage", "prod")


def _first_release(show: Show) -> None:
    show.chapter("Built once, promoted through gates", "The digest names the content: the same in every environment.")
    show.lane("build", "--tag", "v1")
    show.lane("promote", "v1", "--to", "dev")
    show.say("Stage asks the build's own tests, the data checks and the published schema.")
    show.lane("promote", "v1", "--to", "stage")
    waiting = show.waiting()
    show.say("Prod wants a second person. Ana asked for it and wrote it: her own approval is refused.")
    show.lane("approve", waiting, code=1)
    show.lane("approve", waiting, actor="ben")
    show.lane("promote", "v1", "--to", "prod")
    (rows, _), *_ = show.read("prod", _ALL_ROWS)
    show.claim(f"prod serves {rows:,} flights", holds=rows == 336_776)


def _good_build(show: Show) -> None:
    show.chapter("A better build, tried on 5% of prod", "v2 adds a column. 5% of the days are computed and compared "
                 "with v1 before any reader sees them, then 25%, then all.")  # fmt: skip
    show.edit("pipelines/flights.py", " as late\n", " as late,\n                try_cast(f.dep_delay as integer) - "
              "try_cast(f.arr_delay as integer) as minutes_made_up\n")  # fmt: skip
    show.edit("lanewise.yaml", "      late: BOOLEAN\n", "      late: BOOLEAN\n      minutes_made_up: INTEGER\n")
    show.commit("Say how many minutes a flight made up")
    show.to_stage()
    show.lane("plan", show.build, "--to", "prod")
    show.lane("approve", show.waiting(), actor="ben")
    show.lane("promote", show.build, "--to", "prod")
    (made_up,), *_ = show.read("prod", "select count(minutes_made_up) from flights_daily")
    show.claim(f"readers of prod see the new column, filled for {made_up:,} flights", holds=made_up > 0)


def _faulty_build(show: Show) -> None:
    show.chapter("A subtle fault", "v3 reads tidier: an inner join. It drops every flight whose aircraft has no plane "
                 "record. Its tests pass, and so do stage's checks.")  # fmt: skip
    before = show.read("prod", _ALL_ROWS)
    show.edit("pipelines/flights.py", 'left join {run.input("raw.planes")}', 'join {run.input("raw.planes")}')
    show.commit("Tidy up the joins")
    show.to_stage()
    show.lane("approve", show.waiting(), actor="ben")
    show.say("The canary compares it with what is live, day by day and key by key:")
    show.lane("promote", show.build, "--to", "prod", code=1)
    show.claim("prod's readers were never touched", holds=show.read("prod", _ALL_ROWS) == before)
    show.edit("pipelines/flights.py", 'join {run.input("raw.planes")}', 'left join {run.input("raw.planes")}')


def _unwanted_build(show: Show) -> None:
    show.chapter("Faultless, and unwanted", "v4 counts lateness on arrival, and declares that it changes that column. "
                 "It is released, and then nobody wants it.")  # fmt: skip
    before = show.read("prod", _ALL_ROWS)
    show.edit(
        "pipelines/flights.py", "try_cast(f.dep_delay as integer) > {lane", "try_cast(f.arr_delay as integer) > {lane"
    )
    for last_line in ("    settings: [late_after_minutes]\n", "    upstream: [flights_daily]\n"):
        show.edit("lanewise.yaml", last_line, last_line + _DECLARED)
    show.commit("Count lateness on arrival")
    show.to_stage()
    show.lane("approve", show.waiting(), actor="ben")
    show.lane("promote", show.build, "--to", "prod")
    show.claim("prod serves the new numbers", holds=show.read("prod", _ALL_ROWS) != before)
    show.say("Pointers flip back: code, config and data together; nothing is computed.")
    typer.echo(typer.style("ana$ lane rollback prod", bold=True))
    done = show.ask("rollback", "prod", "--reason", "nobody wants lateness on arrival")
    show.claim(f"prod went back in {done['seconds'] * 1000:.0f} ms, and no partition had to be computed",
               holds=done["seconds"] < 1 and not done["missing"])  # fmt: skip
    show.claim("readers see exactly what they saw before", holds=show.read("prod", _ALL_ROWS) == before)


def _look_back(show: Show) -> None:
    show.chapter("What happened, and can anybody have edited it?", "The ledger is hash-chained and checkpointed.")
    show.lane("verify")
    show.lane("history", "--environment", "prod", "--limit", "8")
    show.lane("status")


def _example() -> Path:
    folder = Path(__file__).resolve().parents[3] / "examples" / "flights"
    if not folder.is_dir():
        raise NotFound("example", "flights", hint="it comes with the source: `make demo` in a checkout")
    return folder


def _lane() -> list[str]:
    return [sys.executable, "-c", "from lanewise.cli.app import main; main()"]


def _typed() -> str:
    """How this very ``lane`` is typed: by its name where the shell finds it."""
    return "lane" if shutil.which("lane") else str(Path(sys.executable).with_name("lane"))


def _variables(actor: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANEWISE_")}
    return {**kept, "LANEWISE_ACTOR": actor, "PYTHONUNBUFFERED": "1"}
