"""The ``lane`` command: which commands there are, in the order of the story, and how errors leave it.

A command's module is imported only when that command is asked for, so that ``lane --help`` stays quick.
Each module has ``app``, a Typer with one command, or with several for a group such as ``lane config``.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any

import typer
from typer._click import Context, HelpFormatter  # the parser that typer ships
from typer._click.core import Command
from typer.core import TyperGroup

from lanewise.errors import LaneError, NotFound


@dataclass(frozen=True)
class Entry:
    """One command: its name, the chapter of the story it stands in, its one line of help, its module."""

    name: str
    chapter: str
    help: str
    module: str


_START, _BUILD, _PROMOTE, _RUN, _LOOK, _KEEP = (
    "Set up", "Build once", "Promote", "Run and publish", "Look", "Keep house",
)  # fmt: skip

COMMANDS = (
    Entry("init", _START, "Write lanewise.yaml and environments.yaml for a project.", "lanewise.cli.init"),
    Entry("config", _START, "Show, compare, check and pin configuration.", "lanewise.cli.config"),
    Entry("doctor", _START, "Try every secret and connection of an environment.", "lanewise.cli.doctor"),
    Entry("isolation", _START, "Try every identity on every other environment.", "lanewise.cli.isolation"),
    Entry("provision", _START, "Show, then write, who may do what in an environment.", "lanewise.cli.provision"),
    Entry("demo", _START, "Watch a real pipeline go from dev to prod and back.", "lanewise.cli.demo"),
    Entry("build", _BUILD, "Make a build from the working tree; show and compare builds.", "lanewise.cli.build"),
    Entry("builds", _BUILD, "List the builds.", "lanewise.cli.builds"),
    Entry("plan", _PROMOTE, "Say what a promotion would do, without doing it.", "lanewise.cli.plan"),
    Entry("ci", _PROMOTE, "Say it as a comment on a pull or merge request.", "lanewise.cli.ci"),
    Entry("promote", _PROMOTE, "Move a build (or a changed config) into an environment.", "lanewise.cli.promote"),
    Entry("approve", _PROMOTE, "Approve what waits for approval.", "lanewise.cli.approve"),
    Entry("reject", _PROMOTE, "Refuse what waits for approval.", "lanewise.cli.reject"),
    Entry("decide", _PROMOTE, "Retry, accept or abort a held promotion.", "lanewise.cli.decide"),
    Entry("pause", _PROMOTE, "Stop automatic promotions into an environment.", "lanewise.cli.pause"),
    Entry("resume", _PROMOTE, "Let them go on; lift a build's quarantine.", "lanewise.cli.resume"),
    Entry("rollback", _PROMOTE, "Flip an environment back: code, config and data.", "lanewise.cli.rollback"),
    Entry("run", _RUN, "Run the live build over partitions: write, audit, publish.", "lanewise.cli.run"),
    Entry("scheduled", _RUN, "Begin, publish or abandon a run that an orchestrator started.", "lanewise.cli.scheduled"),
    Entry("follow", _RUN, "Keep the sign that this machine's orchestrator reads up to date.", "lanewise.cli.follow"),
    Entry("status", _LOOK, "Show the lanes: what is live, what is on its way.", "lanewise.cli.status"),
    Entry("why", _LOOK, "Say what a promotion waits for.", "lanewise.cli.why"),
    Entry("history", _LOOK, "Read the ledger.", "lanewise.cli.history"),
    Entry("verify", _KEEP, "Check that the history is whole and unedited.", "lanewise.cli.verify"),
    Entry("gc", _KEEP, "Say, then drop, what nothing needs any more.", "lanewise.cli.gc"),
)


class Story(TyperGroup):
    """The group of all commands, loaded one at a time."""

    def list_commands(self, ctx: Context) -> list[str]:
        """In the story's order."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Import the one module that is needed."""
        for entry in COMMANDS:
            if entry.name == cmd_name:
                command = typer.main.get_command(importlib.import_module(entry.module).app)
                command.name = cmd_name
                return command
        return None

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """A mistyped command is told with the nearest ones."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            raise NotFound("command", args[0], known=self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Plain text by chapter: a rich panel would cost more than the whole rest of ``lane --help``."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """One section a chapter."""
        for chapter in dict.fromkeys(entry.chapter for entry in COMMANDS):
            with formatter.section(chapter):
                formatter.write_dl([(entry.name, entry.help) for entry in COMMANDS if entry.chapter == chapter])


app = typer.Typer(
    cls=Story, rich_markup_mode=None, add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False
)


def _version(wanted: bool) -> None:
    if wanted:
        from lanewise import __version__  # noqa: PLC0415 - only for --version

        typer.echo(f"lane {__version__}")
        raise typer.Exit


@app.callback()
def lane(
    directory: str = typer.Option("", "--directory", "-C", metavar="DIR", help="Work as if started in DIR."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),  # noqa: ARG001 - the callback answers it
) -> None:
    """One build of a pipeline through dev, stage and prod."""
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise typer.BadParameter(f"{directory}: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> None:
    """Run ``lane`` and exit: 0 done, 1 refused, 2 wrong input, 3 outside broke."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no arrow shows a question mark
    try:
        app(arguments, standalone_mode=True)
    except LaneError as error:
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("LANEWISE_DEBUG"):
            raise
        _complain(f"unexpected {type(error).__name__}", "set LANEWISE_DEBUG=1 to see where; please report it")
        sys.exit(3)


def _complain(message: str, hint: str = "") -> None:
    style: dict[str, Any] = {"fg": "red", "bold": True}
    typer.echo(typer.style("error: ", **style) + message, err=True)
    if hint:
        typer.echo("  hint: " + hint, err=True)
